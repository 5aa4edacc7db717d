//! The answer of an identity provider (SAML Core §3.3.3, SAML Profiles §4.1.4): from the value of a form to an identity.
//!
//! The order is that of [`verify_response`]: one strict parse; the shape; the signatures; and from then on only the canonical
//! text that a signature covers is read.

mod conditions;
mod decrypt;
pub(super) mod envelope;
mod shape;
mod statements;
pub(super) mod subject;

use uppsala::Document;

use super::idp::IdpSettings;
use super::keys::ServiceKeys;
use super::names::{ASSERTION, DSIG};
use super::options::SamlOptions;
use super::service::Service;
use super::signature::{Trust, signed_text, signed_texts};
use super::tree::{self, MESSAGE, Node};
use super::wire;
use super::words::refuse;
use crate::base::Timestamp;
use crate::sso::{Check, Identity, SsoError};
use envelope::Envelope;
use shape::{Payload, Shape};

/// What a response must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// We.
    pub service: &'a Service,
    /// The identity provider of the connection.
    pub idp: &'a IdpSettings,
    /// The choices for the connection.
    pub options: &'a SamlOptions,
    /// Our keys, for what is encrypted.
    pub keys: &'a ServiceKeys,
    /// The ids of the requests that this browser sent through this connection and that are still open. Without any, only
    /// a sign-in that the identity provider began is taken, if the connection allows it.
    pub outstanding: &'a [String],
    /// A new sign-in was asked for (`ForceAuthn`) at that instant: an older one is refused.
    pub fresh_since: Option<Timestamp>,
}

/// A response that passed every check.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who it is.
    pub identity: Identity,
    /// The id of the assertion: it may be used once.
    pub assertion_id: String,
    /// Until when the id must be remembered; later the assertion is refused for its age.
    pub expires_at: Timestamp,
    /// The request that it answers, to be closed; none when the identity provider began.
    pub in_response_to: Option<String>,
}

/// Checks a response, as it came in the form field `SAMLResponse`.
///
/// What needs memory is the caller's: the request must be closed, and the assertion id stored, in the transaction that signs
/// the person in.
///
/// # Errors
/// The first check that failed, with what was found and what was expected.
pub fn verify_response(form_value: &str, expected: &Expected<'_>, now: Timestamp) -> Result<Verified, SsoError> {
    let text = wire::from_form(form_value)?;
    let document = tree::parse(&text, MESSAGE)?;
    let shape = shape::response(Node::root(&document)?)?;
    envelope::require_success(shape.root)?;
    let trust = Trust::of(&expected.idp.certificates, expected.options.allow_sha1)?;
    let own = match shape.payload {
        Payload::Plain(assertion) => assertion.optional(DSIG, "Signature")?,
        Payload::Encrypted(_) => None,
    };
    let signatures: Vec<Node<'_, '_>> = shape.signature.into_iter().chain(own).collect();
    let mut texts = signed_texts(&document, &text, &signatures, &trust)?.into_iter();
    let response = shape.signature.and_then(|_| texts.next());
    let assertion = own.and_then(|_| texts.next());
    let judge = Judge { expected, trust: &trust, now };
    match (response, assertion) {
        (Some(response), assertion) => judge.signed_response(&response, assertion.as_deref()),
        (None, Some(assertion)) => judge.with_envelope(&shape, false, |envelope| judge.read(&assertion, envelope)),
        (None, None) => judge.unsigned(&shape),
    }
}

/// What all steps need.
struct Judge<'a> {
    expected: &'a Expected<'a>,
    trust: &'a Trust,
    now: Timestamp,
}

