//! What is done to users.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::run::{Run, Step, answered, refused};
use super::state::User;
use crate::support::{ENTERPRISE, USER};

/// The texts of the model with their SCIM paths.
const TEXTS: [(&str, &str); 6] = [
    ("displayName", "displayName"),
    ("title", "title"),
    ("externalId", "externalId"),
    ("givenName", "name.givenName"),
    ("familyName", "name.familyName"),
    ("department", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"),
];
const WORK_EMAIL: &str = "emails[type eq \"work\"].value";
const VALUES: [&str; 5] = ["Ana", "Bo Ruiz", "ops", "O'Neil \\ \"Q\"", "\u{c5}sa"];

/// What a PATCH does to one attribute.
#[derive(Clone, Debug)]
enum Change {
    UserName(String),
    Active(bool),
    Text(usize, Option<&'static str>),
    WorkEmail(String),
}

/// How the changes of one PATCH are written down.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// One operation for each attribute, as in the examples of RFC 7644 §3.5.2.
    Rfc,
    /// One operation without a path.
    Okta,
    /// Entra ID without its flag.
    EntraOld,
    /// Entra ID with its flag: the keys are paths.
    EntraNew,
}

impl Run {
    fn user_name(&mut self) -> String {
        let name = self.random.one(["ana", "bo", "cy", "di", "eve", "flo"]);
        let seed = self.seed;
        self.random.recased(&format!("{name}.{seed}@acme.example"))
    }

    /// A user as a body of POST and PUT, and what is then to be stored. `active` may be left out.
    fn new_user(&mut self) -> (Value, User, Option<bool>) {
        let mut user = User { name: self.user_name(), ..User::default() };
        let mut body = Map::new();
        body.insert("schemas".into(), json!([USER, ENTERPRISE]));
        body.insert("userName".into(), json!(user.name));
        let active = self.random.one([Some(true), Some(true), Some(false), None]);
        if let Some(active) = active {
            body.insert("active".into(), self.boolean(active));
        }
        let mut name = Map::new();
        for (key, _) in TEXTS {
            let value = self.random.one([Some(VALUES[0]), Some(VALUES[1]), Some(VALUES[2]), None, None]);
            user.set(key, value);
            match (key, value) {
                ("givenName" | "familyName", Some(value)) => drop(name.insert(key.into(), json!(value))),
                ("department", Some(value)) => drop(body.insert(ENTERPRISE.into(), json!({"department": value}))),
                // Unassigned and absent are the same (RFC 7643 §2.5).
                ("title", None) => drop(body.insert(key.into(), Value::Null)),
                (_, Some(value)) => drop(body.insert(key.into(), json!(value))),
                (_, None) => {}
            }
        }
        body.insert("name".into(), Value::Object(name));
        if self.random.once_in(2) {
            user.emails = vec![json!({"primary": true, "value": user.name, "type": "work"})];
            body.insert("emails".into(), json!(user.emails));
        }
        // What clients send that is the server's own or never kept.
        body.insert("groups".into(), json!([]));
        body.insert("password".into(), json!("t1meMa$heen"));
        body.insert("meta".into(), json!({"resourceType": "User"}));
        (Value::Object(body), user, active)
    }

    /// Entra ID writes booleans as text.
    fn boolean(&mut self, value: bool) -> Value {
        let quoted = !self.strict && self.random.once_in(3);
        if quoted { json!(if value { "True" } else { "False" }) } else { json!(value) }
    }

    pub async fn create_user(&mut self) -> Step {
        let (body, mut user, active) = self.new_user();
        let answer = self.send(Method::POST, "/Users", Some(&body)).await;
        if self.state.user_name_taken(&user.name, "") {
            return refused(&answer, 409, Some("uniqueness"));
        }
        let got = answered(&answer, &[201])?;
        let id = got["id"].as_str().ok_or("no id")?.to_owned();
        if answer.header("location") != got["meta"]["location"].as_str() {
            return Err(format!("Location and meta.location differ: {answer}"));
        }
        user.id.clone_from(&id);
        user.active = active.unwrap_or(true);
        self.state.users.push(user);
        self.same_user(&id, &got)
    }

    pub async fn put_user(&mut self) -> Step {
        let (body, mut user, active) = self.new_user();
        if self.random.once_in(8) {
            let Some(id) = self.random.pick(&self.state.gone).cloned() else { return Ok(()) };
            let answer = self.send(Method::PUT, &format!("/Users/{id}"), Some(&body)).await;
            return refused(&answer, 404, None);
        }
        let Some(before) = self.random.pick(&self.state.users).cloned() else { return Ok(()) };
        let answer = self.send(Method::PUT, &format!("/Users/{}", before.id), Some(&body)).await;
        if self.state.user_name_taken(&user.name, &before.id) {
            refused(&answer, 409, Some("uniqueness"))?;
            return self.check_user(&before.id).await;
        }
        let got = answered(&answer, &[200])?;
        user.id.clone_from(&before.id);
        // An omission brings nobody back.
        user.active = active.unwrap_or(before.active);
        *self.state.user(&before.id) = user;
        self.same_user(&before.id, &got)
    }

    pub async fn patch_user(&mut self) -> Step {
        let Some(id) = self.random.pick(&self.state.users).map(|user| user.id.clone()) else { return Ok(()) };
        let form = if self.strict {
            self.random.one([Form::Rfc, Form::Okta])
        } else {
            self.random.one([Form::Rfc, Form::Okta, Form::EntraOld, Form::EntraNew])
        };
        let changes = self.changes(form);
        let mut operations = operations(form, &changes);
        let broken = self.random.once_in(8);
        if broken {
            // The last operation fails, and so nothing happens (RFC 7644 §3.5.2).
            operations.push(match self.random.below(3) {
                0 => json!({"op": "remove", "path": "userName"}),
                1 => json!({"op": "replace", "path": "active", "value": "perhaps"}),
                _ => json!({"op": "remove"}),
            });
        }
        let answer = self.patch(&format!("/Users/{id}"), &Value::Array(operations)).await;
        let mut after = self.state.user(&id).clone();
        let unmatched = apply(&mut after, &changes) && self.strict;
        if broken || unmatched {
            refused(&answer, 400, if broken { None } else { Some("noTarget") })?;
            return self.check_user(&id).await;
        }
        if self.state.user_name_taken(&after.name, &id) {
            refused(&answer, 409, Some("uniqueness"))?;
            return self.check_user(&id).await;
        }
        let got = answered(&answer, &[200])?;
        *self.state.user(&id) = after;
        self.same_user(&id, &got)?;
        if self.random.once_in(4) { self.check_user(&id).await } else { Ok(()) }
    }

    fn changes(&mut self, form: Form) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let change = match self.random.below(8) {
                0 => Change::UserName(self.user_name()),
                1 | 2 => Change::Active(self.random.once_in(2)),
                3 if form != Form::Okta => {
                    let seed = self.seed;
                    Change::WorkEmail(self.random.recased(&format!("mail.{seed}@acme.example")))
                }
                _ => {
                    let which = self.random.below(TEXTS.len());
                    let removable = matches!(form, Form::Rfc | Form::EntraOld) && self.random.once_in(3);
                    Change::Text(which, if removable { None } else { Some(self.random.one(VALUES)) })
                }
            };
            // One attribute once, so that objects can hold them all.
            let same = |other: &Change| match (&change, other) {
                (Change::Text(one, _), Change::Text(other, _)) => one == other,
                (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
            };
            if !changes.iter().any(same) {
                changes.push(change);
            }
        }
        changes
    }

    pub async fn filter_users(&mut self) -> Step {
        let filter = self.filter(2);
        let wanted = self.state.users.iter().filter(|user| filter.holds(user)).map(|user| user.id.clone()).collect();
        self.found("/Users", &filter.to_string(), &wanted).await?;
        // The other way round: the groups that have somebody.
        let Some(id) = self.random.pick(&self.state.users).map(|user| user.id.clone()) else { return Ok(()) };
        let groups: BTreeSet<String> = self
            .state
            .groups
            .iter()
            .filter(|group| group.members.contains(&id))
            .map(|group| group.id.clone())
            .collect();
        self.found("/Groups", &format!("members.value eq \"{id}\""), &groups).await
    }

    fn filter(&mut self, depth: usize) -> Filter {
        let op = self.random.one(["eq", "eq", "ne", "co", "sw", "ew"]);
        match self.random.below(if depth == 0 { 5 } else { 8 }) {
            0 => Filter::UserName(op, self.user_name()),
            1 => {
                let (name, path) = self.random.one(TEXTS);
                let value = self.random.one(["Ana", "bo ruiz", "ops", "ruiz"]);
                Filter::Text(path, name, op, self.random.recased(value))
            }
            2 => {
                let (name, path) = self.random.one(TEXTS);
                Filter::Present(path, name)
            }
            3 => Filter::Active(self.random.once_in(2)),
            4 => Filter::WorkEmail(self.user_name()),
            5 => Filter::And(Box::new(self.filter(depth - 1)), Box::new(self.filter(depth - 1))),
            6 => Filter::Or(Box::new(self.filter(depth - 1)), Box::new(self.filter(depth - 1))),
            _ => Filter::Not(Box::new(self.filter(depth - 1))),
        }
    }
}

