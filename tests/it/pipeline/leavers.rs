//! Whichever way an identity provider says that somebody leaves, the worker goes.

use serde_json::json;

use super::{ANA, DELETE, UPDATE, app, assert_no_worker, attributes, counts, names, worker, writes};
use crate::support::{Db, TestApp, on_both_databases};

/// An agent with a worker; the ids of the user and of the group.
async fn agent(app: &TestApp) -> (String, String) {
    let id = app.scim.add_user(ANA).await;
    let group = app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    worker(app, ANA);
    (id, group)
}

async fn deactivation_in_each_dialect_removes_the_worker(db: Db) {
    let app = app(db).await;
    let (id, _) = agent(&app).await;
    let user = format!("/Users/{id}");
    let dialects = [
        // Okta
        json!([{"op": "replace", "value": {"active": false}}]),
        // Entra, with and without the flag aadOptscim062020
        json!([{"op": "Replace", "path": "active", "value": "False"}]),
        json!([{"op": "replace", "path": "active", "value": false}]),
        // OneLogin, and Entra with several attributes in one operation
        json!([{"op": "replace", "value": {"active": "false", "displayName": "Ana Left"}}]),
        json!([{"op": "Add", "path": "active", "value": "False"}]),
    ];
    for operations in &dialects {
        app.stand_in().clear_calls();
        app.scim.patch(&user, operations).await.expect_success();
        app.settled().await;
        assert_no_worker(&app, ANA);
        assert_eq!(writes(app.stand_in()), counts([(UPDATE, 1), (DELETE, 1)]), "{operations}");
        assert_eq!(app.scim.get(&user).await.expect(200)["active"], json!(false));
        app.scim.set_active(&id, true).await;
        app.settled().await;
        worker(&app, ANA);
    }
    let mut whole = app.scim.get(&user).await.expect(200);
    whole["active"] = json!(false);
    app.scim.put(&user, &whole).await.expect(200);
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn a_deleted_user_has_no_worker(db: Db) {
    let app = app(db).await;
    let (id, _) = agent(&app).await;
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
    app.scim.get(&format!("/Users/{id}")).await.expect_error(404);
}

async fn whoever_loses_the_last_granting_group_has_no_worker(db: Db) {
    let app = app(db).await;
    let (id, group) = agent(&app).await;
    let other = app.scim.add_group("CC Supervisors", &[&id]).await;
    app.scim.remove_member(&group, &id).await;
    app.settled().await;
    assert_eq!(attributes(&app, ANA)["roles"], json!(["supervisor", "agent"]));
    app.scim.remove_member(&other, &id).await;
    app.settled().await;
    assert_no_worker(&app, ANA);
    assert_eq!(app.scim.get(&format!("/Users/{id}")).await.expect(200)["active"], json!(true));
}

async fn a_granting_group_that_goes_takes_its_workers_along(db: Db) {
    let app = app(db).await;
    let (_, group) = agent(&app).await;
    app.scim.delete(&format!("/Groups/{group}")).await.expect_success();
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn a_granting_group_that_is_renamed_grants_by_its_new_name(db: Db) {
    let app = app(db).await;
    let (_, group) = agent(&app).await;
    let rename = async |name: &str| {
        let operations = json!([{"op": "replace", "path": "displayName", "value": name}]);
        app.scim.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
        app.settled().await;
    };
    rename("Former Agents").await;
    assert_no_worker(&app, ANA);
    rename("CC Supervisors").await;
    assert_eq!(attributes(&app, ANA)["roles"], json!(["supervisor", "agent"]));
    rename("cc agents").await;
    assert_eq!(attributes(&app, ANA)["roles"], json!(["agent"]), "names of groups compare without case");
}

async fn an_emptied_group_takes_its_workers_along(db: Db) {
    let app = app(db).await;
    let (_, group) = agent(&app).await;
    let bob = app.scim.add_user("bob@acme.example").await;
    let replace = json!([{"op": "replace", "path": "members", "value": [{"value": bob}]}]);
    app.scim.patch(&format!("/Groups/{group}"), &replace).await.expect_success();
    app.settled().await;
    assert_eq!(names(&app), ["bob@acme.example"]);
    let remove = json!([{"op": "remove", "path": "members"}]);
    app.scim.patch(&format!("/Groups/{group}"), &remove).await.expect_success();
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
}

async fn whoever_is_inactive_gets_no_worker_by_a_group(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.set_active(&id, false).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    assert_no_worker(&app, ANA);
    app.scim.set_active(&id, true).await;
    app.settled().await;
    worker(&app, ANA);
}

async fn a_leaver_is_out_of_the_queues_before_the_worker_is_deleted(db: Db) {
    let app = app(db).await;
    let (id, _) = agent(&app).await;
    app.stand_in().clear_calls();
    app.scim.set_active(&id, false).await;
    app.settled().await;
    let calls = app.stand_in().calls();
    let about_workers = calls.latest.iter().filter(|call| call.path.contains("{worker}"));
    let kinds: Vec<_> = about_workers.map(|call| (call.method.as_str(), call.status)).collect();
    // Read, taken out, looked for work in hand of each kind, deleted, and read back.
    let work = [("GET", 200); 3];
    let expected = [&[("GET", 200), ("POST", 200)], &work[..], &[("DELETE", 204), ("GET", 404)]].concat();
    assert_eq!(kinds, expected, "{calls:#?}");
}

on_both_databases!(
    deactivation_in_each_dialect_removes_the_worker,
    a_deleted_user_has_no_worker,
    whoever_loses_the_last_granting_group_has_no_worker,
    a_granting_group_that_goes_takes_its_workers_along,
    a_granting_group_that_is_renamed_grants_by_its_new_name,
    an_emptied_group_takes_its_workers_along,
    whoever_is_inactive_gets_no_worker_by_a_group,
    a_leaver_is_out_of_the_queues_before_the_worker_is_deleted,
);
