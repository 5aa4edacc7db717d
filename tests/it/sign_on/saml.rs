//! SAML 2.0.

use std::time::Duration;

use rollcall::service::connections::ConnectionSettings;
use rollcall::service::sign_in::SamlSetup;
use serde_json::json;
use url::form_urlencoded;

use super::{Saml, app, last_refusal, me, metadata, unique};
use crate::support::saml::{Key, SignAs, Signing};
use crate::support::{Browser, Db, TestApp, on_both_databases};

async fn corp(app: &TestApp) -> Saml<'_> {
    Saml::add(app, "corp", ConnectionSettings::default(), SamlSetup::default()).await
}

async fn the_first_sign_in_makes_user_and_worker(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let mut browser = app.browser();
    let world = corp.begin(&mut browser, "?to=%2Fpeople").await;
    let message = unique(&world, &app);
    let answer = corp.answer(&mut browser, &message.send(Signing::Both), None).await;
    assert_eq!(answer.has_status(303).location(), "/people");
    let me = me(&mut browser).await.expect("signed in");
    assert_eq!(
        (&me["userName"], &me["email"], &me["role"], &me["connection"]),
        (&json!("ana@acme.example"), &json!("ana@acme.example"), &json!("agent"), &json!("corp"))
    );
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 1);
    // The next sign-in is the same person's.
    let mut other = app.browser();
    corp.sign_in(&mut other, |_| ()).await.has_status(303);
    assert_eq!(super::me(&mut other).await.unwrap()["id"], me["id"]);
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 1);
}

async fn s12_an_answer_counts_once_and_for_the_browser_that_asked(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let (mut browser, mut thief) = (app.browser(), app.browser());
    let world = corp.begin(&mut browser, "").await;
    corp.begin(&mut thief, "").await;
    let form = unique(&world, &app).send(Signing::Assertion);
    corp.answer(&mut thief, &form, None).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "request");
    assert_eq!(me(&mut thief).await, None);
    corp.answer(&mut app.browser(), &form, None).await.has_status(403);
    corp.answer(&mut browser, &form, None).await.has_status(303);
    let mut again = Browser::clone(&browser);
    again.cookies.remove("__Host-rollcall");
    corp.answer(&mut again, &form, None).await.has_status(403);
    assert_eq!(me(&mut again).await, None);
    app.settled().await;
}

async fn s13_an_assertion_counts_once_on_all_copies(db: Db) {
    let app = app(db).await;
    let initiated = SamlSetup { idp_initiated: Some(true), ..SamlSetup::default() };
    let corp = Saml::add(&app, "corp", ConnectionSettings::default(), initiated).await;
    let mut world = corp.world.clone();
    (world.outstanding, world.now) = (Vec::new(), app.core().ambient().now());
    let form = unique(&world, &app).send(Signing::Assertion);
    corp.answer(&mut app.browser(), &form, None).await.has_status(303);
    corp.answer(&mut app.browser(), &form, None).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "replay");
    if db == Db::Postgres {
        let copy = app.copy(&[], std::sync::Arc::default()).await;
        corp.answer(&mut copy.browser(), &form, None).await.has_status(403);
        assert_eq!(last_refusal(&app).await.0, "replay");
        copy.stop().await;
    }
    app.settled().await;
}

async fn s14_s16_what_the_identity_provider_begins(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let initiated = SamlSetup { idp_initiated: Some(true), ..SamlSetup::default() };
    let tile = Saml::add(&app, "tile", ConnectionSettings::default(), initiated).await;
    let unasked = |saml: &Saml<'_>| {
        let mut world = saml.world.clone();
        (world.outstanding, world.now) = (Vec::new(), app.core().ambient().now());
        unique(&world, &app)
    };
    corp.answer(&mut app.browser(), &unasked(&corp).send(Signing::Assertion), None).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "request");
    for (relay, to) in [
        ("/people?q=ana", "/people?q=ana"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let answer = tile.answer(&mut app.browser(), &unasked(&tile).send(Signing::Assertion), Some(relay)).await;
        assert_eq!(answer.has_status(303).location(), to, "{relay}");
    }
    app.settled().await;
}

async fn s15_a_connection_disabled_meanwhile_lets_nobody_in(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let mut browser = app.browser();
    let world = corp.begin(&mut browser, "").await;
    let off = ConnectionSettings { enabled: Some(false), ..ConnectionSettings::default() };
    app.core().set_connection(&app.account, &corp.connection.name, off).await.unwrap();
    corp.answer(&mut browser, &unique(&world, &app).send(Signing::Assertion), None).await.has_status(403);
    assert_eq!(last_refusal(&app).await, ("configuration".to_owned(), "the connection is disabled".to_owned()));
    assert_eq!(me(&mut browser).await, None);
    browser.get(&corp.path("login")).await.has_status(403);
    app.settled().await;
}

async fn s01_a_forged_answer_leaves_nothing(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    for (signing, key) in [(Signing::Nothing, Key::Idp), (Signing::Both, Key::Stranger)] {
        let mut browser = app.browser();
        let world = corp.begin(&mut browser, "").await;
        let mut message = unique(&world, &app);
        message.sign = SignAs::with(key);
        let answer = corp.answer(&mut browser, &message.send(signing), None).await;
        let page = answer.has_status(403).text();
        assert_eq!(last_refusal(&app).await.0, "signature");
        assert!(!page.contains("signature") && page.contains("Reference"), "the person sees a reference only: {page}");
        assert_eq!(me(&mut browser).await, None);
    }
    let sql = app.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM \"user\"").await, 0);
    assert_eq!(sql.number("SELECT COUNT(*) FROM session").await, 0);
    assert_eq!(sql.number("SELECT COUNT(*) FROM sso_link").await, 0);
    app.settled().await;
}

