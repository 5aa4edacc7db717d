//! Merging: which value holds for each key, and where it was said.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, ConfigFile, Flag, Problem};

/// The built-in defaults, which are also the reference for people.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

pub(super) const PREFIX: &str = "ROLLCALL_";
/// Not settings: the name of the configuration file, and what the project's own tests use.
const OTHER_VARIABLES: [&str; 2] = ["ROLLCALL_CONFIG", "ROLLCALL_TEST_"];
/// Settings that an empty variable switches off; of all others it leaves what was said before.
const MAY_BE_EMPTY: [&str; 1] = ["OPS_LISTEN"];
const SECRETS: [&str; 2] = ["secret_key", "taskrouter.api_secret"];

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the built-in defaults.
    Default,
    /// In the configuration file.
    File {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Environment(String),
    /// On the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting in force, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// The value as TOML; secrets are masked.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

/// The values of all keys.
pub(super) struct Layers {
    /// The defaults tell which keys there are and of what type.
    defaults: BTreeMap<String, Value>,
    values: BTreeMap<String, (Value, Origin)>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl Layers {
    pub(super) fn defaults() -> Result<Self, ConfigError> {
        let table = DEFAULTS.parse().map_err(|error: toml::de::Error| {
            ConfigError::from(Problem::new(Some(Origin::Default), error.message().to_owned()))
        })?;
        let mut defaults = BTreeMap::new();
        flatten("", table, &mut defaults);
        let values = defaults.iter().map(|(key, value)| (key.clone(), (value.clone(), Origin::Default))).collect();
        Ok(Self { defaults, values, problems: Vec::new(), warnings: Vec::new() })
    }

    /// The value in force and where it was said.
    pub(super) fn get(&self, key: &str) -> Option<(&Value, &Origin)> {
        self.values.get(key).map(|(value, origin)| (value, origin))
    }

    pub(super) fn default_of(&self, key: &str) -> Option<&Value> {
        self.defaults.get(key)
    }

    pub(super) fn add_file(&mut self, file: &ConfigFile) {
        let place = |at: usize| Origin::File { name: file.name.clone(), line: line_of(&file.text, at) };
        match DeTable::parse(&file.text) {
            Ok(table) => self.add_table("", table.get_ref(), &place),
            Err(error) => {
                let origin = place(error.span().map_or(0, |span| span.start));
                self.problems.push(Problem::new(Some(origin), format!("is not TOML: {}", error.message())));
            }
        }
    }

    fn add_table(&mut self, path: &str, table: &DeTable<'_>, place: &impl Fn(usize) -> Origin) {
        for (name, value) in table {
            let origin = place(name.span().start);
            let name = name.get_ref();
            let key = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            // A quoted key with a dot in it names nothing, though it reads like a path.
            let path_like = name.contains('.');
            let leaf = !path_like && self.defaults.contains_key(&key);
            let is_table = !path_like && self.is_table(&key);
            match value.get_ref() {
                DeValue::Table(inner) if is_table => self.add_table(&key, inner, place),
                _ if leaf => match plain(value.get_ref()) {
                    Some(value) => self.set(&key, value, origin),
                    None => self.refuse(origin, &key),
                },
                _ if is_table => {
                    let message = format!("'{key}' is a table: write [{key}] and its keys below");
                    self.problems.push(Problem::new(Some(origin), message));
                }
                _ => {
                    let message = format!("unknown key '{key}'{}", self.hint(&key, str::to_owned));
                    self.problems.push(Problem::new(Some(origin), message));
                }
            }
        }
    }

    pub(super) fn add_environment(&mut self, environment: &[(String, String)]) {
        for (variable, text) in environment {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            let unset = text.is_empty() && !MAY_BE_EMPTY.contains(&name);
            if unset || OTHER_VARIABLES.iter().any(|other| variable.starts_with(other)) {
                continue;
            }
            let key = match name {
                // The name that everybody knows from other programs, for the one key that people set by hand.
                "LOG" => "log.filter".to_owned(),
                _ => name.to_ascii_lowercase().replace("__", "."),
            };
            let known = name.chars().all(|c| !c.is_ascii_lowercase()) && self.defaults.contains_key(&key);
            if known {
                self.set_text(&key, text, Origin::Environment(variable.clone()));
            } else {
                let hint = self.hint(&key, variable_of);
                self.warnings.push(format!("the environment variable {variable} is not known and was ignored{hint}"));
            }
        }
    }

    pub(super) fn add_flags(&mut self, flags: &[Flag]) {
        for flag in flags {
            self.set_text(flag.key, &flag.value, Origin::Flag(flag.name));
        }
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        let show = |key: &str, value: &Value| match (key, value.as_str()) {
            (_, None | Some("")) => value.to_string(),
            ("database_url", Some(url)) => Value::from(without_password(url)).to_string(),
            _ if SECRETS.contains(&key) => "\"(hidden)\"".to_owned(),
            _ => value.to_string(),
        };
        let row = |(key, (value, origin)): (&String, &(Value, Origin))| Setting {
            key: key.clone(),
            value: show(key, value),
            origin: origin.clone(),
        };
        let mut settings: Vec<Setting> = self.values.iter().map(row).collect();
        // TOML wants the keys outside of tables first.
        settings.sort_by_key(|setting| setting.key.contains('.'));
        settings
    }

    /// Takes the text of a variable or flag as the type that the key has.
    fn set_text(&mut self, key: &str, text: &str, origin: Origin) {
        let parsed = match self.defaults.get(key) {
            Some(Value::Integer(_)) => text.trim().parse().ok().map(Value::Integer),
            Some(Value::Float(_)) => text.trim().parse().ok().map(Value::Float),
            Some(Value::Boolean(_)) => match text.trim() {
                "true" | "1" => Some(Value::Boolean(true)),
                "false" | "0" => Some(Value::Boolean(false)),
                _ => None,
            },
            Some(Value::Array(_)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
            _ => Some(Value::String(text.to_owned())),
        };
        match parsed {
            Some(value) => self.set(key, value, origin),
            None => self.refuse(origin, key),
        }
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        let value = match (self.defaults.get(key), value) {
            (Some(Value::Float(_)), Value::Integer(whole)) => i32::try_from(whole).ok().map(|w| Value::Float(w.into())),
            (Some(Value::Array(_)), Value::Array(items)) => {
                items.iter().all(Value::is_str).then_some(Value::Array(items))
            }
            (Some(default), value) => default.same_type(&value).then_some(value),
            (None, _) => None,
        };
        match value {
            Some(value) => {
                self.values.insert(key.to_owned(), (value, origin));
            }
            None => self.refuse(origin, key),
        }
    }

    fn refuse(&mut self, origin: Origin, key: &str) {
        let wanted = match self.defaults.get(key) {
            Some(Value::Integer(_)) => "a whole number",
            Some(Value::Float(_)) => "a number",
            Some(Value::Boolean(_)) => "true or false",
            Some(Value::Array(_)) => "a list of texts",
            _ => "a text in quotes",
        };
        let message = match origin {
            Origin::File { .. } => format!("'{key}' must be {wanted}"),
            _ => format!("must be {wanted}"),
        };
        self.problems.push(Problem::new(Some(origin), message));
    }

    fn is_table(&self, key: &str) -> bool {
        self.defaults.keys().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The nearest known key: alike in full, or the same last name in another table.
    fn hint(&self, wrong: &str, show: impl Fn(&str) -> String) -> String {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let alike = |known: &str| {
            let full = strsim::normalized_damerau_levenshtein(wrong, known);
            let names = strsim::normalized_damerau_levenshtein(&last(wrong), &last(known));
            full.max(names * 0.95)
        };
        let tables = self.defaults.keys().filter_map(|key| key.split_once('.')).map(|(table, _)| table);
        let known = self.defaults.keys().map(String::as_str).chain(tables);
        match known.map(|key| (alike(key), key)).max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((likeness, key)) if likeness >= 0.6 => format!("; did you mean '{}'?", show(key)),
            _ => String::new(),
        }
    }
}

/// The environment variable of a key.
pub(super) fn variable_of(key: &str) -> String {
    match key {
        "log.filter" => "ROLLCALL_LOG".to_owned(),
        _ => format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase()),
    }
}

/// A database URL that may be shown.
fn without_password(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    match url::Url::parse(text) {
        Ok(url) => {
            // The query goes too: PostgreSQL URLs may carry the password there.
            format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
        }
        Err(_) => "(hidden)".to_owned(),
    }
}

fn flatten(path: &str, table: toml::Table, into: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = if path.is_empty() { name } else { format!("{path}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, into),
            value => {
                into.insert(key, value);
            }
        }
    }
}

/// The value without its spans; none for what no setting has: tables in lists, dates, numbers beyond 64 bits.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer),
        DeValue::Float(number) => number.as_str().parse().ok().map(Value::Float),
        DeValue::Boolean(value) => Some(Value::Boolean(*value)),
        DeValue::Array(items) => {
            items.iter().map(|item| plain(item.get_ref())).collect::<Option<_>>().map(Value::Array)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
