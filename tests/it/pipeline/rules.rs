//! What rules may give, to whom, and what an import does.

use rollcall::domain::Role;
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::rules::Force;
use serde_json::{Value, json};

use super::{ANA, RULES, UPDATE, app, assert_no_worker, attributes, counts, names, writes};
use crate::support::{Db, TestApp, on_both_databases, slug};

const ADMINS: &str = r#"
[[rule]]
name = "owners"
when = 'groups.display eq "Owners"'
role = "owner"
teams = ["Board"]

[[rule]]
name = "admins"
when = 'groups.display eq "Admins"'
role = "admin"
skills = { everything = 1 }

[[rule]]
name = "agents"
when = 'groups.display co "s"'
role = "agent"
"#;

/// The stored outcome of the rules for a user.
async fn access(app: &TestApp, user: &str) -> Value {
    let sql = format!("SELECT access FROM \"user\" WHERE id = '{user}'");
    serde_json::from_str(&app.sql().await.texts(&sql).await[0]).unwrap()
}

async fn a_connection_gives_no_more_than_it_may(db: Db) {
    let app = TestApp::builder(db).rules(ADMINS).start().await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("Owners", &[&id]).await;
    app.scim.add_group("Admins", &[&id]).await;
    app.settled().await;
    assert_eq!(attributes(&app, ANA)["roles"], json!(["agent"]), "the next rule decides");
    assert_eq!(attributes(&app, ANA).get("routing"), None, "a skipped rule gives nothing at all");
    assert_eq!(attributes(&app, ANA).get("team_name"), None);
    let stored = access(&app, &id).await;
    let skipped = stored["skipped"].as_array().unwrap();
    assert_eq!(skipped.iter().map(|rule| &rule["rule_name"]).collect::<Vec<_>>(), ["owners", "admins"], "{stored:#}");
    assert!(stored["because"][0]["matched"].to_string().contains("Owners"), "{stored:#}");

    let more = ConnectionSettings { may_grant: Some(vec![Role::Admin, Role::Agent]), ..ConnectionSettings::default() };
    app.core().set_connection(&app.account, &slug("idp"), more).await.unwrap();
    app.settled().await;
    assert_eq!(attributes(&app, ANA)["roles"], json!(["admin"]));
    assert_eq!(attributes(&app, ANA)["routing"]["skills"], json!(["everything"]));
    let skipped = access(&app, &id).await["skipped"].clone();
    assert_eq!(skipped[0]["rule_name"], json!("owners"), "{skipped:#}");

    let less = ConnectionSettings { may_grant: Some(vec![]), ..ConnectionSettings::default() };
    app.core().set_connection(&app.account, &slug("idp"), less).await.unwrap();
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn a_nested_group_grants_what_the_outer_one_does(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    let shift = app.scim.add_group("Night shift", &[&id]).await;
    let site = app.scim.add_group("Madrid", &[]).await;
    let agents = app.scim.add_group("CC Agents", &[]).await;
    for (group, member) in [(&site, &shift), (&agents, &site)] {
        let operations = json!([{"op": "add", "path": "members", "value": [{"value": member, "type": "Group"}]}]);
        app.scim.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
    }
    app.settled().await;
    assert_eq!(names(&app), [ANA]);
    let bob = app.scim.add_user("bob@acme.example").await;
    app.scim.add_member(&shift, &bob).await;
    app.settled().await;
    assert_eq!(names(&app), [ANA, "bob@acme.example"]);
    app.scim.remove_member(&shift, &bob).await;
    app.settled().await;
    assert_eq!(names(&app), [ANA]);
    app.scim.remove_member(&agents, &site).await;
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
    // The one in the middle goes.
    app.scim.add_member(&agents, &site).await;
    app.settled().await;
    assert_eq!(names(&app), [ANA]);
    app.scim.delete(&format!("/Groups/{site}")).await.expect_success();
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
}

async fn an_import_touches_only_workers_that_differ(db: Db) {
    let app = app(db).await;
    let (mut agents, mut supervisors) = (Vec::new(), Vec::new());
    for n in 0..6 {
        agents.push(app.scim.add_user(&format!("agent{n}@acme.example")).await);
        supervisors.push(app.scim.add_user(&format!("supervisor{n}@acme.example")).await);
    }
    let ids = |ids: &[String]| ids.iter().map(String::clone).collect::<Vec<_>>();
    let agents = ids(&agents);
    app.scim.add_group("CC Agents", &agents.iter().map(String::as_str).collect::<Vec<_>>()).await;
    app.scim.add_group("CC Supervisors", &supervisors.iter().map(String::as_str).collect::<Vec<_>>()).await;
    app.settled().await;
    assert_eq!(names(&app).len(), 12);

    // The same rules, told differently: nobody's access differs.
    app.stand_in().clear_calls();
    app.import_rules(&format!(
        "# a comment\n{}",
        RULES.replace("english = 3, billing = 1", "billing = 1, english = 3")
    ))
    .await;
    app.settled().await;
    app.import_rules(&RULES.replace("name = \"agents\"", "name = \"everybody who answers\"")).await;
    app.settled().await;
    assert_eq!(app.stand_in().calls().total, 0);

    // One skill of one rule.
    app.import_rules(&RULES.replace("coaching = 2.5", "coaching = 4")).await;
    app.settled().await;
    assert_eq!(writes(app.stand_in()), counts([(UPDATE, 6)]));
    assert_eq!(attributes(&app, "supervisor3@acme.example")["routing"]["levels"]["coaching"], json!(4));
    assert_eq!(attributes(&app, "agent3@acme.example")["routing"]["levels"], json!({"billing": 1, "english": 3}));

    // A rule less.
    app.import_rules(RULES.split("[[rule]]").nth(1).map(|rule| format!("[[rule]]{rule}")).unwrap().as_str()).await;
    app.settled().await;
    assert_eq!(names(&app).len(), 6);
    assert!(names(&app).iter().all(|name| name.starts_with("agent")));
}

/// Commands wait for what they caused, and for nobody else's; and what they did holds, whatever comes of the waiting.
async fn a_command_waits_for_its_own_account(db: Db) {
    let app = TestApp::start(db).await;
    let other = app.add_account("other").await;
    let sql = app.sql().await;
    let waiting = |id: &str, account: &str, users: &str, lease: &str| {
        format!(
            "INSERT INTO recompute (id, account_id, users, pass, after_user, done, lease_until, event_id, created_at) \
             VALUES ('00000000-0000-7000-8000-00000000000{id}', '{account}', {users}, 0, '', 0, {lease}, \
             '00000000-0000-7000-8000-000000000000', 0)"
        )
    };
    // Somebody has it, for ever.
    sql.run(&waiting("1", &other.id.to_string(), "NULL", "9000000000000000")).await.expect("a recomputation");
    let (dir, rules) = (tempfile::tempdir().expect("a directory"), ADMINS);
    let file = dir.path().join("rules.toml");
    std::fs::write(&file, rules).expect("a file");
    let imported = app.command(&["rules", "import", file.to_str().expect("UTF-8")]).await;
    assert!(imported.contains("3 rules in force"), "{imported}");
    app.command(&["connection", "set", "idp", "--may-grant", "agent"]).await;
    // One that cannot be read: the connection is changed all the same.
    sql.run(&waiting("2", &app.account.id.to_string(), "'{'", "NULL")).await.expect("a recomputation");
    let set = app.command(&["connection", "set", "idp", "--may-grant", "supervisor,agent"]).await;
    assert!(set.contains("supervisor"), "{set}");
    // Nobody's access depends on how requests are read.
    app.command(&["connection", "set", "idp", "--dialect", "strict"]).await;
    app.expect_work_left();
}

async fn a_mistake_in_the_file_changes_nothing(db: Db) {
    let app = app(db).await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    let bad = RULES.replace("groups.display eq \"CC Agents\"", "groups.dispaly eq \"CC Agents\"");
    let error = app.core().import_rules(&app.account, &bad, Force::No).await.unwrap_err().to_string();
    assert!(error.contains("agents") && error.contains("dispaly"), "{error}");
    app.settled().await;
    assert_eq!(names(&app), [ANA]);
    assert_eq!(app.core().list_rules(&app.account).await.unwrap().0, 1);
}

on_both_databases!(
    a_connection_gives_no_more_than_it_may,
    a_nested_group_grants_what_the_outer_one_does,
    an_import_touches_only_workers_that_differ,
    a_command_waits_for_its_own_account,
    a_mistake_in_the_file_changes_nothing,
);
