//! Changes of a group's members: delta writes, and the people whose access they touch.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use crate::base::{EventId, GroupId, Timestamp, UserId};
use crate::scim::ScimError;
use crate::scim::error::excerpt;
use crate::scim::filter::Bound;
use crate::scim::patch::MemberChange;
use crate::store::Tx;
use crate::store::groups::member_value;
use crate::store::memberships::{self, MAX_DEPTH, Member};

use super::cache::Caller;
use super::error::ServiceError;

/// More people than any account has.
const EVERYBODY: u64 = 10_000_000;
/// Members that are looked at together for a filter.
const PAGE: u64 = 1_000;
/// How much the filters of one request may look at, in parts of filters: a second or two of work, while nobody else can
/// write. Room for a simple filter over 400,000 members.
const MAX_LOOKED_AT: usize = 4_000_000;
/// What reading a member costs, in parts of filters.
const READ_COST: usize = 9;

/// What became of the members.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) added: Vec<Member>,
    pub(super) removed: Vec<Member>,
}

impl Moved {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Everybody whose groups changed: direct members, and members of member groups.
    pub(super) async fn people(&self, tx: &Tx, caller: &Caller) -> Result<Vec<UserId>, ServiceError> {
        let mut people = Vec::new();
        let mut groups = Vec::new();
        for member in self.added.iter().chain(&self.removed) {
            match member {
                Member::User(user) => people.push(*user),
                Member::Group(group) => groups.push(*group),
            }
        }
        if !groups.is_empty() {
            people.extend(memberships::users_below(tx, caller.account, &groups, "", EVERYBODY).await?);
        }
        Ok(people)
    }

    /// Notes them for the log of pushes.
    pub(super) fn note(&self, caller: &Caller) {
        caller.trail.resources(self.added.iter().chain(&self.removed).map(Member::id));
    }

    /// For the audit trail.
    pub(super) fn as_value(&self) -> Value {
        let ids = |members: &[Member]| members.iter().map(Member::id).collect::<Vec<_>>();
        json!({"added": ids(&self.added), "removed": ids(&self.removed)})
    }
}

/// A group whose members change, inside the transaction.
pub(super) struct Membership<'a> {
    pub(super) tx: &'a Tx,
    pub(super) caller: &'a Caller,
    pub(super) group: GroupId,
    pub(super) event: EventId,
    pub(super) at: Timestamp,
    /// What `$ref` of a member begins with.
    pub(super) base_url: &'a str,
}

impl Membership<'_> {
    /// Makes the changes in their order.
    pub(super) async fn apply(&self, changes: &[MemberChange]) -> Result<Moved, ServiceError> {
        let (mut moved, mut left) = (Moved::default(), MAX_LOOKED_AT);
        for change in changes {
            match change {
                MemberChange::Add(members) => moved.added.extend(self.add(members).await?),
                MemberChange::Remove(ids) => moved.removed.extend(memberships::remove(self.tx, self.group, ids).await?),
                MemberChange::RemoveWhere(filter) => moved.removed.extend(self.remove_where(filter, &mut left).await?),
                MemberChange::Replace(members) => {
                    moved.removed.extend(memberships::keep_only(self.tx, self.group, members).await?);
                    moved.added.extend(self.add(members).await?);
                }
                MemberChange::Clear => moved.removed.extend(memberships::keep_only(self.tx, self.group, &[]).await?),
            }
        }
        moved.note(self.caller);
        Ok(moved)
    }

    async fn add(&self, members: &[String]) -> Result<Vec<Member>, ServiceError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let ids: BTreeSet<&String> = members.iter().collect();
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        let connection = self.caller.connection;
        let added = memberships::add(self.tx, connection, self.group, &ids, self.event, self.at).await?;
        // Whoever was not added is a member already, or nobody.
        if added.len() < ids.len() {
            let known = memberships::known(self.tx, connection, &ids).await?;
            let known: HashSet<String> = known.iter().map(Member::id).collect();
            if let Some(missing) = ids.iter().find(|id| !known.contains(*id)) {
                // Not 404, which on a group's URL says that the group is gone: authentik would forget it and make it anew.
                return Err(ScimError::invalid_value(format!(
                    "There is no user or group {} to be a member. Provision it before its membership.",
                    excerpt(missing)
                ))
                .into());
            }
        }
        for member in &added {
            if let Member::Group(child) = member {
                // Too rare to be looked for before: what those beside this job have written is undone with it, and done again.
                self.tx.run_alone()?;
                self.check_nesting(*child).await?;
            }
        }
        Ok(added)
    }

    /// No group may lie in itself, however far down, and none deeper than [`MAX_DEPTH`]. The membership is there already; a
    /// refusal takes it back with everything else.
    async fn check_nesting(&self, child: GroupId) -> Result<(), ServiceError> {
        memberships::lock_nesting(self.tx, self.caller.connection).await?;
        let (depth, found) = memberships::below(self.tx, child, self.group).await?;
        if found {
            return Err(ScimError::invalid_value(
                "The group would be a member of itself, directly or through other groups.",
            )
            .into());
        }
        let above = memberships::height_above(self.tx, self.group).await?;
        if above + 1 + depth > MAX_DEPTH {
            return Err(ScimError::invalid_value(format!("Groups may be nested {MAX_DEPTH} deep at most.")).into());
        }
        Ok(())
    }

    /// Removes the members that a filter selects by more than their ids. `left` is what the filters of the request may
    /// still look at.
    async fn remove_where(&self, filter: &Bound, left: &mut usize) -> Result<Vec<Member>, ServiceError> {
        let ids = self.matching(filter, left).await?;
        Ok(memberships::remove(self.tx, self.group, &ids).await?)
    }

    async fn matching(&self, filter: &Bound, left: &mut usize) -> Result<Vec<String>, ServiceError> {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let page = memberships::page(self.tx, self.group, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(ids) };
            let cost = page.len().saturating_mul(filter.size().saturating_add(READ_COST));
            *left = left.checked_sub(cost).ok_or_else(|| {
                ScimError::too_many(
                    "The filters of the request would have to look at too many members. Name those to be removed by their ids.",
                )
            })?;
            after = last.id();
            for (member, display) in page {
                if filter.matches_element(&member_value(self.base_url, member, display.as_deref())) {
                    ids.push(member.id());
                }
            }
        }
    }
}

/// Whether changes speak about members that they do not name, so that two of them at once could leave what neither asked for.
pub(super) fn says_who_stays(changes: &[MemberChange]) -> bool {
    changes.iter().any(|change| match change {
        MemberChange::Replace(_) | MemberChange::Clear | MemberChange::RemoveWhere(_) => true,
        MemberChange::Add(_) | MemberChange::Remove(_) => false,
    })
}
