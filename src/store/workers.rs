//! The desired workers: one row per account and folded worker name, whoever bears the name.
//!
//! A re-hire takes over the row, so that an old removal can never delete a new person's worker. Times that decide are the
//! database's own.

use std::time::Duration;

use crate::base::{AccountId, ConnectionId, EventId, Timestamp, UserId, WorkerId, fold};
use crate::domain::worker::DesiredWorker;

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::{Sql, marks};

/// The worker that somebody should have.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The id of the row if there is none yet.
    pub id: WorkerId,
    /// The account.
    pub account: AccountId,
    /// The connection that the user came through.
    pub connection: Option<ConnectionId>,
    /// Whose worker it is.
    pub user: UserId,
    /// What it should be.
    pub desired: &'a DesiredWorker,
    /// The event that led to this.
    pub event: EventId,
}

/// Keeps what may have been written by somebody who works on the row, or died doing so.
const SUPERSEDE: &str = "superseded = CASE WHEN worker.desired IS NOT NULL AND (worker.lease_owner IS NOT NULL OR worker.unsure = 1) \
    THEN worker.superseded || worker.desired || ? ELSE worker.superseded END";

impl Change {
    /// Says which worker a user should have. A row that says so already is left alone.
    pub fn want_worker(&mut self, wanted: &Wanted<'_>) -> Result<(), StoreError> {
        let now = self.database_now();
        let name = wanted.desired.friendly_name.as_str();
        self.push(
            Sql::new(format!(
                "INSERT INTO worker (id, account_id, connection_id, user_id, name, name_fold, desired, digest, keep, desired_version, desired_at, event_id, \
                 footprint, superseded, unsure, state, lane, attempts, due_at, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 1, {now}, ?, '{{}}', '', 0, 'pending', 1, 0, {now}, {now}) \
                 ON CONFLICT (account_id, name_fold) DO UPDATE SET user_id = excluded.user_id, connection_id = excluded.connection_id, name = excluded.name, \
                 desired = excluded.desired, digest = excluded.digest, keep = 0, desired_version = worker.desired_version + 1, \
                 desired_at = excluded.desired_at, event_id = excluded.event_id, {SUPERSEDE}, state = 'pending', lane = 1, \
                 attempts = 0, due_at = excluded.due_at, last_error = NULL \
                 WHERE worker.digest IS DISTINCT FROM excluded.digest OR worker.user_id IS DISTINCT FROM excluded.user_id"
            ))
            .bind(wanted.id.to_string())
            .bind(wanted.account.to_string())
            .bind(wanted.connection.map(|id| id.to_string()))
            .bind(wanted.user.to_string())
            .bind(name)
            .bind(fold(name))
            .bind(to_json("worker", wanted.desired)?)
            .bind(wanted.desired.digest())
            .bind(wanted.event.to_string())
            .bind("\n"),
        );
        self.supersede_receipt(wanted.account, &fold(name));
        Ok(())
    }

    /// Says that a user should have no worker, as it is when the worker goes and the person stays; [`Change::leave`] is for
    /// people who leave. A row that says so already is left alone.
    pub fn unwant_worker(&mut self, account: AccountId, user: UserId, event: EventId) {
        self.unwant(account, user, event, "0", Sql::new("desired IS NOT NULL"));
    }

    /// `keep` says whether the worker stays, offline; `which` of the user's rows are meant.
    pub(super) fn unwant(&mut self, account: AccountId, user: UserId, event: EventId, keep: &str, which: Sql) {
        let now = self.database_now();
        let mut sql = Sql::new(format!(
                "UPDATE worker SET desired = NULL, digest = NULL, keep = {keep}, desired_version = desired_version + 1, desired_at = {now}, \
                 event_id = ?, {SUPERSEDE}, state = 'pending', lane = 0, attempts = 0, due_at = {now}, last_error = NULL \
                 WHERE account_id = ? AND user_id = ? AND "
            ))
            .bind(event.to_string())
            .bind("\n")
            .bind(account.to_string())
            .bind(user.to_string());
        sql.push(which);
        self.push(sql);
    }

