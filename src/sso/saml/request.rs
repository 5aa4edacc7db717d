//! Asking an identity provider to sign somebody in (SAML Core §3.4.1).

use super::idp::{Binding, IdpSettings};
use super::keys::ServiceKeys;
use super::names::{ASSERTION, POST, PROTOCOL};
use super::options::SamlOptions;
use super::service::Service;
use super::wire::{self, Direction, Outgoing};
use super::words::{escape, refuse};
use crate::base::{Ambient, Timestamp};
use crate::sso::{Check, SsoError};

/// The longest relay state (SAML Bindings §3.4.3).
const MAX_RELAY_STATE: usize = 80;

/// A request that was made, to be kept until its answer comes.
#[derive(Clone, Debug)]
pub struct SentRequest {
    /// Its id: the answer names it.
    pub id: String,
    /// When it was made.
    pub sent_at: Timestamp,
    /// What to send the browser.
    pub message: Outgoing,
}

/// What is particular about one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Ask for a new sign-in even where there is a session: for step-up. [`SamlOptions::force_authn`] does so always.
    pub force_authn: bool,
    /// Comes back with the answer; 80 bytes at most, so it is better a key than a path.
    pub relay_state: Option<&'a str>,
}

/// A new id: 128 random bits as an `NCName` (SAML Core §1.3.4).
pub(super) fn new_id(ambient: &Ambient) -> String {
    format!("_{}", hex::encode(ambient.bytes::<16>()))
}

/// Makes a request.
///
/// # Errors
/// [`Check::Configuration`] when the identity provider has no endpoint for it, our key is unreadable, or the relay state is
/// too long.
pub fn authn_request(
    service: &Service,
    idp: &IdpSettings,
    options: &SamlOptions,
    keys: &ServiceKeys,
    ask: &Ask<'_>,
    ambient: &Ambient,
) -> Result<SentRequest, SsoError> {
    if ask.relay_state.is_some_and(|state| state.len() > MAX_RELAY_STATE) {
        return refuse(Check::Configuration, format!("the relay state is longer than {MAX_RELAY_STATE} bytes"));
    }
    let Some(endpoint) = IdpSettings::endpoint(&idp.sso, options.request_binding) else {
        return refuse(Check::Configuration, "the identity provider has no sign-on service");
    };
    let (id, sent_at) = (new_id(ambient), ambient.now());
    let forced = if ask.force_authn || options.force_authn { " ForceAuthn=\"true\"" } else { "" };
    let xml = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" \
         IssueInstant=\"{sent_at}\" Destination=\"{}\"{forced} ProtocolBinding=\"{POST}\" \
         AssertionConsumerServiceURL=\"{}\"><saml:Issuer>{}</saml:Issuer>{}{}</samlp:AuthnRequest>",
        escape(&endpoint.location),
        escape(&service.acs_url),
        escape(&service.entity_id),
        policy(options),
        context(options),
    );
    let signs = options.sign_requests || idp.wants_signed_requests;
    let key = if signs { Some(keys.signing()?) } else { None };
    let message = match endpoint.binding {
        Binding::Redirect => wire::redirect(&endpoint.location, Direction::Request, &xml, ask.relay_state, key)?,
        Binding::Post => wire::post(&endpoint.location, Direction::Request, &xml, ask.relay_state, key)?,
    };
    Ok(SentRequest { id, sent_at, message })
}

fn policy(options: &SamlOptions) -> String {
    let format = options.name_id_format.as_deref().map(|format| format!(" Format=\"{}\"", escape(format)));
    format!("<samlp:NameIDPolicy{} AllowCreate=\"true\"/>", format.unwrap_or_default())
}

fn context(options: &SamlOptions) -> String {
    if options.authn_context.is_empty() {
        return String::new();
    }
    let class = |class: &String| format!("<saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef>", escape(class));
    let classes: String = options.authn_context.iter().map(class).collect();
    format!("<samlp:RequestedAuthnContext Comparison=\"exact\">{classes}</samlp:RequestedAuthnContext>")
}