/// Does the changes to the model; true if one of them is about an element that is not there.
fn apply(user: &mut User, changes: &[Change]) -> bool {
    let mut unmatched = false;
    for change in changes {
        match change {
            Change::UserName(name) => user.name.clone_from(name),
            Change::Active(active) => user.active = *active,
            Change::Text(which, value) => user.set(TEXTS[*which].0, *value),
            Change::WorkEmail(value) => {
                if let Some(email) = user.emails.iter_mut().find(|email| email["type"] == "work") {
                    email["value"] = json!(value);
                } else {
                    unmatched = true;
                    user.emails.push(json!({"type": "work", "value": value}));
                }
            }
        }
    }
    unmatched
}

fn operations(form: Form, changes: &[Change]) -> Vec<Value> {
    let path = |change: &Change| match change {
        Change::UserName(_) => "userName",
        Change::Active(_) => "active",
        Change::Text(which, _) => TEXTS[*which].1,
        Change::WorkEmail(_) => WORK_EMAIL,
    };
    let value = |change: &Change| match change {
        Change::UserName(name) | Change::WorkEmail(name) => Some(json!(name)),
        Change::Active(active) if form == Form::EntraOld => Some(json!(if *active { "True" } else { "False" })),
        Change::Active(active) => Some(json!(active)),
        Change::Text(_, value) => value.map(|value| json!(value)),
    };
    match form {
        Form::Rfc | Form::EntraOld => changes
            .iter()
            .map(|change| match (value(change), form) {
                (Some(value), Form::Rfc) => json!({"op": "replace", "path": path(change), "value": value}),
                (Some(value), _) => json!({"op": "Replace", "path": path(change), "value": value}),
                (None, Form::Rfc) => json!({"op": "remove", "path": path(change)}),
                (None, _) => json!({"op": "Remove", "path": path(change)}),
            })
            .collect(),
        Form::EntraNew => {
            let (filtered, plain): (Vec<_>, Vec<_>) =
                changes.iter().partition(|change| matches!(change, Change::WorkEmail(_)));
            let mut operations: Vec<Value> = filtered
                .into_iter()
                .map(|change| json!({"op": "replace", "path": path(change), "value": value(change)}))
                .collect();
            let keys: Map<String, Value> =
                plain.into_iter().map(|change| (path(change).to_owned(), json!(value(change)))).collect();
            if !keys.is_empty() {
                operations.push(json!({"op": "replace", "value": keys}));
            }
            operations
        }
        Form::Okta => vec![json!({"op": "replace", "value": nested(changes, path, value)})],
    }
}

/// The changes as an object in the shape of a resource.
fn nested(
    changes: &[Change],
    path: impl Fn(&Change) -> &'static str,
    value: impl Fn(&Change) -> Option<Value>,
) -> Value {
    let mut object = Map::new();
    for change in changes {
        let (path, value) = (path(change), json!(value(change)));
        let (outer, inner) = match path.strip_prefix("name.") {
            Some(inner) => ("name", inner),
            None if path.starts_with("urn:") => (ENTERPRISE, "department"),
            None => {
                object.insert(path.to_owned(), value);
                continue;
            }
        };
        object.entry(outer).or_insert_with(|| json!({}))[inner] = value;
    }
    Value::Object(object)
}