    /// Says that workers which a user kept offline under other names than this go: the user is back, and has another one.
    pub fn let_go_of_kept(&mut self, account: AccountId, user: UserId, name: &str, event: EventId) {
        let others = Sql::new("keep = 1 AND name_fold <> ?").bind(fold(name));
        self.unwant(account, user, event, "0", others);
    }

    pub(super) fn database_now(&self) -> &'static str {
        super::session::database_now(self.is_postgres())
    }
}

/// Gives a user's row the new name of its worker, so that the worker is renamed in place at TaskRouter.
///
/// If a row has the new name already, it is kept unless it is but the memory of a worker that is gone; then the user changes
/// over to that row, and the old worker goes. So it does when a worker that we know nothing of may exist under the old name:
/// nobody would look for it there any longer.
pub async fn rename(tx: &Tx, wanted: &Wanted<'_>) -> Result<(), StoreError> {
    let name = wanted.desired.friendly_name.as_str();
    let taken = Sql::new(
        "DELETE FROM worker WHERE account_id = ? AND name_fold = ? AND (user_id IS NULL OR user_id <> ?) \
         AND desired IS NULL AND keep = 0 AND due_at IS NULL AND lease_owner IS NULL",
    )
    .bind(wanted.account.to_string())
    .bind(fold(name))
    .bind(wanted.user.to_string());
    tx.run(taken).await?;
    let renamed = Sql::new(
        "UPDATE worker SET name = ?, name_fold = ? WHERE account_id = ? AND user_id = ? AND desired IS NOT NULL \
         AND footprint NOT LIKE '%\"creations\":[%' \
         AND (sid IS NOT NULL OR (lease_owner IS NULL AND unsure = 0 AND superseded = '')) \
         AND NOT EXISTS (SELECT 1 FROM worker other WHERE other.account_id = ? AND other.name_fold = ?)",
    )
    .bind(name)
    .bind(fold(name))
    .bind(wanted.account.to_string())
    .bind(wanted.user.to_string())
    .bind(wanted.account.to_string())
    .bind(fold(name));
    if tx.run(renamed).await? == 0 {
        let mut change = tx.change();
        change.unwant_worker(wanted.account, wanted.user, wanted.event);
        tx.apply(change).await?;
    }
    let mut change = tx.change();
    change.want_worker(wanted)?;
    tx.apply(change).await
}

/// A row, as the reconciler works on it.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// The row's id.
    pub id: WorkerId,
    /// The account.
    pub account: AccountId,
    /// Whose worker it is.
    pub user: Option<UserId>,
    /// The worker's name.
    pub name: String,
    /// The SID of the worker that is ours.
    pub sid: Option<String>,
    /// The worker as it should be; none: there should be none.
    pub desired: Option<DesiredWorker>,
    /// Whether a worker that is not desired stays, offline.
    pub keep: bool,
    /// Counts the changes of `desired`.
    pub desired_version: i64,
    /// When `desired` changed last.
    pub desired_at: Timestamp,
    /// How long ago that was when the row was claimed; nothing when it is only read.
    pub age: Duration,
    /// What we wrote or may have written (JSON).
    pub footprint: String,
    /// Desired workers that were replaced while somebody may have been writing them.
    pub superseded: Vec<DesiredWorker>,
    /// The version that was last brought about.
    pub applied_version: Option<i64>,
    /// Whether an earlier attempt may have had effects that are not recorded.
    pub unsure: bool,
    /// The state, for people.
    pub state: String,
    /// Failed attempts at this version.
    pub attempts: i64,
    /// When there is work to do.
    pub due_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the worker last became as desired.
    pub in_step_at: Option<Timestamp>,
    /// When the worker was last found to be gone.
    pub removed_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, account_id, user_id, name, sid, desired, keep, desired_version, desired_at, footprint, superseded, \
    applied_version, unsure, state, attempts, due_at, last_error, in_step_at, removed_at, lane";

/// What to claim.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The name of the lease.
    pub lease: &'a str,
    /// How long it lasts.
    pub lease_for: Duration,
    /// Whether only workers that are to go are wanted.
    pub leavers_only: bool,
    /// How many at most.
    pub limit: usize,
    /// Accounts whose rows are left alone.
    pub except: &'a [AccountId],
}

