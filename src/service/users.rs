//! SCIM users: created, read, listed, replaced, patched and deleted by their connection.

mod change;

use serde_json::{Map, Value, json};

use crate::base::{EventId, Timestamp, UserId, fold};
use crate::domain::{Reason, UserStatus};
use crate::scim::patch::{self, Operation};
use crate::scim::{Incoming, Projection, ResourceKind, ScimError, Versions};
use crate::store::audit::AuditEvent;
use crate::store::receipts::Leaving;
use crate::store::users::{self, User, UserState};
use crate::store::workers::Wanted;

use super::cache::Caller;
use super::core::Core;
use super::entitle::{Entitling, SaidBefore};
use super::error::ServiceError;
use super::render::{Rendered, render_user};
pub(super) use change::UserChange;

impl Core {
    /// Creates a user (RFC 7644 §3.3).
    pub async fn create_user(
        &self,
        caller: &Caller,
        mut incoming: Incoming,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        incoming.settle_active(true);
        let at = self.ambient.now();
        let new = std::sync::Arc::new((self.ambient.id_at::<UserId>(at), at, incoming.document));
        let (caller_, core) = (caller.clone(), self.parts());
        let written = std::sync::Arc::clone(&new);
        let wakes = self
            .store
            .write_apart(Some(Vec::new()), move |tx| {
                let (caller, core, new) = (caller_.clone(), core.clone(), std::sync::Arc::clone(&written));
                Box::pin(async move {
                    let (id, at, document) = &*new;
                    let status = UserStatus::provisioned(is_active(document));
                    let person = Entitling {
                        account: caller.account,
                        connection: Some(caller.connection),
                        status,
                        user: *id,
                        attributes: document,
                        groups: &[],
                        said: &SaidBefore::default(),
                        expected: false,
                    };
                    let entitled = core.entitle(tx, &person).await?;
                    let event = core.ambient.id();
                    let mut change = tx.change();
                    change.insert_user(&UserState {
                        id: *id,
                        account: caller.account,
                        connection: Some(caller.connection),
                        status,
                        attributes: document,
                        role: entitled.role,
                        access: entitled.access.as_deref(),
                        signed_in: None,
                        version: 1,
                        at: *at,
                    })?;
                    if let Some(desired) = &entitled.desired {
                        let worker = core.ambient.id();
                        change.want_worker(&Wanted {
                            id: worker,
                            account: caller.account,
                            connection: Some(caller.connection),
                            user: *id,
                            desired,
                            event,
                        })?;
                    }
                    change.audit(&by(
                        &caller,
                        event,
                        *at,
                        "user.create",
                        *id,
                        None,
                        Some(Value::Object(document.clone())),
                    ))?;
                    tx.apply_unless_taken(change).await?;
                    Ok::<_, ServiceError>(entitled.desired.is_some())
                })
            })
            .await?;
        self.wake_if(wakes);
        let (id, at, document) = &*new;
        let user = User {
            id: *id,
            account: caller.account,
            connection: Some(caller.connection),
            status: UserStatus::provisioned(is_active(document)),
            document: Value::Object(document.clone()).to_string(),
            role: None,
            access: None,
            hold: None,
            claims: None,
            by_sign_in: false,
            has_signed_in: false,
            version: 1,
            created_at: *at,
            updated_at: *at,
            groups: Vec::new(),
        };
        render_user(&self.scim_url, &user, projection)
    }

    /// Reads a user (RFC 7644 §3.4.1).
    pub async fn read_user(
        &self,
        caller: &Caller,
        id: &str,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        let user = match id.parse() {
            Ok(id) => users::shown_by_id(self.store.read(), caller.connection, id).await?,
            Err(_) => None,
        };
        let user = user.ok_or_else(|| no_user(id))?;
        render_user(&self.scim_url, &user, projection)
    }

    /// Replaces a user (RFC 7644 §3.5.1). An absent `active` keeps the present state.
    pub async fn replace_user(
        &self,
        caller: &Caller,
        id: &str,
        incoming: Incoming,
        if_match: Versions,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        let incoming = std::sync::Arc::new((incoming.document, incoming.active));
        self.change_user(caller, id, "user.replace", if_match, projection, move |before| {
            let (mut document, active) = (*incoming).clone();
            let active = active.unwrap_or_else(|| is_active(before));
            document.insert("active".to_owned(), Value::Bool(active));
            Ok(document)
        })
        .await
    }

    /// Changes parts of a user (RFC 7644 §3.5.2).
    pub async fn patch_user(
        &self,
        caller: &Caller,
        id: &str,
        operations: Vec<Operation>,
        if_match: Versions,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        let (dialect, trail) = (caller.dialect, std::sync::Arc::clone(&caller.trail));
        self.change_user(caller, id, "user.patch", if_match, projection, move |before| {
            let patched = patch::apply(ResourceKind::User, before, &operations, dialect)?;
            trail.ignored(&patched.ignored);
            Ok(patched.document)
        })
        .await
    }

