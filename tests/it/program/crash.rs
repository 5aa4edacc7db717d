//! kill -9 in the middle of the work: nothing acknowledged is lost, and nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{DEADLINE, Installation, StandInProcess};
use crate::support::{Db, Scim, on_both_databases, wait_until};

/// Everybody is an agent, and each worker takes one call to make and one for its channel.
const RULES: &str = r#"
[[rule]]
name = "everybody"
when = 'userName pr'
role = "agent"
skills = { english = 1 }
channels = { chat = 2 }
"#;
const PEOPLE: usize = 500;
const CONNECTIONS: usize = 8;

fn name(n: usize) -> String {
    format!("p{n:03}@acme.example")
}

fn everybody() -> BTreeMap<String, Option<String>> {
    (0..PEOPLE).map(|n| (name(n), None)).collect()
}

/// A server on a database of its own, beside a TaskRouter that takes a little for each call.
async fn installation(db: Db) -> (Installation, StandInProcess, String) {
    let mut installation = Installation::new(db).await;
    // Nearly everybody leaves here, and nothing of it is to wait for a person.
    installation.set("ROLLCALL_GUARD__MAX_PEOPLE", "0");
    installation.set("ROLLCALL_GUARD__MAX_SHARE", "0.0");
    let stand_in = StandInProcess::start(&installation, &["--in-memory", "--latency-ms", "6"]).await;
    stand_in.serve(&mut installation);
    let token = installation.connect("idp").await;
    installation.import(RULES).await;
    (installation, stand_in, token)
}

/// What an identity provider knows: the ids of those whose creation was acknowledged.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeMap<String, Option<String>>>>);

impl Acknowledged {
    fn note(&self, name: &str, id: Option<String>) {
        self.0.lock().unwrap().insert(name.to_owned(), id);
    }

    fn all(&self) -> BTreeMap<String, Option<String>> {
        self.0.lock().unwrap().clone()
    }
}

/// Does something for each name over several connections, until the server dies.
async fn burst<F: Future<Output = Option<Option<String>>>>(
    names: Vec<String>,
    done: &Acknowledged,
    count: &AtomicUsize,
    act: impl Fn(String) -> F,
) {
    let next = AtomicUsize::new(0);
    let one = async || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::SeqCst)) {
            let Some(id) = act(name.clone()).await else { return };
            done.note(name, id);
            count.fetch_add(1, Ordering::SeqCst);
        }
    };
    join_all((0..CONNECTIONS).map(|_| one())).await;
}

/// Creates somebody; none: no answer came.
async fn create(scim: &Scim, name: &str) -> Option<Option<String>> {
    let user = json!({"schemas": [crate::support::USER], "userName": name, "active": true, "displayName": name});
    let answer = scim.request(http::Method::POST, "/Users").json(&user).try_send().await.ok()?;
    match answer.status {
        201 => Some(Some(answer.created())),
        // The answer to the first try was lost, the user was not.
        409 => Some(scim.found("/Users", &format!("userName eq \"{name}\"")).await.pop()),
        _ => panic!("{answer}"),
    }
}

/// Deactivates somebody; none: no answer came.
async fn deactivate(scim: &Scim, id: &str) -> Option<Option<String>> {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": false}],
    });
    let answer = scim.request(http::Method::PATCH, &format!("/Users/{id}")).json(&body).try_send().await.ok()?;
    assert!((200..300).contains(&answer.status), "{answer}");
    Some(None)
}

/// The users that the server has, with their ids and whether they are active.
async fn users(scim: &Scim) -> BTreeMap<String, (String, bool)> {
    let mut users = BTreeMap::new();
    for start in (1..=PEOPLE).step_by(100) {
        let page =
            scim.get(&format!("/Users?startIndex={start}&count=100&attributes=userName,active")).await.expect(200);
        for user in page["Resources"].as_array().into_iter().flatten() {
            let text = |key: &str| user[key].as_str().expect(key).to_owned();
            let twice = users.insert(text("userName"), (text("id"), user["active"] == true));
            assert_eq!(twice, None, "{user}");
        }
    }
    users
}

