//! OAuth 2.0 clients: the client credentials grant (RFC 6749 §4.4), in the form of Entra ID's gallery and others.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rollcall::base::token_hash;
use rollcall::domain::Scope;
use rollcall::service::clients::NewClient;
use rollcall::store::credentials::Selection;
use serde_json::{Value, json};

use crate::support::{Answer, Db, Scim, TestApp, on_both_databases, slug};

/// The id and secret of a new client of a connection.
async fn client(app: &TestApp, connection: &str, scope: Scope) -> (String, String) {
    let connection = app.core().connection(&app.account, &slug(connection)).await.expect("the connection");
    let wanted = NewClient { label: "test".to_owned(), scope, ..NewClient::default() };
    let (client, secret) = app.core().create_client(&connection, wanted).await.expect("a client");
    (client.id.to_string(), secret.expose().to_owned())
}

/// A request at the token endpoint.
async fn ask(app: &TestApp, authorization: Option<&str>, form: &str) -> Answer {
    let stranger = app.scim.with_token(None);
    let draft = stranger.request(Method::POST, "/oauth/token").at_root();
    let draft = draft.header("content-type", Some("application/x-www-form-urlencoded; charset=utf-8"));
    draft.header("authorization", authorization).body(form.to_owned()).send().await
}

fn in_body(id: &str, secret: &str) -> String {
    format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")
}

/// An access token, and a SCIM client with it.
async fn enter(app: &TestApp, id: &str, secret: &str) -> (Value, Scim) {
    let body = ask(app, None, &in_body(id, secret)).await.expect(200);
    let token = body["access_token"].as_str().expect("a token").to_owned();
    (body, app.scim.with_token(Some(&token)))
}

/// An error body of RFC 6749 §5.2.
#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.expect(status)["error"], json!(error), "{answer}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    if status == 401 {
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic ")));
    }
}

async fn a_client_gets_access_tokens_in_every_form(db: Db) {
    let app = TestApp::start(db).await;
    let made = app.command(&["client", "create", "--connection", "idp", "--label", "Entra ID"]).await;
    let value = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {made}"));
        line.to_owned()
    };
    let (id, secret) = (value("client_id="), value("client_secret="));
    assert_eq!(value("token_endpoint="), "https://rollcall.example/oauth/token");
    let basic = |text: String| format!("Basic {}", STANDARD.encode(text));
    let grant = "grant_type=client_credentials";
    for (authorization, form) in [
        // Entra ID, and most others.
        (None, in_body(&id, &secret)),
        (None, format!("client_secret={secret}&client_id={id}&{grant}&scope=")),
        (None, format!("{}&resource=x&unknown=1&unknown=2", in_body(&id, &secret))),
        // PingFederate: client_secret_basic.
        (Some(basic(format!("{id}:{secret}"))), grant.to_owned()),
        (
            Some(basic(format!("{}:{secret}", id.replace('-', "%2D")))),
            format!("{grant}&client_id={id}&scope=read+write"),
        ),
        // PingFederate puts commas between scopes.
        (None, format!("{}&scope=read%2Cwrite", in_body(&id, &secret))),
    ] {
        let answer = ask(&app, authorization.as_deref(), &form).await;
        let body = answer.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)), "{body}");
        assert_eq!(body["scope"], json!("read write"));
        let token = body["access_token"].as_str().expect("a token");
        app.scim.with_token(Some(token)).get("/Users").await.expect(200);
    }
    let (_, scim) = enter(&app, &id, &secret).await;
    let user = scim.add_user("ana@acme.example").await;
    assert_eq!(app.scim.get(&format!("/Users/{user}")).await.status, 200, "the connection's own");
    let list = app.command(&["client", "list"]).await;
    assert!(list.contains(&id) && list.contains("Entra ID") && !list.contains(&secret), "{list}");
    let line = list.lines().find(|line| line.contains(&id)).expect("the client");
    assert_eq!(line.matches("never").count(), 1, "it never ends, and its last use shows: {list}");
    app.command(&["client", "revoke", &id]).await;
    scim.get("/Users").await.expect_error(401);
    refused(&ask(&app, None, &in_body(&id, &secret)).await, 401, "invalid_client");
}

