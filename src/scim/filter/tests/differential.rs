//! Our reader against the one of the crate `scim_v2`: what both take must mean the same, and over the grammar of RFC 7644
//! both take the same.

use proptest::prelude::*;
use scim_v2::filter as theirs;

use super::{parse, text};
use crate::scim::filter::{Filter, Node, NodeId};
use crate::scim::schema::AttrName;

/// A filter written with brackets around everything, so that equal texts are equal trees.
fn ours(filter: &Filter, id: NodeId) -> String {
    let list = |children: &[NodeId], word: &str| {
        let parts: Vec<String> = children.iter().map(|child| ours(filter, *child)).collect();
        format!("{word}({})", parts.join(","))
    };
    match filter.node(id) {
        Node::And(children) => list(children, "and"),
        Node::Or(children) => list(children, "or"),
        Node::Not(inner) => format!("not({})", ours(filter, *inner)),
        Node::Present(attr) => format!("{attr} pr"),
        Node::Compare { attr, op, value } => format!("{attr} {op} {value}"),
        Node::ValuePath { attr, inner } => format!("{attr}[{}]", ours(filter, *inner)),
    }
}

fn joined(word: &str, parts: impl Iterator<Item = String>) -> String {
    format!("{word}({})", parts.collect::<Vec<_>>().join(","))
}

fn term(term: &theirs::AttrExp) -> String {
    match term {
        theirs::AttrExp::Present(attr) => format!("{attr} pr"),
        theirs::AttrExp::Comparison(attr, op, value) => format!("{attr} {op} {value}"),
    }
}

fn their_filter(filter: &theirs::Filter) -> String {
    match filter {
        theirs::Filter::Attr(leaf) => term(leaf),
        theirs::Filter::ValuePath(path) => format!("{}[{}]", path.attr, their_value_filter(&path.filter)),
        theirs::Filter::Not(inner) => format!("not({})", their_filter(inner)),
        theirs::Filter::And(items) => joined("and", items.iter().map(their_filter)),
        theirs::Filter::Or(items) => joined("or", items.iter().map(their_filter)),
    }
}

fn their_value_filter(filter: &theirs::ValFilter) -> String {
    match filter {
        theirs::ValFilter::Attr(leaf) => term(leaf),
        theirs::ValFilter::Not(inner) => format!("not({})", their_value_filter(inner)),
        theirs::ValFilter::And(items) => joined("and", items.iter().map(their_value_filter)),
        theirs::ValFilter::Or(items) => joined("or", items.iter().map(their_value_filter)),
    }
}

proptest! {
    #[test]
    fn both_read_the_grammar_alike(text in text()) {
        let mine = parse(&text).unwrap();
        let other: theirs::Filter = text.parse().unwrap();
        prop_assert_eq!(ours(&mine, mine.root()), their_filter(&other));
    }

    /// Tokens in any order: where the other reader accepts, so do we, and alike; where only we accept, the text uses one of
    /// the liberties that are meant.
    #[test]
    fn a_jumble_is_accepted_alike(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "emails[", "]", "not (", "and", "or", "title pr", "active eq true", "name.givenName sw \"x\"", "a", "eq", "1", "].value eq \"x\"",
        ]), 1..9),
    ) {
        let text = tokens.join(" ");
        match (parse(&text), text.parse::<theirs::Filter>()) {
            (Ok(mine), Ok(other)) => prop_assert_eq!(ours(&mine, mine.root()), their_filter(&other)),
            (Err(_), Err(_)) => {}
            (Ok(_), Err(_)) => prop_assert!(text.contains("].value"), "only we accept {text}"),
            (Err(error), Ok(_)) => prop_assert!(false, "only we refuse {text}: {error}"),
        }
    }

    #[test]
    fn names_are_read_alike(name in super::name()) {
        let AttrName { urn, name: attribute, sub } = AttrName::parse(&name).unwrap();
        let theirs::PatchPath::Attr(other) = name.parse().unwrap() else { panic!("{name} is a plain path") };
        prop_assert_eq!((urn, attribute, sub), (other.uri, other.name, other.sub_attr));
    }
}
