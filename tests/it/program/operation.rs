//! A server as operators meet it: health, commands beside it, an orderly end.

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{DEADLINE, Installation, StandInProcess, event};
use crate::support::{Db, USER, on_both_databases, wait_until};

const RULES: &str = "[[rule]]\nname = \"all\"\nwhen = 'userName pr'\nrole = \"agent\"\n";

async fn readiness_follows_the_database(db: Db) {
    let installation = Installation::new(db).await;
    let server = installation.serve().await;
    assert_eq!((server.status("/healthz").await, server.status("/readyz").await), (200, 200));

    // Asking leaves no trace in the row that every request reads.
    let sql = installation.database.connect().await;
    if db == Db::Postgres {
        let written = "SELECT CAST(xmin AS text) FROM installation";
        let before = sql.texts(written).await;
        server.status("/readyz").await;
        assert_eq!(sql.texts(written).await, before);
    }

    // Somebody else holds what every write needs.
    let hold: &[&str] = match db {
        Db::Sqlite => &["BEGIN EXCLUSIVE"],
        Db::Postgres => &["BEGIN", "LOCK TABLE installation IN ACCESS EXCLUSIVE MODE"],
    };
    for statement in hold {
        sql.run(statement).await.unwrap();
    }
    // What was found a moment ago is told again.
    wait_until(DEADLINE, "it is not ready", async || server.status("/readyz").await == 503).await;
    assert_eq!(server.status("/healthz").await, 200);
    sql.run("ROLLBACK").await.unwrap();
    wait_until(DEADLINE, "it is ready again", async || server.status("/readyz").await == 200).await;
    server.stop().await;
    installation.remove().await;
}

async fn commands_hold_for_the_next_request(db: Db) {
    let installation = Installation::new(db).await;
    let server = installation.serve().await;
    let token = installation.connect("okta").await;
    let scim = server.scim(&token);
    assert_eq!(scim.get("/Users").await.total(), 0);

    let second = installation.token("okta").await;
    assert_eq!(server.scim(&second).get("/Users").await.status, 200);
    let list = installation.ok(&["token", "list"]).await;
    let id = list
        .lines()
        .find(|line| line.contains(&token[..8]))
        .and_then(|line| line.split(' ').next())
        .unwrap()
        .to_owned();
    installation.ok(&["token", "revoke", &id]).await;
    scim.get("/Users").await.expect_error(401);
    let scim = server.scim(&second);
    assert_eq!(scim.get("/Users").await.status, 200);
    installation.ok(&["connection", "set", "okta", "--disable"]).await;
    scim.get("/Users").await.expect_error(401);
    installation.ok(&["connection", "set", "okta", "--enable"]).await;
    assert_eq!(scim.get("/Users").await.status, 200);

    scim.add_user("ana@acme.example").await;
    let sql = installation.database.connect().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM worker").await, 0);
    installation.import(RULES).await;
    let done = "SELECT COUNT(*) FROM worker WHERE state = 'in_step'";
    wait_until(DEADLINE, "the server made the worker", async || sql.number(done).await == 1).await;
    scim.add_user("bob@acme.example").await;
    wait_until(DEADLINE, "and the next one", async || sql.number(done).await == 2).await;
    server.stop().await;
    installation.remove().await;
}

/// What comes while somebody watches is shown, once, and the watching ends with its process.
async fn pushes_can_be_watched(db: Db) {
    let installation = Installation::new(db).await;
    let server = installation.serve().await;
    let scim = server.scim(&installation.connect("okta").await);
    scim.add_user("ana@acme.example").await;
    let shown = async || installation.ok(&["pushes", "tail"]).await.contains("POST /Users");
    wait_until(DEADLINE, "the first is logged", shown).await;
    let watching = installation.start(&["pushes", "tail", "--follow"]);
    watching.stdout.find("the one before", |line| line.contains("POST /Users").then_some(())).await;
    for n in 0..20 {
        scim.add_user(&format!("p{n}@acme.example")).await;
    }
    scim.get("/Users/nobody").await.expect_error(404);
    watching.stdout.find("the last one", |line| line.contains("404").then_some(())).await;
    assert_eq!(watching.stdout.all().len(), 22, "{:#?}", watching.stdout.all());
    watching.kill().await;
    server.stop().await;
    installation.remove().await;
}