async fn s07_a_bomb_is_refused_before_it_is_read(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let answer = corp.answer(&mut app.browser(), &"A".repeat(2 << 20), None).await;
    answer.has_status(413);
    corp.answer(&mut app.browser(), "not base64 <", None).await.has_status(403);
    app.browser().post(&corp.path("acs"), &[]).await.has_status(400);
    app.settled().await;
}

async fn a_step_up_needs_a_newer_sign_in_of_the_same_person(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let mut browser = app.browser();
    corp.sign_in(&mut browser, |_| ()).await.has_status(303);
    let first = browser.session().unwrap().to_owned();
    app.clock.advance(Duration::from_mins(20));
    assert!(browser.get("/step-up?to=%2Fpeople").await.has_status(303).location().starts_with("/sso/saml/corp/login?"));
    // The sign-in of before does not count again.
    let world = corp.begin(&mut browser, "?to=%2Fpeople&step_up=1").await;
    let mut message = unique(&world, &app);
    message.authenticated_at = world.now.before(Duration::from_mins(20)).to_string();
    corp.answer(&mut browser, &message.send(Signing::Assertion), None).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "freshness");
    // Nor that of another person.
    let world = corp.begin(&mut browser, "?to=%2Fpeople&step_up=1").await;
    let mut message = unique(&world, &app);
    message.name_id = Some(("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned(), "00u2bob".to_owned()));
    message.attributes[0].1 = vec!["bob@acme.example".to_owned()];
    message.authenticated_at = world.now.to_string();
    corp.answer(&mut browser, &message.send(Signing::Assertion), None).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "subject");
    let world = corp.begin(&mut browser, "?to=%2Fpeople&step_up=1").await;
    let mut message = unique(&world, &app);
    message.authenticated_at = world.now.to_string();
    let answer = corp.answer(&mut browser, &message.send(Signing::Assertion), None).await;
    assert_eq!(answer.has_status(303).location(), "/people");
    assert_ne!(browser.session().unwrap(), first, "another secret");
    assert!(me(&mut app.browser().with_session(&first)).await.is_none(), "the old one has ended");
    assert!(me(&mut browser).await.is_some());
    app.settled().await;
}

async fn s18_signed_logouts_end_sessions_and_others_none(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let mut browser = app.browser();
    corp.sign_in(&mut browser, |_| ()).await.has_status(303);
    let now = app.core().ambient().now();
    let xml = format!(
        "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_logout1\" Version=\"2.0\" IssueInstant=\"{now}\" \
         Destination=\"{}\"><saml:Issuer>{}</saml:Issuer><saml:NameID>00u1ana</saml:NameID></samlp:LogoutRequest>",
        corp.world.service.slo_url,
        corp.world.idp.entity_id.replace('&', "&amp;"),
    );
    let send = async |xml: &str| {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        fields.append_pair("SAMLRequest", &crate::support::saml::form(xml));
        let kind = Some("application/x-www-form-urlencoded");
        app.browser().send(http::Method::POST, &corp.path("slo"), kind, Some(fields.finish())).await
    };
    send(&xml).await.has_status(403);
    send(&SignAs::with(Key::Stranger).sign(&xml)).await.has_status(403);
    assert!(me(&mut browser).await.is_some(), "a forged one ends nothing");
    let answer = send(&SignAs::with(Key::Idp).sign(&xml)).await;
    assert!(answer.has_status(303).location().starts_with("https://idp.acme.example/slo?SAMLResponse="));
    assert_eq!(me(&mut browser).await, None);
    send(&SignAs::with(Key::Idp).sign(&xml)).await.has_status(403);
    assert_eq!(last_refusal(&app).await.0, "replay");
    app.settled().await;
}

async fn signing_out_goes_on_to_the_identity_provider(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let mut browser = app.browser();
    corp.sign_in(&mut browser, |_| ()).await.has_status(303);
    browser.get("/").await.has_status(200);
    let page = browser.post("/sign-out", &[]).await;
    let text = page.has_status(200).text();
    assert!(text.contains("https://idp.acme.example/slo?SAMLRequest="), "{text}");
    assert_eq!(browser.session(), None);
    app.settled().await;
}

async fn certificates_change_when_an_administrator_says_so(db: Db) {
    let app = app(db).await;
    let corp = corp(&app).await;
    let with = |key| {
        let metadata = metadata(&corp.world, key);
        let setup = SamlSetup {
            metadata: Some(rollcall::service::sign_in::MetadataFrom::Xml(metadata)),
            ..SamlSetup::default()
        };
        rollcall::service::sign_in::SsoSetup::Saml(Box::new(setup))
    };
    app.core().set_sso(&app.account, &corp.connection, with(Key::Stranger), "test").await.unwrap();
    corp.sign_in(&mut app.browser(), |_| ()).await.has_status(403);
    corp.sign_in(&mut app.browser(), |message| message.sign = SignAs::with(Key::Stranger)).await.has_status(303);
    app.settled().await;
}

on_both_databases!(
    the_first_sign_in_makes_user_and_worker,
    s12_an_answer_counts_once_and_for_the_browser_that_asked,
    s13_an_assertion_counts_once_on_all_copies,
    s14_s16_what_the_identity_provider_begins,
    s15_a_connection_disabled_meanwhile_lets_nobody_in,
    s01_a_forged_answer_leaves_nothing,
    s07_a_bomb_is_refused_before_it_is_read,
    a_step_up_needs_a_newer_sign_in_of_the_same_person,
    s18_signed_logouts_end_sessions_and_others_none,
    signing_out_goes_on_to_the_identity_provider,
    certificates_change_when_an_administrator_says_so,
);
