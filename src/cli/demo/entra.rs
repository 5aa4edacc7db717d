//! Microsoft Entra ID: it matches by externalId (the object's id in the directory), and patches.

use std::collections::HashMap;

use async_trait::async_trait;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::idp::{Link, Provider, Result};
use super::script::Person;
use crate::base::Ambient;
use crate::cli::Outcome;

pub(super) struct Entra {
    link: Link,
    ambient: Ambient,
    groups: HashMap<String, String>,
}

impl Entra {
    pub(super) fn new(link: Link, ambient: Ambient) -> Self {
        Self { link, ambient, groups: HashMap::new() }
    }

    /// Blanks are sent as `+`, and quotes encoded.
    fn filter(attribute: &str, value: &str) -> String {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string().replace("%20", "+").replace("%2D", "-");
        format!("filter={attribute}+eq+%22{value}%22")
    }

    async fn patch_group(&mut self, message: &str, group: &str, member: &str) -> Outcome {
        let id = self.groups.get(group).ok_or_else(|| format!("Entra has not pushed the group {group}"))?;
        let path = format!("/Groups/{id}");
        let message = self.link.message(message, &Map::from_iter([("id".to_owned(), member.into())]))?;
        self.link.push(Method::PATCH, &path, &message).await?;
        Ok(())
    }
}

#[async_trait]
impl Provider for Entra {
    fn link(&self) -> &Link {
        &self.link
    }

    async fn probe(&mut self) -> Outcome {
        let nobody = self.ambient.id::<Uuid>().to_string();
        for path in [
            format!("/Users?{}", Self::filter("externalId", &nobody)),
            format!("/Groups?excludedAttributes=members&{}", Self::filter("displayName", &nobody)),
        ] {
            // Anything but an empty list would put its job in quarantine.
            if self.link.get(&path).await?.body.get("totalResults") != Some(&Value::from(0)) {
                return Err("Entra looked for nobody and found somebody".into());
            }
        }
        Ok(())
    }

    async fn push_group(&mut self, group: &str) -> Result<bool> {
        let filter = Self::filter("displayName", group);
        let found = self.link.get(&format!("/Groups?excludedAttributes=members&{filter}")).await?;
        let known = found.first_id();
        let matched = known.is_some();
        let id = if let Some(id) = known {
            id
        } else {
            let object = self.ambient.id::<Uuid>().to_string();
            let values = Map::from_iter([("group".to_owned(), group.into()), ("externalId".to_owned(), object.into())]);
            let message = self.link.message("create-group", &values)?;
            self.link.push(Method::POST, "/Groups", &message).await?.id()?
        };
        self.groups.insert(group.to_owned(), id);
        Ok(matched)
    }

    async fn find(&mut self, person: &Person) -> Result<Option<String>> {
        let filter = Self::filter("externalId", person.field("externalId"));
        Ok(self.link.get(&format!("/Users?{filter}")).await?.first_id())
    }

    async fn create(&mut self, person: &Person) -> Result<String> {
        let message = self.link.message("create-user", &person.values())?;
        self.link.push(Method::POST, "/Users", &message).await?.id()
    }

    async fn add_to_group(&mut self, group: &str, _person: &Person, id: &str) -> Outcome {
        self.patch_group("add-member", group, id).await
    }

    async fn remove_from_group(&mut self, group: &str, _person: &Person, id: &str) -> Outcome {
        self.patch_group("remove-member", group, id).await
    }

    /// Whether the person is active is part of the message here.
    async fn update(&mut self, message: &str, person: &Person, id: &str, _active: bool) -> Outcome {
        let message = self.link.message(message, &person.values())?;
        self.link.push(Method::PATCH, &format!("/Users/{id}"), &message).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_written_as_entra_writes_them() {
        assert_eq!(Entra::filter("displayName", "CC Sales"), "filter=displayName+eq+%22CC+Sales%22");
        assert_eq!(Entra::filter("externalId", "5f0c-1"), "filter=externalId+eq+%225f0c-1%22");
    }
}
