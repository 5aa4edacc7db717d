//! How often something was read in a minute.

use sea_orm::entity::prelude::*;

/// A row of `push_read`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "push_read")]
pub struct Model {
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub connection_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub minute: i64,
    /// What was read, without anybody's data.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub shape: String,
    pub total: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
