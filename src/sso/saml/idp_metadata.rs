//! Reads the metadata of identity providers (SAML Metadata §2.3, §2.4).

use super::certificate::Certificate;
use super::idp::{Binding, Endpoint, IdpSettings};
use super::names::{DSIG, METADATA, PROTOCOL};
use super::signature::{Trust, signed_text};
use super::tree::{self, Node};
use super::words::{instant, refuse, shown};
use crate::base::Timestamp;
use crate::sso::{Check, SsoError};

/// Certificates, and endpoints of a kind, that are kept.
const MOST: usize = 16;

/// How metadata is judged.
#[derive(Clone, Debug)]
pub struct MetadataPolicy<'a> {
    /// The present.
    pub now: Timestamp,
    /// Who must have signed it; empty when it comes by a way that is trusted already (an upload, HTTPS).
    pub signers: &'a [Certificate],
    /// Take endpoints at `http://` on this machine, too: for development.
    pub loopback_http: bool,
}

/// Reads metadata of one identity provider.
///
/// # Errors
/// [`Check::Malformed`], [`Check::Limit`], [`Check::Signature`] when it must be signed and is not, [`Check::Time`] when it
/// has ended, [`Check::Configuration`] when something is missing that a sign-in needs.
pub fn idp_metadata(text: &str, policy: &MetadataPolicy<'_>) -> Result<IdpSettings, SsoError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if policy.signers.is_empty() {
        return read(text, policy);
    }
    let document = tree::parse(text, tree::METADATA)?;
    let root = Node::root(&document)?;
    let Some(signature) = root.optional(DSIG, "Signature")? else {
        return refuse(Check::Signature, "the metadata is not signed, and a signer is set");
    };
    let trust = Trust::of(policy.signers, false)?;
    read(&signed_text(&document, text, signature, &trust)?, policy)
}

fn read(text: &str, policy: &MetadataPolicy<'_>) -> Result<IdpSettings, SsoError> {
    let document = tree::parse(text, tree::METADATA)?;
    let root = Node::root(&document)?;
    let entity = entity(root)?;
    let role = entity.one(METADATA, "IDPSSODescriptor")?;
    let mut valid_until: Option<Timestamp> = None;
    for holder in [root, entity, role] {
        if let Some(until) = holder.attribute("validUntil").map(instant).transpose()? {
            valid_until = Some(valid_until.map_or(until, |known| known.min(until)));
        }
    }
    if let Some(until) = valid_until.filter(|until| *until <= policy.now) {
        return refuse(Check::Time, format!("the metadata was valid until {until}"));
    }
    let protocols = role.attribute("protocolSupportEnumeration").unwrap_or(PROTOCOL);
    if !protocols.split_whitespace().any(|protocol| protocol == PROTOCOL) {
        return refuse(Check::Configuration, "the identity provider does not speak SAML 2.0");
    }
    let entity_id = entity.required("entityID")?.to_owned();
    if entity_id.trim().is_empty() || entity_id.len() > 1_024 {
        return refuse(Check::Configuration, "the entity id is empty or longer than 1,024 characters");
    }
    Ok(IdpSettings {
        entity_id,
        certificates: certificates(role)?,
        sso: required_endpoints(role, policy)?,
        slo: endpoints(role, "SingleLogoutService", policy)?,
        wants_signed_requests: matches!(role.attribute("WantAuthnRequestsSigned"), Some("true" | "1")),
        name_id_formats: role.all(METADATA, "NameIDFormat").take(MOST).map(|f| f.token()).collect::<Result<_, _>>()?,
        valid_until,
    })
}

/// The one entity that is an identity provider.
fn entity<'d, 't>(root: Node<'d, 't>) -> Result<Node<'d, 't>, SsoError> {
    if root.is(METADATA, "EntityDescriptor") {
        return Ok(root);
    }
    if !root.is(METADATA, "EntitiesDescriptor") {
        return refuse(Check::Malformed, format!("{} is no metadata of SAML 2.0", shown(root.name())));
    }
    let is_provider = |node: &Node<'d, 't>| {
        node.is(METADATA, "EntityDescriptor") && node.all(METADATA, "IDPSSODescriptor").next().is_some()
    };
    let found: Vec<_> = root.descendants().filter(is_provider).take(2).collect();
    match found[..] {
        [entity] => Ok(entity),
        [] => refuse(Check::Configuration, "the metadata has no identity provider"),
        _ => refuse(Check::Configuration, "the metadata has several identity providers: give that of one"),
    }
}

/// The certificates that sign: those for signing, and those for anything (SAML Metadata §2.4.1.1).
fn certificates(role: Node<'_, '_>) -> Result<Vec<Certificate>, SsoError> {
    let (mut found, mut refused) = (Vec::new(), None);
    for descriptor in role.all(METADATA, "KeyDescriptor") {
        if !matches!(descriptor.attribute("use"), None | Some("signing")) {
            continue;
        }
        let info = descriptor.one(DSIG, "KeyInfo")?;
        for data in info.all(DSIG, "X509Data") {
            for certificate in data.all(DSIG, "X509Certificate") {
                match Certificate::from_base64(&certificate.packed()?) {
                    Ok(certificate) if !found.contains(&certificate) => found.push(certificate),
                    Ok(_) => {}
                    // An old certificate with a short key must not keep a good one beside it from counting.
                    Err(error) => refused = Some(error),
                }
            }
        }
    }
    match (found.len(), refused) {
        (0, Some(error)) => Err(error),
        (0, None) => refuse(Check::Configuration, "the metadata has no certificate for signing"),
        (count, _) if count > MOST => {
            refuse(Check::Limit, format!("the metadata has {count} certificates, {MOST} are kept"))
        }
        _ => Ok(found),
    }
}

fn required_endpoints(role: Node<'_, '_>, policy: &MetadataPolicy<'_>) -> Result<Vec<Endpoint>, SsoError> {
    let found = endpoints(role, "SingleSignOnService", policy)?;
    if found.is_empty() {
        return refuse(Check::Configuration, "the metadata has no sign-on service by redirect or POST");
    }
    Ok(found)
}

fn endpoints(role: Node<'_, '_>, name: &'static str, policy: &MetadataPolicy<'_>) -> Result<Vec<Endpoint>, SsoError> {
    let mut found: Vec<Endpoint> = Vec::new();
    for service in role.all(METADATA, name) {
        // Others (SOAP, artifact) are not spoken here.
        let Some(binding) = Binding::from_uri(service.required("Binding")?) else { continue };
        let location = url(service.required("Location")?, policy)?;
        let response_location = service.attribute("ResponseLocation").map(|at| url(at, policy)).transpose()?;
        if !found.iter().any(|known| known.binding == binding) {
            found.push(Endpoint { binding, location, response_location });
        }
    }
    Ok(found)
}

fn url(text: &str, policy: &MetadataPolicy<'_>) -> Result<String, SsoError> {
    let parsed = url::Url::parse(text.trim()).ok();
    let loopback = |url: &url::Url| match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match parsed {
        Some(url) if url.scheme() == "https" => Ok(text.trim().to_owned()),
        Some(url) if policy.loopback_http && url.scheme() == "http" && loopback(&url) => Ok(text.trim().to_owned()),
        _ => refuse(Check::Configuration, format!("the endpoint {} is not an https URL", shown(text))),
    }
}
