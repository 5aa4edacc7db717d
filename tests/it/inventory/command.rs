//! `rollcall reconcile`, `inventory` and `orphans`, beside a server and without one.

use http::Method;
use serde_json::{Value, json};

use super::{agents, claims, slug};
use crate::pipeline::{
    ANA, app, assert_no_worker, call_as_others, counts, delete_as_others, worker, write_as_others, writes,
};
use crate::support::{Db, TestApp, on_both_databases};

const BOB: &str = "bob@acme.example";

/// The lines of a command that ends with this status.
async fn lines(app: &TestApp, status: i32, arguments: &[&str]) -> Vec<Value> {
    let (ended, out, err) = app.try_command(arguments).await;
    assert_eq!(ended, status, "{arguments:?}: {out}\n{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line))).collect()
}

async fn broken(db: Db) -> TestApp {
    let app = app(db).await;
    agents(&app, &[ANA, BOB, "cai@acme.example"]).await;
    write_as_others(&app, ANA, |attributes| drop(attributes.insert("roles".to_owned(), json!(["nobody"])))).await;
    delete_as_others(&app, BOB).await;
    app.stand_in().sso_login("ghost@acme.example", &claims(json!({}))).unwrap();
    app.stand_in().clear_calls();
    app
}

async fn a_dry_run_says_what_would_be_done_and_apply_does_it(db: Db) {
    let app = broken(db).await;
    let plan = lines(&app, 3, &["reconcile", "--dry-run", "--json"]).await;
    let told: Vec<_> = plan.iter().filter_map(|line| Some((line["class"].as_str()?, line["name"].as_str()?))).collect();
    assert_eq!(told, [("missing", BOB), ("drifted", ANA), ("orphan", "ghost@acme.example")]);
    assert_eq!(plan[0]["actions"], json!(["create", "set_channel"]));
    assert_eq!(plan[1]["differences"], json!([{"what": "roles", "held": ["agent"], "found": ["nobody"]}]));
    let counted = &plan[3]["summary"];
    assert_eq!((&counted["in_step"], &plan[3]["left"]), (&json!(1), &json!(2)));
    assert_eq!(writes(app.stand_in()), counts([]), "a dry run writes nothing");

    let done = lines(&app, 0, &["reconcile", "--apply"]).await;
    let text: Vec<&str> = done.iter().filter_map(Value::as_str).collect();
    assert_eq!(text.last(), Some(&"2 brought into step, 0 left"), "{text:?}");
    assert_eq!(worker(&app, ANA).attributes["roles"], json!(["agent"]));
    worker(&app, BOB);
    let clean = lines(&app, 0, &["reconcile", "--dry-run", "--skip-channels", "--json"]).await;
    assert_eq!(clean.last().unwrap()["summary"]["in_step"], json!(3));
    let shown = lines(&app, 0, &["inventory", "show", "--json"]).await;
    assert_eq!((&shown[0]["summary"]["orphan"], &shown[0]["account"]), (&json!(1), &json!("default")));
    assert_eq!(shown[0]["underWay"], json!(false));
}

async fn without_a_server_the_command_does_the_work(db: Db) {
    let mut app = broken(db).await;
    app.stop().await;
    let done = lines(&app, 0, &["reconcile", "--apply"]).await;
    assert!(done.last().unwrap().as_str().unwrap().starts_with("2 brought into step"), "{done:?}");
    let ghost = lines(&app, 0, &["orphans", "list", "--json"]).await;
    let ghost = ghost[0]["worker"].as_str().unwrap();
    let gone = lines(&app, 0, &["orphans", "remove", ghost, "--yes"]).await;
    assert_eq!(gone, [json!("ghost@acme.example is gone")]);
    app.restart().await;
    assert_eq!(worker(&app, ANA).attributes["roles"], json!(["agent"]));
    worker(&app, BOB);
    assert_no_worker(&app, "ghost@acme.example");
}

async fn orphans_are_removed_only_on_purpose(db: Db) {
    let app = broken(db).await;
    app.stand_in().sso_login("boss@acme.example", &claims(json!({"roles": "admin"}))).unwrap();
    lines(&app, 3, &["reconcile", "--dry-run"]).await;
    let listed = lines(&app, 0, &["orphans", "list", "--all", "--json"]).await;
    let sid = |class: &str| {
        let line = listed.iter().find(|line| line["class"] == class).unwrap();
        line["worker"].as_str().unwrap().to_owned()
    };
    let (ghost, boss) = (sid("orphan"), sid("unadopted"));
    app.stand_in().clear_calls();
    // Nobody can be asked, and nobody said yes.
    let (status, _, err) = app.try_command(&["orphans", "remove", &ghost]).await;
    assert_eq!((status, err.contains("--yes")), (1, true), "{err}");
    let (status, _, err) = app.try_command(&["orphans", "remove", &boss, "--yes"]).await;
    assert_eq!((status, err.contains("protected role 'admin'")), (1, true), "{err}");
    let (status, _, err) = app.try_command(&["orphans", "adopt", &ghost]).await;
    assert_eq!((status, err.contains("no user is named 'ghost@acme.example'")), (1, true), "{err}");
    assert_eq!(writes(app.stand_in()), counts([]));
    lines(&app, 0, &["orphans", "remove", &ghost, "--yes"]).await;
    assert_no_worker(&app, "ghost@acme.example");
    worker(&app, "boss@acme.example");
    lines(&app, 0, &["reconcile", "--apply"]).await;
}

async fn other_accounts_are_not_looked_into(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA]).await;
    app.core().add_account(slug("acme-uk"), None).await.unwrap();
    // Without settings of its own it shares the stand-in; the workers there are nobody's in it.
    let plan = lines(&app, 0, &["reconcile", "--dry-run", "--account", "acme-uk", "--json"]).await;
    assert_eq!((plan.len(), &plan[0]["class"], &plan[0]["name"]), (2, &json!("orphan"), &json!(ANA)));
    assert_eq!(lines(&app, 0, &["inventory", "list", "--json"]).await, Vec::<Value>::new());
    let (status, _, err) = app.try_command(&["reconcile", "--dry-run", "--account", "nobody"]).await;
    assert_eq!((status, err.contains("nobody")), (1, true), "{err}");
    let (status, ..) = app.try_command(&["reconcile"]).await;
    assert_eq!(status, 2, "one of --dry-run and --apply is needed");
    let (status, _) = call_as_others(&app, Method::GET, "/Workers", &[]).await;
    assert_eq!(status, 200);
}

on_both_databases!(
    a_dry_run_says_what_would_be_done_and_apply_does_it,
    without_a_server_the_command_does_the_work,
    orphans_are_removed_only_on_purpose,
    other_accounts_are_not_looked_into,
);
