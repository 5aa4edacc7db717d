//! The main job, end to end: from a push at the SCIM endpoints to a worker at TaskRouter.

mod accounts;
mod adoption;
mod copies;
mod faults;
mod joiners;
mod leavers;
mod many;
mod movers;
mod receipts;
mod rehires;
mod removal;
mod rules;
mod turns;

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use rollcall::taskrouter::stand_in::{ChannelSnapshot, StandIn, WorkerSnapshot};
use serde_json::{Map, Value};
use tower::ServiceExt as _;

use crate::support::{Db, TestApp};

/// Two groups that grant different things, and a third that grants nothing.
pub(crate) const RULES: &str = r#"
[[rule]]
name = "agents"
when = 'groups.display eq "CC Agents" and not (userType eq "Contractor")'
role = "agent"
teams = ["Support"]
skills = { english = 3, billing = 1 }
channels = { voice = 1, chat = 3 }
attributes = { site = "north", department_name = { from = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" } }

[[rule]]
name = "supervisors"
when = 'groups.display eq "CC Supervisors"'
role = "supervisor"
act_as_agent = true
teams = ["Tier 2 Leads"]
skills = { english = 3, coaching = 2.5 }
channels = { voice = 2 }
attributes = { floor = 4 }
"#;

/// Somebody's worker, with what is everybody's in these tests.
pub(crate) const ANA: &str = "ana@acme.example";

pub(crate) async fn app(db: Db) -> TestApp {
    TestApp::builder(db).rules(RULES).start().await
}

/// The worker of that name, and the only one.
#[track_caller]
pub(crate) fn worker(app: &TestApp, name: &str) -> WorkerSnapshot {
    only_worker(app.stand_in(), name)
}

#[track_caller]
fn only_worker(stand_in: &StandIn, name: &str) -> WorkerSnapshot {
    let named = |worker: &WorkerSnapshot| worker.friendly_name.eq_ignore_ascii_case(name);
    let mut found: Vec<_> = stand_in.workers().into_iter().filter(named).collect();
    assert_eq!(found.len(), 1, "workers of the name {name}: {found:?}");
    found.remove(0)
}

#[track_caller]
pub(crate) fn assert_no_worker(app: &TestApp, name: &str) {
    assert_eq!(app.stand_in().worker_named(name), None);
}

#[track_caller]
pub(crate) fn attributes(app: &TestApp, name: &str) -> Value {
    Value::Object(worker(app, name).attributes)
}

pub(crate) fn channel(capacity: u32, available: bool) -> ChannelSnapshot {
    ChannelSnapshot { capacity, available }
}

/// The names of all workers, sorted.
pub(crate) fn names(app: &TestApp) -> Vec<String> {
    let mut names: Vec<_> = app.stand_in().workers().into_iter().map(|worker| worker.friendly_name).collect();
    names.sort();
    names
}

/// The calls that changed something, by method and path below the workspace.
pub(crate) fn writes(stand_in: &StandIn) -> BTreeMap<String, u64> {
    let mut writes = BTreeMap::new();
    for call in stand_in.calls().latest.iter().filter(|call| call.processed && call.method != "GET") {
        let path = call.path.trim_start_matches("/v1/Workspaces/{workspace}");
        *writes.entry(format!("{} {path}", call.method)).or_default() += 1;
    }
    writes
}

pub(crate) const CREATE: &str = "POST /Workers";
pub(crate) const UPDATE: &str = "POST /Workers/{worker}";
pub(crate) const CHANNEL: &str = "POST /Workers/{worker}/Channels/{channel}";
pub(crate) const DELETE: &str = "DELETE /Workers/{worker}";

pub(crate) fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect()
}

/// What another program does: it reads a worker's attributes, changes some, and writes all.
pub(crate) async fn write_as_others(app: &TestApp, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut attributes = worker(app, name).attributes;
    change(&mut attributes);
    as_others(app, Method::POST, name, &[("Attributes", &Value::Object(attributes).to_string())]).await;
}

/// What a person does in Flex, or an administrator in the Console.
pub(crate) async fn set_activity(app: &TestApp, name: &str, activity: &str) {
    let (status, list) = call_as_others(app, Method::GET, "/Activities", &[]).await;
    assert_eq!(status, 200, "{list}");
    let mut activities = list["activities"].as_array().into_iter().flatten();
    let sid =
        activities.find(|it| it["friendly_name"] == activity).and_then(|it| it["sid"].as_str()).expect("an activity");
    as_others(app, Method::POST, name, &[("ActivitySid", sid)]).await;
}

pub(crate) async fn delete_as_others(app: &TestApp, name: &str) {
    as_others(app, Method::DELETE, name, &[]).await;
}

pub(crate) async fn as_others(app: &TestApp, method: Method, name: &str, fields: &[(&str, &str)]) {
    let path = format!("/Workers/{}", worker(app, name).sid);
    let (status, body) = call_as_others(app, method, &path, fields).await;
    assert!((200..300).contains(&status), "{status}: {body}");
}

/// A call to the stand-in by somebody else.
pub(crate) async fn call_as_others(app: &TestApp, method: Method, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let workspace = app.stand_in().credentials().workspace_sid;
    let request = Request::builder()
        .method(method)
        .uri(format!("/v1/Workspaces/{workspace}{path}"))
        .header(header::HOST, "taskrouter.example")
        .header(header::AUTHORIZATION, "Basic b3RoZXI6cHJvZ3JhbQ==")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(serde_urlencoded::to_string(fields).unwrap()))
        .unwrap();
    let answer = app.stand_in().router().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
