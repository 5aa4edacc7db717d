//! What a connection may grant, and whom it may touch.

use serde_json::{Value, json};

use crate::support::{Db, GROUP, Scim, TestApp, USER, on_both_databases};

const CONTACT_CENTRE: &str = "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User";
const CONTACT_CENTRE_ALIAS: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:User";
const RULES: &str = r#"
[[rule]]
name = "owners"
when = 'groups.display eq "Owners"'
role = "owner"

[[rule]]
name = "admins"
when = 'roles.value eq "admin"'
role = "admin"

[[rule]]
name = "agents"
when = 'groups.display eq "Agents"'
role = "agent"
"#;

/// A user with everything in it that could raise somebody's rights in a careless server.
fn greedy(user_name: &str, group: &str) -> Value {
    json!({
        "schemas": [USER, CONTACT_CENTRE, "urn:acme:secret:2.0:User"], "userName": user_name, "active": true,
        "role": "owner", "isOwner": true, "isAdmin": true, "account": "default", "account_id": "x", "connection": "other",
        "connection_id": "other", "tenant": "x", "status": "local", "version": 99,
        "meta": {"resourceType": "Owner", "created": "2001-01-01T00:00:00Z", "version": "W/\"99\"", "location": "https://evil.example"},
        "groups": [{"value": group, "display": "Owners", "type": "direct"}],
        "access": {"role": "owner"}, "password": "canary-5512", "__proto__": {"isOwner": true}, "constructor": {"x": 1},
        "urn:acme:secret:2.0:User": {"isOwner": true},
        CONTACT_CENTRE: {"role": "owner", "teams": [{"value": "Support"}], "actAsAgent": true},
    })
}

async fn nothing_was_gained(app: &TestApp, scim: &Scim, id: &str) {
    let user = scim.get(&format!("/Users/{id}")).await.expect(200);
    assert_eq!(user["meta"]["resourceType"], json!("User"));
    assert_ne!(user["meta"]["created"], json!("2001-01-01T00:00:00Z"));
    for name in
        ["role", "isOwner", "isAdmin", "status", "access", "groups", "__proto__", "urn:acme:secret:2.0:User", "account"]
    {
        assert!(user.get(name).is_none(), "{name} in {user}");
    }
    let sql = app.sql().await;
    let rows =
        sql.texts(&format!("SELECT status || ' ' || COALESCE(role, 'none') FROM \"user\" WHERE id = '{id}'")).await;
    assert_eq!(rows, ["active none"]);
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
}

async fn s30_nobody_writes_themselves_rights(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    let group = app.scim.add_group("Agents", &[]).await;
    let id = app.scim.post("/Users", &greedy("ana@acme.example", &group)).await.created();
    nothing_was_gained(&app, &app.scim, &id).await;
    let path = format!("/Users/{id}");
    app.scim.put(&path, &greedy("ana@acme.example", &group)).await.expect(200);
    nothing_was_gained(&app, &app.scim, &id).await;
    let mut whole = greedy("ana@acme.example", &group);
    whole.as_object_mut().expect("an object").shift_remove("meta");
    whole.as_object_mut().expect("an object").shift_remove("groups");
    app.scim.patch(&path, &json!([{"op": "replace", "value": whole}])).await.expect(200);
    nothing_was_gained(&app, &app.scim, &id).await;
    for path_in in
        ["groups", "groups[value eq \"x\"].value", "meta.created", "meta", "id", "role", "isOwner", "schemas"]
    {
        let value = if path_in == "groups" { json!([{"value": group}]) } else { json!("owner") };
        let answer = app.scim.patch(&path, &json!([{"op": "add", "path": path_in, "value": value}])).await;
        assert!([200, 400].contains(&answer.status), "{path_in}: {answer}");
        nothing_was_gained(&app, &app.scim, &id).await;
    }
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
    // Nor by the name that Entra ID has for our extension.
    let mut alias = greedy("ana@acme.example", &group);
    let extension = alias.as_object_mut().expect("an object").shift_remove(CONTACT_CENTRE);
    alias[CONTACT_CENTRE_ALIAS] = extension.expect("the extension");
    app.scim.put(&path, &alias).await.expect(200);
    nothing_was_gained(&app, &app.scim, &id).await;
    let role = json!([{"op": "add", "path": format!("{CONTACT_CENTRE_ALIAS}:role"), "value": "owner"}]);
    let user = app.scim.patch(&path, &role).await.expect(200);
    assert_eq!((&user[CONTACT_CENTRE]["role"], user.get(CONTACT_CENTRE_ALIAS)), (&json!("owner"), None));
    nothing_was_gained(&app, &app.scim, &id).await;
    let twice = json!({
        "schemas": [USER], "userName": "ana@acme.example",
        CONTACT_CENTRE: {"role": "agent"}, CONTACT_CENTRE_ALIAS: {"role": "owner"},
    });
    app.scim.put(&path, &twice).await.expect_error(400);
}

