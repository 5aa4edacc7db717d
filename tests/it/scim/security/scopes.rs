//! What a token may do.

use std::time::Duration;

use http::Method;
use rollcall::base::Timestamp;
use rollcall::domain::Scope;
use rollcall::service::tokens::NewToken;
use rollcall::store::credentials::Selection;
use serde_json::json;

use crate::support::{Db, Scim, TestApp, USER, on_both_databases, slug};

async fn token(app: &TestApp, wanted: NewToken) -> (String, Scim) {
    let connection = app.core().connection(&app.account, &slug("idp")).await.expect("the connection");
    let (token, secret) = app.core().create_token_with(&connection, wanted).await.expect("a token");
    (token.id.to_string(), app.scim.with_token(Some(secret.expose())))
}

async fn s33_a_read_token_changes_nothing(db: Db) {
    let app = TestApp::start(db).await;
    let user = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let group = format!("/Groups/{}", app.scim.add_group("Agents", &[]).await);
    let (_, reader) = token(&app, NewToken { scope: Scope::Read, ..NewToken::default() }).await;
    let before = (app.scim.get(&user).await.expect(200), app.scim.get(&group).await.expect(200));
    for path in [&user, &group, "/Users", "/Groups", "/Schemas", "/ServiceProviderConfig"] {
        reader.get(path).await.expect(200);
    }
    let body = json!({"schemas": [USER], "userName": "bob@acme.example", "displayName": "x", "active": false});
    for path in [&user, &group, "/Users", "/Groups", "/Bulk", "/Me", "/Nothing", "/users/.search/x", "//Users/"] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = reader.request(method.clone(), path).json(&body).send().await;
            let (_, detail) = answer.expect_error(403);
            assert!(detail.contains("--scope write"), "{method} {path}: {detail}");
        }
    }
    assert_eq!((app.scim.get(&user).await.expect(200), app.scim.get(&group).await.expect(200)), before);
    assert_eq!(app.scim.get("/Users").await.total(), 1);
    // A search by POST reads.
    for path in ["/.search", "/Users/.search", "/Groups/.search"] {
        let answer = reader.post(path, &json!({})).await;
        assert_ne!(answer.status, 403, "{path}: {answer}");
    }
    let (_, writer) = token(&app, NewToken { scope: Scope::Write, ..NewToken::default() }).await;
    writer.post("/Users", &body).await.created();
}

async fn s33_a_rotated_token_overlaps_with_its_successor(db: Db) {
    let app = TestApp::start(db).await;
    let wanted = NewToken {
        label: "Okta".to_owned(),
        lifetime: Some(Duration::from_hours(24 * 365)),
        scope: Scope::Read,
        user: None,
    };
    let (id, old) = token(&app, wanted).await;
    let new = app.command(&["token", "rotate", &id, "--overlap", "24h"]).await;
    assert!(new.starts_with("rcs_") && !new.contains(char::is_whitespace), "only the token is printed: {new}");
    let new = app.scim.with_token(Some(&new));
    old.get("/Users").await.expect(200);
    new.get("/Users").await.expect(200);
    new.delete("/Users/x").await.expect_error(403);
    let (mut tokens, now) = (
        app.core().list_tokens(&app.account, &Selection::default()).await.expect("tokens"),
        app.core().ambient().now(),
    );
    let successor = tokens.pop().expect("the successor");
    assert_eq!((successor.label.as_str(), successor.scope), ("Okta", Scope::Read));
    let lifetime = successor.expires_at.map(|end: Timestamp| end.since(successor.created_at));
    assert_eq!(lifetime, Some(Duration::from_hours(24 * 365)));
    let replaced = tokens.iter().find(|token| token.id.to_string() == id).expect("the old one");
    assert_eq!(replaced.replaced_by, Some(successor.id));
    assert!(replaced.expires_at < Some(now.after(Duration::from_hours(25))));
    let again = app.core().rotate_token(&app.account, &id, Duration::ZERO, None).await;
    assert!(again.expect_err("it has a successor").to_string().contains("replaced already"));
}

async fn s33_an_overlap_ends(db: Db) {
    let app = TestApp::start(db).await;
    let (id, old) = token(&app, NewToken::default()).await;
    let rotated = app.core().rotate_token(&app.account, &id, Duration::from_hours(24), None).await;
    let (successor, secret) = rotated.expect("a successor");
    let new = app.scim.with_token(Some(secret.expose()));
    assert_eq!(successor.expires_at, None, "as the old one");
    app.clock.advance(Duration::from_mins(24 * 60 - 5));
    old.get("/Users").await.expect(200);
    app.clock.advance(Duration::from_mins(5));
    old.get("/Users").await.expect_error(401);
    new.get("/Users").await.expect(200);
    // An end that was near is not put off.
    let (id, short) = token(&app, NewToken { lifetime: Some(Duration::from_hours(1)), ..NewToken::default() }).await;
    app.core().rotate_token(&app.account, &id, Duration::from_hours(24), None).await.expect("a successor");
    app.clock.advance(Duration::from_hours(1));
    short.get("/Users").await.expect_error(401);
    let ended = app.core().rotate_token(&app.account, &id, Duration::ZERO, None).await;
    assert!(ended.expect_err("it has ended").to_string().contains("has ended"));
    let actions =
        app.sql().await.texts("SELECT action FROM audit_event WHERE target_kind = 'token' ORDER BY seq").await;
    assert_eq!(actions.iter().filter(|action| *action == "token.rotate").count(), 2, "{actions:?}");
}

on_both_databases!(
    s33_a_read_token_changes_nothing,
    s33_a_rotated_token_overlaps_with_its_successor,
    s33_an_overlap_ends,
);
