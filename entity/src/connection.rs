//! Links to identity providers.

use sea_orm::entity::prelude::*;

/// A row of `connection`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub dialect: String,
    /// The roles that rules may give to its users (JSON list).
    #[sea_orm(column_type = "Text")]
    pub may_grant: String,
    /// The networks that its requests may come from (JSON list); empty: all.
    #[sea_orm(column_type = "Text")]
    pub allow_from: String,
    /// The limits of the guard that are its own (JSON).
    #[sea_orm(column_type = "Text")]
    pub guard: String,
    /// Who is made a user at sign-in: `off`, `on` or `provisioned`; null: as the connection has SCIM or not.
    #[sea_orm(column_type = "Text", nullable)]
    pub jit: Option<String>,
    /// Where claims hold what (JSON).
    #[sea_orm(column_type = "Text")]
    pub claims: String,
    /// `enabled` or `disabled`.
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
