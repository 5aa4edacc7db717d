//! Several copies of the server on one PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::support::{Copy, Db, TestApp, TestClock, wait_until};

const RULES: &str = "[[rule]]\nname = \"all\"\nwhen = 'userName pr'\nrole = \"agent\"\n";
const DEADLINE: Duration = Duration::from_mins(1);
const IN_STEP: &str = "SELECT COUNT(*) FROM worker WHERE state = 'in_step'";

macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn postgres() {
                $crate::support::run(super::$name($crate::support::Db::Postgres));
            }
        }
    )+};
}

async fn paused(db: Db) -> TestApp {
    TestApp::builder(db).rules(RULES).paused().start().await
}

async fn until_in_step(app: &TestApp, count: i64) {
    let sql = app.sql().await;
    wait_until(DEADLINE, "they are in step", async || sql.number(IN_STEP).await == count).await;
}

/// Polling alone would find each push half a second after the one before was done.
async fn a_push_to_one_copy_is_worked_on_by_another_at_once(db: Db) {
    let app = paused(db).await;
    let other = app.copy(&[], Arc::default()).await;
    app.scim.add_user("first@acme.example").await;
    until_in_step(&app, 1).await;
    let began = Instant::now();
    for n in 2..=12 {
        app.scim.add_user(&format!("w{n}@acme.example")).await;
        until_in_step(&app, n).await;
    }
    assert!(began.elapsed() < Duration::from_millis(11 * 350), "{:?}", began.elapsed());
    assert_eq!((other.stand_in().worker_count(), app.stand_in().worker_count()), (12, 0));
    other.stop().await;
}

/// Due times and leases are by the clock of the database.
async fn copies_whose_clocks_differ_share_the_work(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(RULES).start().await;
    let clock = Arc::new(TestClock::default());
    clock.advance(Duration::from_secs(5));
    let ahead = app.copy(&app.settings_of_stand_in(), clock).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(app.scim.add_user(&format!("a{n}@acme.example")).await);
        ids.push(ahead.scim(&app.scim).add_user(&format!("b{n}@acme.example")).await);
    }
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 40);
    for (n, id) in ids.iter().enumerate() {
        if n.is_multiple_of(3) {
            ahead.scim(&app.scim).set_active(id, false).await;
        } else {
            app.scim.set_active(id, false).await;
        }
    }
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
    let calls = app.stand_in().calls();
    let creations = calls.latest.iter().filter(|call| call.method == "POST" && call.path.ends_with("/Workers")).count();
    assert_eq!(creations, 40, "nobody was made twice");
    ahead.stop().await;
}

/// A copy that claims rows and gets no further: its TaskRouter takes calls and never answers.
async fn stuck(app: &TestApp) -> (Copy, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = app.settings_of_stand_in();
    settings.retain(|(name, _)| !name.ends_with("BASE_URL"));
    settings.push(("ROLLCALL_TASKROUTER__BASE_URL".to_owned(), base));
    (app.copy(&settings, Arc::default()).await, listener)
}

async fn what_a_dead_copy_held_is_taken_over(db: Db) {
    let app = paused(db).await;
    let (stuck, _listener) = stuck(&app).await;
    app.scim.add_users("w", 5).await;
    let sql = app.sql().await;
    let leased = "SELECT COUNT(*) FROM worker WHERE lease_owner IS NOT NULL";
    wait_until(DEADLINE, "the stuck copy holds them", async || sql.number(leased).await == 5).await;
    let heir = app.copy(&app.settings_of_stand_in(), Arc::default()).await;
    drop(stuck);
    until_in_step(&app, 5).await;
    assert_eq!(app.stand_in().worker_count(), 5);
    heir.stop().await;
}

/// The connection on which words come is cut; they come again on a new one.
async fn a_cut_connection_is_made_anew(db: Db) {
    let app = paused(db).await;
    let other = app.copy(&[], Arc::default()).await;
    app.scim.add_user("first@acme.example").await;
    until_in_step(&app, 1).await;
    let sql = app.sql().await;
    let listening = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let count = format!("SELECT COUNT(*) {listening}");
    wait_until(DEADLINE, "each copy has one connection on which it listens", async || sql.number(&count).await == 2)
        .await;
    sql.run(&format!("SELECT pg_terminate_backend(pid) {listening}")).await.unwrap();
    wait_until(DEADLINE, "they listen again", async || sql.number(&count).await == 2).await;
    let began = Instant::now();
    for n in 2..=12 {
        app.scim.add_user(&format!("w{n}@acme.example")).await;
        until_in_step(&app, n).await;
    }
    assert!(began.elapsed() < Duration::from_millis(11 * 350), "{:?}", began.elapsed());
    other.stop().await;
}

on_postgres!(
    a_push_to_one_copy_is_worked_on_by_another_at_once,
    copies_whose_clocks_differ_share_the_work,
    what_a_dead_copy_held_is_taken_over,
    a_cut_connection_is_made_anew,
);
