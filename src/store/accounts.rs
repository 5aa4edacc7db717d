//! Accounts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AccountId, Slug, Timestamp};
use crate::domain::{LeaverPolicy, SessionLimits, WorkerAt};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::Session;
use super::sql::Sql;
use super::workers::millis;

/// Where the TaskRouter of an account is, without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRouterSettings {
    /// The base URL of TaskRouter.
    pub base_url: String,
    /// The base URL of Flex.
    pub flex_base_url: String,
    /// The account SID (`AC…`).
    pub account_sid: String,
    /// The API key SID (`SK…`), or the account SID if the secret is the auth token.
    pub api_key: String,
    /// The workspace SID (`WS…`).
    pub workspace_sid: String,
}

impl TaskRouterSettings {
    /// Whether both lead to the same workspace. SIDs are unique at Twilio; elsewhere the address tells them apart, too.
    #[must_use]
    pub fn is_same_workspace(&self, other: &Self) -> bool {
        self.workspace_sid == other.workspace_sid
            && self.base_url.trim_end_matches('/') == other.base_url.trim_end_matches('/')
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: Slug,
    /// Its TaskRouter; none: the installation's own settings (or the stand-in).
    pub taskrouter: Option<TaskRouterSettings>,
    /// The API secret, sealed.
    pub sealed_secret: Option<String>,
    /// What becomes of the workers of those who leave.
    pub leavers: LeaverPolicy,
    /// How long sessions of its people last.
    pub sessions: SessionLimits,
    /// When workers are made.
    pub worker_at: WorkerAt,
    /// The version of its rules in force; 0 before the first import.
    pub rules_version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "id, name, taskrouter, sealed_secret, live_calls, drain_ms, deactivated, worker_at, session_idle_ms, session_absolute_ms, rules_version, created_at";

impl Change {
    /// Makes an account. Its name may be taken, so this must be the first part of a change.
    pub fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        self.push(
            Sql::new("INSERT INTO account (id, name, taskrouter, sealed_secret, live_calls, drain_ms, deactivated, worker_at, session_idle_ms, session_absolute_ms, rules_version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(account.id.to_string())
                .bind(account.name.as_str())
                .bind(account.taskrouter.as_ref().map(|t| to_json("account", t)).transpose()?)
                .bind(account.sealed_secret.clone())
                .bind(account.leavers.live_calls.as_str())
                .bind(millis(account.leavers.drain))
                .bind(account.leavers.deactivated.as_str())
                .bind(account.worker_at.as_str())
                .bind(millis(account.sessions.idle))
                .bind(millis(account.sessions.absolute))
                .bind(account.rules_version)
                .bind(account.created_at.millis())
                .bind(account.created_at.millis()),
        );
        Ok(())
    }

    /// Says what becomes of the workers of those who leave.
    pub fn set_leaver_policy(&mut self, account: AccountId, leavers: &LeaverPolicy, at: Timestamp) {
        self.push(
            Sql::new("UPDATE account SET live_calls = ?, drain_ms = ?, deactivated = ?, updated_at = ? WHERE id = ?")
                .bind(leavers.live_calls.as_str())
                .bind(millis(leavers.drain))
                .bind(leavers.deactivated.as_str())
                .bind(at.millis())
                .bind(account.to_string()),
        );
    }

    /// Says when workers are made.
    pub fn set_worker_at(&mut self, account: AccountId, worker_at: WorkerAt, at: Timestamp) {
        self.push(
            Sql::new("UPDATE account SET worker_at = ?, updated_at = ? WHERE id = ?")
                .bind(worker_at.as_str())
                .bind(at.millis())
                .bind(account.to_string()),
        );
    }

    /// Says how long sessions last, of those too that stand.
    pub fn set_session_limits(&mut self, account: AccountId, limits: SessionLimits, at: Timestamp) {
        self.push(
            Sql::new("UPDATE account SET session_idle_ms = ?, session_absolute_ms = ?, updated_at = ? WHERE id = ?")
                .bind(millis(limits.idle))
                .bind(millis(limits.absolute))
                .bind(at.millis())
                .bind(account.to_string()),
        );
    }
}

/// The account of a name.
pub async fn by_name(session: &Session, name: &Slug) -> Result<Option<Account>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM account WHERE name = ?")).bind(name.as_str());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// One account.
pub async fn by_id(session: &Session, id: AccountId) -> Result<Option<Account>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM account WHERE id = ?")).bind(id.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// All accounts by name. There are few: each is a contact centre.
pub async fn all(session: &Session) -> Result<Vec<Account>, StoreError> {
    let rows = session.all(Sql::new(format!("SELECT {COLUMNS} FROM account ORDER BY name"))).await?;
    rows.iter().map(read).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.parsed("account", "id")?,
        name: row.parsed("account", "name")?,
        taskrouter: row.json_opt("account", "taskrouter")?,
        sealed_secret: row.text_opt("sealed_secret")?,
        leavers: LeaverPolicy {
            live_calls: row.parsed("account", "live_calls")?,
            drain: Duration::from_millis(row.int("drain_ms")?.unsigned_abs()),
            deactivated: row.parsed("account", "deactivated")?,
        },
        worker_at: row.parsed("account", "worker_at")?,
        sessions: limits(row)?,
        rules_version: row.int("rules_version")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
    })
}

/// How long sessions last, of a row that has the account's columns.
pub(super) fn limits(row: &sea_orm::QueryResult) -> Result<SessionLimits, StoreError> {
    let span = |column| Ok::<_, StoreError>(Duration::from_millis(row.int(column)?.unsigned_abs()));
    Ok(SessionLimits { idle: span("session_idle_ms")?, absolute: span("session_absolute_ms")? })
}
