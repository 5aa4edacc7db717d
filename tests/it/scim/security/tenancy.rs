//! Whose resources they are.

use http::Method;
use rollcall::service::connections::ConnectionSettings;
use serde_json::{Value, json};

use crate::support::{Answer, Db, GROUP, Scim, TestApp, USER, on_both_databases};

async fn s28_no_name_is_taken_for_an_id(db: Db) {
    let app = TestApp::start(db).await;
    let victim = app.scim.add_user("ana@acme.example").await;
    let mut made = Vec::new();
    for (n, external) in ["1", "0", "-1", victim.as_str(), "ana@acme.example", "../Users", "me"].into_iter().enumerate()
    {
        let user = json!({"schemas": [USER], "userName": format!("p{n}@acme.example"), "externalId": external});
        made.push((external.to_owned(), app.scim.post("/Users", &user).await.created()));
    }
    let named = json!({"schemas": [USER], "userName": victim, "displayName": "An id for a name"});
    let named = app.scim.post("/Users", &named).await.created();
    for (external, id) in &made {
        assert_ne!(*id, victim);
        assert_eq!(app.scim.found("/Users", &format!("externalId eq \"{external}\"")).await, std::slice::from_ref(id));
        if *external != victim && !external.contains('/') {
            app.scim.get(&format!("/Users/{external}")).await.expect_error(404);
        }
    }
    assert_eq!(app.scim.get(&format!("/Users/{victim}")).await.expect(200)["userName"], json!("ana@acme.example"));
    assert_eq!(app.scim.found("/Users", &format!("id eq \"{victim}\"")).await, std::slice::from_ref(&victim));
    assert_eq!(app.scim.found("/Users", &format!("userName eq \"{victim}\"")).await, [named]);
    let operations = json!([{"op": "replace", "path": "displayName", "value": "changed"}]);
    app.scim.patch("/Users/1", &operations).await.expect_error(404);
    app.scim.delete("/Users/ana@acme.example").await.expect_error(404);
    let group = app.scim.add_group("Agents", &[]).await;
    let operations = json!([{"op": "add", "path": "members", "value": [{"value": "1"}]}]);
    app.scim.patch(&format!("/Groups/{group}"), &operations).await.expect_error(400);
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
    // Another spelling of the same id is another id.
    app.scim.get(&format!("/Users/{}", victim.to_uppercase())).await.expect_error(404);
    app.scim.get(&format!("/Users/{}", victim.replace('-', ""))).await.expect_error(404);
}

async fn s29_a_client_does_not_choose_ids(db: Db) {
    let app = TestApp::start(db).await;
    let ana = app.scim.add_user("ana@acme.example").await;
    let wanted = "0192f0c1-2345-7abc-8def-0123456789ab";
    for (n, id) in [json!(wanted), json!(ana), json!(7), json!(["x"]), Value::Null].into_iter().enumerate() {
        let user = json!({"schemas": [USER], "id": id, "userName": format!("p{n}@acme.example")});
        let answer = app.scim.post("/Users", &user).await;
        if answer.status == 201 {
            let made = answer.created();
            assert!(made != wanted && made != ana);
        } else {
            answer.expect_error(400);
        }
    }
    let group = json!({"schemas": [GROUP], "id": wanted, "displayName": "Agents"});
    assert_ne!(app.scim.post("/Groups", &group).await.created(), wanted);
    let put = json!({"schemas": [USER], "id": wanted, "userName": "ana@acme.example", "displayName": "Put"});
    let answer = app.scim.put(&format!("/Users/{ana}"), &put).await;
    assert!([200, 400].contains(&answer.status), "{answer}");
    let patch = json!([{"op": "replace", "value": {"id": wanted}}]);
    let answer = app.scim.patch(&format!("/Users/{ana}"), &patch).await;
    assert!([200, 400].contains(&answer.status), "{answer}");
    assert_eq!(app.scim.get(&format!("/Users/{ana}")).await.expect(200)["id"], json!(ana));
    app.scim.get(&format!("/Users/{wanted}")).await.expect_error(404);
}

