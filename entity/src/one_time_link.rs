//! Links that work once: to become the owner, to accept an invitation, to set a password anew.

use sea_orm::entity::prelude::*;

/// A row of `one_time_link`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "one_time_link")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// SHA-256 of the secret in the link, in hexadecimal.
    #[sea_orm(column_type = "Text")]
    pub hash: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    /// `owner`, `invite` or `reset`.
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    /// Whom it is for; none: whoever has it.
    #[sea_orm(column_type = "Text", nullable)]
    pub user_id: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    pub used_at: Option<i64>,
    /// Replaced by a later one.
    pub voided_at: Option<i64>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
