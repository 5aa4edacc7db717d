//! Local accounts: people without a connection, with a password of their own. SCIM never sees them: it reads by connection.

use crate::base::{AccountId, Timestamp, UserId};
use crate::domain::{Role, UserStatus};

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// Accounts of one name in different contact centres that are looked at.
const MOST: u64 = 4;

/// A local account with its password.
#[derive(Clone, Debug)]
pub struct LocalUser {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The person.
    pub user: UserId,
    /// The person's userName.
    pub user_name: String,
    /// Where the person is in life.
    pub status: UserStatus,
    /// The role that a person gave it.
    pub role: Option<Role>,
    /// The hash of its password; none: it has none yet.
    pub password_hash: Option<String>,
}

const COLUMNS: &str = "u.account_id, u.id, u.user_name, u.status, u.role, p.password_hash";
const FROM: &str = "\"user\" u LEFT JOIN credential p ON p.user_id = u.id";

impl Change {
    /// Sets the password of a local account, the first or another one.
    pub fn set_password(&mut self, account: AccountId, user: UserId, hash: &str, at: Timestamp) {
        self.push(
            Sql::new(
                "INSERT INTO credential (user_id, account_id, password_hash, created_at, updated_at) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at",
            )
            .bind(user.to_string())
            .bind(account.to_string())
            .bind(hash)
            .bind(at.millis())
            .bind(at.millis()),
        );
    }
}

/// The local accounts of a folded name in all contact centres.
pub async fn by_name(session: &Session, name_fold: &str) -> Result<Vec<LocalUser>, StoreError> {
    let mut sql = Sql::new(format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE u.user_name_fold = ? AND u.connection_id IS NULL AND u.status <> 'deleted' \
         ORDER BY u.id"
    ))
    .bind(name_fold);
    sql.push_limit(MOST);
    session.all(sql).await?.iter().map(read).collect()
}

/// A local account by the person's id.
pub async fn by_id(session: &Session, account: AccountId, user: UserId) -> Result<Option<LocalUser>, StoreError> {
    let sql = Sql::new(format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE u.id = ? AND u.account_id = ? AND u.connection_id IS NULL AND u.status <> 'deleted'"
    ))
    .bind(user.to_string())
    .bind(account.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Whether an account has an active owner who is local.
pub async fn has_owner(session: &Session, account: AccountId) -> Result<bool, StoreError> {
    // Local accounts are few, and have an index of their own. The account is an expression so that SQLite does not take the
    // index of all people of the account for the better one.
    let sql = Sql::new(
        "SELECT 1 AS one FROM \"user\" WHERE connection_id IS NULL AND status <> 'deleted' \
         AND account_id || '' = ? AND status = 'active' AND role = 'owner' LIMIT 1",
    );
    Ok(session.one(sql.bind(account.to_string())).await?.is_some())
}

/// Counts an attempt at a subject, and says how many there were in its window, this one included.
pub async fn count_attempt(
    tx: &Tx,
    subject: &str,
    now: Timestamp,
    window_ends_at: Timestamp,
) -> Result<i64, StoreError> {
    let sql = Sql::new(
        "INSERT INTO login_throttle (subject, attempts, window_ends_at) VALUES (?, 1, ?) \
         ON CONFLICT (subject) DO UPDATE SET \
         attempts = CASE WHEN login_throttle.window_ends_at <= ? THEN 1 ELSE login_throttle.attempts + 1 END, \
         window_ends_at = CASE WHEN login_throttle.window_ends_at <= ? THEN excluded.window_ends_at \
         ELSE login_throttle.window_ends_at END RETURNING attempts",
    )
    .bind(subject)
    .bind(window_ends_at.millis())
    .bind(now.millis())
    .bind(now.millis());
    let rows = tx.all_writing(sql).await?;
    let missing = || StoreError::Damaged { table: "login_throttle", what: "nothing was counted".to_owned() };
    rows.first().ok_or_else(missing)?.int("attempts")
}

/// Forgets the attempts at a subject, because the right password came.
pub async fn forget_attempts(tx: &Tx, subject: &str) -> Result<(), StoreError> {
    tx.run(Sql::new("DELETE FROM login_throttle WHERE subject = ?").bind(subject)).await?;
    Ok(())
}

/// Deletes counts whose window has ended, at most `limit`; says how many.
pub async fn sweep_attempts(tx: &Tx, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM login_throttle WHERE subject IN \
               (SELECT subject FROM login_throttle WHERE window_ends_at < ? ORDER BY window_ends_at LIMIT ? + 0)";
    tx.run(Sql::new(sql).bind(now.millis()).bind(i64::from(limit))).await
}

fn read(row: &sea_orm::QueryResult) -> Result<LocalUser, StoreError> {
    Ok(LocalUser {
        account: row.parsed("user", "account_id")?,
        user: row.parsed("user", "id")?,
        user_name: row.text("user_name")?,
        status: row.parsed("user", "status")?,
        role: row.parsed_opt("user", "role")?,
        password_hash: row.text_opt("password_hash")?,
    })
}
