//! What waits to be brought about at TaskRouter, how fast it goes, and which copies of the server work on it.

use std::collections::HashMap;
use std::time::Duration;

use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;
use crate::base::AccountId;

/// How much time goes into one row of `settled`, in milliseconds.
const SLOT: i64 = 10_000;
/// Over how much of the past the rate is taken.
const LOOKED_AT: i64 = 5 * 60_000;
/// A copy that has not told of itself for so long is gone.
const GONE: i64 = 30_000;
/// How long copies that are gone are remembered.
const FORGOTTEN: i64 = 3_600_000;

/// The workers of one account that are not as desired yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backlog {
    /// Workers that are to go.
    pub leavers: u64,
    /// Workers that are to be made or changed.
    pub others: u64,
    /// How long the oldest of the leavers has waited.
    pub oldest_leaver: Option<Duration>,
    /// How long the oldest of the others has waited.
    pub oldest_other: Option<Duration>,
    /// All of them by state, see [`crate::store::workers`].
    pub states: HashMap<String, u64>,
    /// Workers a second that became as desired lately, all copies together; none: nothing did.
    pub rate: Option<f64>,
}

impl Backlog {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leavers + self.others == 0
    }

    /// Workers that are worked on, or will be: not those that wait for a person to act at Twilio or here.
    #[must_use]
    pub fn moving(&self) -> u64 {
        ["pending", "retrying"].iter().filter_map(|state| self.states.get(*state)).sum()
    }

    /// How long the backlog takes at the present rate; none: that cannot be told.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no account has 2^52 workers")]
    pub fn time_left(&self) -> Option<Duration> {
        match (self.moving(), self.rate) {
            (0, _) => Some(Duration::ZERO),
            (moving, Some(rate)) => Duration::try_from_secs_f64(moving as f64 / rate).ok(),
            (_, None) => None,
        }
    }
}

/// The copies of the server that told of themselves lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Those that bring workers into step.
    pub working: u64,
    /// Those that are told not to.
    pub paused: u64,
}

/// The backlog of each account that has one, or had lately.
pub async fn of_all(session: &Session) -> Result<HashMap<AccountId, Backlog>, StoreError> {
    let mut backlogs: HashMap<AccountId, Backlog> = HashMap::new();
    let now = session.database_now();
    // Joined to the accounts, so that the index of what is due is used, which is little however many workers there are.
    let sql = Sql::new(format!(
        "SELECT w.account_id AS account_id, w.lane AS lane, w.state AS state, COUNT(*) AS n, \
         {now} - MIN(w.desired_at) AS age FROM account a JOIN worker w ON w.account_id = a.id \
         WHERE w.lane IN (0, 1) AND w.due_at IS NOT NULL \
         AND (w.applied_version IS NULL OR w.applied_version <> w.desired_version) GROUP BY w.account_id, w.lane, w.state"
    ));
    for row in session.all(sql).await? {
        let backlog = backlogs.entry(row.parsed("worker", "account_id")?).or_default();
        let n = row.int("n")?.unsigned_abs();
        let age = Duration::from_millis(u64::try_from(row.int("age")?).unwrap_or(0));
        *backlog.states.entry(row.text("state")?).or_default() += n;
        let (count, oldest) = match row.int("lane")? {
            0 => (&mut backlog.leavers, &mut backlog.oldest_leaver),
            _ => (&mut backlog.others, &mut backlog.oldest_other),
        };
        *count += n;
        *oldest = Some(oldest.map_or(age, |known| known.max(age)));
    }
    for (account, rate) in rates(session).await? {
        backlogs.entry(account).or_default().rate = Some(rate);
    }
    Ok(backlogs)
}

