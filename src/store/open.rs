//! Opening and migrating the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use migration::MigratorTrait as _;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use secrecy::{ExposeSecret as _, SecretString};

use super::epoch::Epoch;
use super::patience::Patience;
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;
use super::writer::Writer;
use super::{Store, StoreError};

/// Which database to open.
#[derive(Clone, Debug)]
pub enum StoreOptions {
    /// A SQLite file, made if it does not exist.
    Sqlite {
        /// The file.
        file: PathBuf,
        /// Reading connections.
        readers: u32,
    },
    /// A PostgreSQL database.
    Postgres {
        /// `postgres://…`
        url: SecretString,
        /// Connections.
        connections: u32,
        /// How long a statement may take, and a transaction rest, before the server ends it; answers are waited for a little
        /// longer.
        patience: Duration,
    },
}

/// Pages of the write-ahead log before it is folded into the file: long enough that a burst is not interrupted (4 KiB pages,
/// 32 MiB).
const WAL_PAGES: &str = "8000";
/// Page caches, in KiB as SQLite wants it (negative): every connection has its own.
const WRITER_CACHE: &str = "-49152";
const READER_CACHE: &str = "-12288";
/// How long another process (a command beside a running server) may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement of PostgreSQL may take: all but migrations take milliseconds, or wait for others that do.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How old a connection to PostgreSQL becomes: plans of statements are made for what tables held when it was new.
const LIFETIME: Duration = Duration::from_mins(30);
/// How many times a migration is tried again because another process was at it.
const MIGRATION_TRIES: u32 = 20;

impl Store {
    /// Opens the database, makes it if it is a SQLite file that does not exist, and applies missing migrations.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        match options {
            StoreOptions::Sqlite { file, readers } => {
                let write = sqlite(file, 1, false).await?;
                migrate(&write).await?;
                let read = sqlite(file, (*readers).max(1), true).await?;
                let reader = Arc::new(Session::reading(read.clone(), Patience::endless()));
                Ok(Self { reader, epoch: Epoch::default(), pool: read, writer: Writer::queue(write) })
            }
            StoreOptions::Postgres { url, connections, patience } => {
                let migrating = postgres(url, 1, &Patience::endless()).await?;
                migrate(&migrating).await?;
                migrating.close().await?;
                let patience = Patience::of_statements(*patience);
                let pool = postgres(url, (*connections).max(2), &patience).await?;
                let reader = Arc::new(Session::reading(pool.clone(), patience.clone()));
                Ok(Self { reader, epoch: Epoch::default(), writer: Writer::Pool(pool.clone(), patience), pool })
            }
        }
    }
}

async fn sqlite(file: &Path, connections: u32, reading: bool) -> Result<DatabaseConnection, StoreError> {
    // The name is given apart from the URL, where some of its characters would mean something.
    let file = file.to_owned();
    let mut options = ConnectOptions::new("sqlite:");
    common(&mut options).max_connections(connections).map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .filename(&file)
            .create_if_missing(!reading)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", WAL_PAGES)
            .pragma("cache_size", if reading { READER_CACHE } else { WRITER_CACHE })
            .pragma("temp_store", "memory")
            .row_buffer_size(512);
        if reading { sqlite.pragma("query_only", "1") } else { sqlite }
    });
    Ok(Database::connect(options).await?)
}

async fn postgres(url: &SecretString, connections: u32, patience: &Patience) -> Result<DatabaseConnection, StoreError> {
    let mut connect = ConnectOptions::new(url.expose_secret());
    let (settings, watching) = (patience.settings(), patience.clone());
    common(&mut connect)
        .max_connections(connections)
        .max_lifetime(Some(LIFETIME))
        .set_application_name("rollcall")
        // The planner thinks recursive queries expensive enough to be compiled first, which takes far longer than running
        // them (docs/PERFORMANCE.md).
        .map_sqlx_postgres_opts(move |postgres| postgres.options([("jit", "off")]).options(settings.clone()))
        .map_sqlx_postgres_pool_opts(move |pool| watching.watch(pool));
    Ok(Database::connect(connect).await?)
}

/// SeaORM by default logs each statement and pings a connection before each use; neither is wanted on the hot path.
fn common(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .max_lifetime(None::<Duration>)
        .idle_timeout(None::<Duration>)
}

/// Applies missing migrations. Another process may be doing the same: whoever loses looks again.
async fn migrate(connection: &DatabaseConnection) -> Result<(), StoreError> {
    let session = Session::reading(connection.clone(), Patience::endless());
    let mut tries = 0;
    loop {
        tries += 1;
        match pending(&session).await {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) if tries < MIGRATION_TRIES => {
                tracing::debug!(error = %crate::base::Causes(&error), "migration table busy");
            }
            Err(error) => return Err(error),
        }
        match migration::Migrator::up(connection, None).await {
            Ok(()) => return Ok(()),
            Err(error) if tries < MIGRATION_TRIES => {
                tracing::debug!(
                    error = %crate::base::Causes(&error),
                    "another process may be migrating; looking again"
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether migrations are missing. A database that has them all is only read: asking SeaORM would write to it, and two
/// processes may start at once.
pub(super) async fn pending(session: &Session) -> Result<bool, StoreError> {
    let rows = match session.all(Sql::new("SELECT version FROM seaql_migrations")).await {
        Ok(rows) => rows,
        // It is made by the first migration. Any other error says nothing about migrations.
        Err(error) if error.is_missing_table() => return Ok(true),
        Err(error) => return Err(error),
    };
    let applied = rows.iter().map(|row| row.text("version")).collect::<Result<Vec<_>, _>>()?;
    let wanted = migration::Migrator::migrations();
    Ok(wanted.iter().any(|migration| !applied.iter().any(|name| name == migration.name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sea_orm::ConnectionTrait as _;

    #[tokio::test]
    async fn only_a_missing_table_means_missing_migrations() {
        let dir = tempfile::tempdir().unwrap();
        let connection = sqlite(&dir.path().join("a.db"), 1, false).await.unwrap();
        let session = Session::reading(connection.clone(), Patience::endless());
        assert!(pending(&session).await.unwrap());
        connection.execute_unprepared("CREATE TABLE seaql_migrations (other text)").await.unwrap();
        let error = pending(&session).await.unwrap_err();
        assert!(matches!(&error, StoreError::Bug(bug) if bug.to_string().contains("no such column")), "{error:?}");
        connection.execute_unprepared("DROP TABLE seaql_migrations").await.unwrap();
        migrate(&connection).await.unwrap();
        assert!(!pending(&session).await.unwrap());
    }
}
