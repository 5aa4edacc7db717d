//! Receipts: what happened when somebody left, stage by stage.
//!
//! A receipt is written in the transaction that ends the access, and belongs to one version of the worker's row. Its times
//! are the database's own, as those of leases are.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::{AccountId, ConnectionId, EventId, Timestamp, UserId, WorkerId, fold};
use crate::domain::Reason;

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::{Sql, marks};
use super::workers::millis;

/// Somebody's access ends.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    /// The account.
    pub account: AccountId,
    /// Who.
    pub user: UserId,
    /// Why.
    pub reason: Reason,
    /// The event that led to this.
    pub event: EventId,
    /// When that was accepted; none: now.
    pub accepted: Option<Timestamp>,
    /// Whether there was access until now: then there is a receipt even for somebody without a worker.
    pub had_access: bool,
}

/// Whether the worker of somebody who is deactivated stays: as the account wants it now.
const KEEPS: &str = "CASE WHEN (SELECT deactivated FROM account WHERE account.id = worker.account_id) = 'keep-offline' \
    THEN 1 ELSE 0 END";

impl Change {
    /// Says that somebody is to have no worker any longer, with a receipt. Where that was said already nothing happens.
    pub fn leave(&mut self, leaving: &Leaving) {
        let now = self.database_now();
        let Leaving { account, user, event, .. } = *leaving;
        // A worker that stays may be told to go later, and one that goes is not told to stay.
        let (which, keep) = match leaving.reason {
            Reason::Deactivated => ("worker.desired IS NOT NULL", KEEPS),
            Reason::Deleted | Reason::LostAccess => ("(worker.desired IS NOT NULL OR worker.keep = 1)", "0"),
        };
        if leaving.reason != Reason::Deactivated {
            self.push(
                Sql::new(format!(
                    "UPDATE receipt SET ending = 'superseded', ended_at = {now} WHERE ended_at IS NULL AND worker_id IN \
                     (SELECT id FROM worker WHERE account_id = ? AND user_id = ? AND desired IS NULL AND keep = 1)"
                ))
                .bind(account.to_string())
                .bind(user.to_string()),
            );
        }
        let only_workers = if leaving.had_access { "" } else { " AND worker.id IS NOT NULL" };
        // Before the worker's row changes: what it says until now decides whether this is a leaving.
        let mut sql = Sql::new(
            "INSERT INTO receipt (account_id, connection_id, user_id, name, name_fold, worker_id, version, reason, event_id, \
             accepted_at, refused_at, ending, ended_at) SELECT u.account_id, u.connection_id, u.id, COALESCE(worker.name, u.user_name), \
             COALESCE(worker.name_fold, u.user_name_fold), worker.id, worker.desired_version + 1, ?, ?, ",
        )
        .bind(leaving.reason.as_str())
        .bind(event.to_string());
        match leaving.accepted {
            Some(at) => sql.push(Sql::new("CAST(? AS bigint)").bind(at.millis())),
            None => sql.push_str(now),
        }
        sql.push(
            Sql::new(format!(
                ", {now}, CASE WHEN worker.id IS NULL THEN 'no_worker' END, CASE WHEN worker.id IS NULL THEN {now} END FROM \"user\" u \
                 LEFT JOIN worker ON worker.user_id = u.id AND worker.account_id = u.account_id AND {which} \
                 WHERE u.id = ? AND u.account_id = ?{only_workers}"
            ))
            .bind(user.to_string())
            .bind(account.to_string()),
        );
        self.push(sql);
        self.unwant(account, user, event, keep, Sql::new(which));
    }

    /// Ends the open receipt of the worker of a name: somebody has it again.
    pub(super) fn supersede_receipt(&mut self, account: AccountId, name_fold: &str) {
        let now = self.database_now();
        self.push(
            Sql::new(format!(
                "UPDATE receipt SET ending = 'superseded', ended_at = {now} WHERE ended_at IS NULL \
                 AND worker_id = (SELECT id FROM worker WHERE account_id = ? AND name_fold = ?)"
            ))
            .bind(account.to_string())
            .bind(name_fold),
        );
    }
}

/// What an attempt at removing a worker has seen, as time gone by since.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The worker got no more work.
    pub unavailable: Option<Duration>,
    /// It was deleted.
    pub removed: Option<Duration>,
    /// It was found to be gone.
    pub verified: Option<Duration>,
    /// How the receipt ends.
    pub ending: Option<Ended>,
}

