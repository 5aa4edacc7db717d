//! Why a condition holds: the groups and attribute values that make it true.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scim::filter::{Bound, BoundNode, NodeId, Operand};
use crate::scim::schema::{AttrRef, CLAIMS};

/// Pieces of evidence kept for one rule; a person can be in hundreds of groups.
pub const MAX_EVIDENCE: usize = 16;
/// Characters of an attribute's text kept as evidence.
const MAX_TEXT_CHARS: usize = 200;

/// One fact that made a condition true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// The person is in this group.
    Group {
        /// The id of the group.
        value: String,
        /// The name of the group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display: Option<String>,
    },
    /// The person has this value.
    Attribute {
        /// The canonical name of the SCIM attribute.
        path: String,
        /// The value, long text cut short.
        value: Value,
    },
    /// The condition demands that something is not so, and it is not.
    Unmatched {
        /// What is not so, as a filter: `userType eq "Contractor"`.
        condition: String,
    },
}

impl Evidence {
    /// A value of the person, shortened for keeping.
    pub(super) fn attribute(path: String, value: Value) -> Self {
        let value = match value {
            Value::String(text) => Value::String(shorten(&text)),
            Value::Array(mut items) => {
                items.truncate(MAX_EVIDENCE);
                Value::Array(
                    items
                        .into_iter()
                        .map(|item| item.as_str().map_or(item.clone(), |text| shorten(text).into()))
                        .collect(),
                )
            }
            other => other,
        };
        Self::Attribute { path, value }
    }
}

/// The facts that make `bound` true of `subject`, each once, in the order of the condition; none if it is not true.
///
/// Of alternatives all those that hold are given, because each of them would be reason enough.
#[must_use]
pub fn evidence(bound: &Bound, subject: &Map<String, Value>) -> Vec<Evidence> {
    let mut walk = Walk { bound, subject, found: Vec::new() };
    if bound.matches(subject) {
        walk.why(bound.root());
    }
    walk.found
}

struct Walk<'a> {
    bound: &'a Bound,
    subject: &'a Map<String, Value>,
    found: Vec<Evidence>,
}

// The recursion is as deep as the brackets of the condition, which `Limits::DEEPEST` bounds.
impl Walk<'_> {
    /// Collects why a node holds.
    fn why(&mut self, id: NodeId) {
        match self.bound.node(id) {
            BoundNode::And(children) | BoundNode::Or(children) => {
                for child in children {
                    if self.holds(*child) {
                        self.why(*child);
                    }
                }
            }
            BoundNode::Not(inner) => self.why_not(*inner),
            BoundNode::Compare { target, .. } | BoundNode::Present(target) | BoundNode::ValuePath { target, .. } => {
                self.elements(id, *target);
            }
            BoundNode::ExtensionPresent(urn) => {
                let members = self.subject.get(*urn).and_then(Value::as_object);
                let names = members.into_iter().flatten().map(|(name, _)| Value::from(name.as_str())).collect();
                self.add(Evidence::Attribute { path: (*urn).to_owned(), value: Value::Array(names) });
            }
        }
    }

    /// Collects why a node does not hold.
    fn why_not(&mut self, id: NodeId) {
        match self.bound.node(id) {
            BoundNode::And(children) | BoundNode::Or(children) => {
                for child in children {
                    if !self.holds(*child) {
                        self.why_not(*child);
                    }
                }
            }
            BoundNode::Not(inner) => self.why(*inner),
            BoundNode::Compare { .. }
            | BoundNode::Present(_)
            | BoundNode::ExtensionPresent(_)
            | BoundNode::ValuePath { .. } => {
                let mut condition = String::new();
                describe(self.bound, id, false, &mut condition);
                self.add(Evidence::Unmatched { condition });
            }
        }
    }

    /// Adds each element of an attribute for which the node holds.
    fn elements(&mut self, id: NodeId, target: AttrRef) {
        let holder = match target.extension {
            Some(urn) => self.subject.get(urn).and_then(Value::as_object),
            None => Some(self.subject),
        };
        let Some(value) = holder.and_then(|holder| holder.get(target.attr.name)) else { return };
        let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for element in elements {
            if self.found.len() >= MAX_EVIDENCE {
                return;
            }
            if self.bound.element_holds_at(id, element) {
                self.add(fact(target, element));
            }
        }
    }

    fn holds(&self, id: NodeId) -> bool {
        self.bound.holds_at(id, self.subject)
    }

    fn add(&mut self, evidence: Evidence) {
        if self.found.len() < MAX_EVIDENCE && !self.found.contains(&evidence) {
            self.found.push(evidence);
        }
    }
}

fn fact(target: AttrRef, element: &Value) -> Evidence {
    let text = |key| element.get(key).and_then(Value::as_str).map(shorten);
    if target.extension.is_none() && target.attr.name == "groups" {
        return Evidence::Group { value: text("value").unwrap_or_default(), display: text("display") };
    }
    if target.attr.name == CLAIMS {
        let path = text("name").map_or_else(|| CLAIMS.to_owned(), |name| format!("{CLAIMS}.{name}"));
        return Evidence::attribute(path, element["value"].clone());
    }
    let value = match target.compared() {
        None => element.clone(),
        // The only sub-attribute that holds without being there is `primary`, and then as false (RFC 7643 §2.4).
        Some(sub) => element.get(sub.name).cloned().unwrap_or(Value::Bool(false)),
    };
    Evidence::attribute(target.to_string(), value)
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}

