//! Pages by cursor (RFC 9865).

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall::service::connections::ConnectionSettings;
use serde_json::{Value, json};

use crate::support::{Db, Scim, TestApp, encoded, ids, on_both_databases};

/// All pages of a list from its first, as far as it goes.
async fn walk(scim: &Scim, path: &str) -> Vec<Value> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = scim.get(&format!("{path}&cursor={}", encoded(&cursor))).await.expect(200);
        assert!(page.get("startIndex").is_none(), "{page}");
        assert_eq!(page["itemsPerPage"], json!(ids(&page["Resources"]).len()));
        let next = page["nextCursor"].as_str().map(str::to_owned);
        pages.push(page);
        assert!(pages.len() < 100, "a walk without end");
        match next {
            Some(next) => cursor = next,
            None => return pages,
        }
    }
}

fn seen(pages: &[Value]) -> Vec<String> {
    pages.iter().flat_map(|page| ids(&page["Resources"])).collect()
}

async fn a_walk_sees_everybody_once_and_stays_while_people_come_and_go(db: Db) {
    let app = TestApp::start(db).await;
    let there = app.scim.add_users("p", 23).await;
    let pages = walk(&app.scim, "/Users?count=10&attributes=id").await;
    assert_eq!(pages.iter().map(|page| ids(&page["Resources"]).len()).collect::<Vec<_>>(), [10, 10, 3]);
    assert!(pages.iter().all(|page| page["totalResults"] == json!(23)));
    assert_eq!(seen(&pages).into_iter().collect::<BTreeSet<_>>(), there.iter().cloned().collect());
    // A page that ends where the list does has no next one.
    assert!(app.scim.get("/Users?cursor&count=23").await.expect(200).get("nextCursor").is_none());
    let first = app.scim.get("/Users?cursor&count=10&attributes=id").await.expect(200);
    for id in ids(&first["Resources"]).iter().take(5) {
        app.scim.delete(&format!("/Users/{id}")).await.expect(204);
    }
    app.scim.add_users("late", 4).await;
    let next = first["nextCursor"].as_str().expect("a cursor");
    let second = app.scim.get(&format!("/Users?cursor={next}&count=100&attributes=id")).await.expect(200);
    assert_eq!(ids(&second["Resources"]).len(), 17, "13 of the first ones and 4 who came");
    assert_eq!(app.scim.get("/Groups?cursor").await.expect(200)["Resources"], json!([]));
}

async fn filters_and_orders_are_walked_too(db: Db) {
    let app = TestApp::start(db).await;
    for n in 0..30 {
        // Names that differ in case only by their order, some twice, some without any.
        let mut user = json!({"userName": format!("u{:02}@acme.example", (n * 7) % 30), "active": n % 2 == 0});
        if n % 3 != 0 {
            user["displayName"] = json!(format!("{} {}", if n % 2 == 0 { "ana" } else { "Ana" }, n % 5));
            user["externalId"] = json!(format!("x{n}"));
        }
        app.scim.post("/Users", &user).await.created();
    }
    let whole = |path: String| {
        let scim = app.scim.clone();
        async move { ids(&scim.get(&format!("{path}&count=1000")).await.expect(200)["Resources"]) }
    };
    let title = encoded("not (title co \"x\")");
    for query in [
        "filter=userName+sw+%22u%22".to_owned(),
        "filter=active+eq+true".to_owned(),
        format!("filter={title}"),
        format!("filter={title}&sortBy=displayName"),
        "sortBy=userName".to_owned(),
        "sortBy=userName&sortOrder=descending".to_owned(),
        "sortBy=displayName".to_owned(),
        "sortBy=displayName&sortOrder=descending".to_owned(),
        "sortBy=externalId".to_owned(),
        "sortBy=externalId&sortOrder=descending".to_owned(),
        "sortBy=id&sortOrder=descending".to_owned(),
        "sortBy=meta.created".to_owned(),
        "sortBy=meta.lastModified&sortOrder=descending".to_owned(),
        "sortBy=active".to_owned(),
        "sortBy=displayName&filter=userName+eq+%22u03@acme.example%22".to_owned(),
    ] {
        let path = format!("/Users?attributes=id&{query}");
        let pages = walk(&app.scim, &format!("{path}&count=7")).await;
        let all = whole(path).await;
        assert_eq!(seen(&pages), all, "{query}");
        assert!(!all.is_empty(), "{query}");
    }
    for n in 0..9 {
        app.scim.add_group(&format!("{} {n}", if n % 2 == 0 { "a" } else { "B" }), &[]).await;
    }
    for query in ["sortBy=displayName", "sortBy=externalId&sortOrder=descending", "sortBy=meta.lastModified", "x=1"] {
        let path = format!("/Groups?attributes=id&{query}");
        assert_eq!(seen(&walk(&app.scim, &format!("{path}&count=4")).await), whole(path).await, "{query}");
    }
}

