//! Requests of identity providers, without secrets.

use sea_orm::entity::prelude::*;

/// A row of `push`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "push")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub at: i64,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(column_type = "Text")]
    pub connection_id: String,
    /// The token or OAuth client that sent it.
    #[sea_orm(column_type = "Text")]
    pub bearer: String,
    #[sea_orm(column_type = "Text")]
    pub method: String,
    #[sea_orm(column_type = "Text")]
    pub path: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub body: Option<String>,
    /// Why the body is not as it was sent.
    #[sea_orm(column_type = "Text", nullable)]
    pub note: Option<String>,
    /// 0: the client went away.
    pub status: i64,
    /// 1 or 0, for an index.
    pub failed: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub scim_type: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub detail: Option<String>,
    pub latency_ms: i64,
    /// The same as in the audit trail.
    #[sea_orm(column_type = "Text")]
    pub request_id: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub resource_id: Option<String>,
    /// Ids (JSON list).
    #[sea_orm(column_type = "Text")]
    pub people: String,
    /// Names of attributes (JSON list).
    #[sea_orm(column_type = "Text")]
    pub ignored: String,
    /// Of a bulk request.
    pub failed_operations: i64,
    /// What requests that were turned away have in common that share the row.
    #[sea_orm(column_type = "Text", nullable)]
    pub alike: Option<String>,
    /// How many requests the row stands for.
    pub times: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
