//! The walks through all workers of an account, and what the last one found.
//!
//! One process at a time walks an account: it holds a lease, in the time of the database. A walk that dies leaves a lease
//! that lapses, and the next one begins anew.

pub mod rows;

use std::time::Duration;

use serde_json::Value;

use crate::base::{AccountId, Timestamp, WorkerId};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::Sql;

/// Whether a walk may begin before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only if the period is over.
    Due,
    /// At once.
    Now,
}

/// Whether an account's walk is due and nobody is at it; costs no transaction. An account that was never walked is due: a
/// call of [`begin`] gives it its time.
pub async fn is_due(session: &Session, account: AccountId) -> Result<bool, StoreError> {
    let now = session.database_now();
    let sql = Sql::new(format!(
        "SELECT 1 AS one FROM inventory WHERE account_id = ? AND (next_at > {now} OR lease_until > {now})"
    ))
    .bind(account.to_string());
    Ok(session.one(sql).await?.is_none())
}

/// Takes the lease, and says when the walk began by the clock of the database; none: it is not due, or somebody else walks.
/// The first walk that is not asked for becomes due after `first_after`.
pub async fn begin(
    tx: &Tx,
    account: AccountId,
    walk: &str,
    when: When,
    lease_for: Duration,
    first_after: Duration,
) -> Result<Option<Timestamp>, StoreError> {
    let now = tx.database_now();
    let known = Sql::new(format!(
        "INSERT INTO inventory (account_id, next_at) VALUES (?, {now} + ?) ON CONFLICT (account_id) DO NOTHING"
    ))
    .bind(account.to_string())
    .bind(millis(first_after));
    tx.run(known).await?;
    let due = if when == When::Due { format!(" AND next_at <= {now}") } else { String::new() };
    let sql = Sql::new(format!(
        "UPDATE inventory SET walk_id = ?, lease_until = {now} + ?, started_at = {now} \
         WHERE account_id = ? AND (lease_until IS NULL OR lease_until <= {now}){due} RETURNING started_at"
    ))
    .bind(walk)
    .bind(millis(lease_for))
    .bind(account.to_string());
    tx.all_writing(sql).await?.first().map(|row| Ok(Timestamp::from_millis(row.int("started_at")?))).transpose()
}

/// Prolongs the lease of a walk; false if it is not held any longer.
pub async fn renew(tx: &Tx, account: AccountId, walk: &str, lease_for: Duration) -> Result<bool, StoreError> {
    let now = tx.database_now();
    let sql = Sql::new(format!("UPDATE inventory SET lease_until = {now} + ? WHERE {HELD}"))
        .bind(millis(lease_for))
        .bind(account.to_string())
        .bind(walk);
    Ok(tx.run(sql).await? > 0)
}

/// Somebody else who found the lease lapsed has put another walk here.
const HELD: &str = "account_id = ? AND walk_id = ? AND lease_until IS NOT NULL";

/// Ends a walk that came to its end: keeps what it counted, and forgets what earlier walks found. False, with nothing
/// written, if its lease was lost.
pub async fn finish(
    tx: &Tx,
    account: AccountId,
    walk: &str,
    summary: &Value,
    next_in: Duration,
) -> Result<bool, StoreError> {
    let now = tx.database_now();
    let sql = Sql::new(format!(
        "UPDATE inventory SET lease_until = NULL, next_at = {now} + ?, finished_at = {now}, summary = ?, last_error = NULL \
         WHERE {HELD}"
    ))
    .bind(millis(next_in))
    .bind(to_json("inventory", summary)?)
    .bind(account.to_string())
    .bind(walk);
    if tx.run(sql).await? == 0 {
        return Ok(false);
    }
    let outdated =
        Sql::new("DELETE FROM finding WHERE account_id = ? AND walk_id <> ?").bind(account.to_string()).bind(walk);
    tx.run(outdated).await?;
    Ok(true)
}

/// Ends a walk that came to no end.
pub async fn give_up(
    tx: &Tx,
    account: AccountId,
    walk: &str,
    error: &str,
    next_in: Duration,
) -> Result<(), StoreError> {
    let now = tx.database_now();
    let sql =
        Sql::new(format!("UPDATE inventory SET lease_until = NULL, next_at = {now} + ?, last_error = ? WHERE {HELD}"))
            .bind(millis(next_in))
            .bind(error)
            .bind(account.to_string())
            .bind(walk);
    tx.run(sql).await?;
    Ok(())
}

/// What is known of the walks of an account.
#[derive(Clone, Debug)]
pub struct Walks {
    /// The walk that is under way, or was last.
    pub walk: Option<String>,
    /// Whether it is under way.
    pub under_way: bool,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When a walk last came to its end.
    pub finished_at: Option<Timestamp>,
    /// What that walk counted.
    pub summary: Option<Value>,
    /// Why the last walk came to no end.
    pub last_error: Option<String>,
    /// When the next one is due, unless walks are switched off.
    pub next_at: Timestamp,
}

