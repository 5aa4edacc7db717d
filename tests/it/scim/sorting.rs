//! Sorting (RFC 7644 §3.4.2.3).

use serde_json::{Value, json};

use crate::support::{Db, ENTERPRISE, Scim, TestApp, on_both_databases};

/// The names of what a list has, in its order.
async fn names(scim: &Scim, path: &str, name: &str) -> Vec<String> {
    let list = scim.get(path).await.expect(200);
    let resources = list["Resources"].as_array().expect("resources");
    resources.iter().map(|resource| resource[name].as_str().expect("a name").to_owned()).collect()
}

async fn add(scim: &Scim, user: Value) -> String {
    scim.post("/Users", &user).await.created()
}

async fn people_are_sorted_by_schema(db: Db) {
    let app = TestApp::start(db).await;
    let scim = &app.scim;
    let carol = add(
        scim,
        json!({"userName": "Carol", "displayName": "b", "externalId": "b", "title": "z", "active": false,
        "emails": [{"value": "a@x.example"}, {"value": "z@x.example", "primary": true}], ENTERPRISE: {"department": "Care"}}),
    )
    .await;
    add(
        scim,
        json!({"userName": "alice", "displayName": "C", "externalId": "a", "title": "Y",
        "emails": [{"value": "m@x.example"}], "name": {"familyName": "Zed"}}),
    )
    .await;
    add(scim, json!({"userName": "Bob", "displayName": "a", "externalId": "B", ENTERPRISE: {"department": "billing"}}))
        .await;
    add(scim, json!({"userName": "dave", "name": {"familyName": "abel"}})).await;
    app.clock.advance(std::time::Duration::from_secs(1));
    scim.patch(&format!("/Users/{carol}"), &json!([{"op": "add", "path": "nickName", "value": "C"}])).await.expect(200);
    for (sort, expected) in [
        ("userName", ["alice", "Bob", "Carol", "dave"]),
        ("displayName", ["Bob", "Carol", "alice", "dave"]),
        // The case of an externalId matters.
        ("externalId", ["Bob", "alice", "Carol", "dave"]),
        ("meta.created", ["Carol", "alice", "Bob", "dave"]),
        ("id", ["Carol", "alice", "Bob", "dave"]),
        ("meta.lastModified", ["alice", "Bob", "dave", "Carol"]),
        ("title", ["alice", "Carol", "Bob", "dave"]),
        ("emails", ["alice", "Carol", "Bob", "dave"]),
        ("name.familyName", ["dave", "alice", "Carol", "Bob"]),
        ("active", ["Carol", "alice", "Bob", "dave"]),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", ["Bob", "Carol", "alice", "dave"]),
    ] {
        assert_eq!(names(scim, &format!("/Users?sortBy={sort}"), "userName").await, expected, "{sort}");
        let mut backwards = expected.map(str::to_owned).to_vec();
        backwards.reverse();
        let path = format!("/Users?sortBy={sort}&sortOrder=descending");
        assert_eq!(names(scim, &path, "userName").await, backwards, "{sort}");
        let middle = names(scim, &format!("/Users?sortBy={sort}&startIndex=2&count=2"), "userName").await;
        assert_eq!(middle, expected[1..3], "{sort}");
    }
    let filtered =
        "/Users?sortBy=userName&sortOrder=descending&filter=not+(title+co+%22q%22)+and+userName+ne+%22dave%22";
    assert_eq!(names(scim, filtered, "userName").await, ["Carol", "Bob", "alice"]);
    assert_eq!(scim.get(&format!("{filtered}&count=1")).await.total(), 3);
    let exact = "/Users?sortBy=displayName&filter=active+eq+true";
    assert_eq!(names(scim, exact, "userName").await, ["Bob", "alice", "dave"]);
}

