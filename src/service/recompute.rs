//! Computing people's access anew: at once for few, in chunks for many.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{AccountId, Causes, EventId, Timestamp, UserId};
use crate::domain::Reason;
use crate::store::receipts::Leaving;
use crate::store::recomputes::{self, Recompute};
use crate::store::users::{self, User};
use crate::store::workers::Wanted;
use crate::store::{Change, Tx};

use super::core::{Core, Parts};
use super::entitle::{Entitled, Entitling};
use super::error::ServiceError;

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
    event: EventId,
    change: &mut Change,
) -> Result<Deferred, ServiceError> {
    // Rules are replaced, never taken away: where there are none, nobody has anything that could change.
    if parts.caches.rules(tx, account).await?.is_empty() {
        return Ok(Deferred(false));
    }
    users.sort();
    users.dedup();
    if users.len() <= AT_ONCE {
        settle(tx, parts, account, &users, &Cause { event, accepted: None }, Only::Everybody, change).await?;
        return Ok(Deferred(false));
    }
    change.insert_recompute(parts.ambient.id(), account, Some(&users), event)?;
    Ok(Deferred(true))
}

/// Whether people are left for the recomputation in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deferred(pub(super) bool);

/// What led to a computation.
#[derive(Clone, Copy, Debug)]
struct Cause {
    event: EventId,
    /// When it was accepted; none: just now.
    accepted: Option<Timestamp>,
}

/// Whose outcome is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// Those who lose their worker: they come first.
    Losers,
    /// Everybody.
    Everybody,
}

/// Computes these people's access and adds what differs to `change`; says for how many it did.
async fn settle(
    tx: &Tx,
    parts: &Parts,
    account: AccountId,
    ids: &[UserId],
    cause: &Cause,
    only: Only,
    change: &mut Change,
) -> Result<u64, ServiceError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let people = users::many_locked(tx, account, ids).await?;
    let mut changed = 0;
    for (user, had) in &people {
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
        let person = Entitling {
            account: user.account,
            connection: user.connection,
            status: user.status,
            user: user.id,
            attributes: &attributes,
            groups: &user.groups,
        };
        let entitled = parts.entitle(tx, &person).await?;
        let digest = entitled.desired.as_ref().map(crate::domain::DesiredWorker::digest);
        if only == Only::Losers && (had.is_none() || digest.is_some()) {
            continue;
        }
        if write(change, parts, user, &entitled, digest != *had, cause)? {
            changed += 1;
        }
    }
    Ok(changed)
}

fn write(
    change: &mut Change,
    parts: &Parts,
    user: &User,
    entitled: &Entitled,
    worker_differs: bool,
    cause: &Cause,
) -> Result<bool, ServiceError> {
    let Cause { event, accepted } = *cause;
    let access_differs = entitled.access != user.access || entitled.role != user.role;
    if access_differs {
        change.set_access(user.account, user.id, entitled.role, entitled.access.as_deref());
    }
    let had_access = user.role.is_some() && entitled.role.is_none();
    match &entitled.desired {
        Some(desired) if worker_differs => {
            let id = parts.ambient.id();
            change.want_worker(&Wanted { id, account: user.account, user: user.id, desired, event })?;
        }
        None if worker_differs || had_access => change.leave(&Leaving {
            account: user.account,
            user: user.id,
            reason: Reason::of(user.status),
            event,
            accepted,
            had_access,
        }),
        _ => {}
    }
    Ok(access_differs || worker_differs)
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
        self.wake_if(progress.is_some_and(|progress| progress.changed > 0));
        Ok(progress)
    }
}

async fn chunk(tx: &Tx, parts: &Parts, mut work: Recompute) -> Result<Progress, ServiceError> {
    let ids = next(tx, &work).await?;
    let only = if work.pass == 0 { Only::Losers } else { Only::Everybody };
    let mut change = tx.change();
    let cause = Cause { event: work.event, accepted: Some(work.created_at) };
    let changed = settle(tx, parts, work.account, &ids, &cause, only, &mut change).await?;
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
