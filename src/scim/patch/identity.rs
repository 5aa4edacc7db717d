//! When two elements of a multi-valued attribute are one and the same.
//!
//! Keys instead of comparisons of each with each: otherwise a request that adds a thousand elements a thousand times would
//! keep a core busy for minutes.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::base::fold;
use crate::scim::schema::{Attribute, AttributeType};

/// What an element is recognised by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Value(String),
    Typed(String, Option<String>),
    /// The SHA-256 of everything in it, where it has no `value` (addresses): an address may be long.
    Whole([u8; 32]),
}

/// The key by which an added or removed element is looked for: its `value` and, where it has any, its `type`.
fn wanted(attr: &Attribute, element: &Value) -> Key {
    match (part(attr, element, "value"), part(attr, element, "type")) {
        (Some(value), None) => Key::Value(value),
        (Some(value), kind) => Key::Typed(value, kind),
        (None, _) => Key::Whole(whole(element)),
    }
}

/// The keys by which an element that is there is found.
fn found_by(attr: &Attribute, element: &Value) -> Vec<Key> {
    match part(attr, element, "value") {
        Some(value) => {
            let kind = part(attr, element, "type");
            vec![Key::Value(value.clone()), Key::Typed(value, kind)]
        }
        None => vec![Key::Whole(whole(element))],
    }
}

/// The places of the elements by their keys; of equal elements, the first.
#[derive(Debug)]
pub(super) struct Places<'a> {
    attr: &'a Attribute,
    places: HashMap<Key, usize>,
}

impl<'a> Places<'a> {
    pub fn of(attr: &'a Attribute, elements: &[Value]) -> Self {
        let mut places = Self { attr, places: HashMap::with_capacity(elements.len() * 2) };
        for (index, element) in elements.iter().enumerate() {
            places.insert(index, element);
        }
        places
    }

    pub fn insert(&mut self, index: usize, element: &Value) {
        for key in found_by(self.attr, element) {
            self.places.entry(key).or_insert(index);
        }
    }

    pub fn get(&self, new: &Value) -> Option<usize> {
        self.places.get(&wanted(self.attr, new)).copied()
    }
}

/// Drops the elements that `named` names.
pub(super) fn remove_named(attr: &Attribute, elements: &mut Vec<Value>, named: &[Value]) {
    let named: HashSet<Key> = named.iter().map(|element| wanted(attr, element)).collect();
    elements.retain(|element| !found_by(attr, element).iter().any(|key| named.contains(key)));
}

fn part(attr: &Attribute, element: &Value, name: &str) -> Option<String> {
    let sub = attr.sub(name)?;
    let text = match element.get(sub.name)? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(if sub.case_exact || sub.kind != AttributeType::String { text } else { fold(&text) })
}

/// Its parts in the order of their names, each with its length before it, so that no two elements run into one text.
fn whole(element: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    match element {
        Value::Object(parts) => {
            for (name, value) in parts.iter().collect::<BTreeMap<_, _>>() {
                add(name);
                match value {
                    Value::String(text) => add(text),
                    other => add(&other.to_string()),
                }
            }
        }
        other => add(&other.to_string()),
    }
    hash.finalize().into()
}