async fn in_step(installation: &Installation) {
    let sql = installation.database.connect().await;
    let left = "SELECT COUNT(*) FROM worker WHERE applied_version IS NULL OR applied_version <> desired_version";
    wait_until(DEADLINE, "everybody is in step", async || sql.number(left).await == 0).await;
}

async fn kill_during_a_burst_of_creations(db: Db) {
    let (installation, stand_in, token) = installation(db).await;
    let (acknowledged, mut left) = (Acknowledged::default(), everybody());
    // Killed twice: once early, when the reconciler has hardly begun, and once in the thick of it.
    for kill_after in [60, 180] {
        let server = installation.serve().await;
        let scim = server.scim(&token);
        let count = Arc::new(AtomicUsize::new(0));
        let killer = {
            let count = Arc::clone(&count);
            async move {
                wait_until(DEADLINE, "the burst is under way", async || count.load(Ordering::SeqCst) >= kill_after)
                    .await;
                server.running.kill().await;
            }
        };
        let names = left.keys().cloned().collect();
        tokio::join!(burst(names, &acknowledged, &count, async |name| create(&scim, &name).await), killer);
        left.retain(|name, _| !acknowledged.all().contains_key(name));
        assert!(!left.is_empty(), "the kill came too late to show anything");
    }

    let server = installation.serve().await;
    let scim = server.scim(&token);
    let there = users(&scim).await;
    for (name, id) in acknowledged.all() {
        assert_eq!(there.get(&name).map(|user| &user.0), id.as_ref(), "{name} was acknowledged");
    }
    // The identity provider tries the others again.
    let count = AtomicUsize::new(0);
    burst(left.into_keys().collect(), &acknowledged, &count, async |name| create(&scim, &name).await).await;
    assert_eq!(users(&scim).await.len(), PEOPLE);
    in_step(&installation).await;
    assert_eq!(stand_in.names().await, everybody().into_keys().collect::<Vec<_>>());
    for worker in stand_in.workers().await {
        assert_eq!(worker["channels"]["chat"]["capacity"], json!(2), "{worker}");
    }
    let effects = Effects::of(&stand_in.calls().await);
    effects.made_once();
    assert_eq!(effects.deleted.len(), 0);
    server.stop().await;
    installation.remove().await;
}

async fn kill_during_a_burst_of_removals(db: Db) {
    let (installation, stand_in, token) = installation(db).await;
    let mut server = installation.serve().await;
    let mut scim = server.scim(&token);
    let made = Acknowledged::default();
    burst(everybody().into_keys().collect(), &made, &AtomicUsize::new(0), async |name| create(&scim, &name).await)
        .await;
    let ids: BTreeMap<String, String> = made.all().into_iter().map(|(name, id)| (name, id.unwrap())).collect();
    in_step(&installation).await;

    // Everybody leaves but the first fifty.
    let staying: Vec<String> = (0..50).map(name).collect();
    let gone = Acknowledged::default();
    for kill_after in [40, 120] {
        let count = Arc::new(AtomicUsize::new(0));
        let killer = {
            let count = Arc::clone(&count);
            async move {
                wait_until(DEADLINE, "the burst is under way", async || count.load(Ordering::SeqCst) >= kill_after)
                    .await;
                server.running.kill().await;
            }
        };
        let known = gone.all();
        let names: Vec<_> =
            ids.keys().filter(|name| !staying.contains(name) && !known.contains_key(*name)).cloned().collect();
        assert!(!names.is_empty(), "the kill came too late to show anything");
        tokio::join!(burst(names, &gone, &count, async |name| deactivate(&scim, &ids[&name]).await), killer);
        server = installation.serve().await;
        scim = server.scim(&token);
    }
    let there = users(&scim).await;
    for name in gone.all().keys() {
        assert!(!there[name].1, "the deactivation of {name} was acknowledged");
    }
    let known = gone.all();
    let names = ids.keys().filter(|name| !staying.contains(name) && !known.contains_key(*name)).cloned().collect();
    burst(names, &gone, &AtomicUsize::new(0), async |name| deactivate(&scim, &ids[&name]).await).await;
    in_step(&installation).await;
    assert_eq!(stand_in.names().await, staying);
    let effects = Effects::of(&stand_in.calls().await);
    effects.made_once();
    effects.removed_once(PEOPLE - staying.len());
    server.stop().await;
    installation.remove().await;
}

