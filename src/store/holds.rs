//! Losses of access that wait for a person's decision, and what the guard counts.
//!
//! A person whose loss is held has the hold's id in the user's row, so that everybody else costs nothing.

mod list;

use serde::Serialize;
use serde_json::Value;

use crate::base::{AccountId, ConnectionId, EventId, HoldId, Timestamp, UserId};
use crate::domain::LossKind;

use super::change::Change;
use super::error::StoreError;
use super::memberships::{is_any, is_none};
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::Sql;

pub use list::{by_id, causes, counts, latest, named, people, waiting};

/// The first half of the key of the lock under which losses of a connection are counted (PostgreSQL).
const LOCK: i32 = 0x6775_6172;

/// The lane of workers that nobody claims; see [`super::workers`].
const HELD_LANE: i64 = 2;

/// What became of one person of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldState {
    /// It waits for a decision.
    Held,
    /// It is, or is about to be, carried out.
    Approved,
    /// It does not happen until the identity provider changes the person again.
    Rejected,
    /// The person came back before.
    Returned,
    /// A later push brought the same about, within the limits.
    Overtaken,
}

impl HeldState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Held, Self::Approved, Self::Rejected, Self::Returned, Self::Overtaken];

    /// The name in the database and in lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Returned => "returned",
            Self::Overtaken => "overtaken",
        }
    }
}

impl std::str::FromStr for HeldState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// A hold.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// The account.
    pub account: AccountId,
    /// The connection whose people it is about.
    pub connection: ConnectionId,
    /// What is lost.
    pub kind: LossKind,
    /// Whether somebody waits for a decision.
    pub open: bool,
    /// The limit that was passed.
    pub beyond: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When nobody waited any longer.
    pub decided_at: Option<Timestamp>,
}

/// A person of a hold.
#[derive(Clone, Debug)]
pub struct Held {
    /// Who.
    pub user: UserId,
    /// What became of it.
    pub state: HeldState,
    /// What the person would lose (JSON).
    pub loses: Value,
    /// The userName.
    pub user_name: String,
    /// When the decision was made.
    pub decided_at: Option<Timestamp>,
    /// Who made it.
    pub decided_by: Option<String>,
}

/// Losses are counted one transaction after the other for a connection, so that no two pass a limit together. To be taken
/// after the people are locked.
pub async fn lock(tx: &Tx, connection: ConnectionId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        let sql = "SELECT 1 AS one FROM pg_advisory_xact_lock(?, hashtext(?))";
        tx.one(Sql::new(sql).bind(LOCK).bind(connection.to_string())).await?;
    }
    Ok(())
}

/// How many people lost something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// All, those whose loss is held included.
    pub all: u64,
    /// Those who have no access any longer.
    pub gone: u64,
}

/// How many people of a connection lost something of a kind after a time, these left out; counted up to `most`.
pub async fn lost_since(
    session: &Session,
    connection: ConnectionId,
    kind: LossKind,
    since: Timestamp,
    but: &[UserId],
    most: u64,
) -> Result<Lost, StoreError> {
    let mut sql = Sql::new(
        "SELECT COUNT(*) AS lost, CAST(COALESCE(SUM(gone), 0) AS bigint) AS gone FROM \
         (SELECT gone FROM loss WHERE connection_id = ? AND kind = ? AND at > ? AND ",
    )
    .bind(connection.to_string())
    .bind(kind.as_str())
    .bind(since.millis());
    match but {
        [one] => sql.push(Sql::new("user_id <> ?").bind(one.to_string())),
        many => {
            sql.push(Sql::new(is_none(session, "user_id")).bind(to_json("loss", many)?));
        }
    }
    sql.push_limit(most);
    sql.push_str(") AS counted");
    let Some(row) = session.one(sql).await? else { return Ok(Lost::default()) };
    Ok(Lost { all: row.int("lost")?.unsigned_abs(), gone: row.int("gone")?.unsigned_abs() })
}