/// Workers a second since the first of the last minutes in which there were any.
#[expect(clippy::cast_precision_loss, reason = "counts of minutes and workers")]
async fn rates(session: &Session) -> Result<Vec<(AccountId, f64)>, StoreError> {
    let now = session.database_now();
    let sql = Sql::new(format!(
        "SELECT s.account_id AS account_id, CAST(SUM(s.workers) AS bigint) AS n, {now} - MIN(s.slot) * {SLOT} AS span \
         FROM account a JOIN settled s ON s.account_id = a.id WHERE s.slot >= ({now} - {LOOKED_AT}) / {SLOT} GROUP BY s.account_id"
    ));
    let mut rates = Vec::new();
    for row in session.all(sql).await? {
        let span = row.int("span")?.max(SLOT);
        rates.push((row.parsed("settled", "account_id")?, row.int("n")? as f64 * 1_000.0 / span as f64));
    }
    Ok(rates)
}

/// The copies of the server.
pub async fn copies(session: &Session) -> Result<Copies, StoreError> {
    let now = session.database_now();
    let sql =
        Sql::new(format!("SELECT paused, COUNT(*) AS n FROM copy WHERE seen_at > {now} - {GONE} GROUP BY paused"));
    let mut copies = Copies::default();
    for row in session.all(sql).await? {
        let count = if row.int("paused")? == 1 { &mut copies.paused } else { &mut copies.working };
        *count = row.int("n")?.unsigned_abs();
    }
    Ok(copies)
}

/// Adds workers that a copy has brought into step, and forgets what is too old to matter.
pub async fn add_settled(tx: &Tx, copy: &str, account: AccountId, workers: u64) -> Result<(), StoreError> {
    let now = tx.database_now();
    let add = Sql::new(format!(
        "INSERT INTO settled (account_id, slot, copy_id, workers) VALUES (?, {now} / {SLOT}, ?, ?) \
         ON CONFLICT (account_id, slot, copy_id) DO UPDATE SET workers = settled.workers + excluded.workers"
    ))
    .bind(account.to_string())
    .bind(copy)
    .bind(i64::try_from(workers).unwrap_or(i64::MAX));
    tx.run(add).await?;
    let forget = Sql::new(format!(
        "DELETE FROM settled WHERE account_id = ? AND copy_id = ? AND slot < ({now} - 2 * {LOOKED_AT}) / {SLOT}"
    ))
    .bind(account.to_string())
    .bind(copy);
    tx.run(forget).await?;
    Ok(())
}

/// Notes that a copy is there.
pub async fn tell(tx: &Tx, copy: &str, version: &str, paused: bool) -> Result<(), StoreError> {
    let now = tx.database_now();
    let tell = Sql::new(format!(
        "INSERT INTO copy (id, version, paused, seen_at) VALUES (?, ?, ?, {now}) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, paused = excluded.paused, seen_at = excluded.seen_at"
    ))
    .bind(copy)
    .bind(version)
    .bind(i64::from(paused));
    tx.run(tell).await?;
    Ok(())
}

/// Forgets a copy that stops, and those that stopped long ago without a word.
pub async fn forget(tx: &Tx, copy: Option<&str>) -> Result<(), StoreError> {
    let now = tx.database_now();
    let sql = Sql::new(format!("DELETE FROM copy WHERE seen_at < {now} - {FORGOTTEN} OR id = ?"))
        .bind(copy.unwrap_or_default());
    tx.run(sql).await?;
    let old = Sql::new(format!("DELETE FROM settled WHERE slot < ({now} - {FORGOTTEN}) / {SLOT}"));
    tx.run(old).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_person_is_no_matter_of_time() {
        let states =
            HashMap::from([("pending".to_owned(), 90), ("retrying".to_owned(), 10), ("blocked".to_owned(), 5)]);
        let mut backlog = Backlog { others: 105, states, ..Backlog::default() };
        assert_eq!((backlog.moving(), backlog.time_left()), (100, None));
        backlog.rate = Some(4.0);
        assert_eq!(backlog.time_left(), Some(Duration::from_secs(25)));
        backlog.states = HashMap::from([("blocked".to_owned(), 5)]);
        assert_eq!(backlog.time_left(), Some(Duration::ZERO));
    }
}
