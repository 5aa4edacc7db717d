//! SCIM groups: created, read, listed, replaced, patched and deleted by their connection.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::base::{EventId, GroupId, Timestamp, UserId, fold};
use crate::scim::patch::{self, MemberChange, Operation};
use crate::scim::{Incoming, Projection, ResourceKind, ScimError, Versions};
use crate::store::audit::AuditEvent;
use crate::store::groups::{self, Group};
use crate::store::memberships::{self, Member};
use crate::store::{Change, Tx};

use super::cache::Caller;
use super::core::{Core, Parts};
use super::error::ServiceError;
use super::guard::Cause;
use super::members::{Membership, Moved, says_who_stays};
use super::recompute::{Deferred, settle_or_defer};
use super::render::{GroupBody, render_group, render_members};
use super::users::{changed_attributes, check_version};

/// Members that are read at a time while a group is answered.
pub const MEMBERS_AT_A_TIME: u64 = 1_000;
/// More people than any group has.
const EVERYBODY: u64 = 10_000_000;

impl Core {
    /// Creates a group with its members (RFC 7644 §3.3).
    pub async fn create_group(
        &self,
        caller: &Caller,
        incoming: Incoming,
        projection: &Projection,
    ) -> Result<GroupBody, ServiceError> {
        let at = self.ambient.now();
        let group = Arc::new(Group {
            id: self.ambient.id_at(at),
            account: caller.account,
            connection: caller.connection,
            document: Value::Object(incoming.document.clone()).to_string(),
            version: 1,
            created_at: at,
            updated_at: at,
        });
        let members = Arc::new(vec![MemberChange::Add(incoming.members.unwrap_or_default())]);
        let (job, parts) = ((caller.clone(), Arc::clone(&group), members, incoming.document), self.parts());
        let notices = parts.notices.clone();
        let deferred = self
            .store
            .write(move |tx| {
                let ((caller, group, members, document), parts) = (job.clone(), parts.clone());
                Box::pin(async move {
                    let mut change = tx.change();
                    change.insert_group(&group)?;
                    tx.apply_unless_taken(change).await?;
                    let (id, event, action) = (group.id, parts.ambient.id(), "group.create");
                    let editing = Editing { tx, parts: &parts, caller: &caller, id, event, at, action };
                    let moved = editing.membership().apply(&members).await?;
                    let people = moved.people(tx, &caller).await?;
                    let after = json!({"document": document, "members": moved.as_value()});
                    let mut change = tx.change();
                    editing.audit(&mut change, None, Some(after))?;
                    editing.finish(&name(&document), people, change).await
                })
            })
            .await?;
        notices.tell();
        self.wake_for(deferred);
        render_group(&self.scim_url, &group, projection)
    }

    /// Reads a group (RFC 7644 §3.4.1); its members are read by [`Core::members_after`].
    pub async fn read_group(
        &self,
        caller: &Caller,
        id: &str,
        projection: &Projection,
    ) -> Result<GroupBody, ServiceError> {
        let group = match id.parse() {
            Ok(id) => groups::by_id(self.store.read(), caller.connection, id).await?,
            Err(_) => None,
        };
        render_group(&self.scim_url, &group.ok_or_else(|| no_group(id))?, projection)
    }

    /// The next members of a group after one of them, as they are answered, and the id to go on after; none: that was all.
    pub async fn members_after(
        &self,
        group: GroupId,
        after: &str,
        projection: &Projection,
    ) -> Result<(Vec<Value>, Option<String>), ServiceError> {
        let page = memberships::page(self.store.read(), group, after, MEMBERS_AT_A_TIME).await?;
        let full = u64::try_from(page.len()).unwrap_or(u64::MAX) >= MEMBERS_AT_A_TIME;
        let next = if full { page.last().map(|(member, _)| member.id()) } else { None };
        Ok((render_members(&self.scim_url, page, projection), next))
    }

    /// Replaces a group (RFC 7644 §3.5.1). Absent members stay as they are: only a list, even an empty one, replaces them.
    pub async fn replace_group(
        &self,
        caller: &Caller,
        id: &str,
        incoming: Incoming,
        if_match: Versions,
        projection: &Projection,
    ) -> Result<GroupBody, ServiceError> {
        let members: Vec<MemberChange> = incoming.members.map(MemberChange::Replace).into_iter().collect();
        let edit = Arc::new((incoming.document, members));
        let make = move |_: &Map<String, Value>| Ok(edit.as_ref().clone());
        let group = self.change_group(caller, id, ("group.replace", None), if_match, make).await?;
        render_group(&self.scim_url, &group, projection)
    }