/// How many people of a connection are to have a worker, counted up to `most`.
pub async fn people_with_access(session: &Session, connection: ConnectionId, most: u64) -> Result<u64, StoreError> {
    let mut sql = Sql::new(
        "SELECT COUNT(*) AS people FROM (SELECT 1 AS one FROM worker WHERE connection_id = ? AND desired IS NOT NULL",
    )
    .bind(connection.to_string());
    sql.push_limit(most);
    sql.push_str(") AS counted");
    session.one(sql).await?.map_or(Ok(0), |row| Ok(row.int("people")?.unsigned_abs()))
}

/// Forgets what is counted of a connection: a person has looked at it.
pub async fn forget_losses(tx: &Tx, connection: ConnectionId, kind: LossKind) -> Result<(), StoreError> {
    let sql = Sql::new("DELETE FROM loss WHERE connection_id = ? AND kind = ?")
        .bind(connection.to_string())
        .bind(kind.as_str());
    tx.run(sql).await?;
    Ok(())
}

/// Forgets what was counted of people whose loss did not happen.
pub async fn forget_losses_of(tx: &Tx, hold: &Hold, users: &[UserId]) -> Result<(), StoreError> {
    let sql = Sql::new(format!(
        "DELETE FROM loss WHERE connection_id = ? AND kind = ? AND {}",
        is_any(tx, "user_id", users.len())
    ))
    .bind(hold.connection.to_string())
    .bind(hold.kind.as_str())
    .bind(to_json("loss", users)?);
    tx.run(sql).await?;
    Ok(())
}

/// Whether a connection has losses from before a time; costs no transaction.
pub async fn any_losses_before(
    session: &Session,
    connection: ConnectionId,
    before: Timestamp,
) -> Result<bool, StoreError> {
    for kind in LossKind::ALL {
        let sql = Sql::new("SELECT 1 AS one FROM loss WHERE connection_id = ? AND kind = ? AND at < ? LIMIT 1")
            .bind(connection.to_string())
            .bind(kind.as_str())
            .bind(before.millis());
        if session.one(sql).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes at most `limit` losses of each kind of a connection from before a time, when they count no longer; says how many.
pub async fn sweep_losses(tx: &Tx, connection: ConnectionId, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
    let mut swept = 0;
    for kind in LossKind::ALL {
        let mut sql = Sql::new(
            "DELETE FROM loss WHERE connection_id = ? AND kind = ? AND user_id IN \
             (SELECT user_id FROM loss WHERE connection_id = ? AND kind = ? AND at < ? ORDER BY at",
        )
        .bind(connection.to_string())
        .bind(kind.as_str())
        .bind(connection.to_string())
        .bind(kind.as_str())
        .bind(before.millis());
        sql.push_limit(limit);
        sql.push_str(")");
        swept += tx.run(sql).await?;
    }
    Ok(swept)
}

/// The hold of a connection that is open for a kind of loss.
pub async fn open_of(
    session: &Session,
    connection: ConnectionId,
    kind: LossKind,
) -> Result<Option<HoldId>, StoreError> {
    let sql = Sql::new("SELECT id FROM hold WHERE connection_id = ? AND kind = ? AND status = 'open'")
        .bind(connection.to_string())
        .bind(kind.as_str());
    session.one(sql).await?.map(|row| row.parsed("hold", "id")).transpose()
}

/// How people stand in holds.
pub async fn states_of(
    session: &Session,
    users: &[(UserId, HoldId)],
) -> Result<Vec<(UserId, HoldId, HeldState)>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = users.iter().map(|(user, _)| user.to_string()).collect();
    let mut holds: Vec<String> = users.iter().map(|(_, hold)| hold.to_string()).collect();
    holds.sort_unstable();
    holds.dedup();
    let sql = Sql::new(format!(
        "SELECT hold_id, user_id, state FROM held WHERE {} AND {}",
        is_any(session, "hold_id", holds.len()),
        is_any(session, "user_id", ids.len())
    ))
    .bind(to_json("held", &holds)?)
    .bind(to_json("held", &ids)?);
    let rows = session.all(sql).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok((row.parsed("held", "user_id")?, row.parsed("held", "hold_id")?, row.parsed("held", "state")?))
    };
    let states: Vec<(UserId, HoldId, HeldState)> = rows.iter().map(read).collect::<Result<_, StoreError>>()?;
    Ok(states.into_iter().filter(|(user, hold, _)| users.contains(&(*user, *hold))).collect())
}

