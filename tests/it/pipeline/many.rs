//! Changes that touch more people than one transaction computes.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde_json::json;

use crate::support::{Db, TestApp, on_both_databases, wait_until};

/// More than are computed at once, and more than two chunks.
const PEOPLE: usize = 510;

/// Half of them in each group; the names of the first half begin with `loser`.
async fn halves(app: &TestApp) -> [Vec<String>; 2] {
    let make = async |kind: &'static str| {
        let mut ids: Vec<String> = stream::iter(0..PEOPLE / 2)
            .map(|n| async move { app.scim.add_user(&format!("{kind}{n:03}@acme.example")).await })
            .buffer_unordered(16)
            .collect()
            .await;
        ids.sort();
        ids
    };
    // In the order of ids the others come first: it is not by that order that losers do.
    let winners = make("winner").await;
    [make("loser").await, winners]
}

async fn add_all(app: &TestApp, group: &str, ids: &[String]) {
    let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
    let operations = json!([{"op": "add", "path": "members", "value": members}]);
    app.scim.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
}

async fn computed(app: &TestApp) {
    let sql = app.sql().await;
    wait_until(Duration::from_mins(1), "everybody is computed anew", async || {
        sql.number("SELECT COUNT(*) FROM recompute").await == 0
    })
    .await;
}

async fn whoever_loses_comes_first(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(&rule("First")).paused().start().await;
    let [losers, winners] = halves(&app).await;
    let first = app.scim.add_group("First", &[]).await;
    let second = app.scim.add_group("Second", &[]).await;
    add_all(&app, &first, &losers).await;
    add_all(&app, &second, &winners).await;
    computed(&app).await;
    let sql = app.sql().await;
    let wanted = "SELECT COUNT(*) FROM worker WHERE desired IS NOT NULL AND name LIKE";
    assert_eq!(sql.number(&format!("{wanted} 'loser%'")).await, i64::try_from(losers.len()).unwrap());
    assert_eq!(sql.number(&format!("{wanted} 'winner%'")).await, 0);

    app.import_rules(&rule("Second")).await;
    computed(&app).await;
    assert_eq!(sql.number(&format!("{wanted} 'loser%'")).await, 0);
    assert_eq!(sql.number(&format!("{wanted} 'winner%'")).await, i64::try_from(winners.len()).unwrap());
    let last_loss = sql.number("SELECT MAX(desired_at) FROM worker WHERE name LIKE 'loser%'").await;
    let first_gain = sql.number("SELECT MIN(desired_at) FROM worker WHERE name LIKE 'winner%'").await;
    assert!(last_loss <= first_gain, "the last loss at {last_loss}, the first gain at {first_gain}");
    let lanes = sql
        .texts("SELECT DISTINCT name || ' ' || lane FROM worker WHERE name LIKE '%000@acme.example' ORDER BY 1")
        .await;
    assert_eq!(lanes, ["loser000@acme.example 0", "winner000@acme.example 1"]);
}

async fn a_large_group_that_is_renamed_is_computed_in_the_background(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(&rule("Everybody")).paused().start().await;
    let [mut all, others] = halves(&app).await;
    all.extend(others);
    let group = app.scim.add_group("Nobody", &[]).await;
    add_all(&app, &group, &all).await;
    let sql = app.sql().await;
    let wanted =
        async || usize::try_from(sql.number("SELECT COUNT(*) FROM worker WHERE desired IS NOT NULL").await).unwrap();
    computed(&app).await;
    assert_eq!(wanted().await, 0);
    for (name, count) in [("Everybody", PEOPLE), ("Nobody", 0)] {
        let rename = json!([{"op": "replace", "path": "displayName", "value": name}]);
        app.scim.patch(&format!("/Groups/{group}"), &rename).await.expect_success();
        computed(&app).await;
        assert_eq!(wanted().await, count, "{name}");
    }
}

async fn changes_during_a_recomputation_are_not_undone(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(&rule("First")).paused().start().await;
    let [losers, winners] = halves(&app).await;
    let group = app.scim.add_group("First", &[]).await;
    add_all(&app, &group, &losers).await;
    computed(&app).await;
    // Everybody who is pushed while the rules change ends as the new rules say.
    app.import_rules(&rule("Second")).await;
    let second = app.scim.add_group("Second", &[]).await;
    add_all(&app, &second, &winners).await;
    app.scim.set_active(&winners[0], false).await;
    app.scim.remove_member(&second, &winners[1]).await;
    add_all(&app, &second, &losers[..1]).await;
    computed(&app).await;
    let sql = app.sql().await;
    let wanted = sql.texts("SELECT user_id FROM worker WHERE desired IS NOT NULL ORDER BY user_id").await;
    let mut expected = winners[2..].to_vec();
    expected.push(losers[0].clone());
    expected.sort();
    assert_eq!(wanted, expected);
}

fn rule(group: &str) -> String {
    format!("[[rule]]\nname = \"agents\"\nwhen = 'groups.display eq \"{group}\"'\nrole = \"agent\"\n")
}

on_both_databases!(
    whoever_loses_comes_first,
    a_large_group_that_is_renamed_is_computed_in_the_background,
    changes_during_a_recomputation_are_not_undone,
);
