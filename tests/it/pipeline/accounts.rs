//! Two contact centres in one installation.

use std::sync::Arc;

use rollcall::base::Ambient;
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::rules::Force;
use rollcall::store::accounts::TaskRouterSettings;
use rollcall::taskrouter::stand_in::{StandIn, StandInOptions};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpListener;

use super::{ANA, RULES, app, assert_no_worker, only_worker, worker};
use crate::support::{Db, TestApp, on_both_databases, slug};

/// A TaskRouter workspace of another Twilio account.
async fn other_workspace() -> (Arc<StandIn>, TaskRouterSettings, String) {
    let stand_in = StandIn::open(StandInOptions::default(), Ambient::system()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(Arc::clone(&stand_in).serve(listener, std::future::pending()));
    let known = stand_in.credentials();
    let settings = TaskRouterSettings {
        base_url: base.clone(),
        flex_base_url: base,
        account_sid: known.account_sid,
        api_key: known.api_key,
        workspace_sid: known.workspace_sid,
    };
    (stand_in, settings, known.api_secret.expose_secret().to_owned())
}

async fn the_same_person_in_two_accounts_is_two_workers(db: Db) {
    let app = app(db).await;
    let (abroad, settings, secret) = other_workspace().await;
    let uk = app.core().add_account(slug("acme-uk"), Some((settings, secret))).await.unwrap();
    app.core().import_rules(&uk, &RULES.replace("north", "london"), Force::Yes).await.unwrap();
    let there = app.connect_in(&uk, "idp-uk", ConnectionSettings::default()).await;

    let here = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&here]).await;
    let id = there.add_user(ANA).await;
    let group = there.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    assert_eq!(worker(&app, ANA).attributes["site"], json!("north"));
    assert_eq!(only_worker(&abroad, ANA).attributes["site"], json!("london"));

    // What one account's connection does is not seen by, and does not touch, the other's.
    there.get(&format!("/Users/{here}")).await.expect_error(404);
    there.delete(&format!("/Users/{here}")).await.expect_error(404);
    let foreign = json!([{"op": "add", "path": "members", "value": [{"value": here}]}]);
    let refused = there.patch(&format!("/Groups/{group}"), &foreign).await;
    assert!((400..500).contains(&refused.status), "{refused}");
    there.set_active(&id, false).await;
    app.settled().await;
    assert_eq!(abroad.worker_count(), 0);
    assert_eq!(worker(&app, ANA).attributes["roles"], json!(["agent"]));

    app.import_rules(&RULES.replace("CC ", "Other ")).await;
    there.set_active(&id, true).await;
    app.settled().await;
    assert_no_worker(&app, ANA);
    assert_eq!(only_worker(&abroad, ANA).attributes["site"], json!("london"));
}

async fn a_workspace_belongs_to_one_account(db: Db) {
    let app = app(db).await;
    let (_abroad, mut settings, secret) = other_workspace().await;
    app.core().add_account(slug("acme-uk"), Some((settings.clone(), secret.clone()))).await.unwrap();
    settings.base_url.push('/');
    let refused = app.core().add_account(slug("acme-fr"), Some((settings, secret))).await.unwrap_err().to_string();
    assert!(refused.contains("acme-uk") && refused.contains("WS"), "{refused}");
    let names: Vec<String> =
        app.core().list_accounts().await.unwrap().into_iter().map(|account| account.name.to_string()).collect();
    assert_eq!(names, ["acme-uk", "default"]);
}

async fn an_account_whose_taskrouter_is_down_holds_up_no_other(db: Db) {
    let app = app(db).await;
    let (_, mut settings, secret) = other_workspace().await;
    "http://127.0.0.1:9".clone_into(&mut settings.base_url);
    let uk = app.core().add_account(slug("acme-uk"), Some((settings, secret))).await.unwrap();
    app.core().import_rules(&uk, RULES, Force::Yes).await.unwrap();
    let there = app.connect_in(&uk, "idp-uk", ConnectionSettings::default()).await;
    let mut members = Vec::new();
    for n in 0..30 {
        members.push(there.add_user(&format!("p{n}@acme.example")).await);
    }
    there.add_group("CC Agents", &members.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let here = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&here]).await;
    let sql = app.sql().await;
    let done = format!("SELECT COUNT(*) FROM worker WHERE name = '{ANA}' AND applied_version = desired_version");
    crate::support::wait_until(std::time::Duration::from_secs(10), "this account's worker", async || {
        sql.number(&done).await == 1
    })
    .await;
    worker(&app, ANA);
    app.expect_work_left();
}

async fn a_paused_reconciler_takes_pushes_and_does_nothing(db: Db) {
    let app = TestApp::builder(db).rules(RULES).paused().start().await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    let sql = app.sql().await;
    assert_eq!(sql.texts("SELECT state FROM worker").await, ["pending"]);
    app.scim.set_active(&id, false).await;
    app.scim.set_active(&id, true).await;
    assert_eq!(sql.number("SELECT desired_version FROM worker").await, 3);
    assert_eq!(app.stand_in().calls().total, 0);
}

/// Whoever switched the reconciler off sees what waits for it.
async fn the_list_of_accounts_says_what_waits(db: Db) {
    let app = TestApp::builder(db).rules(RULES).paused().start().await;
    let waiting = async || {
        let list = app.command(&["account", "list"]).await;
        list.lines().find(|line| line.starts_with("default")).expect("the account").to_owned()
    };
    assert!(waiting().await.contains("  nothing  "), "{}", waiting().await);
    let people = app.scim.add_users("p", 3).await;
    app.scim.add_group("CC Agents", &people.iter().map(String::as_str).collect::<Vec<_>>()).await;
    app.scim.set_active(&people[0], false).await;
    assert!(waiting().await.contains("  1 to remove, 2 others  "), "{}", waiting().await);
    let sql = app.sql().await;
    let explain = match db {
        Db::Sqlite => "EXPLAIN QUERY PLAN",
        Db::Postgres => {
            // A small table is read as a whole, whatever indexes it has.
            sql.run("SET enable_seqscan = off").await.expect("set");
            "EXPLAIN"
        }
    };
    let query = "SELECT account_id, lane, COUNT(*) AS n FROM worker WHERE lane IN (0, 1) AND due_at IS NOT NULL \
                 AND (applied_version IS NULL OR applied_version <> desired_version) GROUP BY account_id, lane";
    let rows = sql.rows(&format!("{explain} {query}")).await;
    let column = if db == Db::Sqlite { 3 } else { 0 };
    let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).expect("a plan")).collect();
    assert!(plan.join("\n").contains("worker_due"), "{plan:?}");
}

on_both_databases!(
    the_same_person_in_two_accounts_is_two_workers,
    a_workspace_belongs_to_one_account,
    an_account_whose_taskrouter_is_down_holds_up_no_other,
    a_paused_reconciler_takes_pushes_and_does_nothing,
    the_list_of_accounts_says_what_waits,
);
