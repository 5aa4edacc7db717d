//! Opening and migrating the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use migration::MigratorTrait as _;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, Statement};
use secrecy::{ExposeSecret as _, SecretString};

use super::epoch::Epoch;
use super::session::Session;
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
    },
}

/// Pages of the write-ahead log before it is folded into the file: long enough that a burst is not interrupted (4 KiB pages,
/// 32 MiB).
const WAL_PAGES: &str = "8000";
/// Page caches, in KiB as SQLite wants it (negative): every connection has its own.
const WRITER_CACHE: &str = "-65536";
const READER_CACHE: &str = "-16384";
/// How long another process (a command beside a running server) may hold the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
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
                let reader = Arc::new(Session::reading(read.clone()));
                Ok(Self { reader, epoch: Epoch::default(), pool: read, writer: Writer::queue(write) })
            }
            StoreOptions::Postgres { url, connections } => {
                let pool = postgres(url, *connections).await?;
                migrate(&pool).await?;
                let reader = Arc::new(Session::reading(pool.clone()));
                Ok(Self { reader, epoch: Epoch::default(), writer: Writer::Pool(pool.clone()), pool })
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

async fn postgres(url: &SecretString, connections: u32) -> Result<DatabaseConnection, StoreError> {
    let mut connect = ConnectOptions::new(url.expose_secret());
    common(&mut connect)
        .max_connections(connections.max(2))
        .set_application_name("rollcall")
        // The planner thinks recursive queries expensive enough to be compiled first, which takes far longer than running
        // them (docs/PERFORMANCE.md).
        .map_sqlx_postgres_opts(|postgres| postgres.options([("jit", "off")]));
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
    let mut tries = 0;
    loop {
        tries += 1;
        match pending(connection).await {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) if tries < MIGRATION_TRIES => {
                tracing::debug!(error = %crate::base::Causes(&error), "migration table busy");
            }
            Err(error) => return Err(error.into()),
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
pub(super) async fn pending(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    let wanted = migration::Migrator::migrations();
    let sql = Statement::from_string(connection.get_database_backend(), "SELECT version FROM seaql_migrations");
    // The table is not there before the first migration.
    let Ok(rows) = connection.query_all_raw(sql).await else { return Ok(true) };
    let applied = rows.iter().map(|row| row.try_get::<String>("", "version")).collect::<Result<Vec<_>, _>>()?;
    Ok(wanted.iter().any(|migration| !applied.iter().any(|name| name == migration.name())))
}
