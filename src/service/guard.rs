//! The guard: losses of access that are too many at once are held until a person decides.
//!
//! It is asked inside the transaction of the change, with everybody whom the change takes something from, and only then:
//! whoever loses nothing costs nothing. What it keeps back is not written at all, so that a held person simply stays as
//! before, and what is carried out later is computed from how things are then.

mod notices;
mod preview;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::{Access, Has, Loss, loss};
use crate::base::{AccountId, Causes, ConnectionId, EventId, HoldId, Timestamp, UserId};
use crate::domain::{Beyond, Limits, LossKind};
use crate::store::audit::AuditEvent;
use crate::store::holds::{self, HeldState, Hold, NewHeld};
use crate::store::recomputes::{self, Recompute};
use crate::store::users::User;
use crate::store::{Change, Session, StoreError, Tx};

use super::core::Parts;
use super::entitle::Entitled;
use super::error::ServiceError;

pub(super) use notices::{Notices, Opened};
pub use preview::{Foreseen, Preview};

/// What brought a change about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cause {
    /// The event in the audit trail.
    pub(super) event: EventId,
    /// Who did it, as the audit trail names them.
    pub(super) actor: String,
    /// The request.
    pub(super) request: String,
    /// What was done, as in `group.patch`.
    pub(super) action: String,
    /// What it was done to: `user`, `group`, `rules`, `connection` or `hold`.
    pub(super) target_kind: String,
    /// Its id.
    pub(super) target_id: String,
    /// Its name.
    pub(super) target: String,
    /// Whether an identity provider did it.
    pub(super) by_idp: bool,
}

impl Cause {
    /// As it is kept.
    pub(super) fn as_value(&self) -> Result<Value, ServiceError> {
        let damaged = |error: serde_json::Error| StoreError::Damaged { table: "hold_cause", what: error.to_string() };
        Ok(serde_json::to_value(self).map_err(damaged)?)
    }

    /// What made a recomputation necessary.
    pub(super) fn of(work: &Recompute) -> Result<Self, ServiceError> {
        let damaged =
            |error: serde_json::Error| StoreError::Damaged { table: "recompute", what: format!("cause: {error}") };
        match &work.cause {
            Some(cause) => Ok(serde_json::from_value(cause.clone()).map_err(damaged)?),
            None => Ok(Self {
                event: work.event,
                actor: "recompute".to_owned(),
                request: String::new(),
                action: "recompute".to_owned(),
                target_kind: "account".to_owned(),
                target_id: work.account.to_string(),
                target: String::new(),
                by_idp: false,
            }),
        }
    }
}

/// How somebody comes to lose something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By a group, an attribute or a rule.
    Implied,
    /// The push says that access ends.
    Ends,
    /// Access has ended before; the worker is still there.
    Ended,
}

/// Somebody whom a change takes something from.
#[derive(Clone, Debug)]
pub(super) struct Losing<'a> {
    pub(super) user: &'a User,
    pub(super) loss: Loss,
    pub(super) how: How,
}

/// How a loss is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Carried out, and not counted: a person approved it, or nobody guards.
    Free,
    /// Kept back as before.
    Kept,
    /// Judged.
    Judged,
}

/// What a person loses by the outcome of the rules now.
pub(super) fn loses(user: &User, had_worker: bool, entitled: &Entitled) -> Option<Loss> {
    if user.role.is_none() && !had_worker {
        return None;
    }
    let worker = entitled.desired.is_some();
    if entitled.role == user.role && (worker || !had_worker) && entitled.access == user.access {
        return None;
    }
    let before: Option<Access> = user.access.as_deref().and_then(|text| match serde_json::from_str(text) {
        Ok(access) => Some(access),
        Err(error) => {
            tracing::warn!(user = %user.id, error = %Causes(&error), "what a person has cannot be read, so nobody knows what is lost");
            None
        }
    });
    let before = Has { role: user.role, access: before.as_ref(), worker: had_worker };
    loss(before, Has { role: entitled.role, access: entitled.outcome.as_ref(), worker })
}

/// Whether a person is to have a worker, as far as the user's row tells. With a role there is one unless a worker could not be
/// described; without one, only while its removal is held.
pub(super) fn had_worker(user: &User) -> bool {
    #[derive(Deserialize)]
    struct Problem {
        problem: Option<serde::de::IgnoredAny>,
    }
    let has_problem = || {
        let text = user.access.as_deref().unwrap_or("{}");
        serde_json::from_str::<Problem>(text).is_ok_and(|stored| stored.problem.is_some())
    };
    user.hold.is_some() || (user.role.is_some() && !has_problem())
}

/// A change whose losses are judged, inside its transaction.
pub(super) struct Guard<'a> {
    pub(super) tx: &'a Tx,
    pub(super) parts: &'a Parts,
    pub(super) account: AccountId,
    pub(super) cause: &'a Cause,
    pub(super) at: Timestamp,
    /// Whether it is part of a recomputation of many, which judges as a whole.
    pub(super) in_background: bool,
}

