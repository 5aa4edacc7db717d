//! Mapping rules: imported as a whole, listed, and what an import changes.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::access::{FileProblem, RuleSet, file};
use crate::base::RuleId;
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::recomputes::NewRecompute;
use crate::store::rules::{self, StoredRule};

use super::cache::load_rules;
use super::core::Core;
use super::error::ServiceError;
use super::guard::{Cause, Preview};

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// The version of the rules that are in force now.
    pub version: i64,
    /// How many rules there are.
    pub rules: usize,
    /// Whether they are the rules that were in force before: then nothing was changed.
    pub unchanged: bool,
    /// What is allowed but looks wrong.
    pub warnings: Vec<FileProblem>,
}

/// Whether rules may take something from more people than the guard lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// No: then nothing is changed.
    No,
    /// Yes, and nothing of it is held: somebody has looked at it.
    Yes,
}

/// What came of an import.
#[derive(Debug)]
pub enum Import {
    /// The rules are in force.
    Done(Imported),
    /// They would take too much from too many, so nothing was changed.
    TooMuch(Preview),
}

impl Core {
    /// Puts the rules of a file in the place of the present ones, and records that everybody's access must be computed
    /// anew; [`Core::recompute_chunk`] does that. A rule keeps its id as long as it keeps its name.
    pub async fn import_rules(&self, account: &Account, text: &str, force: Force) -> Result<Import, ServiceError> {
        let (version, before) = rules::of_account(self.store.read(), account.id).await?;
        let ids: HashMap<&str, RuleId> = before.iter().map(|rule| (rule.name.as_str(), rule.id)).collect();
        let read = file::parse(text, |name| ids.get(name).copied().unwrap_or_else(|| self.ambient.id()))
            .map_err(|error| ServiceError::Invalid(error.to_string()))?;
        let after = stored(&read.rules)?;
        let bodies = |rules: &[StoredRule]| rules.iter().map(|rule| rule.body.clone()).collect::<Vec<Value>>();
        let count = after.len();
        if version > 0 && bodies(&before) == bodies(&after) {
            let imported = Imported { version, rules: count, unchanged: true, warnings: read.warnings };
            return Ok(Import::Done(imported));
        }
        if force == Force::No && !before.is_empty() {
            let preview = self.preview_rules(account, &read.rules).await?;
            if preview.is_beyond() {
                return Ok(Import::TooMuch(preview));
            }
        }
        let event = AuditEvent {
            id: self.ambient.id(),
            at: self.ambient.now(),
            account: account.id,
            connection: None,
            actor: "command".to_owned(),
            request: String::new(),
            action: "rules.import",
            target_kind: "rules",
            target_id: account.id.to_string(),
            before: Some(json!(bodies(&before))),
            after: Some(json!({"rules": bodies(&after), "forced": force == Force::Yes})),
        };
        let (account_id, recompute) = (account.id, self.ambient.id::<uuid::Uuid>());
        let version = self
            .store
            .configure(move |tx| {
                let (after, event) = (after.clone(), event.clone());
                Box::pin(async move {
                    let (version, _) = rules::of_account(tx, account_id).await?;
                    let mut change = tx.change();
                    change.clear_rules(account_id);
                    tx.apply(change).await?;
                    let mut change = tx.change();
                    change.replace_rules(account_id, version + 1, &after, event.id, event.at)?;
                    change.insert_recompute(&NewRecompute {
                        id: recompute,
                        account: account_id,
                        users: None,
                        event: event.id,
                        cause: cause(&event, version + 1).as_value()?,
                        forced: force == Force::Yes,
                    })?;
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(version + 1)
                })
            })
            .await?;
        self.wake.recomputes.notify_one();
        Ok(Import::Done(Imported { version, rules: count, unchanged: false, warnings: read.warnings }))
    }

    /// The rules in force, and their version (0: none were ever imported).
    pub async fn list_rules(&self, account: &Account) -> Result<(i64, RuleSet), ServiceError> {
        let (version, _) = rules::of_account(self.store.read(), account.id).await?;
        Ok((version, load_rules(self.store.read(), account.id).await?))
    }
}

fn cause(event: &AuditEvent, version: i64) -> Cause {
    Cause {
        event: event.id,
        actor: event.actor.clone(),
        request: event.request.clone(),
        action: event.action.to_owned(),
        target_kind: event.target_kind.to_owned(),
        target_id: event.target_id.clone(),
        target: format!("version {version}"),
        by_idp: false,
    }
}

fn stored(rules: &RuleSet) -> Result<Vec<StoredRule>, ServiceError> {
    rules
        .iter()
        .map(|rule| {
            let body = serde_json::to_value(rule.definition())
                .map_err(|error| ServiceError::Invalid(format!("rule '{}' cannot be stored: {error}", rule.name())))?;
            Ok(StoredRule { id: rule.id(), name: rule.name().to_owned(), body })
        })
        .collect()
}