async fn wrong_requests_are_told_what_is_wrong(db: Db) {
    let app = TestApp::start(db).await;
    let (id, secret) = client(&app, "idp", Scope::Write).await;
    let (other, _) = client(&app, "idp", Scope::Write).await;
    let good = in_body(&id, &secret);
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let grant = "grant_type=client_credentials";
    for (authorization, form, status, error) in [
        (None, good.replace("client_credentials", "password"), 400, "unsupported_grant_type"),
        (None, good.replace("grant_type", "grant"), 400, "invalid_request"),
        (None, format!("{good}&{grant}"), 400, "invalid_request"),
        (None, format!("{good}&client_id={id}"), 400, "invalid_request"),
        (None, format!("{good}&scope=admin"), 400, "invalid_scope"),
        (None, format!("{good}&scope=read&scope=write"), 400, "invalid_request"),
        (None, grant.to_owned(), 401, "invalid_client"),
        (None, in_body(&id, ""), 401, "invalid_client"),
        (None, in_body(&id, &format!("{secret}x")), 401, "invalid_client"),
        (None, in_body(&id, &secret.to_uppercase()), 401, "invalid_client"),
        (None, in_body(&id, &token_hash(&secret)), 401, "invalid_client"),
        (None, in_body("none", &secret), 401, "invalid_client"),
        (None, in_body(&other, &secret), 401, "invalid_client"),
        (Some(basic.as_str()), good.clone(), 400, "invalid_request"),
        (Some(&basic), format!("{grant}&client_id={other}"), 400, "invalid_request"),
        (Some("Basic !"), grant.to_owned(), 401, "invalid_client"),
        (Some("Bearer x"), grant.to_owned(), 401, "invalid_client"),
        (None, format!("{good}&x={}", "x".repeat(20_000)), 400, "invalid_request"),
    ] {
        refused(&ask(&app, authorization, &form).await, status, error);
    }
    let draft = app.scim.with_token(None).request(Method::POST, "/oauth/token").at_root();
    let json = draft.json(&json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret}));
    refused(&json.send().await, 400, "invalid_request");
    for method in [Method::GET, Method::PUT] {
        let answer = app.scim.request(method, &format!("/oauth/token?{good}")).at_root().send().await;
        assert_eq!(answer.header("allow"), Some("POST"));
        refused(&answer, 405, "invalid_request");
    }
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM access_token").await, 0);
}

async fn s33_access_tokens_are_short_lived_hashed_and_end_with_their_client(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_OAUTH__ACCESS_TOKEN_LIFETIME_S", "7200").start().await;
    let (id, secret) = client(&app, "idp", Scope::Write).await;
    let (second, second_secret) = client(&app, "idp", Scope::Write).await;
    let (body, scim) = enter(&app, &id, &secret).await;
    assert_eq!(body["expires_in"], json!(7200));
    assert!(scim.token().len() >= "rca_".len() + 43, "256 bits are 43 letters");
    let sql = app.sql().await;
    assert_eq!(sql.texts("SELECT hash FROM access_token").await, [token_hash(scim.token())]);
    let mut kept = sql.texts("SELECT secret_hash FROM oauth_client ORDER BY id").await;
    kept.extend(sql.texts("SELECT COALESCE(after, '') FROM audit_event").await);
    kept.extend(sql.texts("SELECT hint FROM oauth_client").await);
    assert_eq!(kept[0], token_hash(&secret));
    assert!(kept.iter().all(|text| !text.contains(&secret[8..])));

    scim.get("/Users").await.expect(200);
    app.clock.advance(Duration::from_mins(119));
    scim.get("/Users").await.expect(200);
    app.clock.advance(Duration::from_mins(1));
    scim.get("/Users").await.expect_error(401);
    let (_, scim) = enter(&app, &id, &secret).await;
    let (_, spared) = enter(&app, &second, &second_secret).await;
    app.core().sweep_access_tokens().await.expect("swept");
    assert_eq!(sql.number("SELECT COUNT(*) FROM access_token").await, 2, "the ended one is gone");
    scim.get("/Users").await.expect(200);
    app.core().revoke_client(&app.account, &id).await.expect("revoked");
    scim.get("/Users").await.expect_error(401);
    spared.get("/Users").await.expect(200);
    app.command(&["connection", "set", "idp", "--disable"]).await;
    spared.get("/Users").await.expect_error(401);
    refused(&ask(&app, None, &in_body(&second, &second_secret)).await, 401, "invalid_client");
}

