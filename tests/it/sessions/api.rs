//! The JSON API: who is asked, people, sessions, keys, and other accounts.

use http::Method;
use rollcall::domain::Role;
use rollcall::service::api_keys::NewApiKey;
use rollcall::store::accounts::Account;
use rollcall::store::sessions::IdpSession;
use serde_json::{Value, json};

use super::{ANA, Ana, OWNER, app, owner, sign_in};
use crate::support::{Answer, Db, TestApp, encoded, on_both_databases};

async fn key(app: &TestApp, account: &Account, role: Role) -> String {
    let wanted = NewApiKey { name: "test".to_owned(), role, lifetime: None };
    let (_, secret) = app.core().create_api_key(account.id, None, wanted, "").await.unwrap();
    secret.expose().to_owned()
}

async fn ask(app: &TestApp, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let mut draft = app.scim.with_token(Some(key)).request(method, "").path(path);
    if let Some(body) = body {
        draft = draft.body(body.to_string()).header("content-type", Some("application/json"));
    }
    draft.send().await
}

async fn get(app: &TestApp, key: &str, path: &str) -> Answer {
    ask(app, key, Method::GET, path, None).await
}

async fn me_says_who_asks(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let mut browser = app.browser().with_session(sign_in(&app, &ana.user, IdpSession::default()).await.expose());
    let me = browser.api(Method::GET, "/api/v1/me", None).await.expect(200);
    let expected = json!({"id": ana.user, "userName": ANA, "email": ANA, "role": "agent", "account": "default", "connection": "idp"});
    assert_eq!(me, expected);
    let admin = key(&app, &app.account, Role::Admin).await;
    let me = get(&app, &admin, "/api/v1/me").await.expect(200);
    let expected =
        json!({"id": null, "userName": null, "email": null, "role": "admin", "account": "default", "connection": null});
    assert_eq!(me, expected);
    for wrong in ["rck_wrong", "", app.scim.token()] {
        let refused = get(&app, wrong, "/api/v1/me").await;
        refused.has_status(401);
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    let mut stranger = app.browser();
    stranger.api(Method::GET, "/api/v1/me", None).await.has_status(401);
    app.scim.set_active(&ana.user, false).await;
    browser.api(Method::GET, "/api/v1/me", None).await.has_status(401);
    // A key opens the API, and SCIM does not take it.
    app.scim.with_token(Some(&admin)).get("/Users").await.expect(401);
}

async fn people_are_listed_by_pages(db: Db) {
    let app = app(db).await;
    let ids = app.scim.add_users("p", 7).await;
    let ana = Ana::with_access(&app).await;
    let gone = app.scim.add_user("gone@acme.example").await;
    app.scim.delete(&format!("/Users/{gone}")).await.expect(204);
    owner(&app).await;
    let supervisor = key(&app, &app.account, Role::Supervisor).await;
    let (mut found, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let query = cursor.map_or_else(String::new, |cursor| format!("&cursor={}", encoded(&cursor)));
        let page = get(&app, &supervisor, &format!("/api/v1/users?limit=3{query}")).await.expect(200);
        found.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (9, 3));
    let listed: Vec<&str> = found.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| listed.contains(&id.as_str())) && !listed.contains(&gone.as_str()));
    let of = |id: &str| found.iter().find(|item| item["id"] == json!(id)).unwrap();
    let expected = json!({"id": ana.user, "userName": ANA, "email": ANA, "role": "agent", "status": "active",
        "worker": {"sid": null, "state": "pending"}});
    assert_eq!(of(&ana.user), &expected);
    assert_eq!(of(&ids[0])["worker"], json!({"sid": null, "state": null}));
    assert!(found.iter().any(|item| item["userName"] == json!(OWNER) && item["role"] == json!("owner")));
    for wrong in ["limit=0", "limit=x", "limit=501", "cursor=x"] {
        get(&app, &supervisor, &format!("/api/v1/users?{wrong}")).await.has_status(400);
    }
    let agent = key(&app, &app.account, Role::Agent).await;
    get(&app, &agent, "/api/v1/users").await.has_status(403);
}

