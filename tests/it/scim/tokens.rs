//! Tokens that commands make and revoke while the server runs.

use rollcall::store::credentials::Selection;

use crate::support::{Db, TestApp, on_both_databases};

async fn what_a_command_does_holds_for_the_next_request(db: Db) {
    let app = TestApp::start(db).await;
    let token = app.command(&["token", "create", "--connection", "idp"]).await;
    assert!(token.starts_with("rcs_") && !token.contains(char::is_whitespace), "only the token is printed: {token}");
    let scim = app.scim.with_token(Some(&token));
    scim.get("/Users").await.expect(200);
    let id = app
        .core()
        .list_tokens(&app.account, &Selection::default())
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

async fn lists_have_what_opens_something(db: Db) {
    let app = TestApp::start(db).await;
    app.command(&["token", "create", "--connection", "idp", "--label", "second"]).await;
    app.command(&["token", "create", "--connection", "idp", "--label", "third"]).await;
    let labels = async |arguments: &[&str]| {
        let list = app.command(&[&["token", "list"], arguments].concat()).await;
        list.lines().skip(1).map(|line| line.split_whitespace().last().expect("a label").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&[]).await, ["test", "second", "third"]);
    assert_eq!(labels(&["-n", "2"]).await, ["second", "third"], "the newest");
    let tokens = app.core().list_tokens(&app.account, &Selection::default()).await.expect("tokens");
    app.command(&["token", "revoke", &tokens[1].id.to_string()]).await;
    assert_eq!(labels(&[]).await, ["test", "third"]);
    assert_eq!(labels(&["--all", "--connection", "idp"]).await, ["test", "second", "third"]);
    let sql = app.sql().await;
    if db == Db::Postgres {
        // A small table is read as a whole, whatever indexes it has.
        for switch in ["enable_seqscan", "enable_bitmapscan", "enable_sort"] {
            sql.run(&format!("SET {switch} = off")).await.expect("set");
        }
    }
    let (explain, column) = if db == Db::Sqlite { ("EXPLAIN QUERY PLAN", 3) } else { ("EXPLAIN", 0) };
    for table in ["scim_token", "oauth_client"] {
        for (condition, index) in [
            ("account_id = 'a' ORDER BY id DESC", "account"),
            (
                "expires_at > 1 AND expires_at <= 2 AND expires_at IS NOT NULL AND revoked_at IS NULL ORDER BY expires_at",
                "expiry",
            ),
        ] {
            let query = format!("{explain} SELECT * FROM {table} WHERE {condition} LIMIT 5 + 0");
            let rows = sql.rows(&query).await;
            let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(column).expect("a plan")).collect();
            assert!(plan.join("\n").contains(&format!("{table}_{index}")), "{query}: {plan:?}");
        }
    }
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
    lists_have_what_opens_something,
    a_dialect_that_a_command_sets_holds_for_the_next_request,
);
