//! How writes reach the database.
//!
//! SQLite has one writer: a task takes the jobs that wait, runs them in one IMMEDIATE transaction, commits, then
//! answers all of them (group commit). A batch in which a job failed after writing is rolled back, and its jobs run
//! one by one. On PostgreSQL each job has a transaction of its own on a pooled connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sea_orm::{DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _};
use tokio::sync::{mpsc, oneshot};

use super::error::StoreError;
use super::patience::Patience;
use super::session::Tx;

/// How many jobs may wait for the writer of SQLite before callers wait to hand theirs in.
const QUEUE: usize = 1024;
/// How many jobs share one commit at most.
const BATCH: usize = 64;
/// How often a transaction is repeated that the database gave up on for others' sake.
const REPEATS: usize = 5;
/// The advisory lock of PostgreSQL that orders changes of rules against changes of people.
const CONFIGURATION_LOCK: i64 = 0x0052_6f6c_6c63_616c;

/// What a job is about, which decides what it excludes on PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// People and groups: many at a time.
    People,
    /// Configuration that access is computed from: alone, so that no change of a person is computed by rules that
    /// have been replaced meanwhile.
    Configuration,
    /// Bookkeeping of the reconciler, which computes no access.
    Bookkeeping,
}

type Run = Box<dyn for<'t> FnMut(&'t Tx) -> BoxFuture<'t, Result<(), ()>> + Send>;

/// A job in the queue: it keeps its own outcome, and tells it only when `done` is called.
pub(super) struct Job {
    run: Run,
    done: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
    /// Whether it must not share a transaction: what is cached by the epoch of a transaction must hold for all of it.
    alone: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Writer {
    Queue(mpsc::Sender<Job>),
    Pool(DatabaseConnection, Patience),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Writer {
    /// A writer for SQLite on its own connection. The task ends when the last handle is dropped.
    pub(super) fn queue(connection: DatabaseConnection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(serve(connection, receiver));
        Self::Queue(sender)
    }

    pub(super) async fn write<T, E, F>(&self, kind: Kind, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        match self {
            Self::Queue(queue) => enqueue(queue, kind, job).await,
            Self::Pool(pool, patience) => in_own_transaction(pool, patience, kind, &job).await,
        }
    }
}

async fn enqueue<T, E, F>(queue: &mpsc::Sender<Job>, kind: Kind, job: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
{
    let (answer, answered) = oneshot::channel::<Result<T, E>>();
    let outcome: Arc<std::sync::Mutex<Option<Result<T, E>>>> = Arc::default();
    let job = Arc::new(job);
    let slot = Arc::clone(&outcome);
    let run: Run = Box::new(move |tx| {
        let (job, slot) = (Arc::clone(&job), Arc::clone(&slot));
        Box::pin(async move {
            let result = job(tx).await;
            let verdict = result.as_ref().map(|_| ()).map_err(|_| ());
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
            verdict
        })
    });
    let done = Box::new(move |committed: Result<(), StoreError>| {
        let result = match committed {
            Ok(()) => outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take(),
            Err(error) => Some(Err(error.into())),
        };
        if let Some(result) = result {
            // A caller that went away (a closed connection) needs no answer: what it asked for is committed.
            drop(answer.send(result));
        }
    });
    if queue.send(Job { run, done, alone: kind == Kind::Configuration }).await.is_err() {
        return Err(gone().into());
    }
    answered.await.unwrap_or_else(|_| Err(gone().into()))
}

fn gone() -> StoreError {
    StoreError::Unavailable(DbErr::Custom("the writer has stopped".to_owned()))
}

async fn serve(connection: DatabaseConnection, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut jobs, BATCH).await > 0 {
        round(&connection, std::mem::take(&mut jobs)).await;
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(error = %crate::base::Causes(&error), "the database did not close cleanly");
    }
}

/// Runs the jobs that waited, and answers all of them.
///
/// A transaction that cannot begin has waited for another process for as long as it may. Each job that tried again would
/// wait as long, and everybody behind it: all of them are refused at once.
async fn round(connection: &DatabaseConnection, jobs: Vec<Job>) {
    let (single, batch): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.alone);
    let left = if batch.is_empty() {
        Vec::new()
    } else {
        match begin_immediate(connection).await {
            Ok(tx) => together(tx, batch).await,
            Err(error) => return refuse(batch.into_iter().chain(single), &error),
        }
    };
    let mut left = left.into_iter().chain(single);
    while let Some(job) = left.next() {
        match begin_immediate(connection).await {
            Ok(tx) => alone(tx, job).await,
            Err(error) => return refuse(std::iter::once(job).chain(left), &error),
        }
    }
}

fn refuse(jobs: impl Iterator<Item = Job>, error: &StoreError) {
    for job in jobs {
        (job.done)(Err(error.clone()));
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Done,
    Failed,
    /// It has no answer. The writer lives on: a fault in one change must not stop all others.
    Panicked,
}

async fn run(job: &mut Job, tx: &Tx) -> Ended {
    match AssertUnwindSafe((job.run)(tx)).catch_unwind().await {
        Ok(Ok(())) => Ended::Done,
        Ok(Err(())) => Ended::Failed,
        Err(_) => Ended::Panicked,
    }
}

/// Runs all jobs in one transaction and answers them; gives them back unanswered if they must run alone.
async fn together(tx: Tx, mut jobs: Vec<Job>) -> Vec<Job> {
    for job in &mut jobs {
        let ended = run(job, &tx).await;
        // A job that failed before it wrote has had no effect: its answer stands, and the others go on.
        if (tx.take_wrote() && ended != Ended::Done) || ended == Ended::Panicked {
            roll_back(tx).await;
            return jobs;
        }
    }
    if let Err(error) = tx.commit().await {
        tracing::warn!(
            error = %crate::base::Causes(&error),
            jobs = jobs.len(),
            "a commit failed; its jobs run one by one"
        );
        return jobs;
    }
    for job in jobs {
        (job.done)(Ok(()));
    }
    Vec::new()
}

async fn alone(tx: Tx, mut job: Job) {
    let outcome = async {
        match run(&mut job, &tx).await {
            Ended::Done => return tx.commit().await,
            Ended::Failed => {}
            Ended::Panicked => tracing::error!("a write panicked; it was rolled back"),
        }
        roll_back(tx).await;
        Ok(())
    };
    let outcome = outcome.await;
    (job.done)(outcome);
}

async fn begin_immediate(connection: &DatabaseConnection) -> Result<Tx, StoreError> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let begun = connection.begin_with_options(options).await?;
    let mut tx = Tx::new(begun, connection.get_database_backend(), Patience::endless());
    tx.read_epoch().await?;
    Ok(tx)
}

async fn roll_back(tx: Tx) {
    if let Err(error) = tx.rollback().await {
        tracing::error!(error = %crate::base::Causes(&error), "a rollback failed");
    }
}

async fn in_own_transaction<T, E, F>(
    pool: &DatabaseConnection,
    patience: &Patience,
    kind: Kind,
    job: &F,
) -> Result<T, E>
where
    E: From<StoreError>,
    F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        let tx = begin_locked(pool, patience, kind).await?;
        match job(&tx).await {
            Ok(value) => match tx.commit().await {
                Ok(()) => return Ok(value),
                Err(error) if tries < REPEATS && error.is_worth_repeating() => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => {
                let again = tx.gave_up() && tries < REPEATS;
                roll_back(tx).await;
                if !again {
                    return Err(error);
                }
            }
        }
    }
}

