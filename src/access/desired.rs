//! From access to the worker that should exist.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::contact::contact_uri;
use super::evaluate::Access;
use crate::base::slugify;
use crate::domain::worker::{MAX_ATTRIBUTES_CHARS, ROUTING};
use crate::domain::{DesiredWorker, Person, Role};

/// The longest Flex user name. `TaskRouter`'s own text says 64 for a worker; what lies between is left to it to
/// accept or refuse, because cutting a name would make a second person of it.
pub const MAX_FRIENDLY_NAME_CHARS: usize = 256;

/// Why there can be no worker for somebody who has access.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DesiredError {
    /// A worker's name is the person's `userName`.
    #[error("the user has no userName, which is the worker's name")]
    NoName,
    /// See [`MAX_FRIENDLY_NAME_CHARS`].
    #[error("the userName has {0} characters; a worker's name has at most {MAX_FRIENDLY_NAME_CHARS}")]
    LongName(usize),
    /// The name could not be told from another on any page.
    #[error("the userName contains control characters")]
    BadName,
    /// See [`MAX_ATTRIBUTES_CHARS`].
    #[error(
        "the worker's attributes would have {chars} characters of JSON, more than the {MAX_ATTRIBUTES_CHARS} that \
         TaskRouter allows; the largest is '{largest}'"
    )]
    TooLarge {
        /// Characters of the minified JSON.
        chars: usize,
        /// The attribute with the longest value.
        largest: String,
    },
}

/// The worker of a person with this access; none without a role.
///
/// # Errors
/// When `TaskRouter` could not hold that worker; see [`DesiredError`].
pub fn desired_worker(document: &Map<String, Value>, access: &Access) -> Result<Option<DesiredWorker>, DesiredError> {
    let Some(role) = access.role else { return Ok(None) };
    let person = Person::new(document);
    let friendly_name = friendly_name(person)?;
    let attributes = attributes(person, friendly_name, role, access);
    let chars = Value::Object(attributes.clone()).to_string().chars().count();
    if chars > MAX_ATTRIBUTES_CHARS {
        let length = |value: &Value| value.to_string().chars().count();
        let largest = attributes.iter().max_by_key(|(_, value)| length(value));
        let largest = largest.map(|(name, _)| name.clone()).unwrap_or_default();
        return Err(DesiredError::TooLarge { chars, largest });
    }
    let channels: BTreeMap<_, _> = access.channels.iter().map(|(name, capacity)| (name.clone(), *capacity)).collect();
    Ok(Some(DesiredWorker { friendly_name: friendly_name.to_owned(), attributes, channels }))
}

fn friendly_name(person: Person<'_>) -> Result<&str, DesiredError> {
    let name = person.user_name().filter(|name| !name.trim().is_empty()).ok_or(DesiredError::NoName)?;
    let chars = name.chars().count();
    if chars > MAX_FRIENDLY_NAME_CHARS {
        return Err(DesiredError::LongName(chars));
    }
    if name.chars().any(char::is_control) { Err(DesiredError::BadName) } else { Ok(name) }
}

fn attributes(person: Person<'_>, friendly_name: &str, role: Role, access: &Access) -> Map<String, Value> {
    let mut attributes = Map::new();
    attributes.insert("roles".to_owned(), role.worker_roles(access.act_as_agent).into());
    let team = access.teams.first();
    let texts = [
        ("full_name", person.full_name()),
        ("email", person.email().map(str::to_owned)),
        ("team_name", team.cloned()),
        ("team_id", team.map(|team| slugify(team))),
        ("contact_uri", Some(contact_uri(friendly_name))),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            attributes.insert(key.to_owned(), text.into());
        }
    }
    if let Some(routing) = routing(access) {
        attributes.insert(ROUTING.to_owned(), routing);
    }
    // Rules cannot grant the names above; were a stored rule older than that check, what is computed would still count.
    for (name, value) in &access.attributes {
        if !attributes.contains_key(name) && !is_blank(value) {
            attributes.insert(name.clone(), value.clone());
        }
    }
    attributes
}

