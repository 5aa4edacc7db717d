//! What the response itself says: who sent it, to whom, when, in answer to what, and whether it went well.

use std::time::Duration;

use super::Expected;
use crate::base::Timestamp;
use crate::sso::saml::names::{ASSERTION, ENTITY_FORMAT, PROTOCOL, SUCCESS};
use crate::sso::saml::tree::Node;
use crate::sso::saml::words::{instant, refuse, shown};
use crate::sso::{Check, SsoError};

/// The oldest message that is taken. Browsers carry them over in seconds.
pub(in crate::sso::saml) const MAX_AGE: Duration = Duration::from_mins(5);

/// What of it counts for the assertion.
pub(super) struct Envelope {
    pub(super) in_response_to: Option<String>,
}

/// Checks all but the status.
pub(super) fn check(
    root: Node<'_, '_>,
    signed: bool,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Envelope, SsoError> {
    issued(root, "response", expected, now)?;
    expected.idp.require_issuer("response", &issuer(root)?)?;
    match root.attribute("Destination") {
        Some(destination) if destination == expected.service.acs_url => {}
        Some(other) => {
            let text = format!("the destination is {}, expected {}", shown(other), shown(&expected.service.acs_url));
            return refuse(Check::Destination, text);
        }
        // SAML Bindings §3.5.5.2.
        None if signed => return refuse(Check::Destination, "the response is signed and has no destination"),
        None => {}
    }
    Ok(Envelope { in_response_to: answered(root, expected)? })
}

/// The request that is answered must be one of this browser's; an answer to none needs the connection's leave.
fn answered(root: Node<'_, '_>, expected: &Expected<'_>) -> Result<Option<String>, SsoError> {
    match root.attribute("InResponseTo") {
        Some(id) if expected.outstanding.iter().any(|open| open == id) => Ok(Some(id.to_owned())),
        Some(id) => {
            let text = format!("the response answers {}, which is no open request of this browser", shown(id));
            refuse(Check::Request, text)
        }
        None if expected.options.idp_initiated => Ok(None),
        None => {
            refuse(Check::Request, "the response answers no request, and the connection does not take such sign-ins")
        }
    }
}

/// Refuses answers that say that the sign-in failed.
pub(super) fn require_success(root: Node<'_, '_>) -> Result<(), SsoError> {
    status(root.one(PROTOCOL, "Status")?)
}

/// Gives the reason in the identity provider's words.
pub(in crate::sso::saml) fn status(status: Node<'_, '_>) -> Result<(), SsoError> {
    let code = status.one(PROTOCOL, "StatusCode")?;
    let value = code.required("Value")?;
    if value == SUCCESS {
        return Ok(());
    }
    let last = |uri: &str| uri.rsplit(':').next().unwrap_or_default().to_owned();
    let mut text = format!("the identity provider answered {}", shown(&last(value)));
    if let Some(inner) = code.optional(PROTOCOL, "StatusCode")? {
        text = format!("{text}, {}", shown(&last(inner.required("Value")?)));
    }
    if let Some(message) = status.optional(PROTOCOL, "StatusMessage")? {
        text = format!("{text}: {}", shown(message.text()?.trim()));
    }
    refuse(Check::Status, text)
}

/// The issuer, which must be named as an entity (SAML Core §2.2.5).
pub(in crate::sso::saml) fn issuer(node: Node<'_, '_>) -> Result<String, SsoError> {
    let Some(issuer) = node.optional(ASSERTION, "Issuer")? else {
        return refuse(Check::Issuer, format!("{} has no issuer", node.name()));
    };
    if issuer.attribute("Format").is_some_and(|format| format != ENTITY_FORMAT) {
        return refuse(Check::Issuer, format!("the issuer of {} is no entity id", node.name()));
    }
    issuer.token()
}

/// When it was issued: now, as far as clocks agree.
pub(super) fn issued(
    node: Node<'_, '_>,
    of: &str,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Timestamp, SsoError> {
    recent(node, of, expected.options.skew(), now)
}

pub(in crate::sso::saml) fn recent(
    node: Node<'_, '_>,
    of: &str,
    skew: Duration,
    now: Timestamp,
) -> Result<Timestamp, SsoError> {
    let at = instant(node.required("IssueInstant")?)?;
    if at > now.after(skew) {
        return refuse(Check::Time, format!("the {of} was issued at {at}, which is in the future at {now}"));
    }
    if at.after(MAX_AGE).after(skew) < now {
        return refuse(Check::Time, format!("the {of} was issued at {at}, too long before {now}"));
    }
    Ok(at)
}