/// What took effect at TaskRouter, by its own record: for each worker, how often.
#[derive(Debug, Default)]
struct Effects {
    created: BTreeMap<String, u32>,
    channels: BTreeMap<String, u32>,
    updated: BTreeMap<String, u32>,
    deleted: BTreeMap<String, u32>,
    /// Creations and deletions that were in vain: the name was taken, the worker was gone.
    vain: Vec<Value>,
}

impl Effects {
    fn of(calls: &[Value]) -> Self {
        let mut effects = Self::default();
        for call in calls.iter().filter(|call| call["processed"] == true) {
            let (method, path) = (call["method"].as_str().unwrap(), call["path"].as_str().unwrap());
            let path = path.trim_start_matches("/v1/Workspaces/{workspace}");
            let counter = match (method, path) {
                ("POST", "/Workers") => &mut effects.created,
                ("POST", "/Workers/{worker}") => &mut effects.updated,
                ("DELETE", "/Workers/{worker}") => &mut effects.deleted,
                ("POST", "/Workers/{worker}/Channels/{channel}") => &mut effects.channels,
                ("GET", _) => continue,
                other => panic!("an unexpected call: {other:?}"),
            };
            // A caller that was killed did not get the answer; then the record has no status.
            let status = call["status"].as_u64().unwrap();
            match call["worker_sid"].as_str() {
                Some(sid) if matches!(status, 0 | 200..300) => *counter.entry(sid.to_owned()).or_default() += 1,
                _ => effects.vain.push(call.clone()),
            }
        }
        effects
    }

    fn made_once(&self) {
        assert_eq!(self.vain, Vec::<Value>::new());
        assert_eq!((self.created.len(), self.channels.len()), (PEOPLE, PEOPLE));
        for (what, counts) in [("created", &self.created), ("given its channel", &self.channels)] {
            let twice: BTreeSet<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{what} more than once: {twice:?}");
        }
    }

    fn removed_once(&self, people: usize) {
        assert_eq!(self.deleted.len(), people);
        for (what, counts) in [("taken out", &self.updated), ("deleted", &self.deleted)] {
            let twice: BTreeSet<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{what} more than once: {twice:?}");
        }
    }
}

async fn a_kill_leaves_no_lock(db: Db) {
    let installation = Installation::new(db).await;
    // With the built-in stand-in, whose journal is in the data directory too.
    let server = installation.serve().await;
    let token = installation.connect("idp").await;
    installation.import(RULES).await;
    let scim = server.scim(&token);
    scim.add_user("ana@acme.example").await;
    server.running.kill().await;
    assert!(installation.ok(&["rules", "list"]).await.contains("everybody"));

    let server = installation.serve().await;
    let scim = server.scim(&token);
    assert_eq!(users(&scim).await.len(), 1);
    scim.add_user("bob@acme.example").await;
    in_step(&installation).await;
    server.running.kill().await;
    let server = installation.serve().await;
    assert_eq!(users(&server.scim(&token)).await.len(), 2);
    in_step(&installation).await;
    tokio::time::timeout(Duration::from_secs(30), server.stop()).await.expect("it stops");
    installation.remove().await;
}

on_both_databases!(kill_during_a_burst_of_creations, kill_during_a_burst_of_removals, a_kill_leaves_no_lock);
