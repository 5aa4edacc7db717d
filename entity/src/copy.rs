//! The copies of the server that run on this database.

use sea_orm::entity::prelude::*;

/// A row of `copy`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "copy")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub version: String,
    /// 1 while it does nothing at TaskRouter.
    pub paused: i64,
    /// When it last told of itself, in the time of the database.
    pub seen_at: i64,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