impl Claim<'_> {
    /// What can be claimed of one lane.
    fn of_lane(&self, lane: u8, now: &str) -> Sql {
        // An equation, so that the rest is a range of the index.
        let mut sql = Sql::new(format!("lane = {lane} AND "));
        sql.push(self.condition(now));
        sql
    }

    fn condition(&self, now: &str) -> Sql {
        // Each lane by itself is a range of the index. Workers whose removal is held are in a lane that nobody claims.
        let lanes = if self.leavers_only { "0" } else { "0, 1" };
        let mut sql = Sql::new(format!(
            "due_at IS NOT NULL AND lane IN ({lanes}) AND due_at <= {now} AND (lease_owner IS NULL OR lease_until <= {now})"
        ));
        if !self.except.is_empty() {
            let mut except = Sql::new(format!(" AND account_id NOT IN ({})", marks(self.except.len())));
            for account in self.except {
                except = except.bind(account.to_string());
            }
            sql.push(except);
        }
        sql
    }
}

/// How many rows of an account could be claimed, no more than the limit of the claim being counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The account.
    pub account: AccountId,
    /// Workers that are to go.
    pub leavers: usize,
    /// All others.
    pub others: usize,
}

/// So many rows of one lane of an account are to be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The account.
    pub account: AccountId,
    /// The lane: 0 for workers that are to go, 1 for others.
    pub lane: u8,
    /// How many rows.
    pub rows: usize,
}

/// What could be claimed, for each account that has something; costs no transaction, and looks at few rows of each account
/// however many are due.
pub async fn due(session: &Session, claim: &Claim<'_>) -> Result<Vec<Due>, StoreError> {
    let now = session.database_now();
    let count = |lane: u8| {
        let mut sql = Sql::new("(SELECT COUNT(*) FROM (SELECT 1 AS one FROM worker WHERE account_id = a.id AND ");
        sql.push(claim.of_lane(lane, now));
        sql.push_limit(u64::try_from(claim.limit).unwrap_or(u64::MAX));
        sql.push_str(") due)");
        sql
    };
    let mut sql = Sql::new("SELECT a.id AS account_id, ");
    sql.push(count(0));
    sql.push_str(" AS leavers, ");
    sql.push(if claim.leavers_only { Sql::new("CAST(0 AS bigint)") } else { count(1) });
    sql.push_str(" AS others FROM account a ORDER BY a.id");
    let mut all = Vec::new();
    for row in session.all(sql).await? {
        let number = |column| Ok::<_, StoreError>(usize::try_from(row.int(column)?).unwrap_or(0));
        let (leavers, others) = (number("leavers")?, number("others")?);
        if leavers + others > 0 {
            all.push(Due { account: row.parsed("account", "account_id")?, leavers, others });
        }
    }
    Ok(all)
}

