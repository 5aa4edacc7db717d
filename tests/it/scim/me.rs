//! `/Me` (RFC 7644 §3.11).

use http::Method;
use serde_json::json;

use crate::support::{Db, Scim, TestApp, on_both_databases};

async fn token_of(app: &TestApp, user_name: &str) -> Scim {
    let token = app.command(&["token", "create", "--connection", "idp", "--user", user_name]).await;
    app.scim.with_token(Some(&token))
}

async fn a_token_that_stands_for_a_user_reads_that_user(db: Db) {
    let app = TestApp::start(db).await;
    let path = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    app.scim.add_user("bob@acme.example").await;
    let ana = token_of(&app, "ANA@acme.example").await;
    for query in ["", "?attributes=userName,emails", "?excludedAttributes=emails"] {
        let (me, user) = (ana.get(&format!("/Me{query}")).await, app.scim.get(&format!("{path}{query}")).await);
        assert_eq!(me.expect(200), user.expect(200));
        assert_eq!(me.header("etag"), user.header("etag"));
        assert_eq!(me.header("location"), user.header("location"));
        assert!(me.header("location").is_some_and(|location| location.ends_with(&path)));
    }
    let tag = ana.get("/Me").await.header("etag").expect("a version").to_owned();
    let again = ana.request(Method::GET, "/Me").header("if-none-match", Some(&tag)).send().await;
    assert_eq!(again.status, 304);
    ana.get("/Me/").await.expect(200);
    let list = app.command(&["token", "list"]).await;
    assert!(list.lines().any(|line| line.contains("  me  ")), "{list}");
}

async fn s32_a_token_that_stands_for_a_user_does_nothing_else(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let ana = token_of(&app, "ana@acme.example").await;
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/ResourceTypes/User"] {
        ana.get(path).await.expect(200);
    }
    let user = format!("/Users/{id}");
    for path in ["/Users", &user, "/Groups", "/Me/x", "/Nothing", "/Bulk", ""] {
        ana.get(path).await.expect_error(403);
    }
    let body = json!({"userName": "ana@acme.example", "active": false, "title": "Owner"});
    for path in ["/Me", "/Users", &user, "/Users/.search", "/.search", "/Bulk", "/Schemas"] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            ana.request(method, path).json(&body).send().await.expect_error(403);
        }
    }
    assert_eq!(app.scim.get(&user).await.expect(200)["active"], json!(true));
    // A token of the connection stands for nobody.
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        app.scim.request(method, "/Me").json(&body).send().await.expect_error(404);
    }
}

async fn s46_a_token_ends_with_its_user(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let ana = token_of(&app, "ana@acme.example").await;
    ana.get("/Me").await.expect(200);
    app.scim.set_active(&id, false).await;
    ana.get("/Me").await.expect_error(401);
    ana.get("/Schemas").await.expect_error(401);
    app.scim.set_active(&id, true).await;
    ana.get("/Me").await.expect(200);
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    ana.get("/Me").await.expect_error(401);
    // Whoever gets the name next is somebody else.
    app.scim.add_user("ana@acme.example").await;
    ana.get("/Me").await.expect_error(401);
}

on_both_databases!(
    a_token_that_stands_for_a_user_reads_that_user,
    s32_a_token_that_stands_for_a_user_does_nothing_else,
    s46_a_token_ends_with_its_user,
);
