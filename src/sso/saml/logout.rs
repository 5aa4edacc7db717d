//! Single logout both ways (SAML Core §3.7, SAML Profiles §4.4). What is not signed ends nothing.

use std::time::Duration;

use super::idp::{Binding, Endpoint, IdpSettings};
use super::keys::ServiceKeys;
use super::names::{ASSERTION, PROTOCOL, SUCCESS};
use super::options::SamlOptions;
use super::query::{Incoming, signed};
use super::request::{SentRequest, new_id};
use super::response::envelope::{MAX_AGE, issuer, recent, status};
use super::response::subject::name_id;
use super::service::Service;
use super::signature::Trust;
use super::tree::{self, MESSAGE, Node};
use super::wire::{self, Direction, Outgoing};
use super::words::{escape, instant, refuse, shown};
use crate::base::{Ambient, Timestamp};
use crate::sso::{Check, NameId, SsoError};

/// How long a request of ours counts.
const LIFE: Duration = MAX_AGE;

/// One connection, for its logouts.
#[derive(Clone, Copy, Debug)]
pub struct Logout<'a> {
    /// We.
    pub service: &'a Service,
    /// The identity provider of the connection.
    pub idp: &'a IdpSettings,
    /// The choices for the connection.
    pub options: &'a SamlOptions,
    /// Our keys.
    pub keys: &'a ServiceKeys,
}

/// A logout that the identity provider asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutAsked {
    /// Its id: the answer names it, and it may count once.
    pub id: String,
    /// Whose sessions end.
    pub name_id: NameId,
    /// Which of them; all when there is none.
    pub sessions: Vec<String>,
    /// To be sent back with the answer.
    pub relay_state: Option<String>,
    /// Until when its id must be remembered.
    pub expires_at: Timestamp,
}

/// The answer to a logout that we asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutDone {
    /// The request that it answers, to be closed.
    pub in_response_to: String,
    /// What went wrong in the identity provider's words; nothing if it went well.
    pub failure: Option<String>,
    /// What we sent with the request.
    pub relay_state: Option<String>,
}

