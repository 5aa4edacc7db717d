//! A place to run statements: outside a transaction for reading, inside one for writing.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult};

use super::apart::Gathering;
use super::error::{StoreError, Taken};
use super::patience::Patience;
use super::row::RowExt as _;
use super::search::TrigramCounts;
use super::sql::{Batch, Sql};
use super::together::Together;

/// A place to read from.
#[derive(Debug)]
pub struct Session {
    link: Link,
    backend: DbBackend,
    patience: Patience,
    epoch: i64,
    gave_up: AtomicBool,
    trigram_counts: TrigramCounts,
    together: Option<Arc<Together>>,
}

#[derive(Debug)]
enum Link {
    Pool(DatabaseConnection),
    Transaction(DatabaseTransaction),
    /// A transaction of SQLite that several jobs use side by side.
    Shared(Arc<Gathering>),
}

impl Session {
    pub(super) fn reading(pool: DatabaseConnection, patience: Patience) -> Self {
        let backend = pool.get_database_backend();
        Self {
            together: (backend == DbBackend::Sqlite).then(|| Arc::new(Together::new(pool.clone()))),
            link: Link::Pool(pool),
            backend,
            patience,
            epoch: 0,
            gave_up: AtomicBool::new(false),
            trigram_counts: TrigramCounts::default(),
        }
    }

    /// The text that a statement answers in its only row and column; none: null, or no row.
    pub(super) async fn text(&self, sql: Sql) -> Result<Option<String>, StoreError> {
        if let Some(together) = &self.together {
            return together.text(sql).await;
        }
        if let Link::Shared(gathering) = &self.link {
            return gathering.text(sql).await;
        }
        let row = self.one(sql).await?;
        row.map_or(Ok(None), |row| Ok(row.try_get_by_index(0)?))
    }

    pub(super) fn trigram_counts(&self) -> &TrigramCounts {
        &self.trigram_counts
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }

    pub(super) async fn one(&self, sql: Sql) -> Result<Option<QueryResult>, StoreError> {
        self.note(match &self.link {
            Link::Pool(pool) => self.patience.wait(pool.query_one_raw(sql.statement(self.backend))).await,
            Link::Transaction(tx) => self.patience.wait(tx.query_one_raw(sql.statement(self.backend))).await,
            Link::Shared(gathering) => return Ok(gathering.rows(sql).await?.into_iter().next()),
        })
    }

    pub(super) async fn all(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        self.note(match &self.link {
            Link::Pool(pool) => self.patience.wait(pool.query_all_raw(sql.statement(self.backend))).await,
            Link::Transaction(tx) => self.patience.wait(tx.query_all_raw(sql.statement(self.backend))).await,
            Link::Shared(gathering) => return gathering.rows(sql).await,
        })
    }

    /// Remembers that the database gave up on this transaction for others' sake, so that it is worth repeating.
    fn note<T>(&self, result: Result<T, DbErr>) -> Result<T, StoreError> {
        result.map_err(|error| {
            let error = StoreError::from(error);
            if error.is_worth_repeating() {
                self.gave_up.store(true, Ordering::Relaxed);
            }
            error
        })
    }

    /// Milliseconds since the Unix epoch by the clock of the database, for leases that several copies respect.
    pub(super) fn database_now(&self) -> &'static str {
        database_now(self.is_postgres())
    }
}

pub(super) fn database_now(postgres: bool) -> &'static str {
    if postgres {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    } else {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    }
}

/// An open write transaction. What it does is seen by nobody until it commits.
#[derive(Debug)]
pub struct Tx {
    session: Session,
    wrote: AtomicBool,
    /// Whether the job that was given it has to run by itself.
    alone: AtomicBool,
}

impl Tx {
    pub(super) fn new(transaction: DatabaseTransaction, backend: DbBackend, patience: Patience) -> Self {
        Self {
            session: Session {
                link: Link::Transaction(transaction),
                backend,
                patience,
                epoch: 0,
                gave_up: AtomicBool::new(false),
                trigram_counts: TrigramCounts::default(),
                together: None,
            },
            wrote: AtomicBool::new(false),
            alone: AtomicBool::new(false),
        }
    }

    /// The same transaction for a job that runs beside others, by what they gather.
    pub(super) fn shared(&self, gathering: &Arc<Gathering>) -> Self {
        Self {
            session: Session {
                link: Link::Shared(Arc::clone(gathering)),
                backend: self.backend,
                patience: Patience::endless(),
                epoch: self.epoch,
                gave_up: AtomicBool::new(false),
                trigram_counts: TrigramCounts::default(),
                together: None,
            },
            wrote: AtomicBool::new(false),
            alone: AtomicBool::new(false),
        }
    }

