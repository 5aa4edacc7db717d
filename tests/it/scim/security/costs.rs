//! What a filter may make the database read.

use crate::support::{Db, Scim, TestApp, encoded, on_both_databases};

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

on_both_databases!(s42_filters_that_would_read_all_texts_are_refused);
