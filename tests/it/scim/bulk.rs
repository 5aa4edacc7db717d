//! Bulk requests (RFC 7644 §3.7).

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Db, Scim, TestApp, ids, on_both_databases};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

async fn send(scim: &Scim, operations: &Value, fail_on_errors: Option<u64>) -> Answer {
    let mut body = json!({"schemas": [REQUEST], "Operations": operations});
    if let Some(count) = fail_on_errors {
        body["failOnErrors"] = json!(count);
    }
    scim.post("/Bulk", &body).await
}

/// The results of a bulk request, in their order.
async fn bulk(scim: &Scim, operations: &Value) -> Vec<Value> {
    results(&send(scim, operations, None).await)
}

#[track_caller]
fn results(answer: &Answer) -> Vec<Value> {
    let body = answer.expect(200);
    assert_eq!(body["schemas"], json!([RESPONSE]));
    body["Operations"].as_array().expect("results").clone()
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["status"].as_str().expect("a status")).collect()
}

fn id_of(result: &Value) -> String {
    let location = result["location"].as_str().expect("a location");
    location.rsplit('/').next().expect("an id").to_owned()
}

fn user(name: &str) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": name, "data": {"userName": format!("{name}@acme.example")}})
}

fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|member| json!({"value": member})).collect();
    json!({"method": "POST", "path": "/Groups", "bulkId": name, "data": {"displayName": name, "members": members}})
}

async fn all_methods_work_and_answer_in_order(db: Db) {
    let app = TestApp::start(db).await;
    let (ben, eve) = (app.scim.add_user("ben@acme.example").await, app.scim.add_user("eve@acme.example").await);
    let agents = app.scim.add_group("Agents", &[]).await;
    let results = bulk(
        &app.scim,
        &json!([
            user("ana"),
            {"method": "PUT", "path": format!("/Users/{ben}"), "bulkId": "mine", "version": "W/\"1\"",
             "data": {"userName": "benedict@acme.example"}},
            {"method": "PATCH", "path": format!("/Users/{eve}"),
             "data": {"Operations": [{"op": "replace", "path": "active", "value": "False"}]}},
            {"method": "PATCH", "path": format!("/Groups/{agents}"),
             "data": {"Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:ana"}]}]}},
            {"method": "DELETE", "path": format!("/Users/{ben}"), "version": "W/\"1\""},
            {"method": "DELETE", "path": format!("/Users/{eve}")},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "200", "200", "200", "412", "204"]);
    let methods: Vec<&Value> = results.iter().map(|result| &result["method"]).collect();
    assert_eq!(methods, ["POST", "PUT", "PATCH", "PATCH", "DELETE", "DELETE"]);
    let ana = id_of(&results[0]);
    assert_eq!(results[0]["bulkId"], json!("ana"));
    assert_eq!(results[0]["location"], app.scim.get(&format!("/Users/{ana}")).await.json()["meta"]["location"]);
    assert_eq!((&results[1]["bulkId"], &results[1]["version"]), (&json!("mine"), &json!("W/\"2\"")));
    assert_eq!(results[3]["version"], json!(app.scim.get(&format!("/Groups/{agents}")).await.header("etag")));
    assert_eq!(results[4]["response"]["status"], json!("412"));
    assert_eq!(results[5]["location"], json!(format!("https://rollcall.example/scim/v2/Users/{eve}")));
    assert!(results[5].get("version").is_none() && results[0].get("response").is_none());
    assert_eq!(app.scim.members(&agents).await, [ana]);
    assert_eq!(app.scim.get(&format!("/Users/{ben}")).await.json()["userName"], json!("benedict@acme.example"));
    app.scim.get(&format!("/Users/{eve}")).await.expect_error(404);
}