/// How an attempt ends a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The worker is gone.
    Verified,
    /// It stays, offline.
    KeptOffline,
    /// There was no worker, unless an earlier attempt knew of one.
    NoWorker,
}

/// Writes what an attempt has seen into the open receipt of a worker's row; the first time of each stage stays.
pub async fn note(tx: &Tx, worker: WorkerId, version: i64, seen: &Seen) -> Result<(), StoreError> {
    let now = tx.database_now();
    let mut parts = Vec::new();
    let ago = |age: Duration| Sql::new(format!("{now} - ?")).bind(millis(age));
    for (column, age) in [("unavailable_at", seen.unavailable), ("removed_at", seen.removed)] {
        if let Some(age) = age {
            let mut sql = Sql::new(format!("{column} = COALESCE({column}, "));
            sql.push(ago(age));
            sql.push_str(")");
            parts.push(sql);
        }
    }
    match seen.ending {
        Some(Ended::Verified) => {
            let mut sql = Sql::new(format!("ending = 'verified', ended_at = {now}, verified_at = "));
            sql.push(ago(seen.verified.unwrap_or_default()));
            parts.push(sql);
        }
        Some(Ended::KeptOffline) => {
            parts.push(Sql::new(format!("ending = 'kept_offline', ended_at = {now}, verified_at = {now}")));
        }
        Some(Ended::NoWorker) => parts.push(Sql::new(format!(
            "ending = CASE WHEN removed_at IS NULL THEN 'no_worker' ELSE 'verified' END, ended_at = {now}, \
             verified_at = CASE WHEN removed_at IS NULL THEN NULL ELSE {now} END"
        ))),
        None => {}
    }
    if parts.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("UPDATE receipt SET ");
    for (n, part) in parts.into_iter().enumerate() {
        if n > 0 {
            sql.push_str(", ");
        }
        sql.push(part);
    }
    sql.push(
        Sql::new(" WHERE worker_id = ? AND version = ? AND ended_at IS NULL").bind(worker.to_string()).bind(version),
    );
    tx.run(sql).await?;
    Ok(())
}

/// A receipt.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Its number, which grows.
    pub seq: i64,
    /// The account.
    pub account: AccountId,
    /// The connection that the person belongs to.
    pub connection: Option<ConnectionId>,
    /// The person.
    pub user: UserId,
    /// The name of the worker, or the userName of whoever had none.
    pub name: String,
    /// The worker's row.
    pub worker: Option<WorkerId>,
    /// Why access ended.
    pub reason: Reason,
    /// The event that ended it.
    pub event: EventId,
    /// When the push was accepted.
    pub accepted_at: Timestamp,
    /// From when on access was refused.
    pub refused_at: Timestamp,
    /// When the worker got no more work.
    pub unavailable_at: Option<Timestamp>,
    /// When the worker was deleted.
    pub removed_at: Option<Timestamp>,
    /// When the worker was found to be gone.
    pub verified_at: Option<Timestamp>,
    /// How it ended; none: it is open.
    pub ending: Option<String>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was logged that the removal is late.
    pub alerted_at: Option<Timestamp>,
    /// How the worker's row stands, while the receipt is open.
    pub row: Option<RowView>,
}

/// How a worker's row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowView {
    /// Its state.
    pub state: String,
    /// Failed attempts.
    pub attempts: i64,
    /// Why the last one failed.
    pub error: Option<String>,
}

const COLUMNS: &str = "r.seq, r.account_id, r.connection_id, r.user_id, r.name, r.worker_id, r.reason, r.event_id, r.accepted_at, \
    r.refused_at, r.unavailable_at, r.removed_at, r.verified_at, r.ending, r.ended_at, r.alerted_at";

/// Whose receipt.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Somebody's, by the id of the user.
    User(UserId),
    /// Somebody's, by the name of the worker.
    Name(String),
}

/// Which receipts.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only those of this connection.
    pub connection: Option<ConnectionId>,
    /// Only those of this person.
    pub whose: Option<Whose>,
    /// Only those that are not finished.
    pub open: bool,
    /// Only those with a smaller number.
    pub before: Option<i64>,
}

/// Receipts of an account, the newest first.
pub async fn list(
    session: &Session,
    account: AccountId,
    selection: &Selection,
    limit: u64,
) -> Result<Vec<Receipt>, StoreError> {
    session.all(list_sql(account, selection, limit)).await?.iter().map(read).collect()
}