/// Who keeps what they have.
pub(super) type Kept = HashSet<UserId>;

/// By which connection, and what.
pub(super) type Group = (ConnectionId, LossKind);

impl Guard<'_> {
    /// Judges the losses of a change as a whole; says who keeps what they have. What is counted is added to `change`. The
    /// people are locked. Whoever is carried out has left the hold that they may have been in.
    pub(super) async fn judge(&self, losing: &[Losing<'_>], change: &mut Change) -> Result<Kept, ServiceError> {
        let (mut kept, to_judge) = self.sort(losing).await?;
        for (group, some) in to_judge {
            let ids: Vec<UserId> = some.iter().map(|losing| losing.user.id).collect();
            if let Some(beyond) = self.beyond(group, &ids).await? {
                self.hold(group, &some, beyond).await?;
                kept.extend(ids);
            } else {
                change.lose(group.0, group.1, &ids, self.at, group.1 == LossKind::Access)?;
            }
        }
        self.let_go(losing, &kept).await?;
        Ok(kept)
    }

    /// Sorts losses into those that are kept back as before, and those to be judged, by connection and kind; all others are
    /// free.
    pub(super) async fn sort<'l>(
        &self,
        losing: &'l [Losing<'l>],
    ) -> Result<(Kept, BTreeMap<Group, Vec<&'l Losing<'l>>>), ServiceError> {
        let in_holds: Vec<(UserId, HoldId)> =
            losing.iter().filter_map(|losing| Some((losing.user.id, losing.user.hold?))).collect();
        let states: HashMap<UserId, HeldState> =
            holds::states_of(self.tx, &in_holds).await?.into_iter().map(|(user, _, state)| (user, state)).collect();
        let unjudged = self.unjudged(losing).await?;
        let (mut kept, mut to_judge) = (Kept::new(), BTreeMap::<Group, Vec<&Losing<'_>>>::new());
        for one in losing {
            let Some(connection) = one.user.connection else { continue };
            let waits = one.how == How::Implied && unjudged.iter().any(|some| includes(some.as_ref(), one.user.id));
            let standing = match states.get(&one.user.id) {
                Some(HeldState::Approved) => Standing::Free,
                Some(HeldState::Held) if one.how != How::Ends => Standing::Kept,
                Some(HeldState::Rejected) if one.how != How::Ends && !self.cause.by_idp => Standing::Kept,
                _ if self.limits(connection).await?.are_off() => Standing::Free,
                _ if waits => Standing::Kept,
                _ => Standing::Judged,
            };
            match standing {
                Standing::Free => {}
                Standing::Kept => drop(kept.insert(one.user.id)),
                Standing::Judged => to_judge.entry((connection, one.loss.kind)).or_default().push(one),
            }
        }
        Ok((kept, to_judge))
    }

    /// Who is still to be judged by a recomputation of many: a push that touches one of them beforehand must not carry out
    /// for one what would be held for all.
    async fn unjudged(&self, losing: &[Losing<'_>]) -> Result<Vec<Option<Vec<UserId>>>, ServiceError> {
        if self.in_background || losing.iter().all(|losing| losing.how != How::Implied) {
            return Ok(Vec::new());
        }
        Ok(recomputes::unjudged(self.tx, self.account).await?)
    }

    /// Whether losses of this person are judged at all.
    pub(super) async fn watches(&self, user: &User) -> Result<bool, ServiceError> {
        match user.connection {
            Some(connection) => Ok(!self.limits(connection).await?.are_off()),
            None => Ok(false),
        }
    }

    async fn limits(&self, connection: ConnectionId) -> Result<Limits, ServiceError> {
        self.parts.caches.limits(self.tx, self.account, connection, self.parts.limits).await
    }

    /// Whether the losses of these people, with those of the window, are too many.
    pub(super) async fn beyond(&self, group: Group, users: &[UserId]) -> Result<Option<Beyond>, ServiceError> {
        let limits = self.limits(group.0).await?;
        holds::lock(self.tx, group.0).await?;
        Ok(count(self.tx, group, users, &limits, self.at).await?)
    }

    /// Puts people into the hold of their connection and kind, which is opened if there is none.
    pub(super) async fn hold(&self, group: Group, losing: &[&Losing<'_>], beyond: Beyond) -> Result<(), ServiceError> {
        let (connection, kind) = group;
        let ids: Vec<UserId> = losing.iter().map(|losing| losing.user.id).collect();
        let hold = match holds::open_of(self.tx, connection, kind).await? {
            Some(hold) => hold,
            None => self.open(group, ids.len(), beyond).await?,
        };
        let elsewhere: Vec<(UserId, HoldId)> = losing
            .iter()
            .filter_map(|losing| Some((losing.user.id, losing.user.hold.filter(|it| *it != hold)?)))
            .collect();
        if !elsewhere.is_empty() {
            holds::release(self.tx, &elsewhere, HeldState::Overtaken, self.at).await?;
        }
        let people: Vec<NewHeld<'_, Loss>> = losing
            .iter()
            .map(|losing| NewHeld { user: losing.user.id, loses: &losing.loss, ended: losing.how != How::Implied })
            .collect();
        let cause = self.cause.as_value()?;
        holds::hold(self.tx, hold, &people, self.cause.event, &cause, self.at).await?;
        let mut change = self.tx.change();
        change.lose(connection, kind, &ids, self.at, false)?;
        self.tx.apply(change).await?;
        Ok(())
    }

    async fn open(&self, group: Group, people: usize, beyond: Beyond) -> Result<HoldId, ServiceError> {
        let hold = Hold {
            id: self.parts.ambient.id_at(self.at),
            account: self.account,
            connection: group.0,
            kind: group.1,
            open: true,
            beyond: beyond.as_str().to_owned(),
            opened_at: self.at,
            decided_at: None,
        };
        let mut change = self.tx.change();
        change.insert_hold(&hold);
        change.audit(&AuditEvent {
            id: self.parts.ambient.id(),
            at: self.at,
            account: self.account,
            connection: Some(group.0),
            actor: "guard".to_owned(),
            request: self.cause.request.clone(),
            action: "hold.open",
            target_kind: "hold",
            target_id: hold.id.to_string(),
            before: None,
            after: Some(json!({"kind": group.1, "beyond": beyond.as_str(), "people": people, "cause": self.cause})),
        })?;
        self.tx.apply(change).await?;
        self.parts.notices.note(Opened { hold: hold.id, account: self.account, group, people, beyond });
        Ok(hold.id)
    }

    /// Carries losses out without judging them, but for those who are in a hold; says who are.
    pub(super) async fn carry_out(&self, losing: &[Losing<'_>]) -> Result<Kept, ServiceError> {
        let in_holds: Vec<(UserId, HoldId)> =
            losing.iter().filter_map(|losing| Some((losing.user.id, losing.user.hold?))).collect();
        let states = holds::states_of(self.tx, &in_holds).await?.into_iter();
        let waiting = states.filter(|(_, _, state)| matches!(state, HeldState::Held | HeldState::Rejected));
        let kept = waiting.map(|(user, _, _)| user).collect();
        self.let_go(losing, &kept).await?;
        Ok(kept)
    }

    /// Takes those out of their holds whose loss is carried out.
    pub(super) async fn let_go(&self, losing: &[Losing<'_>], kept: &Kept) -> Result<(), ServiceError> {
        let gone: Vec<&User> =
            losing.iter().map(|losing| losing.user).filter(|user| !kept.contains(&user.id)).collect();
        self.release(&gone, HeldState::Overtaken).await
    }

    /// Takes people out of the holds that they are in; those who waited get this state.
    pub(super) async fn release(&self, people: &[&User], state: HeldState) -> Result<(), ServiceError> {
        let held: Vec<(UserId, HoldId)> = people.iter().filter_map(|user| Some((user.id, user.hold?))).collect();
        if held.is_empty() {
            return Ok(());
        }
        let mut connections: Vec<ConnectionId> = people.iter().filter_map(|user| user.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        for connection in connections {
            // A hold is ended by nobody while somebody else puts people into it.
            holds::lock(self.tx, connection).await?;
        }
        if state == HeldState::Returned {
            for (user, hold) in &held {
                if let Some(hold) = holds::by_id(self.tx, self.account, *hold).await? {
                    holds::forget_losses_of(self.tx, &hold, &[*user]).await?;
                }
            }
        }
        Ok(holds::release(self.tx, &held, state, self.at).await?)
    }
}

/// Whether so many lose something, with those of the window, that it is beyond the limits.
async fn count(
    session: &Session,
    (connection, kind): Group,
    users: &[UserId],
    limits: &Limits,
    at: Timestamp,
) -> Result<Option<Beyond>, StoreError> {
    let window = i64::try_from(limits.window.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp::from_millis(at.millis().saturating_sub(window));
    let before = holds::lost_since(session, connection, kind, since, users, limits.losses_to_count()).await?;
    let lost = before.all.saturating_add(u64::try_from(users.len()).unwrap_or(u64::MAX));
    let people = match limits.enough_people(lost) {
        // Whoever lost access within the window had it when the window began.
        Some(enough) => holds::people_with_access(session, connection, enough).await?.saturating_add(before.gone),
        None => 0,
    };
    Ok(limits.judge(lost, people))
}

fn includes(some: Option<&Vec<UserId>>, user: UserId) -> bool {
    some.is_none_or(|users| users.binary_search(&user).is_ok())
}
