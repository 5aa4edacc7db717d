//! A PostgreSQL that is there no more, and has not said so.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rollcall::store::{Store, StoreError, StoreOptions, accounts};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{Db, TestDatabase, run};

/// Short, so that the test is.
const PATIENCE: Duration = Duration::from_secs(1);
const CONNECTIONS: u32 = 4;

/// Stands between the store and its database. Connections can be made to fall silent; later ones are not.
struct Between {
    port: u16,
    silence: watch::Sender<()>,
}

impl Between {
    async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let silence = watch::Sender::new(());
        let silenced = silence.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (upstream, mut silenced) = (upstream.clone(), silenced.subscribe());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(upstream).await.expect("the database");
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = silenced.changed() => std::future::pending::<()>().await,
                    }
                });
            }
        });
        Self { port, silence }
    }
}

async fn opened(database: &TestDatabase) -> (Store, Between) {
    let mut url = url::Url::parse(database.url()).expect("a URL");
    let upstream = format!("127.0.0.1:{}", url.port().expect("a port"));
    let between = Between::start(upstream).await;
    url.set_port(Some(between.port)).expect("a port");
    let options =
        StoreOptions::Postgres { url: String::from(url).into(), connections: CONNECTIONS, patience: PATIENCE };
    (Store::open(&options).await.expect("the store opens"), between)
}

/// Everything that the store is asked at once, reading and writing.
async fn ask(store: &Store) -> Vec<Result<(), StoreError>> {
    let reads = (0..CONNECTIONS).map(|_| async { accounts::all(store.read()).await.map(drop) });
    let (reads, write, epoch) = futures::join!(join_all(reads), store.check(), store.epoch());
    reads.into_iter().chain([write, epoch.map(drop)]).collect()
}

#[test]
fn a_database_that_falls_silent_is_given_up_and_found_again() {
    run(async {
        let dir = tempfile::tempdir().expect("a directory");
        let database = TestDatabase::make(Db::Postgres, dir.path()).await;
        let (store, between) = opened(&database).await;
        assert!(ask(&store).await.iter().all(Result::is_ok));

        // One after the other, so that all but the last one are back in the pool.
        for _ in 0..3 * CONNECTIONS {
            store.epoch().await.expect("the epoch");
        }
        between.silence.send_replace(());
        let began = Instant::now();
        let answers = tokio::time::timeout(Duration::from_secs(30), ask(&store)).await.expect("an end");
        assert!(answers.iter().any(Result::is_err), "the connections were silent");
        for answer in &answers {
            assert!(matches!(answer, Ok(()) | Err(StoreError::Unavailable(_))), "{answer:?}");
        }
        // New connections have taken the place of the silent ones.
        let answers = tokio::time::timeout(Duration::from_secs(30), ask(&store)).await.expect("an end");
        assert!(answers.iter().all(Result::is_ok), "{answers:?} after {:?}", began.elapsed());
        // Closing it would wait for the one that was on its way back, if there is one.
        drop(store);
        database.remove().await;
    });
}

#[test]
fn a_statement_that_waits_for_ever_is_ended() {
    run(async {
        let dir = tempfile::tempdir().expect("a directory");
        let database = TestDatabase::make(Db::Postgres, dir.path()).await;
        let (store, _between) = opened(&database).await;
        let sql = database.connect().await;
        sql.run("BEGIN").await.expect("a transaction");
        sql.run("LOCK TABLE account IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
        let answer = tokio::time::timeout(Duration::from_secs(30), accounts::all(store.read())).await.expect("an end");
        let error = answer.expect_err("the table is locked");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        sql.run("ROLLBACK").await.expect("the lock goes");
        accounts::all(store.read()).await.expect("the table can be read");
        store.close().await.expect("it closes");
        database.remove().await;
    });
}
