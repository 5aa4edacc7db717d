//! What we know of an identity provider.

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::names;
use super::words::{refuse, shown};
use crate::base::Timestamp;
use crate::sso::{Check, SsoError};

/// How a message travels through the browser (SAML Bindings §3.4, §3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// In the query of a URL.
    #[default]
    Redirect,
    /// In a form that sends itself.
    Post,
}

impl Binding {
    /// The URI that stands for it in metadata.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Redirect => names::REDIRECT,
            Self::Post => names::POST,
        }
    }

    pub(super) fn from_uri(uri: &str) -> Option<Self> {
        [Self::Redirect, Self::Post].into_iter().find(|binding| binding.uri() == uri)
    }
}

/// Where the identity provider takes messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// How they must come.
    pub binding: Binding,
    /// The URL.
    pub location: String,
    /// Another URL for answers, if they do not go to the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_location: Option<String>,
}

/// An identity provider, as its metadata says. Only what an administrator approved may be stored as this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdpSettings {
    /// Its entity id.
    pub entity_id: String,
    /// The certificates that may sign; several while one is being replaced.
    pub certificates: Vec<Certificate>,
    /// Where sign-ins begin.
    pub sso: Vec<Endpoint>,
    /// Where logouts go; empty when it knows none.
    #[serde(default)]
    pub slo: Vec<Endpoint>,
    /// It refuses requests that are not signed.
    #[serde(default)]
    pub wants_signed_requests: bool,
    /// The formats of `NameID` that it lists.
    #[serde(default)]
    pub name_id_formats: Vec<String>,
    /// When the metadata ends, if it says so.
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
}

impl IdpSettings {
    /// The endpoint for that binding, or the only other one.
    pub(super) fn endpoint(endpoints: &[Endpoint], wanted: Binding) -> Option<&Endpoint> {
        endpoints.iter().find(|endpoint| endpoint.binding == wanted).or_else(|| endpoints.first())
    }

    /// Refuses another issuer.
    pub(super) fn require_issuer(&self, of: &str, issuer: &str) -> Result<(), SsoError> {
        if issuer == self.entity_id {
            return Ok(());
        }
        let text = format!("the issuer of the {of} is {}, expected {}", shown(issuer), shown(&self.entity_id));
        refuse(Check::Issuer, text)
    }
}
