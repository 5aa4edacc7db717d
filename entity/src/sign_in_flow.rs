//! Sign-ins that were begun.

use sea_orm::entity::prelude::*;

/// A row of `sign_in_flow`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_flow")]
pub struct Model {
    /// What the answer names: the id of the SAML request, or the hash of the OAuth state.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub connection_id: String,
    /// The hash of the browser's cookie.
    #[sea_orm(column_type = "Text")]
    pub browser: String,
    /// What the answer is compared with (JSON, sealed).
    #[sea_orm(column_type = "Text")]
    pub sealed: String,
    pub expires_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
