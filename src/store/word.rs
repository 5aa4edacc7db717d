//! A word from copy to copy that there is work, over LISTEN and NOTIFY of PostgreSQL.
//!
//! It makes the others look sooner. That they look at all does not depend on it: a word that is lost costs one period of polling.

use std::time::Duration;

use sea_orm::{DbBackend, DbErr};
use sqlx::postgres::{PgListener, PgPoolOptions};

use super::Store;
use super::error::StoreError;
use super::sql::Sql;

/// The channel; a database belongs to one installation.
const CHANNEL: &str = "rollcall_work";
/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hears what other copies say.
#[derive(Debug)]
pub struct Hearing(PgListener);

impl Hearing {
    /// Waits for the next word, and says which copy it is from; none: the connection was lost, and words with it. It is made
    /// anew with the next call.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let heard = self.0.try_recv().await.map_err(|error| unavailable(&error))?;
        Ok(heard.map(|word| word.payload().to_owned()))
    }
}

impl Store {
    /// Says to all copies that there is work. Nothing on SQLite, which one copy has for itself.
    pub async fn say(&self, copy: &str) -> Result<(), StoreError> {
        if self.reader.is_postgres() {
            self.reader.one(Sql::new(format!("SELECT 1 AS said FROM pg_notify('{CHANNEL}', ?)")).bind(copy)).await?;
        }
        Ok(())
    }

    /// Begins to hear what other copies say, on a connection beside the pool; none on SQLite.
    pub async fn hear(&self) -> Result<Option<Hearing>, StoreError> {
        if self.pool.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let options = self.pool.get_postgres_connection_pool().connect_options().as_ref().clone();
        let listening = async {
            let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
            let mut listener =
                PgListener::connect_with(&pool.acquire_timeout(PATIENCE).connect_with(options).await?).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        listening.await.map(|listener| Some(Hearing(listener))).map_err(|error| unavailable(&error))
    }
}

fn unavailable(error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(DbErr::Custom(format!("other copies cannot be heard: {error}")))
}
