//! PATCH (RFC 7644 §3.5.2): reading the request, and applying it to a document.
//!
//! Memberships are not part of a group's document: what an operation does to them comes back as a list of
//! [`MemberChange`], so that they are written row by row and concurrent requests lose nothing.

mod apply;
mod identity;
mod members;
mod multi;
mod read;
mod single;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use read::read_patch;

use serde_json::{Map, Value};

use super::dialect::Dialect;
use super::filter::Bound;
use super::path::PatchPath;

/// The most operations of one request, and the most [changes of members](MemberChange) that come of them. Operations that
/// add or remove members by name may be as many as the members that a group can have, because runs of them are one change:
/// authentik sends one for each (`fixtures/authentik/members-one-operation-each.json`).
pub const MAX_OPERATIONS: usize = 1_000;

/// The members whom the operations name, if all that they do is to add and remove members by name.
#[must_use]
pub fn members_named(operations: &[Operation], dialect: Dialect) -> Option<Vec<String>> {
    let patched = apply(super::ResourceKind::Group, &Map::new(), operations, dialect).ok()?;
    if !patched.document.is_empty() {
        return None;
    }
    let names = |change| match change {
        MemberChange::Add(ids) | MemberChange::Remove(ids) => Some(ids),
        MemberChange::RemoveWhere(_) | MemberChange::Replace(_) | MemberChange::Clear => None,
    };
    Some(patched.members.into_iter().map(names).collect::<Option<Vec<_>>>()?.concat())
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// RFC 7644 §3.5.2.1.
    Add,
    /// RFC 7644 §3.5.2.3.
    Replace,
    /// RFC 7644 §3.5.2.2.
    Remove,
}

/// One operation of a PATCH request.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it does.
    pub kind: OpKind,
    /// None where the value is an object that names its attributes itself.
    pub path: Option<PatchPath>,
    /// None where the request has no `value`, which is not the same as null.
    pub value: Option<Value>,
}

/// The outcome of a PATCH request.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// The whole document after the last operation.
    pub document: Map<String, Value>,
    /// What happens to the members of a group, in this order.
    pub members: Vec<MemberChange>,
    /// Names of attributes that are not stored here, as the request has them.
    pub ignored: Vec<String>,
}

/// A change of a group's members.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberChange {
    /// Those with these ids become members, if they are not.
    Add(Vec<String>),
    /// The members with these ids leave; who is no member stays none.
    Remove(Vec<String>),
    /// The members that satisfy the filter leave (bound by [`super::filter::Filter::bind_elements`]).
    RemoveWhere(Bound),
    /// Those with these ids, and nobody else, are the members.
    Replace(Vec<String>),
    /// All members leave.
    Clear,
}