/// Takes due rows that nobody holds, of each lane of an account those that are due longest. They come back leavers first, then
/// by the time at which they were due.
pub async fn claim(tx: &Tx, claim: &Claim<'_>, shares: &[Share]) -> Result<Vec<WorkerRow>, StoreError> {
    let now = tx.database_now();
    let mut sql = Sql::new(format!(
        "UPDATE worker SET unsure = CASE WHEN lease_owner IS NOT NULL THEN 1 ELSE unsure END, lease_owner = ?, lease_until = {now} + ? \
         WHERE id IN ("
    ))
    .bind(claim.lease)
    .bind(millis(claim.lease_for));
    for (n, share) in shares.iter().enumerate() {
        sql.push_str(if n == 0 { "SELECT id FROM (" } else { " UNION ALL SELECT id FROM (" });
        sql.push(Sql::new("SELECT id FROM worker WHERE account_id = ? AND ").bind(share.account.to_string()));
        sql.push(claim.of_lane(share.lane, now));
        sql.push_str(" ORDER BY due_at, id");
        sql.push_limit(u64::try_from(share.rows).unwrap_or(u64::MAX));
        sql.push_str(if tx.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" });
        sql.push_str(&format!(") share{n}"));
    }
    sql.push_str(")");
    sql.push_str(&format!(" RETURNING {COLUMNS}, {now} - desired_at AS age"));
    let mut rows: Vec<(i64, WorkerRow)> = Vec::new();
    for row in tx.all_writing(sql).await? {
        match read(&row) {
            Ok(worker) => {
                let age = Duration::from_millis(u64::try_from(row.int("age")?).unwrap_or(0));
                rows.push((row.int("lane")?, WorkerRow { age, ..worker }));
            }
            Err(error) => set_aside(tx, &row.text("id")?, &error.to_string()).await?,
        }
    }
    rows.sort_by_key(|(lane, row)| (*lane, row.due_at, row.id));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Gives back a row that cannot be read, and leaves it alone for a while: it must not hold up the others.
pub async fn set_aside(tx: &Tx, worker: &str, why: &str) -> Result<(), StoreError> {
    tracing::error!(worker, why, "a worker's row cannot be used");
    let now = tx.database_now();
    let sql = Sql::new(format!(
        "UPDATE worker SET state = 'rejected', last_error = ?, attempts = attempts + 1, lease_owner = NULL, lease_until = NULL, \
         due_at = {now} + ? WHERE id = ?"
    ))
    .bind(why)
    .bind(millis(SET_ASIDE))
    .bind(worker);
    tx.run(sql).await?;
    Ok(())
}

/// For how long a row that cannot be read is left alone.
const SET_ASIDE: Duration = Duration::from_mins(5);

/// Prolongs a lease; false if it is not held any longer.
pub async fn renew(tx: &Tx, worker: WorkerId, lease: &str, lease_for: Duration) -> Result<bool, StoreError> {
    let now = tx.database_now();
    let sql = Sql::new(format!("UPDATE worker SET lease_until = {now} + ? WHERE id = ? AND lease_owner = ?"))
        .bind(millis(lease_for))
        .bind(worker.to_string())
        .bind(lease);
    Ok(tx.run(sql).await? > 0)
}

/// How an attempt ended, or how far it has got.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The row.
    pub worker: WorkerId,
    /// The lease under which it was claimed.
    pub lease: &'a str,
    /// The version that was worked on.
    pub desired_version: i64,
    /// What is known now (SID and footprint), unless nothing was learned.
    pub known: Option<(Option<&'a str>, String)>,
    /// Whether effects may be unrecorded, if that changed.
    pub unsure: Option<bool>,
    /// Whether the attempt is over.
    pub ends: bool,
    /// What follows, unless the desired worker changed meanwhile.
    pub settled: Option<Settled<'a>>,
}

/// The state that an attempt leaves a row in.
#[derive(Clone, Debug)]
pub struct Settled<'a> {
    /// The state.
    pub state: &'a str,
    /// Failed attempts.
    pub attempts: u32,
    /// When the row is due again, from now.
    pub due_in: Option<Duration>,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// The column that notes the time, if the worker is as desired.
    pub reached: Option<Reached>,
}

/// Which way a worker is as desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It is there and in step.
    InStep,
    /// It is gone.
    Removed,
}

/// Takes a report in. Some(version): the version desired now; none: the lease was lost, and nothing was stored.
pub async fn record(tx: &Tx, report: &Report<'_>) -> Result<Option<i64>, StoreError> {
    let now = tx.database_now();
    // `id = id` carries the commas of what follows.
    let mut sql = Sql::new("UPDATE worker SET id = id");
    if let Some((sid, footprint)) = &report.known {
        sql.push(Sql::new(", sid = ?, footprint = ?").bind(sid.map(str::to_owned)).bind(footprint.as_str()));
    }
    if let Some(unsure) = report.unsure {
        sql.push(Sql::new(", unsure = ?").bind(i64::from(unsure)));
    }
    if report.ends {
        sql.push_str(", lease_owner = NULL, lease_until = NULL");
    }
    if let Some(settled) = &report.settled {
        let version = report.desired_version;
        let mut unless_changed = |column: &str, value: Sql| {
            sql.push(Sql::new(format!(", {column} = CASE WHEN desired_version = ? THEN ")).bind(version));
            sql.push(value);
            sql.push_str(&format!(" ELSE {column} END"));
        };
        unless_changed("state", Sql::new("?").bind(settled.state));
        unless_changed("attempts", Sql::new("CAST(? AS bigint)").bind(i64::from(settled.attempts)));
        let due =
            settled.due_in.map_or_else(|| Sql::new("NULL"), |wait| Sql::new(format!("{now} + ?")).bind(millis(wait)));
        unless_changed("due_at", due);
        unless_changed("last_error", Sql::new("?").bind(settled.error.map(str::to_owned)));
        unless_changed("superseded", Sql::new("''"));
        match settled.reached {
            Some(Reached::InStep) => unless_changed("in_step_at", Sql::new(now)),
            Some(Reached::Removed) => unless_changed("removed_at", Sql::new(now)),
            None => {}
        }
        if settled.reached.is_some() {
            unless_changed("applied_version", Sql::new("desired_version"));
        }
    }
    sql.push(
        Sql::new(" WHERE id = ? AND lease_owner = ? RETURNING desired_version")
            .bind(report.worker.to_string())
            .bind(report.lease),
    );
    tx.all_writing(sql).await?.first().map(|row| row.int("desired_version")).transpose()
}

