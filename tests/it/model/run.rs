//! One sequence: what is sent, and how answers are held against the model.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::state::State;
use crate::support::{Answer, GROUP, Random, Scim, encoded};

/// Requests that change something, in a sequence.
const STEPS: usize = 12;

pub type Step = Result<(), String>;

/// A sequence under way.
#[derive(Debug)]
pub struct Run {
    pub scim: Scim,
    pub random: Random,
    pub state: State,
    pub seed: u64,
    pub strict: bool,
    /// What was sent and answered so far, for the report of a failure.
    pub trace: Vec<String>,
}

impl Run {
    pub fn new(scim: Scim, seed: u64, strict: bool) -> Self {
        Self { scim, random: Random::new(seed), state: State::default(), seed, strict, trace: Vec::new() }
    }

    pub async fn all(&mut self) -> Step {
        self.create_user().await?;
        self.create_group().await?;
        for _ in 0..STEPS {
            match self.random.below(20) {
                0..3 => self.create_user().await?,
                3..5 => self.create_group().await?,
                5..9 => self.patch_user().await?,
                9..11 => self.put_user().await?,
                11..16 => self.patch_group().await?,
                16 => self.put_group().await?,
                17 => self.delete().await?,
                18 => self.filter_users().await?,
                _ => self.look().await?,
            }
        }
        self.everything().await
    }

    pub async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut draft = self.scim.request(method.clone(), path);
        if let Some(body) = body {
            draft = draft.json(body);
        }
        let answer = draft.send().await;
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.trace.push(format!("{method} {path} {body}\n  -> {answer}"));
        answer
    }

    pub async fn patch(&mut self, path: &str, operations: &Value) -> Answer {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.send(Method::PATCH, path, Some(&body)).await
    }

    /// One resource, or a page, or something that is gone.
    async fn look(&mut self) -> Step {
        match self.random.below(4) {
            0 => self.page().await,
            1 => {
                let Some(id) = self.random.pick(&self.state.gone).cloned() else { return Ok(()) };
                for kind in ["Users", "Groups"] {
                    let answer = self.send(Method::GET, &format!("/{kind}/{id}"), None).await;
                    refused(&answer, 404, None)?;
                }
                Ok(())
            }
            2 => match self.random.pick(&self.state.users).map(|user| user.id.clone()) {
                Some(id) => self.check_user(&id).await,
                None => Ok(()),
            },
            _ => match self.random.pick(&self.state.groups).map(|group| group.id.clone()) {
                Some(id) => self.check_group(&id).await,
                None => Ok(()),
            },
        }
    }

    pub async fn check_user(&mut self, id: &str) -> Step {
        let answer = self.send(Method::GET, &format!("/Users/{id}"), None).await;
        let body = answered(&answer, &[200])?;
        self.same_user(id, &body)
    }

    pub fn same_user(&mut self, id: &str, got: &Value) -> Step {
        let user = self.state.user(id).clone();
        same(&self.state.user_body(&user), got, "User", id)
    }

    pub async fn check_group(&mut self, id: &str) -> Step {
        let answer = self.send(Method::GET, &format!("/Groups/{id}"), None).await;
        let body = answered(&answer, &[200])?;
        self.same_group(id, &body)
    }

    pub fn same_group(&mut self, id: &str, got: &Value) -> Step {
        let group = self.state.group(id).clone();
        let mut got = got.clone();
        let members: Vec<Value> = got
            .as_object_mut()
            .and_then(|got| got.remove("members"))
            .map_or_else(Vec::new, |m| m.as_array().cloned().unwrap_or_default());
        let ids: BTreeSet<&str> = members.iter().filter_map(|member| member["value"].as_str()).collect();
        let wanted: BTreeSet<&str> = group.members.iter().map(String::as_str).collect();
        if ids != wanted || members.len() != wanted.len() {
            return Err(format!("the group {id} must have the members {wanted:?}, and has {members:?}"));
        }
        for member in &members {
            let is_group = self.state.groups.iter().any(|group| member["value"] == group.id.as_str());
            if member["type"] != if is_group { "Group" } else { "User" } {
                return Err(format!("the type of a member is wrong: {member}"));
            }
        }
        let wanted = json!({"schemas": [GROUP], "id": id, "displayName": group.name});
        same(&wanted, &got, "Group", id)
    }

    /// A page of users: as many as it must have, out of those that there are, and the true total.
    async fn page(&mut self) -> Step {
        let total = self.state.users.len();
        let (start, count) = (1 + self.random.below(total + 2), self.random.below(4));
        let path = format!("/Users?startIndex={start}&count={count}&attributes=userName");
        let answer = self.send(Method::GET, &path, None).await;
        let body = answered(&answer, &[200])?;
        let wanted = count.min((total + 1).saturating_sub(start));
        let got = body["Resources"].as_array().map_or(0, Vec::len);
        if body["totalResults"] != json!(total) || got != wanted || body["itemsPerPage"] != json!(wanted) {
            return Err(format!("of {total} users, page {start} of {count} must have {wanted}, and has {got}: {body}"));
        }
        Ok(())
    }

    pub async fn found(&mut self, path: &str, filter: &str, wanted: &BTreeSet<String>) -> Step {
        self.trace.push(format!("filter {filter}"));
        let path = format!("{path}?count=1000&attributes=id&filter={}", encoded(filter));
        let answer = self.send(Method::GET, &path, None).await;
        let body = answered(&answer, &[200])?;
        let got: BTreeSet<String> = crate::support::ids(&body["Resources"]).into_iter().collect();
        if &got != wanted || body["totalResults"] != json!(wanted.len()) {
            return Err(format!("the filter {filter} must find {wanted:?}, and finds {body}"));
        }
        Ok(())
    }

    /// At the end, all that there is.
    async fn everything(&mut self) -> Step {
        let answer = self.send(Method::GET, "/Users?count=1000", None).await;
        let users = answered(&answer, &[200])?;
        let answer = self.send(Method::GET, "/Groups?count=1000", None).await;
        let groups = answered(&answer, &[200])?;
        for (list, wanted) in [(&users, self.state.users.len()), (&groups, self.state.groups.len())] {
            let got = list["Resources"].as_array().map_or(0, Vec::len);
            if list["totalResults"] != json!(wanted) || got != wanted {
                return Err(format!("{wanted} must be there, not {list}"));
            }
        }
        for (index, user) in self.state.users.clone().iter().enumerate() {
            // By order of creation, as docs/api/scim.md promises.
            self.same_user(&user.id, &users["Resources"][index])?;
        }
        for (index, group) in self.state.groups.clone().iter().enumerate() {
            self.same_group(&group.id, &groups["Resources"][index])?;
        }
        Ok(())
    }
}

