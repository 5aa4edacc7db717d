//! Holds: looked at, approved, rejected.

use serde_json::{Value, json};

use crate::access::Loss;
use crate::base::{AccountId, HoldId, Timestamp, UserId, fold};
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::holds::{self, Held, HeldState, Hold};
use crate::store::recomputes::NewRecompute;
use crate::store::{StoreError, Tx};

use super::core::{Core, Parts};
use super::error::ServiceError;
use super::guard::Cause;

/// Ids that an audit event lists; the hold itself has them all.
const LISTED: usize = 1_000;

/// How many rows are deleted in one transaction.
const SWEPT: u64 = 500;

/// A hold with what there is to know at a glance.
#[derive(Clone, Debug)]
pub struct HoldSummary {
    /// The hold.
    pub hold: Hold,
    /// The name of its connection.
    pub connection: String,
    /// How many people stand in which state.
    pub counts: Vec<(HeldState, u64)>,
    /// What brought most of them.
    pub causes: Vec<HoldCause>,
}

impl HoldSummary {
    /// How many people stand in this state.
    #[must_use]
    pub fn count(&self, state: HeldState) -> u64 {
        self.counts.iter().filter(|(of, _)| *of == state).map(|(_, people)| people).sum()
    }
}

/// A change that brought people into a hold.
#[derive(Clone, Debug)]
pub struct HoldCause {
    /// When.
    pub at: Timestamp,
    /// Who: `connection:NAME` or `command`.
    pub actor: String,
    /// What was done, as in `group.patch`.
    pub action: String,
    /// To what kind of thing.
    pub target_kind: String,
    /// Its id.
    pub target_id: String,
    /// Its name.
    pub target: String,
    /// The request, by which the log of pushes and the audit trail know it.
    pub request: String,
    /// How many people it brought.
    pub people: u64,
}

/// A decision about a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// What is held is carried out, from how things are now.
    Approve,
    /// It does not happen until the identity provider changes the person again.
    Reject,
}

/// What a decision was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// How many people.
    pub people: usize,
    /// How many of the hold still wait.
    pub waiting: u64,
}

impl Core {
    /// The newest holds of an account, at most `limit`; only those in which somebody waits, or all.
    pub async fn list_holds(
        &self,
        account: &Account,
        open_only: bool,
        limit: u64,
    ) -> Result<Vec<HoldSummary>, ServiceError> {
        let mut summaries = Vec::new();
        for hold in holds::latest(self.store.read(), account.id, open_only, limit).await? {
            summaries.push(self.summary(account, hold, 1).await?);
        }
        Ok(summaries)
    }

    /// A hold with its causes, those that brought most people first.
    pub async fn hold(&self, account: &Account, id: &str, causes: u64) -> Result<HoldSummary, ServiceError> {
        let hold = match id.parse() {
            Ok(id) => holds::by_id(self.store.read(), account.id, id).await?,
            Err(_) => None,
        };
        self.summary(account, hold.ok_or_else(|| no_hold(id))?, causes).await
    }

    /// The people of a hold after one of them (an id), in the order of ids, each with what would be lost.
    pub async fn held_people(&self, hold: &Hold, after: &str, limit: u64) -> Result<Vec<(Held, Loss)>, ServiceError> {
        let people = holds::people(self.store.read(), hold.id, after, limit).await?;
        let damaged = |error: serde_json::Error| StoreError::Damaged { table: "held", what: error.to_string() };
        let read = |held: Held| {
            let loss = serde_json::from_value(held.loses.clone()).map_err(damaged)?;
            Ok((held, loss))
        };
        people.into_iter().map(read).collect()
    }

    /// How many people wait for a decision, for each account that has some.
    pub async fn people_held(&self) -> Result<std::collections::HashMap<AccountId, u64>, ServiceError> {
        Ok(holds::waiting(self.store.read()).await?.into_iter().collect())
    }

    /// Decides about everybody of a hold who waits, or about those of these userNames. Whoever was decided about before is
    /// passed over, so that a decision can be repeated. [`Core::recompute_chunk`] carries out what is approved.
    pub async fn decide_hold(
        &self,
        account: &Account,
        id: &str,
        decision: Decision,
        names: &[String],
    ) -> Result<Decided, ServiceError> {
        let hold: HoldId = id.parse().map_err(|_| no_hold(id))?;
        let names: Vec<(String, String)> = names.iter().map(|name| (fold(name), name.clone())).collect();
        let (account, parts, at) = (account.id, self.parts(), self.ambient.now());
        let decided = self
            .store
            .write(move |tx| {
                let (parts, names) = (parts.clone(), names.clone());
                Box::pin(async move { decide(tx, &parts, account, hold, decision, &names, at).await })
            })
            .await?;
        self.wake.recomputes.notify_one();
        Ok(decided)
    }