async fn s33_clients_end_and_are_replaced_with_an_overlap(db: Db) {
    let app = TestApp::start(db).await;
    let made = |printed: &str| {
        let value = |name: &str| printed.lines().find_map(|line| line.strip_prefix(name)).expect("a line").to_owned();
        (value("client_id="), value("client_secret="))
    };
    let (id, secret) = made(&app.command(&["client", "create", "--connection", "idp", "--expires-in", "1"]).await);
    app.clock.advance(Duration::from_mins(23 * 60 + 30));
    let (body, old) = enter(&app, &id, &secret).await;
    let left = body["expires_in"].as_u64().expect("seconds");
    assert!((1_700..=1_800).contains(&left), "no longer than its client: {left}");
    let (new, new_secret) = made(&app.command(&["client", "rotate", &id, "--expires-in", "365"]).await);
    old.get("/Users").await.expect(200);
    let (_, successor) = enter(&app, &new, &new_secret).await;
    let list = app.command(&["client", "list"]).await;
    for (id, state) in [(&id, "expiring"), (&new, "valid")] {
        let line = list.lines().find(|line| line.starts_with(id.as_str())).expect("the client");
        assert_eq!(line.split_whitespace().nth(4), Some(state), "{list}");
    }
    let expiring = app.core().expiring_clients().await.expect("clients");
    assert_eq!(expiring.iter().map(|found| found.it.id.to_string()).collect::<Vec<_>>(), [id.as_str()]);
    app.clock.advance(Duration::from_mins(30));
    old.get("/Users").await.expect_error(401);
    refused(&ask(&app, None, &in_body(&id, &secret)).await, 401, "invalid_client");
    successor.get("/Users").await.expect(200);
    let listed = async |selection: Selection| {
        let clients = app.core().list_clients(&app.account, &selection).await.expect("clients");
        clients.iter().map(|client| client.id.to_string()).collect::<Vec<_>>()
    };
    let now = app.core().ambient().now();
    assert_eq!(listed(Selection { good_at: Some(now), ..Selection::default() }).await, [new.as_str()]);
    assert_eq!(listed(Selection { limit: Some(1), ..Selection::default() }).await, [new.as_str()], "the newest");
    assert_eq!(listed(Selection::default()).await, [id.as_str(), &new]);
    let again = app.core().rotate_client(&app.account, &id, Duration::ZERO, None).await;
    assert!(again.expect_err("it has ended").to_string().contains("rollcall client create"));
    // One that is replaced at once takes its access tokens along.
    let hour = Duration::from_hours(1);
    app.core().rotate_client(&app.account, &new, Duration::ZERO, Some(hour)).await.expect("a successor");
    successor.get("/Users").await.expect_error(401);
    let actions = "SELECT action FROM audit_event WHERE target_kind = 'client' ORDER BY action";
    let made = ["client.create", "client.create", "client.create", "client.rotate", "client.rotate"];
    assert_eq!(app.sql().await.texts(actions).await, made);
}

async fn s33_an_access_token_may_do_no_more_than_its_client(db: Db) {
    let app = TestApp::start(db).await;
    let (id, secret) = client(&app, "idp", Scope::Read).await;
    refused(&ask(&app, None, &format!("{}&scope=write", in_body(&id, &secret))).await, 400, "invalid_scope");
    let (body, scim) = enter(&app, &id, &secret).await;
    assert_eq!(body["scope"], json!("read"));
    scim.get("/Users").await.expect(200);
    scim.post("/Users", &json!({"userName": "x"})).await.expect_error(403);
    let (writer, writers) = client(&app, "idp", Scope::Write).await;
    let answer = ask(&app, None, &format!("{}&scope=read", in_body(&writer, &writers))).await.expect(200);
    let less = app.scim.with_token(answer["access_token"].as_str());
    less.post("/Users", &json!({"userName": "x"})).await.expect_error(403);
    // Neither the secret nor the id opens SCIM by itself.
    for wrong in [&secret, &id, &writers] {
        app.scim.with_token(Some(wrong)).get("/Users").await.expect_error(401);
    }
}

