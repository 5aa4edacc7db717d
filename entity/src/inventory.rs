//! The walk through all workers of an account: who is at it, when it is due, and how the last one ended.

use sea_orm::entity::prelude::*;

/// A row of `inventory`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventory")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub account_id: String,
    /// When the period is over, in the time of the database.
    pub next_at: i64,
    /// The walk that is under way, or was last.
    #[sea_orm(column_type = "Text")]
    pub walk_id: Option<String>,
    /// Until when one process has it; null: nobody walks.
    pub lease_until: Option<i64>,
    pub started_at: Option<i64>,
    /// When a walk last came to its end.
    pub finished_at: Option<i64>,
    /// What that walk counted (JSON).
    #[sea_orm(column_type = "Text")]
    pub summary: Option<String>,
    /// Why the last walk came to no end; null: it did.
    #[sea_orm(column_type = "Text")]
    pub last_error: Option<String>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
