//! E-mail domains of connections.

use sea_orm::entity::prelude::*;

/// A row of `sso_domain`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sso_domain")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub connection_id: String,
    /// In lower case, in ASCII.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub domain: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    /// What the TXT record of the domain has to say.
    #[sea_orm(column_type = "Text")]
    pub challenge: String,
    /// `dns`, or who gave their word.
    #[sea_orm(column_type = "Text", nullable)]
    pub verified_by: Option<String>,
    #[sea_orm(nullable)]
    pub verified_at: Option<i64>,
    pub created_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