async fn s32_a_client_sees_its_own_connection(db: Db) {
    let app = TestApp::start(db).await;
    let user = app.scim.add_user("ana@acme.example").await;
    app.connect("other").await;
    let (id, secret) = client(&app, "other", Scope::Write).await;
    let (_, scim) = enter(&app, &id, &secret).await;
    scim.get(&format!("/Users/{user}")).await.expect_error(404);
    assert_eq!(scim.get("/Users").await.total(), 0);
}

/// A server that cannot answer in time says so, and not that the request was wrong.
async fn a_database_that_hangs_is_not_the_clients_fault(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SERVER__REQUEST_TIMEOUT_S", "1").start().await;
    let (id, secret) = client(&app, "idp", Scope::Write).await;
    let lock = match db {
        Db::Sqlite => "BEGIN IMMEDIATE",
        Db::Postgres => "BEGIN; LOCK TABLE access_token IN ACCESS EXCLUSIVE MODE",
    };
    let sql = app.sql().await;
    sql.run(lock).await.expect("locked");
    let answer = ask(&app, None, &in_body(&id, &secret)).await;
    sql.run("ROLLBACK").await.expect("unlocked");
    refused(&answer, 503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    enter(&app, &id, &secret).await;
}

async fn s42_wrong_secrets_are_slowed_down_and_lock_nobody_out(db: Db) {
    let app = TestApp::start(db).await;
    let (id, secret) = client(&app, "idp", Scope::Write).await;
    let (other, others) = client(&app, "idp", Scope::Write).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(ask(&app, None, &in_body(&id, "rcc_wrong")).await);
    }
    assert!(statuses[..10].iter().all(|answer| answer.status == 401), "{}", statuses[9]);
    // Nobody can tell from the answers whether there is a client of some id.
    let (mut unknown, nobody) = (Vec::new(), "0192f0c1-2345-7abc-8def-0123456789ab");
    for _ in 0..12 {
        unknown.push(ask(&app, None, &in_body(nobody, "rcc_wrong")).await);
    }
    for (known, unknown) in statuses.iter().zip(&unknown) {
        assert_eq!((known.status, known.json()), (unknown.status, unknown.json()));
    }
    let slowed = statuses.pop().expect("an answer");
    refused(&slowed, 429, "invalid_client");
    let wait: u64 = slowed.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    enter(&app, &other, &others).await;
    // Whoever knows a client's id must not be able to lock it out.
    enter(&app, &id, &secret).await;
    app.clock.advance(Duration::from_mins(1));
    refused(&ask(&app, None, &in_body(&id, "rcc_wrong")).await, 401, "invalid_client");
    // And a client that asks without end does not fill the table; it is not told that its secret were wrong.
    let mut answers = Vec::new();
    for _ in 0..61 {
        answers.push(ask(&app, None, &in_body(&other, &others)).await);
    }
    let last = answers.pop().expect("an answer");
    refused(&last, 429, "temporarily_unavailable");
    assert!(!last.json()["error_description"].as_str().expect("words").contains("secret"), "{last}");
    assert!(last.header("retry-after").is_some());
    assert!(answers.iter().all(|answer| answer.status == 200));
}

on_both_databases!(
    a_client_gets_access_tokens_in_every_form,
    wrong_requests_are_told_what_is_wrong,
    s33_access_tokens_are_short_lived_hashed_and_end_with_their_client,
    s33_clients_end_and_are_replaced_with_an_overlap,
    s33_an_access_token_may_do_no_more_than_its_client,
    s32_a_client_sees_its_own_connection,
    a_database_that_hangs_is_not_the_clients_fault,
    s42_wrong_secrets_are_slowed_down_and_lock_nobody_out,
);
