//! We, as a service provider, and our metadata (SAML Metadata §2.4.4).

use super::idp::Binding;
use super::keys::ServiceKeys;
use super::names::{DSIG, EMAIL_FORMAT, METADATA, PERSISTENT, POST, PROTOCOL, UNSPECIFIED};
use super::options::SamlOptions;
use super::words::escape;

/// The addresses of one connection at our side. The entity id is the URL of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Our entity id.
    pub entity_id: String,
    /// Where responses come (assertion consumer service).
    pub acs_url: String,
    /// Where logouts come.
    pub slo_url: String,
}

/// Our metadata: all our certificates, those that are announced too.
#[must_use]
pub fn service_metadata(service: &Service, keys: &ServiceKeys, options: &SamlOptions) -> String {
    let mut certificates = String::new();
    for (name, key) in keys.all().iter().flat_map(|key| [("signing", &key.signing), ("encryption", &key.encryption)]) {
        certificates.push_str(&key_descriptor(name, &key.certificate().base64()));
    }
    let slo = escape(&service.slo_url);
    let logout: String = [Binding::Redirect, Binding::Post]
        .map(|binding| format!("<md:SingleLogoutService Binding=\"{}\" Location=\"{slo}\"/>", binding.uri()))
        .concat();
    let formats = [PERSISTENT, EMAIL_FORMAT, UNSPECIFIED].map(|f| format!("<md:NameIDFormat>{f}</md:NameIDFormat>"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <md:EntityDescriptor xmlns:md=\"{METADATA}\" xmlns:ds=\"{DSIG}\" entityID=\"{}\">\
         <md:SPSSODescriptor AuthnRequestsSigned=\"{}\" WantAssertionsSigned=\"true\" \
         protocolSupportEnumeration=\"{PROTOCOL}\">{certificates}{logout}{}\
         <md:AssertionConsumerService Binding=\"{POST}\" Location=\"{}\" index=\"0\" isDefault=\"true\"/>\
         </md:SPSSODescriptor></md:EntityDescriptor>\n",
        escape(&service.entity_id),
        options.sign_requests,
        formats.concat(),
        escape(&service.acs_url),
    )
}

pub(super) fn key_descriptor(purpose: &str, certificate: &str) -> String {
    format!(
        "<md:KeyDescriptor use=\"{purpose}\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
}
