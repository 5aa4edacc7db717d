//! Changes of access that are too many for one transaction: rows that say what is left to compute, taken in chunks.

use serde_json::Value;

use crate::base::{AccountId, EventId, Timestamp, UserId};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::Sql;

/// A piece of work that is not finished.
#[derive(Clone, Debug)]
pub struct Recompute {
    /// Its id.
    pub id: uuid::Uuid,
    /// The account whose people are recomputed.
    pub account: AccountId,
    /// Only these, in the order of their ids; none: everybody.
    pub users: Option<Vec<UserId>>,
    /// 0 while those who lose access are looked for, 1 for the rest.
    pub pass: i64,
    /// The last user that was done in this pass.
    pub after_user: String,
    /// How many users were looked at, both passes counted.
    pub done: i64,
    /// The event that made it necessary.
    pub event: EventId,
    /// When it became necessary, by the clock of the database.
    pub created_at: Timestamp,
    /// What made it necessary, in words of the service (JSON).
    pub cause: Option<Value>,
    /// Whether nothing of it is to be held.
    pub forced: bool,
    /// Who was found to lose something while it is counted, in words of the service (JSON).
    pub found: Option<Value>,
}

/// A piece of work to be recorded.
#[derive(Clone, Debug)]
pub struct NewRecompute<'a> {
    /// Its id.
    pub id: uuid::Uuid,
    /// The account whose people are to be recomputed.
    pub account: AccountId,
    /// Only these, in the order of their ids; none: everybody.
    pub users: Option<&'a [UserId]>,
    /// The event that made it necessary.
    pub event: EventId,
    /// What made it necessary.
    pub cause: Value,
    /// Whether nothing of it is to be held.
    pub forced: bool,
}

impl Change {
    /// Records that people must be recomputed.
    pub fn insert_recompute(&mut self, new: &NewRecompute<'_>) -> Result<(), StoreError> {
        let now = self.database_now();
        self.push(
            Sql::new(format!("INSERT INTO recompute (id, account_id, users, pass, after_user, done, event_id, cause, forced, created_at) VALUES (?, ?, ?, 0, '', 0, ?, ?, ?, {now})"))
                .bind(new.id.to_string())
                .bind(new.account.to_string())
                .bind(new.users.map(|users| to_json("recompute", users)).transpose()?)
                .bind(new.event.to_string())
                .bind(to_json("recompute", &new.cause)?)
                .bind(i64::from(new.forced)),
        );
        Ok(())
    }
}

/// For how many milliseconds work that failed is left alone; the same marks work that is being done.
const LEASE: i64 = 10_000;

/// Takes the oldest piece of work that nobody has, of one account or of any.
pub async fn claim(tx: &Tx, account: Option<AccountId>) -> Result<Option<Recompute>, StoreError> {
    let now = tx.database_now();
    let whose = if account.is_some() { "account_id = ? AND " } else { "" };
    let skip = if tx.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
    let mut sql = Sql::new(format!(
        "UPDATE recompute SET lease_until = {now} + {LEASE} WHERE id = \
         (SELECT id FROM recompute WHERE {whose}(lease_until IS NULL OR lease_until < {now}) ORDER BY id LIMIT 1{skip}) \
         RETURNING id, account_id, users, pass, after_user, done, event_id, cause, forced, found, created_at"
    ));
    if let Some(account) = account {
        sql = sql.bind(account.to_string());
    }
    tx.all_writing(sql).await?.first().map(read).transpose()
}

/// Leaves a piece of work alone for a while, because it failed.
pub async fn put_off(tx: &Tx, work: uuid::Uuid) -> Result<(), StoreError> {
    let now = tx.database_now();
    let sql =
        Sql::new(format!("UPDATE recompute SET lease_until = {now} + {LEASE} WHERE id = ?")).bind(work.to_string());
    tx.run(sql).await?;
    Ok(())
}

/// Records how far a piece of work has got, and lets go of it.
pub async fn advance(tx: &Tx, work: &Recompute) -> Result<(), StoreError> {
    tx.run(
        Sql::new("UPDATE recompute SET pass = ?, after_user = ?, done = ?, found = ?, lease_until = NULL WHERE id = ?")
            .bind(work.pass)
            .bind(work.after_user.as_str())
            .bind(work.done)
            .bind(work.found.as_ref().map(|found| to_json("recompute", found)).transpose()?)
            .bind(work.id.to_string()),
    )
    .await?;
    Ok(())
}

/// Records that a piece of work is finished.
pub async fn finish(tx: &Tx, work: &Recompute) -> Result<(), StoreError> {
    tx.run(Sql::new("DELETE FROM recompute WHERE id = ?").bind(work.id.to_string())).await?;
    Ok(())
}

/// Whether there is anything left to compute, for one account or for any; costs no transaction. There are never many rows.
pub async fn any(session: &Session, account: Option<AccountId>) -> Result<bool, StoreError> {
    let sql = match account {
        Some(account) => {
            Sql::new("SELECT 1 AS one FROM recompute WHERE account_id = ? LIMIT 1").bind(account.to_string())
        }
        None => Sql::new("SELECT 1 AS one FROM recompute LIMIT 1"),
    };
    Ok(session.one(sql).await?.is_some())
}

/// Which people of an account are still to be judged by a recomputation; none: everybody.
pub async fn unjudged(session: &Session, account: AccountId) -> Result<Vec<Option<Vec<UserId>>>, StoreError> {
    let sql = Sql::new("SELECT users FROM recompute WHERE account_id = ? AND pass = 0 AND forced = 0")
        .bind(account.to_string());
    session.all(sql).await?.iter().map(|row| row.json_opt("recompute", "users")).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<Recompute, StoreError> {
    Ok(Recompute {
        id: row.parsed("recompute", "id")?,
        account: row.parsed("recompute", "account_id")?,
        users: row.json_opt("recompute", "users")?,
        pass: row.int("pass")?,
        after_user: row.text("after_user")?,
        done: row.int("done")?,
        event: row.parsed("recompute", "event_id")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        cause: row.json_opt("recompute", "cause")?,
        forced: row.int("forced")? == 1,
        found: row.json_opt("recompute", "found")?,
    })
}
