//! The load mix: how fast the real binary answers what identity providers send most.
//!
//! ```text
//! cargo build --release && cargo run --release --example load -- --users 100000
//! cargo run --release --example load -- --users 1000 --database-url postgres://…   # needs ROLLCALL_SECRET_KEY
//! ```
//!
//! Starts `target/release/rollcall serve` on a free port of this machine with an empty database, the reconciler paused, and
//! a rule that admits everybody; makes the users; then runs each workload for some seconds over several connections that
//! are kept open, and prints requests per second with latencies. Everything goes to 127.0.0.1.
//!
//! With `--bare` it does the same to a server that does nothing but write and read rows: what the machine gives at this hour.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[path = "load/bare.rs"]
mod bare;
#[path = "load/wire.rs"]
mod wire;

use wire::Wire;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The load mix.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// The binary.
    #[arg(long, default_value = "target/release/rollcall")]
    binary: PathBuf,
    /// The database; an SQLite file in a temporary directory unless given.
    #[arg(long)]
    database_url: Option<String>,
    /// How many users there are before the workloads begin.
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Connections at the same time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How long each workload runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only workloads whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Measure a server that only writes and reads rows, instead of Rollcall: what is to be expected of the machine.
    #[arg(long)]
    bare: bool,
    /// Leave the guard on: all but the first deactivations are held
    #[arg(long)]
    guarded: bool,
    /// Be that server, on this address.
    #[arg(long, hide = true, requires = "folder")]
    serve_bare: Option<String>,
    /// Where that server keeps its rows.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

/// What a server that only writes and reads rows can be asked.
const BARE: [&str; 7] = [
    "look up by userName (hit)",
    "look up by userName (miss)",
    "page of 100, first",
    "create",
    "PATCH active (Entra)",
    "add one member, empty group",
    "add one member, large group",
];

/// The server under load; it ends with this value.
struct Server {
    child: Child,
    address: String,
    token: String,
    _data: tempfile::TempDir,
}

