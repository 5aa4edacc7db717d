//! How people of a connection sign in.

use sea_orm::entity::prelude::*;

/// A row of `sso`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub connection_id: String,
    /// `saml` or `oidc`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub kind: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    /// The settings with their secrets (JSON, sealed).
    #[sea_orm(column_type = "Text")]
    pub settings: String,
    /// When the identity provider's metadata is read again.
    #[sea_orm(nullable)]
    pub refresh_at: Option<i64>,
    /// Why that failed the last time.
    #[sea_orm(column_type = "Text", nullable)]
    pub refresh_error: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
