//! The database schema, for SQLite and PostgreSQL alike.
//!
//! Applied migrations are never edited. After the first release they only expand, then contract, because older
//! copies of the server keep running while a migration is applied.

pub use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait};

mod m0001_first;
mod sql;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first::Migration)]
    }
}
