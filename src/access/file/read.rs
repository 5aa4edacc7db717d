//! From TOML values to a rule definition, with the line of each key.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::Lines;
use crate::access::definition::{Grant, Level, RuleDefinition};
use crate::access::nearest::did_you_mean;
use crate::access::rule::Problem;
use crate::domain::Role;

const KEYS: [&str; 8] = ["name", "when", "role", "act_as_agent", "teams", "skills", "channels", "attributes"];

type Found = (Option<usize>, Problem);

/// Reads one rule; collects the problems instead of stopping at the first.
pub(super) struct Reader<'a> {
    lines: &'a Lines,
    key_lines: HashMap<String, usize>,
    found: Vec<Found>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lines: &'a Lines) -> Self {
        Self { lines, key_lines: HashMap::new(), found: Vec::new() }
    }

    /// The line of each key, and the problems, with their line where they have one.
    pub(super) fn finish(self) -> (HashMap<String, usize>, Vec<Found>) {
        (self.key_lines, self.found)
    }

    pub(super) fn rule(&mut self, table: &DeTable<'_>) -> RuleDefinition {
        let mut rule = RuleDefinition::default();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            self.key_lines.insert(name.to_owned(), self.lines.at(key.span().start));
            match name {
                "name" => rule.name = self.text(name, value).unwrap_or_default(),
                "when" => rule.when = self.text(name, value).unwrap_or_default(),
                "role" => rule.role = self.role(value),
                "act_as_agent" => rule.act_as_agent = self.boolean(name, value),
                "teams" => rule.teams = self.texts(name, value),
                "skills" => rule.skills = self.entries(name, value, Self::level),
                "channels" => rule.channels = self.entries(name, value, Self::capacity),
                "attributes" => rule.attributes = self.entries(name, value, Self::grant),
                unknown => {
                    let meant = did_you_mean(unknown, KEYS);
                    self.problem(unknown, format!("unknown key{meant}"));
                }
            }
        }
        for key in ["name", "when"] {
            if !table.contains_key(key) {
                self.problem(key, "is missing".to_owned());
            }
        }
        rule
    }

    fn problem(&mut self, key: &str, message: String) {
        let line = self.key_lines.get(key).copied();
        self.found.push((line, Problem { key: key.to_owned(), message }));
    }

    fn wrong_type(&mut self, key: &str, wanted: &str, value: &DeValue<'_>) {
        self.problem(key, format!("takes {wanted}, not {}", type_of(value)));
    }

    fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong_type(key, "text in quotes", value.get_ref());
        }
        text
    }

    fn boolean(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> bool {
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, "true or false", value.get_ref());
            false
        })
    }

    fn role(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Role> {
        match self.text("role", value)?.parse::<Role>() {
            Ok(role) => Some(role),
            Err(error) => {
                self.problem("role", error.to_string());
                None
            }
        }
    }

    fn texts(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<String> {
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, "a list of names", value.get_ref());
            return Vec::new();
        };
        items.iter().filter_map(|item| self.text(key, item)).collect()
    }

    fn entries<T>(
        &mut self,
        list: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&mut Self, &str, &DeValue<'_>) -> Option<T>,
    ) -> IndexMap<String, T> {
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(list, "a table, such as { name = ... }", value.get_ref());
            return IndexMap::new();
        };
        let mut entries = IndexMap::new();
        for (name, value) in table {
            let key = format!("{list}.{}", name.get_ref());
            self.key_lines.insert(key.clone(), self.lines.at(name.span().start));
            if let Some(value) = read(self, &key, value.get_ref()) {
                entries.insert(name.get_ref().to_string(), value);
            }
        }
        entries
    }

    fn level(&mut self, key: &str, value: &DeValue<'_>) -> Option<Level> {
        let number = number(value);
        if number.is_none() {
            self.wrong_type(key, "a number", value);
        }
        number.map(Level::from)
    }

    fn capacity(&mut self, key: &str, value: &DeValue<'_>) -> Option<u32> {
        let capacity = match value {
            DeValue::Integer(integer) => whole(integer).and_then(|capacity| u32::try_from(capacity).ok()),
            _ => None,
        };
        if capacity.is_none() {
            self.problem(key, "takes a whole number from 0 to 50".to_owned());
        }
        capacity
    }

    fn grant(&mut self, key: &str, value: &DeValue<'_>) -> Option<Grant> {
        let Some(value) = json(value) else {
            self.problem(key, "has a number that JSON cannot carry".to_owned());
            return None;
        };
        match Grant::try_from(value) {
            Ok(grant) => Some(grant),
            Err(message) => {
                self.problem(key, message.to_owned());
                None
            }
        }
    }
}

/// The same value in JSON; dates become text. None for infinity, not-a-number and integers beyond 64 bits.
///
/// Recurses as deep as the TOML reader nests, which has a limit of its own.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(_) | DeValue::Float(_) => Value::Number(number(value)?),
        DeValue::Boolean(boolean) => Value::from(*boolean),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?),
        DeValue::Table(table) => {
            let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                json(value.get_ref()).map(|value| (key.to_string(), value))
            };
            Value::Object(table.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
    })
}

fn number(value: &DeValue<'_>) -> Option<Number> {
    match value {
        DeValue::Integer(integer) => whole(integer).map(Number::from),
        DeValue::Float(float) => decimal(float),
        _ => None,
    }
}

fn whole(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn decimal(float: &DeFloat<'_>) -> Option<Number> {
    float.as_str().parse().ok().and_then(Number::from_f64)
}

const fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