async fn commands_work_while_the_server_is_busy(db: Db) {
    let installation = Installation::new(db).await;
    let server = installation.serve().await;
    let token = installation.connect("okta").await;
    let scim = server.scim(&token);
    installation.import(RULES).await;
    let pushes = async {
        for n in 0..150 {
            scim.add_user(&format!("p{n:03}@acme.example")).await;
        }
    };
    let commands = async {
        for n in 0..4 {
            installation.ok(&["connection", "add", &format!("idp-{n}")]).await;
            installation.token(&format!("idp-{n}")).await;
            let rules = format!("{RULES}skills = {{ english = {n} }}\n");
            installation.import(&rules).await;
        }
    };
    tokio::join!(pushes, commands);
    let sql = installation.database.connect().await;
    let right =
        r#"SELECT COUNT(*) FROM worker WHERE applied_version = desired_version AND desired LIKE '%"english":3%'"#;
    wait_until(DEADLINE, "all workers are by the last rules", async || sql.number(right).await == 150).await;
    server.stop().await;
    installation.remove().await;
}

async fn a_request_that_is_open_at_the_end_is_answered(db: Db) {
    let installation = Installation::new(db).await;
    let mut server = installation.serve().await;
    let token = installation.connect("okta").await;
    let idle = server.scim(&token);
    assert_eq!(idle.get("/Users").await.status, 200);

    let body = json!({"schemas": [USER], "userName": "ana@acme.example", "active": true}).to_string();
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/scim+json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut open = TcpStream::connect(server.address).await.unwrap();
    open.write_all(head.as_bytes()).await.unwrap();
    // Asked for the body, so the request is under way.
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    open.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    server.running.ask_to_stop().await;
    wait_until(DEADLINE, "nothing new is accepted", async || TcpStream::connect(server.address).await.is_err()).await;
    open.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, open.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let status = server.running.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(installation.database.connect().await.number("SELECT COUNT(*) FROM \"user\"").await, 1);
    installation.remove().await;
}

async fn what_was_pushed_while_paused_is_done_afterwards(db: Db) {
    let mut installation = Installation::new(db).await;
    let stand_in = StandInProcess::start(&installation, &["--in-memory"]).await;
    stand_in.serve(&mut installation);
    let token = installation.connect("okta").await;
    installation.import(RULES).await;
    installation.set("ROLLCALL_RECONCILER__PAUSED", "true");
    let server = installation.serve().await;
    let scim = server.scim(&token);
    let leaver = scim.add_user("leaver@acme.example").await;
    scim.add_user("ana@acme.example").await;
    scim.set_active(&leaver, false).await;
    server.running.stderr.find("that it is paused", |line| line.contains("PAUSED").then_some(())).await;
    server.stop().await;
    assert_eq!(stand_in.calls().await, Vec::<Value>::new());
    installation.set("ROLLCALL_RECONCILER__PAUSED", "false");
    let server = installation.serve().await;
    wait_until(DEADLINE, "the worker is made", async || stand_in.names().await == ["ana@acme.example"]).await;
    server.stop().await;
    installation.remove().await;
}

