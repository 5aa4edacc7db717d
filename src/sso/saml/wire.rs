//! The two ways through the browser: the redirect and the POST binding (SAML Bindings §3.4, §3.5).

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::keys::PrivateKey;
use super::names::RSA_SHA256;
use super::sign::{enveloped, rsa_sha256};
use super::tree::MESSAGE;
use super::words::refuse;
use crate::sso::{Check, SsoError};

/// The longest form value, in base64.
const MAX_FORM: usize = 400_000;
/// What needs no escape in a query (RFC 3986 §2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Whether a message asks or answers: that is the name of its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `SAMLRequest`.
    Request,
    /// `SAMLResponse`.
    Response,
}

impl Direction {
    /// The name of the parameter.
    #[must_use]
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// A message on its way through the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Send the browser to this URL.
    Redirect(String),
    /// Let the browser send a form. The values are raw: the page escapes them.
    Post {
        /// Where to.
        action: String,
        /// Names and values of the fields.
        fields: Vec<(&'static str, String)>,
    },
}

/// Packs a message for a redirect, and signs the octets of the query.
pub(super) fn redirect(
    url: &str,
    direction: Direction,
    xml: &str,
    relay_state: Option<&str>,
    key: Option<&PrivateKey>,
) -> Result<Outgoing, SsoError> {
    let mut query = format!("{}={}", direction.parameter(), encoded(&STANDARD.encode(deflate(xml)?)));
    if let Some(state) = relay_state {
        query = format!("{query}&RelayState={}", encoded(state));
    }
    if let Some(key) = key {
        query = format!("{query}&SigAlg={}", encoded(RSA_SHA256));
        let signature = rsa_sha256(&key.pair()?, query.as_bytes())?;
        query = format!("{query}&Signature={}", encoded(&STANDARD.encode(signature)));
    }
    // An address may have parameters of its own (PingFederate's has), and a fragment would swallow the query.
    let url = url.split('#').next().unwrap_or_default();
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(Outgoing::Redirect(format!("{url}{separator}{query}")))
}

/// Packs a message for a form, signed inside.
pub(super) fn post(
    url: &str,
    direction: Direction,
    xml: &str,
    relay_state: Option<&str>,
    key: Option<&PrivateKey>,
) -> Result<Outgoing, SsoError> {
    let signed = key.map(|key| enveloped(xml, key)).transpose()?;
    let mut fields = vec![(direction.parameter(), STANDARD.encode(signed.as_deref().unwrap_or(xml)))];
    fields.extend(relay_state.map(|state| ("RelayState", state.to_owned())));
    Ok(Outgoing::Post { action: url.to_owned(), fields })
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

fn deflate(xml: &str) -> Result<Vec<u8>, SsoError> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(xml.as_bytes()).and_then(|()| encoder.finish());
    written.map_err(|error| SsoError::new(Check::Malformed, format!("the message cannot be compressed: {error}")))
}

/// Unpacks the value of a form field.
pub(super) fn from_form(value: &str) -> Result<String, SsoError> {
    if value.len() > MAX_FORM {
        return refuse(Check::Limit, format!("the message has {} characters, {MAX_FORM} are read", value.len()));
    }
    // Lines in base64 are usual (RFC 2045 §6.8).
    let packed: String = value.split([' ', '\t', '\r', '\n']).collect();
    match STANDARD.decode(packed) {
        Ok(bytes) => text(bytes),
        Err(_) => refuse(Check::Malformed, "the message is not base64"),
    }
}

pub(super) fn text(bytes: Vec<u8>) -> Result<String, SsoError> {
    if bytes.len() > MESSAGE.bytes {
        return refuse(Check::Limit, format!("the message has {} bytes, {} are read", bytes.len(), MESSAGE.bytes));
    }
    String::from_utf8(bytes).map_err(|_| SsoError::new(Check::Malformed, "the message is not UTF-8"))
}