/// `{"skills": [...], "levels": {...}}`, both sorted; none without skills.
fn routing(access: &Access) -> Option<Value> {
    if access.skills.is_empty() {
        return None;
    }
    let sorted: BTreeMap<_, _> = access.skills.iter().collect();
    let skills = sorted.keys().map(|skill| Value::from(skill.as_str())).collect();
    let levels =
        sorted.iter().map(|(skill, level)| ((*skill).clone(), Value::Number(level.number().clone()))).collect();
    Some(Value::Object(Map::from_iter([
        ("skills".to_owned(), Value::Array(skills)),
        ("levels".to_owned(), Value::Object(levels)),
    ])))
}

/// Empty text disturbs the filters of the Flex Teams view, and null is no value.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
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

    fn agent() -> Access {
        Access {
            role: Some(Role::Agent),
            teams: vec!["Tier 2 Support".to_owned(), "Sales".to_owned()],
            skills: [("english".to_owned(), 3.into()), ("billing".to_owned(), 1.into())].into_iter().collect(),
            channels: [("voice".to_owned(), 1), ("chat".to_owned(), 3)].into_iter().collect(),
            attributes: [("site".to_owned(), json!("north")), ("blank".to_owned(), json!(" "))].into_iter().collect(),
            ..Access::default()
        }
    }

    #[test]
    fn a_worker_has_what_access_says() {
        let document = map(json!({"userName": "ana@acme.example", "displayName": "Ana Ruiz"}));
        let worker = desired_worker(&document, &agent()).unwrap().unwrap();
        assert_eq!(worker.friendly_name, "ana@acme.example");
        assert_eq!(
            Value::Object(worker.attributes),
            json!({
                "roles": ["agent"], "full_name": "Ana Ruiz", "email": "ana@acme.example",
                "team_name": "Tier 2 Support", "team_id": "tier-2-support",
                "contact_uri": "client:ana_40acme_2Eexample",
                "routing": {"skills": ["billing", "english"], "levels": {"billing": 1, "english": 3}},
                "site": "north"
            })
        );
        assert_eq!(worker.channels, BTreeMap::from([("chat".to_owned(), 3), ("voice".to_owned(), 1)]));
    }

    #[test]
    fn what_has_no_value_has_no_key() {
        let document = map(json!({"userName": "ana", "displayName": ""}));
        let access = Access { role: Some(Role::Owner), act_as_agent: true, ..Access::default() };
        let worker = desired_worker(&document, &access).unwrap().unwrap();
        assert_eq!(Value::Object(worker.attributes), json!({"roles": ["admin", "agent"], "contact_uri": "client:ana"}));
        assert_eq!(desired_worker(&document, &Access::default()), Ok(None));
    }

    #[test]
    fn a_worker_that_cannot_be_is_an_error() {
        let error = |document| desired_worker(&map(document), &agent()).unwrap_err();
        assert_eq!(error(json!({})), DesiredError::NoName);
        assert_eq!(error(json!({"userName": " "})), DesiredError::NoName);
        assert_eq!(error(json!({"userName": "a\u{7}"})), DesiredError::BadName);
        assert_eq!(error(json!({"userName": "x".repeat(257)})), DesiredError::LongName(257));
        let long = error(json!({"userName": "ana", "displayName": "x".repeat(5000)}));
        assert!(
            matches!(long, DesiredError::TooLarge { chars, ref largest } if chars > 5000 && largest == "full_name")
        );
    }

    #[test]
    fn a_skill_level_may_be_a_decimal() {
        let level = |number: Value| -> super::super::Level { serde_json::from_value(number).unwrap() };
        let access = Access { skills: [("x".to_owned(), level(json!(2.5)))].into_iter().collect(), ..agent() };
        let worker = desired_worker(&map(json!({"userName": "ana"})), &access).unwrap().unwrap();
        assert_eq!(worker.attributes["routing"], json!({"skills": ["x"], "levels": {"x": 2.5}}));
    }
}
