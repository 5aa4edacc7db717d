//! Somebody who changes groups or names: what the old rule gave goes, what others wrote stays.

use serde_json::json;

use super::{
    ANA, CHANNEL, UPDATE, app, assert_no_worker, attributes, channel, counts, names, worker, write_as_others, writes,
};
use crate::support::{Db, on_both_databases};

async fn a_mover_loses_exactly_what_the_old_rule_granted(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    let agents = app.scim.add_group("CC Agents", &[&id]).await;
    let supervisors = app.scim.add_group("CC Supervisors", &[]).await;
    app.settled().await;
    write_as_others(&app, ANA, |attributes| {
        attributes.insert("image_url".to_owned(), json!("https://cdn.acme.example/ana.png"));
        attributes.insert("languages".to_owned(), json!(["en", "es"]));
        attributes["routing"]["preferred_queue"] = json!("WQ1");
    })
    .await;
    let before = worker(&app, ANA);

    app.stand_in().clear_calls();
    app.scim.add_member(&supervisors, &id).await;
    app.scim.remove_member(&agents, &id).await;
    app.settled().await;
    let after = worker(&app, ANA);
    assert_eq!(
        attributes(&app, ANA),
        json!({
            "roles": ["supervisor", "agent"], "full_name": format!("Person {ANA}"), "email": ANA,
            "team_name": "Tier 2 Leads", "team_id": "tier-2-leads", "contact_uri": "client:ana_40acme_2Eexample",
            "routing": {
                "skills": ["coaching", "english"], "levels": {"coaching": 2.5, "english": 3}, "preferred_queue": "WQ1",
            },
            "floor": 4,
            "image_url": "https://cdn.acme.example/ana.png", "languages": ["en", "es"],
        })
    );
    assert_eq!(after.sid, before.sid, "the same worker, not another one");
    assert_eq!((after.channels["chat"], after.channels["voice"]), (channel(0, false), channel(2, true)));
    assert_eq!((after.channels["sms"], after.channels["email"]), (before.channels["sms"], before.channels["email"]));
}

async fn a_mover_who_loses_all_skills_keeps_no_empty_routing(db: Db) {
    let app = app(db).await;
    app.import_rules(
        r#"
        [[rule]]
        name = "skilled"
        when = 'groups.display eq "Skilled"'
        role = "agent"
        skills = { english = 1 }
        channels = { sms = 2 }
        [[rule]]
        name = "plain"
        when = 'groups.display eq "Plain"'
        role = "agent"
        "#,
    )
    .await;
    let id = app.scim.add_user(ANA).await;
    let skilled = app.scim.add_group("Skilled", &[&id]).await;
    app.scim.add_group("Plain", &[&id]).await;
    app.settled().await;
    assert_eq!(attributes(&app, ANA)["routing"], json!({"skills": ["english"], "levels": {"english": 1}}));
    app.stand_in().clear_calls();
    app.scim.remove_member(&skilled, &id).await;
    app.settled().await;
    assert_eq!(
        attributes(&app, ANA),
        json!({"roles": ["agent"], "full_name": format!("Person {ANA}"), "email": ANA, "contact_uri": "client:ana_40acme_2Eexample"})
    );
    assert_eq!(worker(&app, ANA).channels["sms"], channel(0, false));
    assert_eq!(writes(app.stand_in()), counts([(UPDATE, 1), (CHANNEL, 1)]));
}

async fn a_channel_that_comes_back_takes_tasks_again(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    let agents = app.scim.add_group("CC Agents", &[&id]).await;
    app.scim.add_group("CC Supervisors", &[&id]).await;
    app.settled().await;
    app.scim.remove_member(&agents, &id).await;
    app.settled().await;
    assert_eq!(worker(&app, ANA).channels["chat"], channel(0, false));
    app.scim.add_member(&agents, &id).await;
    app.settled().await;
    assert_eq!(worker(&app, ANA).channels["chat"], channel(3, true));
}

async fn a_changed_attribute_moves_too(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    let contractor = json!([{"op": "add", "path": "userType", "value": "contractor"}]);
    app.scim.patch(&format!("/Users/{id}"), &contractor).await.expect(200);
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn a_renamed_person_keeps_the_worker(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    write_as_others(&app, ANA, |attributes| drop(attributes.insert("badge".to_owned(), json!(7)))).await;
    let before = worker(&app, ANA);
    app.stand_in().clear_calls();

    let married = json!([{"op": "replace", "path": "userName", "value": "ana.soto@acme.example"}]);
    app.scim.patch(&format!("/Users/{id}"), &married).await.expect(200);
    app.settled().await;
    assert_eq!(names(&app), ["ana.soto@acme.example"]);
    let after = worker(&app, "ana.soto@acme.example");
    assert_eq!(after.sid, before.sid);
    assert_eq!(after.attributes["contact_uri"], json!("client:ana_2Esoto_40acme_2Eexample"));
    assert_eq!(after.attributes["badge"], json!(7));
    assert_eq!(after.channels, before.channels);
    assert_eq!(writes(app.stand_in()), counts([(UPDATE, 1)]));

    // Only the spelling.
    let louder = json!([{"op": "replace", "path": "userName", "value": "Ana.Soto@acme.example"}]);
    app.scim.patch(&format!("/Users/{id}"), &louder).await.expect(200);
    app.settled().await;
    assert_eq!(names(&app), ["Ana.Soto@acme.example"]);
    assert_eq!(worker(&app, "Ana.Soto@acme.example").sid, before.sid);
}

async fn two_people_who_trade_names_keep_two_workers(db: Db) {
    let app = app(db).await;
    let (a, b) = (app.scim.add_user("a@acme.example").await, app.scim.add_user("b@acme.example").await);
    app.scim.add_group("CC Agents", &[&a, &b]).await;
    app.settled().await;
    for (id, name) in [(&a, "c@acme.example"), (&b, "a@acme.example"), (&a, "b@acme.example")] {
        let rename = json!([{"op": "replace", "path": "userName", "value": name}]);
        app.scim.patch(&format!("/Users/{id}"), &rename).await.expect(200);
    }
    app.settled().await;
    assert_eq!(names(&app), ["a@acme.example", "b@acme.example"]);
    assert_eq!(
        attributes(&app, "b@acme.example")["email"],
        json!("a@acme.example"),
        "the e-mail tells whose worker it is"
    );
    assert_eq!(attributes(&app, "a@acme.example")["email"], json!("b@acme.example"));
}

on_both_databases!(
    a_mover_loses_exactly_what_the_old_rule_granted,
    a_mover_who_loses_all_skills_keeps_no_empty_routing,
    a_channel_that_comes_back_takes_tasks_again,
    a_changed_attribute_moves_too,
    a_renamed_person_keeps_the_worker,
    two_people_who_trade_names_keep_two_workers,
);
