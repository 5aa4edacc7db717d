//! The people of a hold.

use sea_orm::entity::prelude::*;

/// A row of `held`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "held")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub hold_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub user_id: String,
    /// `held`, `approved`, `rejected`, `returned` or `overtaken`.
    #[sea_orm(column_type = "Text")]
    pub state: String,
    /// What the person would lose, as it was when it was held (JSON).
    #[sea_orm(column_type = "Text")]
    pub loses: String,
    /// The audit event of the change that brought it.
    #[sea_orm(column_type = "Text")]
    pub event_id: String,
    pub held_at: i64,
    pub decided_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub decided_by: Option<String>,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
