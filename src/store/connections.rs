//! Connections to identity providers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{AccountId, ConnectionId, Slug, Timestamp};
use crate::domain::{Jit, Limits, Role, Share};

use super::change::Change;
use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::Session;
use super::sql::Sql;

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its name, unique in the installation.
    pub name: Slug,
    /// How its identity provider speaks SCIM.
    pub dialect: String,
    /// The roles that rules may give to its users.
    pub may_grant: Vec<Role>,
    /// The networks that its requests may come from; empty: all.
    pub allow_from: Arc<[IpNet]>,
    /// The limits of the guard that are its own.
    pub guard: OwnLimits,
    /// Who becomes a user at sign-in; none: as it has SCIM or not.
    pub jit: Option<Jit>,
    /// Where claims hold what (JSON).
    pub claims: Value,
    /// Whether it is in use; a disabled one refuses every request.
    pub enabled: bool,
    /// It was deleted: its people remain, and it is shown nowhere.
    pub deleted: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Limits of the guard that a connection has for itself; none: as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnLimits {
    /// More people than this are held; 0: however many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_people: Option<u32>,
    /// More than this share is held; 0: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_share: Option<f64>,
    /// The window in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u32>,
}

impl OwnLimits {
    /// These limits, and where there are none, the configured ones.
    #[must_use]
    pub fn over(&self, configured: Limits) -> Limits {
        Limits {
            max_people: self.max_people.unwrap_or(configured.max_people),
            max_share: self.max_share.map_or(configured.max_share, Share::new),
            window: self.window_s.map_or(configured.window, |seconds| Duration::from_secs(seconds.into())),
        }
    }
}

const COLUMNS: &str = "id, account_id, name, dialect, may_grant, allow_from, guard, jit, claims, state, created_at";

impl Change {
    /// Makes a connection with its counters. Its name may be taken, so this must be the first part of a change.
    pub fn insert_connection(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.push(
            Sql::new("INSERT INTO connection (id, account_id, name, dialect, may_grant, allow_from, guard, jit, claims, state, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(connection.id.to_string())
                .bind(connection.account.to_string())
                .bind(connection.name.as_str())
                .bind(connection.dialect.as_str())
                .bind(to_json("connection", &connection.may_grant)?)
                .bind(to_json("connection", &connection.allow_from)?)
                .bind(to_json("connection", &connection.guard)?)
                .bind(connection.jit.map(Jit::as_str))
                .bind(connection.claims.to_string())
                .bind(state(connection.enabled))
                .bind(connection.created_at.millis())
                .bind(connection.created_at.millis()),
        );
        Ok(())
    }

    /// Changes the settings of a connection.
    pub fn set_connection(&mut self, connection: &Connection, at: Timestamp) -> Result<(), StoreError> {
        self.push(
            Sql::new("UPDATE connection SET dialect = ?, may_grant = ?, allow_from = ?, guard = ?, jit = ?, claims = ?, state = ?, updated_at = ? WHERE account_id = ? AND id = ?")
                .bind(connection.dialect.as_str())
                .bind(to_json("connection", &connection.may_grant)?)
                .bind(to_json("connection", &connection.allow_from)?)
                .bind(to_json("connection", &connection.guard)?)
                .bind(connection.jit.map(Jit::as_str))
                .bind(connection.claims.to_string())
                .bind(state(connection.enabled))
                .bind(at.millis())
                .bind(connection.account.to_string())
                .bind(connection.id.to_string()),
        );
        Ok(())
    }
}

impl Change {
    /// Deletes a connection: its tokens and clients open nothing any longer, nobody signs in by it, its domains and its name
    /// are free. Its people keep naming it.
    pub fn delete_connection(&mut self, connection: &Connection, at: Timestamp) {
        let (id, account) = (connection.id.to_string(), connection.account.to_string());
        for table in ["scim_token", "oauth_client"] {
            let sql = format!("UPDATE {table} SET revoked_at = ? WHERE connection_id = ? AND revoked_at IS NULL");
            self.push(Sql::new(sql).bind(at.millis()).bind(id.as_str()));
        }
        for table in ["sso", "sso_domain"] {
            self.push(Sql::new(format!("DELETE FROM {table} WHERE connection_id = ?")).bind(id.as_str()));
        }
        self.push(
            Sql::new(
                "UPDATE connection SET state = 'deleted', name = ?, updated_at = ? WHERE account_id = ? AND id = ?",
            )
            .bind(format!("deleted-{id}"))
            .bind(at.millis())
            .bind(account)
            .bind(id),
        );
    }
}

fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// The connection of an account by its name.
pub async fn by_name(session: &Session, account: AccountId, name: &Slug) -> Result<Option<Connection>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM connection WHERE account_id = ? AND name = ?"))
        .bind(account.to_string())
        .bind(name.as_str());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// The connection of that name, whoever's it is: names are unique in the installation.
pub(super) async fn by_global_name(session: &Session, name: &Slug) -> Result<Option<Connection>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM connection WHERE name = ?")).bind(name.as_str());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// A connection of any account.
pub(super) async fn by_id(session: &Session, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM connection WHERE id = ?")).bind(id.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// All connections of an account by name.
pub async fn of_account(session: &Session, account: AccountId) -> Result<Vec<Connection>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM connection WHERE account_id = ? ORDER BY name"))
        .bind(account.to_string());
    session.all(sql).await?.iter().map(read).collect()
}

/// The names of all connections.
pub async fn names(session: &Session) -> Result<HashMap<ConnectionId, String>, StoreError> {
    let rows = session.all(Sql::new("SELECT id, name FROM connection")).await?;
    rows.iter().map(|row| Ok((row.parsed("connection", "id")?, row.text("name")?))).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<Connection, StoreError> {
    Ok(Connection {
        id: row.parsed("connection", "id")?,
        account: row.parsed("connection", "account_id")?,
        name: row.parsed("connection", "name")?,
        dialect: row.text("dialect")?,
        may_grant: row.json("connection", "may_grant")?,
        allow_from: row.json("connection", "allow_from")?,
        guard: row.json("connection", "guard")?,
        jit: row.parsed_opt("connection", "jit")?,
        claims: row.json("connection", "claims")?,
        enabled: row.text("state")? == "enabled",
        deleted: row.text("state")? == "deleted",
        created_at: Timestamp::from_millis(row.int("created_at")?),
    })
}
