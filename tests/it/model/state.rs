//! The model: what a connection holds, by the rules of the RFC and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::support::{ENTERPRISE, USER};

/// A person. Attributes that have no value are not in `texts`.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub id: String,
    /// `userName`.
    pub name: String,
    pub active: bool,
    /// `displayName`, `title`, `externalId`, `givenName`, `familyName`, `department`.
    pub texts: BTreeMap<&'static str, String>,
    pub emails: Vec<Value>,
}

/// A group, with the ids of its direct members.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub members: BTreeSet<String>,
}

/// Everything that there is.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    /// Ids of resources that were deleted.
    pub gone: Vec<String>,
}

impl User {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Sets or clears one of the texts.
    pub fn set(&mut self, name: &'static str, value: Option<&str>) {
        match value {
            Some(value) => drop(self.texts.insert(name, value.to_owned())),
            None => drop(self.texts.remove(name)),
        }
    }

    pub fn work_email(&self) -> Option<&str> {
        self.emails.iter().find(|email| email["type"] == "work").and_then(|email| email["value"].as_str())
    }
}

impl State {
    pub fn user(&mut self, id: &str) -> &mut User {
        self.users.iter_mut().find(|user| user.id == id).expect("the model has the user")
    }

    pub fn group(&mut self, id: &str) -> &mut Group {
        self.groups.iter_mut().find(|group| group.id == id).expect("the model has the group")
    }

    /// Whether another user than this one has the name; case does not matter (RFC 7643 §4.1.1, §8.7.1).
    pub fn user_name_taken(&self, name: &str, but: &str) -> bool {
        self.users.iter().any(|user| user.id != but && user.name.eq_ignore_ascii_case(name))
    }

    pub fn group_name_taken(&self, name: &str, but: &str) -> bool {
        self.groups.iter().any(|group| group.id != but && group.name.eq_ignore_ascii_case(name))
    }

    /// Whether the group would be in itself if these were its members.
    pub fn makes_circle(&self, group: &str, members: &BTreeSet<String>) -> bool {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&str> = members.iter().map(String::as_str).collect();
        while let Some(id) = waiting.pop() {
            if id == group {
                return true;
            }
            if seen.insert(id) {
                let found = self.groups.iter().find(|group| group.id == id);
                waiting.extend(found.into_iter().flat_map(|group| group.members.iter().map(String::as_str)));
            }
        }
        false
    }

    pub fn delete(&mut self, id: &str) {
        self.users.retain(|user| user.id != id);
        self.groups.retain(|group| group.id != id);
        for group in &mut self.groups {
            group.members.remove(id);
        }
        self.gone.push(id.to_owned());
    }

    /// The groups of a user by their ids: true where the membership is direct (RFC 7643 §4.1.2).
    pub fn groups_of(&self, user: &str) -> BTreeMap<String, bool> {
        let mut found = BTreeMap::new();
        let mut waiting = vec![(user.to_owned(), true)];
        while let Some((member, direct)) = waiting.pop() {
            for group in self.groups.iter().filter(|group| group.members.contains(&member)) {
                let known = found.entry(group.id.clone()).or_insert(false);
                *known |= direct;
                waiting.push((group.id.clone(), false));
            }
        }
        found
    }

    /// The user as it must be answered, without `meta`.
    pub fn user_body(&self, user: &User) -> Value {
        let mut body = Map::new();
        let mut schemas = vec![USER];
        body.insert("id".into(), json!(user.id));
        body.insert("userName".into(), json!(user.name));
        body.insert("active".into(), json!(user.active));
        let mut name = Map::new();
        for (key, value) in &user.texts {
            match *key {
                "givenName" | "familyName" => drop(name.insert((*key).to_owned(), json!(value))),
                "department" => {
                    schemas.push(ENTERPRISE);
                    body.insert(ENTERPRISE.into(), json!({"department": value}));
                }
                _ => drop(body.insert((*key).to_owned(), json!(value))),
            }
        }
        if !name.is_empty() {
            body.insert("name".into(), Value::Object(name));
        }
        if !user.emails.is_empty() {
            body.insert("emails".into(), json!(user.emails));
        }
        let groups: Vec<Value> = self
            .groups_of(&user.id)
            .into_iter()
            .map(|(id, direct)| {
                let display = self.groups.iter().find(|group| group.id == id).map(|group| &group.name);
                json!({"value": id, "display": display, "type": if direct { "direct" } else { "indirect" }})
            })
            .collect();
        if !groups.is_empty() {
            body.insert("groups".into(), Value::Array(groups));
        }
        body.insert("schemas".into(), json!(schemas));
        Value::Object(body)
    }
}
