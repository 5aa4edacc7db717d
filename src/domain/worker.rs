//! What a `TaskRouter` worker should be, and which parts of it are ours.
//!
//! A worker is shared property: SSO, plugins and people write attributes too. So the desired worker
//! holds only the keys that Rollcall means to set, and [`Applied`] remembers which it did set, because
//! a key that loses its value can be told from a key of somebody else only by that record.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

/// The largest JSON text `TaskRouter` takes as a worker's attributes, in characters with white space counted.
///
/// Source: the page "Limits" of the `TaskRouter` API documentation.
pub const MAX_ATTRIBUTES_CHARS: usize = 4096;

/// The largest capacity of a worker channel.
pub const MAX_CHANNEL_CAPACITY: u32 = 50;

/// The one attribute whose members we own singly: other programs keep their own members in it.
pub const ROUTING: &str = "routing";

/// A worker as it should be at `TaskRouter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredWorker {
    /// The unique name in the workspace: the identity with which the person signs in to Flex.
    pub friendly_name: String,
    /// Only the keys that we set, `routing` with only the members that we set. Never null, never an empty string.
    pub attributes: Map<String, Value>,
    /// Capacity of each granted channel by its unique name (0 to [`MAX_CHANNEL_CAPACITY`]).
    pub channels: BTreeMap<String, u32>,
}

impl DesiredWorker {
    /// A hash that is equal for equal workers, whatever the order of their keys (SHA-256 in hexadecimal).
    ///
    /// Numbers that `TaskRouter` cannot tell apart (`3` and `3.0`) hash alike.
    #[must_use]
    pub fn digest(&self) -> String {
        let channels = self.channels.iter().map(|(name, capacity)| (name.clone(), Value::from(*capacity))).collect();
        let mut text = String::new();
        for part in
            [Value::from(self.friendly_name.as_str()), Value::Object(self.attributes.clone()), Value::Object(channels)]
        {
            write_canonical(&part, &mut text);
            text.push('\n');
        }
        hex::encode(Sha256::digest(text.as_bytes()))
    }

    /// Each key that we set with its value; the members of `routing` one by one, as `routing.skills`.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, &Value)> {
        let mut entries = Vec::with_capacity(self.attributes.len());
        for (name, value) in &self.attributes {
            match value {
                Value::Object(members) if name == ROUTING => {
                    entries.extend(members.iter().map(|(member, value)| (format!("{ROUTING}.{member}"), value)));
                }
                _ => entries.push((name.clone(), value)),
            }
        }
        entries
    }

    /// The keys that we set.
    #[must_use]
    pub fn owned_keys(&self) -> OwnedKeys {
        self.entries().into_iter().map(|(key, _)| key).collect()
    }

    /// What is to be recorded once this worker has been written.
    #[must_use]
    pub fn applied(&self) -> Applied {
        let channels = self.channels.iter().map(|(name, capacity)| (name.clone(), Some(*capacity))).collect();
        Applied { keys: self.owned_keys(), channels, roles: self.roles().collect() }
    }

    /// The roles that it has at `TaskRouter`.
    pub fn roles(&self) -> impl Iterator<Item = String> + '_ {
        let roles = self.attributes.get("roles").and_then(Value::as_array);
        roles.into_iter().flatten().filter_map(|role| role.as_str().map(str::to_owned))
    }
}

/// Attribute keys that we wrote: top-level names, and `routing.<member>` for the members of `routing`.
///
/// Rules may not grant names with a dot, so a key has one reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnedKeys(BTreeSet<String>);

impl OwnedKeys {
    /// Whether the key is ours.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// Adds a key.
    pub fn insert(&mut self, key: impl Into<String>) {
        self.0.insert(key.into());
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The keys that are here and not in `other`: those that lost their value.
    pub fn minus<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.0.difference(&other.0).map(String::as_str)
    }

