//! Who somebody turns out to be, and what they may.

use rollcall::domain::{Jit, WorkerAt};
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::sign_in::SamlSetup;
use serde_json::json;

use super::{Saml, app, last_refusal, me};
use crate::support::saml::Message;
use crate::support::{Db, TestApp, USER, on_both_databases, slug};

const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

fn jit(jit: Jit) -> ConnectionSettings {
    ConnectionSettings { jit: Some(jit), ..ConnectionSettings::default() }
}

async fn corp(app: &TestApp, settings: ConnectionSettings) -> Saml<'_> {
    Saml::add(app, "corp", settings, SamlSetup::default()).await
}

fn is(message: &mut Message, subject: &str, name: &str) {
    message.name_id = Some((PERSISTENT.to_owned(), subject.to_owned()));
    message.attributes[0].1 = vec![name.to_owned()];
    message.attributes.push(("userName".to_owned(), vec![name.to_owned()]));
}

async fn who_becomes_a_user_is_the_connections_choice(db: Db) {
    let app = app(db).await;
    let corp = corp(&app, jit(Jit::Off)).await;
    let page = corp.sign_in(&mut app.browser(), |_| ()).await;
    assert!(page.has_status(403).text().contains("has not announced you"), "{page}");
    assert!(last_refusal(&app).await.1.contains("jit is off"));
    app.core().set_connection(&app.account, &slug("corp"), jit(Jit::On)).await.unwrap();
    for name in ["a\u{85}b@acme.example".to_owned(), format!("{}@acme.example", "a".repeat(300))] {
        corp.sign_in(&mut app.browser(), |message| is(message, "odd", &name)).await.has_status(403);
    }
    corp.sign_in(&mut app.browser(), |_| ()).await.has_status(303);
    // Who is one already signs in.
    app.core().set_connection(&app.account, &slug("corp"), jit(Jit::Off)).await.unwrap();
    corp.sign_in(&mut app.browser(), |_| ()).await.has_status(303);
    app.core().set_connection(&app.account, &slug("corp"), jit(Jit::Provisioned)).await.unwrap();
    corp.sign_in(&mut app.browser(), |_| ()).await.has_status(403);
    assert!(last_refusal(&app).await.1.contains("SCIM has not provisioned"));
    app.settled().await;
}

async fn scim_users_are_linked_once_and_scim_stays_in_charge(db: Db) {
    let app = app(db).await;
    let corp = corp(&app, ConnectionSettings::default()).await;
    let scim = app.connect_to(&corp.connection).await;
    let document =
        json!({"schemas": [USER], "userName": "Ana@Acme.example", "externalId": "e1", "displayName": "Ana by SCIM"});
    let id = scim.post("/Users", &document).await.expect(201)["id"].as_str().unwrap().to_owned();
    // SCIM pushes, so nobody is made at sign-in.
    corp.sign_in(&mut app.browser(), |message| is(message, "x", "nobody@acme.example")).await.has_status(403);
    // By userName, and by it alone: the address of somebody else links nobody.
    let mut browser = app.browser();
    corp.sign_in(&mut browser, |message| is(message, "s1", "ana@acme.example")).await.has_status(303);
    assert_eq!(me(&mut browser).await.unwrap()["id"], json!(id));
    assert_eq!(scim.get(&format!("/Users/{id}")).await.expect(200)["displayName"], json!("Ana by SCIM"));
    // Another account there with the same name is not the same person.
    corp.sign_in(&mut app.browser(), |message| is(message, "s2", "ana@acme.example")).await.has_status(403);
    assert!(last_refusal(&app).await.1.contains("linked to another subject"));
    // The link holds whatever the name becomes.
    scim.patch(
        &format!("/Users/{id}"),
        &json!([{"op": "replace", "path": "userName", "value": "ana.moreno@acme.example"}]),
    )
    .await
    .expect(200);
    corp.sign_in(&mut app.browser(), |message| is(message, "s1", "whatever@acme.example")).await.has_status(303);
    // By externalId.
    let bob = json!({"schemas": [USER], "userName": "bob@acme.example", "externalId": "00u9bob"});
    scim.post("/Users", &bob).await.expect(201);
    corp.sign_in(&mut app.browser(), |message| is(message, "00u9bob", "robert@acme.example")).await.has_status(303);
    app.settled().await;
}

async fn s23_nobody_of_another_connection_is_signed_in(db: Db) {
    let app = app(db).await;
    let victim = app.scim.add_user("ana@acme.example").await;
    let corp = corp(&app, jit(Jit::On)).await;
    let mut browser = app.browser();
    corp.sign_in(&mut browser, |_| ()).await.has_status(403);
    assert_eq!(last_refusal(&app).await.1, "the userName \"ana@acme.example\" belongs to connection idp");
    assert_eq!(me(&mut browser).await, None);
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM \"user\"").await, 1, "{victim}");
    // Nor of another account.
    let there = app.add_account("acme-uk").await;
    let uk = app.core().add_connection(&there, slug("uk"), ConnectionSettings::default()).await.unwrap();
    assert_ne!(uk.account, app.account.id);
    browser.get("/sso/saml/uk/login").await.has_status(404);
    app.settled().await;
}

