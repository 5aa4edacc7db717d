//! The least that could answer the load mix: axum, sqlx and an SQLite file, durable, with one writer that commits in groups.
//!
//! It knows nobody and checks nothing: no tokens, schemas, rules or messages of SCIM. Each change writes four rows, as Rollcall does.
//! Machines differ, and the same machine differs by the hour: what this reaches says how much of a figure is the machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Path as Segment, RawQuery, State};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::Fault;

const TABLES: &str = "
CREATE TABLE user (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, active TEXT, document TEXT NOT NULL);
CREATE TABLE member (grp TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (grp, user)) WITHOUT ROWID;
CREATE INDEX member_user ON member (user);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, user TEXT NOT NULL, what TEXT NOT NULL);
CREATE TABLE worker (user TEXT PRIMARY KEY, desired TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE push (seq INTEGER PRIMARY KEY, what TEXT NOT NULL);";

const CREATE: &str = "INSERT INTO user (id, name, active, document) VALUES (?, ?, 'True', ?);
INSERT INTO audit (user, what) VALUES (?, 'created'); INSERT INTO worker (user, desired) VALUES (?, ?);
INSERT INTO push (what) VALUES (?)";
const ACTIVE: &str = "UPDATE user SET active = ? WHERE id = ?; INSERT INTO audit (user, what) VALUES (?, 'changed');
UPDATE worker SET desired = ? WHERE user = ?; INSERT INTO push (what) VALUES (?)";
const JOIN: &str =
    "INSERT OR IGNORE INTO member (grp, user) VALUES (?, ?); INSERT INTO audit (user, what) VALUES (?, 'joined');
UPDATE worker SET desired = ? WHERE user = ?; INSERT INTO push (what) VALUES (?)";
const LEAVE: &str = "DELETE FROM member WHERE grp = ? AND user = ?; INSERT INTO audit (user, what) VALUES (?, 'left');
UPDATE worker SET desired = ? WHERE user = ?; INSERT INTO push (what) VALUES (?)";

/// Statements, and what they are bound to.
type Change = (&'static str, Vec<String>);
type Job = (Vec<Change>, oneshot::Sender<()>);

struct Bare {
    readers: SqlitePool,
    writer: mpsc::Sender<Job>,
    next: AtomicU64,
}

impl Bare {
    /// Answers after the commit.
    async fn write(&self, changes: Vec<Change>) {
        let (done, committed) = oneshot::channel();
        let sent = self.writer.send((changes, done)).await;
        if sent.is_err() || committed.await.is_err() {
            eprintln!("the writer of the bare server is gone");
        }
    }

    fn id(&self) -> String {
        format!("{:036}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Serves until it is killed.
pub async fn serve(address: &str, folder: &Path) -> Result<(), Fault> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "8000")
        .pragma("cache_size", "-65536")
        .row_buffer_size(512);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(TABLES).execute(&mut connection).await?;
    let readers = SqlitePoolOptions::new().max_connections(4).test_before_acquire(false).connect_with(options).await?;
    let (writer, jobs) = mpsc::channel(256);
    tokio::spawn(async move {
        if let Err(error) = commit_in_groups(connection, jobs).await {
            eprintln!("the bare server cannot write: {error}");
        }
    });
    let state = Arc::new(Bare { readers, writer, next: AtomicU64::new(0) });
    let routes = Router::new()
        .route("/scim/v2/Users", get(list).post(create))
        .route("/scim/v2/Users/{id}", patch(active))
        .route("/scim/v2/Groups", post(group))
        .route("/scim/v2/Groups/{id}", patch(member))
        .with_state(state);
    Ok(axum::serve(TcpListener::bind(address).await?, routes).await?)
}

async fn commit_in_groups(mut connection: SqliteConnection, mut jobs: mpsc::Receiver<Job>) -> Result<(), Fault> {
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, 64).await > 0 {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut committed = Vec::with_capacity(group.len());
        for (changes, done) in group.drain(..) {
            for (statements, values) in changes {
                let query = values.into_iter().fold(sqlx::query(statements), sqlx::query::Query::bind);
                query.execute(&mut *transaction).await?;
            }
            committed.push(done);
        }
        transaction.commit().await?;
        for done in committed {
            // Nobody waits any longer if the connection was closed.
            let _: Result<(), ()> = done.send(());
        }
    }
    Ok(())
}

/// The look-up by userName, and the first page.
async fn list(State(bare): State<Arc<Bare>>, RawQuery(query): RawQuery) -> Result<String, String> {
    let query = query.unwrap_or_default();
    let name = query.split("%22").nth(1).map(|name| name.replace("%40", "@"));
    let page = "SELECT group_concat(document) AS rows FROM (SELECT document FROM user ORDER BY seq LIMIT 100)";
    let sql = name.map_or_else(
        || sqlx::query(page),
        |name| sqlx::query("SELECT document AS rows FROM user WHERE name = ?").bind(name),
    );
    let rows = sql.fetch_optional(&bare.readers).await;
    let rows = rows.map_err(|error| error.to_string())?.map(|row| row.get::<String, _>("rows")).unwrap_or_default();
    Ok(format!("{{\"Resources\":[{rows}]}}"))
}

async fn create(State(bare): State<Arc<Bare>>, Json(mut user): Json<Value>) -> Json<Value> {
    let (id, name) = (bare.id(), user["userName"].as_str().unwrap_or_default().to_owned());
    user["id"] = json!(id);
    let document = user.to_string();
    let values = vec![id.clone(), name, document.clone(), id.clone(), id, document.clone(), document];
    bare.write(vec![(CREATE, values)]).await;
    Json(user)
}

async fn active(State(bare): State<Arc<Bare>>, Segment(id): Segment<String>, Json(message): Json<Value>) -> String {
    let active = message["Operations"][0]["value"].to_string();
    let values = vec![active.clone(), id.clone(), id.clone(), active, id, message.to_string()];
    bare.write(vec![(ACTIVE, values)]).await;
    String::new()
}

async fn group(State(bare): State<Arc<Bare>>, Json(group): Json<Value>) -> Json<Value> {
    let id = bare.id();
    let members = group["members"].as_array().map_or(&[][..], Vec::as_slice);
    let changes = members.iter().map(|member| membership(JOIN, &id, member));
    bare.write(changes.collect()).await;
    Json(json!({"id": id}))
}

async fn member(State(bare): State<Arc<Bare>>, Segment(id): Segment<String>, Json(message): Json<Value>) -> String {
    let operation = &message["Operations"][0];
    let statements = if operation["op"] == "Add" { JOIN } else { LEAVE };
    bare.write(vec![membership(statements, &id, &operation["value"][0])]).await;
    String::new()
}

fn membership(statements: &'static str, group: &str, member: &Value) -> Change {
    let user = member["value"].as_str().unwrap_or_default().to_owned();
    let values = vec![group.to_owned(), user.clone(), user.clone(), group.to_owned(), user, member.to_string()];
    (statements, values)
}
