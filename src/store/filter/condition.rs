//! Conditions in SQL, and how filters are put together from them.

use crate::base::Timestamp;
use crate::scim::filter::{Bound, BoundNode, NodeId, Operand, Relation};
use crate::scim::schema::AttrRef;

use super::super::sql::Sql;

/// A condition that every matching row satisfies.
#[derive(Debug, Clone)]
pub(in crate::store) struct Condition {
    /// None: every row satisfies it.
    pub(in crate::store) sql: Option<Sql>,
    /// Whether only matching rows satisfy it.
    pub(in crate::store) exact: bool,
    /// Whether an index finds the few rows that satisfy it.
    pub(in crate::store) selective: bool,
    /// What that index begins with.
    pub(in crate::store) entry: Entry,
    /// Whether it looks into texts, which without an index means to read all of them.
    pub(in crate::store) inside: bool,
}

/// What an index begins with. The one that is wanted must be named, or SQLite would rather walk another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Entry {
    /// The connection.
    Connection,
    /// The account, where names are unique in it.
    Account,
    /// The account and then the connection. No other index begins with both, so SQLite sees that this one finds fewer.
    Both,
    /// Neither: it finds rows of everybody.
    Text,
}

impl Condition {
    /// Nothing that SQL could say.
    pub(super) const fn any() -> Self {
        Self { sql: None, exact: false, selective: false, entry: Entry::Connection, inside: false }
    }

    /// What everything satisfies.
    pub(super) const fn all() -> Self {
        Self { sql: None, exact: true, selective: false, entry: Entry::Connection, inside: false }
    }

    pub(super) fn new(sql: Sql, exact: bool, selective: bool) -> Self {
        Self { sql: Some(sql), exact, selective, entry: Entry::Connection, inside: false }
    }

    /// The same, of a comparison by this relation.
    pub(super) fn of(self, relation: Relation) -> Self {
        Self { inside: matches!(relation, Relation::Co | Relation::Ew), ..self }
    }

    /// Whether the database would have to look into the texts of all resources there are.
    pub(super) fn reads_everything(&self) -> bool {
        self.inside && !self.selective
    }

    /// The same, found by an index that begins with something else, if one finds it at all.
    pub(super) fn by(self, entry: Entry) -> Self {
        Self { entry: if self.selective { entry } else { self.entry }, ..self }
    }
}

/// A comparison of an attribute that has these values in every resource of a type, and perhaps some of those; none where
/// that decides.
pub(super) fn constant(always: &str, perhaps: &[&str], relation: Relation, operand: &Operand) -> Option<Condition> {
    let holds = |value: &str| operand.holds(relation, &value.into());
    let decided = if holds(always) {
        "1 = 1"
    } else if perhaps.iter().any(|value| holds(value)) {
        return None;
    } else {
        "1 = 0"
    };
    Some(Condition::new(Sql::new(decided), true, false))
}

/// What a comparison is in SQL; none when no column says it.
pub(super) trait Leaves {
    fn compare(&self, target: AttrRef, relation: Relation, operand: &Operand) -> Option<Condition>;
    fn present(&self, target: AttrRef) -> Option<Condition>;

    /// The condition of a whole filter. Filters are at most as deep as their parser allows.
    fn condition(&self, filter: &Bound, id: NodeId) -> Condition {
        match filter.node(id) {
            BoundNode::And(children) => self.all_of(filter, children),
            BoundNode::Or(children) => self.any_of(filter, children),
            BoundNode::Not(inner) => self.not(filter, *inner),
            BoundNode::Compare { target, relation, operand } => {
                self.compare(*target, *relation, operand).unwrap_or_else(Condition::any)
            }
            BoundNode::Present(target) => self.present(*target).unwrap_or_else(Condition::any),
            BoundNode::ExtensionPresent(_) => Condition::any(),
            BoundNode::ValuePath { inner, .. } => self.element(filter, *inner),
        }
    }

    fn all_of(&self, filter: &Bound, children: &[NodeId]) -> Condition {
        let (mut all, mut entries) = (Condition::all(), Vec::with_capacity(children.len()));
        for child in children {
            let child = self.condition(filter, *child);
            all.exact &= child.exact;
            all.selective |= child.selective;
            all.inside |= child.inside;
            all.sql = joined(all.sql, child.sql, " AND ");
            if child.selective {
                entries.push(child.entry);
            }
        }
        // A unique name finds fewer than a value, and a value fewer than a text that contains it.
        let best = [Entry::Account, Entry::Connection, Entry::Text].into_iter().find(|entry| entries.contains(entry));
        all.by(best.unwrap_or(Entry::Connection))
    }

