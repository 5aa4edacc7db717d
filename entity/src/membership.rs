//! Who is in which group.

use sea_orm::entity::prelude::*;

/// A row of `membership`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "membership")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub group_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub member_id: String,
    /// `User` or `Group`.
    #[sea_orm(column_type = "Text")]
    pub member_kind: String,
    /// The audit event of the push that brought it.
    #[sea_orm(column_type = "Text")]
    pub event_id: String,
    pub created_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