impl Judge<'_> {
    /// The response is signed: everything is read from what its signature covers.
    fn signed_response(&self, response: &str, assertion: Option<&str>) -> Result<Verified, SsoError> {
        let document = tree::parse(response, MESSAGE)?;
        let shape = shape::response(Node::root(&document)?)?;
        self.with_envelope(&shape, true, |envelope| match (shape.payload, assertion) {
            (_, Some(assertion)) => self.read(assertion, envelope),
            (Payload::Plain(assertion), None) => self.read(&assertion.canonical(None, &[])?, envelope),
            (Payload::Encrypted(encrypted), None) => self.decrypted(encrypted, true, envelope),
        })
    }

    /// Nothing outside is signed: what is encrypted must be signed inside.
    fn unsigned(&self, shape: &Shape<'_, '_>) -> Result<Verified, SsoError> {
        match shape.payload {
            Payload::Plain(_) => refuse(Check::Signature, "neither the response nor the assertion is signed"),
            Payload::Encrypted(encrypted) => {
                self.with_envelope(shape, false, |envelope| self.decrypted(encrypted, false, envelope))
            }
        }
    }

    fn with_envelope<T>(
        &self,
        shape: &Shape<'_, '_>,
        signed: bool,
        then: impl FnOnce(&Envelope) -> Result<T, SsoError>,
    ) -> Result<T, SsoError> {
        let encrypted = matches!(shape.payload, Payload::Encrypted(_));
        if self.expected.options.want_encrypted && !encrypted {
            return refuse(Check::Encryption, "the assertion is not encrypted, and the connection asks for it");
        }
        then(&envelope::check(shape.root, signed, self.expected, self.now)?)
    }

    fn decrypted(
        &self,
        encrypted: Node<'_, '_>,
        response_signed: bool,
        envelope: &Envelope,
    ) -> Result<Verified, SsoError> {
        let text = decrypt::assertion(encrypted, response_signed, self.expected)?;
        let uniform = |error: SsoError| if response_signed { error } else { decrypt::failed() };
        let inner = self.opened(&text, response_signed).map_err(uniform)?;
        let Some(inner) = inner else {
            return refuse(Check::Signature, "neither the response nor the encrypted assertion is signed");
        };
        self.read(&inner, envelope)
    }

    /// The assertion inside of what was encrypted: the text that its own signature covers, or all of it if the response is
    /// signed and it is not.
    fn opened(&self, text: &str, response_signed: bool) -> Result<Option<String>, SsoError> {
        let document = tree::parse(text, MESSAGE)?;
        let assertion = decrypt::content(&document)?;
        shape::assertion(assertion)?;
        match assertion.optional(DSIG, "Signature")? {
            Some(signature) => signed_text(&document, text, signature, self.trust).map(Some),
            None if response_signed => {
                // No signature hides deeper, either.
                signed_nothing(&document)?;
                assertion.canonical(None, &[]).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Reads an assertion from the canonical text that is signed.
    fn read(&self, text: &str, envelope: &Envelope) -> Result<Verified, SsoError> {
        let document = tree::parse(text, MESSAGE)?;
        let assertion = Node::root(&document)?;
        if !assertion.is(ASSERTION, "Assertion") {
            return refuse(Check::Signature, "what is signed is no assertion");
        }
        shape::assertion(assertion)?;
        let (expected, now) = (self.expected, self.now);
        let issued_at = envelope::issued(assertion, "assertion", expected, now)?;
        let issuer = envelope::issuer(assertion)?;
        expected.idp.require_issuer("assertion", &issuer)?;
        let conditions = conditions::check(assertion.one(ASSERTION, "Conditions")?, expected, now)?;
        let subject = subject::check(assertion.one(ASSERTION, "Subject")?, envelope, expected, now)?;
        let skew = expected.options.skew();
        let ends: Timestamp = conditions.map_or(subject.expires_at, |at| at.min(subject.expires_at));
        let old = issued_at.after(envelope::MAX_AGE);
        Ok(Verified {
            identity: statements::identity(assertion, issuer, subject.name_id, expected, now)?,
            assertion_id: assertion.required("ID")?.to_owned(),
            expires_at: ends.min(old).after(skew),
            in_response_to: envelope.in_response_to.clone(),
        })
    }
}

fn signed_nothing(document: &Document<'_>) -> Result<(), SsoError> {
    if Node::root(document)?.descendants().any(|node| node.name() == "Signature") {
        return refuse(Check::Signature, "there is a signature where none belongs");
    }
    Ok(())
}
