//! The first pass of a recomputation of many: who loses something, judged as one.
//!
//! Nobody's loss is carried out while they are still being counted. Those found are kept with the work, which are as many
//! as the limits let pass; once they are more, they are held, and everybody who is found later goes to the same hold. At the
//! end of the pass, what was not held is carried out, before the second pass looks at everybody else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Computed, Settling};
use crate::base::UserId;
use crate::domain::Beyond;
use crate::store::Change;
use crate::store::StoreError;
use crate::store::recomputes::Recompute;

use super::super::error::ServiceError;
use super::super::guard::{Group, Losing};

/// Those who were found, by connection and kind.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Found(Vec<Few>);

/// Those of one connection who lose something of one kind.
#[derive(Debug, Serialize, Deserialize)]
struct Few {
    group: Group,
    /// Those who wait for the end of the count; nobody once they are held.
    users: Vec<UserId>,
    held: bool,
}

impl Found {
    /// What a piece of work has found so far.
    pub(super) fn of(work: &Recompute) -> Result<Self, ServiceError> {
        let Some(found) = &work.found else { return Ok(Self::default()) };
        Ok(serde_json::from_value(found.clone()).map_err(|error| damaged(&error))?)
    }

    /// As it is kept.
    pub(super) fn as_value(&self) -> Result<Option<Value>, ServiceError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::to_value(self).map_err(|error| damaged(&error))?))
    }

    fn group(&mut self, group: Group) -> &mut Few {
        let place = self.0.iter().position(|some| some.group == group).unwrap_or_else(|| {
            self.0.push(Few { group, users: Vec::new(), held: false });
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged { table: "recompute", what: format!("found: {error}") }
}

impl Settling<'_> {
    /// Looks who of these people loses something. Whoever is not judged is carried out at once; whoever belongs to a hold
    /// joins it; the others are noted.
    pub(super) async fn find_losers(
        &self,
        ids: &[UserId],
        found: &mut Found,
        change: &mut Change,
    ) -> Result<u64, ServiceError> {
        let people = self.compute(ids).await?;
        let losing: Vec<Losing<'_>> = people.iter().filter_map(Computed::losing).collect();
        if losing.is_empty() {
            return Ok(0);
        }
        let (mut not_now, to_judge) = if self.forced {
            (self.guard.carry_out(&losing).await?, BTreeMap::new())
        } else {
            self.guard.sort(&losing).await?
        };
        for (group, some) in to_judge {
            not_now.extend(some.iter().map(|losing| losing.user.id));
            self.find(group, &some, found).await?;
        }
        if !self.forced {
            self.guard.let_go(&losing, &not_now).await?;
        }
        let now: Vec<&Computed> =
            people.iter().filter(|it| it.loss.is_some() && !not_now.contains(&it.user.id)).collect();
        self.write_all(&now, change).await
    }

    async fn find(&self, group: Group, some: &[&Losing<'_>], found: &mut Found) -> Result<(), ServiceError> {
        let noted = found.group(group);
        if noted.held {
            return self.guard.hold(group, some, Beyond::People).await;
        }
        noted.users.extend(some.iter().map(|losing| losing.user.id));
        let Some(beyond) = self.guard.beyond(group, &noted.users).await? else { return Ok(()) };
        noted.held = true;
        let all = std::mem::take(&mut noted.users);
        // Those who were found by earlier chunks, as they are now.
        let people = self.compute(&all).await?;
        let losing: Vec<Losing<'_>> = people.iter().filter_map(Computed::losing).collect();
        let losing: Vec<&Losing<'_>> = losing.iter().filter(|it| it.user.connection == Some(group.0)).collect();
        self.guard.hold(group, &losing, beyond).await
    }

    /// Carries out what was found and is not held. Since time has passed, it is computed and judged once more.
    pub(super) async fn carry_out_found(&self, found: &Found, change: &mut Change) -> Result<u64, ServiceError> {
        let mut changed = 0;
        for some in found.0.iter().filter(|some| !some.held) {
            changed += self.settle(&some.users, change).await?;
        }
        Ok(changed)
    }
}