/// Writes a node as a filter; `relative` inside brackets, where names are those of sub-attributes.
fn describe(bound: &Bound, id: NodeId, relative: bool, out: &mut String) {
    let name = |target: &AttrRef| match target.sub {
        Some(sub) if relative => sub.name.to_owned(),
        None if relative => "value".to_owned(),
        _ => target.to_string(),
    };
    match bound.node(id) {
        BoundNode::And(children) => describe_list(bound, children, "and", relative, out),
        BoundNode::Or(children) => describe_list(bound, children, "or", relative, out),
        BoundNode::Not(inner) => {
            out.push_str("not (");
            describe(bound, *inner, relative, out);
            out.push(')');
        }
        BoundNode::Compare { target, relation, operand } => {
            out.push_str(&name(target));
            let operand = match operand {
                Operand::Bool(value) => Value::from(*value),
                Operand::Number(value) => Value::Number(value.clone()),
                Operand::Instant(value) => Value::from(value.to_string()),
                Operand::Text(text) => Value::from(text.written.as_str()),
            };
            // Writing to a string cannot fail.
            let _ = write!(out, " {} {operand}", relation.as_str());
        }
        BoundNode::Present(target) => {
            out.push_str(&name(target));
            out.push_str(" pr");
        }
        BoundNode::ExtensionPresent(urn) => {
            out.push_str(urn);
            out.push_str(" pr");
        }
        BoundNode::ValuePath { target, inner } => {
            out.push_str(&name(target));
            out.push('[');
            describe(bound, *inner, true, out);
            out.push(']');
        }
    }
}

fn describe_list(bound: &Bound, children: &[NodeId], word: &str, relative: bool, out: &mut String) {
    for (index, child) in children.iter().enumerate() {
        if index > 0 {
            out.push(' ');
            out.push_str(word);
            out.push(' ');
        }
        let nested = matches!(bound.node(*child), BoundNode::And(_) | BoundNode::Or(_));
        if nested {
            out.push('(');
        }
        describe(bound, *child, relative, out);
        if nested {
            out.push(')');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::Dialect;
    use crate::scim::filter::{Filter, Limits};
    use crate::scim::schema::{ResourceKind, schema_of};

    fn why(when: &str, subject: Value) -> Vec<Evidence> {
        let filter = Filter::parse(when, &Limits::default()).unwrap();
        let bound = filter.bind(schema_of(ResourceKind::User), Dialect::Auto).unwrap();
        match subject {
            Value::Object(map) => evidence(&bound, &map),
            other => panic!("not an object: {other}"),
        }
    }

    fn group(value: &str, display: &str) -> Evidence {
        Evidence::Group { value: value.to_owned(), display: Some(display.to_owned()) }
    }

    fn attribute(path: &str, value: Value) -> Evidence {
        Evidence::Attribute { path: path.to_owned(), value }
    }

    fn unmatched(condition: &str) -> Evidence {
        Evidence::Unmatched { condition: condition.to_owned() }
    }

    fn ana() -> Value {
        json!({
            "userName": "ana@acme.example", "userType": "Employee", "active": true,
            "emails": [{"value": "a@home", "type": "home"}, {"value": "a@work", "type": "work", "primary": true}],
            "groups": [{"value": "g1", "display": "CC Agents"}, {"value": "g2", "display": "CC Leads"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Ops"}
        })
    }

    #[test]
    fn groups_and_what_is_not_so_are_named() {
        let when = r#"groups.display eq "cc agents" and not (userType eq "Contractor")"#;
        assert_eq!(why(when, ana()), [group("g1", "CC Agents"), unmatched(r#"userType eq "Contractor""#)]);
        assert_eq!(why(r#"groups eq "g2""#, ana()), [group("g2", "CC Leads")]);
        assert_eq!(why(r#"groups[display sw "CC" and value eq "g2"]"#, ana()), [group("g2", "CC Leads")]);
    }

    #[test]
    fn of_alternatives_all_that_hold_are_given() {
        let when = r#"userType eq "Employee" or department eq "Ops" or title pr"#;
        let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
        assert_eq!(why(when, ana()), [attribute("userType", json!("Employee")), attribute(department, json!("Ops"))]);
    }

    #[test]
    fn elements_and_values_are_those_that_matched() {
        assert_eq!(why(r#"emails co "work""#, ana()), [attribute("emails", json!("a@work"))]);
        assert_eq!(why(r#"emails[type eq "home"]"#, ana()), [attribute("emails", json!("a@home"))]);
        assert_eq!(why("emails.primary eq true", ana()), [attribute("emails.primary", json!(true))]);
        assert_eq!(why("active eq true", ana()), [attribute("active", json!(true))]);
    }

    #[test]
    fn negations_turn_inside_out() {
        assert_eq!(why("title eq null", ana()), [unmatched("title pr")]);
        assert_eq!(why(r#"not (userType eq "X" and active eq true)"#, ana()), [unmatched(r#"userType eq "X""#)]);
        assert_eq!(
            why(r#"not (userType eq "X" or not (active eq true))"#, ana()),
            [unmatched(r#"userType eq "X""#), attribute("active", json!(true))]
        );
        assert_eq!(
            why(r#"not (emails[type eq "other" or value ew ".test"])"#, ana()),
            [unmatched(r#"emails[type eq "other" or value ew ".test"]"#)]
        );
    }

    #[test]
    fn a_condition_that_fails_has_no_evidence() {
        assert!(why(r#"groups.display eq "CC Agents" and userType eq "Contractor""#, ana()).is_empty());
    }

    #[test]
    fn evidence_is_bounded() {
        let groups: Vec<_> = (0..500).map(|n| json!({"value": format!("g{n}"), "display": "x".repeat(400)})).collect();
        let found = why("groups pr", json!({"groups": groups}));
        assert_eq!(found.len(), MAX_EVIDENCE);
        assert!(serde_json::to_string(&found).unwrap().len() < 8_000);
    }
}