impl Server {
    async fn connect(&self) -> Result<Wire, Fault> {
        Wire::connect(&self.address, &self.token).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("the server did not end: {error}");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let options = Options::parse();
    if let (Some(address), Some(folder)) = (&options.serve_bare, &options.folder) {
        return bare::serve(address, folder).await;
    }
    let server = Arc::new(start(&options).await?);
    let ids = Arc::new(fill(&server, &options).await?);
    println!("resident memory after filling: {} MB", resident(server.child.id()).unwrap_or_default() / 1024);
    // The members that come and go are none of those that are in the big group from the start.
    let inside = ids.len().min(20_000) / 2;
    let big = group(&server, "Big", &ids[..inside]).await?;
    let empty = group(&server, "Empty", &[]).await?;
    let cursors = if options.bare {
        vec![String::new()]
    } else {
        replace_members(&server, &big, &ids[..inside]).await?;
        cursors(&server).await?
    };
    let count = ids.len();
    let pool = count - inside;
    let there = There { ids, inside, big: big.clone(), empty: empty.clone(), cursors };
    println!("{:<34} {:>9} {:>9} {:>9} {:>9} {:>8}", "workload", "per s", "p50 ms", "p95 ms", "p99 ms", "failed");
    for (name, connections, mix) in mixes(there) {
        if name.contains(&options.only) && (!options.bare || BARE.contains(&name)) {
            let connections = if connections == 0 { options.connections } else { connections };
            let calls = measure(&server, name, connections, Duration::from_secs(options.seconds), mix).await?;
            let (group, members) = match name {
                "add one member, empty group" => (&empty, 0),
                "add one member, large group" => (&big, inside),
                _ => continue,
            };
            if options.bare {
                continue;
            }
            nothing_is_lost(&server, group, members + present(calls, pool)).await?;
        }
    }
    println!("resident memory at the end: {} MB", resident(server.child.id()).unwrap_or_default() / 1024);
    Ok(())
}

/// What there is when the workloads begin.
struct There {
    ids: Arc<Vec<String>>,
    /// As many of them are in the big group, and stay.
    inside: usize,
    big: String,
    empty: String,
    /// The cursors of all pages.
    cursors: Vec<String>,
}

/// The workloads, each with its connections, 0: as many as were asked for.
fn mixes(there: There) -> Vec<(&'static str, usize, Mix)> {
    let There { ids, inside, big, empty, cursors } = there;
    let (count, pool) = (ids.len(), ids.len() - inside);
    let user = move |n: u64| ids[index(n, count)].clone();
    let (user_a, user_b, user_c, outsider) = (user.clone(), user.clone(), user.clone(), user);
    let member = move |n: u64| outsider(u64::try_from(inside + index(n, pool)).unwrap_or(0));
    let (member_a, member_b) = (member.clone(), member.clone());
    let came = move |n: u64| (n / pool as u64).is_multiple_of(2);
    let (empty_a, empty_b, big_a, big_b) = (empty.clone(), empty.clone(), big.clone(), big.clone());
    vec![
        (
            "look up by userName (hit)",
            0,
            Box::new(move |n| get(&format!("/Users?filter=userName+eq+%22load{}%40acme.example%22", n % count as u64))),
        ),
        (
            "look up by userName (miss)",
            0,
            Box::new(|n| get(&format!("/Users?filter=userName+eq+%22nobody{n}%40acme.example%22"))),
        ),
        ("read one user", 0, Box::new(move |n| get(&format!("/Users/{}", user_a(n))))),
        ("page of 100, first", 0, Box::new(|_| get("/Users?startIndex=1&count=100"))),
        (
            "page of 100, deep by startIndex",
            0,
            Box::new(move |n| get(&format!("/Users?startIndex={}&count=100", 1 + (n * 7919) % count as u64))),
        ),
        (
            "page of 100, deep by cursor",
            0,
            Box::new(move |n| get(&format!("/Users?count=100&cursor={}", cursors[index(n * 7919, cursors.len())]))),
        ),
        (
            "filter userName sw",
            0,
            Box::new(move |n| get(&format!("/Users?filter=userName+sw+%22load{}%40%22", n % count as u64))),
        ),
        (
            "filter displayName sw",
            0,
            Box::new(move |n| get(&format!("/Users?filter=displayName+sw+%22name+{}%22", late(n, count)))),
        ),
        (
            "filter userName co",
            0,
            Box::new(move |n| get(&format!("/Users?filter=userName+co+%22d{}%40%22", late(n, count)))),
        ),
        (
            "filter displayName co",
            0,
            Box::new(move |n| get(&format!("/Users?filter=displayName+co+%22name+{}%22", late(n, count)))),
        ),
        (
            "read a large group without members",
            0,
            Box::new(move |_| get(&format!("/Groups/{big_a}?excludedAttributes=members"))),
        ),
        (
            "read a small group without members",
            0,
            Box::new(move |_| get(&format!("/Groups/{empty_a}?excludedAttributes=members"))),
        ),
        ("create", 0, Box::new(|n| (Method::POST, "/Users".to_owned(), Some(person(&format!("new{n}")))))),
        (
            "PATCH active (Entra)",
            0,
            Box::new(move |n| patch(&user_b(n), if (n / count as u64).is_multiple_of(2) { "False" } else { "True" })),
        ),
        ("add one member, empty group", 4, Box::new(move |n| membership(&empty_b, &member_a(n), came(n)))),
        ("add one member, large group", 4, Box::new(move |n| membership(&big_b, &member_b(n), came(n)))),
        (
            "replace a user (PUT)",
            0,
            Box::new(move |n| {
                (Method::PUT, format!("/Users/{}", user_c(n)), Some(person(&format!("load{}", n % count as u64))))
            }),
        ),
    ]
}

fn index(n: u64, length: usize) -> usize {
    usize::try_from(n).unwrap_or(0) % length
}

/// A number near the end, whose digits are those of no other number's beginning.
fn late(n: u64, count: usize) -> usize {
    count - 1 - index(n, count.div_ceil(2))
}

/// How many members are in after so many calls of [`membership`]: all come one after the other, then all go.
fn present(calls: u64, pool: usize) -> usize {
    let (rounds, rest) = (calls / pool as u64, index(calls, pool));
    if rounds.is_multiple_of(2) { rest } else { pool - rest }
}

type Call = (Method, String, Option<Value>);
type Mix = Box<dyn Fn(u64) -> Call + Send + Sync>;

fn get(path: &str) -> Call {
    (Method::GET, path.to_owned(), None)
}

fn patch(id: &str, active: &str) -> Call {
    let operations = json!([{"op": "Replace", "path": "active", "value": active}]);
    (Method::PATCH, format!("/Users/{id}"), Some(message(&operations)))
}

/// Adds a member, or takes it out again once everybody was added: each call changes something.
fn membership(group: &str, user: &str, add: bool) -> Call {
    let op = if add { "Add" } else { "Remove" };
    let operations = json!([{"op": op, "path": "members", "value": [{"value": user}]}]);
    (Method::PATCH, format!("/Groups/{group}"), Some(message(&operations)))
}

fn message(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

fn person(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": format!("{name}@acme.example"),
        "externalId": format!("ext-{name}"),
        "name": {"givenName": "Name", "familyName": name},
        "displayName": format!("Name {}", name.trim_start_matches(char::is_alphabetic)),
        "emails": [{"value": format!("{name}@acme.example"), "type": "work", "primary": true}],
        "active": true,
    })
}