/// The row of a user's worker: of several (after a rename), the one that was desired last.
pub async fn of_user(session: &Session, account: AccountId, user: UserId) -> Result<Option<WorkerRow>, StoreError> {
    let sql = Sql::new(format!(
        "SELECT {COLUMNS} FROM worker WHERE account_id = ? AND user_id = ? ORDER BY (desired IS NULL), desired_at DESC LIMIT 1"
    ))
    .bind(account.to_string())
    .bind(user.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Whether the worker that a user is to have is known by another name than this folded one.
pub async fn bears_another_name(
    session: &Session,
    account: AccountId,
    user: UserId,
    name_fold: &str,
) -> Result<bool, StoreError> {
    let sql = Sql::new(
        "SELECT 1 AS one FROM worker WHERE account_id = ? AND user_id = ? AND desired IS NOT NULL AND name_fold <> ? LIMIT 1",
    )
    .bind(account.to_string())
    .bind(user.to_string())
    .bind(name_fold);
    Ok(session.one(sql).await?.is_some())
}

/// The row of an account whose worker has this SID.
pub async fn holder(session: &Session, account: AccountId, sid: &str) -> Result<Option<WorkerId>, StoreError> {
    let sql = Sql::new("SELECT id FROM worker WHERE account_id = ? AND sid = ?").bind(account.to_string()).bind(sid);
    session.one(sql).await?.map(|row| row.parsed("worker", "id")).transpose()
}

/// All rows of an account after one of them, in the order of ids.
pub async fn page(
    session: &Session,
    account: AccountId,
    after: &str,
    limit: u64,
) -> Result<Vec<WorkerRow>, StoreError> {
    let mut sql = Sql::new(format!("SELECT {COLUMNS} FROM worker WHERE account_id = ? AND id > ? ORDER BY id"))
        .bind(account.to_string())
        .bind(after);
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn read(row: &sea_orm::QueryResult) -> Result<WorkerRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    let superseded = row.text("superseded")?;
    Ok(WorkerRow {
        id: row.parsed("worker", "id")?,
        account: row.parsed("worker", "account_id")?,
        user: row.parsed_opt("worker", "user_id")?,
        name: row.text("name")?,
        sid: row.text_opt("sid")?,
        desired: row.json_opt("worker", "desired")?,
        keep: row.int("keep")? == 1,
        desired_version: row.int("desired_version")?,
        desired_at: Timestamp::from_millis(row.int("desired_at")?),
        age: Duration::ZERO,
        footprint: row.text("footprint")?,
        superseded: superseded
            .lines()
            .map(|line| super::row::from_json("worker", "superseded", line))
            .collect::<Result<_, _>>()?,
        applied_version: row.int_opt("applied_version")?,
        unsure: row.int("unsure")? == 1,
        state: row.text("state")?,
        attempts: row.int("attempts")?,
        due_at: time("due_at")?,
        last_error: row.text_opt("last_error")?,
        in_step_at: time("in_step_at")?,
        removed_at: time("removed_at")?,
    })
}
