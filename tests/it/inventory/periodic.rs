//! Walks that nobody asks for.

use std::time::Duration;

use serde_json::json;

use super::agents;
use crate::pipeline::{ANA, RULES, worker, write_as_others};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

const SOON: Duration = Duration::from_mins(1);

async fn started(db: Db, drift: &str) -> TestApp {
    TestApp::builder(db)
        .rules(RULES)
        .set("ROLLCALL_INVENTORY__EVERY_S", "1")
        .set("ROLLCALL_INVENTORY__DRIFT", drift)
        .start()
        .await
}

async fn drift_heals_by_itself(db: Db) {
    let app = started(db, "repair").await;
    agents(&app, &[ANA]).await;
    write_as_others(&app, ANA, |attributes| drop(attributes.insert("roles".to_owned(), json!(["nobody"])))).await;
    wait_until(SOON, "it is repaired", async || worker(&app, ANA).attributes["roles"] == json!(["agent"])).await;
}

async fn drift_is_only_reported_if_so_configured(db: Db) {
    let app = started(db, "report").await;
    agents(&app, &[ANA]).await;
    write_as_others(&app, ANA, |attributes| drop(attributes.insert("roles".to_owned(), json!(["nobody"])))).await;
    let sql = app.sql().await;
    let reported = "SELECT COUNT(*) FROM finding WHERE class = 'drifted' AND handed_over = 0";
    wait_until(SOON, "it is reported", async || sql.number(reported).await == 1).await;
    let first = sql.number("SELECT COALESCE(finished_at, 0) FROM inventory").await;
    wait_until(SOON, "there is another walk", async || {
        sql.number("SELECT COALESCE(finished_at, 0) FROM inventory").await > first
    })
    .await;
    assert_eq!(worker(&app, ANA).attributes["roles"], json!(["nobody"]));
}

async fn a_new_installation_is_not_walked_at_once(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    agents(&app, &[ANA]).await;
    let walks = app.stand_in().calls().by_kind.get("GET /v1/Workspaces/{workspace}/Workers").copied();
    assert_eq!(walks, None);
}

on_both_databases!(
    drift_heals_by_itself,
    drift_is_only_reported_if_so_configured,
    a_new_installation_is_not_walked_at_once,
);
