//! Who an identity provider says somebody is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::Timestamp;

/// All that the identity provider said about a person, by the name it used; every claim is a list of values.
pub type Claims = BTreeMap<String, Vec<Value>>;

/// A verified identity. Every value was covered by the signature that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The identity provider: SAML entity id, or OIDC issuer.
    pub issuer: String,
    /// What never changes about the person at this identity provider: with connection and issuer the key of the link to a
    /// user. Never an e-mail address, unless the administrator chose an attribute that holds one.
    pub subject: String,
    /// An e-mail address, if one came.
    pub email: Option<Email>,
    /// Everything else.
    pub claims: Claims,
    /// SAML: the name that single logout uses.
    pub name_id: Option<NameId>,
    /// The session at the identity provider: SAML `SessionIndex`, OIDC `sid`.
    pub session: Option<String>,
    /// The end of that session, if it was said: SAML `SessionNotOnOrAfter`.
    pub session_ends_at: Option<Timestamp>,
    /// When the person proved who they are: SAML `AuthnInstant`, OIDC `auth_time`.
    pub authenticated_at: Option<Timestamp>,
    /// How: SAML `AuthnContextClassRef`, OIDC `acr`.
    pub context: Option<String>,
}

/// An e-mail address as the identity provider gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: String,
    /// OIDC `email_verified` was exactly `true`. SAML knows no such word: never.
    pub verified: bool,
}

/// A SAML `NameID` (SAML Core 2.0 §2.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameId {
    /// The text.
    pub value: String,
    /// `Format`.
    pub format: Option<String>,
    /// `NameQualifier`.
    pub name_qualifier: Option<String>,
    /// `SPNameQualifier`.
    pub sp_name_qualifier: Option<String>,
}