async fn wrong_cursors_and_counts_are_refused(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_users("p", 5).await;
    let refused = |path: String| {
        let scim = app.scim.clone();
        async move { scim.get(&path).await.expect_error(400).0.expect("a scimType") }
    };
    for cursor in ["x", "v1.a.b.c", "%00", "AAAA"] {
        assert_eq!(refused(format!("/Users?cursor={cursor}")).await, "invalidCursor", "{cursor}");
    }
    for count in ["0", "-1", "ten"] {
        assert_eq!(refused(format!("/Users?cursor&count={count}")).await, "invalidCount", "{count}");
    }
    assert_eq!(refused("/Users?cursor&startIndex=1".to_owned()).await, "invalidValue");
    let first = app.scim.get("/Users?cursor=&count=2").await.expect(200);
    let next = first["nextCursor"].as_str().expect("a cursor").to_owned();
    app.clock.advance(Duration::from_mins(59));
    app.scim.get(&format!("/Users?cursor={next}")).await.expect(200);
    app.clock.advance(Duration::from_mins(2));
    assert_eq!(refused(format!("/Users?cursor={next}")).await, "expiredCursor");
}

/// A cursor opens for whoever got it, for the list that it was given for, and says nothing to anybody.
async fn s41_cursors_are_sealed_and_bound(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_users("p", 5).await;
    app.scim.add_group("A", &[]).await;
    app.scim.add_group("B", &[]).await;
    let query = "filter=id+pr&sortBy=id&count=2";
    let first = app.scim.get(&format!("/Users?{query}&cursor")).await.expect(200);
    let next = first["nextCursor"].as_str().expect("a cursor").to_owned();
    let last = ids(&first["Resources"]).pop().expect("an id");
    assert!(!next.contains(&last) && !next.contains("acme"), "{next}");
    app.scim.get(&format!("/Users?{query}&cursor={next}")).await.expect(200);
    let sibling = app.connect("sibling").await;
    let other_account = app.add_account("other").await;
    let stranger = app.connect_in(&other_account, "stranger", ConnectionSettings::default()).await;
    for (scim, path) in [
        (&sibling, format!("/Users?{query}&cursor={next}")),
        (&stranger, format!("/Users?{query}&cursor={next}")),
        (&app.scim, format!("/Groups?{query}&cursor={next}")),
        (&app.scim, format!("/Users?sortBy=id&count=2&cursor={next}")),
        (&app.scim, format!("/Users?filter=id+pr&count=2&cursor={next}")),
        (&app.scim, format!("/Users?{query}&sortOrder=descending&cursor={next}")),
        (&app.scim, format!("/Users?{query}&cursor={}", &next[..next.len() - 2])),
        (&app.scim, format!("/Users?{query}&cursor={next}A")),
    ] {
        assert_eq!(scim.get(&path).await.expect_error(400).0.as_deref(), Some("invalidCursor"), "{path}");
    }
}

on_both_databases!(
    a_walk_sees_everybody_once_and_stays_while_people_come_and_go,
    filters_and_orders_are_walked_too,
    wrong_cursors_and_counts_are_refused,
    s41_cursors_are_sealed_and_bound,
);
