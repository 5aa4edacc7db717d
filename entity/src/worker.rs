//! The worker that each name should have at TaskRouter, and what we know of it.

use sea_orm::entity::prelude::*;

/// A row of `worker`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "worker")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    /// Through which connection the user came.
    #[sea_orm(column_type = "Text", nullable)]
    pub connection_id: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub user_id: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub name_fold: String,
    #[sea_orm(column_type = "Text")]
    pub sid: Option<String>,
    /// The desired worker (JSON); null: none.
    #[sea_orm(column_type = "Text")]
    pub desired: Option<String>,
    /// A hash of `desired`, by which unchanged ones are left alone.
    #[sea_orm(column_type = "Text")]
    pub digest: Option<String>,
    /// 1 if a worker that is not desired stays, offline.
    pub keep: i64,
    pub desired_version: i64,
    pub desired_at: i64,
    /// The audit event that led to the present desire.
    #[sea_orm(column_type = "Text")]
    pub event_id: String,
    /// The keys and channels that we have written at TaskRouter, or may have written (JSON).
    #[sea_orm(column_type = "Text")]
    pub footprint: String,
    /// Desired workers (JSON, one a line) that were replaced while somebody may have been writing them.
    #[sea_orm(column_type = "Text")]
    pub superseded: String,
    /// The version that was last brought about.
    pub applied_version: Option<i64>,
    /// 1 if an earlier attempt may have had effects that are not recorded.
    pub unsure: i64,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    /// 0 for leavers, 1 for the rest, 2 for those whose removal is held.
    pub lane: i64,
    pub attempts: i64,
    /// When there is work to do; null: none.
    pub due_at: Option<i64>,
    /// In the time of the database.
    pub lease_until: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub lease_owner: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub last_error: Option<String>,
    pub in_step_at: Option<i64>,
    pub removed_at: Option<i64>,
    pub created_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
