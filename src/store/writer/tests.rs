//! The writer of SQLite.

use super::*;
use crate::store::StoreOptions;
use sea_orm::{ConnectOptions, Database};
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
        options.max_connections(1).map_sqlx_sqlite_opts(move |sqlite| sqlite.filename(&file).busy_timeout(patience));
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
        .keep(|tx| Box::pin(tx.run_all(one("CREATE TABLE names (name TEXT PRIMARY KEY, seen BIGINT NOT NULL)", &[]))))
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

#[tokio::test]
async fn pages_are_given_back_once_after_much_was_written() {
    let connection = Database::connect(ConnectOptions::new("sqlite::memory:")).await.unwrap();
    let mut calm = Calm::new();
    for (jobs, grown) in [(5_000, true), (Calm::FEW, false), (0, false), (Calm::FEW + 1, true), (3, false)] {
        calm.jobs = jobs;
        calm.look(&connection).await;
        assert_eq!((calm.jobs, calm.grown), (0, grown), "{jobs}");
    }
}