impl Logout<'_> {
    /// Whether the identity provider takes logouts.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        !self.idp.slo.is_empty()
    }

    /// Asks the identity provider to end a session.
    ///
    /// # Errors
    /// [`Check::Configuration`] when it takes no logouts or our key is unreadable.
    pub fn ask(
        &self,
        name_id: &NameId,
        session: Option<&str>,
        relay_state: Option<&str>,
        ambient: &Ambient,
    ) -> Result<SentRequest, SsoError> {
        let endpoint = self.endpoint(self.options.request_binding)?;
        let (id, sent_at) = (new_id(ambient), ambient.now());
        let session = session.map(|session| format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", escape(session)));
        let content = format!("{}{}", written(name_id), session.unwrap_or_default());
        let more = format!(" NotOnOrAfter=\"{}\"", sent_at.after(LIFE));
        let xml = self.message("LogoutRequest", &id, sent_at, &endpoint.location, &more, &content);
        let message = self.send(endpoint.binding, &endpoint.location, Direction::Request, &xml, relay_state)?;
        Ok(SentRequest { id, sent_at, message })
    }

    /// Answers a logout that was asked for, by the binding that it came by if that is possible. `done` is false when not all
    /// sessions could be ended.
    ///
    /// # Errors
    /// As [`Logout::ask`].
    pub fn answer(
        &self,
        asked: &LogoutAsked,
        done: bool,
        came_by: Binding,
        ambient: &Ambient,
    ) -> Result<Outgoing, SsoError> {
        let endpoint = self.endpoint(came_by)?;
        let location = endpoint.response_location.as_deref().unwrap_or(&endpoint.location);
        let code = if done { SUCCESS } else { "urn:oasis:names:tc:SAML:2.0:status:Responder" };
        let content = format!("<samlp:Status><samlp:StatusCode Value=\"{code}\"/></samlp:Status>");
        let more = format!(" InResponseTo=\"{}\"", escape(&asked.id));
        let xml = self.message("LogoutResponse", &new_id(ambient), ambient.now(), location, &more, &content);
        self.send(endpoint.binding, location, Direction::Response, &xml, asked.relay_state.as_deref())
    }

    /// Reads a logout that the identity provider asks for.
    ///
    /// # Errors
    /// The check that failed.
    pub fn read_request(&self, incoming: &Incoming<'_>, now: Timestamp) -> Result<LogoutAsked, SsoError> {
        let received = signed(incoming, Direction::Request, &self.trust()?)?;
        let document = tree::parse(&received.xml, MESSAGE)?;
        let root = Node::root(&document)?;
        let issued_at = self.check(root, "LogoutRequest", now)?;
        let skew = self.options.skew();
        let until = root.attribute("NotOnOrAfter").map(instant).transpose()?;
        if let Some(until) = until.filter(|until| until.after(skew) <= now) {
            return refuse(Check::Time, format!("the logout held until {until}, and it is {now}"));
        }
        let Some(name) = root.optional(ASSERTION, "NameID")? else {
            return refuse(Check::Subject, "the logout names nobody");
        };
        let sessions = root.all(PROTOCOL, "SessionIndex").map(|session| session.text()).collect::<Result<_, _>>()?;
        Ok(LogoutAsked {
            id: root.required("ID")?.to_owned(),
            name_id: name_id(name)?,
            sessions,
            relay_state: received.relay_state,
            expires_at: issued_at.after(MAX_AGE).after(skew),
        })
    }

    /// Reads the answer to a logout that we asked for; `outstanding` are the ids of this browser's open logouts.
    ///
    /// # Errors
    /// The check that failed. That the identity provider failed is no error: the session here has ended anyway.
    pub fn read_response(
        &self,
        incoming: &Incoming<'_>,
        outstanding: &[String],
        now: Timestamp,
    ) -> Result<LogoutDone, SsoError> {
        let received = signed(incoming, Direction::Response, &self.trust()?)?;
        let document = tree::parse(&received.xml, MESSAGE)?;
        let root = Node::root(&document)?;
        self.check(root, "LogoutResponse", now)?;
        let answered = root.required("InResponseTo")?;
        if !outstanding.iter().any(|open| open == answered) {
            let text = format!("the answer is to {}, which is no open logout of this browser", shown(answered));
            return refuse(Check::Request, text);
        }
        let failure = match status(root.one(PROTOCOL, "Status")?) {
            Ok(()) => None,
            Err(error) if error.check == Check::Status => Some(error.detail),
            Err(error) => return Err(error),
        };
        Ok(LogoutDone { in_response_to: answered.to_owned(), failure, relay_state: received.relay_state })
    }

    fn trust(&self) -> Result<Trust, SsoError> {
        Trust::of(&self.idp.certificates, self.options.allow_sha1)
    }

    /// What holds for requests and answers alike; gives the instant at which it was issued.
    fn check(&self, root: Node<'_, '_>, name: &str, now: Timestamp) -> Result<Timestamp, SsoError> {
        if !root.is(PROTOCOL, name) {
            return refuse(Check::Malformed, format!("the message is {}, expected {name}", shown(root.name())));
        }
        if root.attribute("Version") != Some("2.0") {
            return refuse(Check::Malformed, "the version of the message is not 2.0");
        }
        root.holds_elements_only()?;
        self.idp.require_issuer("logout", &issuer(root)?)?;
        let destination = root.attribute("Destination").unwrap_or_default();
        if destination != self.service.slo_url {
            let text = format!("the destination is {}, expected {}", shown(destination), shown(&self.service.slo_url));
            return refuse(Check::Destination, text);
        }
        recent(root, "logout", self.options.skew(), now)
    }

    fn endpoint(&self, wanted: Binding) -> Result<&Endpoint, SsoError> {
        let endpoint = IdpSettings::endpoint(&self.idp.slo, wanted);
        endpoint.ok_or_else(|| SsoError::new(Check::Configuration, "the identity provider takes no logouts"))
    }

    fn message(&self, name: &str, id: &str, at: Timestamp, to: &str, more: &str, content: &str) -> String {
        format!(
            "<samlp:{name} xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{at}\" Destination=\"{}\"{more}><saml:Issuer>{}</saml:Issuer>{content}</samlp:{name}>",
            escape(to),
            escape(&self.service.entity_id),
        )
    }

    fn send(
        &self,
        binding: Binding,
        url: &str,
        direction: Direction,
        xml: &str,
        relay_state: Option<&str>,
    ) -> Result<Outgoing, SsoError> {
        let key = Some(self.keys.signing()?);
        match binding {
            Binding::Redirect => wire::redirect(url, direction, xml, relay_state, key),
            Binding::Post => wire::post(url, direction, xml, relay_state, key),
        }
    }
}

/// A `NameID` with its qualifiers, as it was given.
pub(super) fn written(name_id: &NameId) -> String {
    let qualified = [
        ("Format", &name_id.format),
        ("NameQualifier", &name_id.name_qualifier),
        ("SPNameQualifier", &name_id.sp_name_qualifier),
    ];
    let attributes: Vec<String> = qualified
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!(" {name}=\"{}\"", escape(value))))
        .collect();
    format!("<saml:NameID{}>{}</saml:NameID>", attributes.concat(), escape(&name_id.value))
}