    /// These and those of `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The value that a worker's attributes hold under an owned key.
    #[must_use]
    pub fn value<'a>(attributes: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
        match split(key) {
            (name, None) => attributes.get(name),
            (name, Some(member)) => attributes.get(name)?.as_object()?.get(member),
        }
    }

    /// Puts a value under an owned key, or takes it away; a `routing` that is left without members goes too.
    ///
    /// A `routing` that is not an object cannot hold members and is replaced.
    pub fn set(attributes: &mut Map<String, Value>, key: &str, value: Option<Value>) {
        let (name, member) = split(key);
        let Some(member) = member else {
            match value {
                Some(value) => drop(attributes.insert(name.to_owned(), value)),
                // `shift_remove` keeps the order of what others wrote.
                None => drop(attributes.shift_remove(name)),
            }
            return;
        };
        if let Some(value) = value {
            let holder = attributes.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if !holder.is_object() {
                *holder = Value::Object(Map::new());
            }
            if let Value::Object(members) = holder {
                members.insert(member.to_owned(), value);
            }
        } else if let Some(Value::Object(members)) = attributes.get_mut(name)
            && members.shift_remove(member).is_some()
            && members.is_empty()
        {
            attributes.shift_remove(name);
        }
    }
}

impl<K: Into<String>> FromIterator<K> for OwnedKeys {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        Self(keys.into_iter().map(Into::into).collect())
    }
}

/// What we have written to one worker, recorded with its row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    /// The attribute keys that hold a value of ours.
    pub keys: OwnedKeys,
    /// The channels that we set, with the capacity they got; none where we may have set it, and nobody knows to what.
    pub channels: BTreeMap<String, Option<u32>>,
    /// The roles that we gave it, at any time: what others gave to a worker may protect it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<String>,
}

/// Whether two attribute values are the same to `TaskRouter`: the order of keys and the spelling of numbers do not count.
#[must_use]
pub fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => canonical_number(left) == canonical_number(right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_value(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same_value(value, other)))
        }
        _ => left == right,
    }
}

fn split(key: &str) -> (&str, Option<&str>) {
    match key.split_once('.') {
        Some((ROUTING, member)) => (ROUTING, Some(member)),
        _ => (key, None),
    }
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Number(number) => out.push_str(&canonical_number(number)),
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// `3.0` as `3`; integers stay exact, because beyond 2^53 different ones share a float.
fn canonical_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    fn worker(attributes: Value) -> DesiredWorker {
        DesiredWorker {
            friendly_name: "ana@acme.example".to_owned(),
            attributes: map(attributes),
            channels: BTreeMap::from([("voice".to_owned(), 1)]),
        }
    }

    #[test]
    fn the_digest_ignores_order_and_spelling_of_numbers() {
        let one = worker(json!({"roles": ["agent"], "routing": {"skills": ["a"], "levels": {"a": 3}}}));
        let two = worker(json!({"routing": {"levels": {"a": 3.0}, "skills": ["a"]}, "roles": ["agent"]}));
        assert_eq!(one.digest(), two.digest());
        assert!(same_value(&Value::Object(one.attributes.clone()), &Value::Object(two.attributes)));
        for other in [
            worker(json!({"roles": ["agent"]})),
            DesiredWorker { friendly_name: "x".to_owned(), ..one.clone() },
            DesiredWorker { channels: BTreeMap::new(), ..one.clone() },
        ] {
            assert_ne!(one.digest(), other.digest());
        }
        assert!(!same_value(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
    }

    #[test]
    fn routing_is_owned_by_member() {
        let worker = worker(json!({"roles": ["agent"], "routing": {"skills": ["a"], "levels": {"a": 3}}}));
        let keys = worker.owned_keys();
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["roles", "routing.levels", "routing.skills"]);
        let mut found = map(json!({"x": 1, "routing": {"own": true, "skills": ["b"]}}));
        OwnedKeys::set(&mut found, "routing.skills", None);
        OwnedKeys::set(&mut found, "routing.levels", Some(json!({"a": 3})));
        assert_eq!(found, map(json!({"x": 1, "routing": {"own": true, "levels": {"a": 3}}})));
        assert_eq!(OwnedKeys::value(&found, "routing.levels"), Some(&json!({"a": 3})));
        OwnedKeys::set(&mut found, "routing.levels", None);
        OwnedKeys::set(&mut found, "routing.own", None);
        assert_eq!(found, map(json!({"x": 1})));
        OwnedKeys::set(&mut found, "routing.skills", None);
        assert_eq!(found, map(json!({"x": 1})));
    }

    #[test]
    fn the_record_survives_storage() {
        let applied = worker(json!({"roles": ["agent"]})).applied();
        let text = serde_json::to_string(&applied).unwrap();
        assert_eq!(text, r#"{"keys":["roles"],"channels":{"voice":1},"roles":["agent"]}"#);
        assert_eq!(serde_json::from_str::<Applied>(&text).unwrap(), applied);
    }
}