/// Somebody's loss that is to be held.
#[derive(Clone, Debug)]
pub struct NewHeld<'a, L> {
    /// Who.
    pub user: UserId,
    /// What the person would lose.
    pub loses: &'a L,
    /// Whether the worker must be left alone meanwhile, because access has ended all the same.
    pub ended: bool,
}

impl Change {
    /// Opens a hold.
    pub fn insert_hold(&mut self, hold: &Hold) {
        self.push(
            Sql::new(
                "INSERT INTO hold (id, account_id, connection_id, kind, status, beyond, opened_at) VALUES (?, ?, ?, ?, 'open', ?, ?)",
            )
            .bind(hold.id.to_string())
            .bind(hold.account.to_string())
            .bind(hold.connection.to_string())
            .bind(hold.kind.as_str())
            .bind(hold.beyond.as_str())
            .bind(hold.opened_at.millis()),
        );
    }

    /// Counts what people lost, whether it was carried out or is held; `gone`: they have no access any longer.
    pub fn lose(
        &mut self,
        connection: ConnectionId,
        kind: LossKind,
        users: &[UserId],
        at: Timestamp,
        gone: bool,
    ) -> Result<(), StoreError> {
        let list = if self.is_postgres() {
            "SELECT value FROM json_array_elements_text(?::json) AS t (value)"
        } else {
            "SELECT value FROM json_each(?)"
        };
        self.push(
            Sql::new(format!(
                "INSERT INTO loss (connection_id, kind, user_id, at, gone) \
                 SELECT ?, ?, lost.value, CAST(? AS bigint), CAST(? AS bigint) FROM ({list}) AS lost WHERE true \
                 ON CONFLICT (connection_id, kind, user_id) DO UPDATE SET at = excluded.at, gone = excluded.gone"
            ))
            .bind(connection.to_string())
            .bind(kind.as_str())
            .bind(at.millis())
            .bind(i64::from(gone))
            .bind(to_json("loss", users)?),
        );
        Ok(())
    }
}

