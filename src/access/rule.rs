//! Mapping rules that were checked: each condition is bound to the schema, each granted name is usable.

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use serde_json::Value;

use super::definition::{Grant, RuleDefinition};
use super::source::{Source, unknown, unusable};
use crate::base::{RuleId, fold};
use crate::domain::worker::MAX_CHANNEL_CAPACITY;
use crate::scim::filter::{Bound, Filter, Limits, Node};
use crate::scim::schema::{AttrName, CLAIMS, Resolved, subject_schema};
use crate::scim::{Dialect, ScimError};

/// Rules in one account.
pub const MAX_RULES: usize = 1000;
/// Teams, skills, channels or attributes in one rule.
pub const MAX_GRANTS: usize = 100;
/// Task channels of a workspace, hence channels of a worker.
pub const MAX_CHANNELS: usize = 15;
/// Characters of the name of a rule, team, skill, channel or attribute.
pub const MAX_NAME_CHARS: usize = 100;

/// Attributes that Rollcall computes; a rule that granted one would fight with it.
const COMPUTED: [&str; 7] = ["roles", "full_name", "email", "team_name", "team_id", "routing", "contact_uri"];
/// The Teams page of Flex owns it.
const TEAM_SID: &str = "team_sid";

/// Something wrong, or doubtful, in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key in the rule: `when`, `skills.english`.
    pub key: String,
    /// What to change.
    pub message: String,
}

impl Problem {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// A rule that can be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    id: RuleId,
    definition: RuleDefinition,
    condition: Bound,
    sources: IndexMap<String, Source>,
}

impl Rule {
    /// Checks a rule and binds its condition to the schema of users.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first thing.
    pub fn compile(id: RuleId, definition: RuleDefinition) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        check_name("name", &definition.name, &mut problems);
        let condition = bind(&definition.when).map_err(|error| problems.push(Problem::new("when", error))).ok();
        check_grants(&definition, &mut problems);
        let sources = resolve_sources(&definition, &mut problems);
        match condition {
            Some(condition) if problems.is_empty() => Ok(Self { id, definition, condition, sources }),
            _ => Err(problems),
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> RuleId {
        self.id
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// What was written.
    #[must_use]
    pub const fn definition(&self) -> &RuleDefinition {
        &self.definition
    }

    /// The condition, ready to be evaluated.
    #[must_use]
    pub const fn condition(&self) -> &Bound {
        &self.condition
    }

    pub(super) fn source(&self, attribute: &str) -> Option<&Source> {
        self.sources.get(attribute)
    }

    /// What is allowed and will probably not do what was meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        const HYPHEN: &str = "queue expressions cannot name a key with a hyphen or a dot: use an underscore";
        let definition = &self.definition;
        let mut warnings = Vec::new();
        for (list, names) in [
            ("skills", definition.skills.keys().collect::<Vec<_>>()),
            ("attributes", definition.attributes.keys().collect()),
        ] {
            for name in names.into_iter().filter(|name| name.contains(['-', '.', ' '])) {
                warnings.push(Problem::new(format!("{list}.{name}"), HYPHEN));
            }
        }
        if definition.act_as_agent && definition.role == Some(crate::domain::Role::Agent) {
            warnings.push(Problem::new("act_as_agent", "means nothing for agents: they take tasks anyway"));
        }
        warnings
    }
}

/// The rules of an account in their order, which decides.
#[derive(Clone, Debug, Default)]
pub struct RuleSet(Vec<Rule>);

/// The rules do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    /// Reports could not tell two rules apart.
    #[error("two rules are named '{0}' (case does not count)")]
    SameName(String),
    /// See [`MAX_RULES`].
    #[error("there are {0} rules, more than {MAX_RULES}")]
    TooMany(usize),
}

impl RuleSet {
    /// Puts rules in this order.
    ///
    /// # Errors
    /// When two share a name, or there are too many.
    pub fn new(rules: Vec<Rule>) -> Result<Self, RuleSetError> {
        if rules.len() > MAX_RULES {
            return Err(RuleSetError::TooMany(rules.len()));
        }
        let mut names = HashSet::new();
        match rules.iter().find(|rule| !names.insert(fold(rule.name()))) {
            Some(rule) => Err(RuleSetError::SameName(rule.name().to_owned())),
            None => Ok(Self(rules)),
        }
    }

    /// The rules from the top.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a RuleSet {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn bind(when: &str) -> Result<Bound, String> {
    let detail = |error: ScimError| error.detail;
    let filter = Filter::parse(when, &Limits::default()).map_err(detail)?.with_named(CLAIMS);
    let schema = subject_schema();
    for name in names_in(&filter) {
        match schema.resolve(name, Dialect::Auto) {
            None => return Err(unknown(schema, &name.to_string())),
            Some(Resolved::Attribute(attribute)) => {
                if let Some(reason) = unusable(&attribute) {
                    return Err(format!("'{name}' {reason}"));
                }
            }
            Some(Resolved::Extension(_)) => {}
        }
    }
    // Lenient names, so that a rule may say `department` where an identity provider may.
    filter.bind(schema, Dialect::Auto).map_err(detail)
}