    /// Changes parts of a group (RFC 7644 §3.5.2).
    pub async fn patch_group(
        &self,
        caller: &Caller,
        id: &str,
        operations: Vec<Operation>,
        if_match: Versions,
        projection: &Projection,
    ) -> Result<GroupBody, ServiceError> {
        let (dialect, trail) = (caller.dialect, Arc::clone(&caller.trail));
        let touches =
            patch::members_named(&operations, dialect).map(|ids| ids.iter().flat_map(|id| id.parse()).collect());
        let make = move |before: &Map<String, Value>| {
            let patched = patch::apply(ResourceKind::Group, before, &operations, dialect)?;
            trail.ignored(&patched.ignored);
            Ok((patched.document, patched.members))
        };
        let group = self.change_group(caller, id, ("group.patch", touches), if_match, make).await?;
        render_group(&self.scim_url, &group, projection)
    }

    /// Deletes a group (RFC 7644 §3.6). Its members stay, and lose what the group gave them.
    pub async fn delete_group(&self, caller: &Caller, id: &str, if_match: Versions) -> Result<(), ServiceError> {
        let (group_id, id) = (id.parse::<GroupId>().map_err(|_| no_group(id))?, id.to_owned());
        let (caller, parts, at) = (caller.clone(), self.parts(), self.ambient.now());
        let notices = parts.notices.clone();
        let deferred = self
            .store
            .write(move |tx| {
                let (caller, parts, id, if_match) = (caller.clone(), parts.clone(), id.clone(), if_match.clone());
                Box::pin(async move {
                    let group =
                        groups::by_id_locked(tx, caller.connection, group_id).await?.ok_or_else(|| no_group(&id))?;
                    check_version(&if_match, group.version)?;
                    let people = memberships::users_below(tx, caller.account, &[group_id], "", EVERYBODY).await?;
                    let removed = memberships::keep_only(tx, group_id, &[]).await?;
                    for parent in memberships::leave_all(tx, Member::Group(group_id)).await? {
                        let mut change = tx.change();
                        change.touch_group(caller.connection, parent, at);
                        tx.apply(change).await?;
                    }
                    let mut change = tx.change();
                    change.delete_group(&group);
                    tx.apply(change).await?;
                    let (event, action) = (parts.ambient.id(), "group.delete");
                    let editing = Editing { tx, parts: &parts, caller: &caller, id: group_id, event, at, action };
                    let moved = Moved { added: Vec::new(), removed };
                    moved.note(&caller);
                    let document = group.attributes()?;
                    let before = json!({"document": document, "members": moved.as_value()});
                    let mut change = tx.change();
                    editing.audit(&mut change, Some(before), None)?;
                    editing.finish(&name(&document), people, change).await
                })
            })
            .await?;
        notices.tell();
        self.wake_for(deferred);
        Ok(())
    }

    /// Changes a group. What it does besides has a name for the audit trail; and the people whom it touches, if it touches
    /// nothing else.
    async fn change_group<F>(
        &self,
        caller: &Caller,
        id: &str,
        (action, touches): (&'static str, Option<Vec<Uuid>>),
        if_match: Versions,
        make: F,
    ) -> Result<Group, ServiceError>
    where
        F: Fn(&Map<String, Value>) -> Result<(Map<String, Value>, Vec<MemberChange>), ServiceError>
            + Send
            + Sync
            + 'static,
    {
        let (group_id, id) = (id.parse::<GroupId>().map_err(|_| no_group(id))?, id.to_owned());
        let (caller, parts, at, make) = (caller.clone(), self.parts(), self.ambient.now(), Arc::new(make));
        let notices = parts.notices.clone();
        let (group, deferred) = self
            .store
            .write_apart(touches, move |tx| {
                let (caller, parts, id) = (caller.clone(), parts.clone(), id.clone());
                let (make, if_match) = (Arc::clone(&make), if_match.clone());
                Box::pin(async move {
                    let event = parts.ambient.id();
                    let editing = Editing { tx, parts: &parts, caller: &caller, id: group_id, event, at, action };
                    editing.change(&id, &if_match, &*make).await
                })
            })
            .await?;
        notices.tell();
        self.wake_for(deferred);
        Ok(group)
    }

    fn wake_for(&self, deferred: Deferred) {
        self.wake_if(true);
        if deferred.0 {
            self.wake.recomputes.notify_one();
        }
    }
}

/// One change of a group, inside its transaction.
struct Editing<'a> {
    tx: &'a Tx,
    parts: &'a Parts,
    caller: &'a Caller,
    id: GroupId,
    event: EventId,
    at: Timestamp,
    action: &'static str,
}