async fn an_orderly_end_in_the_middle_of_the_work_repeats_nothing(db: Db) {
    let mut installation = Installation::new(db).await;
    let stand_in = StandInProcess::start(&installation, &["--in-memory", "--latency-ms", "900"]).await;
    stand_in.serve(&mut installation);
    let token = installation.connect("okta").await;
    installation.import(RULES).await;
    installation.set("ROLLCALL_RECONCILER__PAUSED", "true");
    let server = installation.serve().await;
    let scim = server.scim(&token);
    for n in 0..120 {
        scim.add_user(&format!("p{n:03}@acme.example")).await;
    }
    server.stop().await;
    installation.set("ROLLCALL_RECONCILER__PAUSED", "false");
    let server = installation.serve().await;
    wait_until(DEADLINE, "the work has begun", async || !stand_in.calls().await.is_empty()).await;
    server.stop().await;
    let made = stand_in.names().await.len();
    assert!(made < 120, "the end came too late to show anything");
    let server = installation.serve().await;
    let sql = installation.database.connect().await;
    let done = "SELECT COUNT(*) FROM worker WHERE applied_version = desired_version";
    wait_until(DEADLINE, "everybody is in step", async || sql.number(done).await == 120).await;
    // Whoever claims a row whose lease was left behind looks before writing.
    let calls = stand_in.calls().await;
    let unwelcome: Vec<_> =
        calls.iter().filter(|call| call["outcome"] != "answered" || call["status"] != 201).collect();
    assert!(unwelcome.is_empty(), "120 creations and nothing else: {unwelcome:#?}");
    assert_eq!(calls.len(), 120);
    server.stop().await;
    installation.remove().await;
}

async fn an_address_in_use_is_said_so(db: Db) {
    let mut installation = Installation::new(db).await;
    let server = installation.serve().await;
    installation.set("ROLLCALL_LISTEN", &server.address.to_string());
    let said = installation.fails(&["serve"]).await;
    assert!(said.contains(&server.address.to_string()) && said.contains("ROLLCALL_LISTEN"), "{said}");
    let unknown = server.scim("rcs_x").request(Method::GET, "/nothing-here").at_root().send().await;
    assert_eq!(unknown.status, 404);
    server.stop().await;
    installation.remove().await;
}

/// Several servers on a machine have the same default address for monitoring.
async fn monitoring_never_keeps_a_server_from_starting_unless_its_address_was_chosen(db: Db) {
    let mut installation = Installation::new(db).await;
    // Whoever has it: it is taken.
    let _held = tokio::net::TcpListener::bind("127.0.0.1:9464").await;
    installation.environment.retain(|(name, _)| name != "ROLLCALL_OPS_LISTEN");
    let server = installation.serve().await;
    let warned = |line: &str| {
        event(
            line,
            "no metrics: the address for monitoring is taken, by another copy perhaps. Set ROLLCALL_OPS_LISTEN to a free one, or to nothing",
        )
    };
    server.running.stderr.find("that there are no metrics", warned).await;
    assert_eq!(server.status("/healthz").await, 200);
    let taken = server.address.to_string();
    server.stop().await;

    let held = tokio::net::TcpListener::bind(&taken).await.unwrap();
    installation.set("ROLLCALL_OPS_LISTEN", &taken);
    let said = installation.fails(&["serve"]).await;
    assert!(said.contains(&taken) && said.contains("ROLLCALL_OPS_LISTEN"), "{said}");
    drop(held);
    installation.set("ROLLCALL_OPS_LISTEN", "");
    let server = installation.serve().await;
    let ready = server.running.stderr.find("that it is ready", |line| event(line, "ready")).await;
    assert_eq!(ready.get("ops"), None);
    server.stop().await;
    installation.remove().await;
}

on_both_databases!(
    monitoring_never_keeps_a_server_from_starting_unless_its_address_was_chosen,
    readiness_follows_the_database,
    commands_hold_for_the_next_request,
    pushes_can_be_watched,
    commands_work_while_the_server_is_busy,
    a_request_that_is_open_at_the_end_is_answered,
    what_was_pushed_while_paused_is_done_afterwards,
    an_orderly_end_in_the_middle_of_the_work_repeats_nothing,
    an_address_in_use_is_said_so,
);
