//! Workers that were there before: adopted when they may be, left alone when not.

use std::time::Duration;

use rollcall::taskrouter::stand_in::Behaviour;
use serde_json::{Map, Value, json};

use super::{ANA, DELETE, app, assert_no_worker, attributes, channel, names, worker, write_as_others, writes};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

fn claims(claims: Value) -> Map<String, Value> {
    match claims {
        Value::Object(claims) => claims,
        other => panic!("not claims: {other}"),
    }
}

async fn a_worker_of_the_same_name_is_adopted(db: Db) {
    for minds_case in [false, true] {
        let app = app(db).await;
        let behaviour = Behaviour { name_filter_minds_case: minds_case, ..Behaviour::default() };
        app.stand_in().set_behaviour(behaviour);
        let there = app
            .stand_in()
            .sso_login(
                "Ana@ACME.example",
                &claims(json!({"image_url": "https://cdn.acme.example/a.png", "email": "old@acme.example"})),
            )
            .unwrap();
        let id = app.scim.add_user(ANA).await;
        let group = app.scim.add_group("CC Agents", &[&id]).await;
        app.settled().await;
        let adopted = worker(&app, ANA);
        assert_eq!((adopted.sid.as_str(), adopted.friendly_name.as_str()), (there.as_str(), ANA));
        assert_eq!(adopted.attributes["image_url"], json!("https://cdn.acme.example/a.png"));
        assert_eq!(adopted.attributes["email"], json!(ANA), "what we own, we set");
        assert_eq!(adopted.attributes["roles"], json!(["agent"]));
        assert_eq!(adopted.channels["chat"], channel(3, true));
        // From now on it is ours, to the end.
        app.scim.remove_member(&group, &id).await;
        app.settled().await;
        assert_no_worker(&app, ANA);
    }
}

async fn an_adopted_worker_keeps_what_others_wrote(db: Db) {
    let app = app(db).await;
    app.stand_in().sso_login(ANA, &claims(json!({"languages.stringarray": "en,es", "floor.int": 9}))).unwrap();
    let id = app.scim.add_user(ANA).await;
    let agents = app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    write_as_others(&app, ANA, |attributes| drop(attributes.insert("plugin".to_owned(), json!({"theme": "dark"}))))
        .await;
    app.scim.add_group("CC Supervisors", &[&id]).await;
    app.scim.remove_member(&agents, &id).await;
    app.settled().await;
    let after = attributes(&app, ANA);
    assert_eq!((&after["languages"], &after["plugin"]), (&json!(["en", "es"]), &json!({"theme": "dark"})));
    assert_eq!(after["floor"], json!(4), "a rule grants it now");
    assert_eq!(after.get("site"), None, "and this one no more");
}

async fn a_worker_with_a_protected_role_is_not_seized(db: Db) {
    let app = app(db).await;
    let there =
        app.stand_in().sso_login(ANA, &claims(json!({"roles": "admin", "email": "boss@acme.example"}))).unwrap();
    let before = worker(&app, ANA);
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    stands(&app, "unadopted").await;
    assert_eq!(worker(&app, ANA), before);
    let error = app.sql().await.texts("SELECT last_error FROM worker").await.remove(0);
    assert!(error.contains("protected role 'admin'"), "{error}");

    // Nor is it removed with the person: it is not ours.
    app.scim.set_active(&id, false).await;
    app.settled().await;
    assert_eq!(worker(&app, ANA), before);
    assert_eq!(before.sid, there);
    assert_eq!(writes(app.stand_in()).get(DELETE), None);
}

async fn a_worker_that_somebody_deleted_is_made_again_with_the_next_change(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    let before = worker(&app, ANA);
    super::delete_as_others(&app, ANA).await;
    let operations = json!([{"op": "replace", "path": "displayName", "value": "Ana Ruiz"}]);
    app.scim.patch(&format!("/Users/{id}"), &operations).await.expect(200);
    app.settled().await;
    let after = worker(&app, ANA);
    assert_ne!(after.sid, before.sid);
    assert_eq!((&after.attributes["full_name"], after.channels["chat"]), (&json!("Ana Ruiz"), channel(3, true)));

    // And one that is gone already needs no removal.
    super::delete_as_others(&app, ANA).await;
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
}

/// Waits until the only row has this state.
pub(super) async fn stands(app: &TestApp, state: &str) {
    let sql = app.sql().await;
    wait_until(Duration::from_secs(30), state, async || sql.texts("SELECT state FROM worker").await == [state]).await;
}

on_both_databases!(
    a_worker_of_the_same_name_is_adopted,
    an_adopted_worker_keeps_what_others_wrote,
    a_worker_with_a_protected_role_is_not_seized,
    a_worker_that_somebody_deleted_is_made_again_with_the_next_change,
);
