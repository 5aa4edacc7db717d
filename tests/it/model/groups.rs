//! What is done to groups and their members, and what is deleted.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::run::{Run, Step, answered, refused};
use super::state::Group;
use crate::support::GROUP;

/// An id that nobody has.
const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

impl Run {
    fn group_name(&mut self) -> String {
        let name = self.random.one(["Agents", "Billing", "Leads", "Night shift"]);
        self.random.recased(name)
    }

    /// Some of those who are there, users and groups.
    fn somebody(&mut self, most: usize) -> BTreeSet<String> {
        let mut chosen = BTreeSet::new();
        for _ in 0..self.random.below(most + 1) {
            let id = if self.random.once_in(4) {
                self.random.pick(&self.state.groups).map(|group| group.id.clone())
            } else {
                self.random.pick(&self.state.users).map(|user| user.id.clone())
            };
            chosen.extend(id);
        }
        chosen
    }

    pub async fn create_group(&mut self) -> Step {
        let (name, members) = (self.group_name(), self.somebody(3));
        let body = json!({"schemas": [GROUP], "displayName": name, "members": elements(&members)});
        let answer = self.send(Method::POST, "/Groups", Some(&body)).await;
        if self.state.group_name_taken(&name, "") {
            return refused(&answer, 409, Some("uniqueness"));
        }
        let got = answered(&answer, &[201])?;
        let id = got["id"].as_str().ok_or("no id")?.to_owned();
        self.state.groups.push(Group { id: id.clone(), name, members });
        self.same_group(&id, &got)
    }

    pub async fn put_group(&mut self) -> Step {
        let Some(before) = self.random.pick(&self.state.groups).cloned() else { return Ok(()) };
        let (name, members) = (self.group_name(), self.somebody(3));
        let silent = self.random.once_in(3);
        let mut body = json!({"schemas": [GROUP], "id": before.id, "displayName": name});
        if !silent {
            body["members"] = elements(&members);
        }
        let answer = self.send(Method::PUT, &format!("/Groups/{}", before.id), Some(&body)).await;
        if self.state.group_name_taken(&name, &before.id) {
            refused(&answer, 409, Some("uniqueness"))?;
        } else if !silent && self.state.makes_circle(&before.id, &members) {
            refused(&answer, 400, None)?;
        } else {
            let got = answered(&answer, &[200])?;
            let group = self.state.group(&before.id);
            group.name = name;
            if !silent {
                group.members = members;
            }
            return self.same_group(&before.id, &got);
        }
        self.check_group(&before.id).await
    }

    pub async fn patch_group(&mut self) -> Step {
        let Some(before) = self.random.pick(&self.state.groups).cloned() else { return Ok(()) };
        let mut after = before.clone();
        let operations = match self.random.below(9) {
            0..3 => self.adding(&mut after),
            3..5 => self.removing(&mut after),
            5 => self.replacing(&mut after),
            6 => self.renaming(&mut after),
            7 => self.moving(&mut after),
            _ => return self.adding_nobody(&before).await,
        };
        let answer = self.patch(&format!("/Groups/{}", before.id), &Value::Array(operations)).await;
        if self.state.group_name_taken(&after.name, &before.id) {
            refused(&answer, 409, Some("uniqueness"))?;
        } else if self.state.makes_circle(&before.id, &after.members) {
            refused(&answer, 400, None)?;
        } else {
            answered(&answer, &[200, 204])?;
            let people: Vec<String> = before.members.symmetric_difference(&after.members).cloned().collect();
            *self.state.group(&before.id) = after;
            // Membership is seen from both sides.
            if let Some(id) = people.iter().find(|id| self.state.users.iter().any(|user| user.id == **id)) {
                self.check_user(id).await?;
            }
        }
        self.check_group(&before.id).await
    }

    fn adding(&mut self, group: &mut Group) -> Vec<Value> {
        let members = self.somebody(2);
        group.members.extend(members.iter().cloned());
        let value = elements(&members);
        match self.random.below(3) {
            // authentik: one operation for each.
            0 if !members.is_empty() => {
                members.iter().map(|id| json!({"op": "add", "path": "members", "value": [{"value": id}]})).collect()
            }
            1 if !self.strict => {
                let value: Vec<Value> = members.iter().map(|id| json!({"$ref": null, "value": id})).collect();
                vec![json!({"op": "Add", "path": "members", "value": value})]
            }
            _ => vec![json!({"op": "add", "path": "members", "value": value})],
        }
    }