    /// Deletes what the guard counted and counts no longer, in small transactions; says how many.
    pub async fn sweep_losses(&self) -> Result<u64, ServiceError> {
        let (now, mut swept) = (self.ambient.now(), 0);
        for account in self.list_accounts().await? {
            for connection in self.list_connections(&account).await? {
                let window = i64::try_from(connection.guard.over(self.limits).window.as_millis()).unwrap_or(i64::MAX);
                let before = Timestamp::from_millis(now.millis().saturating_sub(window));
                let id = connection.id;
                while holds::any_losses_before(self.store.read(), id, before).await? {
                    let some: Result<u64, StoreError> =
                        self.store.keep(move |tx| Box::pin(holds::sweep_losses(tx, id, before, SWEPT))).await;
                    swept += some?;
                }
            }
        }
        Ok(swept)
    }

    async fn summary(&self, account: &Account, hold: Hold, causes: u64) -> Result<HoldSummary, ServiceError> {
        let session = self.store.read();
        let connections = self.list_connections(account).await?;
        let connection = connections.into_iter().find(|connection| connection.id == hold.connection);
        let counts = holds::counts(session, hold.id).await?;
        let causes = holds::causes(session, hold.id, causes).await?.into_iter().map(cause).collect::<Result<_, _>>()?;
        Ok(HoldSummary { hold, connection: connection.map(|c| c.name.to_string()).unwrap_or_default(), counts, causes })
    }
}

async fn decide(
    tx: &Tx,
    parts: &Parts,
    account: AccountId,
    id: HoldId,
    decision: Decision,
    names: &[(String, String)],
    at: Timestamp,
) -> Result<Decided, ServiceError> {
    let hold = holds::by_id(tx, account, id).await?.ok_or_else(|| no_hold(&id.to_string()))?;
    holds::lock(tx, hold.connection).await?;
    let only = if names.is_empty() { None } else { Some(named(tx, id, names).await?) };
    let (state, action) = match decision {
        Decision::Approve => (HeldState::Approved, "hold.approve"),
        Decision::Reject => (HeldState::Rejected, "hold.reject"),
    };
    let users = holds::decide(tx, id, only.as_deref(), state, "command", at).await?;
    let counts = holds::counts(tx, id).await?;
    let waiting = counts.iter().filter(|(state, _)| *state == HeldState::Held).map(|(_, people)| people).sum();
    if users.is_empty() {
        return Ok(Decided { people: 0, waiting });
    }
    let event = parts.ambient.id();
    let mut change = tx.change();
    let listed: Vec<Value> = users.iter().take(LISTED).map(|user| json!(user)).collect();
    change.audit(&AuditEvent {
        id: event,
        at,
        account,
        connection: Some(hold.connection),
        actor: "command".to_owned(),
        request: String::new(),
        action,
        target_kind: "hold",
        target_id: id.to_string(),
        before: None,
        after: Some(json!({"people": users.len(), "users": listed})),
    })?;
    if decision == Decision::Approve {
        let cause = Cause {
            event,
            actor: "command".to_owned(),
            request: String::new(),
            action: action.to_owned(),
            target_kind: "hold".to_owned(),
            target_id: id.to_string(),
            target: String::new(),
            by_idp: false,
        };
        let id = parts.ambient.id();
        let cause = cause.as_value()?;
        change.insert_recompute(&NewRecompute { id, account, users: Some(&users), event, cause, forced: false })?;
    }
    tx.apply(change).await?;
    if decision == Decision::Approve && waiting == 0 {
        // A person has looked at what this connection does, so it is counted anew from here on.
        holds::forget_losses(tx, hold.connection, hold.kind).await?;
    } else {
        holds::forget_losses_of(tx, &hold, &users).await?;
    }
    holds::close_if_decided(tx, id, at).await?;
    Ok(Decided { people: users.len(), waiting })
}

/// The people of a hold who bear these names, folded and as they were given; all of them, or nobody is decided about.
async fn named(tx: &Tx, id: HoldId, names: &[(String, String)]) -> Result<Vec<UserId>, ServiceError> {
    let folded: Vec<String> = names.iter().map(|(folded, _)| folded.clone()).collect();
    let found = holds::named(tx, id, &folded).await?;
    let is_missing = |folded: &String| found.iter().all(|(_, name)| name != folded);
    let missing: Vec<&str> =
        names.iter().filter(|(folded, _)| is_missing(folded)).map(|(_, name)| name.as_str()).collect();
    if missing.is_empty() {
        return Ok(found.into_iter().map(|(user, _)| user).collect());
    }
    Err(ServiceError::Invalid(format!(
        "not in this hold: {}; nothing was decided. See `rollcall holds show {id}`",
        missing.join(", ")
    )))
}

fn cause((value, at, people): (Value, Timestamp, u64)) -> Result<HoldCause, ServiceError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged { table: "hold_cause", what: error.to_string() };
    let Cause { actor, request, action, target_kind, target_id, target, .. } =
        serde_json::from_value(value).map_err(damaged)?;
    Ok(HoldCause { at, actor, action, target_kind, target_id, target, request, people })
}

fn no_hold(id: &str) -> ServiceError {
    ServiceError::Missing {
        kind: "hold",
        name: crate::scim::error::excerpt(id),
        hint: "; see `rollcall holds list --all`".to_owned(),
    }
}
