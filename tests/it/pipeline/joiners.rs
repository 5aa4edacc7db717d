//! Somebody new gets a worker that says exactly what the rules say.

use serde_json::json;

use super::{ANA, CHANNEL, CREATE, UPDATE, app, assert_no_worker, attributes, channel, counts, worker, writes};
use crate::support::{Db, ENTERPRISE, USER, on_both_databases};

async fn a_joiner_gets_exactly_what_the_rules_grant(db: Db) {
    let app = app(db).await;
    let ana = json!({
        "schemas": [USER, ENTERPRISE], "userName": ANA, "active": true, "displayName": "Ana Ruiz",
        "name": {"givenName": "Ana", "familyName": "Ruiz Prieto"},
        "emails": [{"value": "ana.private@acme.example", "type": "home"},
                   {"value": "ana.ruiz@acme.example", "type": "work", "primary": true}],
        ENTERPRISE: {"department": "Customer Care"},
    });
    let id = app.scim.post("/Users", &ana).await.created();
    app.settled().await;
    assert_no_worker(&app, ANA);

    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    assert_eq!(
        attributes(&app, ANA),
        json!({
            "roles": ["agent"], "full_name": "Ana Ruiz", "email": "ana.ruiz@acme.example",
            "team_name": "Support", "team_id": "support", "contact_uri": "client:ana_40acme_2Eexample",
            "routing": {"skills": ["billing", "english"], "levels": {"billing": 1, "english": 3}},
            "site": "north", "department_name": "Customer Care",
        })
    );
    let worker = worker(&app, ANA);
    assert_eq!(worker.friendly_name, ANA);
    assert!(!worker.available, "a new worker waits for the person to sign in");
    assert_eq!((worker.channels["voice"], worker.channels["chat"]), (channel(1, true), channel(3, true)));
    assert_eq!(worker.channels["sms"], channel(10, true), "what no rule names is as Twilio made it");
}

async fn what_a_person_lacks_is_no_empty_attribute(db: Db) {
    let app = app(db).await;
    let bare = json!({
        "schemas": [USER], "userName": "svc-7", "active": true, "displayName": "",
        "name": {"givenName": "Sam", "familyName": "Vega"},
    });
    let id = app.scim.post("/Users", &bare).await.created();
    app.scim.add_group("CC Supervisors", &[&id]).await;
    app.settled().await;
    assert_eq!(
        attributes(&app, "svc-7"),
        json!({
            "roles": ["supervisor", "agent"], "full_name": "Sam Vega", "contact_uri": "client:svc_2D7",
            "team_name": "Tier 2 Leads", "team_id": "tier-2-leads",
            "routing": {"skills": ["coaching", "english"], "levels": {"coaching": 2.5, "english": 3}}, "floor": 4,
        })
    );
}

async fn a_joiner_takes_one_call_and_one_for_each_channel_that_differs(db: Db) {
    let app = app(db).await;
    let group = app.scim.add_group("CC Agents", &[]).await;
    // The first one teaches what channels a new worker has.
    let first = app.scim.add_user("first@acme.example").await;
    app.scim.add_member(&group, &first).await;
    app.settled().await;
    app.stand_in().clear_calls();
    let ana = app.scim.add_user(ANA).await;
    app.scim.add_member(&group, &ana).await;
    app.settled().await;
    assert_eq!(writes(app.stand_in()), counts([(CREATE, 1), (CHANNEL, 1)]));
    assert_eq!(app.stand_in().calls().total, 2);
}

async fn a_push_that_changes_nothing_makes_no_call(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    let group = app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    app.stand_in().clear_calls();
    let sql = app.sql().await;
    let version = sql.number("SELECT desired_version FROM worker").await;

    let mut same = app.scim.get(&format!("/Users/{id}")).await.expect(200);
    app.scim.put(&format!("/Users/{id}"), &same).await.expect(200);
    app.scim.set_active(&id, true).await;
    app.scim.add_member(&group, &id).await;
    same["nickName"] = json!("no rule looks at this");
    app.scim.put(&format!("/Users/{id}"), &same).await.expect(200);
    app.settled().await;
    assert_eq!(sql.number("SELECT desired_version FROM worker").await, version);
    assert_eq!(app.stand_in().calls().total, 0);
}

async fn a_changed_person_is_updated_in_place(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    let before = worker(&app, ANA);
    app.stand_in().clear_calls();
    let operations = json!([
        {"op": "replace", "path": "displayName", "value": "Ana R. Prieto"},
        {"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Sales"},
    ]);
    app.scim.patch(&format!("/Users/{id}"), &operations).await.expect(200);
    app.settled().await;
    let after = worker(&app, ANA);
    assert_eq!(after.sid, before.sid);
    assert_eq!(
        (&after.attributes["full_name"], &after.attributes["department_name"]),
        (&json!("Ana R. Prieto"), &json!("Sales"))
    );
    assert_eq!(writes(app.stand_in()), counts([(UPDATE, 1)]));
}

on_both_databases!(
    a_joiner_gets_exactly_what_the_rules_grant,
    what_a_person_lacks_is_no_empty_attribute,
    a_joiner_takes_one_call_and_one_for_each_channel_that_differs,
    a_push_that_changes_nothing_makes_no_call,
    a_changed_person_is_updated_in_place,
);