    /// Members, and now and then somebody who is none: that is done already.
    fn removing(&mut self, group: &mut Group) -> Vec<Value> {
        if self.random.once_in(6) {
            group.members.clear();
            return vec![json!({"op": "remove", "path": "members"})];
        }
        let members: Vec<String> = group.members.iter().cloned().collect();
        let mut leaving: BTreeSet<String> = self.random.pick(&members).cloned().into_iter().collect();
        leaving.extend(self.random.pick(&members).cloned());
        if leaving.is_empty() || self.random.once_in(6) {
            leaving.insert(NOBODY.to_owned());
        }
        group.members.retain(|id| !leaving.contains(id));
        if !self.strict && self.random.once_in(2) {
            // Entra ID without its flag, JumpCloud, authentik.
            let value: Vec<Value> = leaving.iter().map(|id| json!({"$ref": null, "value": id})).collect();
            let op = self.random.one(["Remove", "remove"]);
            return vec![json!({"op": op, "path": "members", "value": value})];
        }
        if self.random.once_in(2) {
            let any: Vec<String> = leaving.iter().map(|id| format!("value eq \"{id}\"")).collect();
            return vec![json!({"op": "remove", "path": format!("members[{}]", any.join(" or "))})];
        }
        leaving.iter().map(|id| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})).collect()
    }

    fn replacing(&mut self, group: &mut Group) -> Vec<Value> {
        group.members = self.somebody(3);
        let value = elements(&group.members);
        match self.random.below(3) {
            0 => vec![json!({"op": "replace", "value": {"members": value}})],
            // Okta sends id and name along.
            1 => vec![json!({"op": "replace", "value": {"members": value, "id": group.id, "displayName": group.name}})],
            _ => vec![json!({"op": "replace", "path": "members", "value": value})],
        }
    }

    fn renaming(&mut self, group: &mut Group) -> Vec<Value> {
        group.name = self.group_name();
        if self.random.once_in(2) {
            vec![json!({"op": "replace", "value": {"id": group.id, "displayName": group.name}})]
        } else {
            vec![json!({"op": "replace", "path": "displayName", "value": group.name})]
        }
    }

    /// One leaves and one comes, in one request.
    fn moving(&mut self, group: &mut Group) -> Vec<Value> {
        let mut operations = self.removing(group);
        operations.extend(self.adding(group));
        operations
    }

    /// Somebody who is not there cannot be a member, and the rest of the request has no effect either.
    async fn adding_nobody(&mut self, group: &Group) -> Step {
        let mut members = self.somebody(1);
        members.insert(self.random.pick(&self.state.gone).cloned().unwrap_or_else(|| NOBODY.to_owned()));
        let operations = json!([
            {"op": "replace", "path": "displayName", "value": "Nobody's"},
            {"op": "add", "path": "members", "value": elements(&members)},
        ]);
        let answer = self.patch(&format!("/Groups/{}", group.id), &operations).await;
        refused(&answer, 400, Some("invalidValue"))?;
        self.check_group(&group.id).await
    }

    pub async fn delete(&mut self) -> Step {
        let (kind, id) = if self.random.once_in(2) {
            ("Users", self.random.pick(&self.state.users).map(|user| user.id.clone()))
        } else {
            ("Groups", self.random.pick(&self.state.groups).map(|group| group.id.clone()))
        };
        let Some(id) = id else { return Ok(()) };
        let path = format!("/{kind}/{id}");
        let answer = self.send(Method::DELETE, &path, None).await;
        answered(&answer, &[204])?;
        self.state.delete(&id);
        let answer = self.send(Method::DELETE, &path, None).await;
        refused(&answer, 404, None)
    }
}

fn elements(members: &BTreeSet<String>) -> Value {
    members.iter().map(|id| json!({"value": id})).collect()
}
