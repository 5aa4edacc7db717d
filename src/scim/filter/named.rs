//! Values that are found by a name inside them.

use super::{CompareOp, Filter, Literal, Node, NodeId};
use crate::scim::schema::AttrName;

impl Filter {
    /// Reads each `attribute.x` as the elements of `attribute` whose `name` is `x`: `claims.site eq "A"` becomes
    /// `claims[name eq "site" and value eq "A"]`. `attribute.name` and `attribute.value` stay.
    #[must_use]
    pub fn with_named(mut self, attribute: &str) -> Self {
        for at in 0..self.nodes.len() {
            let named = match &self.nodes[at] {
                Node::Compare { attr, op, value } => {
                    named(attr, attribute).map(|name| (name, Some((*op, value.clone()))))
                }
                Node::Present(attr) => named(attr, attribute).map(|name| (name, None)),
                Node::And(_) | Node::Or(_) | Node::Not(_) | Node::ValuePath { .. } => None,
            };
            if let Some((name, test)) = named {
                self.nodes[at] = self.elements(attribute, name, test);
            }
        }
        self
    }

    /// The elements of that name for which the test holds.
    fn elements(&mut self, attribute: &str, name: String, test: Option<(CompareOp, Literal)>) -> Node {
        let name =
            Node::Compare { attr: AttrName::short("name", None), op: CompareOp::Eq, value: Literal::String(name) };
        let name = self.add(name);
        let any = |inner| Node::ValuePath { attr: AttrName::short(attribute, None), inner };
        match test {
            None | Some((CompareOp::Ne, Literal::Null)) => any(name),
            Some((CompareOp::Eq, Literal::Null)) => Node::Not(self.add(any(name))),
            Some((op, value)) => {
                let value = self.add(Node::Compare { attr: AttrName::short("value", None), op, value });
                any(self.add(Node::And(vec![name, value])))
            }
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId::next(self.nodes.len());
        self.nodes.push(node);
        id
    }
}

/// The name after the attribute's, if it is none of the attribute's own parts.
fn named(attr: &AttrName, attribute: &str) -> Option<String> {
    let is_it = attr.urn.is_none() && attr.name.eq_ignore_ascii_case(attribute);
    let own = |sub: &String| sub.eq_ignore_ascii_case("name") || sub.eq_ignore_ascii_case("value");
    attr.sub.as_ref().filter(|sub| is_it && !own(sub)).cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Limits;
    use super::*;
    use crate::scim::Dialect;
    use crate::scim::schema::subject_schema;

    fn holds(filter: &str) -> bool {
        let subject = json!({"claims": [
            {"name": "site", "value": "Lima"}, {"name": "groups", "value": "A"}, {"name": "groups", "value": "B"}]});
        let filter = Filter::parse(filter, &Limits::default()).unwrap().with_named("claims");
        filter.bind(subject_schema(), Dialect::Auto).unwrap().matches(subject.as_object().unwrap())
    }

    #[test]
    fn a_claim_is_found_by_its_name() {
        for filter in [
            "claims.site eq \"lima\"",
            "Claims.Groups eq \"b\"",
            "claims.groups eq \"A\" and claims.groups eq \"B\"",
            "not (claims.groups eq \"Lima\")",
            "claims.site pr and not (claims.team pr)",
            "claims.team eq null and claims.site ne null",
            "claims.site sw \"Li\" or userName pr",
            "claims[name eq \"site\" and value co \"im\"]",
            "claims.value eq \"A\" and claims.name eq \"site\"",
        ] {
            assert!(holds(filter), "{filter}");
        }
        for filter in ["claims.site eq \"A\"", "claims.team eq \"Lima\"", "claims.site eq null", "claims.team ne \"x\""]
        {
            assert!(!holds(filter), "{filter}");
        }
    }
}
