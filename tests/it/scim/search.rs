//! Searches by POST (RFC 7644 §3.4.3).

use http::Method;
use serde_json::{Value, json};

use crate::support::{Db, TestApp, ids, on_both_databases};

fn request(parameters: &Value) -> Value {
    let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]});
    for (name, value) in parameters.as_object().expect("parameters") {
        body[name] = value.clone();
    }
    body
}

async fn a_search_answers_what_a_list_does(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_users("p", 7).await;
    app.scim.add_group("Agents", &[]).await;
    for (parameters, query) in [
        (json!({}), ""),
        (json!({"filter": "userName sw \"p1\""}), "filter=userName+sw+%22p1%22"),
        (
            json!({"startIndex": 3, "count": 2, "attributes": ["userName", "id"]}),
            "startIndex=3&count=2&attributes=userName",
        ),
        (json!({"sortBy": "userName", "sortOrder": "descending"}), "sortBy=userName&sortOrder=descending"),
        (json!({"excludedAttributes": ["meta"], "count": 0}), "excludedAttributes=meta&count=0"),
    ] {
        let found = app.scim.post("/Users/.search", &request(&parameters)).await.expect(200);
        assert_eq!(found, app.scim.get(&format!("/Users?{query}")).await.expect(200), "{parameters}");
    }
    let groups = app.scim.post("/Groups/.search", &request(&json!({"filter": "displayName eq \"agents\""}))).await;
    assert_eq!(groups.total(), 1);
    let page = app.scim.post("/Users/.search", &request(&json!({"cursor": "", "count": 5}))).await.expect(200);
    let next = page["nextCursor"].clone();
    let rest = app.scim.post("/Users/.search", &request(&json!({"cursor": next, "count": 5}))).await.expect(200);
    assert_eq!((ids(&page["Resources"]).len(), ids(&rest["Resources"]).len()), (5, 2));
    assert!(rest.get("nextCursor").is_none());
}

async fn a_search_at_the_root_goes_over_both_types(db: Db) {
    let app = TestApp::start(db).await;
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(app.scim.post("/Users", &json!({"userName": format!("p{n}@acme.example")})).await.created());
    }
    for name in ["p4@acme.example", "B", "C"] {
        all.push(app.scim.add_group(name, &[&all[0]]).await);
    }
    let search = |parameters: Value| {
        let scim = app.scim.clone();
        async move { scim.post("/.search", &request(&parameters)).await.expect(200) }
    };
    let found = search(json!({})).await;
    assert_eq!((ids(&found["Resources"]), &found["totalResults"]), (all.clone(), &json!(8)));
    assert_eq!(found["Resources"][5]["members"].as_array().map(Vec::len), Some(1));
    // Known of each type without looking at anybody, so it is even counted for a cursor.
    for (filter, total) in [
        ("meta.resourceType eq \"Group\"", 3),
        ("meta.resourceType ne \"Group\"", 5),
        ("schemas eq \"urn:ietf:params:scim:schemas:core:2.0:User\"", 5),
        ("schemas sw \"urn:ietf:params:scim:schemas:core:2.0:Gr\" and displayName eq \"b\"", 1),
        ("schemas eq \"urn:nobody\" or meta.resourceType sw \"x\"", 0),
    ] {
        let found = search(json!({"filter": filter})).await;
        assert_eq!(found["totalResults"], json!(total), "{filter}");
        let counted = search(json!({"filter": filter, "cursor": "", "count": 1})).await;
        assert_eq!(counted["totalResults"], json!(total), "{filter}");
    }
    for (start, count, expected) in
        [(4, 3, &all[3..6]), (6, 10, &all[5..]), (5, 1, &all[4..5]), (9, 5, &all[8..]), (1, 0, &[])]
    {
        let page = search(json!({"startIndex": start, "count": count})).await;
        assert_eq!(ids(&page["Resources"]), expected, "{start} {count}");
        assert_eq!(page["totalResults"], json!(8), "{start} {count}");
    }
    for size in [1, 2, 3, 5, 8] {
        for parameters in [json!({}), json!({"sortBy": "displayName"}), json!({"filter": "not (title pr)"})] {
            let (mut seen, mut cursor) = (Vec::new(), json!(""));
            while !cursor.is_null() {
                let mut asked = parameters.clone();
                (asked["cursor"], asked["count"]) = (cursor, json!(size));
                let page = search(asked).await;
                seen.extend(ids(&page["Resources"]));
                cursor = page["nextCursor"].clone();
            }
            seen.sort();
            let mut everything = all.clone();
            everything.sort();
            assert_eq!(seen, everything, "{size} {parameters}");
        }
    }
    // An attribute that one type does not have is one without a value there.
    for (filter, expected) in [
        ("userName pr", &all[..5]),
        ("not (userName pr)", &all[5..]),
        ("userName eq \"p4@acme.example\" or displayName eq \"b\"", &[all[4].clone(), all[6].clone()]),
        ("displayName pr and members pr", &all[5..]),
        ("userName ne \"p0@acme.example\"", &all[1..]),
        ("userName eq null", &all[5..]),
        ("emails[type eq \"work\"]", &[]),
        ("meta.resourceType eq \"Group\"", &all[5..]),
    ] {
        let found = search(json!({"filter": filter})).await;
        assert_eq!(ids(&found["Resources"]), expected, "{filter}");
        assert_eq!(found["totalResults"], json!(expected.len()), "{filter}");
    }
    let sorted =
        search(json!({"sortBy": "displayName", "filter": "displayName pr", "attributes": ["displayName"]})).await;
    let names: Vec<&Value> =
        sorted["Resources"].as_array().expect("resources").iter().map(|r| &r["displayName"]).collect();
    assert_eq!(names, [&json!("B"), &json!("C"), &json!("p4@acme.example")]);
    assert!(sorted["Resources"][0].get("members").is_none());
}

async fn a_search_is_refused_as_a_list_is(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    for (path, body, kind) in [
        ("/Users/.search", json!({"filter": "userName pr"}), "invalidSyntax"),
        ("/.search", json!([]), "invalidSyntax"),
        ("/.search", request(&json!({"filter": "noSuch pr"})), "invalidFilter"),
        ("/.search", request(&json!({"filter": ""})), "invalidFilter"),
        ("/Users/.search", request(&json!({"filter": "members pr"})), "invalidFilter"),
        ("/Users/.search", request(&json!({"sortBy": "noSuch"})), "invalidValue"),
        ("/Users/.search", request(&json!({"cursor": "x"})), "invalidCursor"),
        ("/Users/.search", request(&json!({"cursor": "", "count": 0})), "invalidCount"),
    ] {
        assert_eq!(app.scim.post(path, &body).await.expect_error(400).0.as_deref(), Some(kind), "{path} {body}");
    }
    for path in ["/.search", "/Users/.search", "/Groups/.search"] {
        let answer = app.scim.get(path).await;
        answer.expect_error(405);
        assert_eq!(answer.header("allow"), Some("POST"), "{path}");
        app.scim.with_token(None).post(path, &request(&json!({}))).await.expect_error(401);
        let html =
            app.scim.request(Method::POST, path).header("content-type", Some("text/html")).body("{}").send().await;
        html.expect_error(415);
    }
}

on_both_databases!(
    a_search_answers_what_a_list_does,
    a_search_at_the_root_goes_over_both_types,
    a_search_is_refused_as_a_list_is,
);