async fn s32_ids_of_others_are_unknown(db: Db) {
    let app = TestApp::start(db).await;
    let account = app.add_account("elsewhere").await;
    let others =
        [app.connect("second").await, app.connect_in(&account, "foreign", ConnectionSettings::default()).await];
    let user = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[&user]).await;
    let users = format!("/Users/{user}");
    let groups = format!("/Groups/{group}");
    let before = (app.scim.get(&users).await.expect(200), app.scim.get(&groups).await.expect(200));
    for (n, other) in others.iter().enumerate() {
        other.add_user(&format!("own{n}@acme.example")).await;
        let own = other.add_group("Own", &[]).await;
        for answer in every_use(other, &users, &groups).await {
            answer.expect_error(404);
        }
        // As somebody who is nowhere.
        for answer in every_membership(other, &[&user, &group], &own).await {
            let (kind, detail) = answer.expect_error(400);
            assert_eq!(kind.as_deref(), Some("invalidValue"), "{answer}");
            assert!(detail.contains("There is no user or group"), "{detail}");
        }
        assert_eq!(other.members(&own).await, Vec::<String>::new());
        for filter in ["id eq", "groups.value eq", "externalId eq", "userName eq", "emails.value eq"] {
            for value in [&user, &group, "ana@acme.example"] {
                assert_eq!(
                    other.filter("/Users", &format!("{filter} \"{value}\"")).await.total(),
                    0,
                    "{filter} {value}"
                );
            }
        }
        for filter in ["id eq", "members.value eq", "displayName eq", "members.display co"] {
            for value in [&user, &group, "Agents"] {
                assert_eq!(
                    other.filter("/Groups", &format!("{filter} \"{value}\"")).await.total(),
                    0,
                    "{filter} {value}"
                );
            }
        }
        // Searching everything by POST is no other way in.
        let search = async |path: &str, filter: String| {
            let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter});
            other.post(path, &search).await.total()
        };
        for value in [&user, &group] {
            for path in ["/.search", "/Users/.search", "/Groups/.search"] {
                assert_eq!(search(path, format!("id eq \"{value}\"")).await, 0, "{path} {value}");
            }
        }
        assert_eq!(search("/Users/.search", "userName eq \"ana@acme.example\"".to_owned()).await, 0);
        assert_eq!(search("/Groups/.search", "displayName eq \"Agents\"".to_owned()).await, 0);
        assert_eq!(search("/.search", "id pr".to_owned()).await, 2, "its own user and group");
        for filter in ["not (userName eq \"x\")", "id pr", "groups pr or active eq true"] {
            assert_eq!(other.filter("/Users", filter).await.total(), 1, "{filter}");
        }
        let remove = json!([{"op": "remove", "path": "members", "value": [{"value": user}]}]);
        other.patch(&format!("/Groups/{own}"), &remove).await.expect_success();
    }
    assert_eq!((app.scim.get(&users).await.expect(200), app.scim.get(&groups).await.expect(200)), before);
}

async fn every_use(other: &Scim, users: &str, groups: &str) -> Vec<Answer> {
    let put = json!({"schemas": [USER], "userName": "taken.over@acme.example"});
    let rename = json!([{"op": "replace", "path": "displayName", "value": "Taken over"}]);
    vec![
        other.get(users).await,
        other.get(groups).await,
        other.get(&format!("{users}?attributes=id")).await,
        other.put(users, &put).await,
        other.put(groups, &json!({"displayName": "Taken over"})).await,
        other.patch(users, &rename).await,
        other.patch(groups, &rename).await,
        other.delete(users).await,
        other.delete(groups).await,
        other.request(Method::GET, users).header("if-none-match", Some("W/\"1\"")).send().await,
        other.request(Method::DELETE, users).header("if-match", Some("W/\"9\"")).send().await,
    ]
}

