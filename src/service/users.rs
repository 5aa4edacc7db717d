//! SCIM users: created, read, listed, replaced, patched and deleted by their connection.

use serde_json::{Map, Value, json};

use crate::base::{EventId, Timestamp, UserId, fold};
use crate::domain::{Reason, UserStatus};
use crate::scim::patch::{self, Operation};
use crate::scim::{Incoming, Projection, ResourceKind, ScimError, Versions};
use crate::store::audit::AuditEvent;
use crate::store::holds::HeldState;
use crate::store::receipts::Leaving;
use crate::store::users::{self, User, UserState};
use crate::store::workers::{self, Wanted};
use crate::store::{Change, Tx};

use super::cache::Caller;
use super::core::Core;
use super::entitle::{Entitled, Entitling};
use super::error::ServiceError;
use super::guard::{Cause, Guard, How, Losing, had_worker, loses};
use super::render::{Rendered, render_user};

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
                    let leaving = UserChange { tx, core: &core, caller: &caller, action: "user.delete", at };
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
                    let change = UserChange { tx, core: &core, caller: &caller, action, at };
                    change.write(user, &before, after).await
                })
            })
            .await?;
        notices.tell();
        self.wake_if(wakes);
        render_user(&self.scim_url, &user, projection)
    }
}

/// One change of a user's document, inside its transaction.
struct UserChange<'a> {
    tx: &'a Tx,
    core: &'a super::core::Parts,
    caller: &'a Caller,
    action: &'static str,
    at: Timestamp,
}

impl UserChange<'_> {
    async fn write(
        &self,
        mut user: User,
        before: &Map<String, Value>,
        after: Map<String, Value>,
    ) -> Result<(User, bool), ServiceError> {
        let status = UserStatus::provisioned(is_active(&after));
        let ends = user.status.may_have_access() && !status.may_have_access();
        let had_access = user.role.is_some() || ends;
        let person = Entitling {
            account: user.account,
            connection: user.connection,
            status,
            user: user.id,
            attributes: &after,
            groups: &user.groups,
        };
        let mut entitled = self.core.entitle(self.tx, &person).await?;
        let event: EventId = self.core.ambient.id();
        let mut losses = self.tx.change();
        let kept = self.keeps(&user, status, &entitled, event, &mut losses).await?;
        if kept && status.may_have_access() {
            // Held whole: the person stays as before, whatever the rules would give now.
            (entitled.role, entitled.access) = (user.role, user.access.clone());
        }
        let renamed = match user.hold {
            None => fold_name(before) != fold_name(&after),
            // While it was held, the worker kept its old name.
            Some(_) => workers::bears_another_name(self.tx, user.account, user.id, &fold_name(&after)).await?,
        };
        if renamed {
            // Another's worker may have that name.
            self.tx.run_alone()?;
        }
        let mut change = self.tx.change();
        change.update_user(
            before,
            &UserState {
                id: user.id,
                account: user.account,
                connection: user.connection,
                status,
                attributes: &after,
                role: entitled.role,
                access: entitled.access.as_deref(),
                version: user.version + 1,
                at: self.at,
            },
        )?;
        let (old, new) = changed_attributes(before, &after);
        change.audit(&by(self.caller, event, self.at, self.action, user.id, Some(old), Some(new)))?;
        change.append(losses);
        let moves = !kept && renamed && entitled.desired.is_some();
        if !moves && !kept {
            match &entitled.desired {
                Some(desired) => change.want_worker(&Wanted {
                    id: self.core.ambient.id(),
                    account: self.caller.account,
                    connection: user.connection,
                    user: user.id,
                    desired,
                    event,
                })?,
                None => change.leave(&Leaving {
                    account: self.caller.account,
                    user: user.id,
                    reason: Reason::of(status),
                    event,
                    accepted: None,
                    had_access: had_access && entitled.role.is_none(),
                }),
            }
        }
        if let (false, Some(desired)) = (user.status.may_have_access(), &entitled.desired) {
            change.let_go_of_kept(self.caller.account, user.id, &desired.friendly_name, event);
        }
        // Only the userName can be taken, and it stands in the first part.
        self.tx.apply_unless_taken(change).await?;
        if let (true, Some(desired)) = (moves, &entitled.desired) {
            let id = self.core.ambient.id();
            let connection = user.connection;
            let wanted = Wanted { id, account: self.caller.account, connection, user: user.id, desired, event };
            workers::rename(self.tx, &wanted).await?;
        }
        user.status = status;
        user.document = Value::Object(after).to_string();
        user.version += 1;
        user.updated_at = self.at;
        Ok((user, true))
    }

    /// Whether a loss of the person is held: then the worker stays as it is, and of somebody who still is active everything.
    async fn keeps(
        &self,
        user: &User,
        status: UserStatus,
        entitled: &Entitled,
        event: EventId,
        losses: &mut Change,
    ) -> Result<bool, ServiceError> {
        let loss = loses(user, had_worker(user), entitled);
        if loss.is_none() && user.hold.is_none() {
            return Ok(false);
        }
        let cause = self.cause(user, event);
        let (parts, account) = (self.core, user.account);
        let guard = Guard { tx: self.tx, parts, account, cause: &cause, at: self.at, in_background: false };
        if user.hold.is_none() && !guard.watches(user).await? {
            return Ok(false);
        }
        // Losses are counted, and those beside this one may not be written yet.
        self.tx.run_alone()?;
        let Some(loss) = loss else {
            guard.release(&[user], HeldState::Returned).await?;
            return Ok(false);
        };
        let how = match (status.may_have_access(), user.status.may_have_access()) {
            (true, _) => How::Implied,
            (false, true) => How::Ends,
            (false, false) => How::Ended,
        };
        Ok(!guard.judge(&[Losing { user, loss, how }], losses).await?.is_empty())
    }

    /// Whether the worker of somebody who is deleted is held.
    async fn keeps_worker(&self, user: &User, event: EventId, losses: &mut Change) -> Result<bool, ServiceError> {
        let nothing = Entitled { role: None, access: None, desired: None, outcome: None };
        let Some(loss) = loses(user, had_worker(user), &nothing) else { return Ok(false) };
        let cause = self.cause(user, event);
        let (parts, account) = (self.core, user.account);
        let guard = Guard { tx: self.tx, parts, account, cause: &cause, at: self.at, in_background: false };
        Ok(!guard.judge(&[Losing { user, loss, how: How::Ends }], losses).await?.is_empty())
    }

    fn cause(&self, user: &User, event: EventId) -> Cause {
        let name = user.attributes().ok().and_then(|it| Some(it.get("userName")?.as_str()?.to_owned()));
        Cause {
            event,
            actor: self.caller.actor(),
            request: self.caller.request.to_string(),
            action: self.action.to_owned(),
            target_kind: "user".to_owned(),
            target_id: user.id.to_string(),
            target: name.unwrap_or_default(),
            by_idp: true,
        }
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
fn by(
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
