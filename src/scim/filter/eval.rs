//! Evaluation over a resource.
//!
//! A missing attribute satisfies no comparison and no `pr`; negation is plain negation. So `ne` also selects resources
//! without the attribute, and of a multi-valued attribute it selects those none of whose values is equal. RFC 7644 leaves
//! both open; this reading makes `a ne b` and `not (a eq b)` one thing, in memory as in SQL.

use serde_json::{Map, Value};

use super::{Bound, BoundNode, NodeId, Relation};
use crate::scim::schema::{AttrRef, AttributeType};

/// What a node is about.
#[derive(Clone, Copy)]
enum Subject<'v> {
    Resource(&'v Map<String, Value>),
    Element(&'v Value),
}

impl Bound {
    /// Whether a resource satisfies the filter. Attributes that are kept outside the document (`id`, `meta`, `groups`,
    /// `members`) must be in `resource` where [`Bound::targets`] names them.
    pub fn matches(&self, resource: &Map<String, Value>) -> bool {
        self.holds(self.root(), Subject::Resource(resource))
    }

    /// Whether one element satisfies a filter made by [`super::Filter::bind_elements`].
    pub fn matches_element(&self, element: &Value) -> bool {
        self.holds(self.root(), Subject::Element(element))
    }

    /// Whether the part of the filter under a node is true of a resource: what it takes to say why the whole is.
    pub fn holds_at(&self, id: NodeId, resource: &Map<String, Value>) -> bool {
        self.holds(id, Subject::Resource(resource))
    }

    /// Whether the comparison or bracket at a node is true of one element of its attribute.
    pub fn element_holds_at(&self, id: NodeId, element: &Value) -> bool {
        self.holds(id, Subject::Element(element))
    }

    fn holds(&self, id: NodeId, subject: Subject<'_>) -> bool {
        match self.node(id) {
            BoundNode::And(children) => children.iter().all(|child| self.holds(*child, subject)),
            BoundNode::Or(children) => children.iter().any(|child| self.holds(*child, subject)),
            BoundNode::Not(inner) => !self.holds(*inner, subject),
            BoundNode::Compare { target, relation, operand } => {
                elements(*target, subject).iter().any(|element| match target.compared() {
                    None => operand.holds(*relation, element),
                    Some(sub) => match element.get(sub.name) {
                        Some(value) => operand.holds(*relation, value),
                        // RFC 7643 §2.4: an element without `primary` is one that is not primary.
                        None => is_default_primary(*target) && operand.holds(Relation::Eq, &Value::Bool(false)),
                    },
                })
            }
            BoundNode::Present(target) => elements(*target, subject).iter().any(|element| match target.sub {
                None => !is_empty(element),
                Some(sub) => element.get(sub.name).is_some_and(|value| !is_empty(value)),
            }),
            BoundNode::ExtensionPresent(urn) => match subject {
                Subject::Resource(resource) => resource.get(*urn).is_some_and(|extension| !is_empty(extension)),
                Subject::Element(_) => false,
            },
            BoundNode::ValuePath { target, inner } => {
                elements(*target, subject).iter().any(|element| self.holds(*inner, Subject::Element(element)))
            }
        }
    }
}

/// The values of the attribute: of the resource, or the one that is looked at.
fn elements(target: AttrRef, subject: Subject<'_>) -> &[Value] {
    let resource = match subject {
        Subject::Element(element) => return std::slice::from_ref(element),
        Subject::Resource(resource) => resource,
    };
    let container = match target.extension {
        None => Some(resource),
        Some(urn) => resource.get(urn).and_then(Value::as_object),
    };
    match container.and_then(|attributes| attributes.get(target.attr.name)) {
        None => &[],
        Some(Value::Array(elements)) => elements,
        Some(value) => std::slice::from_ref(value),
    }
}

fn is_default_primary(target: AttrRef) -> bool {
    target.attr.multi_valued
        && target.sub.is_some_and(|sub| sub.kind == AttributeType::Boolean && sub.name == "primary")
}

/// Whether a value counts as unassigned (RFC 7643 §2.5): null, no text, no elements, or nothing but such parts.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.iter().all(is_empty),
        Value::Object(parts) => parts.values().all(is_empty),
    }
}
