//! What the last walk found that is not in step.

use sea_orm::entity::prelude::*;

/// A row of `finding`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "finding")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub account_id: String,
    /// The SID of the worker; of a missing one the SID that is recorded.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub subject: String,
    /// The walk that found it.
    #[sea_orm(column_type = "Text")]
    pub walk_id: String,
    #[sea_orm(column_type = "Text")]
    pub class: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Our row for it, if there is one.
    #[sea_orm(column_type = "Text")]
    pub worker_id: Option<String>,
    /// What differs and what would be done (JSON).
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    /// 1 if the reconciler was told to repair it.
    pub handed_over: i64,
    /// When the first of the walks began that found it so without a break.
    pub first_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
