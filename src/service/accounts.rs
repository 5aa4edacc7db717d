//! Accounts: contact centres with their TaskRouter.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{AccountId, Slug};
use crate::domain::{Deactivated, LeaverPolicy, LiveCalls, SessionLimits, WorkerAt};
pub use crate::store::accounts::Account;
use crate::store::accounts::{self, TaskRouterSettings};
use crate::store::audit::AuditEvent;

use super::core::Core;
use super::error::ServiceError;

/// The account that commands mean when none is named.
pub const DEFAULT: &str = "default";

/// What is to change in a [`LeaverPolicy`]; none: it stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaverChange {
    /// Work in hand.
    pub live_calls: Option<LiveCalls>,
    /// For how long it is waited for.
    pub drain: Option<Duration>,
    /// Those who are deactivated.
    pub deactivated: Option<Deactivated>,
}

/// What is to change in [`SessionLimits`]; none: it stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionChange {
    /// Without a request.
    pub idle: Option<Duration>,
    /// In any case.
    pub absolute: Option<Duration>,
}

impl LeaverChange {
    /// The policy with what changes.
    #[must_use]
    pub fn applied_to(&self, before: LeaverPolicy) -> LeaverPolicy {
        LeaverPolicy {
            live_calls: self.live_calls.unwrap_or(before.live_calls),
            drain: self.drain.unwrap_or(before.drain),
            deactivated: self.deactivated.unwrap_or(before.deactivated),
        }
    }
}

fn as_value(leavers: &LeaverPolicy) -> Value {
    json!({
        "live_calls": leavers.live_calls.as_str(), "drain_s": leavers.drain.as_secs(),
        "deactivated": leavers.deactivated.as_str(),
    })
}

impl Core {
    /// Makes an account. The API secret is sealed before it is stored. A workspace belongs to one account: two would take
    /// each other's workers for their own.
    pub async fn add_account(
        &self,
        name: Slug,
        taskrouter: Option<(TaskRouterSettings, String)>,
    ) -> Result<Account, ServiceError> {
        self.add_account_with(name, taskrouter, LeaverPolicy::default()).await
    }

