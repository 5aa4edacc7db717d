//! Connections: links to identity providers.

use ipnet::IpNet;
use serde_json::{Value, json};

pub use crate::access::ClaimMapping;
use crate::base::{EventId, Slug, Timestamp};
use crate::domain::{Jit, Role};
use crate::scim::Dialect;
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
pub use crate::store::connections::Connection;
use crate::store::connections::{self, OwnLimits};
use crate::store::recomputes::NewRecompute;
use crate::store::sso::Part;

use super::core::Core;
use super::error::ServiceError;
use super::guard::Cause;

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
    /// The limits of the guard; what is none inside is as configured.
    pub guard: GuardSettings,
    /// Who becomes a user at sign-in.
    pub jit: Option<Jit>,
    /// Where claims hold what.
    pub claims: Option<ClaimMapping>,
}

/// What may be changed of a connection's limits; none: as they are, `Some(None)`: as configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardSettings {
    /// People; 0: however many.
    pub max_people: Option<Option<u32>>,
    /// The share; 0: any.
    pub max_share: Option<Option<f64>>,
    /// The window in seconds.
    pub window_s: Option<Option<u32>>,
}

impl GuardSettings {
    fn apply(self, limits: &mut OwnLimits) {
        if let Some(people) = self.max_people {
            limits.max_people = people;
        }
        if let Some(share) = self.max_share {
            limits.max_share = share;
        }
        if let Some(seconds) = self.window_s {
            limits.window_s = seconds;
        }
    }
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
        self.guard.apply(&mut connection.guard);
        if self.jit.is_some() {
            connection.jit = self.jit;
        }
        if let Some(claims) = self.claims {
            connection.claims = json!(claims);
        }
    }
}

impl Core {
    /// Deletes a connection. Its people stay, without a way in; their workers stay too, until they are deactivated or deleted.
    pub async fn delete_connection(
        &self,
        account: &Account,
        connection: &Connection,
        actor: &str,
    ) -> Result<(), ServiceError> {
        let at = self.ambient.now();
        let id: EventId = self.ambient.id();
        let event = AuditEvent {
            actor: actor.to_owned(),
            account: account.id,
            ..event("connection.delete", id, at, connection, None)
        };
        let connection = connection.clone();
        self.store
            .configure(move |tx| {
                let (connection, event) = (connection.clone(), event.clone());
                Box::pin(async move {
                    let mut change = tx.change();
                    change.delete_connection(&connection, at);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await
    }

    /// Makes a connection. Unless told otherwise it speaks `auto` and may grant supervisor and agent.
    pub async fn add_connection(
        &self,
        account: &Account,
        name: Slug,
        settings: ConnectionSettings,
    ) -> Result<Connection, ServiceError> {
        let connection = self.new_connection(account, name, settings);
        self.insert_connection(&connection, Vec::new()).await?;
        Ok(connection)
    }

    pub(super) fn new_connection(&self, account: &Account, name: Slug, settings: ConnectionSettings) -> Connection {
        let mut connection = Connection {
            id: self.ambient.id(),
            account: account.id,
            name,
            dialect: Dialect::Auto.to_string(),
            may_grant: vec![Role::Agent, Role::Supervisor],
            allow_from: [].into(),
            guard: OwnLimits::default(),
            jit: None,
            claims: json!({}),
            enabled: true,
            deleted: false,
            created_at: self.ambient.now(),
        };
        settings.apply(&mut connection);
        connection
    }

    /// Writes a new connection, with its ways to sign in.
    pub(super) async fn insert_connection(
        &self,
        connection: &Connection,
        parts: Vec<(Part, AuditEvent)>,
    ) -> Result<(), ServiceError> {
        let event = event("connection.create", self.ambient.id(), self.ambient.now(), connection, None);
        let made = connection.clone();
        self.store
            .configure(move |tx| {
                let (made, event, parts) = (made.clone(), event.clone(), parts.clone());
                Box::pin(async move {
                    let mut change = tx.change();
                    change.insert_connection(&made)?;
                    change.audit(&event)?;
                    for (part, event) in &parts {
                        change.set_part(part);
                        change.audit(event)?;
                    }
                    tx.apply_unless_taken(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await
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
                        change.insert_recompute(&NewRecompute {
                            id: recompute,
                            account,
                            users: None,
                            event: event_id,
                            cause: cause(event_id, &after).as_value()?,
                            forced: false,
                        })?;
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
        let mut found = connections::of_account(self.store.read(), account.id).await?;
        found.retain(|connection| !connection.deleted);
        Ok(found)
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

fn cause(event: EventId, connection: &Connection) -> Cause {
    Cause {
        event,
        actor: "command".to_owned(),
        request: String::new(),
        action: "connection.set".to_owned(),
        target_kind: "connection".to_owned(),
        target_id: connection.id.to_string(),
        target: connection.name.to_string(),
        by_idp: false,
    }
}

fn as_value(connection: &Connection) -> Value {
    json!({
        "name": connection.name,
        "dialect": connection.dialect,
        "may_grant": connection.may_grant,
        "allow_from": connection.allow_from,
        "guard": connection.guard,
        "enabled": connection.enabled,
    })
}
