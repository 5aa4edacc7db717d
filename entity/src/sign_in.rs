//! The log of sign-ins.

use sea_orm::entity::prelude::*;

/// A row of `sign_in`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub at: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub account_id: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub connection_id: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub user_id: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub means: String,
    #[sea_orm(column_type = "Text")]
    pub outcome: String,
    /// The name of the check that refused it.
    #[sea_orm(column_type = "Text", nullable)]
    pub failed_check: Option<String>,
    /// For administrators.
    #[sea_orm(column_type = "Text", nullable)]
    pub detail: Option<String>,
    /// Who it was said to be.
    #[sea_orm(column_type = "Text", nullable)]
    pub who: Option<String>,
    /// What the identity provider said, as JSON without secrets.
    #[sea_orm(column_type = "Text", nullable)]
    pub claims: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub address: String,
    #[sea_orm(column_type = "Text")]
    pub user_agent: String,
    /// What the person was shown.
    #[sea_orm(column_type = "Text")]
    pub reference: String,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