/// The example of RFC 7644 §3.7.2: a group of a user, and a group of that group, before what they need.
async fn references_are_resolved_wherever_they_stand(db: Db) {
    let app = TestApp::start(db).await;
    let results = bulk(
        &app.scim,
        &json!([
            group("tours", &["bulkId:guides", "bulkId:alice"]),
            {"method": "PATCH", "path": "/Groups/bulkId:tours",
             "data": {"Operations": [{"op": "replace", "path": "displayName", "value": "Tours"}]}},
            group("guides", &["bulkId:alice"]),
            user("alice"),
            {"method": "PATCH", "path": "/Users/bulkId:alice", "data": {"Operations": [{"op": "add", "path":
             "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": {"value": "bulkId:boss"}}]}},
            user("boss"),
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "200", "201", "201", "200", "201"]);
    let (tours, guides, alice) = (id_of(&results[0]), id_of(&results[2]), id_of(&results[3]));
    let mut expected = vec![guides.clone(), alice.clone()];
    expected.sort();
    assert_eq!(app.scim.members(&tours).await, expected);
    assert_eq!(app.scim.members(&guides).await, std::slice::from_ref(&alice));
    assert_eq!(app.scim.get(&format!("/Groups/{tours}")).await.json()["displayName"], json!("Tours"));
    let manager = app.scim.get(&format!("/Users/{alice}")).await.json();
    assert_eq!(manager[crate::support::ENTERPRISE]["manager"]["value"], json!(id_of(&results[5])));
}

async fn s39_circular_and_missing_references_are_refused(db: Db) {
    let app = TestApp::start(db).await;
    let results = bulk(
        &app.scim,
        &json!([
            group("a", &["bulkId:b"]),
            group("b", &["bulkId:a"]),
            user("ana"),
            group("c", &["bulkId:nobody"]),
            {"method": "PATCH", "path": "/Groups/bulkId:c", "data": {"Operations": []}},
            user("ana2"),
            {"method": "POST", "path": "/Users", "bulkId": "twin", "data": {"userName": "ANA@acme.example"}},
            group("d", &["bulkId:twin"]),
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["409", "409", "201", "409", "409", "201", "409", "409"]);
    assert_eq!(results[6]["response"]["scimType"], json!("uniqueness"));
    assert_eq!(app.scim.get("/Groups").await.total(), 0);
    assert_eq!(app.scim.get("/Users").await.total(), 2);
}

async fn s39_one_bad_operation_harms_no_other(db: Db) {
    let app = TestApp::start(db).await;
    let operations = json!([
        user("a"),
        {"method": "POST", "path": "/Users", "bulkId": "bad", "data": {"userName": "  "}},
        user("b"),
        {"method": "PATCH", "path": "/Users/none", "data": {"Operations": [{"op": "remove", "path": "title"}]}},
        {"method": "JUMP", "path": "/Users"},
        {"method": "DELETE", "path": "/Devices/1"},
        "nonsense",
        user("c"),
    ]);
    let results = bulk(&app.scim, &operations).await;
    assert_eq!(statuses(&results), ["201", "400", "201", "404", "400", "404", "400", "201"]);
    assert_eq!(results[1]["response"]["scimType"], json!("invalidValue"));
    assert_eq!(app.scim.get("/Users").await.total(), 3);
    for id in app.scim.found("/Users", "userName pr").await {
        app.scim.delete(&format!("/Users/{id}")).await.expect(204);
    }
    // After so many errors the rest is left undone, and not answered.
    for (most, expected) in [(1, 2), (2, 4), (3, 5), (100, 8)] {
        let answer = send(&app.scim, &operations, Some(most)).await;
        assert_eq!(results_len(&answer), expected, "{most}");
        for id in app.scim.found("/Users", "userName pr").await {
            app.scim.delete(&format!("/Users/{id}")).await.expect(204);
        }
    }
}

#[track_caller]
fn results_len(answer: &Answer) -> usize {
    results(answer).len()
}

async fn s39_bulk_requests_are_capped(db: Db) {
    let app = TestApp::builder(db).set("ROLLCALL_SERVER__BODY_LIMIT_BYTES", "300000").start().await;
    let config = app.scim.get("/ServiceProviderConfig").await.expect(200);
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 300_000}));
    let gone = json!({"method": "DELETE", "path": "/Users/none"});
    let many: Vec<Value> = vec![gone.clone(); 1001];
    send(&app.scim, &json!(many), None).await.expect_error(413);
    let fits = bulk(&app.scim, &json!(many[..1000])).await;
    assert!(fits.len() == 1000 && fits.iter().all(|result| result["status"] == json!("404")));
    let large = json!([{"method": "DELETE", "path": "/Users/none", "data": "x".repeat(300_000)}]);
    send(&app.scim, &large, None).await.expect_error(413);
    for body in [json!([]), json!({"Operations": []}), json!({"schemas": [REQUEST]})] {
        assert_eq!(app.scim.post("/Bulk", &body).await.expect_error(400).0.as_deref(), Some("invalidSyntax"));
    }
    let twice = json!([user("a"), user("a")]);
    assert_eq!(send(&app.scim, &twice, None).await.expect_error(400).0.as_deref(), Some("invalidValue"));
    assert_eq!(app.scim.get("/Users").await.total(), 0);
    let get = app.scim.request(Method::GET, "/Bulk").send().await;
    get.expect_error(405);
    assert_eq!(get.header("allow"), Some("POST"));
    app.scim.with_token(None).post("/Bulk", &json!({})).await.expect_error(401);
}