/// The walks of an account; none if there never was one.
pub async fn walks(session: &Session, account: AccountId) -> Result<Option<Walks>, StoreError> {
    let now = session.database_now();
    let sql = Sql::new(format!(
        "SELECT walk_id, CAST(CASE WHEN lease_until > {now} THEN 1 ELSE 0 END AS bigint) AS under_way, started_at, finished_at, summary, \
         last_error, next_at FROM inventory WHERE account_id = ?"
    ))
    .bind(account.to_string());
    let Some(row) = session.one(sql).await? else { return Ok(None) };
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    Ok(Some(Walks {
        walk: row.text_opt("walk_id")?,
        under_way: row.int("under_way")? == 1,
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        summary: row.json_opt("inventory", "summary")?,
        last_error: row.text_opt("last_error")?,
        next_at: Timestamp::from_millis(row.int("next_at")?),
    }))
}

/// Something that is not in step.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The SID of the worker; of a missing one the SID that is recorded.
    pub subject: String,
    /// The class.
    pub class: String,
    /// The worker's name.
    pub name: String,
    /// Our row for it.
    pub worker: Option<WorkerId>,
    /// What differs and what would be done.
    pub detail: Value,
    /// Whether the reconciler was told to repair it.
    pub handed_over: bool,
    /// When the first of the walks began that found it so without a break.
    pub first_at: Timestamp,
}

impl Change {
    /// Records what a walk found.
    pub fn put_finding(&mut self, account: AccountId, walk: &str, finding: &Finding) -> Result<(), StoreError> {
        self.push(
            Sql::new(
                "INSERT INTO finding (account_id, subject, walk_id, class, name, worker_id, detail, handed_over, first_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (account_id, subject) DO UPDATE SET walk_id = excluded.walk_id, class = excluded.class, \
                 name = excluded.name, worker_id = excluded.worker_id, detail = excluded.detail, \
                 handed_over = excluded.handed_over, \
                 first_at = CASE WHEN finding.class = excluded.class THEN finding.first_at ELSE excluded.first_at END",
            )
            .bind(account.to_string())
            .bind(finding.subject.as_str())
            .bind(walk)
            .bind(finding.class.as_str())
            .bind(finding.name.as_str())
            .bind(finding.worker.map(|worker| worker.to_string()))
            .bind(to_json("finding", &finding.detail)?)
            .bind(i64::from(finding.handed_over))
            .bind(finding.first_at.millis()),
        );
        Ok(())
    }

    /// Notes that the reconciler was told to repair what was found.
    pub(super) fn note_handed_over(&mut self, account: AccountId, walk: &str, worker: WorkerId, subject: &str) {
        self.push(
            Sql::new(
                "UPDATE finding SET handed_over = 1 WHERE account_id = ? AND subject = ? AND walk_id = ? AND worker_id = ?",
            )
            .bind(account.to_string())
            .bind(subject)
            .bind(walk)
            .bind(worker.to_string()),
        );
    }
}

/// The next findings of an account, of some classes, by class and SID, after one of them.
pub async fn findings(
    session: &Session,
    account: AccountId,
    class: &str,
    after: &str,
    limit: u64,
) -> Result<Vec<Finding>, StoreError> {
    let mut sql = Sql::new(
        "SELECT subject, class, name, worker_id, detail, handed_over, first_at FROM finding \
         WHERE account_id = ? AND class = ? AND subject > ? ORDER BY subject",
    )
    .bind(account.to_string())
    .bind(class)
    .bind(after);
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

/// What was found about one worker.
pub async fn finding(session: &Session, account: AccountId, subject: &str) -> Result<Option<Finding>, StoreError> {
    let sql = Sql::new(
        "SELECT subject, class, name, worker_id, detail, handed_over, first_at FROM finding WHERE account_id = ? AND subject = ?",
    )
    .bind(account.to_string())
    .bind(subject);
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Forgets what was found about one worker, because somebody decided on it.
pub async fn forget(tx: &Tx, account: AccountId, subject: &str) -> Result<(), StoreError> {
    let sql =
        Sql::new("DELETE FROM finding WHERE account_id = ? AND subject = ?").bind(account.to_string()).bind(subject);
    tx.run(sql).await?;
    Ok(())
}

fn read(row: &sea_orm::QueryResult) -> Result<Finding, StoreError> {
    Ok(Finding {
        subject: row.text("subject")?,
        class: row.text("class")?,
        name: row.text("name")?,
        worker: row.parsed_opt("finding", "worker_id")?,
        detail: row.json("finding", "detail")?,
        handed_over: row.int("handed_over")? == 1,
        first_at: Timestamp::from_millis(row.int("first_at")?),
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
