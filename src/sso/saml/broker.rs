//! We, as the identity provider of another service (Flex): who signed in here, and may, is told to it.
//!
//! Whether somebody may is not decided here: make an assertion only for a person who has access now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::idp::Binding;
use super::keys::ServiceKeys;
use super::logout::written;
use super::names::{ASSERTION, BEARER, DSIG, EMAIL_FORMAT, METADATA, PERSISTENT, POST, PROTOCOL, SUCCESS, UNSPECIFIED};
use super::query::{Incoming, is_signed, signed, unsigned};
use super::request::new_id;
use super::response::envelope::{issuer, recent};
use super::service::key_descriptor;
use super::sign::enveloped;
use super::signature::Trust;
use super::tree::{self, MESSAGE, Node};
use super::wire::{self, Direction, Outgoing};
use super::words::{escape, refuse, shown};
use crate::base::{Ambient, Timestamp};
use crate::sso::{Check, NameId, SsoError};

/// How long an assertion of ours can be brought.
const LIFE: Duration = Duration::from_mins(5);
/// How far its clock may be from ours.
const SKEW: Duration = Duration::from_mins(1);

/// We, towards that service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// Our entity id.
    pub entity_id: String,
    /// Where its requests come.
    pub sso_url: String,
}

/// The service that believes us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relying {
    /// Its entity id.
    pub entity_id: String,
    /// The one address that assertions are sent to, whatever a request says.
    pub acs_url: String,
    /// Its certificates, if it signs requests.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Refuse requests that are not signed.
    #[serde(default)]
    pub require_signed: bool,
}

/// A sign-in that the service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInAsked {
    /// Its id: the answer names it.
    pub id: String,
    /// To be sent back with the answer.
    pub relay_state: Option<String>,
    /// A new sign-in is asked for.
    pub force_authn: bool,
    /// No page may be shown: without a session the answer is a refusal.
    pub passive: bool,
}

/// What is said of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The name for the service.
    pub name_id: NameId,
    /// Names and values.
    pub attributes: Vec<(String, Vec<String>)>,
    /// Names the session for a later logout.
    pub session: String,
    /// When the person signed in here.
    pub authenticated_at: Timestamp,
    /// How: `AuthnContextClassRef`; not said when it is not known.
    pub context: Option<String>,
}

/// Our metadata as an identity provider: all certificates that sign, the announced ones too.
#[must_use]
pub fn broker_metadata(broker: &Broker, keys: &ServiceKeys) -> String {
    let certificates: Vec<String> = keys.all().iter().map(|key| key.signing.certificate().base64()).collect();
    let certificates: Vec<String> = certificates.iter().map(|c| key_descriptor("signing", c)).collect();
    let url = escape(&broker.sso_url);
    let formats = [EMAIL_FORMAT, PERSISTENT, UNSPECIFIED].map(|f| format!("<md:NameIDFormat>{f}</md:NameIDFormat>"));
    let services = [Binding::Redirect, Binding::Post]
        .map(|binding| format!("<md:SingleSignOnService Binding=\"{}\" Location=\"{url}\"/>", binding.uri()));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <md:EntityDescriptor xmlns:md=\"{METADATA}\" xmlns:ds=\"{DSIG}\" entityID=\"{}\">\
         <md:IDPSSODescriptor WantAuthnRequestsSigned=\"false\" protocolSupportEnumeration=\"{PROTOCOL}\">{}{}{}\
         </md:IDPSSODescriptor></md:EntityDescriptor>\n",
        escape(&broker.entity_id),
        certificates.concat(),
        formats.concat(),
        services.concat(),
    )
}

/// Reads a request of the service.
///
/// # Errors
/// The check that failed.
pub fn read_authn_request(
    incoming: &Incoming<'_>,
    broker: &Broker,
    relying: &Relying,
    now: Timestamp,
) -> Result<SignInAsked, SsoError> {
    let has_signature = is_signed(incoming)?;
    let received = if relying.require_signed || (has_signature && !relying.certificates.is_empty()) {
        if relying.certificates.is_empty() {
            return refuse(Check::Configuration, "requests must be signed, and no certificate of the service is set");
        }
        signed(incoming, Direction::Request, &Trust::of(&relying.certificates, false)?)?
    } else {
        unsigned(incoming, Direction::Request)?
    };
    let document = tree::parse(&received.xml, MESSAGE)?;
    let root = Node::root(&document)?;
    if !root.is(PROTOCOL, "AuthnRequest") || root.attribute("Version") != Some("2.0") {
        return refuse(Check::Malformed, format!("the message is {}, expected AuthnRequest 2.0", shown(root.name())));
    }
    let found = issuer(root)?;
    if found != relying.entity_id {
        let text = format!("the issuer of the request is {}, expected {}", shown(&found), shown(&relying.entity_id));
        return refuse(Check::Issuer, text);
    }
    require(root, "AssertionConsumerServiceURL", &relying.acs_url)?;
    require(root, "ProtocolBinding", POST)?;
    require(root, "Destination", &broker.sso_url)?;
    recent(root, "request", SKEW, now)?;
    let id = root.required("ID")?;
    if id.is_empty() || id.len() > 256 {
        return refuse(Check::Malformed, "the id of the request is empty or longer than 256 bytes");
    }
    let is_true = |name: &str| matches!(root.attribute(name), Some("true" | "1"));
    Ok(SignInAsked {
        id: id.to_owned(),
        relay_state: received.relay_state,
        force_authn: is_true("ForceAuthn"),
        passive: is_true("IsPassive"),
    })
}

