//! People, as SCIM means them.

use sea_orm::entity::prelude::*;

/// A row of `user`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// The row number that the search index uses.
    #[sea_orm(primary_key)]
    pub seq: i64,
    #[sea_orm(column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    /// Null for local accounts.
    #[sea_orm(column_type = "Text")]
    pub connection_id: Option<String>,
    /// `pending`, `active`, `inactive` or `deleted`.
    #[sea_orm(column_type = "Text")]
    pub status: String,
    #[sea_orm(column_type = "Text")]
    pub user_name: String,
    #[sea_orm(column_type = "Text")]
    pub user_name_fold: String,
    #[sea_orm(column_type = "Text")]
    pub external_id: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub display_name: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub display_name_fold: Option<String>,
    /// Folded names and addresses, one a line, for substring search.
    #[sea_orm(column_type = "Text")]
    pub search_text: String,
    /// The SCIM attributes (JSON) without id, meta and groups.
    #[sea_orm(column_type = "Text")]
    pub document: String,
    #[sea_orm(column_type = "Text")]
    pub role: Option<String>,
    /// The outcome of the rules with its reasons (JSON).
    #[sea_orm(column_type = "Text")]
    pub access: Option<String>,
    /// The hold that keeps a loss of this person back.
    #[sea_orm(column_type = "Text", nullable)]
    pub hold_id: Option<String>,
    /// What the identity provider said at the last sign-in (JSON).
    #[sea_orm(column_type = "Text", nullable)]
    pub claims: Option<String>,
    /// 1 while a sign-in made the user and SCIM has not touched it since.
    pub by_sign_in: i64,
    #[sea_orm(nullable)]
    pub last_sign_in_at: Option<i64>,
    /// How often the person lost all access: what was given out before a loss opens nothing after it.
    pub access_losses: i64,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
