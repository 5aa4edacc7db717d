//! Changes of access that are too many for one transaction, and how far they have got.

use sea_orm::entity::prelude::*;

/// A row of `recompute`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recompute")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub account_id: String,
    /// The users to recompute (JSON list of ids in their order); null for everybody.
    #[sea_orm(column_type = "Text")]
    pub users: Option<String>,
    /// 0 while those who lose access are looked for, 1 for the rest.
    pub pass: i64,
    /// The last user that was done in this pass.
    #[sea_orm(column_type = "Text")]
    pub after_user: String,
    /// How many users were looked at.
    pub done: i64,
    /// Until when one process has it, in the time of the database.
    pub lease_until: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub event_id: String,
    /// What made it necessary (JSON).
    #[sea_orm(column_type = "Text", nullable)]
    pub cause: Option<String>,
    /// 1 if nothing of it is to be held.
    pub forced: i64,
    /// Who was found to lose something, while it is counted (JSON).
    #[sea_orm(column_type = "Text", nullable)]
    pub found: Option<String>,
    pub created_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