/// An attribute, if it is there, has that one value.
fn require(root: Node<'_, '_>, name: &str, wanted: &str) -> Result<(), SsoError> {
    match root.attribute(name) {
        Some(found) if found != wanted => {
            refuse(Check::Destination, format!("the {name} is {}, expected {}", shown(found), shown(wanted)))
        }
        _ => Ok(()),
    }
}

/// Tells the service who signed in: assertion and response are both signed.
///
/// # Errors
/// [`Check::Configuration`] when our key is unreadable.
pub fn issue(
    broker: &Broker,
    relying: &Relying,
    keys: &ServiceKeys,
    told: &Told,
    asked: Option<&SignInAsked>,
    relay_state: Option<&str>,
    ambient: &Ambient,
) -> Result<Outgoing, SsoError> {
    let now = ambient.now();
    let answered = asked.map_or(String::new(), |asked| format!(" InResponseTo=\"{}\"", escape(&asked.id)));
    let assertion = enveloped(&assertion(broker, relying, told, &answered, now, ambient), keys.signing()?)?;
    let xml = format!(
        "<samlp:Response xmlns:samlp=\"{PROTOCOL}\" ID=\"{}\" Version=\"2.0\" IssueInstant=\"{now}\" Destination=\"{}\"\
         {answered}><saml:Issuer xmlns:saml=\"{ASSERTION}\">{}</saml:Issuer><samlp:Status>\
         <samlp:StatusCode Value=\"{SUCCESS}\"/></samlp:Status>{assertion}</samlp:Response>",
        new_id(ambient),
        escape(&relying.acs_url),
        escape(&broker.entity_id),
    );
    let relay_state = asked.and_then(|asked| asked.relay_state.as_deref()).or(relay_state);
    wire::post(&relying.acs_url, Direction::Response, &xml, relay_state, Some(keys.signing()?))
}

fn assertion(
    broker: &Broker,
    relying: &Relying,
    told: &Told,
    answered: &str,
    now: Timestamp,
    ambient: &Ambient,
) -> String {
    let until = now.after(LIFE);
    let context = told.context.as_deref().unwrap_or("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified");
    format!(
        "<saml:Assertion xmlns:saml=\"{ASSERTION}\" ID=\"{}\" Version=\"2.0\" IssueInstant=\"{now}\"><saml:Issuer>{}\
         </saml:Issuer><saml:Subject>{}<saml:SubjectConfirmation Method=\"{BEARER}\"><saml:SubjectConfirmationData \
         NotOnOrAfter=\"{until}\" Recipient=\"{}\"{answered}/></saml:SubjectConfirmation></saml:Subject>\
         <saml:Conditions NotBefore=\"{}\" NotOnOrAfter=\"{until}\"><saml:AudienceRestriction><saml:Audience>{}\
         </saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant=\"{}\" \
         SessionIndex=\"{}\"><saml:AuthnContext><saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef>\
         </saml:AuthnContext></saml:AuthnStatement>{}</saml:Assertion>",
        new_id(ambient),
        escape(&broker.entity_id),
        written(&told.name_id),
        escape(&relying.acs_url),
        now.before(SKEW),
        escape(&relying.entity_id),
        told.authenticated_at,
        escape(&told.session),
        escape(context),
        attributes(&told.attributes),
    )
}

fn attributes(attributes: &[(String, Vec<String>)]) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let value = |value: &String| format!("<saml:AttributeValue>{}</saml:AttributeValue>", escape(value));
    let each: Vec<String> = attributes
        .iter()
        .map(|(name, values)| {
            let values: Vec<String> = values.iter().map(value).collect();
            let basic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";
            let values = values.concat();
            format!("<saml:Attribute Name=\"{}\" NameFormat=\"{basic}\">{values}</saml:Attribute>", escape(name))
        })
        .collect();
    format!("<saml:AttributeStatement>{}</saml:AttributeStatement>", each.concat())
}
