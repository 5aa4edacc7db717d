//! The shape of a response, before any cryptography: what may stand where, and how often.

use crate::sso::saml::names::{ASSERTION, DSIG, PROTOCOL};
use crate::sso::saml::tree::Node;
use crate::sso::saml::words::{refuse, shown};
use crate::sso::{Check, SsoError};

/// Where the assertion is.
#[derive(Clone, Copy)]
pub(super) enum Payload<'d, 't> {
    Plain(Node<'d, 't>),
    Encrypted(Node<'d, 't>),
}

/// A response of the right shape.
pub(super) struct Shape<'d, 't> {
    pub(super) root: Node<'d, 't>,
    pub(super) signature: Option<Node<'d, 't>>,
    pub(super) payload: Payload<'d, 't>,
}

/// Refuses every shape but the usual one: one assertion, as a child of the response, and signatures only where they sign.
pub(super) fn response<'d, 't>(root: Node<'d, 't>) -> Result<Shape<'d, 't>, SsoError> {
    if !root.is(PROTOCOL, "Response") {
        return refuse(Check::Malformed, format!("the message is {}, expected a Response", shown(root.name())));
    }
    require_version(root)?;
    root.holds_elements_only()?;
    let status = root.one(PROTOCOL, "Status")?;
    let known = [(ASSERTION, "Issuer"), (DSIG, "Signature"), (PROTOCOL, "Status")];
    let mut payload = None;
    for child in root.children() {
        let found = if child.is(ASSERTION, "Assertion") {
            Payload::Plain(child)
        } else if child.is(ASSERTION, "EncryptedAssertion") {
            Payload::Encrypted(child)
        } else if known.iter().any(|(namespace, name)| child.is(namespace, name)) {
            continue;
        } else {
            return refuse(Check::Malformed, format!("the response holds {}", shown(child.name())));
        };
        if payload.replace(found).is_some() {
            return refuse(Check::Malformed, "the response has several assertions");
        }
    }
    require_alone(root, payload)?;
    let signature = root.optional(DSIG, "Signature")?;
    root.optional(ASSERTION, "Issuer")?;
    let Some(payload) = payload else {
        // A refusal at the identity provider has none, and says why.
        super::envelope::status(status)?;
        return refuse(Check::Malformed, "the response has no assertion");
    };
    if let Payload::Plain(plain) = payload {
        assertion(plain)?;
    }
    Ok(Shape { root, signature, payload })
}

/// There is no other assertion, signature or response anywhere, whatever its namespace.
fn require_alone(root: Node<'_, '_>, payload: Option<Payload<'_, '_>>) -> Result<(), SsoError> {
    let assertion = match payload {
        Some(Payload::Plain(node) | Payload::Encrypted(node)) => Some(node.id),
        None => None,
    };
    for node in root.descendants() {
        let belongs = match node.name() {
            "Assertion" | "EncryptedAssertion" => Some(node.id) == assertion,
            "Response" => node.id == root.id,
            "Signature" => node.parent().is_some_and(|parent| parent.id == root.id || Some(parent.id) == assertion),
            _ => true,
        };
        if !belongs {
            return refuse(Check::Malformed, format!("there is {} where none belongs", shown(node.name())));
        }
    }
    Ok(())
}

/// The shape of an assertion.
pub(super) fn assertion(node: Node<'_, '_>) -> Result<(), SsoError> {
    require_version(node)?;
    node.holds_elements_only()?;
    let known = [
        (ASSERTION, "Issuer"),
        (DSIG, "Signature"),
        (ASSERTION, "Subject"),
        (ASSERTION, "Conditions"),
        (ASSERTION, "AuthnStatement"),
        (ASSERTION, "AttributeStatement"),
    ];
    for child in node.children() {
        if !known.iter().any(|(namespace, name)| child.is(namespace, name)) {
            return refuse(Check::Malformed, format!("the assertion holds {}", shown(child.name())));
        }
    }
    let misplaced = |below: Node<'_, '_>| match below.name() {
        "Signature" => below.parent().is_none_or(|parent| parent.id != node.id),
        "Assertion" | "EncryptedAssertion" | "Response" => below.id != node.id,
        _ => false,
    };
    if let Some(below) = node.descendants().find(|below| misplaced(*below)) {
        return refuse(Check::Malformed, format!("there is {} where none belongs", shown(below.name())));
    }
    if node.required("ID")?.is_empty() {
        return refuse(Check::Malformed, "the assertion has an empty id");
    }
    node.optional(DSIG, "Signature")?;
    Ok(())
}

fn require_version(node: Node<'_, '_>) -> Result<(), SsoError> {
    match node.attribute("Version") {
        Some("2.0") => Ok(()),
        other => refuse(Check::Malformed, format!("the version of {} is {other:?}, expected 2.0", node.name())),
    }
}
