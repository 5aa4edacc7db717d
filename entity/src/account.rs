//! Contact centres (tenants).

use sea_orm::entity::prelude::*;

/// A row of `account`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Where its TaskRouter is (JSON, no secrets); null: the installation's own settings.
    #[sea_orm(column_type = "Text")]
    pub taskrouter: Option<String>,
    /// The TaskRouter API secret, sealed.
    #[sea_orm(column_type = "Text")]
    pub sealed_secret: Option<String>,
    /// Work that leavers have in hand: `cut` or `drain`.
    #[sea_orm(column_type = "Text")]
    pub live_calls: String,
    /// For how many milliseconds it is waited for.
    pub drain_ms: i64,
    /// The workers of those who are deactivated: `remove` or `keep-offline`.
    #[sea_orm(column_type = "Text")]
    pub deactivated: String,
    /// `provisioning` or `sign-in`: when workers are made.
    #[sea_orm(column_type = "Text")]
    pub worker_at: String,
    /// After how many milliseconds without a request a session ends.
    pub session_idle_ms: i64,
    /// After how many milliseconds a session ends in any case.
    pub session_absolute_ms: i64,
    /// The version of its rules in force, 0 before the first import.
    pub rules_version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
