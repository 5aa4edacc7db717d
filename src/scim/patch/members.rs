//! Operations on the members of a group.

use serde_json::Value;

use super::MemberChange;
use super::apply::{Change, Target};
use crate::scim::dialect::Dialect;
use crate::scim::document::read_members;
use crate::scim::error::ScimError;
use crate::scim::filter::{Bound, Operand};
use crate::scim::schema::AttrRef;

/// What the operation does to the members; `None` for parts of a member that are not stored (`display`, `type`, `$ref`).
///
/// A remove empties the group only where it has no value or null. A value that is empty or malformed is refused: taking it
/// for "all" would remove everybody by a client's mistake.
pub(super) fn change(target: &Target, change: Change<'_>, dialect: Dialect) -> Result<Option<MemberChange>, ScimError> {
    match target.sub {
        Some(sub) if sub.name == "value" => return Err(fixed()),
        Some(_) => return Ok(None),
        None => {}
    }
    let change = match (&target.filter, change) {
        (Some(filter), Change::Remove(_)) => remove_selected(filter),
        (Some(filter), Change::Add(_)) => add_described(filter, dialect)?,
        (Some(_), Change::Replace(_)) => return Err(fixed()),
        (None, Change::Remove(None | Some(Value::Null))) => MemberChange::Clear,
        (None, Change::Remove(Some(value))) => MemberChange::Remove(named_for_removal(value, dialect)?),
        (None, Change::Add(Value::Null)) => MemberChange::Add(Vec::new()),
        // RFC 7643 §2.5: null and an empty array are the same, no values.
        (None, Change::Replace(Value::Null)) => MemberChange::Replace(Vec::new()),
        (None, Change::Add(value)) => MemberChange::Add(read_members(value.clone(), dialect)?),
        (None, Change::Replace(value)) => MemberChange::Replace(read_members(value.clone(), dialect)?),
    };
    Ok(Some(change))
}

/// How many members the change names.
pub(super) fn named(change: &MemberChange) -> usize {
    match change {
        MemberChange::Add(members) | MemberChange::Replace(members) => members.len(),
        MemberChange::Remove(ids) => ids.len(),
        MemberChange::RemoveWhere(_) | MemberChange::Clear => 0,
    }
}

/// Appends a change. Runs of one kind become one, so that a request with one operation for each member is one write.
pub(super) fn push(changes: &mut Vec<MemberChange>, change: MemberChange) {
    match (changes.last_mut(), change) {
        (Some(MemberChange::Add(members)), MemberChange::Add(more)) => members.extend(more),
        (Some(MemberChange::Remove(ids)), MemberChange::Remove(more)) => ids.extend(more),
        (_, MemberChange::Add(members)) if members.is_empty() => {}
        (_, change) => changes.push(change),
    }
}

fn remove_selected(filter: &Bound) -> MemberChange {
    filter
        .as_alternatives()
        .and_then(|alternatives| ids_of(&alternatives))
        .map_or_else(|| MemberChange::RemoveWhere(filter.clone()), MemberChange::Remove)
}

fn add_described(filter: &Bound, dialect: Dialect) -> Result<MemberChange, ScimError> {
    let described = filter.as_equalities().filter(|_| dialect.create_on_unmatched_eq_filter());
    match described.and_then(|equalities| ids_of(&equalities)).as_deref() {
        Some([id]) => Ok(MemberChange::Add(vec![id.clone()])),
        _ => Err(ScimError::no_target("To add members, use the path \"members\" and name them in the value.")),
    }
}

/// The ids, if only `value` is compared.
fn ids_of(equalities: &[(AttrRef, &Operand)]) -> Option<Vec<String>> {
    equalities
        .iter()
        .map(|(target, operand)| match (target.sub?.name, operand) {
            ("value", Operand::Text(id)) => Some(id.written.clone()),
            _ => None,
        })
        .collect()
}

fn named_for_removal(value: &Value, dialect: Dialect) -> Result<Vec<String>, ScimError> {
    if !dialect.remove_members_by_value() {
        return Err(ScimError::invalid_value(
            "A remove takes no value: use the path members[value eq \"...\"] to remove some, or no value to remove all.",
        ));
    }
    let ids = read_members(value.clone(), dialect)?;
    if ids.is_empty() {
        return Err(ScimError::invalid_value(
            "The value names no member to remove. To remove all members, leave the value out.",
        ));
    }
    Ok(ids)
}

fn fixed() -> ScimError {
    ScimError::mutability("A member cannot become another: remove the one and add the other.")
}
