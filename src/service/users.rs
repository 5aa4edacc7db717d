//! SCIM users: created, read, listed, replaced, patched and deleted by their connection.

use serde_json::{Map, Value, json};

use crate::base::{EventId, Page, Timestamp, UserId, fold};
use crate::domain::UserStatus;
use crate::scim::filter::{Bound, Filter, Limits};
use crate::scim::patch::{self, Operation};
use crate::scim::{Incoming, Projection, ResourceKind, ScimError, schema_of};
use crate::store::audit::AuditEvent;
use crate::store::users::{self, User, UserGroup, UserState};
use crate::store::workers::{self, Wanted};
use crate::store::{Change, Listing, Matches, Tx};

use super::cache::Caller;
use super::core::Core;
use super::entitle::{Entitled, Entitling};
use super::error::ServiceError;
use super::render::{Rendered, render_user};

/// What a client demands of the version that it changes (`If-Match`, RFC 7644 §3.14); none: any.
pub type IfMatch = Option<Vec<i64>>;

/// A page of a list.
#[derive(Debug)]
pub struct UserList {
    /// How many match.
    pub total: u64,
    /// The part that was asked for.
    pub resources: Vec<Rendered>,
}

impl Core {
    /// Creates a user (RFC 7644 §3.3).
    pub async fn create_user(
        &self,
        caller: &Caller,
        mut incoming: Incoming,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        incoming.settle_active(true);
        let new = std::sync::Arc::new((self.ambient.id::<UserId>(), self.ambient.now(), incoming.document));
        let (caller_, core) = (caller.clone(), self.parts());
        let written = std::sync::Arc::clone(&new);
        let wakes = self
            .store
            .write(move |tx| {
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
            version: 1,
            created_at: *at,
            updated_at: *at,
            in_groups: false,
        };
        render_user(&self.scim_url, &user, &[], projection)
    }

    /// Reads a user (RFC 7644 §3.4.1).
    pub async fn read_user(
        &self,
        caller: &Caller,
        id: &str,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        let user = match id.parse() {
            Ok(id) => users::by_id(self.store.read(), caller.connection, id).await?,
            Err(_) => None,
        };
        let user = user.ok_or_else(|| no_user(id))?;
        Ok(self.render_users(vec![user], projection).await?.pop().ok_or_else(|| no_user(id))?)
    }

    /// Lists users (RFC 7644 §3.4.2).
    pub async fn list_users(
        &self,
        caller: &Caller,
        filter: Option<&str>,
        page: Page,
        projection: &Projection,
    ) -> Result<UserList, ServiceError> {
        let filter = bind(ResourceKind::User, filter, caller)?;
        let listing = Listing { account: caller.account, filter: filter.as_ref(), page, base_url: &self.scim_url };
        match users::list(self.store.read(), caller.connection, &listing).await? {
            Matches::TooMany => Err(too_many().into()),
            Matches::Found { total, rows } => {
                Ok(UserList { total, resources: self.render_users(rows, projection).await? })
            }
        }
    }

    /// Replaces a user (RFC 7644 §3.5.1). An absent `active` keeps the present state.
    pub async fn replace_user(
        &self,
        caller: &Caller,
        id: &str,
        incoming: Incoming,
        if_match: IfMatch,
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
        if_match: IfMatch,
        projection: &Projection,
    ) -> Result<Rendered, ServiceError> {
        let dialect = caller.dialect;
        self.change_user(caller, id, "user.patch", if_match, projection, move |before| {
            Ok(patch::apply(ResourceKind::User, before, &operations, dialect)?.document)
        })
        .await
    }

    /// Deletes a user (RFC 7644 §3.6): it leaves every group, its worker goes, its userName is free again.
    pub async fn delete_user(&self, caller: &Caller, id: &str, if_match: IfMatch) -> Result<(), ServiceError> {
        let (user_id, id) = (id.parse::<UserId>().map_err(|_| no_user(id))?, id.to_owned());
        let (caller, core, at) = (caller.clone(), self.parts(), self.ambient.now());
        self.store
            .write(move |tx| {
                let (caller, core, id, if_match) = (caller.clone(), core.clone(), id.clone(), if_match.clone());
                Box::pin(async move {
                    let user =
                        users::by_id_locked(tx, caller.connection, user_id).await?.ok_or_else(|| no_user(&id))?;
                    check_version(if_match.as_ref(), user.version)?;
                    let groups =
                        crate::store::memberships::leave_all(tx, crate::store::memberships::Member::User(user_id))
                            .await?;
                    let event = core.ambient.id();
                    let mut change = tx.change();
                    change.delete_user(&user, at);
                    change.unwant_worker(caller.account, user_id, event);
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
        self.wake_if(true);
        Ok(())
    }

    async fn change_user<F>(
        &self,
        caller: &Caller,
        id: &str,
        action: &'static str,
        if_match: IfMatch,
        projection: &Projection,
        make: F,
    ) -> Result<Rendered, ServiceError>
    where
        F: Fn(&Map<String, Value>) -> Result<Map<String, Value>, ServiceError> + Send + Sync + 'static,
    {
        let (user_id, id) = (id.parse::<UserId>().map_err(|_| no_user(id))?, id.to_owned());
        let (caller, core, at) = (caller.clone(), self.parts(), self.ambient.now());
        let make = std::sync::Arc::new(make);
        let (user, groups, wakes) = self
            .store
            .write(move |tx| {
                let (caller, core, id) = (caller.clone(), core.clone(), id.clone());
                let (make, if_match) = (std::sync::Arc::clone(&make), if_match.clone());
                Box::pin(async move {
                    let user =
                        users::by_id_locked(tx, caller.connection, user_id).await?.ok_or_else(|| no_user(&id))?;
                    check_version(if_match.as_ref(), user.version)?;
                    let groups = if user.in_groups { users::groups_of(tx, &[user_id]).await? } else { Vec::new() };
                    let before = user.attributes()?;
                    let after = make(&before)?;
                    if after == before {
                        return Ok::<_, ServiceError>((user, groups, false));
                    }
                    let change = UserChange { tx, core: &core, caller: &caller, action, at };
                    let (user, wakes) = change.write(user, &groups, &before, after).await?;
                    Ok((user, groups, wakes))
                })
            })
            .await?;
        self.wake_if(wakes);
        render_user(&self.scim_url, &user, &groups, projection)
    }

    async fn render_users(&self, rows: Vec<User>, projection: &Projection) -> Result<Vec<Rendered>, ServiceError> {
        let mut groups: std::collections::HashMap<UserId, Vec<UserGroup>> = std::collections::HashMap::new();
        let ids: Vec<UserId> = rows.iter().filter(|user| user.in_groups).map(|user| user.id).collect();
        if projection.wants("groups") && !ids.is_empty() {
            for group in users::groups_of(self.store.read(), &ids).await? {
                groups.entry(group.user).or_default().push(group);
            }
        }
        rows.iter()
            .map(|user| {
                let groups = groups.get(&user.id).map_or(&[][..], Vec::as_slice);
                render_user(&self.scim_url, user, groups, projection)
            })
            .collect()
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
        groups: &[UserGroup],
        before: &Map<String, Value>,
        after: Map<String, Value>,
    ) -> Result<(User, bool), ServiceError> {
        let status = UserStatus::provisioned(is_active(&after));
        let person = Entitling {
            account: user.account,
            connection: user.connection,
            status,
            user: user.id,
            attributes: &after,
            groups,
        };
        let entitled = self.core.entitle(self.tx, &person).await?;
        let event: EventId = self.core.ambient.id();
        let renamed = fold_name(before) != fold_name(&after);
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
        let moves = renamed && entitled.desired.is_some();
        if !moves {
            self.core.want(&mut change, self.caller, user.id, &entitled, event)?;
        }
        // Only the userName can be taken, and it stands in the first part.
        self.tx.apply_unless_taken(change).await?;
        if let (true, Some(desired)) = (moves, &entitled.desired) {
            let id = self.core.ambient.id();
            let wanted = Wanted { id, account: self.caller.account, user: user.id, desired, event };
            workers::rename(self.tx, &wanted).await?;
        }
        user.status = status;
        user.document = Value::Object(after).to_string();
        user.version += 1;
        user.updated_at = self.at;
        Ok((user, true))
    }
}

impl super::core::Parts {
    /// Says which worker follows.
    pub(super) fn want(
        &self,
        change: &mut Change,
        caller: &Caller,
        user: UserId,
        entitled: &Entitled,
        event: EventId,
    ) -> Result<(), ServiceError> {
        match &entitled.desired {
            Some(desired) => {
                change.want_worker(&Wanted { id: self.ambient.id(), account: caller.account, user, desired, event })?;
            }
            None => change.unwant_worker(caller.account, user, event),
        }
        Ok(())
    }
}

/// Reads and binds a filter.
pub(super) fn bind(kind: ResourceKind, filter: Option<&str>, caller: &Caller) -> Result<Option<Bound>, ScimError> {
    let Some(text) = filter else { return Ok(None) };
    let filter = Filter::parse_as(text, &Limits::default(), caller.dialect)?;
    Ok(Some(filter.bind(schema_of(kind), caller.dialect)?))
}

pub(super) fn too_many() -> ScimError {
    ScimError::too_many(
        "The filter matches on attributes without an index and would have to look at too many resources. Add a condition on userName, externalId, emails.value, displayName or id.",
    )
}

pub(super) fn check_version(wanted: Option<&Vec<i64>>, version: i64) -> Result<(), ScimError> {
    match wanted {
        Some(versions) if !versions.contains(&version) => Err(ScimError::precondition_failed(
            "The resource was changed since the version that If-Match names. Read it again and repeat the change.",
        )),
        _ => Ok(()),
    }
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
