//! What happened when somebody left, stage by stage.

use sea_orm::entity::prelude::*;

/// A row of `receipt`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipt")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(column_type = "Text")]
    pub connection_id: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub user_id: String,
    /// The name of the worker; the userName of whoever has none.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub name_fold: String,
    /// Null: there was none.
    #[sea_orm(column_type = "Text")]
    pub worker_id: Option<String>,
    /// The version of the worker's row that desires none.
    pub version: Option<i64>,
    /// `deactivated`, `deleted` or `lost_access`.
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    #[sea_orm(column_type = "Text")]
    pub event_id: String,
    /// Times of the stages, by the clock of the database.
    pub accepted_at: i64,
    pub refused_at: i64,
    pub unavailable_at: Option<i64>,
    pub removed_at: Option<i64>,
    pub verified_at: Option<i64>,
    /// How it ended; null while it is open.
    #[sea_orm(column_type = "Text")]
    pub ending: Option<String>,
    pub ended_at: Option<i64>,
    /// When it was logged that the removal is late.
    pub alerted_at: Option<i64>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
