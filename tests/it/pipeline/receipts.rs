//! Whoever leaves has a receipt, and it says nothing that was not read back.

use std::time::Duration;

use rollcall::taskrouter::stand_in::{Faults, ReservationStatus};
use serde_json::{Value, json};

use super::{ANA, RULES, app, assert_no_worker, worker};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

const DEADLINE: Duration = Duration::from_secs(30);
/// The order in which things happen.
const STAGES: [&str; 5] = ["acceptedAt", "refusedAt", "unavailableAt", "removedAt", "verifiedAt"];

/// Gives nobody anything.
const NOBODY: &str = "[[rule]]\nname = \"nobody\"\nwhen = 'userName eq \"nobody\"'\nrole = \"agent\"\n";

/// The receipts that the command lists, the newest first.
async fn receipts(app: &TestApp, options: &[&str]) -> Vec<Value> {
    let listed = app.command(&[&["receipts", "--json"], options].concat()).await;
    listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[track_caller]
fn assert_verified(receipt: &Value) {
    assert_eq!(receipt["ending"], "verified", "{receipt}");
    let times: Vec<&str> = STAGES.iter().map(|stage| receipt[*stage].as_str().expect("a time")).collect();
    assert!(times.is_sorted(), "{receipt}");
}

/// An agent with a worker: the ids of the user and of the group.
async fn agent(app: &TestApp) -> (String, String) {
    let id = app.scim.add_user(ANA).await;
    let group = app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    (id, group)
}

async fn every_way_of_leaving_has_a_receipt_with_all_stages(db: Db) {
    let app = app(db).await;
    let (id, group) = agent(&app).await;
    assert!(receipts(&app, &["--all"]).await.is_empty());
    let restore = async || {
        app.scim.set_active(&id, true).await;
        app.scim.add_member(&group, &id).await;
        app.settled().await;
        worker(&app, ANA);
    };
    app.scim.set_active(&id, false).await;
    app.settled().await;
    restore().await;
    app.scim.remove_member(&group, &id).await;
    app.settled().await;
    restore().await;
    app.import_rules(NOBODY).await;
    app.settled().await;
    app.import_rules(RULES).await;
    app.settled().await;
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    app.settled().await;
    let all = receipts(&app, &["--connection", "idp"]).await;
    let reasons: Vec<&str> = all.iter().filter_map(|receipt| receipt["reason"].as_str()).collect();
    assert_eq!(reasons, ["deleted", "lost_access", "lost_access", "deactivated"]);
    for receipt in &all {
        assert_verified(receipt);
        assert_eq!(
            (&receipt["user"], &receipt["name"], &receipt["connection"]),
            (&json!(id), &json!(ANA), &json!("idp"))
        );
    }
    assert_eq!(receipts(&app, &["--user", &id]).await, all);
    assert_eq!(receipts(&app, &["--user", "ANA@acme.example", "-n", "2"]).await, all[..2]);
    assert!(receipts(&app, &["--open"]).await.is_empty());
    assert!(receipts(&app, &["--user", "bob@acme.example"]).await.is_empty());
    let table = app.command(&["receipts"]).await;
    assert!(table.contains("VERIFIED") && table.lines().count() == 5, "{table}");
}

async fn without_a_worker_the_receipt_says_so_at_once(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.set_active(&id, false).await;
    let one = receipts(&app, &[]).await;
    assert_eq!((one.len(), &one[0]["ending"], &one[0]["name"]), (1, &json!("no_worker"), &json!(ANA)));
    assert_eq!((&one[0]["worker"], &one[0]["verifiedAt"]), (&Value::Null, &Value::Null));
    // Whoever has left does not leave again.
    app.scim
        .patch(&format!("/Users/{id}"), &json!([{"op": "replace", "path": "displayName", "value": "Ana"}]))
        .await
        .expect_success();
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    assert_eq!(receipts(&app, &[]).await, one);
}

async fn whoever_comes_back_before_the_end_supersedes_the_receipt(db: Db) {
    let app = app(db).await;
    let (id, _) = agent(&app).await;
    let sid = worker(&app, ANA).sid;
    let call = app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Accepted).expect("work");
    app.scim.set_active(&id, false).await;
    let open = async || receipts(&app, &["--open"]).await;
    wait_until(DEADLINE, "out of the queues", async || open().await.iter().any(|it| !it["unavailableAt"].is_null()))
        .await;
    app.scim.set_active(&id, true).await;
    app.settled().await;
    let all = receipts(&app, &[]).await;
    assert_eq!((all.len(), &all[0]["ending"], &all[0]["removedAt"]), (1, &json!("superseded"), &Value::Null));
    app.stand_in().set_reservation(&call, ReservationStatus::Completed).expect("done");
    app.scim.set_active(&id, false).await;
    app.settled().await;
    let all = receipts(&app, &[]).await;
    assert_eq!(all.len(), 2);
    assert_verified(&all[0]);
    assert_eq!(all[1]["ending"], "superseded");
}

