//! Sessions of people who signed in.

use sea_orm::entity::prelude::*;

/// A row of `session`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// SHA-256 of the secret in the cookie, in hexadecimal.
    #[sea_orm(column_type = "Text")]
    pub hash: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(column_type = "Text")]
    pub user_id: String,
    /// None: a local account.
    #[sea_orm(column_type = "Text", nullable)]
    pub connection_id: Option<String>,
    /// `password`, `saml` or `oidc`.
    #[sea_orm(column_type = "Text")]
    pub means: String,
    /// What the identity provider calls the person when it signs somebody out: SAML `NameID`, OIDC `sub`.
    #[sea_orm(column_type = "Text", nullable)]
    pub idp_subject: Option<String>,
    /// SAML `SessionIndex`, OIDC `sid`.
    #[sea_orm(column_type = "Text", nullable)]
    pub idp_session: Option<String>,
    /// What the identity provider wants to be told at sign-out, as JSON.
    #[sea_orm(column_type = "Text", nullable)]
    pub logout: Option<String>,
    pub created_at: i64,
    /// When the person last proved who they are.
    pub authenticated_at: i64,
    /// Moved at most once a minute.
    pub last_seen_at: i64,
    /// The latest end, as it was known at the beginning.
    pub ends_at: i64,
    /// How often the person had lost all access when it began.
    pub access_losses: i64,
    #[sea_orm(column_type = "Text")]
    pub address: String,
    /// Shortened.
    #[sea_orm(column_type = "Text")]
    pub user_agent: String,
    /// Signed out or revoked.
    pub ended_at: Option<i64>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
