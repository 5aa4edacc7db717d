//! Versions: `ETag`, `If-Match` and `If-None-Match` (RFC 7644 §3.14).

use futures::future::join_all;
use http::Method;
use serde_json::json;

use crate::support::{Answer, Db, Scim, TestApp, USER, on_both_databases};

async fn patch_if(scim: &Scim, path: &str, condition: &str) -> Answer {
    let body = json!({"Operations": [{"op": "replace", "path": "externalId", "value": condition}]});
    scim.request(Method::PATCH, path).json(&body).header("if-match", Some(condition)).send().await
}

async fn a_change_may_demand_a_version(db: Db) {
    let app = TestApp::start(db).await;
    let user = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let group = format!("/Groups/{}", app.scim.add_group("Agents", &[]).await);
    for path in [&user, &group] {
        let read = app.scim.get(path).await;
        let first = read.header("etag").expect("a version").to_owned();
        assert_eq!(read.json()["meta"]["version"], json!(first));
        patch_if(&app.scim, path, &first).await.expect_success();
        patch_if(&app.scim, path, &first).await.expect_error(412);
        patch_if(&app.scim, path, "\"no-such\"").await.expect_error(412);
        patch_if(&app.scim, path, "*").await.expect_success();
        let now = app.scim.get(path).await.header("etag").expect("a version").to_owned();
        assert_ne!(now, first);
        patch_if(&app.scim, path, &format!("\"other\", {now}")).await.expect_success();
        let stale = app.scim.request(Method::DELETE, path).header("if-match", Some(&first)).send().await;
        stale.expect_error(412);
    }
    let put = json!({"schemas": [USER], "userName": "ana@acme.example"});
    let stale = app.scim.request(Method::PUT, &user).json(&put).header("if-match", Some("W/\"1\"")).send().await;
    stale.expect_error(412);
    let now = app.scim.get(&user).await.header("etag").expect("a version").to_owned();
    app.scim.request(Method::DELETE, &user).header("if-match", Some(&now)).send().await.expect(204);
}

async fn what_is_known_is_not_sent_again(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[&id]).await;
    for path in [format!("/Users/{id}"), format!("/Groups/{group}")] {
        let version = app.scim.get(&path).await.header("etag").expect("a version").to_owned();
        let ask = |known: String| {
            let draft = app.scim.request(Method::GET, &path).header("if-none-match", Some(&known));
            async move { draft.send().await }
        };
        let known = ask(version.clone()).await;
        assert_eq!((known.status, known.body.len()), (304, 0));
        assert_eq!(known.header("etag"), Some(version.as_str()));
        ask("W/\"0\"".to_owned()).await.expect(200);
    }
}

/// What changes without the resource's own attributes changing is a new version all the same, or a reader would keep the
/// old one for ever.
async fn a_version_covers_all_that_is_shown(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[]).await;
    let version = |path: String| {
        let scim = app.scim.clone();
        async move { scim.get(&path).await.header("etag").expect("a version").to_owned() }
    };
    let before = version(format!("/Groups/{group}")).await;
    app.scim.add_member(&group, &id).await;
    let between = version(format!("/Groups/{group}")).await;
    assert_ne!(before, between, "a member came");
    app.scim.remove_member(&group, &id).await;
    assert_ne!(between, version(format!("/Groups/{group}")).await, "a member went");
    let before = version(format!("/Groups/{group}")).await;
    app.scim.remove_member(&group, &id).await;
    assert_eq!(before, version(format!("/Groups/{group}")).await, "nothing changed");
}

async fn a_change_of_nothing_keeps_the_version(db: Db) {
    let app = TestApp::start(db).await;
    let path = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let before = app.scim.get(&path).await.expect(200);
    app.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": true}])).await.expect(200);
    assert_eq!(app.scim.get(&path).await.expect(200), before);
    app.scim.put(&path, &before).await.expect(200);
    assert_eq!(app.scim.get(&path).await.expect(200), before);
}

async fn a_star_means_whatever_there_is(db: Db) {
    let app = TestApp::start(db).await;
    let user = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let group = format!("/Groups/{}", app.scim.add_group("Agents", &[]).await);
    for path in [&user, &group] {
        let ask = |known: &str| app.scim.request(Method::GET, path).header("if-none-match", Some(known)).send();
        assert_eq!(ask("*").await.status, 304);
        assert_eq!(ask("\"x\", W/\"1\"").await.status, 304);
        ask("\"x\"").await.expect(200);
        ask("").await.expect(200);
        app.scim.request(Method::DELETE, path).header("if-match", Some("*")).send().await.expect(204);
        let gone = app.scim.request(Method::DELETE, path).header("if-match", Some("*")).send().await;
        gone.expect_error(404);
    }
}

/// Writers that all name the version that is there: the version is looked at where the change is made, so one of them
/// passes and the others learn of it.
async fn of_writers_with_one_version_one_passes(db: Db) {
    let app = TestApp::start(db).await;
    for round in 0..5 {
        let user = format!("/Users/{}", app.scim.add_user(&format!("u{round}@acme.example")).await);
        let group = format!("/Groups/{}", app.scim.add_group(&format!("G{round}"), &[]).await);
        for path in [&user, &group] {
            let writers = (0..6).map(|n| {
                let body = json!({"Operations": [{"op": "replace", "path": "externalId", "value": format!("{n}")}]});
                let whole = json!({"schemas": [USER], "userName": format!("u{round}@acme.example"),
                    "displayName": format!("G{round}"), "externalId": format!("{n}")});
                let (method, body) = if n % 2 == 0 { (Method::PATCH, body) } else { (Method::PUT, whole) };
                app.scim.request(method, path).json(&body).header("if-match", Some("W/\"1\"")).send()
            });
            let answers = join_all(writers).await;
            let passed = answers.iter().filter(|answer| answer.status < 300).count();
            let refused = answers.iter().filter(|answer| answer.status == 412).count();
            assert_eq!((passed, refused), (1, 5), "{path}");
            assert_eq!(app.scim.get(path).await.header("etag"), Some("W/\"2\""));
        }
    }
}

/// Members come without waiting for one another, and still each change answers the version that it made.
async fn every_change_of_members_has_a_version_of_its_own(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 24).await;
    let group = format!("/Groups/{}", app.scim.add_group("Agents", &[]).await);
    let changes = people.iter().map(|id| {
        let body = json!({"Operations": [{"op": "add", "path": "members", "value": [{"value": id}]}]});
        app.scim.request(Method::PATCH, &group).json(&body).send()
    });
    let mut versions: Vec<String> =
        join_all(changes).await.iter().map(|answer| answer.header("etag").expect("a version").to_owned()).collect();
    let last = app.scim.get(&group).await.header("etag").expect("a version").to_owned();
    assert!(versions.contains(&last), "{last} is not among {versions:?}");
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), people.len(), "{versions:?}");
}

on_both_databases!(
    a_star_means_whatever_there_is,
    of_writers_with_one_version_one_passes,
    every_change_of_members_has_a_version_of_its_own,
    a_change_may_demand_a_version,
    what_is_known_is_not_sent_again,
    a_version_covers_all_that_is_shown,
    a_change_of_nothing_keeps_the_version,
);
