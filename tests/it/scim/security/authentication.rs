//! Who may ask.

use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rollcall::base::token_hash;
use rollcall::service::connections::ConnectionSettings;
use rollcall::store::credentials::Selection;

use crate::support::{Answer, Db, Scim, TestApp, on_both_databases, slug, wait_until};

/// Every endpoint, and some that there are not.
const PATHS: &[&str] = &[
    "",
    "/",
    "/Users",
    "/Users/0192f0c1-2345-7abc-8def-0123456789ab",
    "/Users/.search",
    "/Groups",
    "/Groups/0192f0c1-2345-7abc-8def-0123456789ab",
    "/Groups/.search",
    "/ServiceProviderConfig",
    "/ResourceTypes",
    "/ResourceTypes/User",
    "/Schemas",
    "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    "/Bulk",
    "/Me",
    "/.search",
    "/Nothing",
    "/Users/x/y/z",
];
const METHODS: [Method; 8] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
];

fn hexed(c: char) -> String {
    format!("%{:02X}", u32::from(c))
}

/// A way to spell a path otherwise without meaning another one.
fn spelling(path: String) -> BoxedStrategy<String> {
    let places = path.len();
    prop::collection::vec((0..places, 0..8_u8), 0..4)
        .prop_map(move |changes| {
            let mut spelled = String::new();
            for (at, c) in path.chars().enumerate() {
                let change = changes.iter().find(|(place, _)| *place == at).map(|(_, change)| *change);
                match (change.filter(|_| at > 0), c) {
                    (Some(0), '/') => spelled.push_str("//"),
                    (Some(1), '/') => spelled.push_str("%2F"),
                    (Some(2), '/') => spelled.push_str("%2f"),
                    (Some(3), '/') => spelled.push_str("/./"),
                    (Some(4), '/') => spelled.push_str("/%2e/"),
                    (Some(5), '/') => spelled.push_str("%5C"),
                    (Some(6), '/') => spelled.push('\\'),
                    (Some(0..=3), c) => spelled.push_str(&hexed(c)),
                    (Some(4), c) => spelled.push_str(&hexed(c).to_lowercase()),
                    (Some(5), c) if at < "/scim/v2".len() => spelled.push(c.to_ascii_uppercase()),
                    (_, c) => spelled.push(c),
                }
            }
            spelled
        })
        .boxed()
}

fn is_foreign(answer: &Answer) -> bool {
    answer.status == 404 && answer.header("content-type") == Some("application/problem+json")
}

async fn s27_every_scim_path_needs_a_token(db: Db) {
    let app = TestApp::start(db).await;
    let stranger = app.scim.with_token(None);
    let mut runner = TestRunner::deterministic();
    for path in PATHS {
        let path = format!("/scim/v2{path}");
        let mut spellings = vec![
            path.clone(),
            format!("{path}/"),
            format!("/{path}"),
            format!("{path}?"),
            format!("{path}%00"),
            format!("{path};x=1"),
        ];
        let strategy = spelling(path);
        spellings.extend((0..20).map(|_| strategy.new_tree(&mut runner).expect("a spelling").current()));
        for spelled in spellings {
            // A backslash as such is no URI; an HTTP client cannot send it.
            let spelled = spelled.replace('\\', "%5c");
            for method in &METHODS {
                let answer = stranger.request(method.clone(), &spelled).at_root().send().await;
                assert_eq!(answer.status, 401, "{method} {spelled}: {answer}");
                assert!(answer.header("www-authenticate").is_some(), "{method} {spelled}");
                if *method != Method::HEAD {
                    answer.expect_error(401);
                }
            }
        }
    }
}

/// Whatever a path is turned into: what the server would serve to somebody with a token, it refuses without one.
async fn s27_no_garbled_path_goes_around_the_token(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    let stranger = app.scim.with_token(None);
    let mut runner = TestRunner::deterministic();
    let piece = prop::sample::select(vec![
        "/",
        "scim",
        "SCIM",
        "v2",
        "V2",
        "Users",
        "users",
        "..",
        ".",
        "%2e%2e",
        "%252F",
        "%2F",
        "%5C",
        ";",
        "Groups",
        "healthz",
        "%",
        "%2",
        "%zz",
        "%00",
        "%0a",
        "*",
        "~",
        "+",
        "@",
        ":",
        "scim/v2/Users",
        "/scim/v2/",
        "?",
        "%EF%BC%8F",
        "%C0%AF",
    ]);
    let garbled = prop::collection::vec(piece, 1..8).prop_map(|pieces| format!("/{}", pieces.concat()));
    let mut served = 0;
    for _ in 0..600 {
        let path = garbled.new_tree(&mut runner).expect("a path").current();
        let Ok(with) = app.scim.request(Method::GET, &path).at_root().try_send().await else { continue };
        let without = stranger.request(Method::GET, &path).at_root().try_send().await.expect("an answer");
        let open = ["/healthz", "/readyz"].contains(&path.split('?').next().unwrap_or_default());
        // The page of a person: a token is nothing there, and nobody is sent to the sign-in as to SCIM.
        let is_page = |answer: &Answer| answer.status == 303 && answer.location().starts_with("/sign-in");
        if open
            || is_foreign(&with)
            || with.status == 400 && is_foreign(&without)
            || is_page(&with) && is_page(&without)
        {
            continue;
        }
        served += 1;
        assert_eq!(without.status, 401, "{path}: {without}, with a token {with}");
        assert!(!String::from_utf8_lossy(&without.body).contains("ana@"), "{path}");
    }
    assert!(served > 50, "the paths say too little: {served}");
}