async fn s47_who_was_deactivated_does_not_come_back(db: Db) {
    let app = app(db).await;
    let corp = corp(&app, jit(Jit::On)).await;
    let scim = app.connect_to(&corp.connection).await;
    let mut browser = app.browser();
    corp.sign_in(&mut browser, |_| ()).await.has_status(303);
    let id = me(&mut browser).await.unwrap()["id"].as_str().unwrap().to_owned();
    let world = corp.begin(&mut browser, "").await;
    scim.set_active(&id, false).await;
    assert_eq!(me(&mut browser).await, None);
    let half = super::unique(&world, &app).send(crate::support::saml::Signing::Assertion);
    let page = corp.answer(&mut browser, &half, None).await;
    assert!(page.has_status(403).text().contains("switched off"), "{page}");
    corp.sign_in(&mut browser, |_| ()).await.has_status(403);
    assert_eq!(me(&mut browser).await, None);
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
    scim.set_active(&id, true).await;
    assert_eq!(me(&mut browser).await, None, "an old session stays ended");
    corp.sign_in(&mut browser, |_| ()).await.has_status(303);
    scim.delete(&format!("/Users/{id}")).await.expect(204);
    corp.sign_in(&mut browser, |_| ()).await.has_status(403);
    assert_eq!(last_refusal(&app).await.1, "the user was deleted");
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
}

async fn claims_decide_until_the_next_sign_in(db: Db) {
    let app = app(db).await;
    let corp = corp(&app, jit(Jit::On)).await;
    let mut browser = app.browser();
    let add = |name: &'static str, value: &'static str| {
        move |message: &mut Message| message.attributes.push((name.to_owned(), vec![value.to_owned()]))
    };
    corp.sign_in(&mut browser, add("http://schemas.acme.example/city", "Lima")).await.has_status(303);
    app.settled().await;
    let worker = |app: &TestApp| crate::pipeline::worker(app, "ana@acme.example");
    assert_eq!(worker(&app).attributes["city"], json!("Lima"));
    assert_eq!(worker(&app).attributes["roles"], json!(["agent"]));
    // No agent any longer, but a lead.
    corp.sign_in(&mut browser, |message| {
        message.attributes[1].1 = vec!["Nothing".to_owned()];
        add("level", "lead")(message);
    })
    .await
    .has_status(303);
    app.settled().await;
    assert_eq!(me(&mut browser).await.unwrap()["role"], json!("supervisor"));
    assert_eq!(worker(&app).attributes["roles"], json!(["supervisor"]));
    // Nothing at all: no access, no worker.
    let page = corp.sign_in(&mut browser, |message| message.attributes.truncate(1)).await;
    assert!(page.has_status(403).text().contains("nothing gives you a role"), "{page}");
    assert_eq!(me(&mut browser).await, None);
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
}

async fn groups_that_scim_pushes_are_scims(db: Db) {
    let app = app(db).await;
    let corp = corp(&app, jit(Jit::On)).await;
    corp.sign_in(&mut app.browser(), |_| ()).await.has_status(303);
    let scim = app.connect_to(&corp.connection).await;
    let group = scim.add_group("Agents", &[]).await;
    // The claim says that Ana is one; SCIM, which knows the group, says that nobody is.
    corp.sign_in(&mut app.browser(), |_| ()).await.has_status(403);
    let id = app.sql().await.texts("SELECT id FROM \"user\"").await.remove(0);
    scim.add_member(&group, &id).await;
    corp.sign_in(&mut app.browser(), |message| message.attributes.truncate(1)).await.has_status(303);
    app.settled().await;
}

async fn workers_may_wait_for_the_first_sign_in(db: Db) {
    let app = app(db).await;
    app.core().set_worker_at(&app.account, WorkerAt::SignIn).await.unwrap();
    let corp = corp(&app, ConnectionSettings::default()).await;
    let scim = app.connect_to(&corp.connection).await;
    let ana = scim.add_user("ana@acme.example").await;
    let bob = scim.add_user("bob@acme.example").await;
    scim.add_group("Agents", &[&ana, &bob]).await;
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
    corp.sign_in(&mut app.browser(), |message| is(message, "s1", "ana@acme.example")).await.has_status(303);
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 1);
    // What is there stays through later pushes; who has not come yet has none, and can leave.
    scim.patch(&format!("/Users/{ana}"), &json!([{"op": "replace", "path": "displayName", "value": "Ana M."}]))
        .await
        .expect(200);
    scim.set_active(&bob, false).await;
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 1);
    scim.set_active(&ana, false).await;
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
}

on_both_databases!(
    who_becomes_a_user_is_the_connections_choice,
    scim_users_are_linked_once_and_scim_stays_in_charge,
    s23_nobody_of_another_connection_is_signed_in,
    s47_who_was_deactivated_does_not_come_back,
    claims_decide_until_the_next_sign_in,
    groups_that_scim_pushes_are_scims,
    workers_may_wait_for_the_first_sign_in,
);
