//! What a response says, and how it is written.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::base::Timestamp;

use super::{Encryption, Key, SignAs, World, encrypted};

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `samlp:`, `saml:`: Keycloak, pysaml2, Google.
    Plain,
    /// `saml2p:`, `saml2:`, typed values, `PrefixList="xs"`.
    Okta,
    /// `samlp:` outside, no prefix inside, claim names as schema URIs.
    Entra,
    /// As Entra ID, without a `NameID` and with seven digits of a second.
    Adfs,
    /// Lines and blanks everywhere, names in two ways.
    Ping,
    /// `saml2p:`, `saml2:`, XML declaration.
    Google,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    Nothing,
    Assertion,
    Response,
    Both,
}

/// The answer, all of whose parts a test may change.
#[derive(Clone, Debug)]
pub struct Message {
    pub style: Style,
    pub issuer: String,
    pub destination: Option<String>,
    pub in_response_to: Option<String>,
    pub issued_at: String,
    pub status: String,
    pub name_id: Option<(String, String)>,
    /// Attributes of `SubjectConfirmationData`.
    pub confirmation: Vec<(&'static str, String)>,
    pub not_before: String,
    pub not_on_or_after: String,
    pub audiences: Vec<String>,
    pub authenticated_at: String,
    pub session: Vec<(&'static str, String)>,
    pub context: String,
    pub attributes: Vec<(String, Vec<String>)>,
    pub response_id: String,
    pub assertion_id: String,
    pub sign: SignAs,
    pub encrypt: Option<Encryption>,
    pub certificate: rollcall::sso::saml::Certificate,
}

pub const SUCCESS: &str = "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/>";

impl Message {
    pub fn fitting(world: &World) -> Self {
        let now = world.now;
        let later = |seconds: u64| now.after(Duration::from_secs(seconds)).to_string();
        let request = world.outstanding.first().cloned();
        let mut confirmation = vec![("NotOnOrAfter", later(300)), ("Recipient", world.service.acs_url.clone())];
        confirmation.extend(request.clone().map(|id| ("InResponseTo", id)));
        Self {
            style: Style::Plain,
            issuer: world.idp.entity_id.clone(),
            destination: Some(world.service.acs_url.clone()),
            in_response_to: request,
            issued_at: now.to_string(),
            status: SUCCESS.to_owned(),
            name_id: Some(("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned(), "00u1ana".to_owned())),
            confirmation,
            not_before: now.before(Duration::from_mins(5)).to_string(),
            not_on_or_after: later(300),
            audiences: vec![world.service.entity_id.clone()],
            authenticated_at: now.before(Duration::from_secs(20)).to_string(),
            session: vec![("SessionIndex", "_session1".to_owned())],
            context: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport".to_owned(),
            attributes: vec![
                ("email".to_owned(), vec!["ana@acme.example".to_owned()]),
                ("groups".to_owned(), vec!["Agents".to_owned(), "Madrid".to_owned()]),
            ],
            response_id: "_response1".to_owned(),
            assertion_id: "_assertion1".to_owned(),
            sign: SignAs::with(Key::Idp),
            encrypt: None,
            certificate: world.encryption_certificate(),
        }
    }

    /// As one identity provider writes.
    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        match style {
            Style::Okta => {
                self.sign.prefix_list = Some("xs");
                self.name_id = Some((
                    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".to_owned(),
                    "ana@acme.example".to_owned(),
                ));
            }
            Style::Entra | Style::Adfs => {
                self.sign.prefix = "";
                let schema = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
                schema.clone_into(&mut self.attributes[0].0);
                "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups".clone_into(&mut self.attributes[1].0);
            }
            _ => {}
        }
        if style == Style::Adfs {
            self.name_id = None;
            for time in [&mut self.issued_at, &mut self.not_before, &mut self.not_on_or_after] {
                *time = time.replace(".000Z", ".0000000Z");
            }
        }
        self
    }

    /// The prefix of the protocol's and of the assertion's elements.
    fn prefixes(&self) -> (&'static str, &'static str) {
        match self.style {
            Style::Okta | Style::Google => ("saml2p:", "saml2:"),
            Style::Entra | Style::Adfs => ("samlp:", ""),
            Style::Plain | Style::Ping => ("samlp:", "saml:"),
        }
    }

    fn declared(prefix: &str, namespace: &str) -> String {
        match prefix.trim_end_matches(':') {
            "" => format!("xmlns=\"{namespace}\""),
            prefix => format!("xmlns:{prefix}=\"{namespace}\""),
        }
    }

    /// The assertion, not signed.
    pub fn assertion(&self) -> String {
        let (_, p) = self.prefixes();
        let declared = Self::declared(p, "urn:oasis:names:tc:SAML:2.0:assertion");
        let typed = if self.style == Style::Okta { " xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"" } else { "" };
        let name_id = self.name_id.as_ref().map_or(String::new(), |(format, value)| {
            format!("<{p}NameID Format=\"{format}\">{}</{p}NameID>", escape(value))
        });
        let pairs = |pairs: &[(&str, String)]| -> String {
            all(pairs, |(name, value)| format!(" {name}=\"{}\"", escape(value)))
        };
        let audiences = all(&self.audiences, |audience| format!("<{p}Audience>{}</{p}Audience>", escape(audience)));
        let xml = format!(
            "<{p}Assertion {declared}{typed} ID=\"{}\" Version=\"2.0\" IssueInstant=\"{}\">\
             <{p}Issuer>{}</{p}Issuer><{p}Subject>{name_id}\
             <{p}SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><{p}SubjectConfirmationData{}/>\
             </{p}SubjectConfirmation></{p}Subject><{p}Conditions NotBefore=\"{}\" NotOnOrAfter=\"{}\">\
             <{p}AudienceRestriction>{audiences}</{p}AudienceRestriction></{p}Conditions>\
             <{p}AuthnStatement AuthnInstant=\"{}\"{}><{p}AuthnContext><{p}AuthnContextClassRef>{}\
             </{p}AuthnContextClassRef></{p}AuthnContext></{p}AuthnStatement>{}</{p}Assertion>",
            self.assertion_id,
            self.issued_at,
            escape(&self.issuer),
            pairs(&self.confirmation),
            self.not_before,
            self.not_on_or_after,
            self.authenticated_at,
            pairs(&self.session),
            self.context,
            self.attribute_statement(p),
        );
        if self.style == Style::Ping { xml.replace("><saml:", ">\n  <saml:") } else { xml }
    }

    fn attribute_statement(&self, p: &str) -> String {
        if self.attributes.is_empty() {
            return String::new();
        }
        let typed = if self.style == Style::Okta {
            " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\""
        } else {
            ""
        };
        let attributes = all(&self.attributes, |(name, values)| {
            let values =
                all(values, |value| format!("<{p}AttributeValue{typed}>{}</{p}AttributeValue>", escape(value)));
            format!("<{p}Attribute Name=\"{}\">{values}</{p}Attribute>", escape(name))
        });
        format!("<{p}AttributeStatement>{attributes}</{p}AttributeStatement>")
    }

    /// The response around what is given.
    pub fn response(&self, inside: &str) -> String {
        let (p, a) = self.prefixes();
        let option = |name: &str, value: &Option<String>| {
            value.as_ref().map_or(String::new(), |value| format!(" {name}=\"{}\"", escape(value)))
        };
        let status = self.status.replace("samlp:", p);
        let assertion = "urn:oasis:names:tc:SAML:2.0:assertion";
        let xml = format!(
            "<{p}Response {} ID=\"{}\" Version=\"2.0\" IssueInstant=\"{}\"{}{}><{a}Issuer {}>{}</{a}Issuer>\
             <{p}Status>{status}</{p}Status>{inside}</{p}Response>",
            Self::declared(p, "urn:oasis:names:tc:SAML:2.0:protocol"),
            self.response_id,
            self.issued_at,
            option("Destination", &self.destination),
            option("InResponseTo", &self.in_response_to),
            Self::declared(a, assertion),
            escape(&self.issuer),
        );
        match self.style {
            Style::Google => format!("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>{xml}"),
            _ => xml,
        }
    }

    /// What stands in the response: the assertion, signed and encrypted as asked.
    pub fn inside(&self, signing: Signing) -> String {
        let assertion = self.assertion();
        let signs = matches!(signing, Signing::Assertion | Signing::Both);
        let assertion = if signs { self.sign.sign(&assertion) } else { assertion };
        match &self.encrypt {
            Some(encryption) => encrypted(&assertion, encryption, &self.certificate),
            None => assertion,
        }
    }

    /// The text of the response.
    pub fn xml(&self, signing: Signing) -> String {
        let response = self.response(&self.inside(signing));
        if matches!(signing, Signing::Response | Signing::Both) { self.sign.sign(&response) } else { response }
    }

    /// The value of the form field.
    pub fn send(&self, signing: Signing) -> String {
        form(&self.xml(signing))
    }

    /// Sets an attribute of the confirmation, or takes it away.
    pub fn confirm(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.confirmation.retain(|(known, _)| *known != name);
        self.confirmation.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    /// The instant that many seconds from another one.
    pub fn shifted(now: Timestamp, seconds: i64) -> String {
        Timestamp::from_millis(now.millis() + seconds * 1_000).to_string()
    }
}

/// All of them written one after the other.
fn all<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
    items.iter().map(write).collect::<Vec<_>>().concat()
}

/// A text as the value of a form field.
pub fn form(xml: &str) -> String {
    STANDARD.encode(xml)
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
