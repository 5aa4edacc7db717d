//! Computing people's access anew: at once for few, in chunks for many.

mod found;

use std::sync::{Arc, Mutex, PoisonError};

use crate::access::Loss;
use crate::base::{AccountId, Causes, Timestamp, UserId};
use crate::domain::Reason;
use crate::store::holds::HeldState;
use crate::store::receipts::Leaving;
use crate::store::recomputes::{self, NewRecompute, Recompute};
use crate::store::users::{self, User};
use crate::store::workers::{self, Wanted};
use crate::store::{Change, Tx};

use super::core::{Core, Parts};
use super::entitle::{Entitled, Entitling, SaidBefore};
use super::error::ServiceError;
use super::guard::{Cause, Guard, How, Kept, Losing, loses};
use found::Found;

/// Changes that touch up to this many people are computed in their own transaction.
pub const AT_ONCE: usize = 500;
/// People of one chunk.
const CHUNK: u64 = 200;

/// Computes these people's access, or records that it must be computed when they are too many for one transaction. What
/// follows is added to `change`, which the caller writes.
pub(super) async fn settle_or_defer(
    tx: &Tx,
    parts: &Parts,
    account: AccountId,
    mut users: Vec<UserId>,
    cause: &Cause,
    change: &mut Change,
) -> Result<Deferred, ServiceError> {
    // Rules are replaced, never taken away: where there are none, nobody has anything that could change.
    if parts.caches.rules(tx, account).await?.is_empty() {
        return Ok(Deferred(false));
    }
    users.sort();
    users.dedup();
    let at = parts.ambient.now();
    if users.len() <= AT_ONCE {
        let guard = Guard { tx, parts, account, cause, at, in_background: false };
        Settling { guard: &guard, forced: false, accepted: None }.settle(&users, change).await?;
        return Ok(Deferred(false));
    }
    change.insert_recompute(&NewRecompute {
        id: parts.ambient.id(),
        account,
        users: Some(&users),
        event: cause.event,
        cause: cause.as_value()?,
        forced: false,
    })?;
    Ok(Deferred(true))
}

/// Whether people are left for the recomputation in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deferred(pub(super) bool);

/// A computation of people's access, inside its transaction.
pub(super) struct Settling<'a> {
    pub(super) guard: &'a Guard<'a>,
    /// Whether nothing is held.
    pub(super) forced: bool,
    /// When what led to it was accepted; none: just now.
    pub(super) accepted: Option<Timestamp>,
}

/// What was computed for somebody.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) user: User,
    entitled: Entitled,
    loss: Option<Loss>,
    worker_differs: bool,
}

impl Computed {
    /// The same as the guard asks for it, if something is lost.
    fn losing(&self) -> Option<Losing<'_>> {
        let how = if self.user.status.may_have_access() { How::Implied } else { How::Ended };
        Some(Losing { user: &self.user, loss: self.loss.clone()?, how })
    }
}

impl Settling<'_> {
    /// Computes these people's access and adds what differs to `change`; says for how many it did.
    async fn settle(&self, ids: &[UserId], change: &mut Change) -> Result<u64, ServiceError> {
        let people = self.compute(ids).await?;
        let losing: Vec<Losing<'_>> = people.iter().filter_map(Computed::losing).collect();
        let kept = match (losing.is_empty(), self.forced) {
            (true, _) => Kept::new(),
            (false, false) => self.guard.judge(&losing, change).await?,
            (false, true) => self.guard.carry_out(&losing).await?,
        };
        let people: Vec<&Computed> = people.iter().filter(|computed| !kept.contains(&computed.user.id)).collect();
        self.write_all(&people, change).await
    }

    /// What follows from the rules for each of these people, who are locked.
    async fn compute(&self, ids: &[UserId]) -> Result<Vec<Computed>, ServiceError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let Guard { tx, parts, account, .. } = *self.guard;
        let mut all = Vec::with_capacity(ids.len());
        for (user, had) in users::many_locked(tx, account, ids).await? {
            // A local account has the role that a person gave it, and no worker.
            if user.connection.is_none() {
                continue;
            }
            // One person who cannot be read must not keep the others waiting.
            let attributes = match user.attributes() {
                Ok(attributes) => attributes,
                Err(error) => {
                    tracing::error!(user = %user.id, error = %Causes(&error), "a person's access cannot be computed");
                    continue;
                }
            };
            let said = SaidBefore::of(tx, &user).await?;
            let person = Entitling {
                account: user.account,
                connection: user.connection,
                status: user.status,
                user: user.id,
                attributes: &attributes,
                groups: &user.groups,
                said: &said,
                expected: user.has_signed_in || had.is_some(),
            };
            let entitled = parts.entitle(tx, &person).await?;
            let loss = loses(&user, had.is_some(), &entitled);
            let worker_differs = entitled.desired.as_ref().map(crate::domain::DesiredWorker::digest) != had;
            all.push(Computed { user, entitled, loss, worker_differs });
        }
        Ok(all)
    }

    /// Writes what was computed; nobody of these is kept back.
    async fn write_all(&self, people: &[&Computed], change: &mut Change) -> Result<u64, ServiceError> {
        let back: Vec<&User> = people.iter().filter(|it| it.loss.is_none()).map(|it| &it.user).collect();
        self.guard.release(&back, HeldState::Returned).await?;
        let mut changed = 0;
        for computed in people {
            if self.write(computed, change).await? {
                changed += 1;
            }
        }
        Ok(changed)
    }

    async fn write(&self, computed: &Computed, change: &mut Change) -> Result<bool, ServiceError> {
        let Computed { user, entitled, worker_differs, .. } = computed;
        let access_differs = entitled.access != user.access || entitled.role != user.role;
        if access_differs {
            change.set_access(user.account, user.id, entitled.role, entitled.access.as_deref());
        }
        let Guard { tx, parts, cause, .. } = *self.guard;
        let (account, event) = (user.account, cause.event);
        let had_access = user.role.is_some() && entitled.role.is_none();
        match &entitled.desired {
            Some(desired) if *worker_differs => {
                let (id, connection) = (parts.ambient.id(), user.connection);
                let wanted = Wanted { id, account, connection, user: user.id, desired, event };
                let name = crate::base::fold(&desired.friendly_name);
                // While a loss was held, the worker kept a name that the person may have lost.
                if user.hold.is_some() && workers::bears_another_name(tx, account, user.id, &name).await? {
                    workers::rename(tx, &wanted).await?;
                } else {
                    change.want_worker(&wanted)?;
                }
            }
            None if *worker_differs || had_access => change.leave(&Leaving {
                account,
                user: user.id,
                reason: Reason::of(user.status),
                event,
                accepted: self.accepted,
                had_access,
            }),
            _ => {}
        }
        Ok(access_differs || *worker_differs)
    }
}