async fn start(options: &Options) -> Result<Server, Fault> {
    let data = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    if options.bare {
        let mut command = Command::new(std::env::current_exe()?);
        let child = command.args(["--serve-bare", &address, "--folder"]).arg(data.path()).spawn()?;
        return ready(Server { child, address, token: String::new(), _data: data }).await;
    }
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&options.binary);
        command
            .args(arguments)
            .env("ROLLCALL_DATA_DIR", data.path())
            .env("ROLLCALL_LISTEN", &address)
            .env("ROLLCALL_RECONCILER__PAUSED", "true")
            .env("ROLLCALL_LOG", "warn")
            .stderr(Stdio::inherit());
        if let Some(url) = &options.database_url {
            command.env("ROLLCALL_DATABASE_URL", url);
        }
        if !options.guarded {
            command.env("ROLLCALL_GUARD__MAX_PEOPLE", "0").env("ROLLCALL_GUARD__MAX_SHARE", "0.0");
        }
        command
    };
    let output = |arguments: &[&str]| -> Result<String, Fault> {
        let output = command(arguments).stdout(Stdio::piped()).output()?;
        if !output.status.success() {
            return Err(format!("{arguments:?} failed").into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    output(&["connection", "add", "load"])?;
    let token = output(&["token", "create", "--connection", "load"])?;
    let rules = data.path().join("rules.toml");
    std::fs::write(
        &rules,
        "[[rule]]\nname = \"everybody\"\nwhen = 'userName pr'\nrole = \"agent\"\nskills = { english = 3 }\n",
    )?;
    output(&["rules", "import", &rules.to_string_lossy()])?;
    let child = command(&["serve"]).stdout(Stdio::null()).spawn()?;
    ready(Server { child, address: address.clone(), token, _data: data }).await
}

/// Waits until the server accepts connections.
async fn ready(server: Server) -> Result<Server, Fault> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&server.address).await.is_err() {
        if Instant::now() > deadline {
            return Err("the server did not start".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(server)
}

/// Makes the users and returns their ids.
async fn fill(server: &Arc<Server>, options: &Options) -> Result<Vec<String>, Fault> {
    let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let total = u64::try_from(options.users.max(2))?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for _ in 0..options.connections {
        let (server, next, sender) = (Arc::clone(server), Arc::clone(&next), sender.clone());
        tokio::spawn(async move {
            let made = async {
                let mut wire = server.connect().await?;
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= total {
                        return Ok::<_, Fault>(());
                    }
                    wire.send(&Method::POST, "/Users", Some(&person(&format!("load{n}")))).await?;
                    sender.send((n, text_of(&wire.json()?, "id")?))?;
                }
            };
            if let Err(error) = made.await {
                eprintln!("filling stopped: {error}");
            }
        });
    }
    drop(sender);
    let mut ids = Vec::with_capacity(options.users);
    while let Some(made) = receiver.recv().await {
        ids.push(made);
    }
    ids.sort();
    if ids.len() != options.users.max(2) {
        return Err(format!("only {} of {} users were made", ids.len(), options.users).into());
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} users made in {seconds:.1} s ({:.0} per s)",
        ids.len(),
        f64::from(u32::try_from(ids.len())?) / seconds
    );
    Ok(ids.into_iter().map(|(_, id)| id).collect())
}

fn text_of(body: &Value, name: &str) -> Result<String, Fault> {
    let text = body[name].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("the answer has no {name}: {body}").into())
}