async fn begin_locked(pool: &DatabaseConnection, patience: &Patience, kind: Kind) -> Result<Tx, StoreError> {
    let begun = patience.wait(pool.begin_with_options(TransactionOptions::default())).await?;
    let mut tx = Tx::new(begun, pool.get_database_backend(), patience.clone());
    let shared = match kind {
        Kind::People => true,
        Kind::Configuration => false,
        Kind::Bookkeeping => return Ok(tx),
    };
    tx.lock_epoch(CONFIGURATION_LOCK, shared).await?;
    Ok(tx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;
    use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    #[tokio::test]
    async fn a_file_that_is_held_is_waited_for_once_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.db");
        let store = crate::store::Store::open(&StoreOptions::Sqlite { file: file.clone(), readers: 1 }).await.unwrap();
        let patience = Duration::from_millis(200);
        let connect = || {
            let file = file.clone();
            let mut options = ConnectOptions::new("sqlite:");
            options
                .max_connections(1)
                .map_sqlx_sqlite_opts(move |sqlite| sqlite.filename(&file).busy_timeout(patience));
            Database::connect(options)
        };
        let (holder, writer) = (connect().await.unwrap(), connect().await.unwrap());
        holder.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
        let (ran, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let job = |n: usize| {
            let (ran, refused) = (Arc::clone(&ran), Arc::clone(&refused));
            Job {
                run: Box::new(move |_| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    Box::pin(async { Ok(()) })
                }),
                done: Box::new(move |outcome| {
                    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }),
                alone: n.is_multiple_of(5),
            }
        };
        let began = Instant::now();
        round(&writer, (0..30).map(job).collect()).await;
        assert_eq!((ran.load(Ordering::Relaxed), refused.load(Ordering::Relaxed)), (0, 30));
        assert!(began.elapsed() < patience * 10, "{:?}", began.elapsed());
        store.close().await.unwrap();
    }
}
