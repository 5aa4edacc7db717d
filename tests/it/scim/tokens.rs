//! Tokens that commands make and revoke while the server runs.

use crate::support::{Db, TestApp, on_both_databases};

async fn what_a_command_does_holds_for_the_next_request(db: Db) {
    let app = TestApp::start(db).await;
    let token = app.command(&["token", "create", "--connection", "idp"]).await;
    assert!(token.starts_with("rcs_") && !token.contains(char::is_whitespace), "only the token is printed: {token}");
    let scim = app.scim.with_token(Some(&token));
    scim.get("/Users").await.expect(200);
    let id = app
        .core()
        .list_tokens(&app.account, None)
        .await
        .expect("tokens")
        .into_iter()
        .find(|token| token.label != "test")
        .expect("the token of the command")
        .id;
    app.command(&["token", "revoke", &id.to_string()]).await;
    scim.get("/Users").await.expect_error(401);
    app.scim.get("/Users").await.expect(200);
    app.command(&["connection", "set", "idp", "--disable"]).await;
    app.scim.get("/Users").await.expect_error(401);
    app.command(&["connection", "set", "idp", "--enable"]).await;
    app.scim.get("/Users").await.expect(200);
}

async fn a_dialect_that_a_command_sets_holds_for_the_next_request(db: Db) {
    let app = TestApp::start(db).await;
    let path = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let operations = serde_json::json!([{"op": "Replace", "path": "active", "value": "False"}]);
    app.command(&["connection", "set", "idp", "--dialect", "strict"]).await;
    app.scim.patch(&path, &operations).await.expect_error(400);
    app.command(&["connection", "set", "idp", "--dialect", "auto"]).await;
    app.scim.patch(&path, &operations).await.expect(200);
}

on_both_databases!(
    what_a_command_does_holds_for_the_next_request,
    a_dialect_that_a_command_sets_holds_for_the_next_request,
);
