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
use uuid::Uuid;

use super::apart::{Gathering, apart};
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
                touches: Some(Vec::new()),
            }
        };
        let began = Instant::now();
        round(&writer, (0..30).map(job).collect()).await;
        assert_eq!((ran.load(Ordering::Relaxed), refused.load(Ordering::Relaxed)), (0, 30));
        assert!(began.elapsed() < patience * 10, "{:?}", began.elapsed());
        store.close().await.unwrap();
    }

    /// A store with a table of its own, and how many statements of a kind its writer was given.
    async fn with_names(dir: &std::path::Path) -> crate::store::Store {
        let options = StoreOptions::Sqlite { file: dir.join("a.db"), readers: 1 };
        let store = crate::store::Store::open(&options).await.unwrap();
        store
            .keep(|tx| {
                Box::pin(tx.run_all(one("CREATE TABLE names (name TEXT PRIMARY KEY, seen BIGINT NOT NULL)", &[])))
            })
            .await
            .unwrap();
        store
    }

    fn one(text: &str, values: &[&str]) -> crate::store::sql::Batch {
        let mut batch = crate::store::sql::Batch::default();
        batch.push(values.iter().fold(crate::store::sql::Sql::new(text), |sql, value| sql.bind(*value)));
        batch
    }

    /// Inserts a name and how many there were before.
    async fn insert(tx: &Tx, name: &str) -> Result<u64, StoreError> {
        let seen = tx.text(crate::store::sql::Sql::new("SELECT CAST(COUNT(*) AS TEXT) FROM names")).await?;
        let seen = seen.and_then(|seen| seen.parse().ok()).unwrap_or(u64::MAX);
        tx.run_all(one(&format!("INSERT INTO names (name, seen) VALUES (?, {seen})"), &[name])).await?;
        Ok(seen)
    }

    async fn names(store: &crate::store::Store) -> Vec<String> {
        use crate::store::row::RowExt as _;
        let rows = store.read().all(crate::store::sql::Sql::new("SELECT name FROM names ORDER BY name")).await.unwrap();
        rows.iter().map(|row| row.text("name").unwrap()).collect()
    }

    /// Keeps the writer busy until the jobs are in its queue, so that they come in one round.
    async fn in_one_round<T>(store: &crate::store::Store, jobs: impl Future<Output = T>) -> T {
        let gate = Arc::new(tokio::sync::Notify::new());
        let held = Arc::clone(&gate);
        let holding = store.keep(move |_| {
            let held = Arc::clone(&held);
            Box::pin(async move {
                held.notified().await;
                Ok::<_, StoreError>(())
            })
        });
        let opening = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            gate.notify_one();
        };
        let (held, jobs, ()) = tokio::join!(holding, jobs, opening);
        held.unwrap();
        jobs
    }

    type Insertion<'a> = BoxFuture<'a, Result<u64, StoreError>>;

    #[tokio::test]
    async fn jobs_that_touch_nothing_in_common_go_on_together_and_others_wait() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_names(dir.path()).await;
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let job = |touches: Vec<Uuid>, name: &'static str| -> Insertion<'_> {
            store.write_apart(Some(touches), move |tx| Box::pin(insert(tx, name))).boxed()
        };
        let jobs = vec![
            job(vec![first], "a"),
            job(vec![second], "b"),
            job(vec![first], "c"),
            job(vec![], "d"),
            store.write(|tx| Box::pin(insert(tx, "e"))).boxed(),
        ];
        let seen = in_one_round(&store, futures::future::join_all(jobs)).await;
        // The first two and the fourth look before any of them writes; the others come after, in their order.
        assert_eq!(seen.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 0, 3, 0, 4]);
        assert_eq!(names(&store).await, ["a", "b", "c", "d", "e"]);
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn one_that_fails_beside_others_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_names(dir.path()).await;
        let job = |name: &'static str| -> Insertion<'_> {
            store.write_apart(Some(Vec::new()), move |tx| Box::pin(insert(tx, name))).boxed()
        };
        let refused = store.write_apart(Some(Vec::new()), |tx| {
            Box::pin(async move {
                insert(tx, "z").await?;
                Err(StoreError::Damaged { table: "names", what: "refused after writing".to_owned() })
            })
        });
        let broken = store.write_apart(Some(Vec::new()), |tx| {
            Box::pin(async move {
                assert!(insert(tx, "y").await? > 9, "a job that panics");
                Ok(0)
            })
        });
        let jobs = vec![job("a"), job("a"), job("b"), job("c"), refused.boxed(), broken.boxed()];
        let ended = in_one_round(&store, futures::future::join_all(jobs)).await;
        assert!(ended[0].is_ok() && matches!(ended[1], Err(StoreError::Conflict(_))), "{ended:?}");
        assert!(ended[2].is_ok() && ended[3].is_ok(), "{ended:?}");
        assert!(matches!(ended[4], Err(StoreError::Damaged { .. })), "{ended:?}");
        assert!(matches!(ended[5], Err(StoreError::Unavailable(_))), "{ended:?}");
        assert_eq!(names(&store).await, ["a", "b", "c"]);
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_has_to_run_alone_runs_after_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_names(dir.path()).await;
        let job = |name: &'static str, alone: bool| -> Insertion<'_> {
            let job = store.write_apart(Some(Vec::new()), move |tx| {
                Box::pin(async move {
                    if alone {
                        tx.run_alone()?;
                    }
                    insert(tx, name).await
                })
            });
            job.boxed()
        };
        let jobs = vec![job("alone", true), job("one", false), job("other", false)];
        let seen = in_one_round(&store, futures::future::join_all(jobs)).await;
        assert_eq!(seen.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 0, 0]);
        store.close().await.unwrap();
    }
}
