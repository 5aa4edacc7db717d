//! Accounts take turns, and leavers overtake, however much one account has waiting.

use std::time::{Duration, Instant};

use rollcall::service::connections::ConnectionSettings;
use rollcall::service::rules::Force;
use rollcall::taskrouter::stand_in::Faults;

use crate::support::{Db, Sql, TestApp, on_both_databases, wait_until};

const RULES: &str = "[[rule]]\nname = \"all\"\nwhen = 'userName pr'\nrole = \"agent\"\n";
const DEADLINE: Duration = Duration::from_mins(1);

/// As many joiners as ten thousand pushes would make, like the one that is there.
async fn ten_thousand(sql: &Sql, db: Db) {
    let number = if db == Db::Sqlite { "printf('%05d', n)" } else { "lpad(n::text, 5, '0')" };
    sql.run(&format!(
        "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 10000) \
         INSERT INTO worker (id, account_id, name, name_fold, desired, digest, desired_version, desired_at, event_id, footprint, \
         superseded, unsure, keep, state, lane, attempts, due_at, created_at) \
         SELECT '00000000-0000-7000-8000-0000000' || {number}, account_id, 'j' || {number}, 'j' || {number}, \
         replace(desired, 'seed@acme.example', 'j' || {number}), 'd' || {number}, 1, desired_at, event_id, '{{}}', '', 0, 0, 'pending', 1, 0, \
         desired_at, created_at FROM worker, many WHERE name = 'seed@acme.example'"
    ))
    .await
    .unwrap();
}

async fn ten_thousand_joiners_hold_up_nobody_else(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    let small = app.add_account("acme-uk").await;
    app.core().import_rules(&small, RULES, Force::No).await.unwrap();
    let there = app.connect_in(&small, "idp-uk", ConnectionSettings::default()).await;
    app.scim.add_user("seed@acme.example").await;
    let leaver = app.scim.add_user("leaver@acme.example").await;
    app.settled().await;
    let sql = app.sql().await;
    app.stand_in().set_faults(Faults { latency_ms: 100, ..Faults::default() }).unwrap();
    ten_thousand(&sql, db).await;
    let made = "SELECT COUNT(*) FROM worker WHERE name LIKE 'j%' AND state = 'in_step'";
    wait_until(DEADLINE, "they are worked on", async || sql.number(made).await > 20).await;

    let began = Instant::now();
    there.add_user("other@acme.example").await;
    let joined = "SELECT COUNT(*) FROM worker WHERE name = 'other@acme.example' AND state = 'in_step'";
    wait_until(DEADLINE, "the joiner of the other account is there", async || sql.number(joined).await == 1).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let began = Instant::now();
    app.scim.set_active(&leaver, false).await;
    let gone = "SELECT COUNT(*) FROM worker WHERE name = 'leaver@acme.example' AND state = 'removed'";
    wait_until(DEADLINE, "the leaver is gone", async || sql.number(gone).await == 1).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let left = "SELECT COUNT(*) FROM worker WHERE name LIKE 'j%' AND state = 'pending'";
    assert!(sql.number(left).await > 5_000, "the many are not done yet");
    app.expect_work_left();
}

/// The statements of `store::workers` and `store::backlog`, which run twice a second or whenever somebody asks.
async fn what_is_due_is_found_by_its_index(db: Db) {
    let app = TestApp::builder(db).rules(RULES).paused().start().await;
    app.scim.add_user("seed@acme.example").await;
    let sql = app.sql().await;
    ten_thousand(&sql, db).await;
    // Nearly all are done, as in an installation that has run for a while.
    sql.run("UPDATE worker SET due_at = NULL, applied_version = desired_version WHERE name < 'j09900'").await.unwrap();
    sql.run("ANALYZE").await.unwrap();
    let (explain, column) = if db == Db::Sqlite { ("EXPLAIN QUERY PLAN", 3) } else { ("EXPLAIN", 0) };
    let free = "due_at IS NOT NULL AND lane IN (0, 1) AND due_at <= 9 AND (lease_owner IS NULL OR lease_until <= 9)";
    for query in [
        format!(
            "SELECT a.id, (SELECT COUNT(*) FROM (SELECT 1 AS one FROM worker WHERE account_id = a.id AND lane = 1 AND {free} LIMIT 48) due) \
             FROM account a ORDER BY a.id"
        ),
        format!("SELECT id FROM worker WHERE account_id = 'a' AND lane = 1 AND {free} ORDER BY due_at, id LIMIT 48"),
        "SELECT w.account_id, w.lane, w.state, COUNT(*), MIN(w.desired_at) FROM account a JOIN worker w ON w.account_id = a.id \
         WHERE w.lane IN (0, 1) AND w.due_at IS NOT NULL AND (w.applied_version IS NULL OR w.applied_version <> w.desired_version) \
         GROUP BY w.account_id, w.lane, w.state"
            .to_owned(),
    ] {
        let rows = sql.rows(&format!("{explain} {query}")).await;
        let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).expect("a plan")).collect();
        assert!(plan.join("\n").contains("worker_due"), "{query}: {plan:#?}");
    }
}

on_both_databases!(ten_thousand_joiners_hold_up_nobody_else, what_is_due_is_found_by_its_index);
