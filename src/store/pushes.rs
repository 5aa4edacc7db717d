//! The log of pushes: what identity providers sent, and what they were told.

use crate::base::{AccountId, ConnectionId, Timestamp};

use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::{Sql, marks};

/// One request, as it is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// When it came.
    pub at: Timestamp,
    /// The account of its connection.
    pub account: AccountId,
    /// The connection.
    pub connection: ConnectionId,
    /// The token or OAuth client that sent it.
    pub bearer: String,
    /// The HTTP method.
    pub method: String,
    /// The path below the SCIM base URL.
    pub path: String,
    /// The body without secrets, perhaps cut; none if there was none.
    pub body: Option<String>,
    /// Why the body is not as it was sent.
    pub note: Option<String>,
    /// The HTTP status; 0 if the client went away before the answer.
    pub status: u16,
    /// The kind of refusal.
    pub scim_type: Option<String>,
    /// The refusal in words.
    pub detail: Option<String>,
    /// From the head of the request to its answer, in milliseconds.
    pub latency_ms: i64,
    /// The id of the request, which the audit trail has too.
    pub request: String,
    /// The id of the resource that it is about.
    pub resource: Option<String>,
    /// The ids of the users, and of groups as members, that it names.
    pub people: Vec<String>,
    /// The attributes that it has and that are not stored.
    pub ignored: Vec<String>,
    /// How many operations of a bulk request failed.
    pub failed_operations: i64,
    /// For requests that were turned away at the door: what those have in common that share this row.
    pub alike: Option<String>,
    /// How many requests the row stands for.
    pub times: i64,
}

impl Push {
    /// Whether it was refused, failed, or never answered, in whole or in part.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.status < 200 || self.status >= 400 || self.failed_operations > 0
    }
}

/// A logged request with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its number, which grows.
    pub seq: i64,
    /// The request.
    pub push: Push,
}

/// How often something was read in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The account of the connection.
    pub account: AccountId,
    /// The connection.
    pub connection: ConnectionId,
    /// The beginning of the minute.
    pub minute: Timestamp,
    /// What was read, without anybody's data.
    pub shape: String,
    /// How often.
    pub total: i64,
}

const COLUMNS: &str = "at, account_id, connection_id, bearer, method, path, body, note, status, failed, scim_type, detail, latency_ms, request_id, resource_id, people, ignored, failed_operations, alike, times";
const COLUMN_COUNT: usize = 20;

/// Writes requests in one statement, of which no two may be alike. What is like a row that is there adds to its number.
pub async fn insert(tx: &Tx, pushes: &[Push]) -> Result<(), StoreError> {
    if pushes.is_empty() {
        return Ok(());
    }
    let row = format!("({})", marks(COLUMN_COUNT));
    let rows = vec![row; pushes.len()].join(", ");
    let mut sql = Sql::new(format!("INSERT INTO push ({COLUMNS}) VALUES {rows}"));
    for push in pushes {
        sql = sql
            .bind(push.at.millis())
            .bind(push.account.to_string())
            .bind(push.connection.to_string())
            .bind(push.bearer.as_str())
            .bind(push.method.as_str())
            .bind(push.path.as_str())
            .bind(push.body.clone())
            .bind(push.note.clone())
            .bind(i64::from(push.status))
            .bind(i64::from(push.failed()))
            .bind(push.scim_type.clone())
            .bind(push.detail.clone())
            .bind(push.latency_ms)
            .bind(push.request.as_str())
            .bind(push.resource.clone())
            .bind(to_json("push", &push.people)?)
            .bind(to_json("push", &push.ignored)?)
            .bind(push.failed_operations)
            .bind(push.alike.clone())
            .bind(push.times);
    }
    sql.push_str(" ON CONFLICT (alike) WHERE alike IS NOT NULL DO UPDATE SET times = push.times + excluded.times");
    tx.run(sql).await?;
    Ok(())
}

/// The latest requests of a connection, the newest first.
pub async fn latest(
    session: &Session,
    connection: ConnectionId,
    failed: bool,
    limit: u32,
) -> Result<Vec<Logged>, StoreError> {
    let failed = if failed { " AND failed = 1" } else { "" };
    let sql = Sql::new(format!(
        "SELECT seq, {COLUMNS} FROM push WHERE connection_id = ?{failed} ORDER BY connection_id DESC, seq DESC LIMIT ? + 0"
    ));
    let sql = sql.bind(connection.to_string()).bind(i64::from(limit));
    session.all(sql).await?.iter().map(read).collect()
}

/// The numbers of the requests of a connection behind a number, the smallest first: from an index alone.
pub async fn numbers_after(
    session: &Session,
    connection: ConnectionId,
    seq: i64,
    failed: bool,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let failed = if failed { " AND failed = 1" } else { "" };
    let sql = Sql::new(format!(
        "SELECT seq FROM push WHERE connection_id = ? AND seq > ?{failed} ORDER BY connection_id, seq LIMIT ? + 0"
    ));
    let sql = sql.bind(connection.to_string()).bind(seq).bind(i64::from(limit));
    session.all(sql).await?.iter().map(|row| row.int("seq")).collect()
}