/// Puts people into a hold, with what brought them.
pub async fn hold<L: Serialize>(
    tx: &Tx,
    hold: HoldId,
    people: &[NewHeld<'_, L>],
    event: EventId,
    cause: &Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut change = tx.change();
    for held in people {
        change.push(
            Sql::new(
                "INSERT INTO held (hold_id, user_id, state, loses, event_id, held_at) VALUES (?, ?, 'held', ?, ?, ?) \
                 ON CONFLICT (hold_id, user_id) DO UPDATE SET state = 'held', loses = excluded.loses, \
                 event_id = excluded.event_id, held_at = excluded.held_at, decided_at = NULL, decided_by = NULL",
            )
            .bind(hold.to_string())
            .bind(held.user.to_string())
            .bind(to_json("held", held.loses)?)
            .bind(event.to_string())
            .bind(at.millis()),
        );
    }
    change.push(
        Sql::new(
            "INSERT INTO hold_cause (hold_id, event_id, cause, at, people) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (hold_id, event_id) DO UPDATE SET people = hold_cause.people + excluded.people",
        )
        .bind(hold.to_string())
        .bind(event.to_string())
        .bind(to_json("hold_cause", cause)?)
        .bind(at.millis())
        .bind(i64::try_from(people.len()).unwrap_or(i64::MAX)),
    );
    let ids = |only: fn(&NewHeld<'_, L>) -> bool| -> Vec<UserId> {
        people.iter().filter(|held| only(held)).map(|held| held.user).collect()
    };
    let (all, ended) = (ids(|_| true), ids(|held| held.ended));
    change.push(
        Sql::new(format!("UPDATE \"user\" SET hold_id = ? WHERE {}", is_any(tx, "id", all.len())))
            .bind(hold.to_string())
            .bind(to_json("user", &all)?),
    );
    if !ended.is_empty() {
        change.push(
            Sql::new(format!(
                "UPDATE worker SET lane = {HELD_LANE} WHERE desired IS NOT NULL AND {}",
                is_any(tx, "user_id", ended.len())
            ))
            .bind(to_json("worker", &ended)?),
        );
    }
    tx.apply(change).await
}

/// Takes people out of their holds: what becomes of them is written by the same transaction. Those who were still waiting
/// get this state, and their workers can be claimed again.
pub async fn release(tx: &Tx, users: &[(UserId, HoldId)], as_what: HeldState, at: Timestamp) -> Result<(), StoreError> {
    let mut change = tx.change();
    for (user, hold) in users {
        change.push(
            Sql::new("UPDATE held SET state = ?, decided_at = ? WHERE hold_id = ? AND user_id = ? AND state = 'held'")
                .bind(as_what.as_str())
                .bind(at.millis())
                .bind(hold.to_string())
                .bind(user.to_string()),
        );
    }
    let ids: Vec<UserId> = users.iter().map(|(user, _)| *user).collect();
    change.push(
        Sql::new(format!("UPDATE \"user\" SET hold_id = NULL WHERE {}", is_any(tx, "id", ids.len())))
            .bind(to_json("user", &ids)?),
    );
    change.push(
        Sql::new(format!(
            "UPDATE worker SET lane = CASE WHEN desired IS NULL THEN 0 ELSE 1 END WHERE lane = {HELD_LANE} AND {}",
            is_any(tx, "user_id", ids.len())
        ))
        .bind(to_json("worker", &ids)?),
    );
    tx.apply(change).await?;
    let mut holds: Vec<HoldId> = users.iter().map(|(_, hold)| *hold).collect();
    holds.sort_unstable();
    holds.dedup();
    for hold in holds {
        close_if_decided(tx, hold, at).await?;
    }
    Ok(())
}

/// Ends a hold in which nobody waits any longer.
pub async fn close_if_decided(tx: &Tx, hold: HoldId, at: Timestamp) -> Result<(), StoreError> {
    let sql = Sql::new(
        "UPDATE hold SET status = 'decided', decided_at = ? WHERE id = ? AND status = 'open' \
         AND NOT EXISTS (SELECT 1 FROM held WHERE hold_id = ? AND state = 'held')",
    )
    .bind(at.millis())
    .bind(hold.to_string())
    .bind(hold.to_string());
    tx.run(sql).await?;
    Ok(())
}

/// Decides about those of a hold who wait, or about some of them; says about whom.
pub async fn decide(
    tx: &Tx,
    hold: HoldId,
    only: Option<&[UserId]>,
    state: HeldState,
    by: &str,
    at: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    let mut sql =
        Sql::new("UPDATE held SET state = ?, decided_at = ?, decided_by = ? WHERE hold_id = ? AND state = 'held'")
            .bind(state.as_str())
            .bind(at.millis())
            .bind(by)
            .bind(hold.to_string());
    if let Some(users) = only {
        sql.push_str(" AND ");
        sql.push(Sql::new(is_any(tx, "user_id", users.len())).bind(to_json("held", users)?));
    }
    sql.push_str(" RETURNING user_id");
    let rows = tx.all_writing(sql).await?;
    let mut users: Vec<UserId> = rows.iter().map(|row| row.parsed("held", "user_id")).collect::<Result<_, _>>()?;
    users.sort_unstable();
    Ok(users)
}