/// A removal that TaskRouter refuses, or confirms and does not show, stays visible until it was read back.
async fn s49_a_failed_removal_stays_visible_and_is_never_reported_done(db: Db) {
    let app = app(db).await;
    let (id, _) = agent(&app).await;
    app.expect_faults();
    app.stand_in().set_faults(Faults { rate_500: 1.0, ..Faults::default() }).expect("faults");
    app.scim.set_active(&id, false).await;
    let open = async || receipts(&app, &["--open"]).await;
    wait_until(DEADLINE, "several attempts", async || open().await.iter().any(|it| it["attempts"].as_i64() > Some(2)))
        .await;
    let waiting = open().await.remove(0);
    assert_eq!(
        (&waiting["ending"], &waiting["verifiedAt"], &waiting["late"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!(waiting["state"], "retrying");
    assert!(waiting["error"].as_str().is_some_and(|error| error.contains("500")), "{waiting}");
    let accounts = app.command(&["account", "list"]).await;
    assert!(accounts.contains("1 to remove, 0 others") && !accounts.contains("late"), "{accounts}");

    // It becomes late: logged once, and shown from then on.
    let sql = app.sql().await;
    sql.run("UPDATE receipt SET accepted_at = accepted_at - 61000").await.expect("moved");
    wait_until(DEADLINE, "the alert", async || {
        sql.number("SELECT COUNT(*) FROM receipt WHERE alerted_at IS NOT NULL").await == 1
    })
    .await;
    assert_eq!(app.core().report_late_removals(Duration::ZERO).await.expect("looked"), 0, "once for each leaver");
    assert_eq!(open().await[0]["late"], true);
    assert!(app.command(&["account", "list"]).await.contains("1 to remove, 0 others; 1 late"));
    assert!(app.command(&["receipts"]).await.contains("retrying, late"));

    app.stand_in().set_faults(Faults::default()).expect("no faults");
    app.settled().await;
    assert_no_worker(&app, ANA);
    let all = receipts(&app, &[]).await;
    assert_eq!(all.len(), 1);
    assert_verified(&all[0]);
    assert!(!app.command(&["account", "list"]).await.contains("late"));
}

async fn figures_are_by_connection_and_stage(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(RULES).start().await;
    let people = app.scim.add_users("p", 20).await;
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    app.scim.add_group("CC Agents", &ids).await;
    app.scim.add_user("bob@acme.example").await;
    app.settled().await;
    for id in &people {
        app.scim.set_active(id, false).await;
    }
    app.settled().await;
    let text = app.command(&["receipts", "summary", "--json"]).await;
    let figures: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&figures["connection"], &figures["receipts"]), (&json!("idp"), &json!(20)));
    assert_eq!((&figures["endings"], &figures["open"]), (&json!({"verified": 20}), &json!(0)));
    let stages = figures["stages"].as_array().expect("stages");
    let p99: Vec<u64> = stages.iter().map(|stage| stage["p99Ms"].as_u64().expect("a time")).collect();
    assert!(p99.is_sorted() && p99[0] == 0 && p99[3] > 0, "{figures}");
    assert!(stages.iter().all(|stage| stage["people"] == 20), "{figures}");
    let table = app.command(&["receipts", "summary", "--connection", "idp"]).await;
    assert!(table.contains("removal verified") && table.contains("verified"), "{table}");
    assert_eq!(receipts(&app, &[]).await.len(), 20);
    assert_eq!(receipts(&app, &["-n", "3"]).await.len(), 3);
}

async fn finished_receipts_that_are_old_are_deleted(db: Db) {
    let app = app(db).await;
    let (id, _) = agent(&app).await;
    app.scim.set_active(&id, false).await;
    app.settled().await;
    let day = Duration::from_hours(24);
    assert_eq!(app.core().sweep_receipts(day).await.expect("swept"), 0);
    app.clock.advance(day * 2);
    app.sql().await.run("UPDATE receipt SET ended_at = NULL").await.expect("opened");
    assert_eq!(app.core().sweep_receipts(day).await.expect("swept"), 0, "what is open stays");
    app.sql().await.run("UPDATE receipt SET ended_at = accepted_at").await.expect("closed");
    assert_eq!(app.core().sweep_receipts(day).await.expect("swept"), 1);
}

async fn the_receipts_of_another_account_are_not_there(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.set_active(&id, false).await;
    app.add_account("acme-uk").await;
    for option in [["--user", &id], ["--user", ANA]] {
        assert!(receipts(&app, &[&["--account", "acme-uk"], &option[..]].concat()).await.is_empty());
        assert_eq!(receipts(&app, &option).await.len(), 1);
    }
}

/// However many receipts there are, each look uses an index; so does what happens with every push and every attempt.
async fn every_look_at_the_receipts_uses_an_index(db: Db) {
    let app = TestApp::start(db).await;
    let sql = app.sql().await;
    let (explain, column) = if db == Db::Sqlite { ("EXPLAIN QUERY PLAN", 3) } else { ("EXPLAIN", 0) };
    if db == Db::Postgres {
        // An empty table is read as a whole, whatever indexes it has.
        for switch in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
            sql.run(&format!("SET {switch} = off")).await.expect("set");
        }
    }
    let list = |condition: &str, order: &str| {
        format!(
            "SELECT r.seq, w.state FROM receipt r LEFT JOIN worker w ON r.ended_at IS NULL AND w.id = r.worker_id \
             AND w.desired_version = r.version WHERE r.account_id = 'a'{condition} AND r.seq < 5 ORDER BY {order}, r.seq DESC LIMIT 20"
        )
    };
    let open = "ended_at IS NULL";
    for (query, index) in [
        (list("", "r.account_id DESC"), "receipt_account"),
        (list(" AND r.ended_at IS NULL", "r.account_id DESC"), "receipt_open"),
        (list(" AND r.connection_id = 'c'", "r.connection_id DESC"), "receipt_connection"),
        (list(" AND r.user_id = 'u'", "r.user_id DESC"), "receipt_user"),
        (list(" AND r.name_fold = 'n'", "r.account_id DESC, r.name_fold DESC"), "receipt_name"),
        (
            "SELECT seq, accepted_at FROM receipt WHERE connection_id = 'c' AND (accepted_at, seq) > (5, -1) \
             ORDER BY connection_id, accepted_at, seq LIMIT 10"
                .to_owned(),
            "receipt_period",
        ),
        (
            format!(
                "SELECT account_id, COUNT(*) AS n FROM receipt WHERE {open} AND accepted_at <= 5 GROUP BY account_id"
            ),
            "receipt_",
        ),
        (
            format!("SELECT 1 FROM receipt WHERE {open} AND alerted_at IS NULL AND accepted_at <= 5 LIMIT 1"),
            "receipt_unalerted",
        ),
        (
            format!(
                "UPDATE receipt SET ending = 'superseded' WHERE {open} AND worker_id = \
                 (SELECT id FROM worker WHERE account_id = 'a' AND name_fold = 'n')"
            ),
            "receipt_worker",
        ),
        (format!("UPDATE receipt SET ending = 'x' WHERE worker_id = 'w' AND version = 3 AND {open}"), "receipt_worker"),
        (
            "SELECT seq, ended_at FROM receipt WHERE account_id = 'a' ORDER BY account_id, seq LIMIT 500".to_owned(),
            "receipt_account",
        ),
    ] {
        let rows = sql.rows(&format!("{explain} {query}")).await;
        let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).expect("a plan")).collect();
        let plan = plan.join("\n");
        // Without statistics PostgreSQL may take any index that fits.
        let index = if db == Db::Sqlite { index } else { " receipt_" };
        // The whole of a partial index is what is open, which is little.
        let plan = plan.replace("SCAN receipt USING INDEX receipt_open", "SEARCH receipt_open");
        assert!(
            plan.contains(index) && !plan.contains("SCAN receipt") && !plan.contains("Seq Scan"),
            "{query}: {plan}"
        );
        assert!(query.contains("GROUP") || !(plan.contains("TEMP B-TREE") || plan.contains("Sort")), "{query}: {plan}");
    }
}

on_both_databases!(
    every_way_of_leaving_has_a_receipt_with_all_stages,
    without_a_worker_the_receipt_says_so_at_once,
    whoever_comes_back_before_the_end_supersedes_the_receipt,
    s49_a_failed_removal_stays_visible_and_is_never_reported_done,
    figures_are_by_connection_and_stage,
    finished_receipts_that_are_old_are_deleted,
    the_receipts_of_another_account_are_not_there,
    every_look_at_the_receipts_uses_an_index,
);