/// How far a recomputation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Users whose computation this chunk finished.
    pub looked_at: u64,
    /// Users for whom something changed.
    pub changed: u64,
}

impl Core {
    /// Whether access of an account's people is waiting to be recomputed.
    pub async fn recomputes_pending(&self, account: AccountId) -> Result<bool, ServiceError> {
        Ok(recomputes::any(self.store.read(), Some(account)).await?)
    }

    /// Does one chunk of the recomputation that waits longest, of one account or of any; none: nothing waits, or others are
    /// at it.
    pub async fn recompute_chunk(&self, account: Option<AccountId>) -> Result<Option<Progress>, ServiceError> {
        if !recomputes::any(self.store.read(), account).await? {
            return Ok(None);
        }
        let parts = self.parts();
        let notices = parts.notices.clone();
        let taken: Arc<Mutex<Option<uuid::Uuid>>> = Arc::default();
        let noted = Arc::clone(&taken);
        let result = self
            .store
            .write(move |tx| {
                let (parts, noted) = (parts.clone(), Arc::clone(&noted));
                Box::pin(async move {
                    let Some(work) = recomputes::claim(tx, account).await? else { return Ok::<_, ServiceError>(None) };
                    *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(work.id);
                    Ok(Some(chunk(tx, &parts, work).await?))
                })
            })
            .await;
        let failed = *taken.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = match (result, failed) {
            (Err(error), Some(work)) => {
                // The others must not wait behind it.
                self.store.write(move |tx| Box::pin(recomputes::put_off(tx, work))).await?;
                return Err(error);
            }
            (result, _) => result?,
        };
        notices.tell();
        self.wake_if(progress.is_some_and(|progress| progress.changed > 0));
        Ok(progress)
    }
}

async fn chunk(tx: &Tx, parts: &Parts, mut work: Recompute) -> Result<Progress, ServiceError> {
    let ids = next(tx, &work).await?;
    let (cause, at) = (Cause::of(&work)?, parts.ambient.now());
    let guard = Guard { tx, parts, account: work.account, cause: &cause, at, in_background: true };
    let settling = Settling { guard: &guard, forced: work.forced, accepted: Some(work.created_at) };
    let mut change = tx.change();
    let changed = if work.pass == 0 {
        let mut found = Found::of(&work)?;
        let changed = if ids.is_empty() {
            settling.carry_out_found(&found, &mut change).await?
        } else {
            settling.find_losers(&ids, &mut found, &mut change).await?
        };
        work.found = found.as_value()?;
        changed
    } else {
        settling.settle(&ids, &mut change).await?
    };
    tx.apply(change).await?;
    // The first pass looks at everybody whom the second will look at again.
    let looked_at = if work.pass == 0 { 0 } else { u64::try_from(ids.len()).unwrap_or(u64::MAX) };
    work.done += i64::try_from(ids.len()).unwrap_or(i64::MAX);
    if let Some(last) = ids.last() {
        work.after_user = last.to_string();
        recomputes::advance(tx, &work).await?;
    } else if work.pass == 0 {
        work.pass = 1;
        work.after_user = String::new();
        work.found = None;
        recomputes::advance(tx, &work).await?;
    } else {
        recomputes::finish(tx, &work).await?;
    }
    Ok(Progress { looked_at, changed })
}

async fn next(tx: &Tx, work: &Recompute) -> Result<Vec<UserId>, ServiceError> {
    let Some(users) = &work.users else {
        return Ok(users::ids_after(tx, work.account, &work.after_user, CHUNK).await?);
    };
    let start = users.partition_point(|user| user.to_string() <= work.after_user);
    Ok(users.iter().skip(start).take(usize::try_from(CHUNK).unwrap_or(usize::MAX)).copied().collect())
}
