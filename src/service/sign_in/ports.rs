//! How identity providers are asked.

use crate::sso::oidc::RelyingParty;
use crate::sso::{Check, MetadataReader, SsoError};

use super::super::core::Core;

/// What asks identity providers.
#[derive(Debug)]
pub struct SignOnPorts {
    /// OpenID Connect.
    pub relying_party: RelyingParty,
    /// SAML metadata.
    pub metadata: MetadataReader,
    /// Whether identity providers may be on this machine, over http.
    pub loopback_http: bool,
}

impl Core {
    pub(super) fn sign_on_ports(&self) -> Result<&SignOnPorts, SsoError> {
        let none = || SsoError::new(Check::Configuration, "this program asks no identity provider");
        self.sign_on.as_deref().ok_or_else(none)
    }
}
