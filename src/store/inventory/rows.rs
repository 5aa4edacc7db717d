//! The rows of desired workers as an inventory needs them: to compare, and to make due again.

use std::collections::HashMap;

use crate::base::{AccountId, EventId, Timestamp, UserId, WorkerId, fold};
use crate::domain::worker::DesiredWorker;
use crate::store::audit::AuditEvent;
use crate::store::error::StoreError;
use crate::store::row::RowExt as _;
use crate::store::session::{Session, Tx};
use crate::store::sql::{Sql, marks};

/// How many values one statement binds at most.
const CHUNK: usize = 500;

/// A row, as far as an inventory looks at it.
#[derive(Clone, Debug, PartialEq)]
pub struct InventoryRow {
    /// The row's id.
    pub id: WorkerId,
    /// Whose worker it is.
    pub user: Option<UserId>,
    /// The worker's name.
    pub name: String,
    /// The SID of the worker that is ours.
    pub sid: Option<String>,
    /// The worker as it should be; none: there should be none.
    pub desired: Option<DesiredWorker>,
    /// Counts the changes of `desired`.
    pub desired_version: i64,
    /// What we wrote or may have written (JSON).
    pub footprint: String,
    /// The state, for people.
    pub state: String,
    /// Whether nobody works on it and nothing is left to do.
    pub settled: bool,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the worker last became as desired.
    pub in_step_at: Option<Timestamp>,
    /// When the worker was last found to be gone.
    pub removed_at: Option<Timestamp>,
}

/// Nothing is to do, nobody is at it, and nothing is in doubt.
const SETTLED: &str = "applied_version = desired_version AND due_at IS NULL AND lease_owner IS NULL AND unsure = 0";

fn select(condition: &str) -> Sql {
    Sql::new(format!(
        "SELECT id, user_id, name, sid, desired, desired_version, footprint, state, \
         CAST(CASE WHEN {SETTLED} THEN 1 ELSE 0 END AS bigint) AS settled, last_error, in_step_at, removed_at FROM worker \
         WHERE account_id = ? AND {condition}"
    ))
}

/// The rows that hold workers of these SIDs.
pub async fn by_sids(
    session: &Session,
    account: AccountId,
    sids: &[&str],
) -> Result<HashMap<String, InventoryRow>, StoreError> {
    let mut found = HashMap::with_capacity(sids.len());
    for chunk in sids.chunks(CHUNK) {
        let mut sql = select(&format!("sid IN ({})", marks(chunk.len()))).bind(account.to_string());
        for sid in chunk {
            sql = sql.bind(*sid);
        }
        for row in session.all(sql).await? {
            let row = read(&row)?;
            if let Some(sid) = row.sid.clone() {
                found.insert(sid, row);
            }
        }
    }
    Ok(found)
}

/// The rows of these names, by their case-folded form.
pub async fn by_names(
    session: &Session,
    account: AccountId,
    names: &[&str],
) -> Result<HashMap<String, InventoryRow>, StoreError> {
    let mut found = HashMap::with_capacity(names.len());
    for chunk in names.chunks(CHUNK) {
        let mut sql = select(&format!("name_fold IN ({})", marks(chunk.len()))).bind(account.to_string());
        for name in chunk {
            sql = sql.bind(fold(name));
        }
        for row in session.all(sql).await? {
            let row = read(&row)?;
            found.insert(fold(&row.name), row);
        }
    }
    Ok(found)
}

