//! Losses of access that wait for a decision, or that were decided.

use sea_orm::entity::prelude::*;

/// A row of `hold`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hold")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(column_type = "Text")]
    pub connection_id: String,
    /// What is lost: access, role or grants.
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    /// `open` while somebody waits, then `decided`.
    #[sea_orm(column_type = "Text")]
    pub status: String,
    /// The limit that was passed.
    #[sea_orm(column_type = "Text")]
    pub beyond: String,
    pub opened_at: i64,
    pub decided_at: Option<i64>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
