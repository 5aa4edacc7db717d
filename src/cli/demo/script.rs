//! The day as data: `fixtures/demo`, built into the program so that it needs no files.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Expected;
use super::template;

/// What identity providers send, by name; see [`template::fill`].
const MESSAGES: &[(&str, &str)] = &[
    ("okta/create-user", include_str!("../../../fixtures/demo/okta/create-user.json")),
    ("okta/update-user", include_str!("../../../fixtures/demo/okta/update-user.json")),
    ("okta/create-group", include_str!("../../../fixtures/demo/okta/create-group.json")),
    ("entra/create-user", include_str!("../../../fixtures/demo/entra/create-user.json")),
    ("entra/update-user", include_str!("../../../fixtures/demo/entra/update-user.json")),
    ("entra/rename-user", include_str!("../../../fixtures/demo/entra/rename-user.json")),
    ("entra/move-user", include_str!("../../../fixtures/demo/entra/move-user.json")),
    ("entra/disable-user", include_str!("../../../fixtures/demo/entra/disable-user.json")),
    ("entra/disable-user-compliant", include_str!("../../../fixtures/demo/entra/disable-user-compliant.json")),
    ("entra/create-group", include_str!("../../../fixtures/demo/entra/create-group.json")),
    ("entra/add-member", include_str!("../../../fixtures/demo/entra/add-member.json")),
    ("entra/remove-member", include_str!("../../../fixtures/demo/entra/remove-member.json")),
];

/// Everything that is played, and what must have come of it.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) rules: String,
    pub(super) people: IndexMap<String, Person>,
    pub(super) day: Vec<Event>,
    pub(super) expected: Expected,
    pub(super) messages: Messages,
}

/// Which identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Idp {
    Okta,
    Entra,
}

impl Idp {
    pub(super) const ALL: [Self; 2] = [Self::Okta, Self::Entra];

    /// The name of its connection.
    pub(super) const fn connection(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Entra => "entra",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Okta => "Okta",
            Self::Entra => "Entra",
        }
    }
}

/// A person as the identity provider knows them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub(super) idp: Idp,
    pub(super) groups: Vec<String>,
    pub(super) profile: Map<String, Value>,
}

impl Person {
    pub(super) fn field(&self, name: &str) -> &str {
        self.profile.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.field("givenName"), self.field("familyName"))
    }

    /// What fills the gaps of messages about this person: the profile, and what the provider derives from it.
    pub(super) fn values(&self) -> Map<String, Value> {
        let mut values = self.profile.clone();
        values.insert("displayName".to_owned(), self.name().into());
        values.insert("email".to_owned(), self.field("userName").into());
        values
    }
}

/// Something that happens at an identity provider.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    /// The story's time (`08:15`).
    pub(super) at: String,
    pub(super) idp: Idp,
    /// A new part of the story begins here.
    pub(super) chapter: Option<String>,
    #[serde(flatten)]
    pub(super) does: Does,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "does", rename_all = "snake_case")]
pub(super) enum Does {
    /// Tests the connection.
    Probe,
    PushGroups {
        groups: Vec<String>,
    },
    Join {
        people: Vec<String>,
    },
    Change {
        person: String,
        say: String,
        message: String,
        #[serde(default)]
        set: BTreeMap<String, Value>,
        #[serde(default)]
        join: Vec<String>,
        #[serde(default)]
        leave: Vec<String>,
    },
    Leave {
        person: String,
        say: String,
        message: String,
    },
    Return {
        person: String,
        say: String,
    },
}

/// The bodies of requests, by name.
#[derive(Debug, Clone)]
pub(super) struct Messages(BTreeMap<&'static str, Value>);

impl Messages {
    /// The message of an identity provider with its gaps filled.
    pub(super) fn write(&self, idp: Idp, name: &str, values: &Map<String, Value>) -> Result<Value, String> {
        let name = format!("{}/{name}", idp.connection());
        let message = self.0.get(name.as_str()).ok_or_else(|| format!("the script has no message '{name}'"))?;
        template::fill(message, values).map_err(|problem| format!("{name}: {problem}"))
    }
}

impl Script {
    /// The script that is built in.
    pub(super) fn embedded() -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Day {
            event: Vec<Event>,
        }
        fn toml<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, String> {
            toml::from_str(text).map_err(|error| format!("fixtures/demo/{file}: {error}"))
        }
        fn json<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, String> {
            serde_json::from_str(text).map_err(|error| format!("fixtures/demo/{file}: {error}"))
        }
        let messages = MESSAGES.iter().map(|(name, text)| Ok((*name, json(name, text)?)));
        Ok(Self {
            rules: include_str!("../../../fixtures/demo/rules.toml").to_owned(),
            people: toml("people.toml", include_str!("../../../fixtures/demo/people.toml"))?,
            day: toml::<Day>("day.toml", include_str!("../../../fixtures/demo/day.toml"))?.event,
            expected: json("expected.json", include_str!("../../../fixtures/demo/expected.json"))?,
            messages: Messages(messages.collect::<Result<_, String>>()?),
        })
    }
}
