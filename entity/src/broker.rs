//! What accounts tell Flex at sign-in.

use sea_orm::entity::prelude::*;

/// A row of `broker`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "broker")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub account_id: String,
    /// The settings with our keys (JSON, sealed).
    #[sea_orm(column_type = "Text")]
    pub settings: String,
    pub updated_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
