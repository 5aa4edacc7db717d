//! The log of pushes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
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
    let search =
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "userName eq \"canary\""});
    app.scim.post("/Users/.search", &search).await.expect(200);
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
    wait_until(DEADLINE, "the reads are counted", async || sql.number(counted).await == 4).await;
    let reads = app.command(&["pushes", "reads", "--since", "7d"]).await;
    let row = reads.lines().find(|line| line.contains("GET /Users?filter")).unwrap_or_else(|| panic!("{reads}"));
    assert!(reads.contains("POST /Users/.search"), "{reads}");
    assert!(row.starts_with("idp") && row.contains("  3  ") && !reads.contains("canary"), "{reads}");
}

/// With a token that has ended, from a wrong address or too often, anybody can send without end: the log counts it.
async fn s42_who_is_turned_away_cannot_fill_the_log(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SCIM__RATE_PER_TOKEN", "25").start().await;
    let connection = app.core().connection(&app.account, &slug("idp")).await.expect("the connection");
    let (revoked, secret) = app.core().create_token(&connection, "old", None).await.expect("a token");
    app.core().revoke_token(&app.account, &revoked.id.to_string()).await.expect("revoked");
    let revoked = app.scim.with_token(Some(secret.expose()));
    let elsewhere = app.connect("elsewhere").await;
    app.command(&["connection", "set", "elsewhere", "--allow-ip", "203.0.113.0/24"]).await;
    let body = json!({"userName": "ana@acme.example", "title": "canary"});
    let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
    // Far more at once than may come in the time that they take.
    let ended = join_all((0..60).map(|_| revoked.post("/Users", &body))).await;
    let there = join_all((0..400).map(|_| elsewhere.post("/Users", &body))).await;
    for answer in ended.iter().chain(&there) {
        *sent.entry(answer.status.into()).or_default() += 1;
    }
    assert!(sent.keys().eq([&401, &403, &429]) && sent[&401] == 60, "{sent:?}");
    let sql = app.sql().await;
    let counted = "SELECT COALESCE(CAST(SUM(times) AS bigint), 0) FROM push";
    wait_until(DEADLINE, "all are counted", async || sql.number(counted).await == 460).await;
    let pushes = tail(&app, &[]).await;
    let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
    for push in &pushes {
        *rows.entry(push["status"].as_u64().expect("a status")).or_default() +=
            push["times"].as_u64().expect("a number");
    }
    assert_eq!(rows, sent, "{pushes:#?}");
    // One row for each reason, or two if a minute ended meanwhile.
    assert!(pushes.len() <= 6, "{pushes:#?}");
    assert!(pushes.iter().all(|push| push["body"].is_null() && push["detail"].is_string()), "{pushes:#?}");
    let shown = app.command(&["pushes", "tail"]).await;
    assert!(shown.contains(" times in a minute") && !shown.contains("canary"), "{shown}");
    // The next minute has a row of its own.
    app.clock.advance(Duration::from_mins(1));
    revoked.get("/Users").await.expect_error(401);
    let rows = i64::try_from(pushes.len() + 1).expect("a number");
    wait_until(DEADLINE, "one more", async || sql.number("SELECT COUNT(*) FROM push").await == rows).await;
}

async fn a_bulk_request_says_what_failed_in_it_and_whom_it_touched(db: Db) {
    let app = TestApp::start(db).await;
    let ana = app.scim.add_user("ana@acme.example").await;
    let eve = app.scim.add_user("eve@acme.example").await;
    let operations = json!([
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"userName": "ANA@acme.example"}},
        {"method": "POST", "path": "/Users", "bulkId": "2", "data": {"userName": "ben@acme.example", "shoeSize": 4}},
        {"method": "PATCH", "path": format!("/Users/{ana}"),
         "data": {"Operations": [{"op": "replace", "path": "emails[type eq \"canary\"].shoe", "value": "x"}]}},
        {"method": "DELETE", "path": "/Users/nobody"},
        {"method": "POST", "path": "/Groups", "bulkId": "3",
         "data": {"displayName": "Agents", "members": [{"value": eve}]}},
    ]);
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
    let answer = app.scim.post("/Bulk", &body).await.expect(200);
    let made = |n: usize| {
        answer["Operations"][n]["location"].as_str().and_then(|url| url.rsplit('/').next()).expect("an id").to_owned()
    };
    let pushes = logged(&app, 3).await;
    let push = pushes.last().expect("the bulk request");
    assert_eq!(
        (&push["status"], &push["failedOperations"], &push["scimType"]),
        (&json!(200), &json!(2), &json!("uniqueness"))
    );
    let detail = push["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("2 of 5 operations failed, the first: Another user has this userName"), "{detail}");
    assert_eq!(push["ignored"], json!(["emails[...].shoe", "shoeSize"]));
    let mut touched = vec![ana, eve, made(1), made(4)];
    touched.sort();
    assert_eq!(push["people"], json!(touched));
    let failed = tail(&app, &["--failed"]).await;
    assert_eq!(failed.iter().map(|push| &push["path"]).collect::<Vec<_>>(), ["/Bulk"]);
}