async fn groups_are_sorted(db: Db) {
    let app = TestApp::start(db).await;
    for (name, external) in [("beta", json!("1")), ("Alpha", json!(null)), ("gamma", json!("0"))] {
        app.scim.post("/Groups", &json!({"displayName": name, "externalId": external})).await.created();
    }
    for (sort, expected) in [
        ("displayName", ["Alpha", "beta", "gamma"]),
        ("externalId", ["gamma", "beta", "Alpha"]),
        ("meta.created", ["beta", "Alpha", "gamma"]),
    ] {
        assert_eq!(names(&app.scim, &format!("/Groups?sortBy={sort}"), "displayName").await, expected, "{sort}");
    }
    let id = app.scim.found("/Groups", "displayName eq \"Alpha\"").await.remove(0);
    app.clock.advance(std::time::Duration::from_secs(1));
    let person = app.scim.add_user("ana@acme.example").await;
    app.scim.add_member(&id, &person).await;
    let latest = "/Groups?sortBy=meta.lastModified&sortOrder=descending&count=1";
    assert_eq!(names(&app.scim, latest, "displayName").await, ["Alpha"]);
}

async fn what_cannot_be_sorted_by_is_refused(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    for query in ["sortBy=noSuch", "sortBy=name", "sortBy=password", "sortBy=groups", "sortBy=id&sortOrder=up"] {
        let answer = app.scim.get(&format!("/Users?{query}")).await;
        assert_eq!(answer.expect_error(400).0.as_deref(), Some("invalidValue"), "{query}");
    }
    // An order without an attribute to sort by says nothing.
    app.scim.get("/Users?sortOrder=descending&sortBy=").await.expect(200);
}

/// Sorting by what has an index reads as much as it answers, however many people there are.
async fn sorted_pages_are_read_from_an_index(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_users("p", 3).await;
    let sql = app.sql().await;
    if db == Db::Postgres {
        // Three people are read without an index; the question is which one there is for many.
        for way in ["seqscan", "bitmapscan", "sort"] {
            sql.run(&format!("SET enable_{way} = off")).await.expect("a setting");
        }
    }
    for (order, index) in [
        (
            "u.display_name_fold >= 'a' AND (u.display_name_fold > 'a' OR u.id > 'a') ORDER BY u.display_name_fold, u.id",
            "user_display_name",
        ),
        ("u.display_name_fold IS NULL AND u.id > 'a' ORDER BY u.id", "user_display_name"),
        (
            "u.external_id <= 'a' AND (u.external_id < 'a' OR u.id < 'a') ORDER BY u.external_id DESC, u.id DESC",
            "user_external_id",
        ),
        ("u.updated_at >= 5 AND (u.updated_at > 5 OR u.id > 'a') ORDER BY u.updated_at, u.id", "user_updated"),
        (
            "u.account_id = 'a' AND u.user_name_fold >= 'a' AND (u.user_name_fold > 'a' OR u.id > 'a') \
             ORDER BY u.user_name_fold, u.id",
            "user_name_unique",
        ),
    ] {
        // Names are unique in the account, and SQLite would rather walk an index that begins with the connection.
        let plus = if db == Db::Sqlite && index == "user_name_unique" { "+" } else { "" };
        let query = format!(
            "SELECT u.id FROM \"user\" u WHERE u.status <> 'deleted' AND {plus}u.connection_id = 'c' AND {order} LIMIT 10"
        );
        if db == Db::Postgres && order.contains("IS NULL") {
            // It knows how many lack a value, and takes the order of ids where that is most people.
            continue;
        }
        let plan = match db {
            Db::Sqlite => {
                let rows = sql.rows(&format!("EXPLAIN QUERY PLAN {query}")).await;
                rows.iter().map(|row| row.try_get::<String>("", "detail").expect("a plan") + "\n").collect()
            }
            Db::Postgres => sql.texts(&format!("EXPLAIN {query}")).await.join("\n"),
        };
        assert!(plan.contains(index) && !plan.contains("B-TREE FOR ORDER BY"), "{order}: {plan}");
    }
}

on_both_databases!(
    people_are_sorted_by_schema,
    groups_are_sorted,
    what_cannot_be_sorted_by_is_refused,
    sorted_pages_are_read_from_an_index,
);