    /// Whether the job may go on where those beside it may be half done: it may not if what it does next depends on more
    /// than it has said to touch. Asked after something was written, everybody beside it runs again, too.
    ///
    /// # Errors
    /// [`StoreError::RunAlone`], to be returned at once: the writer then runs the job again by itself.
    pub fn run_alone(&self) -> Result<(), StoreError> {
        if !self.is_beside_others() {
            return Ok(());
        }
        self.alone.store(true, Ordering::Relaxed);
        Err(StoreError::RunAlone)
    }

    pub(super) fn is_beside_others(&self) -> bool {
        matches!(self.session.link, Link::Shared(_))
    }

    pub(super) fn asked_to_run_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// The configuration epoch as this transaction sees it: caches made at another epoch are stale.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.session.epoch
    }

    pub(super) async fn read_epoch(&mut self) -> Result<(), StoreError> {
        self.session.epoch = super::epoch::epoch_of(&self.session).await?;
        Ok(())
    }

    /// Takes the lock on the configuration, then reads the epoch, in one round trip (PostgreSQL).
    pub(super) async fn lock_epoch(&mut self, lock: i64, shared: bool) -> Result<(), StoreError> {
        let row = self.session.one(Sql::new("SELECT locked_epoch(?, ?) AS epoch").bind(lock).bind(shared)).await?;
        let missing = || StoreError::Damaged { table: "installation", what: "its row is missing".to_owned() };
        self.session.epoch = row.ok_or_else(missing)?.int("epoch")?;
        Ok(())
    }

    /// Runs one change and says how many rows it touched.
    pub(super) async fn run(&self, sql: Sql) -> Result<u64, StoreError> {
        self.wrote.store(true, Ordering::Relaxed);
        if let Link::Shared(gathering) = &self.link {
            return gathering.change(sql).await;
        }
        let result = self.patience.wait(self.transaction()?.execute_raw(sql.statement(self.backend))).await;
        Ok(self.note(result)?.rows_affected())
    }

    /// Runs one change that returns rows (`RETURNING`).
    pub(super) async fn all_writing(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        self.wrote.store(true, Ordering::Relaxed);
        self.session.all(sql).await
    }

    /// Runs several changes in one go.
    pub(super) async fn run_all(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        if let Link::Shared(gathering) = &self.link {
            self.wrote.store(true, Ordering::Relaxed);
            return gathering.changes(batch).await;
        }
        if let Some(statement) = batch.statement(self.backend) {
            self.wrote.store(true, Ordering::Relaxed);
            let result = self.patience.wait(self.transaction()?.execute_raw(statement)).await;
            self.note(result)?;
        }
        Ok(())
    }

    /// Like [`Tx::run_all`] for a batch of which only the first statement can meet a unique index: then nothing has
    /// been written when it conflicts, and SQLite can go on with the transaction.
    pub(super) async fn run_all_unless_taken(&self, batch: Batch) -> Result<(), StoreError> {
        let before = self.wrote.load(Ordering::Relaxed);
        let result = self.run_all(batch).await;
        if matches!(&result, Err(StoreError::Conflict(taken)) if *taken != Taken::Other) && !self.is_postgres() {
            self.wrote.store(before, Ordering::Relaxed);
        }
        result
    }

    /// Whether the database gave up on this transaction for others' sake.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// Whether anything was written since the last call.
    pub(super) fn take_wrote(&self) -> bool {
        self.wrote.swap(false, Ordering::Relaxed)
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.session.link {
            Link::Transaction(tx) => Ok(self.session.patience.wait(tx.commit()).await?),
            Link::Pool(_) | Link::Shared(_) => Ok(()),
        }
    }

    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        match self.session.link {
            Link::Transaction(tx) => Ok(self.session.patience.wait_briefly(tx.rollback()).await?),
            Link::Pool(_) | Link::Shared(_) => Ok(()),
        }
    }

    pub(super) fn transaction(&self) -> Result<&DatabaseTransaction, StoreError> {
        match &self.session.link {
            Link::Transaction(tx) => Ok(tx),
            Link::Pool(_) | Link::Shared(_) => {
                Err(StoreError::Bug(DbErr::Custom("a write outside a transaction".to_owned())))
            }
        }
    }
}

impl Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}