fn list_sql(account: AccountId, selection: &Selection, limit: u64) -> Sql {
    // What narrows most decides on the index, and the order by number is that of the index.
    let (condition, order, key) = match (&selection.whose, selection.connection) {
        (Some(Whose::User(user)), _) => {
            ("r.account_id = ? AND r.user_id = ?", "r.user_id DESC", Some(user.to_string()))
        }
        (Some(Whose::Name(name)), _) => {
            ("r.account_id = ? AND r.name_fold = ?", "r.account_id DESC, r.name_fold DESC", Some(fold(name)))
        }
        (None, Some(connection)) if !selection.open => {
            ("r.account_id = ? AND r.connection_id = ?", "r.connection_id DESC", Some(connection.to_string()))
        }
        (None, _) => ("r.account_id = ?", "r.account_id DESC", None),
    };
    let mut sql = Sql::new(format!(
        "SELECT {COLUMNS}, w.state, w.attempts, w.last_error FROM receipt r LEFT JOIN worker w ON r.ended_at IS NULL \
         AND w.id = r.worker_id AND w.desired_version = r.version WHERE {condition}"
    ))
    .bind(account.to_string());
    if let Some(key) = key {
        sql = sql.bind(key);
    }
    if let Some(connection) = selection.connection.filter(|_| selection.whose.is_some() || selection.open) {
        sql.push(Sql::new(" AND r.connection_id = ?").bind(connection.to_string()));
    }
    if selection.open {
        sql.push_str(" AND r.ended_at IS NULL");
    }
    if let Some(before) = selection.before {
        sql.push(Sql::new(" AND r.seq < ?").bind(before));
    }
    sql.push_str(&format!(" ORDER BY {order}, r.seq DESC"));
    sql.push_limit(limit);
    sql
}

/// The times of a receipt, for figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// Its number.
    pub seq: i64,
    /// When the push was accepted.
    pub accepted_at: Timestamp,
    /// Access refused, worker unavailable, removed, verified.
    pub stages: [Option<Timestamp>; 4],
    /// How it ended.
    pub ending: Option<String>,
}

/// The times of a connection's receipts that were accepted at or after a time, oldest first, from behind `after` on.
pub async fn times(
    session: &Session,
    connection: ConnectionId,
    since: Timestamp,
    after: Option<&Times>,
    limit: u64,
) -> Result<Vec<Times>, StoreError> {
    let (at, seq) = after.map_or((since, -1), |last| (last.accepted_at, last.seq));
    let mut sql = Sql::new(
        "SELECT seq, accepted_at, refused_at, unavailable_at, removed_at, verified_at, ending FROM receipt \
         WHERE connection_id = ? AND (accepted_at, seq) > (?, ?) ORDER BY connection_id, accepted_at, seq",
    )
    .bind(connection.to_string())
    .bind(at.millis())
    .bind(seq);
    sql.push_limit(limit);
    let rows = session.all(sql).await?;
    rows.iter()
        .map(|row| {
            let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
            Ok(Times {
                seq: row.int("seq")?,
                accepted_at: Timestamp::from_millis(row.int("accepted_at")?),
                stages: [time("refused_at")?, time("unavailable_at")?, time("removed_at")?, time("verified_at")?],
                ending: row.text_opt("ending")?,
            })
        })
        .collect()
}

/// How many removals of each account have been under way for longer than this; accounts without one are left out.
pub async fn late(session: &Session, than: Duration) -> Result<HashMap<AccountId, u64>, StoreError> {
    let now = session.database_now();
    // Open receipts are few, however many there are.
    let sql = Sql::new(format!(
        "SELECT account_id, COUNT(*) AS n FROM receipt WHERE ended_at IS NULL AND accepted_at <= {now} - ? GROUP BY account_id"
    ));
    let rows = session.all(sql.bind(millis(than))).await?;
    rows.iter().map(|row| Ok((row.parsed("receipt", "account_id")?, row.int("n")?.unsigned_abs()))).collect()
}

fn unalerted(now: &str, than: Duration) -> Sql {
    Sql::new(format!("ended_at IS NULL AND alerted_at IS NULL AND accepted_at <= {now} - ?")).bind(millis(than))
}

