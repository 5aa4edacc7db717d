//! Accounts: contact centres with their TaskRouter.

use std::collections::HashMap;

use serde_json::json;

use crate::base::{AccountId, Slug};
use crate::store::accounts::{self, Account, TaskRouterSettings};
use crate::store::audit::AuditEvent;
use crate::store::workers::{self, Backlog};

use super::core::Core;
use super::error::ServiceError;

/// The account that commands mean when none is named.
pub const DEFAULT: &str = "default";

impl Core {
    /// What waits to be brought about at TaskRouter, for each account that has something waiting.
    pub async fn backlogs(&self) -> Result<HashMap<AccountId, Backlog>, ServiceError> {
        Ok(workers::backlogs(self.store.read()).await?)
    }

    /// Makes an account. The API secret is sealed before it is stored. A workspace belongs to one account: two would take
    /// each other's workers for their own.
    pub async fn add_account(
        &self,
        name: Slug,
        taskrouter: Option<(TaskRouterSettings, String)>,
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
        let account = Account { id, name, taskrouter: settings, sealed_secret, rules_version: 0, created_at: now };
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
            after: Some(json!({"name": account.name, "taskrouter": account.taskrouter})),
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
