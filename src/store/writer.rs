//! How writes reach the database.
//!
//! SQLite has one writer: a task takes the jobs that wait, runs them in one IMMEDIATE transaction, commits, then
//! answers all of them (group commit). A batch in which a job failed after writing is rolled back, and its jobs run
//! one by one. On PostgreSQL each job has a transaction of its own on a pooled connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::apart::{Gathering, apart};
use super::error::StoreError;
use super::patience::Patience;
use super::session::Tx;

#[cfg(test)]
mod tests;

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
    /// What it touches, if it may run beside jobs that touch other things.
    touches: Option<Vec<Uuid>>,
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

    pub(super) async fn write<T, E, F>(&self, kind: Kind, touches: Option<Vec<Uuid>>, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        match self {
            Self::Queue(queue) => enqueue(queue, kind, touches, job).await,
            Self::Pool(pool, patience) => in_own_transaction(pool, patience, kind, &job).await,
        }
    }
}

async fn enqueue<T, E, F>(queue: &mpsc::Sender<Job>, kind: Kind, touches: Option<Vec<Uuid>>, job: F) -> Result<T, E>
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
            // What came of an earlier run holds no longer, even if this one breaks off.
            slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
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
    if queue.send(Job { run, done, alone: kind == Kind::Configuration, touches }).await.is_err() {
        return Err(gone().into());
    }
    answered.await.unwrap_or_else(|_| Err(gone().into()))
}

fn gone() -> StoreError {
    StoreError::Unavailable(DbErr::Custom("the writer has stopped".to_owned()))
}

async fn serve(connection: DatabaseConnection, mut queue: mpsc::Receiver<Job>) {
    let (mut jobs, mut calm) = (Vec::with_capacity(BATCH), Calm::new());
    loop {
        match tokio::time::timeout_at(calm.until, queue.recv_many(&mut jobs, BATCH)).await {
            Ok(0) => break,
            Ok(count) => {
                calm.jobs += count;
                round(&connection, std::mem::take(&mut jobs)).await;
            }
            Err(_) => calm.look(&connection).await,
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(error = %crate::base::Causes(&error), "the database did not close cleanly");
    }
}

/// Gives the pages that SQLite keeps back to the operating system once little is written, which keeps them as well.
struct Calm {
    /// When it is looked at again.
    until: Instant,
    /// How many jobs there were since.
    jobs: usize,
    /// Whether there was more to do since the pages were given back.
    grown: bool,
}

impl Calm {
    /// How long it is looked at.
    const WINDOW: Duration = Duration::from_secs(10);
    /// The reconciler alone looks for work twice a second.
    const FEW: usize = 100;

    fn new() -> Self {
        Self { until: Instant::now() + Self::WINDOW, jobs: 0, grown: true }
    }

    async fn look(&mut self, connection: &DatabaseConnection) {
        let few = self.jobs <= Self::FEW;
        if few
            && self.grown
            && let Err(error) = connection.execute_unprepared("PRAGMA shrink_memory").await
        {
            tracing::warn!(error = %crate::base::Causes(&error), "SQLite keeps its pages");
        }
        *self = Self { grown: !few, ..Self::new() };
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
    let Ok(ended) = side_by_side(&tx, &mut jobs).await else {
        roll_back(tx).await;
        return jobs;
    };
    for (job, _) in jobs.iter_mut().zip(ended).filter(|(_, ended)| !*ended) {
        let ended = run(job, &tx).await;
        if must_be_undone(&tx, ended) {
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

/// Runs those jobs side by side that have nothing to do with each other. Says which have ended.
///
/// # Errors
/// If what was written has to be undone.
async fn side_by_side(tx: &Tx, jobs: &mut [Job]) -> Result<Vec<bool>, ()> {
    let mut ended = apart(jobs.iter().map(|job| job.touches.as_deref()));
    if ended.iter().filter(|apart| **apart).count() < 2 {
        return Ok(vec![false; jobs.len()]);
    }
    let Ok(transaction) = tx.transaction() else { return Err(()) };
    let gathering = Arc::new(Gathering::default());
    let places: Vec<Tx> = ended.iter().filter(|apart| **apart).map(|_| tx.shared(&gathering)).collect();
    let chosen = jobs.iter_mut().zip(&ended).filter(|(_, apart)| **apart);
    let running = chosen.zip(&places).map(|((job, _), place)| run(job, place).boxed()).collect();
    let outcomes = gathering.drive(transaction, running).await;
    if gathering.is_broken() || places.iter().zip(&outcomes).any(|(place, ended)| must_be_undone(place, *ended)) {
        return Err(());
    }
    let mut alone = places.iter().map(Tx::asked_to_run_alone);
    for ended in ended.iter_mut().filter(|apart| **apart) {
        *ended = !alone.next().unwrap_or(true);
    }
    Ok(ended)
}

/// A job that failed before it wrote has had no effect: its answer stands, and the others go on.
fn must_be_undone(tx: &Tx, ended: Ended) -> bool {
    (tx.take_wrote() && ended != Ended::Done) || ended == Ended::Panicked
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