    /// Deletes a user (RFC 7644 §3.6): it leaves every group, its worker goes, its userName is free again.
    pub async fn delete_user(&self, caller: &Caller, id: &str, if_match: Versions) -> Result<(), ServiceError> {
        let (user_id, id) = (id.parse::<UserId>().map_err(|_| no_user(id))?, id.to_owned());
        let (caller, core, at) = (caller.clone(), self.parts(), self.ambient.now());
        let notices = core.notices.clone();
        self.store
            .write(move |tx| {
                let (caller, core, id, if_match) = (caller.clone(), core.clone(), id.clone(), if_match.clone());
                Box::pin(async move {
                    let user =
                        users::by_id_locked(tx, caller.connection, user_id).await?.ok_or_else(|| no_user(&id))?;
                    check_version(&if_match, user.version)?;
                    let groups =
                        crate::store::memberships::leave_all(tx, crate::store::memberships::Member::User(user_id))
                            .await?;
                    let event = core.ambient.id();
                    let mut change = tx.change();
                    change.delete_user(&user, at);
                    let leaving =
                        UserChange { tx, core: &core, caller: &caller, action: "user.delete", signed_in: None, at };
                    if !leaving.keeps_worker(&user, event, &mut change).await? {
                        change.leave(&Leaving {
                            account: caller.account,
                            user: user_id,
                            reason: Reason::Deleted,
                            event,
                            accepted: None,
                            had_access: user.status.may_have_access(),
                        });
                    }
                    for group in &groups {
                        change.touch_group(caller.connection, *group, at);
                    }
                    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
                    let before = json!({"document": user.attributes()?, "groups": groups});
                    change.audit(&by(&caller, event, at, "user.delete", user_id, Some(before), None))?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        notices.tell();
        self.wake_if(true);
        Ok(())
    }

    async fn change_user<F>(
        &self,
        caller: &Caller,
        id: &str,
        action: &'static str,
        if_match: Versions,
        projection: &Projection,
        make: F,
    ) -> Result<Rendered, ServiceError>
    where
        F: Fn(&Map<String, Value>) -> Result<Map<String, Value>, ServiceError> + Send + Sync + 'static,
    {
        let (user_id, id) = (id.parse::<UserId>().map_err(|_| no_user(id))?, id.to_owned());
        let (caller, core, at) = (caller.clone(), self.parts(), self.ambient.now());
        let (make, notices) = (std::sync::Arc::new(make), core.notices.clone());
        let (user, wakes) = self
            .store
            .write_apart(Some(vec![user_id.into()]), move |tx| {
                let (caller, core, id) = (caller.clone(), core.clone(), id.clone());
                let (make, if_match) = (std::sync::Arc::clone(&make), if_match.clone());
                Box::pin(async move {
                    let user =
                        users::by_id_locked(tx, caller.connection, user_id).await?.ok_or_else(|| no_user(&id))?;
                    check_version(&if_match, user.version)?;
                    let before = user.attributes()?;
                    let after = make(&before)?;
                    if after == before {
                        return Ok::<_, ServiceError>((user, false));
                    }
                    let change = UserChange { tx, core: &core, caller: &caller, action, signed_in: None, at };
                    change.write(user, &before, after).await
                })
            })
            .await?;
        notices.tell();
        self.wake_if(wakes);
        render_user(&self.scim_url, &user, projection)
    }
}

/// Whether the client means the resource as it is (`If-Match`, RFC 7644 §3.14). To be asked with the resource locked.
pub(super) fn check_version(wanted: &Versions, version: i64) -> Result<(), ScimError> {
    if wanted.include(version) {
        return Ok(());
    }
    Err(ScimError::precondition_failed(
        "The resource was changed since the version that If-Match names. Read it again and repeat the change.",
    ))
}

/// An audit event of a caller about a user.
pub(super) fn by(
    caller: &Caller,
    id: EventId,
    at: Timestamp,
    action: &'static str,
    user: UserId,
    before: Option<Value>,
    after: Option<Value>,
) -> AuditEvent {
    AuditEvent {
        id,
        at,
        account: caller.account,
        connection: Some(caller.connection),
        actor: caller.actor(),
        request: caller.request.to_string(),
        action,
        target_kind: "user",
        target_id: user.to_string(),
        before,
        after,
    }
}

/// The attributes that differ, as they were and as they are.
pub(super) fn changed_attributes(before: &Map<String, Value>, after: &Map<String, Value>) -> (Value, Value) {
    let differing = |one: &Map<String, Value>, other: &Map<String, Value>| {
        let parts = one.iter().filter(|(name, value)| other.get(*name) != Some(value));
        Value::Object(parts.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    (differing(before, after), differing(after, before))
}

fn is_active(document: &Map<String, Value>) -> bool {
    document.get("active").and_then(Value::as_bool).unwrap_or(false)
}

fn fold_name(document: &Map<String, Value>) -> String {
    fold(document.get("userName").and_then(Value::as_str).unwrap_or_default())
}

fn no_user(id: &str) -> ScimError {
    ScimError::not_found(format!("There is no user {}.", crate::scim::error::excerpt(id)))
}