/// Whether a removal has become late that nobody was told of; costs no transaction.
pub async fn any_unalerted(session: &Session, than: Duration) -> Result<bool, StoreError> {
    let mut sql = Sql::new("SELECT 1 AS one FROM receipt WHERE ");
    sql.push(unalerted(session.database_now(), than));
    sql.push_str(" LIMIT 1");
    Ok(session.one(sql).await?.is_some())
}

/// Takes removals that have become late, each once, oldest first.
///
/// A receipt whose row has gone on without it, which only a rare meeting of two changes can bring about, is ended instead.
pub async fn take_unalerted(tx: &Tx, than: Duration, limit: u64) -> Result<Vec<Receipt>, StoreError> {
    let now = tx.database_now();
    let mut sql =
        Sql::new(format!("UPDATE receipt SET alerted_at = {now} WHERE seq IN (SELECT seq FROM receipt WHERE "));
    sql.push(unalerted(now, than));
    sql.push_str(" ORDER BY accepted_at");
    sql.push_limit(limit);
    sql.push_str(if tx.is_postgres() { " FOR UPDATE SKIP LOCKED)" } else { ")" });
    sql.push_str(" RETURNING seq");
    let taken: Vec<i64> = tx.all_writing(sql).await?.iter().map(|row| row.int("seq")).collect::<Result<_, _>>()?;
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(format!(
        "SELECT {COLUMNS}, w.state, w.attempts, w.last_error FROM receipt r LEFT JOIN worker w ON w.id = r.worker_id \
         AND w.desired_version = r.version WHERE r.seq IN ({}) ORDER BY r.seq",
        marks(taken.len())
    ));
    for seq in taken {
        sql = sql.bind(seq);
    }
    let (mut late, mut lost) = (Vec::new(), Vec::new());
    for row in &tx.all(sql).await? {
        let receipt = read(row)?;
        if receipt.row.is_some() { late.push(receipt) } else { lost.push(receipt.seq) }
    }
    for seq in lost {
        let sql = format!("UPDATE receipt SET ending = 'superseded', ended_at = {now} WHERE seq = ?");
        tx.run(Sql::new(sql).bind(seq)).await?;
    }
    Ok(late)
}

/// Deletes the oldest finished receipts of an account from before a time, among at most `limit`; says how many it looked at
/// and how many it deleted.
pub async fn sweep(tx: &Tx, account: AccountId, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    // The oldest are looked at by number, which has an index, and then judged by their time, which needs none.
    let sql = Sql::new("SELECT seq, ended_at FROM receipt WHERE account_id = ? ORDER BY account_id, seq LIMIT ? + 0");
    let oldest = tx.all(sql.bind(account.to_string()).bind(i64::from(limit))).await?;
    let mut old = Vec::new();
    for row in &oldest {
        if row.int_opt("ended_at")?.is_some_and(|at| at < before.millis()) {
            old.push(row.int("seq")?);
        }
    }
    if old.is_empty() {
        return Ok(0);
    }
    let mut sql = Sql::new(format!("DELETE FROM receipt WHERE seq IN ({})", marks(old.len())));
    for seq in old {
        sql = sql.bind(seq);
    }
    tx.run(sql).await
}

fn read(row: &sea_orm::QueryResult) -> Result<Receipt, StoreError> {
    let at = |column| Ok::<_, StoreError>(Timestamp::from_millis(row.int(column)?));
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    let state = row.text_opt("state")?;
    Ok(Receipt {
        seq: row.int("seq")?,
        account: row.parsed("receipt", "account_id")?,
        connection: row.parsed_opt("receipt", "connection_id")?,
        user: row.parsed("receipt", "user_id")?,
        name: row.text("name")?,
        worker: row.parsed_opt("receipt", "worker_id")?,
        reason: row.parsed("receipt", "reason")?,
        event: row.parsed("receipt", "event_id")?,
        accepted_at: at("accepted_at")?,
        refused_at: at("refused_at")?,
        unavailable_at: time("unavailable_at")?,
        removed_at: time("removed_at")?,
        verified_at: time("verified_at")?,
        ending: row.text_opt("ending")?,
        ended_at: time("ended_at")?,
        alerted_at: time("alerted_at")?,
        row: state
            .map(|state| {
                Ok::<_, StoreError>(RowView {
                    state,
                    attempts: row.int("attempts")?,
                    error: row.text_opt("last_error")?,
                })
            })
            .transpose()?,
    })
}
