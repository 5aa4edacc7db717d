//! Okta, with an app made by the App Integration Wizard: it reads, and then puts the whole resource.

use std::collections::HashMap;

use async_trait::async_trait;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::idp::{Link, Provider, Result};
use super::script::Person;
use crate::base::{Ambient, SecretToken};
use crate::cli::Outcome;

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

pub(super) struct Okta {
    link: Link,
    ambient: Ambient,
    groups: HashMap<String, String>,
}

impl Okta {
    pub(super) fn new(link: Link, ambient: Ambient) -> Self {
        Self { link, ambient, groups: HashMap::new() }
    }

    fn filter(attribute: &str, value: &str) -> String {
        let filter = format!("{attribute} eq {}", Value::from(value));
        format!("filter={}&startIndex=1&count=100", utf8_percent_encode(&filter, QUERY))
    }

    /// Whatever was read goes back, with what is mapped written over it.
    async fn put_user(&mut self, message: &str, person: &Person, id: &str, active: bool) -> Outcome {
        let path = format!("/Users/{id}");
        let mut user = self.link.get(&path).await?.body;
        let mut values = person.values();
        values.insert("active".to_owned(), active.into());
        let overlay = self.link.message(message, &values)?;
        if let (Some(user), Some(overlay)) = (user.as_object_mut(), overlay.as_object()) {
            user.extend(overlay.clone());
        }
        self.link.push(Method::PUT, &path, &user).await?;
        Ok(())
    }

    async fn put_members(&mut self, group: &str, change: impl FnOnce(&mut Vec<Value>) + Send) -> Outcome {
        let id = self.groups.get(group).ok_or_else(|| format!("Okta has not pushed the group {group}"))?;
        let path = format!("/Groups/{id}");
        let mut body = self.link.get(&path).await?.body;
        let mut members = body.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        change(&mut members);
        body["members"] = Value::Array(members);
        self.link.push(Method::PUT, &path, &body).await?;
        Ok(())
    }
}

#[async_trait]
impl Provider for Okta {
    fn link(&self) -> &Link {
        &self.link
    }

    async fn probe(&mut self) -> Outcome {
        self.link.get("/Users?startIndex=1&count=2").await?;
        self.link.get("/Groups?startIndex=1&count=100").await?;
        Ok(())
    }

    async fn push_group(&mut self, group: &str) -> Result<bool> {
        let found = self.link.get(&format!("/Groups?{}", Self::filter("displayName", group))).await?;
        let known = found.first_id();
        let matched = known.is_some();
        let id = if let Some(id) = known {
            id
        } else {
            let values = Map::from_iter([("group".to_owned(), group.into())]);
            let message = self.link.message("create-group", &values)?;
            self.link.push(Method::POST, "/Groups", &message).await?.id()?
        };
        self.groups.insert(group.to_owned(), id);
        Ok(matched)
    }

    async fn find(&mut self, person: &Person) -> Result<Option<String>> {
        let filter = Self::filter("userName", person.field("userName"));
        Ok(self.link.get(&format!("/Users?{filter}")).await?.first_id())
    }

    async fn create(&mut self, person: &Person) -> Result<String> {
        let mut values = person.values();
        // Okta sends a random password, whether it is wanted or not.
        values.insert("password".to_owned(), SecretToken::generate(&self.ambient, "").expose().into());
        let message = self.link.message("create-user", &values)?;
        self.link.push(Method::POST, "/Users", &message).await?.id()
    }

    async fn add_to_group(&mut self, group: &str, person: &Person, id: &str) -> Outcome {
        let member = json!({"value": id, "display": person.field("userName")});
        self.put_members(group, |members| {
            members.retain(|other| other.get("value").and_then(Value::as_str) != Some(id));
            members.push(member);
        })
        .await
    }

    async fn remove_from_group(&mut self, group: &str, _person: &Person, id: &str) -> Outcome {
        self.put_members(group, |members| {
            members.retain(|other| other.get("value").and_then(Value::as_str) != Some(id));
        })
        .await
    }

    async fn update(&mut self, message: &str, person: &Person, id: &str, active: bool) -> Outcome {
        self.put_user(message, person, id, active).await
    }
}