fn names_in(filter: &Filter) -> Vec<&AttrName> {
    let mut names = Vec::new();
    let mut open = vec![filter.root()];
    while let Some(id) = open.pop() {
        match filter.node(id) {
            Node::And(children) | Node::Or(children) => open.extend(children.iter().copied()),
            Node::Not(child) => open.push(*child),
            // Names inside the brackets are relative to this one.
            Node::Compare { attr, .. } | Node::Present(attr) | Node::ValuePath { attr, .. } => names.push(attr),
        }
    }
    names
}

fn check_name(key: &str, name: &str, problems: &mut Vec<Problem>) {
    if name.trim().is_empty() {
        problems.push(Problem::new(key, "a name may not be blank"));
    } else if name.trim() != name {
        problems.push(Problem::new(key, format!("'{}' begins or ends with white space", shorten(name))));
    } else if name.chars().count() > MAX_NAME_CHARS {
        problems.push(Problem::new(key, format!("'{}' has more than {MAX_NAME_CHARS} characters", shorten(name))));
    } else if name.chars().any(char::is_control) {
        problems.push(Problem::new(key, "a name may not have control characters"));
    }
}

fn check_grants(definition: &RuleDefinition, problems: &mut Vec<Problem>) {
    let lists = [
        ("teams", definition.teams.len(), MAX_GRANTS),
        ("skills", definition.skills.len(), MAX_GRANTS),
        ("channels", definition.channels.len(), MAX_CHANNELS),
        ("attributes", definition.attributes.len(), MAX_GRANTS),
    ];
    for (key, length, limit) in lists {
        if length > limit {
            problems.push(Problem::new(key, format!("{length} are more than {limit}")));
        }
    }
    if definition.role.is_none() && !definition.act_as_agent && lists.iter().all(|(_, length, _)| *length == 0) {
        problems.push(Problem::new(
            "name",
            "the rule grants nothing: give it a role, teams, skills, channels or attributes",
        ));
    }
    for team in &definition.teams {
        check_name("teams", team, problems);
    }
    for (skill, level) in &definition.skills {
        let key = format!("skills.{skill}");
        check_name(&key, skill, problems);
        if !level.in_range() {
            problems.push(Problem::new(key, format!("a level lies between 0 and {}", super::Level::MAX)));
        }
    }
    for (channel, capacity) in &definition.channels {
        let key = format!("channels.{channel}");
        check_name(&key, channel, problems);
        if *capacity > MAX_CHANNEL_CAPACITY {
            problems.push(Problem::new(key, format!("a capacity lies between 0 and {MAX_CHANNEL_CAPACITY}")));
        }
    }
    for (attribute, grant) in &definition.attributes {
        check_attribute(attribute, grant, problems);
    }
}

fn check_attribute(attribute: &str, grant: &Grant, problems: &mut Vec<Problem>) {
    let key = format!("attributes.{attribute}");
    check_name(&key, attribute, problems);
    if let Some(computed) = COMPUTED.iter().find(|name| name.eq_ignore_ascii_case(attribute)) {
        let advice = match *computed {
            "roles" => "use `role`",
            "team_name" | "team_id" => "use `teams`",
            "routing" => "use `skills`",
            _ => "it follows from the person",
        };
        problems.push(Problem::new(key.as_str(), format!("Rollcall sets '{computed}' itself: {advice}")));
    }
    if TEAM_SID.eq_ignore_ascii_case(attribute) {
        problems.push(Problem::new(key.as_str(), "'team_sid' belongs to the Teams page of Flex"));
    }
    if attribute.contains('.') {
        problems.push(Problem::new(
            key.as_str(),
            "a dot in a name means nesting to TaskRouter: write the value as a table",
        ));
    }
    if let Grant::Literal(value) = grant
        && !has_content(value)
    {
        // An empty string disturbs the filters of the Flex Teams view, and null is no value.
        problems.push(Problem::new(key, "an empty value grants nothing: leave the key out"));
    }
}

/// Whether a literal is a value: no null and no empty text anywhere in it.
fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => items.iter().all(has_content),
        Value::Object(members) => members.values().all(has_content),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn resolve_sources(definition: &RuleDefinition, problems: &mut Vec<Problem>) -> IndexMap<String, Source> {
    let mut sources = IndexMap::new();
    for (attribute, grant) in &definition.attributes {
        let Grant::From(name) = grant else { continue };
        match Source::resolve(name) {
            Ok(source) => drop(sources.insert(attribute.clone(), source)),
            Err(message) => problems.push(Problem::new(format!("attributes.{attribute}"), message)),
        }
    }
    sources
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
