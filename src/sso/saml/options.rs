//! What an administrator may choose for a connection.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::idp::Binding;
use super::words::refuse;
use crate::sso::{Check, SsoError};

/// The longest clock skew that may be chosen, in seconds.
const MAX_SKEW_S: u64 = 180;

/// How one connection signs people in. Every field has a default, the strict choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent choices of an administrator")]
pub struct SamlOptions {
    /// Take sign-ins that we did not ask for.
    pub idp_initiated: bool,
    /// Refuse assertions that are not encrypted.
    pub want_encrypted: bool,
    /// Take AES-CBC in responses that are not signed, too: whoever can send responses can then try out what they decrypt to.
    pub allow_cbc: bool,
    /// Take SHA-1 in signatures, too: it can be made to collide.
    pub allow_sha1: bool,
    /// How far clocks may be apart, in seconds; 180 at most.
    pub skew_s: u64,
    /// What names the person.
    pub subject: SubjectFrom,
    /// The attribute with the e-mail address; without, the usual names are tried.
    pub email_attribute: Option<String>,
    /// Ask for a new sign-in each time, and refuse an older one.
    pub force_authn: bool,
    /// The ways of signing in that are asked for (`AuthnContextClassRef`); others are refused then.
    pub authn_context: Vec<String>,
    /// Sign requests. Where the identity provider asks for it they are signed anyway.
    pub sign_requests: bool,
    /// How requests are sent.
    pub request_binding: Binding,
    /// The format of `NameID` that is asked for; without, the identity provider's choice.
    pub name_id_format: Option<String>,
}

/// What names a person at the identity provider for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectFrom {
    /// The `NameID`.
    #[default]
    NameId,
    /// The one value of the attribute of that name.
    Attribute(String),
}

impl Default for SamlOptions {
    fn default() -> Self {
        Self {
            idp_initiated: false,
            want_encrypted: false,
            allow_cbc: false,
            allow_sha1: false,
            skew_s: 60,
            subject: SubjectFrom::NameId,
            email_attribute: None,
            force_authn: false,
            authn_context: Vec::new(),
            sign_requests: true,
            request_binding: Binding::Redirect,
            name_id_format: None,
        }
    }
}

impl SamlOptions {
    /// Says what cannot be chosen.
    ///
    /// # Errors
    /// [`Check::Configuration`] with the field and its bounds.
    pub fn validate(&self) -> Result<(), SsoError> {
        if self.skew_s > MAX_SKEW_S {
            return refuse(Check::Configuration, format!("skew_s is {}, {MAX_SKEW_S} at most", self.skew_s));
        }
        let mut names = self.email_attribute.iter().chain(match &self.subject {
            SubjectFrom::Attribute(name) => Some(name),
            SubjectFrom::NameId => None,
        });
        if names.any(|name| name.trim().is_empty()) {
            return refuse(Check::Configuration, "the name of an attribute is empty");
        }
        Ok(())
    }

    /// The skew; never more than the longest, whatever was stored.
    pub(super) fn skew(&self) -> Duration {
        Duration::from_secs(self.skew_s.min(MAX_SKEW_S))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_skew_has_an_upper_bound() {
        let options = SamlOptions { skew_s: 181, ..SamlOptions::default() };
        assert_eq!(options.validate().unwrap_err().check, Check::Configuration);
        assert_eq!(options.skew(), Duration::from_mins(3));
        assert_eq!(SamlOptions::default().skew(), Duration::from_mins(1));
    }

    #[test]
    fn absent_fields_have_the_strict_default() {
        let read: SamlOptions = serde_json::from_str("{\"email_attribute\": \"mail\"}").unwrap();
        assert_eq!(read, SamlOptions { email_attribute: Some("mail".to_owned()), ..SamlOptions::default() });
        assert!(!read.idp_initiated && !read.allow_cbc && !read.allow_sha1 && read.sign_requests);
        assert!(serde_json::from_str::<SamlOptions>("{\"alow_cbc\": true}").is_err());
        let subject = serde_json::json!({"subject": {"attribute": "uid"}});
        let read: SamlOptions = serde_json::from_value(subject).unwrap();
        assert_eq!(read.subject, SubjectFrom::Attribute("uid".to_owned()));
    }
}