    fn any_of(&self, filter: &Bound, children: &[NodeId]) -> Condition {
        if children.is_empty() {
            return Condition::new(Sql::new("1 = 0"), true, false);
        }
        let (mut any, mut entries) =
            (Condition { selective: true, ..Condition::all() }, Vec::with_capacity(children.len()));
        for child in children {
            let child = self.condition(filter, *child);
            if child.sql.is_none() {
                return Condition::any();
            }
            any.exact &= child.exact;
            any.selective &= child.selective;
            any.inside |= child.inside;
            any.sql = joined(any.sql, child.sql, " OR ");
            entries.push(child.entry);
        }
        // Each alternative needs the beginning of its own index.
        let widest = [Entry::Connection, Entry::Account, Entry::Text].into_iter().find(|entry| entries.contains(entry));
        any.by(widest.unwrap_or(Entry::Connection))
    }

    /// Only what is exactly known can be turned around.
    fn not(&self, filter: &Bound, inner: NodeId) -> Condition {
        let inner = self.condition(filter, inner);
        match inner.sql {
            Some(sql) if inner.exact => {
                let mut not = Sql::new("(NOT ");
                not.push(sql);
                not.push_str(")");
                Condition { inside: inner.inside, ..Condition::new(not, true, false) }
            }
            _ => Condition::any(),
        }
    }

    /// Some element satisfies all parts, so some element satisfies each part. A single part says it all.
    fn element(&self, filter: &Bound, inner: NodeId) -> Condition {
        let parts = match filter.node(inner) {
            BoundNode::And(children) => children.as_slice(),
            _ => std::slice::from_ref(&inner),
        };
        let comparisons: Vec<NodeId> =
            parts.iter().copied().filter(|id| matches!(filter.node(*id), BoundNode::Compare { .. })).collect();
        if comparisons.is_empty() {
            return Condition::any();
        }
        let mut condition = self.all_of(filter, &comparisons);
        condition.exact &= parts.len() == 1 && comparisons.len() == 1;
        condition
    }
}

fn joined(left: Option<Sql>, right: Option<Sql>, word: &str) -> Option<Sql> {
    let (Some(left), Some(right)) = (left.clone(), right.clone()) else { return left.or(right) };
    let mut both = Sql::new("(");
    both.push(left);
    both.push_str(word);
    both.push(right);
    both.push_str(")");
    Some(both)
}

/// Compares a column of text (folded, unless case matters). `nullable` makes a missing value false rather than unknown, so
/// that it can be negated.
pub(super) fn text(column: &str, nullable: bool, relation: Relation, wanted: &str, postgres: bool) -> (Sql, bool) {
    let order = |operator: &str| Sql::new(format!("{column} {operator} ?")).bind(wanted);
    let (sql, indexed) = match relation {
        Relation::Eq => (order("="), true),
        Relation::Gt => (order(">"), false),
        Relation::Ge => (order(">="), false),
        Relation::Lt => (order("<"), false),
        Relation::Le => (order("<="), false),
        Relation::Sw => match after_all_with(wanted) {
            Some(end) => (
                Sql::new(format!("({column} >= ? AND {column} < ?)")).bind(wanted).bind(end),
                wanted.chars().count() > 2,
            ),
            None => (order(">="), false),
        },
        Relation::Co => {
            let contains = if postgres { "strpos" } else { "instr" };
            (Sql::new(format!("{contains}({column}, ?) > 0")).bind(wanted), false)
        }
        // Not LIKE: on SQLite it takes upper and lower case for the same.
        Relation::Ew if wanted.is_empty() => (Sql::new(format!("{column} IS NOT NULL")), false),
        Relation::Ew => {
            let end = if postgres { "right({}, length(?)) = ?" } else { "substr({}, -length(?)) = ?" };
            (Sql::new(end.replace("{}", column)).bind(wanted).bind(wanted), false)
        }
    };
    if !nullable {
        return (sql, indexed);
    }
    let mut known = Sql::new(format!("({column} IS NOT NULL AND "));
    known.push(sql);
    known.push_str(")");
    (known, indexed)
}

/// The least text that is greater than every text with this beginning.
fn after_all_with(start: &str) -> Option<String> {
    let mut chars: Vec<char> = start.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match u32::from(last) {
            0xD7FF => Some('\u{E000}'),
            code => char::from_u32(code + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Compares a column of times.
pub(super) fn instant(column: &str, relation: Relation, wanted: Timestamp) -> Option<Sql> {
    let operator = match relation {
        Relation::Eq => "=",
        Relation::Gt => ">",
        Relation::Ge => ">=",
        Relation::Lt => "<",
        Relation::Le => "<=",
        Relation::Co | Relation::Sw | Relation::Ew => return None,
    };
    Some(Sql::new(format!("{column} {operator} ?")).bind(wanted.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range() {
        assert_eq!(after_all_with("ab"), Some("ac".to_owned()));
        assert_eq!(after_all_with("a\u{D7FF}"), Some("a\u{E000}".to_owned()));
        assert_eq!(after_all_with("a\u{10FFFF}"), Some("b".to_owned()));
        assert_eq!(after_all_with("\u{10FFFF}"), None);
        assert_eq!(after_all_with(""), None);
    }
}
