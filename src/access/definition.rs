//! A mapping rule as people write it and as it is stored: plain data, not yet checked against a schema.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::domain::Role;

/// What a rule says. [`super::Rule::compile`] checks it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDefinition {
    /// The name by which people and reports know the rule; unique, ignoring case.
    pub name: String,
    /// The condition: a SCIM filter (RFC 7644 §3.4.2.2) over the user with its groups.
    pub when: String,
    /// The role, if the rule decides one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether somebody with a greater role than agent takes tasks too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub act_as_agent: bool,
    /// Teams by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Skills by name, each with its level.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub skills: IndexMap<String, Level>,
    /// Channels by the unique name of their task channel, each with its capacity.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub channels: IndexMap<String, u32>,
    /// Worker attributes by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub attributes: IndexMap<String, Grant>,
}

/// The level of a skill: an integer or a decimal, as queue expressions compare it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(Number);

impl Level {
    /// The greatest level.
    pub const MAX: u32 = 1000;

    /// The level as it stands in a worker's attributes.
    #[must_use]
    pub const fn number(&self) -> &Number {
        &self.0
    }

    /// Whether it lies between 0 and [`Level::MAX`].
    #[must_use]
    pub fn in_range(&self) -> bool {
        self.0.as_f64().is_some_and(|level| (0.0..=f64::from(Self::MAX)).contains(&level))
    }
}

impl From<Number> for Level {
    fn from(number: Number) -> Self {
        Self(number)
    }
}

impl From<u32> for Level {
    fn from(level: u32) -> Self {
        Self(level.into())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the value of a granted worker attribute comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Grant {
    /// The same value for everybody.
    Literal(Value),
    /// The value of the person's SCIM attribute of this name: `{ from = "userType" }`.
    From(String),
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Literal(value) => value.serialize(serializer),
            Self::From(name) => Map::from_iter([("from".to_owned(), Value::from(name.as_str()))]).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Value> for Grant {
    type Error = &'static str;

    /// An object with the key `from` names a source, everything else is a literal.
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let Some(from) = value.as_object().and_then(|object| object.get("from")) else {
            return Ok(Self::Literal(value));
        };
        match (from, value.as_object().map(Map::len)) {
            (Value::String(name), Some(1)) => Ok(Self::From(name.clone())),
            (Value::String(_), _) => Err("a table with `from` takes no other key"),
            _ => Err("`from` takes the name of a SCIM attribute, as text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_rules_read_back() {
        let text = json!({
            "name": "agents", "when": "active eq true", "role": "agent", "act_as_agent": true, "teams": ["Support"],
            "skills": {"english": 3, "billing": 1.5}, "channels": {"voice": 1},
            "attributes": {"site": "north", "cost": {"from": "userType"}, "nested": {"a": [1]}}
        });
        let rule: RuleDefinition = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(rule.attributes["cost"], Grant::From("userType".to_owned()));
        assert_eq!(rule.attributes["nested"], Grant::Literal(json!({"a": [1]})));
        assert_eq!(serde_json::to_value(&rule).unwrap(), text);
        assert!(serde_json::from_value::<RuleDefinition>(json!({"name": "a", "when": "b", "roles": []})).is_err());
    }

    #[test]
    fn from_stands_alone() {
        assert!(Grant::try_from(json!({"from": "userType", "default": "x"})).is_err());
        assert!(Grant::try_from(json!({"from": 1})).is_err());
    }

    #[test]
    fn levels_have_a_range() {
        let level = |number: Value| serde_json::from_value::<Level>(number).unwrap().in_range();
        assert!(level(json!(0)) && level(json!(2.5)) && level(json!(1000)));
        assert!(!level(json!(-1)) && !level(json!(1000.5)));
    }
}
