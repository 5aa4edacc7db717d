//! The log of sign-ins: written for each attempt, read by administrators. The person sees only the reference.

use std::time::Duration;

use serde_json::Value;

use crate::base::{AccountId, ConnectionId, UserId};
use crate::sso::{Claims, SsoError};
use crate::store::sign_ins::{self, Logged, Selection, SignIn};
use crate::store::{Change, StoreError};

use super::core::Core;
use super::error::ServiceError;

/// Attempts that are deleted in one transaction.
const AT_ONCE: u32 = 500;
/// The longest value of a claim that is kept, in characters.
const LONGEST: usize = 200;
/// The most values of a claim, and the most claims, that are kept.
const MOST: usize = 60;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The person is signed in.
    SignedIn,
    /// The person proved again who they are.
    SteppedUp,
    /// The person is who they say, and has no access.
    NoAccess,
    /// A check refused it.
    Refused,
    /// The person signed out, here or at the identity provider.
    SignedOut,
}

impl Outcome {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::SteppedUp => "stepped-up",
            Self::NoAccess => "no-access",
            Self::Refused => "refused",
            Self::SignedOut => "signed-out",
        }
    }
}

/// Where an attempt comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address, if it can be told.
    pub address: Option<std::net::IpAddr>,
    /// What the browser calls itself.
    pub user_agent: String,
    /// The id of the request, which is what the person is shown.
    pub reference: String,
}

impl Origin {
    /// The address as text.
    pub(super) fn address_text(&self) -> String {
        self.address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// The user agent, shortened and without control characters: anybody may send anything.
    pub(super) fn short_agent(&self) -> String {
        self.user_agent.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
    }
}

/// An attempt to be recorded.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// In which account, if that is known.
    pub account: Option<AccountId>,
    /// By which connection; none: a local account.
    pub connection: Option<ConnectionId>,
    /// Whom it signed in, or would have.
    pub user: Option<UserId>,
    /// `password`, `saml`, `oidc` or `link`.
    pub means: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// The check that refused it, and what it found, for administrators.
    pub refusal: Option<(String, String)>,
    /// Who it was said to be: a verified subject, never what somebody typed.
    pub who: Option<String>,
    /// What the identity provider said.
    pub claims: Option<Value>,
}

impl Attempt {
    /// An attempt of which nothing else is known.
    #[must_use]
    pub const fn new(means: &'static str, outcome: Outcome) -> Self {
        Self { account: None, connection: None, user: None, means, outcome, refusal: None, who: None, claims: None }
    }

    /// With the reason for which a protocol refused it.
    #[must_use]
    pub fn refused_by(self, error: &SsoError) -> Self {
        self.refused(error.check.name(), &error.detail)
    }

    /// With the check that refused it.
    #[must_use]
    pub fn refused(mut self, check: &str, detail: &str) -> Self {
        self.refusal = Some((check.to_owned(), detail.chars().take(1_000).collect()));
        self
    }

    /// With what the identity provider said, shortened and without what looks like a secret.
    #[must_use]
    pub fn with_claims(mut self, claims: &Claims) -> Self {
        self.claims = Some(redacted(claims));
        self
    }

    pub(super) fn at(self, core: &Core, from: &Origin) -> SignIn {
        let (check, detail) = self.refusal.unzip();
        SignIn {
            at: core.ambient.now(),
            account: self.account,
            connection: self.connection,
            user: self.user,
            means: self.means.to_owned(),
            outcome: self.outcome.as_str().to_owned(),
            check,
            detail,
            who: self.who.map(|who| who.chars().take(LONGEST).collect()),
            claims: self.claims,
            address: from.address_text(),
            user_agent: from.short_agent(),
            reference: from.reference.clone(),
        }
    }
}

/// Claims whose names say that they hold a secret are kept by name only, and the others shortened.
fn redacted(claims: &Claims) -> Value {
    let short = |value: &Value| match value {
        Value::String(text) => Value::String(text.chars().take(LONGEST).collect()),
        Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
        other => Value::String(other.to_string().chars().take(LONGEST).collect()),
    };
    let one = |(name, values): (&String, &Vec<Value>)| {
        let folded = name.to_ascii_lowercase();
        let secret = ["token", "secret", "password", "nonce", "hash", "assertion", "photo", "picture", "thumbnail"];
        let value = if secret.iter().any(|word| folded.contains(word)) {
            Value::String("[not kept]".to_owned())
        } else {
            Value::Array(values.iter().take(MOST).map(short).collect())
        };
        (name.chars().take(LONGEST).collect(), value)
    };
    Value::Object(claims.iter().take(MOST).map(one).collect())
}

impl Core {
    /// Records an attempt. It is kept before this returns.
    pub async fn record_sign_in(&self, attempt: Attempt, from: &Origin) -> Result<(), ServiceError> {
        let row = attempt.at(self, from);
        self.keep_change(move |change| change.insert_sign_in(&row)).await
    }

    /// The latest attempts of an account, the earliest of them first.
    pub async fn list_sign_ins(
        &self,
        account: AccountId,
        selection: &Selection,
        limit: u64,
    ) -> Result<Vec<Logged>, ServiceError> {
        Ok(sign_ins::list(self.store.read(), account, selection, limit).await?)
    }

    /// Deletes attempts that are older than this; says how many.
    pub async fn sweep_sign_ins(&self, keep: Duration) -> Result<u64, ServiceError> {
        let (before, mut swept) = (self.ambient.now().before(keep), 0);
        loop {
            let some: Result<u64, StoreError> =
                self.store.keep(move |tx| Box::pin(sign_ins::sweep(tx, before, AT_ONCE))).await;
            let some = some?;
            swept += some;
            if some < u64::from(AT_ONCE) {
                return Ok(swept);
            }
        }
    }

    /// Commits a change that computes nobody's access.
    pub(super) async fn keep_change(
        &self,
        make: impl Fn(&mut Change) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Result<(), ServiceError> {
        let make = std::sync::Arc::new(make);
        self.store
            .keep(move |tx| {
                let make = std::sync::Arc::clone(&make);
                Box::pin(async move {
                    let mut change = tx.change();
                    make(&mut change)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s59_claims_are_kept_without_secrets() {
        let claims: Claims = [
            ("email".to_owned(), vec![json!("ana@acme.example")]),
            ("access_token".to_owned(), vec![json!("canary")]),
            ("jpegPhoto".to_owned(), vec![json!("canary")]),
            ("long".to_owned(), vec![json!("x".repeat(5_000)), json!({"a": 1})]),
        ]
        .into();
        let kept = redacted(&claims);
        assert_eq!(kept["email"], json!(["ana@acme.example"]));
        assert!(!kept.to_string().contains("canary"), "{kept}");
        assert_eq!(kept["long"][0].as_str().map(str::len), Some(LONGEST));
    }

    #[test]
    fn what_browsers_call_themselves_is_shortened() {
        let from = Origin { user_agent: format!("Mozilla\u{1b}[2J{}", "x".repeat(999)), ..Origin::default() };
        assert_eq!(from.short_agent().len(), LONGEST);
        assert!(!from.short_agent().contains('\u{1b}'));
    }
}
