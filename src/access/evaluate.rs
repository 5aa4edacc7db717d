//! From rules and a person to access, with its reasons.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::definition::{Grant, Level};
use super::evidence::{Evidence, evidence};
use super::rule::{Rule, RuleSet};
use crate::base::{RuleId, fold};
use crate::domain::{Role, RoleSet};

/// What a connection may give through rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionGrants {
    /// The roles. A rule that names another one is skipped for people of that connection.
    pub may_grant: RoleSet,
}

impl ConnectionGrants {
    /// Every role: for local accounts, whose rights no identity provider decides.
    #[must_use]
    pub fn all() -> Self {
        Self { may_grant: Role::ALL.into_iter().collect() }
    }
}

/// Supervisors and agents: who can make an admin at the identity provider is not thereby an admin here.
impl Default for ConnectionGrants {
    fn default() -> Self {
        Self { may_grant: [Role::Supervisor, Role::Agent].into_iter().collect() }
    }
}

/// What a person has in the contact centre. Without a role everything is empty but [`Access::skipped`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The role; none means no access at all.
    pub role: Option<Role>,
    /// Whether somebody with a greater role takes tasks too; never set for agents.
    pub act_as_agent: bool,
    /// Teams in the order of the rules.
    pub teams: Vec<String>,
    /// Skills with their levels.
    pub skills: IndexMap<String, Level>,
    /// Channels with their capacities.
    pub channels: IndexMap<String, u32>,
    /// Worker attributes.
    pub attributes: IndexMap<String, Value>,
    /// The rules that matched, from the top.
    pub because: Vec<Because>,
    /// The rules that matched and gave nothing.
    pub skipped: Vec<Skipped>,
}

impl Access {
    /// The rule that decided something, if the person has it.
    #[must_use]
    pub fn reason(&self, what: &Granted) -> Option<&Because> {
        self.because.iter().find(|because| because.granted.contains(what))
    }
}

/// What one rule gave, and why it applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Because {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub rule_name: String,
    /// What the person has through this rule.
    pub granted: Vec<Granted>,
    /// What this rule would give too, had an earlier one not decided it: what remains if that one goes.
    pub also: Vec<Granted>,
    /// What made the condition true.
    pub matched: Vec<Evidence>,
}

/// One thing that a rule can decide. As text: `role`, `act_as_agent`, `team:Support`, `skill:english`, `channel:voice`, `attribute:site`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Granted {
    /// The role.
    Role,
    /// Acting as agent.
    ActAsAgent,
    /// A team.
    Team(String),
    /// A skill and its level.
    Skill(String),
    /// A channel and its capacity.
    Channel(String),
    /// A worker attribute.
    Attribute(String),
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role => f.write_str("role"),
            Self::ActAsAgent => f.write_str("act_as_agent"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Skill(name) => write!(f, "skill:{name}"),
            Self::Channel(name) => write!(f, "channel:{name}"),
            Self::Attribute(name) => write!(f, "attribute:{name}"),
        }
    }
}

/// The text names nothing that a rule can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not something that a rule grants")]
pub struct GrantedError;

impl FromStr for Granted {
    type Err = GrantedError;

    fn from_str(text: &str) -> Result<Self, GrantedError> {
        match text.split_once(':') {
            None if text == "role" => Ok(Self::Role),
            None if text == "act_as_agent" => Ok(Self::ActAsAgent),
            Some(("team", name)) => Ok(Self::Team(name.to_owned())),
            Some(("skill", name)) => Ok(Self::Skill(name.to_owned())),
            Some(("channel", name)) => Ok(Self::Channel(name.to_owned())),
            Some(("attribute", name)) => Ok(Self::Attribute(name.to_owned())),
            _ => Err(GrantedError),
        }
    }
}

impl TryFrom<String> for Granted {
    type Error = GrantedError;

    fn try_from(text: String) -> Result<Self, GrantedError> {
        text.parse()
    }
}

impl From<Granted> for String {
    fn from(granted: Granted) -> Self {
        granted.to_string()
    }
}

/// A rule whose condition holds and that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub rule_name: String,
    /// Why.
    pub reason: SkipReason,
}

/// Why a rule that matched gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SkipReason {
    /// The person's connection may not grant the rule's role.
    RoleNotAllowed {
        /// That role.
        role: Role,
    },
    /// No rule gives the person a role, so nothing else counts.
    NoRole,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoleNotAllowed { role } => write!(f, "the connection may not grant the role {role}"),
            Self::NoRole => f.write_str("no rule gives this person a role"),
        }
    }
}