/// What belongs to another connection is as unknown in a bulk request as it is alone.
async fn s32_bulk_knows_nothing_of_others(db: Db) {
    let app = TestApp::start(db).await;
    let sibling = app.connect("sibling").await;
    let (theirs, their_group) = (sibling.add_user("eve@acme.example").await, sibling.add_group("Theirs", &[]).await);
    let mine = app.scim.add_group("Mine", &[]).await;
    let add = |member: &str| json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": member}]}]});
    let results = bulk(
        &app.scim,
        &json!([
            {"method": "PUT", "path": format!("/Users/{theirs}"), "data": {"userName": "x@acme.example"}},
            {"method": "PATCH", "path": format!("/Users/{theirs}"),
             "data": {"Operations": [{"op": "replace", "path": "active", "value": false}]}},
            {"method": "DELETE", "path": format!("/Users/{theirs}")},
            {"method": "DELETE", "path": format!("/Groups/{their_group}")},
            {"method": "PATCH", "path": format!("/Groups/{mine}"), "data": add(&theirs)},
            group("g", &[&theirs]),
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["404", "404", "404", "404", "400", "400"]);
    let left = ids(&sibling.get("/Users?attributes=id").await.json()["Resources"]);
    assert_eq!(left, std::slice::from_ref(&theirs));
    assert_eq!(sibling.get(&format!("/Users/{theirs}")).await.header("etag"), Some("W/\"1\""));
    assert_eq!(app.scim.members(&mine).await, Vec::<String>::new());
}

/// A bulk request gives nobody what the same operations alone would not.
async fn s30_bulk_raises_no_rights(db: Db) {
    let rules = "[[rule]]\nname = \"roles\"\nwhen = 'title eq \"boss\"'\nrole = \"owner\"\n";
    let app = TestApp::builder(db).rules(rules).start().await;
    let data = json!({"userName": "eve@acme.example", "title": "boss", "id": "1", "password": "pw", "isOwner": true,
        "meta": {"version": "W/\"9\""}, "groups": [{"value": "x"}], "urn:evil": {"role": "owner"}});
    let results = bulk(
        &app.scim,
        &json!([
            {"method": "POST", "path": "/Users", "bulkId": "eve", "data": data},
            {"method": "PATCH", "path": "/Users/bulkId:eve",
             "data": {"Operations": [{"op": "replace", "path": "meta.created", "value": "2020-01-01T00:00:00Z"}]}},
            {"method": "PATCH", "path": "/Users/bulkId:eve",
             "data": {"Operations": [{"op": "add", "path": "groups", "value": [{"value": "x"}]}]}},
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "400", "400"]);
    let eve = app.scim.get(&format!("/Users/{}", id_of(&results[0]))).await.expect(200);
    assert_ne!(eve["id"], json!("1"));
    for absent in ["password", "isOwner", "groups", "urn:evil"] {
        assert!(eve.get(absent).is_none(), "{absent}");
    }
    let sql = app.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM \"user\" WHERE role IS NOT NULL").await, 0);
    assert_eq!(sql.number("SELECT COUNT(*) FROM worker WHERE desired IS NOT NULL").await, 0);
    assert_eq!(sql.number("SELECT COUNT(*) FROM audit_event WHERE action LIKE 'user.%'").await, 1);
}

on_both_databases!(
    all_methods_work_and_answer_in_order,
    references_are_resolved_wherever_they_stand,
    s39_circular_and_missing_references_are_refused,
    s39_one_bad_operation_harms_no_other,
    s39_bulk_requests_are_capped,
    s32_bulk_knows_nothing_of_others,
    s30_bulk_raises_no_rights,
);
