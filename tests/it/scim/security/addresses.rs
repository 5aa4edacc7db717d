//! Where requests may come from.

use http::Method;
use serde_json::json;

use crate::support::{Answer, Db, Scim, TestApp, on_both_databases};

async fn from(scim: &Scim, forwarded: &str) -> Answer {
    scim.request(Method::GET, "/Users").header("x-forwarded-for", Some(forwarded)).send().await
}

async fn s32_a_connection_takes_requests_from_its_own_addresses_only(db: Db) {
    let app = TestApp::start(db).await;
    let other = app.connect("other").await;
    app.command(&["connection", "set", "idp", "--allow-ip", "203.0.113.0/24,2001:db8::/32"]).await;
    let (_, detail) = app.scim.get("/Users").await.expect_error(403);
    assert!(detail.contains("127.0.0.1"), "{detail}");
    // Nobody said that this peer is a proxy: what it says of others is not believed.
    from(&app.scim, "203.0.113.9").await.expect_error(403);
    app.scim.post("/Users", &json!({"userName": "x"})).await.expect_error(403);
    other.get("/Users").await.expect(200);
    // Without a good token there is nothing to be learned about addresses.
    app.scim.with_token(Some("rcs_wrong")).get("/Users").await.expect_error(401);
    app.command(&["connection", "set", "idp", "--allow-ip", "127.0.0.0/8"]).await;
    assert_eq!(app.scim.get("/Users").await.total(), 0);
    let list = app.command(&["connection", "list"]).await;
    assert!(list.lines().any(|line| line.starts_with("idp") && line.contains("127.0.0.0/8")), "{list}");
    assert!(list.lines().any(|line| line.starts_with("other") && line.contains("any")), "{list}");
    app.command(&["connection", "set", "idp", "--allow-ip", "203.0.113.0/24"]).await;
    app.scim.get("/Users").await.expect_error(403);
    app.command(&["connection", "set", "idp", "--allow-ip", "any"]).await;
    app.scim.get("/Users").await.expect(200);
}

async fn s58_a_trusted_proxy_says_where_a_request_comes_from(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8").start().await;
    let made = app.command(&["client", "create", "--connection", "idp"]).await;
    app.command(&["connection", "set", "idp", "--allow-ip", "203.0.113.0/24"]).await;
    for (forwarded, allowed) in [
        ("203.0.113.9", true),
        ("198.51.100.7, 203.0.113.9", true),
        ("203.0.113.9, 10.1.1.1", true),
        ("203.0.113.9, 198.51.100.7", false),
        ("198.51.100.7", false),
        ("10.1.1.1", false),
        ("unknown", false),
        ("", false),
    ] {
        assert_eq!(from(&app.scim, forwarded).await.status, if allowed { 200 } else { 403 }, "{forwarded}");
    }
    app.scim.get("/Users").await.expect_error(403);
    let value = |name: &str| made.lines().find_map(|line| line.strip_prefix(name)).expect("a line").to_owned();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        value("client_id="),
        value("client_secret=")
    );
    for (forwarded, status) in [("203.0.113.9", 200), ("198.51.100.7", 400)] {
        let draft = app.scim.with_token(None).request(Method::POST, "/oauth/token").at_root();
        let draft = draft.header("content-type", Some("application/x-www-form-urlencoded"));
        let answer = draft.header("x-forwarded-for", Some(forwarded)).body(form.clone()).send().await;
        assert_eq!(answer.status, status, "{answer}");
        assert!(status == 200 || answer.json()["error"] == json!("unauthorized_client"), "{answer}");
    }
}

on_both_databases!(
    s32_a_connection_takes_requests_from_its_own_addresses_only,
    s58_a_trusted_proxy_says_where_a_request_comes_from,
);
