//! The mapping rules in force.

use sea_orm::entity::prelude::*;

/// A row of `rule`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rule")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    pub position: i64,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// The rule (JSON).
    #[sea_orm(column_type = "Text")]
    pub body: String,
    pub created_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
