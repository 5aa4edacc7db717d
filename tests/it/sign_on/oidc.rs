//! OpenID Connect.

use http::Method;
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::sign_in::{OidcSetup, SsoSetup};
use serde_json::json;
use url::form_urlencoded;

use super::{app, last_refusal, me};
use crate::support::op::{CLIENT_ID, CLIENT_SECRET, Op};
use crate::support::{Answer, Browser, Db, TestApp, on_both_databases, slug};

async fn add(app: &TestApp, name: &str) -> Op {
    let op = Op::start(app.core().ambient().clone()).await;
    op.person(json!({"sub": "ana-1", "email": "ana@acme.example", "email_verified": true, "name": "Ana Moreno",
        "groups": ["Agents"], "sid": "s-1"}));
    let setup = OidcSetup {
        issuer: Some(op.issuer()),
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        ..OidcSetup::default()
    };
    let setups = vec![SsoSetup::Oidc(Box::new(setup))];
    app.core()
        .add_connection_with(&app.account, slug(name), ConnectionSettings::default(), setups, "test")
        .await
        .unwrap();
    op
}

/// Up to the address of the callback, with its query.
async fn answered(op: &Op, browser: &mut Browser, name: &str) -> String {
    let login = browser.get(&format!("/sso/oidc/{name}/login?to=%2Fpeople")).await;
    op.sign_in(login.has_status(303).location()).await
}

async fn sign_in(op: &Op, browser: &mut Browser, name: &str) -> Answer {
    let query = answered(op, browser, name).await;
    browser.get(&format!("/sso/oidc/{name}/callback?{query}")).await
}

async fn the_first_sign_in_makes_user_and_worker(db: Db) {
    let app = app(db).await;
    let op = add(&app, "corp").await;
    let mut browser = app.browser();
    assert_eq!(sign_in(&op, &mut browser, "corp").await.has_status(303).location(), "/people");
    let me = me(&mut browser).await.expect("signed in");
    assert_eq!(
        (&me["userName"], &me["role"], &me["email"]),
        (&json!("ana@acme.example"), &json!("agent"), &json!("ana@acme.example"))
    );
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 1);
}

async fn s20_an_answer_counts_once_and_for_the_browser_that_asked(db: Db) {
    let app = app(db).await;
    let op = add(&app, "corp").await;
    let (mut browser, mut thief) = (app.browser(), app.browser());
    let query = answered(&op, &mut browser, "corp").await;
    answered(&op, &mut thief, "corp").await;
    let callback = format!("/sso/oidc/corp/callback?{query}");
    thief.get(&callback).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "request");
    browser.get(&callback).await.has_status(303);
    app.browser().get(&callback).await.has_status(403);
    let mut again = browser.clone();
    again.cookies.remove("__Host-rollcall");
    again.get(&callback).await.has_status(403);
    assert_eq!(me(&mut again).await, None);
    assert_eq!(op.count("/token"), 1, "nobody else's code was redeemed");
    app.settled().await;
}

async fn s24_an_answer_of_another_connection_is_refused(db: Db) {
    let app = app(db).await;
    let (one, other) = (add(&app, "one").await, add(&app, "other").await);
    let mut browser = app.browser();
    let query = answered(&one, &mut browser, "one").await;
    browser.get(&format!("/sso/oidc/other/callback?{query}")).await.has_status(403);
    assert_eq!(other.count("/token"), 0, "the code went to nobody");
    assert_eq!(me(&mut browser).await, None);
    app.settled().await;
}

async fn s22_an_address_that_nobody_vouches_for_is_none(db: Db) {
    let app = app(db).await;
    let op = add(&app, "corp").await;
    let connection = app.core().connection(&app.account, &slug("corp")).await.unwrap();
    let scim = app.connect_to(&connection).await;
    scim.add_user("boss@acme.example").await;
    for verified in [json!(false), json!("true"), json!(null)] {
        op.person(
            json!({"sub": "evil", "email": "boss@acme.example", "email_verified": verified, "groups": ["Agents"]}),
        );
        let mut browser = app.browser();
        sign_in(&op, &mut browser, "corp").await.has_status(403);
        assert_eq!(me(&mut browser).await, None, "{verified}");
    }
    app.settled().await;
}

async fn s26_the_provider_ends_sessions(db: Db) {
    let app = app(db).await;
    let op = add(&app, "corp").await;
    let (mut browser, mut other) = (app.browser(), app.browser());
    sign_in(&op, &mut browser, "corp").await.has_status(303);
    op.person(json!({"sub": "ana-1", "email": "ana@acme.example", "email_verified": true, "groups": ["Agents"], "sid": "s-2"}));
    sign_in(&op, &mut other, "corp").await.has_status(303);
    let token = op.sign(op.logout_draft(json!({"sub": "ana-1", "sid": "s-1"})));
    let send = async |token: &str| {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
        let kind = Some("application/x-www-form-urlencoded");
        app.browser().send(Method::POST, "/sso/oidc/corp/backchannel-logout", kind, Some(body)).await
    };
    send("e30.e30.x").await.has_status(400);
    send(&op.sign(op.draft(json!({"sub": "ana-1"})))).await.has_status(400);
    assert!(me(&mut browser).await.is_some());
    send(&token).await.has_status(200);
    assert_eq!(me(&mut browser).await, None);
    assert!(me(&mut other).await.is_some(), "another session");
    send(&token).await.has_status(400);
    assert_eq!(last_refusal(&app).await.0, "replay");
    send(&op.sign(op.logout_draft(json!({"sub": "ana-1"})))).await.has_status(200);
    assert_eq!(me(&mut other).await, None, "all of the person");
    app.settled().await;
}

async fn signing_out_goes_on_to_the_provider(db: Db) {
    let app = app(db).await;
    let op = add(&app, "corp").await;
    let mut browser = app.browser();
    sign_in(&op, &mut browser, "corp").await.has_status(303);
    browser.get("/").await.has_status(200);
    let page = browser.post("/sign-out", &[]).await.has_status(200).text();
    assert!(page.contains("/logout?id_token_hint="), "{page}");
    app.settled().await;
}

async fn the_address_leads_to_the_connection(db: Db) {
    let app = app(db).await;
    add(&app, "corp").await;
    let mut browser = app.browser();
    browser.get("/sign-in").await.has_status(200);
    let page = browser.post("/sign-in", &[("name", "ana@acme.example")]).await.has_status(200).text();
    assert!(page.contains("/sso/oidc/corp/login"), "{page}");
    let page = browser.post("/sign-in", &[("name", "owner")]).await.has_status(200).text();
    assert!(page.contains("type=\"password\""), "{page}");
    browser.get("/sign-in?way=password").await.has_status(200);
    let page =
        browser.post("/sign-in", &[("name", "ana@acme.example"), ("way", "password")]).await.has_status(200).text();
    assert!(page.contains("type=\"password\""), "{page}");
    app.settled().await;
}

on_both_databases!(
    the_first_sign_in_makes_user_and_worker,
    s20_an_answer_counts_once_and_for_the_browser_that_asked,
    s24_an_answer_of_another_connection_is_refused,
    s22_an_address_that_nobody_vouches_for_is_none,
    s26_the_provider_ends_sessions,
    signing_out_goes_on_to_the_provider,
    the_address_leads_to_the_connection,
);