/// The body of an answer that has one of these statuses.
pub fn answered(answer: &Answer, statuses: &[u16]) -> Result<Value, String> {
    if !statuses.contains(&answer.status) {
        return Err(format!("wanted {statuses:?}, got {answer}"));
    }
    Ok(if answer.body.is_empty() { Value::Null } else { answer.json() })
}

/// Checks that the answer is the SCIM Error that it must be (RFC 7644 §3.12).
pub fn refused(answer: &Answer, status: u16, scim_type: Option<&str>) -> Step {
    let body = answered(answer, &[status])?;
    if body["status"] != json!(status.to_string()) || body["schemas"] != json!([crate::support::ERROR]) {
        return Err(format!("no SCIM Error: {answer}"));
    }
    match scim_type {
        Some(wanted) if body["scimType"] != wanted => Err(format!("wanted the scimType {wanted}: {answer}")),
        _ => Ok(()),
    }
}

/// Whether the resource is the one of the model: these attributes, and no others but `meta`.
fn same(wanted: &Value, got: &Value, kind: &str, id: &str) -> Step {
    let mut got = got.clone();
    let Some(object) = got.as_object_mut() else { return Err(format!("no object: {got}")) };
    let meta = object.remove("meta").unwrap_or_default();
    let location = meta["location"].as_str().unwrap_or_default();
    if meta["resourceType"] != kind || !location.ends_with(&format!("/{kind}s/{id}")) || meta["version"].is_null() {
        return Err(format!("the meta of {kind} {id} is wrong: {meta}"));
    }
    if let Some(groups) = object.get_mut("groups").and_then(Value::as_array_mut) {
        for group in &mut *groups {
            group.as_object_mut().map(|group| group.remove("$ref"));
        }
        groups.sort_by_key(|group| group["value"].as_str().unwrap_or_default().to_owned());
    }
    if wanted == &got { Ok(()) } else { Err(format!("{kind} {id} must be\n  {wanted}\nand is\n  {got}")) }
}
