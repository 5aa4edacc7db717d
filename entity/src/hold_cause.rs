//! The changes that brought people into a hold.

use sea_orm::entity::prelude::*;

/// A row of `hold_cause`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "hold_cause")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub hold_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub event_id: String,
    /// Who did what to what (JSON).
    #[sea_orm(column_type = "Text")]
    pub cause: String,
    pub at: i64,
    /// How many people it brought.
    pub people: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
