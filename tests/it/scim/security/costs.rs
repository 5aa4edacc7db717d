//! What a filter may make the database read.

use serde_json::json;

use crate::support::{Db, Scim, TestApp, USER, encoded, on_both_databases};

/// Every way to ask for a list.
const WAYS: &[&str] =
    &["", "&startIndex=2", "&count=0", "&cursor", "&sortBy=userName", "&sortBy=title", "&cursor&sortBy=title"];

async fn refused(scim: &Scim, kind: &str, filter: &str, ways: &[&str]) {
    for way in ways {
        let path = format!("{kind}?filter={}{way}", encoded(filter));
        assert_eq!(scim.get(&path).await.expect_error(400).0.as_deref(), Some("tooMany"), "{path}");
    }
}

/// Of more resources than are looked at one by one, none is looked into that no index finds.
async fn s42_filters_that_would_read_all_texts_are_refused(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_users("p", 3).await;
    app.scim.add_group("Agents", &[]).await;
    let hopeless = [
        "userName co \"zz\"",
        "userName ew \"e\"",
        "displayName co \"zz\"",
        "externalId co \"abc\"",
        "externalId ew \"abc\"",
        "id co \"abc\"",
        "id ew \"abc\"",
        "not (userName co \"zz\")",
        "not (userName co \"acme\")",
        "userName co \"zz\" or userName eq \"p1@acme.example\"",
        "active eq true and id co \"abc\"",
        "title pr and userName co \"zz\"",
    ];
    for filter in hopeless {
        app.scim.filter("/Users", filter).await.expect(200);
    }
    // As if there were more than they are.
    app.sql().await.run("UPDATE counter SET total = total + 20000").await.expect("other totals");
    for filter in hopeless {
        refused(&app.scim, "/Users", filter, WAYS).await;
    }
    refused(&app.scim, "/Groups", "displayName co \"zz\"", &["", "&cursor", "&sortBy=displayName"]).await;
    for filter in [
        "userName co \"acme\"",
        "displayName ew \"example\"",
        "userName co \"acme\" and id co \"abc\"",
        "userName eq \"p1@acme.example\" and externalId co \"abc\"",
        "userName sw \"p\"",
        "userName ne \"p\"",
        "active eq false",
        "active eq true",
        "externalId pr",
        "meta.created gt \"2020-01-01T00:00:00Z\"",
    ] {
        for way in WAYS {
            app.scim.get(&format!("/Users?filter={}{way}", encoded(filter))).await.expect(200);
        }
    }
    assert_eq!(app.scim.filter("/Users", "active eq false").await.total(), 0);
    assert_eq!(app.scim.filter("/Users", "active eq true").await.total(), 3);
}

/// By PATCH as by POST: an index of PostgreSQL has no room for more, and SQLite must not keep what it could not move.
async fn s40_values_that_are_found_by_have_a_length(db: Db) {
    let app = TestApp::start(db).await;
    let user = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[]).await;
    // Nothing that could be packed: each character follows from the one before by no simple rule.
    let mut state = 1_u32;
    let long: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + u8::try_from(state >> 25).unwrap_or(0) % 94)
    })
    .filter(char::is_ascii_alphanumeric)
    .take(5_000)
    .collect();
    let wide = "\u{ff21}".repeat(1_000);
    for (target, path) in [
        (format!("/Users/{user}"), "userName"),
        (format!("/Users/{user}"), "externalId"),
        (format!("/Users/{user}"), "displayName"),
        (format!("/Users/{user}"), "emails[type eq \"work\"].value"),
        (format!("/Users/{user}"), "manager"),
        (format!("/Users/{user}"), "employeeNumber"),
        (format!("/Groups/{group}"), "externalId"),
        (format!("/Groups/{group}"), "displayName"),
    ] {
        for value in [&long, &wide] {
            let answer = app.scim.patch(&target, &json!([{"op": "replace", "path": path, "value": value}])).await;
            assert_eq!(answer.expect_error(400).0.as_deref(), Some("invalidValue"), "{path}: {answer}");
        }
        let fits = json!([{"op": "replace", "path": path, "value": &long[..1_024]}]);
        app.scim.patch(&target, &fits).await.expect_success();
    }
    let body = json!({"schemas": [USER], "userName": "ana@acme.example", "active": false});
    app.scim.put(&format!("/Users/{user}"), &body).await.expect(200);
}

on_both_databases!(s40_values_that_are_found_by_have_a_length, s42_filters_that_would_read_all_texts_are_refused);
