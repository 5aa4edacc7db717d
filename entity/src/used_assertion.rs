//! What was used once and must not be used again.

use sea_orm::entity::prelude::*;

/// A row of `used_assertion`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "used_assertion")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub connection_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub assertion_id: String,
    pub expires_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
