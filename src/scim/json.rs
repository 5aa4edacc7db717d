//! The strict reader of request bodies.
//!
//! `serde_json` keeps the last of two equal keys and knows no depth of ours, so two readers of one body could see two
//! different requests. Here a body has one meaning or none.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::ScimError;

/// The deepest nesting of a body; the RFC's own resources need four levels.
pub const MAX_DEPTH: usize = 64;

/// Objects with more keys than this are checked for duplicates by hashing.
const FEW_KEYS: usize = 16;

/// Reads a request body.
///
/// # Errors
/// 400 `invalidSyntax` if the body is empty, is not JSON in UTF-8, is nested deeper than 64 levels or has an object
/// that names an attribute twice. Attribute names ignore case (RFC 7643 §2.1), so `userName` and `username` are the
/// same twice. The detail gives the place, never the content.
pub fn parse(bytes: &[u8]) -> Result<Value, ScimError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ScimError::invalid_syntax("The request has no body: send a JSON object."));
    }
    let fault = Cell::new(Fault::Syntax);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Seed { depth: 0, fault: &fault }.deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    read.map_err(|error| {
        let what = match fault.get() {
            Fault::Syntax => "is not valid JSON in UTF-8",
            Fault::Depth => "is nested deeper than 64 levels",
            Fault::Duplicate => "names an attribute twice in one object (names ignore case)",
        };
        ScimError::invalid_syntax(format!("The request body {what}: line {}, column {}.", error.line(), error.column()))
    })
}

#[derive(Clone, Copy)]
enum Fault {
    Syntax,
    Depth,
    Duplicate,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    depth: usize,
    fault: &'a Cell<Fault>,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            self.fault.set(Fault::Depth);
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if is_duplicate(&object, &mut seen, &key) {
                self.fault.set(Fault::Duplicate);
                return Err(A::Error::custom("duplicate"));
            }
            object.insert(key, entries.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

/// Whether the object has the key already; `seen` holds the folded keys once there are many.
fn is_duplicate(object: &Map<String, Value>, seen: &mut HashSet<String>, key: &str) -> bool {
    if object.len() < FEW_KEYS {
        return object.keys().any(|other| other.eq_ignore_ascii_case(key));
    }
    if seen.is_empty() {
        seen.extend(object.keys().map(|other| other.to_ascii_lowercase()));
    }
    !seen.insert(key.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn detail(body: &str) -> String {
        let error = parse(body.as_bytes()).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(crate::scim::ScimType::InvalidSyntax)));
        error.detail
    }

    #[test]
    fn s40_duplicate_keys_are_refused_at_every_level_and_in_every_case() {
        for body in [
            r#"{"active":true,"active":false}"#,
            r#"{"active":true,"Active":false}"#,
            r#"{"a":[{"b":{"value":1,"VALUE":1}}]}"#,
            r#"{"active":true,"activ\u0065":false}"#,
        ] {
            assert!(detail(body).contains("twice"), "{body}");
        }
        let keys: Vec<String> = (0..40).map(|n| format!(r#""k{n}":1"#)).collect();
        assert!(parse(format!("{{{}}}", keys.join(",")).as_bytes()).is_ok());
        for again in ["K3", "k17", "K39"] {
            assert!(detail(&format!(r#"{{{},"{again}":1}}"#, keys.join(","))).contains("twice"));
        }
    }

    #[test]
    fn s40_depth_is_capped() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(detail(&nested(MAX_DEPTH + 1)).contains("deeper"));
        assert!(detail(&"[".repeat(1_000_000)).contains("deeper"));
        assert!(detail(&r#"{"a":"#.repeat(1_000_000)).contains("deeper"));
    }

    #[test]
    fn what_is_not_json_is_refused_by_place() {
        assert_eq!(detail("{\n  \"secret\": oops}"), "The request body is not valid JSON in UTF-8: line 2, column 13.");
        for body in
            ["", "  ", "{", "{}{}", "{'a':1}", "{\"a\":1,}", "nul", "NaN", "1e999", r#""\ud800""#, "{\"a\":\"\n\"}"]
        {
            assert!(!detail(body).contains("secret"), "{body}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn keys_that_are_special_to_the_library_are_plain_keys() {
        let body = r#"{"$serde_json::private::RawValue":"[[","$serde_json::private::Number":"x"}"#;
        assert_eq!(parse(body.as_bytes()).unwrap().as_object().unwrap().len(), 2);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..20)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in any_json()) {
            // Through text once, because a float may be written shorter than it was.
            let text = value.to_string();
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let strict = parse(&bytes).is_ok();
            prop_assert!(!strict || serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }
}
