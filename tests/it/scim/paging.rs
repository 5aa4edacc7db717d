//! Pages by index (RFC 7644 §3.4.2.4).

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Db, TestApp, ids, on_both_databases};

async fn a_walk_sees_everybody_once_while_people_come(db: Db) {
    let app = TestApp::start(db).await;
    let there: BTreeSet<String> = app.scim.add_users("early", 120).await.into_iter().collect();
    let (mut seen, mut start, mut late) = (Vec::new(), 1, 0);
    loop {
        let list = app.scim.get(&format!("/Users?startIndex={start}&count=25&attributes=id")).await.expect(200);
        let page = ids(&list["Resources"]);
        assert_eq!(list["itemsPerPage"], json!(page.len()));
        assert_eq!(list["startIndex"], json!(start));
        if page.is_empty() {
            assert_eq!(list["totalResults"], json!(start - 1));
            break;
        }
        start += page.len();
        seen.extend(page);
        if late < 30 {
            app.scim.add_user(&format!("late{late}@acme.example")).await;
            late += 1;
        }
    }
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "somebody was seen twice");
    assert!(there.is_subset(&distinct), "somebody was missed");
    assert_eq!(app.scim.get("/Users").await.total(), seen.len() as u64);
}

async fn a_filtered_walk_is_as_stable(db: Db) {
    let app = TestApp::start(db).await;
    let wanted: BTreeSet<String> = app.scim.add_users("north", 30).await.into_iter().collect();
    app.scim.add_users("south", 30).await;
    // The first filter is decided by an index, the second one by looking at each person.
    for filter in ["userName%20sw%20%22north%22", "userName%20sw%20%22north%22%20and%20not%20(title%20co%20%22x%22)"] {
        let mut seen = Vec::new();
        for start in [1, 8, 15, 22, 29, 36] {
            let path = format!("/Users?filter={filter}&startIndex={start}&count=7&attributes=id");
            let list = app.scim.get(&path).await.expect(200);
            assert_eq!(list["totalResults"], json!(30), "{filter} from {start}");
            seen.extend(ids(&list["Resources"]));
        }
        assert_eq!(seen.len(), 30, "{filter}");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), wanted, "{filter}");
    }
}

async fn totals_follow_creations_and_deletions(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 12).await;
    assert_eq!(app.scim.get("/Users?count=0").await.total(), 12);
    for id in &people[..5] {
        app.scim.delete(&format!("/Users/{id}")).await.expect(204);
    }
    assert_eq!(app.scim.get("/Users?count=0").await.total(), 7);
    app.scim.set_active(&people[6], false).await;
    assert_eq!(app.scim.get("/Users?count=0").await.total(), 7, "inactive people are listed");
    let groups = [app.scim.add_group("A", &[]).await, app.scim.add_group("B", &[]).await];
    assert_eq!(app.scim.get("/Groups?count=0").await.total(), 2);
    app.scim.delete(&format!("/Groups/{}", groups[0])).await.expect(204);
    assert_eq!(app.scim.get("/Groups?count=0").await.total(), 1);
}

on_both_databases!(
    a_walk_sees_everybody_once_while_people_come,
    a_filtered_walk_is_as_stable,
    totals_follow_creations_and_deletions,
);