fn group_of(name: &str, members: &[String]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members})
}

async fn group(server: &Server, name: &str, members: &[String]) -> Result<String, Fault> {
    let mut wire = server.connect().await?;
    let began = Instant::now();
    let status = wire.send(&Method::POST, "/Groups", Some(&group_of(name, members))).await?;
    println!("group of {} made in {} ms ({status})", members.len(), began.elapsed().as_millis());
    text_of(&wire.json()?, "id")
}

/// Replaces the group by itself without one of its members, and back again.
async fn replace_members(server: &Server, id: &str, members: &[String]) -> Result<(), Fault> {
    let mut wire = server.connect().await?;
    for members in [&members[1..], members] {
        let began = Instant::now();
        let status = wire.send(&Method::PUT, &format!("/Groups/{id}"), Some(&group_of("Big", members))).await?;
        println!("group replaced by {} members in {} ms ({status})", members.len(), began.elapsed().as_millis());
    }
    Ok(())
}

async fn nothing_is_lost(server: &Server, group: &str, wanted: usize) -> Result<(), Fault> {
    let mut wire = server.connect().await?;
    wire.send(&Method::GET, &format!("/Groups/{group}?attributes=members"), None).await?;
    let found = wire.json()?["members"].as_array().map_or(0, Vec::len);
    if found == wanted { Ok(()) } else { Err(format!("the group has {found} members instead of {wanted}").into()) }
}

/// The cursors of all pages of 100 users.
async fn cursors(server: &Server) -> Result<Vec<String>, Fault> {
    let mut wire = server.connect().await?;
    let (mut cursors, mut next) = (Vec::new(), Some(String::new()));
    while let Some(cursor) = next {
        wire.send(&Method::GET, &format!("/Users?count=100&cursor={cursor}"), None).await?;
        next = wire.json()?["nextCursor"].as_str().map(str::to_owned);
        cursors.push(cursor);
    }
    Ok(cursors)
}

async fn measure(
    server: &Arc<Server>,
    name: &str,
    connections: usize,
    length: Duration,
    mix: Mix,
) -> Result<u64, Fault> {
    let (mix, next, failed) = (Arc::new(mix), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (server, mix) = (Arc::clone(server), Arc::clone(&mix));
        let (next, failed) = (Arc::clone(&next), Arc::clone(&failed));
        workers.push(tokio::spawn(async move {
            let mut wire = server.connect().await?;
            let mut latencies = Vec::new();
            while began.elapsed() < length {
                let (method, path, body) = mix(next.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                let status = wire.send(&method, &path, body.as_ref()).await?;
                latencies.push(sent.elapsed());
                if !(200..300).contains(&status) {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok::<_, Fault>(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await??);
    }
    let seconds = began.elapsed().as_secs_f64();
    latencies.sort();
    let at =
        |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!(
        "{name:<34} {:>9.0} {:>9.2} {:>9.2} {:>9.2} {:>8}",
        f64::from(u32::try_from(latencies.len())?) / seconds,
        at(50),
        at(95),
        at(99),
        failed.load(Ordering::Relaxed)
    );
    Ok(next.load(Ordering::Relaxed))
}

/// Resident memory of a process in kB (Linux).
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
}
