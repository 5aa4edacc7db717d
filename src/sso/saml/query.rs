//! Reading requests, and answers to logouts, by both bindings. A form holds a signature in its XML; a redirect has one over
//! the octets of its query (SAML Bindings §3.4.4.1).

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use percent_encoding::percent_decode_str;

use super::names::DSIG;
use super::signature::{Trust, signed_text};
use super::tree::{self, MESSAGE, Node};
use super::wire::{Direction, from_form, text};
use super::words::refuse;
use crate::sso::{Check, SsoError};

/// The longest query of a redirect.
const MAX_QUERY: usize = 64_000;

fn inflate(bytes: &[u8]) -> Result<String, SsoError> {
    let mut inflated = Vec::new();
    // One more than is read, so that a longer message is known to be longer.
    let limit = MESSAGE.bytes as u64 + 1;
    match DeflateDecoder::new(bytes).take(limit).read_to_end(&mut inflated) {
        Ok(_) => text(inflated),
        Err(_) => refuse(Check::Malformed, "the message is not compressed as a redirect asks for"),
    }
}

/// The parameters of a redirect, still as they came.
struct Query<'q> {
    direction: Direction,
    message: &'q str,
    relay_state: Option<&'q str>,
    algorithm: Option<&'q str>,
    signature: Option<&'q str>,
}

/// A message as the browser brought it.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'a> {
    /// The query of the URL, exactly as it came: not decoded.
    Query(&'a str),
    /// The fields of a form.
    Form {
        /// The value of `SAMLRequest` or `SAMLResponse`.
        message: &'a str,
        /// `RelayState`.
        relay_state: Option<&'a str>,
    },
}

/// The text of a message.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) xml: String,
    pub(super) relay_state: Option<String>,
}

/// Reads a message that must be signed. The text is the one that the signature covers.
pub(super) fn signed(incoming: &Incoming<'_>, wanted: Direction, trust: &Trust) -> Result<Received, SsoError> {
    let (message, relay_state) = match *incoming {
        Incoming::Query(query) => return from_signed_query(query, wanted, trust),
        Incoming::Form { message, relay_state } => (from_form(message)?, relay_state.map(str::to_owned)),
    };
    let document = tree::parse(&message, MESSAGE)?;
    let Some(signature) = Node::root(&document)?.optional(DSIG, "Signature")? else {
        return refuse(Check::Signature, "the message is not signed");
    };
    Ok(Received { xml: signed_text(&document, &message, signature, trust)?, relay_state })
}

/// Reads a message whose signature, if it has one, nobody can or need check.
pub(super) fn unsigned(incoming: &Incoming<'_>, wanted: Direction) -> Result<Received, SsoError> {
    match *incoming {
        Incoming::Query(query) => unpack(&split(query)?, wanted),
        Incoming::Form { message, relay_state } => {
            Ok(Received { xml: from_form(message)?, relay_state: relay_state.map(str::to_owned) })
        }
    }
}

/// Whether it carries a signature, good or bad.
pub(super) fn is_signed(incoming: &Incoming<'_>) -> Result<bool, SsoError> {
    match *incoming {
        Incoming::Query(query) => {
            let parts = split(query)?;
            Ok(parts.signature.is_some() || parts.algorithm.is_some())
        }
        Incoming::Form { message, .. } => {
            let text = from_form(message)?;
            let document = tree::parse(&text, MESSAGE)?;
            Ok(Node::root(&document)?.optional(DSIG, "Signature")?.is_some())
        }
    }
}

/// Reads a redirect, whose signature must be that of a trusted key over exactly the octets that came.
fn from_signed_query(query: &str, wanted: Direction, trust: &Trust) -> Result<Received, SsoError> {
    let parts = split(query)?;
    let (Some(algorithm), Some(signature)) = (parts.algorithm, parts.signature) else {
        return refuse(Check::Signature, "the message is not signed");
    };
    let mut signed = format!("{}={}", parts.direction.parameter(), parts.message);
    if let Some(state) = parts.relay_state {
        signed = format!("{signed}&RelayState={state}");
    }
    signed = format!("{signed}&SigAlg={algorithm}");
    let Ok(signature) = STANDARD.decode(packed(signature)?) else {
        return refuse(Check::Signature, "the signature is not base64");
    };
    trust.verify_octets(&decoded(algorithm)?, signed.as_bytes(), &signature)?;
    unpack(&parts, wanted)
}

fn unpack(parts: &Query<'_>, wanted: Direction) -> Result<Received, SsoError> {
    if parts.direction != wanted {
        return refuse(Check::Malformed, format!("there is no {}", wanted.parameter()));
    }
    let Ok(bytes) = STANDARD.decode(packed(parts.message)?) else {
        return refuse(Check::Malformed, "the message is not base64");
    };
    let relay_state = parts.relay_state.map(decoded).transpose()?;
    Ok(Received { xml: inflate(&bytes)?, relay_state })
}

/// Finds the parameters; each may be there once, in any order. Others are left alone.
fn split(query: &str) -> Result<Query<'_>, SsoError> {
    if query.len() > MAX_QUERY {
        return refuse(Check::Limit, format!("the query has {} characters, {MAX_QUERY} are read", query.len()));
    }
    let mut found: [Option<&str>; 5] = [None; 5];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match &*decoded(name)? {
            "SAMLRequest" => 0,
            "SAMLResponse" => 1,
            "RelayState" => 2,
            "SigAlg" => 3,
            "Signature" => 4,
            // Another packing would be signed differently (SAML Bindings §3.4.4.1).
            "SAMLEncoding" if &*decoded(value)? != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" => {
                return refuse(Check::Malformed, "the message is packed in an unknown way");
            }
            _ => continue,
        };
        // A name in another spelling would be another parameter to whoever signed.
        if found[place].replace(value).is_some() || name.contains('%') {
            return refuse(Check::Malformed, "a parameter is there twice, or its name is escaped");
        }
    }
    let [request, response, relay_state, algorithm, signature] = found;
    let (direction, message) = match (request, response) {
        (Some(message), None) => (Direction::Request, message),
        (None, Some(message)) => (Direction::Response, message),
        _ => return refuse(Check::Malformed, "there is not exactly one message"),
    };
    Ok(Query { direction, message, relay_state, algorithm, signature })
}

fn decoded(value: &str) -> Result<String, SsoError> {
    let spaced = value.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => refuse(Check::Malformed, "a parameter is not UTF-8"),
    }
}

/// Base64 out of a query; a plus that was not escaped is still a plus here.
fn packed(value: &str) -> Result<String, SsoError> {
    Ok(decoded(value)?.trim().replace(' ', "+").split(['\r', '\n']).collect())
}