impl Editing<'_> {
    fn membership(&self) -> Membership<'_> {
        let base_url = &self.parts.scim_url;
        Membership { tx: self.tx, caller: self.caller, group: self.id, event: self.event, at: self.at, base_url }
    }

    async fn change<F>(&self, id: &str, if_match: &Versions, make: &F) -> Result<(Group, Deferred), ServiceError>
    where
        F: Fn(&Map<String, Value>) -> Result<(Map<String, Value>, Vec<MemberChange>), ServiceError>,
    {
        let connection = self.caller.connection;
        let mut group = groups::by_id(self.tx, connection, self.id).await?.ok_or_else(|| no_group(id))?;
        let mut before = group.attributes()?;
        let (mut after, mut changes) = make(&before)?;
        if after != before || *if_match != Versions::Any || says_who_stays(&changes) {
            self.tx.run_alone()?;
        }
        // Members come and go without holding the group, so that pushes of one large group do not wait for one another.
        if says_who_stays(&changes) {
            groups::lock_members(self.tx, self.id).await?;
            group = groups::by_id(self.tx, connection, self.id).await?.ok_or_else(|| no_group(id))?;
            before = group.attributes()?;
            (after, changes) = make(&before)?;
        }
        if after != before || *if_match != Versions::Any {
            group = groups::by_id_locked(self.tx, connection, self.id).await?.ok_or_else(|| no_group(id))?;
            check_version(if_match, group.version)?;
            before = group.attributes()?;
            (after, changes) = make(&before)?;
        }
        let edited = after != before;
        if edited {
            let mut change = self.tx.change();
            change.update_group(&group, &after, self.at)?;
            self.tx.apply_unless_taken(change).await?;
        }
        let moved = self.membership().apply(&changes).await?;
        if moved.added.iter().chain(&moved.removed).any(|member| matches!(member, Member::Group(_))) {
            // People below it are touched that nobody named.
            self.tx.run_alone()?;
        }
        if !edited && moved.is_empty() {
            return Ok((group, Deferred(false)));
        }
        let mut change = self.tx.change();
        let mut people = moved.people(self.tx, self.caller).await?;
        if fold(&name(&before)) != fold(&name(&after)) {
            people.extend(memberships::users_below(self.tx, self.caller.account, &[self.id], "", EVERYBODY).await?);
        }
        let (old, new) = changed_attributes(&before, &after);
        let new = json!({"document": new, "members": moved.as_value()});
        self.audit(&mut change, Some(json!({"document": old})), Some(new))?;
        let deferred = self.settle(&name(&before), people, &mut change).await?;
        group.version = if edited {
            self.tx.apply(change).await?;
            group.version + 1
        } else {
            // Others may have changed members since the group was read, so the database counts.
            groups::touch_with(self.tx, change, &group, self.at).await?.ok_or_else(|| no_group(id))?
        };
        group.document = Value::Object(after).to_string();
        group.updated_at = self.at;
        Ok((group, deferred))
    }

    /// Computes what follows for these people, and writes it with the rest of the change.
    async fn finish(&self, name: &str, people: Vec<UserId>, mut change: Change) -> Result<Deferred, ServiceError> {
        let deferred = self.settle(name, people, &mut change).await?;
        self.tx.apply(change).await?;
        Ok(deferred)
    }

    async fn settle(&self, name: &str, people: Vec<UserId>, change: &mut Change) -> Result<Deferred, ServiceError> {
        let cause = Cause {
            event: self.event,
            actor: self.caller.actor(),
            request: self.caller.request.to_string(),
            action: self.action.to_owned(),
            target_kind: "group".to_owned(),
            target_id: self.id.to_string(),
            target: name.to_owned(),
            by_idp: true,
        };
        settle_or_defer(self.tx, self.parts, self.caller.account, people, &cause, change).await
    }

    fn audit(&self, change: &mut Change, before: Option<Value>, after: Option<Value>) -> Result<(), ServiceError> {
        change.audit(&AuditEvent {
            id: self.event,
            at: self.at,
            account: self.caller.account,
            connection: Some(self.caller.connection),
            actor: self.caller.actor(),
            request: self.caller.request.to_string(),
            action: self.action,
            target_kind: "group",
            target_id: self.id.to_string(),
            before,
            after,
        })?;
        Ok(())
    }
}

fn name(document: &Map<String, Value>) -> String {
    document.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn no_group(id: &str) -> ScimError {
    ScimError::not_found(format!("There is no group {}.", crate::scim::error::excerpt(id)))
}
