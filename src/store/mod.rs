//! The only user of SeaORM: what is kept, in SQLite or PostgreSQL.
//!
//! [`Store::read`] gives a place to read from; [`Store::write`] runs a change in a transaction and returns once it is
//! durable. Every function takes the account (or a connection of it) that it works for, so that one account's data cannot
//! be reached through another's.

pub mod accounts;
mod apart;
pub mod api_keys;
pub mod audit;
pub mod backlog;
pub mod broker;
mod change;
pub mod clients;
pub mod connections;
pub mod credentials;
mod epoch;
mod error;
mod filter;
pub mod flows;
pub mod groups;
pub mod holds;
pub mod inventory;
pub mod links;
pub mod local;
pub mod memberships;
mod open;
pub mod order;
mod packed;
mod patience;
pub mod people;
pub mod pushes;
pub mod receipts;
pub mod recomputes;
mod row;
pub mod rules;
mod search;
mod session;
pub mod sessions;
pub mod sign_ins;
mod sql;
pub mod sso;
pub mod sso_links;
mod together;
pub mod tokens;
pub mod users;
mod word;
pub mod workers;
mod writer;

use std::sync::Arc;

use futures::future::BoxFuture;
use sea_orm::{DatabaseConnection, DbBackend};
use uuid::Uuid;

pub use change::Change;
pub use error::{StoreError, Taken};
pub use filter::{Listing, Matches, Walked};
pub use open::{PATIENCE, StoreOptions};
pub use order::{Order, Place};
pub use session::{Session, Tx};
pub use word::Hearing;

use epoch::Epoch;
use sql::Sql;
use writer::{Kind, Writer};

/// How busy this process keeps the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Changes that wait for the writer of SQLite; none on PostgreSQL, which has no queue.
    pub waiting: Option<usize>,
    /// Connections that do something; on SQLite those that read.
    pub busy: u32,
    /// Connections that wait for something to do.
    pub idle: u32,
}

/// The database.
#[derive(Debug)]
pub struct Store {
    reader: Arc<Session>,
    epoch: Epoch,
    pool: DatabaseConnection,
    writer: Writer,
}

impl Store {
    /// Where to read: sees what was committed before.
    #[must_use]
    pub fn read(&self) -> &Session {
        &self.reader
    }

    /// Runs a change of people or groups in one transaction, and returns once it is committed.
    ///
    /// The job may run more than once (when the database gave up on the transaction), and must have no effect but through
    /// the transaction.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        self.writer.write(Kind::People, None, job).await
    }

    /// Like [`Store::write`], for a change that reads and writes nothing but what it makes and what belongs to these
    /// resources, if they are known: on SQLite it may share a transaction with changes of others, step by step. What turns out
    /// to depend on more asks for [`Tx::run_alone`].
    pub async fn write_apart<T, E, F>(&self, touches: Option<Vec<Uuid>>, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        self.writer.write(Kind::People, touches, job).await
    }

    /// Like [`Store::write`], for configuration: it excludes changes of people while it runs, and ends the epoch, so that
    /// every process sees what changed with its next request.
    pub async fn configure<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        let job = Arc::new(job);
        self.writer
            .write(Kind::Configuration, None, move |tx| {
                let job = Arc::clone(&job);
                Box::pin(async move {
                    let value = job(tx).await?;
                    tx.run(Sql::new("UPDATE installation SET epoch = epoch + 1 WHERE id = 1")).await?;
                    Ok(value)
                })
            })
            .await
    }

    /// Like [`Store::write`], for bookkeeping that computes nobody's access.
    pub async fn keep<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        self.writer.write(Kind::Bookkeeping, None, job).await
    }

    /// The configuration epoch: what was cached at another epoch is stale.
    pub async fn epoch(&self) -> Result<i64, StoreError> {
        self.epoch.read(&self.reader).await
    }

    /// Whether the database answers, lets us write, and has every migration. Nothing is written: the change below is of no
    /// row, and asks for all that a change of some row needs but the space.
    pub async fn check(&self) -> Result<(), StoreError> {
        if open::pending(&self.reader).await? {
            let what = "migrations are missing; `rollcall migrate` applies them".to_owned();
            return Err(StoreError::Damaged { table: "seaql_migrations", what });
        }
        self.keep(|tx| {
            Box::pin(async move {
                tx.run(Sql::new("UPDATE installation SET epoch = epoch WHERE id = 0")).await?;
                Ok(())
            })
        })
        .await
    }

    /// How busy this process keeps the database.
    #[must_use]
    pub fn load(&self) -> Load {
        let (connections, idle) = if self.pool.get_database_backend() == DbBackend::Postgres {
            let pool = self.pool.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.pool.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        };
        let waiting = match &self.writer {
            Writer::Queue(queue) => Some(queue.max_capacity() - queue.capacity()),
            Writer::Pool(..) => None,
        };
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(connections);
        Load { waiting, idle, busy: connections - idle }
    }

    /// Finishes open writes and closes the database.
    pub async fn close(self) -> Result<(), StoreError> {
        let Self { pool, writer, reader, epoch: _ } = self;
        drop(reader);
        drop(writer);
        pool.close().await?;
        Ok(())
    }
}
