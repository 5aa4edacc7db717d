//! Holds as people look at them.

use serde_json::Value;

use crate::base::{AccountId, HoldId, Timestamp, UserId};

use super::super::error::StoreError;
use super::super::memberships::is_any;
use super::super::row::{RowExt as _, to_json};
use super::super::session::Session;
use super::super::sql::Sql;
use super::{Held, HeldState, Hold};

const COLUMNS: &str = "id, account_id, connection_id, kind, status, beyond, opened_at, decided_at";

/// A hold of an account.
pub async fn by_id(session: &Session, account: AccountId, id: HoldId) -> Result<Option<Hold>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM hold WHERE id = ? AND account_id = ?"))
        .bind(id.to_string())
        .bind(account.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// The newest holds of an account, open ones only or all, at most `limit`.
pub async fn latest(
    session: &Session,
    account: AccountId,
    open_only: bool,
    limit: u64,
) -> Result<Vec<Hold>, StoreError> {
    let open = if open_only { " AND status = 'open'" } else { "" };
    let mut sql = Sql::new(format!("SELECT {COLUMNS} FROM hold WHERE account_id = ?{open} ORDER BY id DESC"))
        .bind(account.to_string());
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(read).collect()
}

/// How many people of a hold stand in which state.
pub async fn counts(session: &Session, hold: HoldId) -> Result<Vec<(HeldState, u64)>, StoreError> {
    let sql =
        Sql::new("SELECT state, COUNT(*) AS people FROM held WHERE hold_id = ? GROUP BY state").bind(hold.to_string());
    let rows = session.all(sql).await?;
    rows.iter().map(|row| Ok((row.parsed("held", "state")?, row.int("people")?.unsigned_abs()))).collect()
}

/// How many people wait in each account that has some.
pub async fn waiting(session: &Session) -> Result<Vec<(AccountId, u64)>, StoreError> {
    let sql = Sql::new(
        "SELECT h.account_id, COUNT(*) AS people FROM hold h JOIN held p ON p.hold_id = h.id AND p.state = 'held' \
         WHERE h.status = 'open' GROUP BY h.account_id",
    );
    let rows = session.all(sql).await?;
    rows.iter().map(|row| Ok((row.parsed("hold", "account_id")?, row.int("people")?.unsigned_abs()))).collect()
}

/// The people of a hold after one of them, in the order of ids, at most `limit`.
pub async fn people(session: &Session, hold: HoldId, after: &str, limit: u64) -> Result<Vec<Held>, StoreError> {
    let mut sql = Sql::new(
        "SELECT p.user_id, p.state, p.loses, p.decided_at, p.decided_by, u.user_name FROM held p \
         JOIN \"user\" u ON u.id = p.user_id WHERE p.hold_id = ? AND p.user_id > ? ORDER BY p.user_id",
    )
    .bind(hold.to_string())
    .bind(after);
    sql.push_limit(limit);
    let one = |row: &sea_orm::QueryResult| {
        Ok(Held {
            user: row.parsed("held", "user_id")?,
            state: row.parsed("held", "state")?,
            loses: row.json("held", "loses")?,
            user_name: row.text("user_name")?,
            decided_at: row.int_opt("decided_at")?.map(Timestamp::from_millis),
            decided_by: row.text_opt("decided_by")?,
        })
    };
    session.all(sql).await?.iter().map(one).collect()
}

/// Those of these folded userNames who are in a hold, with the names.
pub async fn named(session: &Session, hold: HoldId, names: &[String]) -> Result<Vec<(UserId, String)>, StoreError> {
    let sql = Sql::new(format!(
        "SELECT p.user_id, u.user_name_fold FROM held p JOIN \"user\" u ON u.id = p.user_id WHERE p.hold_id = ? AND {}",
        is_any(session, "u.user_name_fold", names.len())
    ))
    .bind(hold.to_string())
    .bind(to_json("held", names)?);
    let rows = session.all(sql).await?;
    rows.iter().map(|row| Ok((row.parsed("held", "user_id")?, row.text("user_name_fold")?))).collect()
}

/// The changes that brought people into a hold, those that brought most first, with how many each brought.
pub async fn causes(session: &Session, hold: HoldId, limit: u64) -> Result<Vec<(Value, Timestamp, u64)>, StoreError> {
    let mut sql = Sql::new("SELECT cause, at, people FROM hold_cause WHERE hold_id = ? ORDER BY people DESC, event_id")
        .bind(hold.to_string());
    sql.push_limit(limit);
    let one = |row: &sea_orm::QueryResult| {
        Ok((
            row.json("hold_cause", "cause")?,
            Timestamp::from_millis(row.int("at")?),
            row.int("people")?.unsigned_abs(),
        ))
    };
    session.all(sql).await?.iter().map(one).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<Hold, StoreError> {
    Ok(Hold {
        id: row.parsed("hold", "id")?,
        account: row.parsed("hold", "account_id")?,
        connection: row.parsed("hold", "connection_id")?,
        kind: row.parsed("hold", "kind")?,
        open: row.text("status")? == "open",
        beyond: row.text("beyond")?,
        opened_at: Timestamp::from_millis(row.int("opened_at")?),
        decided_at: row.int_opt("decided_at")?.map(Timestamp::from_millis),
    })
}
