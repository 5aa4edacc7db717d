//! What tokens and OAuth clients have in common: they are made, listed, replaced and revoked by commands, and end.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::base::{AccountId, ConnectionId, Timestamp};
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::clients::Client;
use crate::store::credentials::Expiring;
use crate::store::tokens::Token;
use crate::store::{Change, StoreError};

use super::core::Core;
use super::error::ServiceError;

/// How long before its end a token or client is warned about.
pub const WARNED_BEFORE: Duration = Duration::from_hours(14 * 24);

/// A token or an OAuth client.
pub trait Credential: Clone {
    /// What it is called in commands and in the audit trail.
    const KIND: &'static str;
    /// Its id.
    fn id(&self) -> String;
    /// Its account and connection.
    fn owner(&self) -> (AccountId, ConnectionId);
    /// When it was made.
    fn made(&self) -> Timestamp;
    /// When it ends; none: never.
    fn end(&self) -> Option<Timestamp>;
    /// When it was last used.
    fn used(&self) -> Option<Timestamp>;
    /// Whether it was revoked.
    fn is_revoked(&self) -> bool;
    /// The id of the one that took its place.
    fn successor(&self) -> Option<String>;

    /// Whether it opens anything at that time.
    fn is_good_at(&self, now: Timestamp) -> bool {
        !self.is_revoked() && self.end().is_none_or(|end| now < end)
    }

    /// Whether it is good at that time and ends within [`WARNED_BEFORE`].
    fn ends_soon(&self, now: Timestamp) -> bool {
        self.is_good_at(now) && self.end().is_some_and(|end| end <= now.after(WARNED_BEFORE))
    }

    /// One word for lists.
    fn state(&self, now: Timestamp) -> &'static str {
        match (self.is_revoked(), self.is_good_at(now)) {
            (true, _) => "revoked",
            (false, false) => "expired",
            (false, true) if self.ends_soon(now) => "expiring",
            (false, true) => "valid",
        }
    }
}

macro_rules! credential {
    ($type:ty, $kind:literal) => {
        impl Credential for $type {
            const KIND: &'static str = $kind;

            fn id(&self) -> String {
                self.id.to_string()
            }

            fn owner(&self) -> (AccountId, ConnectionId) {
                (self.account, self.connection)
            }

            fn made(&self) -> Timestamp {
                self.created_at
            }

            fn end(&self) -> Option<Timestamp> {
                self.expires_at
            }

            fn used(&self) -> Option<Timestamp> {
                self.last_used_at
            }

            fn is_revoked(&self) -> bool {
                self.revoked_at.is_some()
            }

            fn successor(&self) -> Option<String> {
                self.replaced_by.map(|by| by.to_string())
            }
        }
    };
}

credential!(Token, "token");
credential!(Client, "client");

/// When the old one ends and when the new one does, if one is replaced now. Without a lifetime the new one lives as long as
/// the old one was to.
///
/// # Errors
/// When the old one has ended or been replaced already.
pub(super) fn replaced<C: Credential>(
    old: &C,
    now: Timestamp,
    overlap: Duration,
    lifetime: Option<Duration>,
) -> Result<(Timestamp, Option<Timestamp>), ServiceError> {
    let kind = C::KIND;
    if !old.is_good_at(now) {
        return Err(ServiceError::Invalid(format!(
            "the {kind} has ended; make a new one with `rollcall {kind} create`"
        )));
    }
    if let Some(by) = old.successor() {
        return Err(ServiceError::Invalid(format!("the {kind} has been replaced already, by {kind} {by}")));
    }
    let lifetime = lifetime.or_else(|| old.end().map(|end| end.since(old.made())));
    let end = old.end().map_or(now.after(overlap), |end| end.min(now.after(overlap)));
    Ok((end, lifetime.map(|lifetime| now.after(lifetime))))
}

/// The one to be replaced, read where nobody else can replace it, so that one gets one successor.
pub(super) fn still_there<C: Credential>(found: Option<&C>) -> Result<(), ServiceError> {
    if found.is_some_and(|it| !it.is_revoked() && it.successor().is_none()) {
        return Ok(());
    }
    Err(ServiceError::Invalid(format!("the {} was replaced or revoked meanwhile", C::KIND)))
}

/// There is none of that id.
pub(super) fn missing<C: Credential>(account: &Account, id: &str) -> ServiceError {
    ServiceError::Missing {
        kind: C::KIND,
        name: id.to_owned(),
        hint: format!("; see `rollcall {} list --account {}`", C::KIND, account.name),
    }
}

impl Core {
    /// Commits a change of configuration that depends on nothing that was read.
    pub(super) async fn configure(
        &self,
        make: impl Fn(&mut Change) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Result<(), ServiceError> {
        let make = Arc::new(make);
        self.store
            .configure(move |tx| {
                let make = Arc::clone(&make);
                Box::pin(async move {
                    let mut change = tx.change();
                    make(&mut change)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await
    }

    /// What a command did with a token or client.
    pub(super) fn commanded<C: Credential>(
        &self,
        action: &'static str,
        it: &C,
        before: Option<Value>,
        after: Option<Value>,
    ) -> AuditEvent {
        let (account, connection) = it.owner();
        AuditEvent {
            id: self.ambient.id(),
            at: self.ambient.now(),
            account,
            connection: Some(connection),
            actor: "command".to_owned(),
            request: String::new(),
            action,
            target_kind: C::KIND,
            target_id: it.id(),
            before,
            after,
        }
    }
}

/// Says that a token or client ends soon, and what to do.
pub fn warn_of_end<C: Credential>(found: &Expiring<C>) {
    let Expiring { it, connection, account } = found;
    let (kind, id) = (C::KIND, it.id());
    let text = |time: Option<Timestamp>, none: &str| time.map_or_else(|| none.to_owned(), |time| time.to_string());
    let (expires, last_used) = (text(it.end(), ""), text(it.used(), "never"));
    let hint: &dyn Display = match it.successor() {
        Some(_) => &"it has been replaced: set the new one at the identity provider, if that has not been done",
        None => &format!("replace it with: rollcall {kind} rotate {id} --account {account}"),
    };
    if kind == Token::KIND {
        tracing::warn!(token = id, connection, account, expires, last_used, %hint, "a token expires soon");
    } else {
        tracing::warn!(client = id, connection, account, expires, last_used, %hint, "an OAuth client expires soon");
    }
}
