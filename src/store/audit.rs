//! The audit trail: who changed what, written in the transaction of the change.

use serde_json::Value;

use crate::base::{AccountId, ConnectionId, EventId, Timestamp};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::Session;
use super::sql::Sql;

/// An entry of the audit trail.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// Its id; memberships, workers and rules refer to it as what brought them.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// In which account.
    pub account: AccountId,
    /// Through which connection, if an identity provider did it.
    pub connection: Option<ConnectionId>,
    /// Who: `connection:NAME`, `command` or `recompute`.
    pub actor: String,
    /// The request that it was part of.
    pub request: String,
    /// What was done, as in `user.create`.
    pub action: &'static str,
    /// The kind of thing that changed: `user`, `group`, `rules`, `connection`, `token`, `account`.
    pub target_kind: &'static str,
    /// Its id.
    pub target_id: String,
    /// What was there before: of an update only what changed.
    pub before: Option<Value>,
    /// What is there now: of an update only what changed.
    pub after: Option<Value>,
}

impl Change {
    /// Records an event.
    pub fn audit(&mut self, event: &AuditEvent) -> Result<(), StoreError> {
        let json = |value: &Option<Value>| value.as_ref().map(|v| to_json("audit_event", v)).transpose();
        self.push(
            Sql::new(
                "INSERT INTO audit_event (id, at, account_id, connection_id, actor, request_id, action, target_kind, target_id, before, after) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(event.id.to_string())
            .bind(event.at.millis())
            .bind(event.account.to_string())
            .bind(event.connection.map(|id| id.to_string()))
            .bind(event.actor.as_str())
            .bind(event.request.as_str())
            .bind(event.action)
            .bind(event.target_kind)
            .bind(event.target_id.as_str())
            .bind(json(&event.before)?)
            .bind(json(&event.after)?),
        );
        Ok(())
    }
}

/// One recorded event, as it is shown.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its id.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// What was there before.
    pub before: Option<Value>,
    /// What is there since.
    pub after: Option<Value>,
}

/// The events of one thing that a request brought, oldest first, at most `limit`.
pub async fn of_request(
    session: &Session,
    account: AccountId,
    target: &str,
    request: &str,
    limit: u64,
) -> Result<Vec<Recorded>, StoreError> {
    let mut sql = Sql::new(format!("{SELECT} AND request_id = ? ORDER BY seq"))
        .bind(account.to_string())
        .bind(target)
        .bind(request);
    sql.push_limit(limit);
    recorded(session, sql).await
}

const SELECT: &str =
    "SELECT id, at, actor, action, before, after FROM audit_event WHERE account_id = ? AND target_id = ?";

async fn recorded(session: &Session, sql: Sql) -> Result<Vec<Recorded>, StoreError> {
    let rows = session.all(sql).await?;
    rows.iter()
        .map(|row| {
            Ok(Recorded {
                id: row.parsed("audit_event", "id")?,
                at: Timestamp::from_millis(row.int("at")?),
                actor: row.text("actor")?,
                action: row.text("action")?,
                before: row.json_opt("audit_event", "before")?,
                after: row.json_opt("audit_event", "after")?,
            })
        })
        .collect()
}