/// Whom a request was about is known by what it did, where its body says it nowhere, or is too long to be kept.
async fn members_are_named_that_no_body_names(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 3).await;
    let group = format!("/Groups/{}", app.scim.add_group("Agents", &[]).await);
    let members: Vec<Value> = people.iter().map(|id| json!({"value": id, "display": "x".repeat(30_000)})).collect();
    app.scim
        .request(Method::PUT, &group)
        .json(&json!({"displayName": "Agents", "members": members}))
        .send()
        .await
        .expect(200);
    app.scim.patch(&group, &json!([{"op": "remove", "path": "members"}])).await.expect_success();
    app.scim
        .patch(&group, &json!([{"op": "add", "path": "members", "value": [{"value": people[0]}]}]))
        .await
        .expect_success();
    app.scim.delete(&group).await.expect_success();
    let pushes = logged(&app, 8).await;
    let mut all = people.clone();
    all.sort();
    let named: Vec<&Value> = pushes[4..].iter().map(|push| &push["people"]).collect();
    assert_eq!(named, [&json!(all), &json!(all), &json!([people[0]]), &json!([people[0]])]);
    assert!(pushes[4]["note"].as_str().is_some_and(|note| note.contains("bytes or more")), "{:?}", pushes[4]["note"]);
}

async fn s59_the_log_repeats_no_value_of_a_path(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    for path in ["password[value eq \"hunter2", "passwordHint[value eq \"hunter2\"].x y", "password eq \"hunter2\""] {
        let (_, detail) = app
            .scim
            .patch(&format!("/Users/{id}"), &json!([{"op": "replace", "path": path, "value": "hunter2"}]))
            .await
            .expect_error(400);
        assert!(!detail.is_empty());
    }
    let op = json!([{"op": "replace", "path": "secretHint[value eq \"hunter2\"].x", "value": "hunter2"}]);
    app.scim.patch(&format!("/Users/{id}"), &op).await.expect(200);
    let pushes = logged(&app, 5).await;
    assert!(!json!(pushes).to_string().contains("hunter2"), "{pushes:#?}");
    assert_eq!(pushes[4]["ignored"], json!(["secretHint[...].x"]));
    assert!(pushes[3]["detail"].as_str().is_some_and(|detail| detail.contains("\"password...\"")), "{:?}", pushes[3]);
}

/// Whoever follows the log goes on behind the greatest number: none of another connection may come before its turn.
async fn numbers_are_given_without_gaps(db: Db) {
    let app = TestApp::start(db).await;
    let other = app.connect("other").await;
    app.scim.add_users("p", 3).await;
    logged(&app, 3).await;
    other.add_user("ana@acme.example").await;
    let all: Vec<i64> = logged(&app, 4).await.iter().map(|push| push["id"].as_i64().expect("a number")).collect();
    let connections = app.core().list_connections(&app.account).await.expect("connections");
    let after = async |seq: i64, at_once: u32| {
        let found = app.core().push_numbers_after(&connections, seq, false, at_once).await.expect("numbers");
        found.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(after(0, 2).await, all[..2], "the first connection has more");
    assert_eq!(after(all[1], 2).await, all[2..]);
    assert_eq!(after(0, 100).await, all);
    let read = app.core().pushes_numbered(&[all[3], all[0]]).await.expect("requests");
    assert_eq!(read.iter().map(|logged| logged.seq).collect::<Vec<_>>(), [all[0], all[3]]);
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
        ("AND seq > 5 AND failed = 1", "connection_id, seq", "push_failed"),
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
    s42_who_is_turned_away_cannot_fill_the_log,
    a_bulk_request_says_what_failed_in_it_and_whom_it_touched,
    members_are_named_that_no_body_names,
    s59_the_log_repeats_no_value_of_a_path,
    numbers_are_given_without_gaps,
    s32_the_log_of_another_account_is_not_there,
    a_client_that_goes_away_is_logged,
    an_orderly_end_writes_what_is_left,
    what_is_old_is_deleted,
    every_look_at_the_log_uses_an_index,
);
