//! Damage: to bytes, and to the tree of a JSON text.

use serde_json::{Value, json};

use crate::support::{ENTERPRISE, Random, USER};

/// Pieces that mean something to one reader or another.
const PIECES: [&str; 52] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    ":",
    ",",
    ".",
    "$",
    " ",
    "\t",
    "\u{a0}",
    "\0",
    "not (",
    "not",
    " and ",
    " or ",
    " eq ",
    " co ",
    " pr",
    " Co ",
    "eq",
    "true",
    "null",
    "True",
    "1e999",
    "-0",
    "9007199254740993",
    "userName",
    "emails",
    "emails[type eq \"work\"]",
    ".value",
    "members",
    "members[value eq \"",
    "urn:ietf:params:scim:schemas:core:2.0:User:",
    "manager",
    "active",
    "meta.lastModified",
    "\"2026-01-31T08:30:00Z\"",
    "Bearer ",
    "bearer",
    "rcs_",
    "\u{e9}",
    "\u{1f600}",
    "$ref",
    "Operations",
    "\"value\":",
];
const KEYS: [&str; 22] = [
    "op",
    "path",
    "value",
    "Operations",
    "schemas",
    "userName",
    "USERNAME",
    "active",
    "name",
    "givenName",
    "name.givenName",
    "emails",
    "type",
    "primary",
    "roles",
    "members",
    "$ref",
    "displayName",
    "manager",
    ENTERPRISE,
    "id",
    "externalId",
];
const PATHS: [&str; 22] = [
    "userName",
    "active",
    "name",
    "name.givenName",
    "emails",
    "emails[type eq \"work\"].value",
    "emails[type eq \"work\"]",
    "emails[primary eq true and value co \"x\"].display",
    "roles[primary eq \"True\"].value",
    "manager",
    "manager.value",
    "members",
    "members[value eq \"m1\"]",
    "members[type eq \"Group\" or value sw \"m\"]",
    "displayName",
    "id",
    "meta.created",
    "groups",
    "password",
    "schemas",
    ENTERPRISE,
    USER,
];

/// Changes some bytes.
pub fn bytes(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(40) + 1);
    match random.below(8) {
        0 => drop(input.drain(at..end)),
        1 => drop(input.splice(at..end, random.one(PIECES).bytes())),
        2 | 3 => drop(input.splice(at..at, random.one(PIECES).bytes())),
        4 => {
            let piece = input[at..end].to_vec();
            let times = random.one([1, 2, 40, 900]);
            drop(input.splice(at..at, piece.repeat(times)));
        }
        5 => {
            let piece = random.one(PIECES).repeat(random.one([2, 33, 300, 3_000]));
            drop(input.splice(at..at, piece.bytes()));
        }
        6 => {
            let from = random.below(other.len() + 1);
            drop(input.splice(at..end, other[from..].iter().copied()));
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

/// Changes some places of the tree, if the text is JSON.
pub fn json(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let Ok(mut tree) = serde_json::from_slice::<Value>(input) else { return input.to_vec() };
    let other = serde_json::from_slice(other).unwrap_or(Value::Null);
    for _ in 0..=random.below(4) {
        let place = descend(random, &mut tree);
        change(random, place, &other);
    }
    tree.to_string().into_bytes()
}

/// Goes down the tree, and stops somewhere.
fn descend<'v>(random: &mut Random, value: &'v mut Value) -> &'v mut Value {
    if random.once_in(5)
        || value.as_object().is_none_or(serde_json::Map::is_empty) && value.as_array().is_none_or(Vec::is_empty)
    {
        return value;
    }
    match value {
        Value::Object(object) => {
            let which = random.below(object.len());
            descend(random, object.values_mut().nth(which).expect("it is there"))
        }
        Value::Array(array) => {
            let which = random.below(array.len());
            descend(random, &mut array[which])
        }
        other => other,
    }
}

fn change(random: &mut Random, value: &mut Value, other: &Value) {
    match (random.below(7), &mut *value) {
        (0, Value::Object(object)) => {
            let key = object.keys().nth(random.below(object.len().max(1))).cloned();
            key.map(|key| object.shift_remove(&key));
        }
        (0, Value::Array(array)) if !array.is_empty() => drop(array.remove(random.below(array.len()))),
        (1 | 2, Value::Object(object)) => {
            object.insert(random.one(KEYS).to_owned(), leaf(random));
        }
        (1 | 2, Value::Array(array)) => {
            let new = random.pick(array).cloned().unwrap_or_else(|| leaf(random));
            let times = random.one([1, 1, 1, 30]);
            array.extend(std::iter::repeat_n(new, times));
        }
        (3, _) => *value = json!([value.take()]),
        (4, _) => *value = json!({ random.one(KEYS): value.take() }),
        (5, _) => *value = piece_of(random, other),
        _ => *value = leaf(random),
    }
}

fn piece_of(random: &mut Random, other: &Value) -> Value {
    let mut other = other.clone();
    descend(random, &mut other).clone()
}

fn leaf(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        1 => json!(random.once_in(2)),
        2 => json!(random.one([0_i64, 1, -1, i64::MAX, i64::MIN])),
        3 => json!(random.one([0.5, 1e300, -0.0])),
        4 => json!(random.one([
            "",
            " ",
            "True",
            "false",
            "work",
            "{\"value\":\"Admin\"}",
            "x@y.example",
            "m1",
            "\u{202e}a"
        ])),
        5 => json!({"value": random.one(["", "m1", "work", "True"]), "type": "work", "primary": random.once_in(2)}),
        6 => json!([]),
        7 => json!(random.one(["add", "Replace", "remove", "REMOVE", "move"])),
        _ => json!(random.one(PATHS)),
    }
}
