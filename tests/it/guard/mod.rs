//! Losses of access that are too many at once are held until a person decides.

mod decisions;
mod implied;
mod leavers;
mod limits;
mod rules;

use serde_json::{Value, json};

use crate::support::{Db, Sql, TestApp};

/// What the groups and attributes of these tests grant.
const RULES: &str = r#"
[[rule]]
name = "supervisors"
when = 'groups.display eq "CC Leads"'
role = "supervisor"

[[rule]]
name = "agents"
when = 'groups.display eq "CC Agents"'
role = "agent"

[[rule]]
name = "support"
when = 'title eq "Support"'
teams = ["Support"]
skills = { english = 3 }
channels = { voice = 1 }
"#;

/// A server with so many agents in one group; the ids of the people, and of the group.
async fn agents(db: Db, count: usize) -> (TestApp, Vec<String>, String) {
    let app = TestApp::builder(db).rules(RULES).start().await;
    let (people, group) = more_agents(&app, "agent", count).await;
    (app, people, group)
}

async fn more_agents(app: &TestApp, prefix: &str, count: usize) -> (Vec<String>, String) {
    let people = app.scim.add_users(prefix, count).await;
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    let group = app.scim.add_group("CC Agents", &ids).await;
    app.settled().await;
    assert_eq!(app.stand_in().workers().len(), count);
    app.stand_in().clear_calls();
    (people, group)
}

/// Entra ID's way to empty a group.
async fn empty(app: &TestApp, group: &str) {
    let operations = json!([{"op": "remove", "path": "members"}]);
    app.scim.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
    assert_eq!(app.scim.members(group).await, Vec::<String>::new(), "the identity provider sees what it said");
}

async fn set_title(app: &TestApp, user: &str, title: &str) {
    let operations = json!([{"op": "replace", "path": "title", "value": title}]);
    app.scim.patch(&format!("/Users/{user}"), &operations).await.expect(200);
}

fn workers(app: &TestApp) -> usize {
    app.stand_in().workers().len()
}

/// The stand-in's own record: how many workers were taken out, changed or deleted.
fn touched(app: &TestApp) -> usize {
    let calls = app.stand_in().calls();
    calls.latest.iter().filter(|call| call.processed && call.method != "GET").count()
}

/// The only hold that is open.
async fn open_hold(app: &TestApp) -> String {
    let holds = app.sql().await.texts("SELECT id FROM hold WHERE status = 'open'").await;
    assert_eq!(holds.len(), 1, "{holds:?}");
    holds[0].clone()
}

async fn holds(app: &TestApp) -> i64 {
    app.sql().await.number("SELECT COUNT(*) FROM hold").await
}

/// How many people of all holds stand in this state.
async fn in_state(app: &TestApp, state: &str) -> i64 {
    app.sql().await.number(&format!("SELECT COUNT(*) FROM held WHERE state = '{state}'")).await
}

/// The role that a person has.
async fn role(sql: &Sql, user: &str) -> String {
    sql.texts(&format!("SELECT COALESCE(role, 'none') FROM \"user\" WHERE id = '{user}'")).await.remove(0)
}

fn member(id: &String) -> Value {
    json!({"value": id})
}
