//! Whom an assertion speaks of, and who may bring it (SAML Core §2.4, SAML Profiles §4.1.4.2).

use super::Expected;
use super::envelope::Envelope;
use crate::base::Timestamp;
use crate::sso::saml::names::{ASSERTION, BEARER};
use crate::sso::saml::tree::Node;
use crate::sso::saml::words::{instant, refuse, shown};
use crate::sso::{Check, NameId, SsoError};

pub(super) struct Subject {
    pub(super) name_id: Option<NameId>,
    pub(super) expires_at: Timestamp,
}

/// Checks who may bring it; gives the name and until when.
pub(super) fn check(
    subject: Node<'_, '_>,
    envelope: &Envelope,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Subject, SsoError> {
    subject.holds_elements_only()?;
    for child in subject.children() {
        match child.name() {
            "NameID" | "SubjectConfirmation" if child.is(ASSERTION, child.name()) => {}
            "EncryptedID" => {
                return refuse(Check::Subject, "the NameID is encrypted by itself, which is not supported");
            }
            other => return refuse(Check::Subject, format!("the subject holds {}", shown(other))),
        }
    }
    let bearers: Vec<_> = subject
        .all(ASSERTION, "SubjectConfirmation")
        .filter(|confirmation| confirmation.attribute("Method") == Some(BEARER))
        .collect();
    let [bearer] = bearers[..] else {
        return refuse(Check::Subject, format!("there are {} bearer confirmations, expected 1", bearers.len()));
    };
    let expires_at = confirmation(bearer, envelope, expected, now)?;
    let name_id = subject.optional(ASSERTION, "NameID")?.map(name_id).transpose()?;
    Ok(Subject { name_id, expires_at })
}

/// The confirmation that the bearer gives; its end.
fn confirmation(
    bearer: Node<'_, '_>,
    envelope: &Envelope,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Timestamp, SsoError> {
    bearer.holds_elements_only()?;
    if bearer.children().count() != 1 {
        return refuse(Check::Subject, "the bearer confirmation names another subject");
    }
    let data = bearer.one(ASSERTION, "SubjectConfirmationData")?;
    if data.children().next().is_some() {
        return refuse(Check::Subject, "the bearer confirmation holds more than is meant");
    }
    let recipient = data.attribute("Recipient").unwrap_or_default();
    if recipient != expected.service.acs_url {
        let text = format!("the recipient is {}, expected {}", shown(recipient), shown(&expected.service.acs_url));
        return refuse(Check::Destination, text);
    }
    if data.attribute("NotBefore").is_some() {
        return refuse(Check::Time, "the bearer confirmation has a beginning, which is not allowed");
    }
    let Some(until) = data.attribute("NotOnOrAfter").map(instant).transpose()? else {
        return refuse(Check::Time, "the bearer confirmation has no end");
    };
    if until.after(expected.options.skew()) <= now {
        return refuse(Check::Time, format!("the bearer confirmation held until {until}, and it is {now}"));
    }
    if data.attribute("InResponseTo") != envelope.in_response_to.as_deref() {
        let of = |id: Option<&str>| id.map_or("no request".to_owned(), shown);
        let text = format!(
            "the assertion answers {}, the response {}",
            of(data.attribute("InResponseTo")),
            of(envelope.in_response_to.as_deref())
        );
        return refuse(Check::Request, text);
    }
    Ok(until)
}

/// A `NameID`; its text counts as it stands.
pub(in crate::sso::saml) fn name_id(node: Node<'_, '_>) -> Result<NameId, SsoError> {
    let value = node.text()?;
    if value.trim().is_empty() || value.len() > 1_024 {
        return refuse(Check::Subject, "the NameID is empty or longer than 1,024 bytes");
    }
    let owned = |name: &str| node.attribute(name).map(str::to_owned);
    Ok(NameId {
        value,
        format: owned("Format"),
        name_qualifier: owned("NameQualifier"),
        sp_name_qualifier: owned("SPNameQualifier"),
    })
}