async fn sessions_are_listed_and_ended(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    let (one, two) =
        (sign_in(&app, &ana.user, IdpSession::default()).await, sign_in(&app, &ana.user, IdpSession::default()).await);
    let mut browser = app.browser().with_session(one.expose());
    let list = browser.api(Method::GET, "/api/v1/sessions", None).await.expect(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|item| item["current"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    assert_eq!((&items[0]["means"], &items[0]["address"]), (&json!("saml"), &json!("203.0.113.9")));
    assert!(!list.to_string().contains("rco_"));
    let mut owners = owner(&app).await;
    let owners_id = owners.api(Method::GET, "/api/v1/sessions", None).await.expect(200)["items"][0]["id"].clone();
    let path = |id: &Value| format!("/api/v1/sessions/{}", id.as_str().unwrap());
    browser.api(Method::DELETE, &path(&owners_id), None).await.has_status(404);
    browser.api(Method::DELETE, &path(&items[0]["id"]), None).await.has_status(204);
    browser.api(Method::DELETE, &path(&items[0]["id"]), None).await.has_status(404);
    app.browser().with_session(two.expose()).api(Method::GET, "/api/v1/me", None).await.has_status(401);
    let others = format!("/api/v1/sessions?user={}", ana.user);
    assert_eq!(owners.api(Method::GET, &others, None).await.expect(200)["items"].as_array().unwrap().len(), 1);
    let owners_user = owners.api(Method::GET, "/api/v1/me", None).await.expect(200)["id"].as_str().unwrap().to_owned();
    let forbidden = format!("/api/v1/sessions?user={owners_user}");
    browser.api(Method::GET, &forbidden, None).await.has_status(404);
    browser.api(Method::DELETE, &forbidden, None).await.has_status(404);
    owners.api(Method::DELETE, &others, None).await.has_status(204);
    browser.api(Method::GET, "/api/v1/me", None).await.has_status(401);
    owners.api(Method::DELETE, "/api/v1/sessions", None).await.has_status(204);
    owners.api(Method::GET, "/api/v1/me", None).await.has_status(401);
}

async fn keys_do_no_more_than_their_makers(db: Db) {
    let app = app(db).await;
    let mut browser = owner(&app).await;
    let made = browser
        .api(Method::POST, "/api/v1/api-keys", Some(&json!({"name": "report", "role": "admin", "expiresInDays": 30})))
        .await;
    let made = made.expect(201);
    let secret = made["key"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("rck_") && secret.len() == 47);
    let stored = app.sql().await.texts("SELECT hash || name || hint FROM api_key").await.join(" ");
    assert!(!stored.contains(&secret));
    let me = get(&app, &secret, "/api/v1/me").await.expect(200);
    assert_eq!((&me["userName"], &me["role"]), (&json!(OWNER), &json!("admin")));
    let list = get(&app, &secret, "/api/v1/api-keys").await.expect(200);
    assert_eq!(list["items"][0]["name"], json!("report"));
    assert!(!list.to_string().contains(&secret));
    ask(&app, &secret, Method::POST, "/api/v1/api-keys", Some(&json!({"role": "agent"}))).await.has_status(403);
    for wrong in [json!({}), json!({"role": "root"}), json!({"role": "agent", "isOwner": true}), json!([])] {
        browser.api(Method::POST, "/api/v1/api-keys", Some(&wrong)).await.has_status(400);
    }
    let path = format!("/api/v1/api-keys/{}", made["id"].as_str().unwrap());
    browser.api(Method::DELETE, &path, None).await.has_status(204);
    get(&app, &secret, "/api/v1/me").await.has_status(401);
    app.clock.advance(std::time::Duration::from_mins(6));
    browser.api(Method::DELETE, &path, None).await.has_status(403);
    let commanded = app.command(&["api-key", "create", "--role", "supervisor", "--expires-in", "1"]).await;
    let commanded = commanded.trim().to_owned();
    assert_eq!(get(&app, &commanded, "/api/v1/me").await.expect(200)["role"], json!("supervisor"));
    let listed = app.command(&["api-key", "list", "--all"]).await;
    assert!(listed.contains("revoked") && listed.contains("supervisor") && !listed.contains(&commanded), "{listed}");
    app.clock.advance(std::time::Duration::from_hours(25));
    get(&app, &commanded, "/api/v1/me").await.has_status(401);
}

async fn s46_a_persons_key_ends_with_the_persons_access(db: Db) {
    let app = app(db).await;
    let rules = "[[rule]]\nname = \"admins\"\nwhen = 'groups.display eq \"CC Agents\"'\nrole = \"admin\"\n";
    app.import_rules(rules).await;
    let more = rollcall::service::connections::ConnectionSettings {
        may_grant: Some(vec![Role::Admin]),
        ..rollcall::service::connections::ConnectionSettings::default()
    };
    app.core().set_connection(&app.account, &crate::support::slug("idp"), more).await.unwrap();
    let ana = Ana::with_access(&app).await;
    let mut browser = app.browser().with_session(sign_in(&app, &ana.user, IdpSession::default()).await.expose());
    browser.api(Method::POST, "/api/v1/api-keys", Some(&json!({"role": "owner"}))).await.has_status(403);
    let made = browser.api(Method::POST, "/api/v1/api-keys", Some(&json!({"role": "admin"}))).await.expect(201);
    let secret = made["key"].as_str().unwrap();
    get(&app, secret, "/api/v1/users").await.has_status(200);
    app.scim.set_active(&ana.user, false).await;
    get(&app, secret, "/api/v1/users").await.has_status(401);
    app.scim.set_active(&ana.user, true).await;
    get(&app, secret, "/api/v1/users").await.has_status(401);
}

/// Everything of another account is as good as missing, by every route that names something.
async fn s66_another_accounts_things_are_missing(db: Db) {
    let app = app(db).await;
    let ana = Ana::with_access(&app).await;
    sign_in(&app, &ana.user, IdpSession::default()).await;
    let theirs = app.add_account("acme-uk").await;
    let (ours, other) = (key(&app, &app.account, Role::Owner).await, key(&app, &theirs, Role::Owner).await);
    let sql = app.sql().await;
    let session = sql.texts("SELECT id FROM session").await.remove(0);
    let our_key = sql.texts(&format!("SELECT id FROM api_key WHERE account_id = '{}'", app.account.id)).await.remove(0);
    assert_eq!(get(&app, &other, "/api/v1/users").await.expect(200)["items"], json!([]));
    assert_eq!(get(&app, &other, "/api/v1/api-keys").await.expect(200)["items"].as_array().unwrap().len(), 1);
    let whose = format!("/api/v1/sessions?user={}", ana.user);
    assert_eq!(get(&app, &other, &whose).await.expect(200)["items"], json!([]));
    ask(&app, &other, Method::DELETE, &whose, None).await;
    for path in [format!("/api/v1/sessions/{session}"), format!("/api/v1/api-keys/{our_key}")] {
        ask(&app, &other, Method::DELETE, &path, None).await.has_status(404);
    }
    let page = get(&app, &ours, "/api/v1/users?limit=1").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    app.scim.add_user("second@acme.example").await;
    let page = get(&app, &ours, "/api/v1/users?limit=1").await.expect(200);
    let cursor = encoded(page["next"].as_str().unwrap());
    get(&app, &other, &format!("/api/v1/users?cursor={cursor}")).await.has_status(400);
    get(&app, &ours, &format!("/api/v1/users?cursor={cursor}")).await.has_status(200);
    assert_eq!(sql.number("SELECT COUNT(*) FROM session WHERE ended_at IS NULL").await, 1);
    assert_eq!(get(&app, &ours, "/api/v1/api-keys").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

on_both_databases!(
    me_says_who_asks,
    people_are_listed_by_pages,
    sessions_are_listed_and_ended,
    keys_do_no_more_than_their_makers,
    s46_a_persons_key_ends_with_the_persons_access,
    s66_another_accounts_things_are_missing,
);