/// What the rules give a person.
///
/// `subject` is the stored document with `id` and `groups`. Rules run top down: the first that names a role decides it; the
/// rest is united over all that match, and of two that say different things of one skill, channel or attribute the earlier
/// counts. A rule whose role the connection may not grant gives nothing at all, wherever it stands. The user's status is
/// not looked at: without [`crate::domain::UserStatus::may_have_access`] there is nothing to evaluate.
#[must_use]
pub fn evaluate(rules: &RuleSet, subject: &Map<String, Value>, grants: &ConnectionGrants) -> Access {
    let mut access = Access::default();
    for rule in rules.iter().filter(|rule| rule.condition().matches(subject)) {
        match rule.definition().role.filter(|role| !grants.may_grant.contains(*role)) {
            Some(role) => access.skipped.push(skipped(rule, SkipReason::RoleNotAllowed { role })),
            None => access.apply(rule, subject),
        }
    }
    match access.role {
        None => without_role(&access, rules),
        Some(Role::Agent) => {
            access.act_as_agent = false;
            access.forget(&Granted::ActAsAgent);
            access
        }
        Some(_) => access,
    }
}

impl Access {
    fn apply(&mut self, rule: &Rule, subject: &Map<String, Value>) {
        let definition = rule.definition();
        let mut matched = evidence(rule.condition(), subject);
        let mut tally = Tally::default();
        if let Some(role) = definition.role {
            tally.note(Granted::Role, self.role.is_none());
            self.role.get_or_insert(role);
        }
        if definition.act_as_agent {
            tally.note(Granted::ActAsAgent, !self.act_as_agent);
            self.act_as_agent = true;
        }
        for team in &definition.teams {
            let known = self.teams.iter().find(|known| fold(known) == fold(team)).cloned();
            tally.note(Granted::Team(known.clone().unwrap_or_else(|| team.clone())), known.is_none());
            if known.is_none() {
                self.teams.push(team.clone());
            }
        }
        for (skill, level) in &definition.skills {
            tally.note(Granted::Skill(skill.clone()), insert_first(&mut self.skills, skill, level.clone()));
        }
        for (channel, capacity) in &definition.channels {
            tally.note(Granted::Channel(channel.clone()), insert_first(&mut self.channels, channel, *capacity));
        }
        for (attribute, grant) in &definition.attributes {
            let value = match grant {
                Grant::Literal(value) => Some(value.clone()),
                Grant::From(_) => rule.source(attribute).and_then(|source| {
                    let value = source.value(subject)?;
                    matched.push(Evidence::attribute(source.to_string(), value.clone()));
                    Some(value)
                }),
            };
            // Somebody who lacks the source attribute gets nothing from this rule, and a later one may fill in.
            if let Some(value) = value {
                tally.note(Granted::Attribute(attribute.clone()), insert_first(&mut self.attributes, attribute, value));
            }
        }
        let Tally { granted, also } = tally;
        self.because.push(Because { rule: rule.id(), rule_name: rule.name().to_owned(), granted, also, matched });
    }

    fn forget(&mut self, what: &Granted) {
        for because in &mut self.because {
            because.granted.retain(|granted| granted != what);
            because.also.retain(|granted| granted != what);
        }
    }
}

#[derive(Default)]
struct Tally {
    granted: Vec<Granted>,
    also: Vec<Granted>,
}

impl Tally {
    fn note(&mut self, what: Granted, first: bool) {
        if self.granted.contains(&what) || self.also.contains(&what) {
            return;
        }
        if first { self.granted.push(what) } else { self.also.push(what) }
    }
}

/// Whether the key was free.
fn insert_first<V>(map: &mut IndexMap<String, V>, key: &str, value: V) -> bool {
    let free = !map.contains_key(key);
    if free {
        map.insert(key.to_owned(), value);
    }
    free
}

fn without_role(access: &Access, rules: &RuleSet) -> Access {
    let gave_nothing = |rule: &Rule| {
        let refused = access.skipped.iter().find(|skipped| skipped.rule == rule.id()).cloned();
        let matched = access.because.iter().any(|because| because.rule == rule.id());
        refused.or_else(|| matched.then(|| skipped(rule, SkipReason::NoRole)))
    };
    Access { skipped: rules.iter().filter_map(gave_nothing).collect(), ..Access::default() }
}

fn skipped(rule: &Rule, reason: SkipReason) -> Skipped {
    Skipped { rule: rule.id(), rule_name: rule.name().to_owned(), reason }
}

#[cfg(test)]
mod tests;