    /// Like [`Core::add_account`], and says what becomes of the workers of those who leave.
    pub async fn add_account_with(
        &self,
        name: Slug,
        taskrouter: Option<(TaskRouterSettings, String)>,
        leavers: LeaverPolicy,
    ) -> Result<Account, ServiceError> {
        let id: AccountId = self.ambient.id();
        let (settings, sealed_secret) = match taskrouter {
            Some((settings, secret)) => {
                let sealed = self.keyring.seal(&self.ambient, &secret_place(id), &secret);
                (Some(settings), Some(sealed.map_err(crate::store::StoreError::from)?))
            }
            None => (None, None),
        };
        let now = self.ambient.now();
        let account = Account {
            id,
            name,
            taskrouter: settings,
            sealed_secret,
            leavers,
            worker_at: WorkerAt::default(),
            sessions: SessionLimits::default(),
            rules_version: 0,
            created_at: now,
        };
        let event = AuditEvent {
            id: self.ambient.id(),
            at: now,
            account: id,
            connection: None,
            actor: "command".to_owned(),
            request: String::new(),
            action: "account.create",
            target_kind: "account",
            target_id: id.to_string(),
            before: None,
            after: Some(json!({"name": account.name, "taskrouter": account.taskrouter, "leavers": as_value(&leavers)})),
        };
        let made = account.clone();
        self.store
            .configure(move |tx| {
                let (made, event) = (made.clone(), event.clone());
                Box::pin(async move {
                    if let Some(settings) = &made.taskrouter {
                        let others = accounts::all(tx).await?;
                        let holder = others
                            .iter()
                            .find(|other| other.taskrouter.as_ref().is_some_and(|t| t.is_same_workspace(settings)));
                        if let Some(holder) = holder {
                            return Err(workspace_taken(settings, holder.name.as_str()));
                        }
                    }
                    let mut change = tx.change();
                    change.insert_account(&made)?;
                    change.audit(&event)?;
                    tx.apply_unless_taken(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok(account)
    }

    /// An account by its id.
    pub async fn account_by_id(&self, id: AccountId) -> Result<Account, ServiceError> {
        let missing = || ServiceError::Missing { kind: "account", name: id.to_string(), hint: String::new() };
        accounts::by_id(self.store.read(), id).await?.ok_or_else(missing)
    }

    /// Changes what becomes of the workers of those who leave from now on; how work in hand is treated holds for those too
    /// whose removal is under way.
    pub async fn set_leaver_policy(
        &self,
        account: &Account,
        change: LeaverChange,
    ) -> Result<LeaverPolicy, ServiceError> {
        let (id, name, at, event) = (account.id, account.name.clone(), self.ambient.now(), self.ambient.id());
        self.store
            .configure(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    // Read where nobody else can change it, so that two changes do not undo each other.
                    let found = accounts::by_name(tx, &name).await?;
                    let before = found.filter(|found| found.id == id).ok_or_else(|| ServiceError::Missing {
                        kind: "account",
                        name: name.to_string(),
                        hint: String::new(),
                    })?;
                    let after = change.applied_to(before.leavers);
                    let event = AuditEvent {
                        id: event,
                        at,
                        account: id,
                        connection: None,
                        actor: "command".to_owned(),
                        request: String::new(),
                        action: "account.set",
                        target_kind: "account",
                        target_id: id.to_string(),
                        before: Some(json!({"leavers": as_value(&before.leavers)})),
                        after: Some(json!({"leavers": as_value(&after)})),
                    };
                    let mut change = tx.change();
                    change.set_leaver_policy(id, &after, at);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(after)
                })
            })
            .await
    }

    /// Says when the workers of an account's new people are made from now on.
    pub async fn set_worker_at(&self, account: &Account, worker_at: WorkerAt) -> Result<(), ServiceError> {
        if account.worker_at == worker_at {
            return Ok(());
        }
        let (id, at) = (account.id, self.ambient.now());
        let event = AuditEvent {
            id: self.ambient.id(),
            at,
            account: id,
            connection: None,
            actor: "command".to_owned(),
            request: String::new(),
            action: "account.set",
            target_kind: "account",
            target_id: id.to_string(),
            before: Some(json!({"worker_at": account.worker_at.as_str()})),
            after: Some(json!({"worker_at": worker_at.as_str()})),
        };
        self.store
            .configure(move |tx| {
                let event = event.clone();
                Box::pin(async move {
                    let mut change = tx.change();
                    change.set_worker_at(id, worker_at, at);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await
    }

    /// Changes how long sessions of an account's people last, of those too that stand. Nothing is written if nothing changes.
    pub async fn set_session_limits(
        &self,
        account: &Account,
        change: SessionChange,
    ) -> Result<SessionLimits, ServiceError> {
        let (id, at, event) = (account.id, self.ambient.now(), self.ambient.id());
        self.store
            .keep(move |tx| {
                Box::pin(async move {
                    let missing = || ServiceError::Missing {
                        kind: "account",
                        name: id.to_string(),
                        hint: String::new(),
                    };
                    let before = accounts::by_id(tx, id).await?.ok_or_else(missing)?.sessions;
                    let after = SessionLimits {
                        idle: change.idle.unwrap_or(before.idle),
                        absolute: change.absolute.unwrap_or(before.absolute),
                    };
                    if after == before {
                        return Ok(after);
                    }
                    let limits = |limits: SessionLimits| {
                        Some(json!({"session_idle_s": limits.idle.as_secs(), "session_absolute_s": limits.absolute.as_secs()}))
                    };
                    let event = AuditEvent {
                        id: event,
                        at,
                        account: id,
                        connection: None,
                        actor: "command".to_owned(),
                        request: String::new(),
                        action: "account.set",
                        target_kind: "account",
                        target_id: id.to_string(),
                        before: limits(before),
                        after: limits(after),
                    };
                    let mut change = tx.change();
                    change.set_session_limits(id, after, at);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(after)
                })
            })
            .await
    }

    /// Makes the account `default` if there is none yet, so that a new installation has something to work with.
    pub async fn ensure_default_account(&self) -> Result<Account, ServiceError> {
        let name: Slug =
            DEFAULT.parse().map_err(|error: crate::base::SlugError| ServiceError::Invalid(error.to_string()))?;
        if let Some(account) = accounts::by_name(self.store.read(), &name).await? {
            return Ok(account);
        }
        match self.add_account(name.clone(), None).await {
            // Another process was quicker.
            Err(ServiceError::Taken(_)) => self.account(&name).await,
            other => other,
        }
    }

    /// The account of a name.
    pub async fn account(&self, name: &Slug) -> Result<Account, ServiceError> {
        accounts::by_name(self.store.read(), name).await?.ok_or_else(|| ServiceError::Missing {
            kind: "account",
            name: name.to_string(),
            hint: "; see `rollcall account list`, or make it with `rollcall account add`".to_owned(),
        })
    }

    /// All accounts by name.
    pub async fn list_accounts(&self) -> Result<Vec<Account>, ServiceError> {
        Ok(accounts::all(self.store.read()).await?)
    }

    /// The API secret of an account's own TaskRouter.
    pub fn account_secret(&self, account: &Account) -> Result<Option<zeroize::Zeroizing<String>>, ServiceError> {
        let Some(sealed) = &account.sealed_secret else { return Ok(None) };
        let secret = self.keyring.open(&secret_place(account.id), sealed).map_err(crate::store::StoreError::from)?;
        Ok(Some(secret))
    }
}

/// Why an account cannot have a workspace that another one has.
#[must_use]
pub fn workspace_taken(settings: &TaskRouterSettings, holder: &str) -> ServiceError {
    ServiceError::Taken(format!(
        "the workspace {} belongs to the account '{holder}': two accounts in one workspace would take each other's workers",
        settings.workspace_sid
    ))
}

fn secret_place(id: AccountId) -> String {
    format!("account/sealed_secret/{id}")
}