/// Rules may grant what the connection may not: then the rule is passed over for that person, and the next one decides.
async fn s31_owner_and_admin_are_not_granted_unless_the_connection_may(db: Db) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    let ana = app.scim.add_user("ana@acme.example").await;
    let boss = json!({"schemas": [USER], "userName": "ben@acme.example", "roles": [{"value": "admin"}]});
    let ben = app.scim.post("/Users", &boss).await.created();
    app.scim.add_group("Owners", &[&ana, &ben]).await;
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
    app.scim.add_group("Agents", &[&ana, &ben]).await;
    app.settled().await;
    for name in ["ana@acme.example", "ben@acme.example"] {
        let worker = app.stand_in().worker_named(name).expect("a worker");
        assert_eq!(worker.attributes["roles"], json!(["agent"]));
    }
    let sql = app.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM \"user\" WHERE role IN ('owner', 'admin')").await, 0);
}

async fn s31_scim_sees_no_local_account(db: Db) {
    let app = TestApp::start(db).await;
    let group = app.scim.add_group("Agents", &[]).await;
    let id = "0192f0c1-2345-7abc-8def-0123456789ab";
    let insert = format!(
        "INSERT INTO \"user\" (id, account_id, connection_id, status, user_name, user_name_fold, search_text, document, \
         role, version, created_at, updated_at) VALUES ('{id}', '{}', NULL, 'active', 'owner@acme.example', \
         'owner@acme.example', 'owner@acme.example', '{{\"userName\":\"owner@acme.example\",\"active\":true}}', 'owner', 1, 1, 1)",
        app.account.id
    );
    app.sql().await.run(&insert).await.expect("a local account");
    let path = format!("/Users/{id}");
    let body = json!({"schemas": [USER], "userName": "owner@acme.example", "active": false});
    app.scim.get(&path).await.expect_error(404);
    app.scim.put(&path, &body).await.expect_error(404);
    app.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": false}])).await.expect_error(404);
    app.scim.delete(&path).await.expect_error(404);
    let add = json!([{"op": "add", "path": "members", "value": [{"value": id}]}]);
    app.scim.patch(&format!("/Groups/{group}"), &add).await.expect_error(400);
    app.scim
        .post("/Groups", &json!({"schemas": [GROUP], "displayName": "X", "members": [{"value": id}]}))
        .await
        .expect_error(400);
    assert_eq!(app.scim.get("/Users").await.total(), 0);
    for filter in ["userName eq \"owner@acme.example\"", "userName co \"owner\"", "active eq true", "not (title pr)"] {
        assert_eq!(app.scim.filter("/Users", filter).await.total(), 0, "{filter}");
    }
    // The name is taken, and saying so is all that SCIM learns.
    app.scim.post("/Users", &body).await.expect_error(409);
    let other = app.scim.add_user("ana@acme.example").await;
    let rename = json!([{"op": "replace", "path": "userName", "value": "OWNER@acme.example"}]);
    app.scim.patch(&format!("/Users/{other}"), &rename).await.expect_error(409);
    let rows = app.sql().await.texts(&format!("SELECT status || ' ' || role FROM \"user\" WHERE id = '{id}'")).await;
    assert_eq!(rows, ["active owner"]);
}

on_both_databases!(
    s30_nobody_writes_themselves_rights,
    s31_owner_and_admin_are_not_granted_unless_the_connection_may,
    s31_scim_sees_no_local_account,
);
