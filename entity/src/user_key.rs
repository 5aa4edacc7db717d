//! Values by which users are found besides the columns of `user`.

use sea_orm::entity::prelude::*;

/// A row of `user_key`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub connection_id: String,
    /// The attribute, as in `emails.value`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub attribute: String,
    /// The value, folded if the attribute ignores case.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub value: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub user_id: String,
}

/// Relations are joined by hand where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
