//! OAuth clients of connections.

use sea_orm::entity::prelude::*;

/// A row of `oauth_client`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_client")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(column_type = "Text")]
    pub connection_id: String,
    #[sea_orm(column_type = "Text")]
    pub label: String,
    /// The first characters of its secret.
    #[sea_orm(column_type = "Text")]
    pub hint: String,
    /// SHA-256 of the secret in hexadecimal.
    #[sea_orm(column_type = "Text")]
    pub secret_hash: String,
    /// `read` or `write`.
    #[sea_orm(column_type = "Text")]
    pub scope: String,
    /// The client that took its place.
    #[sea_orm(column_type = "Text", nullable)]
    pub replaced_by: Option<String>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