async fn s33_a_token_is_kept_only_as_a_hash(db: Db) {
    let app = TestApp::start(db).await;
    let token = app.scim.token().to_owned();
    assert!(token.len() >= "rcs_".len() + 43, "256 bits are 43 letters");
    let sql = app.sql().await;
    let stored = sql.texts("SELECT hash FROM scim_token").await;
    assert_eq!(stored, [token_hash(&token)]);
    let secret = &token[8..];
    for (table, column) in [("scim_token", "hint"), ("scim_token", "label"), ("audit_event", "COALESCE(after, '')")] {
        let texts = sql.texts(&format!("SELECT {column} FROM {table}")).await;
        assert!(texts.iter().all(|text| !text.contains(secret)), "{table}.{column}");
    }
}

async fn s33_only_the_whole_token_opens(db: Db) {
    let app = TestApp::start(db).await;
    let token = app.scim.token().to_owned();
    let last = if token.ends_with('A') { "B" } else { "A" };
    let wrong = [
        String::new(),
        "rcs_".to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{}{last}", &token[..token.len() - 1]),
        format!("{token}A"),
        token.to_uppercase(),
        token_hash(&token),
        "rcs_".to_owned() + &"A".repeat(10_000),
    ];
    for header in wrong.iter().flat_map(|token| [token.clone(), format!("Bearer {token}")]) {
        let answer = app.scim.request(Method::GET, "/Users").header("authorization", Some(&header)).send().await;
        answer.expect_error(401);
    }
    for header in [format!("Basic {token}"), format!("Bearer {token} {token}"), format!("Bearer  x{token}")] {
        app.scim.request(Method::GET, "/Users").header("authorization", Some(&header)).send().await.expect_error(401);
    }
    for header in [format!("bearer {token}"), format!("BEARER  {token}"), token.clone()] {
        app.scim.request(Method::GET, "/Users").header("authorization", Some(&header)).send().await.expect(200);
    }
    let in_query = app.scim.with_token(None).get(&format!("/Users?access_token={token}")).await;
    in_query.expect_error(401);
}

async fn s33_tokens_overlap_expire_and_are_revoked(db: Db) {
    let app = TestApp::start(db).await;
    let core = app.core();
    let connection = core.connection(&app.account, &slug("idp")).await.expect("the connection");
    let day = Duration::from_hours(24);
    let (_, short) = core.create_token(&connection, "short", Some(day)).await.expect("a token");
    let (long_token, long) = core.create_token(&connection, "long", None).await.expect("a token");
    let (short, long) = (app.scim.with_token(Some(short.expose())), app.scim.with_token(Some(long.expose())));
    for scim in [&app.scim, &short, &long] {
        scim.get("/Users").await.expect(200);
    }
    app.clock.advance(Duration::from_mins(23 * 60 + 59));
    short.get("/Users").await.expect(200);
    app.clock.advance(Duration::from_mins(1));
    short.get("/Users").await.expect_error(401);
    long.get("/Users").await.expect(200);
    core.revoke_token(&app.account, &long_token.id.to_string()).await.expect("revoked");
    long.get("/Users").await.expect_error(401);
    app.scim.get("/Users").await.expect(200);
    let used = async || {
        let tokens = core.list_tokens(&app.account, &Selection::default()).await.expect("tokens");
        tokens.iter().all(|token| token.last_used_at.is_some())
    };
    wait_until(Duration::from_secs(20), "the last use of each is written", used).await;
}

async fn s33_a_disabled_connection_is_shut(db: Db) {
    let app = TestApp::start(db).await;
    let set = |enabled| {
        let settings = ConnectionSettings { enabled: Some(enabled), ..ConnectionSettings::default() };
        async { app.core().set_connection(&app.account, &slug("idp"), settings).await.expect("set") }
    };
    set(false).await;
    app.scim.get("/Users").await.expect_error(401);
    set(true).await;
    app.scim.get("/Users").await.expect(200);
}

/// The answer to a stranger is one and the same, whatever is wrong, so that nothing can be learned from it.
async fn s43_strangers_learn_nothing(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let revoked = {
        let connection = app.core().connection(&app.account, &slug("idp")).await.expect("the connection");
        let (token, secret) = app.core().create_token(&connection, "old", None).await.expect("a token");
        app.core().revoke_token(&app.account, &token.id.to_string()).await.expect("revoked");
        app.scim.with_token(Some(secret.expose()))
    };
    let expired = {
        let connection = app.core().connection(&app.account, &slug("idp")).await.expect("the connection");
        let hour = Some(Duration::from_hours(1));
        let (_, secret) = app.core().create_token(&connection, "short", hour).await.expect("a token");
        app.clock.advance(Duration::from_hours(2));
        app.scim.with_token(Some(secret.expose()))
    };
    let disabled = app.connect("disabled").await;
    app.command(&["connection", "set", "disabled", "--disable"]).await;
    let nobody = app.scim.with_token(None);
    let wrong = app.scim.with_token(Some("rcs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let mut seen: Vec<serde_json::Value> = Vec::new();
    for scim in [&nobody, &wrong, &revoked, &expired, &disabled] as [&Scim; 5] {
        for path in [format!("/Users/{id}"), "/Users/none".to_owned(), "/Nothing".to_owned()] {
            seen.push(scim.get(&path).await.expect(401));
        }
    }
    assert!(seen.iter().all(|body| *body == seen[0]), "{seen:#?}");
}

on_both_databases!(
    s27_every_scim_path_needs_a_token,
    s27_no_garbled_path_goes_around_the_token,
    s33_a_token_is_kept_only_as_a_hash,
    s33_only_the_whole_token_opens,
    s33_tokens_overlap_expire_and_are_revoked,
    s33_a_disabled_connection_is_shut,
    s43_strangers_learn_nothing,
);