/// One row.
pub async fn by_id(session: &Session, account: AccountId, id: WorkerId) -> Result<Option<InventoryRow>, StoreError> {
    let sql = select("id = ?").bind(account.to_string()).bind(id.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// The next rows in the order of their case-folded names, after one of them.
pub async fn page(
    session: &Session,
    account: AccountId,
    after: &str,
    limit: u64,
) -> Result<Vec<InventoryRow>, StoreError> {
    let mut sql = select("name_fold > ? ORDER BY name_fold").bind(account.to_string()).bind(after);
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

/// Whether changes of the account wait to be brought about: an inventory lets them go first.
pub async fn any_waiting(session: &Session, account: AccountId) -> Result<bool, StoreError> {
    let now = session.database_now();
    let sql = Sql::new(format!(
        "SELECT 1 AS one FROM worker WHERE lane IN (0, 1) AND due_at IS NOT NULL AND due_at <= {now} AND account_id = ? \
         AND applied_version IS DISTINCT FROM desired_version LIMIT 1"
    ))
    .bind(account.to_string());
    Ok(session.one(sql).await?.is_some())
}

/// A row that is to be brought into step again, and the event that records it.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// The row.
    pub worker: WorkerId,
    /// The SID under which the finding is recorded.
    pub subject: String,
    /// The record.
    pub event: AuditEvent,
}

/// Makes rows due again as *unsure*, so that the reconciler reads the workers with their channels and writes only what
/// differs. Rows that are not settled are left alone: the reconciler is at them. Returns those that were made due.
pub async fn hand_over(
    tx: &Tx,
    account: AccountId,
    walk: &str,
    rows: &[HandOver],
) -> Result<Vec<WorkerId>, StoreError> {
    let now = tx.database_now();
    let mut sql = Sql::new(format!(
        "UPDATE worker SET unsure = 1, state = 'pending', attempts = 0, due_at = {now}, last_error = NULL \
         WHERE account_id = ? AND id IN ({}) AND {SETTLED} RETURNING id",
        marks(rows.len())
    ))
    .bind(account.to_string());
    for row in rows {
        sql = sql.bind(row.worker.to_string());
    }
    let mut due = Vec::with_capacity(rows.len());
    for row in tx.all_writing(sql).await? {
        due.push(row.parsed::<WorkerId>("worker", "id")?);
    }
    let mut change = tx.change();
    for row in rows.iter().filter(|row| due.contains(&row.worker)) {
        change.audit(&row.event)?;
        change.note_handed_over(account, walk, row.worker, &row.subject);
    }
    tx.apply(change).await?;
    Ok(due)
}

/// Where rows that were handed over stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows that were handed over.
    pub all: u64,
    /// Those that are in step again.
    pub done: u64,
    /// Those that cannot be brought into step by trying again at once.
    pub refused: u64,
    /// Those that somebody works on, or has tried.
    pub touched: u64,
}

/// Where the rows stand that a walk handed over.
pub async fn progress(session: &Session, account: AccountId, walk: &str) -> Result<Progress, StoreError> {
    let sql = Sql::new(format!(
        "SELECT COUNT(*) AS n, COALESCE(SUM(CASE WHEN {SETTLED} THEN 1 ELSE 0 END), 0) AS done, \
         COALESCE(SUM(CASE WHEN state IN ('rejected', 'unadopted', 'blocked', 'draining', 'protected') THEN 1 ELSE 0 END), 0) AS refused, \
         COALESCE(SUM(CASE WHEN lease_owner IS NOT NULL OR attempts > 0 THEN 1 ELSE 0 END), 0) AS touched \
         FROM finding JOIN worker ON worker.id = finding.worker_id \
         WHERE finding.account_id = ? AND finding.walk_id = ? AND finding.handed_over = 1"
    ))
    .bind(account.to_string())
    .bind(walk);
    let Some(row) = session.one(sql).await? else { return Ok(Progress::default()) };
    let count = |column| Ok::<_, StoreError>(row.int(column)?.unsigned_abs());
    Ok(Progress { all: count("n")?, done: count("done")?, refused: count("refused")?, touched: count("touched")? })
}

/// Gives a worker to the row of its person, which has none; the reconciler brings it into step. False, with nothing
/// written, if the row got a worker meanwhile, should have none, or is being worked on.
pub async fn adopt(
    tx: &Tx,
    account: AccountId,
    row: WorkerId,
    sid: &str,
    event: &AuditEvent,
) -> Result<bool, StoreError> {
    let now = tx.database_now();
    let sql = Sql::new(format!(
        "UPDATE worker SET sid = ?, unsure = 1, state = 'pending', attempts = 0, due_at = {now}, last_error = NULL \
         WHERE account_id = ? AND id = ? AND sid IS NULL AND desired IS NOT NULL AND lease_owner IS NULL \
         AND NOT EXISTS (SELECT 1 FROM worker other WHERE other.account_id = ? AND other.sid = ?)"
    ))
    .bind(sid)
    .bind(account.to_string())
    .bind(row.to_string())
    .bind(account.to_string())
    .bind(sid);
    record(tx, sql, event).await
}

/// A worker of nobody that is to go.
#[derive(Clone, Debug)]
pub struct Unwanted<'a> {
    /// The id of its row, if there is none of its name yet.
    pub id: WorkerId,
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: &'a str,
    /// Its SID.
    pub sid: &'a str,
    /// What led to this.
    pub event: EventId,
}

/// Lets the reconciler remove a worker that nobody holds. False, with nothing written, if the name or the worker is
/// somebody's.
pub async fn remove(tx: &Tx, unwanted: &Unwanted<'_>, event: &AuditEvent) -> Result<bool, StoreError> {
    let now = tx.database_now();
    let account = unwanted.account.to_string();
    let sql = Sql::new(format!(
        "INSERT INTO worker (id, account_id, name, name_fold, sid, desired_version, desired_at, event_id, footprint, \
         superseded, unsure, keep, state, lane, attempts, due_at, created_at) \
         SELECT ?, ?, ?, ?, ?, 1, {now}, ?, '{{}}', '', 1, 0, 'pending', 0, 0, {now}, {now} \
         WHERE NOT EXISTS (SELECT 1 FROM worker other WHERE other.account_id = ? AND other.sid = ?) \
         ON CONFLICT (account_id, name_fold) DO UPDATE SET sid = excluded.sid, desired_version = worker.desired_version + 1, \
         desired_at = excluded.desired_at, event_id = excluded.event_id, unsure = 1, keep = 0, state = 'pending', lane = 0, attempts = 0, \
         due_at = excluded.due_at, last_error = NULL \
         WHERE worker.desired IS NULL AND worker.sid IS NULL AND worker.lease_owner IS NULL"
    ))
    .bind(unwanted.id.to_string())
    .bind(account.as_str())
    .bind(unwanted.name)
    .bind(fold(unwanted.name))
    .bind(unwanted.sid)
    .bind(unwanted.event.to_string())
    .bind(account.as_str())
    .bind(unwanted.sid);
    record(tx, sql, event).await
}

async fn record(tx: &Tx, sql: Sql, event: &AuditEvent) -> Result<bool, StoreError> {
    if tx.run(sql).await? == 0 {
        return Ok(false);
    }
    let mut change = tx.change();
    change.audit(event)?;
    tx.apply(change).await?;
    Ok(true)
}

fn read(row: &sea_orm::QueryResult) -> Result<InventoryRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    Ok(InventoryRow {
        id: row.parsed("worker", "id")?,
        user: row.parsed_opt("worker", "user_id")?,
        name: row.text("name")?,
        sid: row.text_opt("sid")?,
        desired: row.json_opt("worker", "desired")?,
        desired_version: row.int("desired_version")?,
        footprint: row.text("footprint")?,
        state: row.text("state")?,
        settled: row.int("settled")? == 1,
        last_error: row.text_opt("last_error")?,
        in_step_at: time("in_step_at")?,
        removed_at: time("removed_at")?,
    })
}
