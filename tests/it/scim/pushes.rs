//! The log of pushes.

use std::time::Duration;

use http::Method;
use rollcall::service::tokens::NewToken;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Db, TestApp, USER, on_both_databases, slug, wait_until};

const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until so many requests are logged, and gives them, the oldest first.
async fn logged(app: &TestApp, count: usize) -> Vec<Value> {
    let sql = app.sql().await;
    let enough = i64::try_from(count).expect("a count");
    wait_until(DEADLINE, "the requests are logged", async || sql.number("SELECT COUNT(*) FROM push").await >= enough)
        .await;
    tail(app, &[]).await
}

async fn tail(app: &TestApp, more: &[&str]) -> Vec<Value> {
    let printed = app.command(&[&["pushes", "tail", "--json", "-n", "1000"], more].concat()).await;
    printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn every_write_and_every_failure_is_logged(db: Db) {
    let app = TestApp::start(db).await;
    let user = json!({
        "schemas": [USER], "userName": "ana@acme.example", "active": true, "password": "canary-1",
        "photos": [{"value": "https://x/canary-2"}], "shoeSize": 38,
    });
    let draft = app.scim.request(Method::POST, "/Users").json(&user).header("x-request-id", Some("req-1"));
    let id = draft.send().await.created();
    let group = app.scim.add_group("Agents", &[&id]).await;
    app.scim.post("/Users", &user).await.expect_error(409);
    app.scim.patch(&format!("/Users/{id}"), &json!([{"op": "Replace", "path": "password", "value": "canary-3"}])).await;
    app.scim.get("/Users/nobody").await.expect_error(404);
    app.scim.get("/Users").await.expect(200);
    app.scim.request(Method::POST, "/Groups").body("canary-4 {").send().await.expect_error(400);
    app.scim.delete(&format!("/Groups/{group}")).await.expect_success();
    let pushes = logged(&app, 7).await;
    let about: Vec<(&str, &str, u64)> = pushes
        .iter()
        .map(|push| {
            let text = |name: &str| push[name].as_str().expect("a text");
            (text("method"), text("path"), push["status"].as_u64().expect("a status"))
        })
        .collect();
    let (user_path, group_path) = (format!("/Users/{id}"), format!("/Groups/{group}"));
    assert_eq!(
        about,
        [
            ("POST", "/Users", 201),
            ("POST", "/Groups", 201),
            ("POST", "/Users", 409),
            ("PATCH", &user_path, 200),
            ("GET", "/Users/nobody", 404),
            ("POST", "/Groups", 400),
            ("DELETE", &group_path, 204),
        ]
    );
    assert!(pushes.iter().all(|push| push["connection"] == "idp" && push["latencyMs"].is_u64()));
    assert!(!json!(pushes).to_string().contains("canary"), "{pushes:#?}");
    assert_eq!(pushes[0]["body"]["userName"], json!("ana@acme.example"));
    assert_eq!((&pushes[0]["request"], &pushes[0]["ignored"]), (&json!("req-1"), &json!(["shoeSize"])));
    assert_eq!((&pushes[0]["resource"], &pushes[0]["people"]), (&json!(id), &json!([id])));
    assert_eq!((&pushes[1]["resource"], &pushes[1]["people"]), (&json!(group), &json!([id])));
    assert_eq!(pushes[2]["scimType"], json!("uniqueness"));
    assert!(pushes[2]["detail"].as_str().is_some_and(|detail| detail.contains("userName")));
    assert_eq!(
        (&pushes[5]["body"], &pushes[5]["note"]),
        (&Value::Null, &json!("10 bytes that are not JSON, not kept"))
    );

    let failed = tail(&app, &["--failed", "--connection", "idp"]).await;
    assert_eq!(failed.iter().map(|push| &push["status"]).collect::<Vec<_>>(), [409, 404, 400]);
    let last = app.command(&["pushes", "tail", "-n", "1"]).await;
    assert!(last.lines().count() == 1 && last.contains("DELETE") && last.contains("204"), "{last}");
    // With what it changed, out of the audit trail.
    let number = pushes[0]["id"].to_string();
    let shown: Value = serde_json::from_str(&app.command(&["pushes", "show", &number, "--json"]).await).expect("JSON");
    assert_eq!(shown["events"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["events"][0]["action"], json!("user.create"));
    let shown = app.command(&["pushes", "show", &number]).await;
    assert!(shown.contains("req-1") && shown.contains("user.create") && shown.contains("shoeSize"), "{shown}");
}

async fn reads_are_counted_and_strangers_are_not(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    for _ in 0..3 {
        app.scim.filter("/Users", "userName eq \"canary\"").await.expect(200);
    }
    app.scim.with_token(None).get("/Users").await.expect_error(401);
    app.scim.with_token(Some("rcs_wrong")).post("/Users", &json!({})).await.expect_error(401);
    // A token that was good once is known, and its administrator wonders.
    let connection = app.core().connection(&app.account, &slug("idp")).await.expect("the connection");
    let hour = NewToken { lifetime: Some(Duration::from_hours(1)), ..NewToken::default() };
    let (_, secret) = app.core().create_token_with(&connection, hour).await.expect("a token");
    app.clock.advance(Duration::from_hours(2));
    app.scim.with_token(Some(secret.expose())).get("/Users").await.expect_error(401);
    let pushes = logged(&app, 2).await;
    let statuses: Vec<&Value> = pushes.iter().map(|push| &push["status"]).collect();
    assert_eq!(statuses, [201, 401]);
    let sql = app.sql().await;
    let counted = "SELECT COALESCE(CAST(SUM(total) AS bigint), 0) FROM push_read";
    wait_until(DEADLINE, "the reads are counted", async || sql.number(counted).await == 3).await;
    let reads = app.command(&["pushes", "reads", "--since", "7d"]).await;
    let row = reads.lines().find(|line| line.contains("GET /Users?filter")).unwrap_or_else(|| panic!("{reads}"));
    assert!(row.starts_with("idp") && row.contains("  3  ") && !reads.contains("canary"), "{reads}");
}

async fn s32_the_log_of_another_account_is_not_there(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    let number = logged(&app, 1).await[0]["id"].as_i64().expect("a number");
    let other = app.add_account("acme-uk").await;
    assert!(app.core().push(&app.account, number).await.is_ok());
    assert!(app.core().push(&other, number).await.is_err());
    assert!(tail(&app, &["--account", "acme-uk"]).await.is_empty());
}

/// A client that goes away may have got what it asked for: that it asked is logged.
async fn a_client_that_goes_away_is_logged(db: Db) {
    let app = TestApp::start(db).await;
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\r\n{{",
        app.scim.token()
    );
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.flush().await.expect("sent");
    drop(stream);
    let pushes = logged(&app, 1).await;
    assert!([json!(0), json!(400)].contains(&pushes[0]["status"]), "{pushes:?}");
}

async fn an_orderly_end_writes_what_is_left(db: Db) {
    let mut app = TestApp::start(db).await;
    app.scim.add_users("p", 150).await;
    app.restart().await;
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM push").await, 150);
}

async fn what_is_old_is_deleted(db: Db) {
    let app = TestApp::start(db).await;
    let day = Duration::from_hours(24);
    app.scim.add_users("p", 600).await;
    app.scim.get("/Users").await.expect(200);
    logged(&app, 600).await;
    app.clock.advance(day * 20);
    app.scim.add_user("ana@acme.example").await;
    logged(&app, 601).await;
    assert_eq!(app.core().sweep_pushes(day * 30).await.expect("swept"), 0);
    app.clock.advance(day * 11);
    assert_eq!(app.core().sweep_pushes(day * 30).await.expect("swept"), 600);
    let sql = app.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM push").await, 1);
    assert_eq!(sql.number("SELECT COUNT(*) FROM push_read").await, 0);
}

/// Each way of looking at the log uses an index, however long the log is.
async fn every_look_at_the_log_uses_an_index(db: Db) {
    let app = TestApp::start(db).await;
    let sql = app.sql().await;
    let (explain, column) = if db == Db::Sqlite { ("EXPLAIN QUERY PLAN", 3) } else { ("EXPLAIN", 0) };
    if db == Db::Postgres {
        // An empty table is read as a whole, whatever indexes it has.
        for switch in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
            sql.run(&format!("SET {switch} = off")).await.expect("set");
        }
    }
    for (condition, order, index) in [
        ("", "connection_id DESC, seq DESC", "push_connection"),
        ("AND failed = 1", "connection_id DESC, seq DESC", "push_failed"),
        ("AND seq > 5", "connection_id, seq", "push_connection"),
    ] {
        let query = format!("SELECT * FROM push WHERE connection_id = 'c' {condition} ORDER BY {order} LIMIT 20");
        let rows = sql.rows(&format!("{explain} {query}")).await;
        let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).expect("a plan")).collect();
        let plan = plan.join("\n");
        // Without statistics PostgreSQL may take either index.
        let index = if db == Db::Sqlite { index } else { "using push_" };
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{query}: {plan}");
    }
}

on_both_databases!(
    every_write_and_every_failure_is_logged,
    reads_are_counted_and_strangers_are_not,
    s32_the_log_of_another_account_is_not_there,
    a_client_that_goes_away_is_logged,
    an_orderly_end_writes_what_is_left,
    what_is_old_is_deleted,
    every_look_at_the_log_uses_an_index,
);