/// The requests with these numbers, in no order.
pub async fn many(session: &Session, numbers: &[i64]) -> Result<Vec<Logged>, StoreError> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(format!("SELECT seq, {COLUMNS} FROM push WHERE seq IN ({})", marks(numbers.len())));
    for seq in numbers {
        sql = sql.bind(*seq);
    }
    session.all(sql).await?.iter().map(read).collect()
}

/// One request of an account.
pub async fn by_seq(session: &Session, account: AccountId, seq: i64) -> Result<Option<Logged>, StoreError> {
    let sql = Sql::new(format!("SELECT seq, {COLUMNS} FROM push WHERE seq = ? AND account_id = ?"))
        .bind(seq)
        .bind(account.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Deletes the oldest requests of a connection that came before a time, at most `limit`; says how many.
pub async fn sweep(tx: &Tx, connection: ConnectionId, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    // The oldest are looked at by number, which has an index, and then judged by their time, which needs none.
    let sql = Sql::new("SELECT seq, at FROM push WHERE connection_id = ? ORDER BY connection_id, seq LIMIT ? + 0");
    let oldest = tx.all(sql.bind(connection.to_string()).bind(i64::from(limit))).await?;
    let mut old = Vec::new();
    for row in &oldest {
        if row.int("at")? < before.millis() {
            old.push(row.int("seq")?);
        }
    }
    if old.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new(format!("DELETE FROM push WHERE seq IN ({})", marks(old.len())));
    for seq in old {
        sql = sql.bind(seq);
    }
    tx.run(sql).await
}

/// Adds to what was read.
pub async fn add_reads(tx: &Tx, reads: &[Reads]) -> Result<(), StoreError> {
    if reads.is_empty() {
        return Ok(());
    }
    let rows = vec!["(?, ?, ?, ?, ?)"; reads.len()].join(", ");
    let mut sql =
        Sql::new(format!("INSERT INTO push_read (account_id, connection_id, minute, shape, total) VALUES {rows}"));
    for read in reads {
        sql = sql
            .bind(read.account.to_string())
            .bind(read.connection.to_string())
            .bind(read.minute.millis())
            .bind(read.shape.as_str())
            .bind(read.total);
    }
    sql.push_str(" ON CONFLICT (connection_id, minute, shape) DO UPDATE SET total = push_read.total + excluded.total");
    tx.run(sql).await?;
    Ok(())
}

/// What was read of a connection since a time, by shape; `minute` is the latest one.
pub async fn reads(session: &Session, connection: ConnectionId, since: Timestamp) -> Result<Vec<Reads>, StoreError> {
    let sql = Sql::new(
        "SELECT account_id, connection_id, shape, MAX(minute) AS minute, CAST(SUM(total) AS bigint) AS total FROM push_read \
         WHERE connection_id = ? AND minute >= ? GROUP BY account_id, connection_id, shape ORDER BY shape",
    );
    let rows = session.all(sql.bind(connection.to_string()).bind(since.millis())).await?;
    rows.iter()
        .map(|row| {
            Ok(Reads {
                account: row.parsed("push_read", "account_id")?,
                connection: row.parsed("push_read", "connection_id")?,
                minute: Timestamp::from_millis(row.int("minute")?),
                shape: row.text("shape")?,
                total: row.int("total")?,
            })
        })
        .collect()
}

/// Deletes counts of a connection from before a time, at most `limit`; says how many.
pub async fn sweep_reads(tx: &Tx, connection: ConnectionId, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.run(
        Sql::new(
            "DELETE FROM push_read WHERE connection_id = ? AND (minute, shape) IN \
             (SELECT minute, shape FROM push_read WHERE connection_id = ? AND minute < ? ORDER BY minute LIMIT ? + 0)",
        )
        .bind(connection.to_string())
        .bind(connection.to_string())
        .bind(before.millis())
        .bind(i64::from(limit)),
    )
    .await
}

fn read(row: &sea_orm::QueryResult) -> Result<Logged, StoreError> {
    let list = |column| row.json::<Vec<String>>("push", column);
    let status = row.int("status")?;
    let push = Push {
        at: Timestamp::from_millis(row.int("at")?),
        account: row.parsed("push", "account_id")?,
        connection: row.parsed("push", "connection_id")?,
        bearer: row.text("bearer")?,
        method: row.text("method")?,
        path: row.text("path")?,
        body: row.text_opt("body")?,
        note: row.text_opt("note")?,
        status: u16::try_from(status)
            .map_err(|_| StoreError::Damaged { table: "push", what: format!("status is {status}") })?,
        scim_type: row.text_opt("scim_type")?,
        detail: row.text_opt("detail")?,
        latency_ms: row.int("latency_ms")?,
        request: row.text("request_id")?,
        resource: row.text_opt("resource_id")?,
        people: list("people")?,
        ignored: list("ignored")?,
        failed_operations: row.int("failed_operations")?,
        alike: row.text_opt("alike")?,
        times: row.int("times")?,
    };
    Ok(Logged { seq: row.int("seq")?, push })
}
