//! Totals per connection and resource type, kept in the transaction that changes them.

use sea_orm::entity::prelude::*;

/// A row of `counter`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "counter")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub connection_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub kind: String,
    /// Spreads the writers of PostgreSQL over several rows.
    #[sea_orm(primary_key, auto_increment = false)]
    pub stripe: i64,
    pub total: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
