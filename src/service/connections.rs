//! Connections: links to identity providers.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::base::{EventId, Slug, Timestamp};
use crate::domain::Role;
use crate::scim::Dialect;
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::connections::{self, Connection};

use super::core::Core;
use super::error::ServiceError;

/// What may be changed of a connection; none: as it is.
#[derive(Clone, Debug, Default)]
pub struct ConnectionSettings {
    /// How the identity provider speaks SCIM.
    pub dialect: Option<Dialect>,
    /// The roles that rules may give to its users.
    pub may_grant: Option<Vec<Role>>,
    /// The networks that its requests may come from; empty: all.
    pub allow_from: Option<Vec<IpNet>>,
    /// Whether requests are served.
    pub enabled: Option<bool>,
}

impl ConnectionSettings {
    fn apply(self, connection: &mut Connection) {
        if let Some(dialect) = self.dialect {
            connection.dialect = dialect.to_string();
        }
        if let Some(mut roles) = self.may_grant {
            roles.sort();
            roles.dedup();
            connection.may_grant = roles;
        }
        if let Some(networks) = self.allow_from {
            connection.allow_from = IpNet::aggregate(&networks).into();
        }
        if let Some(enabled) = self.enabled {
            connection.enabled = enabled;
        }
    }
}

impl Core {
    /// Makes a connection. Unless told otherwise it speaks `auto` and may grant supervisor and agent.
    pub async fn add_connection(
        &self,
        account: &Account,
        name: Slug,
        settings: ConnectionSettings,
    ) -> Result<Connection, ServiceError> {
        let mut connection = Connection {
            id: self.ambient.id(),
            account: account.id,
            name,
            dialect: Dialect::Auto.to_string(),
            may_grant: vec![Role::Agent, Role::Supervisor],
            allow_from: [].into(),
            enabled: true,
            created_at: self.ambient.now(),
        };
        settings.apply(&mut connection);
        let event = event("connection.create", self.ambient.id(), self.ambient.now(), &connection, None);
        let made = connection.clone();
        self.store
            .configure(move |tx| {
                let (made, event) = (made.clone(), event.clone());
                Box::pin(async move {
                    let mut change = tx.change();
                    change.insert_connection(&made)?;
                    change.audit(&event)?;
                    tx.apply_unless_taken(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok(connection)
    }

    /// Changes a connection. When the roles that it may grant change, everybody's access is computed anew.
    pub async fn set_connection(
        &self,
        account: &Account,
        name: &Slug,
        settings: ConnectionSettings,
    ) -> Result<Connection, ServiceError> {
        self.connection(account, name).await?;
        let (job, event_id, recompute): (_, EventId, uuid::Uuid) =
            ((account.id, name.clone(), settings), self.ambient.id(), self.ambient.id());
        let at = self.ambient.now();
        let after = self
            .store
            .configure(move |tx| {
                let (account, name, settings) = job.clone();
                Box::pin(async move {
                    // Read where nobody else can change it, so that two changes do not undo each other.
                    let before = connections::by_name(tx, account, &name).await?.ok_or_else(|| {
                        ServiceError::Missing { kind: "connection", name: name.to_string(), hint: String::new() }
                    })?;
                    let mut after = before.clone();
                    settings.apply(&mut after);
                    let mut change = tx.change();
                    change.set_connection(&after, at)?;
                    if !after.enabled {
                        change.end_sessions_of_connection(account, after.id, at);
                    }
                    if before.may_grant != after.may_grant {
                        change.insert_recompute(recompute, account, None, event_id)?;
                    }
                    change.audit(&event("connection.set", event_id, at, &after, Some(&before)))?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(after)
                })
            })
            .await?;
        self.wake.recomputes.notify_one();
        Ok(after)
    }

    /// The connection of an account by its name.
    pub async fn connection(&self, account: &Account, name: &Slug) -> Result<Connection, ServiceError> {
        connections::by_name(self.store.read(), account.id, name).await?.ok_or_else(|| ServiceError::Missing {
            kind: "connection",
            name: name.to_string(),
            hint: format!(
                " in account '{0}'; see `rollcall connection list --account {0}`, or make it with `rollcall connection add {name}`",
                account.name
            ),
        })
    }

    /// All connections of an account by name.
    pub async fn list_connections(&self, account: &Account) -> Result<Vec<Connection>, ServiceError> {
        Ok(connections::of_account(self.store.read(), account.id).await?)
    }
}

fn event(
    action: &'static str,
    id: EventId,
    at: Timestamp,
    after: &Connection,
    before: Option<&Connection>,
) -> AuditEvent {
    AuditEvent {
        id,
        at,
        account: after.account,
        connection: Some(after.id),
        actor: "command".to_owned(),
        request: String::new(),
        action,
        target_kind: "connection",
        target_id: after.id.to_string(),
        before: before.map(as_value),
        after: Some(as_value(after)),
    }
}

fn as_value(connection: &Connection) -> Value {
    json!({
        "name": connection.name,
        "dialect": connection.dialect,
        "may_grant": connection.may_grant,
        "allow_from": connection.allow_from,
        "enabled": connection.enabled,
    })
}
