//! A sign-in between our request and the provider's answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::words::{refuse, shown};
use crate::base::Timestamp;
use crate::sso::{Check, SsoError};

/// What is asked of the provider beyond a plain sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Whom we expect, shown to the person by the provider (`login_hint`).
    pub login_hint: Option<String>,
    /// Step-up: the person has to prove who they are anew (`prompt=login`), and the proof may be at most this old.
    pub max_age: Option<Duration>,
}

/// A sign-in that began: where the browser goes, and what to remember until it is back.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The address at the provider that the browser is sent to.
    pub url: String,
    /// What to remember, bound to this browser, for one use.
    pub flow: Flow,
}

/// What is remembered while the browser is at the provider. It holds secrets (nonce and PKCE verifier): store it sealed,
/// and take it away at its first use, before [`complete`](super::RelyingParty::complete).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// `state`, 256 random bits in base64url: what a stored flow is found by.
    pub state: String,
    /// `nonce`, which the ID token has to repeat.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636 §4.1).
    pub pkce_verifier: String,
    /// The redirect URI that was sent.
    pub redirect_uri: String,
    /// Step-up: the largest age of the proof in seconds.
    pub max_age_s: Option<u64>,
    /// When it began.
    pub begun_at: Timestamp,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("redirect_uri", &self.redirect_uri)
            .field("max_age_s", &self.max_age_s)
            .field("begun_at", &self.begun_at)
            .finish_non_exhaustive()
    }
}

/// The provider's answer as the browser brought it (RFC 6749 §4.1.2).
#[derive(Clone)]
pub struct Callback {
    parameters: BTreeMap<String, String>,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.parameters.keys()).finish()
    }
}

/// The longest query that is read.
const MAX_QUERY: usize = 16 << 10;

impl Callback {
    /// Reads the query of the request to our redirect URI.
    ///
    /// # Errors
    /// When it is too long, or a parameter stands in it twice (RFC 6749 §3.1).
    pub fn read(query: &str) -> Result<Self, SsoError> {
        if query.len() > MAX_QUERY {
            return Err(refuse(Check::Limit, format!("the answer has {} bytes, more than {MAX_QUERY}", query.len())));
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(refuse(Check::Malformed, format!("the answer has the parameter {} twice", shown(&name))));
            }
        }
        Ok(Self { parameters })
    }

    /// `state`, by which the stored flow is found; none: this is no answer to anything that we asked.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.get("state")
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The code, once everything is found right that can be seen without asking the provider.
    ///
    /// `issuers` are those that the connection's provider may call itself.
    pub(super) fn code(
        &self,
        flow: &Flow,
        is_issuer: impl Fn(&str) -> bool,
        issuer_required: bool,
        expected: &str,
    ) -> Result<&str, SsoError> {
        if !self.state().is_some_and(|state| same(state, &flow.state)) {
            return Err(refuse(Check::Request, "the answer's state is not that of a sign-in which began here"));
        }
        match self.get("iss") {
            Some(issuer) if !is_issuer(issuer) => {
                let detail = format!("the answer is of the issuer {}, expected {}", shown(issuer), shown(expected));
                return Err(refuse(Check::Issuer, detail));
            }
            None if issuer_required => {
                let detail = format!(
                    "the answer names no issuer (iss), though the provider announces that it does; expected {}",
                    shown(expected)
                );
                return Err(refuse(Check::Issuer, detail));
            }
            _ => {}
        }
        if let Some(error) = self.get("error") {
            let description = self.get("error_description").map(|text| format!(": {}", shown(text)));
            let detail = format!("the provider answered {}{}", shown(error), description.unwrap_or_default());
            return Err(refuse(Check::Status, detail));
        }
        self.get("code").ok_or_else(|| refuse(Check::Malformed, "the answer has neither a code nor an error"))
    }
}

/// Whether two secrets are the same, in a time that tells nothing.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