/// Every way to make somebody a member of the group `own`, or of a new one.
async fn every_membership(other: &Scim, members: &[&str], own: &str) -> Vec<Answer> {
    let own_path = format!("/Groups/{own}");
    let mut answers = Vec::new();
    for member in members {
        let members = json!([{"value": member}]);
        answers.push(other.patch(&own_path, &json!([{"op": "add", "path": "members", "value": members}])).await);
        answers.push(other.patch(&own_path, &json!([{"op": "replace", "path": "members", "value": members}])).await);
        answers.push(other.put(&own_path, &json!({"displayName": "Own", "members": members})).await);
        answers.push(other.post("/Groups", &json!({"displayName": "New", "members": members})).await);
    }
    answers
}

async fn s43_another_ones_resource_looks_like_none(db: Db) {
    let app = TestApp::start(db).await;
    let other = app.connect("second").await;
    let user = app.scim.add_user("ana@acme.example").await;
    let none = "0192f0c1-2345-7abc-8def-0123456789ab";
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let ask = |id: &str| {
            let body = json!({"schemas": [USER], "userName": "x@acme.example", "Operations": [{"op": "remove", "path": "title"}]});
            let draft = other.request(method.clone(), &format!("/Users/{id}")).json(&body);
            async move { draft.send().await }
        };
        let (foreign, missing) = (ask(&user).await, ask(none).await);
        let text = |answer: &Answer| String::from_utf8_lossy(&answer.body).replace(&user, "ID").replace(none, "ID");
        assert_eq!((foreign.status, text(&foreign)), (missing.status, text(&missing)), "{method}");
    }
}

async fn s43_discovery_says_nothing_of_an_account(db: Db) {
    let app = TestApp::start(db).await;
    let account = app.add_account("elsewhere").await;
    let other = app.connect_in(&account, "foreign", ConnectionSettings::default()).await;
    app.scim.add_user("ana@acme.example").await;
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/ResourceTypes/User"] {
        let (one, two) = (app.scim.get(path).await, other.get(path).await);
        assert_eq!(one.expect(200), two.expect(200), "{path}");
        let text = String::from_utf8_lossy(&one.body).to_lowercase();
        for word in ["acme", "ana@", "idp", "foreign", "elsewhere", &app.account.id.to_string()] {
            assert!(!text.contains(word), "{path} says '{word}'");
        }
    }
}

async fn s44_no_spelling_makes_a_twin(db: Db) {
    let app = TestApp::start(db).await;
    let other = app.connect("second").await;
    let twins: &[&[&str]] = &[
        &["ana@acme.example", "ANA@acme.example", "\u{ff41}na@acme.example", "ana\u{ff20}acme.example"],
        &["zo\u{eb}@acme.example", "zoe\u{308}@acme.example", "ZO\u{cb}@acme.example"],
        &["stra\u{df}e@acme.example", "STRASSE@acme.example"],
        &["\u{fb01}n@acme.example", "fin@acme.example"],
    ];
    for family in twins {
        app.scim.add_user(family[0]).await;
        for twin in *family {
            for scim in [&app.scim, &other] {
                let user = json!({"schemas": [USER], "userName": twin});
                assert_eq!(
                    scim.post("/Users", &user).await.expect_error(409).0.as_deref(),
                    Some("uniqueness"),
                    "{twin}"
                );
            }
            assert_eq!(app.scim.filter("/Users", &format!("userName eq \"{twin}\"")).await.total(), 1, "{twin}");
        }
    }
    for name in ["", " ", "\t", "\u{200b}", "\u{feff}"] {
        app.scim.post("/Users", &json!({"schemas": [USER], "userName": name})).await.expect_error(400);
    }
}

on_both_databases!(
    s28_no_name_is_taken_for_an_id,
    s29_a_client_does_not_choose_ids,
    s32_ids_of_others_are_unknown,
    s43_another_ones_resource_looks_like_none,
    s43_discovery_says_nothing_of_an_account,
    s44_no_spelling_makes_a_twin,
);
