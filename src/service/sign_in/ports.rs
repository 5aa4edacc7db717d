//! How identity providers are asked.

use std::fmt;

use crate::sso::oidc::RelyingParty;
use crate::sso::{Check, MetadataReader, SsoError, TxtLookup};

use super::super::core::Core;

/// What asks identity providers.
pub struct SignOnPorts {
    /// OpenID Connect.
    pub relying_party: RelyingParty,
    /// TXT records, by which e-mail domains are proven.
    pub txt: Box<dyn TxtLookup>,
    /// SAML metadata.
    pub metadata: MetadataReader,
    /// Whether identity providers may be on this machine, over http.
    pub loopback_http: bool,
}

impl fmt::Debug for SignOnPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignOnPorts").field("loopback_http", &self.loopback_http).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn sign_on_ports(&self) -> Result<&SignOnPorts, SsoError> {
        let none = || SsoError::new(Check::Configuration, "this program asks no identity provider");
        self.sign_on.as_deref().ok_or_else(none)
    }
}
