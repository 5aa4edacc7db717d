//! Encrypted assertions (XML Encryption 1.1, SAML Core §2.3.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::core::algorithm;
use bergshamra::crypto::{cipher, keytransport};
use uppsala::Document;
use zeroize::Zeroizing;

use super::Expected;
use crate::sso::saml::names::{ASSERTION, DSIG, XENC, XENC11};
use crate::sso::saml::tree::Node;
use crate::sso::saml::words::{escape, refuse, shown};
use crate::sso::{Check, SsoError};

/// Recipients that a message may name; each costs an RSA operation for each of our keys.
const MOST_KEYS: usize = 4;

/// The one answer to whatever goes wrong in a message that nobody signed, so that answers tell nothing of the text inside.
pub(super) fn failed() -> SsoError {
    SsoError::new(Check::Encryption, "the assertion cannot be decrypted, or is not signed inside")
}

/// Decrypts; gives a document that holds the text where it stood, for the namespaces.
pub(super) fn assertion(
    encrypted: Node<'_, '_>,
    response_signed: bool,
    expected: &Expected<'_>,
) -> Result<String, SsoError> {
    encrypted.holds_elements_only()?;
    let data = encrypted.one(XENC, "EncryptedData")?;
    let method = data.one(XENC, "EncryptionMethod")?.required("Algorithm")?;
    match method {
        algorithm::AES128_GCM | algorithm::AES192_GCM | algorithm::AES256_GCM => {}
        algorithm::AES128_CBC | algorithm::AES192_CBC | algorithm::AES256_CBC => {
            if !response_signed && !expected.options.allow_cbc {
                let text = "AES-CBC is taken only in a signed response, unless the connection allows it";
                return refuse(Check::Encryption, text);
            }
        }
        other => return refuse(Check::Algorithm, format!("the encryption {} is not allowed", shown(other))),
    }
    let keys = encrypted_keys(encrypted, data)?;
    let cipher = cipher::from_uri(method).map_err(|_| failed())?;
    let text = cipher_value(data)?;
    for (transport, wrapped) in &keys {
        for own in expected.keys.all() {
            let Ok(key) = transport.decrypt(&own.encryption.opener()?, wrapped).map(Zeroizing::new) else { continue };
            let Ok(plain) = cipher.decrypt(&key, &text) else { continue };
            return String::from_utf8(plain).map(|plain| in_place(encrypted, &plain)).map_err(|_| failed());
        }
    }
    Err(failed())
}

/// The assertion in a document that [`assertion()`] made: it stands there alone.
pub(super) fn content<'d, 't>(document: &'d Document<'t>) -> Result<Node<'d, 't>, SsoError> {
    let root = Node::root(document)?;
    root.holds_elements_only()?;
    let mut children = root.children();
    match (children.next(), children.next()) {
        (Some(assertion), None) if assertion.is(ASSERTION, "Assertion") => Ok(assertion),
        _ => refuse(Check::Malformed, "what is encrypted is not one assertion"),
    }
}

/// The text with the namespaces of the place where it stood: some encrypt what they wrote without repeating them.
fn in_place(encrypted: Node<'_, '_>, plain: &str) -> String {
    let mut opening = "<decrypted".to_owned();
    for (prefix, uri) in encrypted.namespaces() {
        let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        opening = format!("{opening} {name}=\"{}\"", escape(uri));
    }
    format!("{opening}>{plain}</decrypted>")
}

type Transported = (Box<dyn keytransport::KeyTransportAlgorithm>, Vec<u8>);

/// The keys: inside of what they open (Okta, Entra ID, ADFS), or beside it (Shibboleth).
fn encrypted_keys(encrypted: Node<'_, '_>, data: Node<'_, '_>) -> Result<Vec<Transported>, SsoError> {
    let inside = data.optional(DSIG, "KeyInfo")?.into_iter().flat_map(|info| info.all(XENC, "EncryptedKey"));
    let found: Vec<_> = inside.chain(encrypted.all(XENC, "EncryptedKey")).collect();
    if found.is_empty() || found.len() > MOST_KEYS {
        return refuse(Check::Encryption, format!("there are {} encrypted keys, expected 1", found.len()));
    }
    found.into_iter().map(|key| Ok((transport(key)?, cipher_value(key)?))).collect()
}

/// RSA-OAEP with what parameters it says; PKCS #1 v1.5 lets its padding be guessed and is not taken.
fn transport(key: Node<'_, '_>) -> Result<Box<dyn keytransport::KeyTransportAlgorithm>, SsoError> {
    let method = key.one(XENC, "EncryptionMethod")?;
    let uri = method.required("Algorithm")?;
    if !matches!(uri, algorithm::RSA_OAEP | algorithm::RSA_OAEP_ENC11) {
        return refuse(Check::Algorithm, format!("the encryption of the key {} is not allowed", shown(uri)));
    }
    let named = |node: Option<Node<'_, '_>>| node.map(|node| node.required("Algorithm").map(str::to_owned)).transpose();
    let label = method.optional(XENC, "OAEPparams")?.map(|label| decoded(label)).transpose()?;
    let parameters = keytransport::OaepParams {
        digest_uri: named(method.optional(DSIG, "DigestMethod")?)?,
        mgf_uri: named(method.optional(XENC11, "MGF")?)?,
        oaep_params: label,
    };
    let unknown = |error| SsoError::new(Check::Algorithm, format!("the encryption of the key is not known: {error}"));
    keytransport::from_uri_with_params(uri, parameters).map_err(unknown)
}

/// The octets; only those that stand in the message, never somewhere else.
fn cipher_value(node: Node<'_, '_>) -> Result<Vec<u8>, SsoError> {
    decoded(node.one(XENC, "CipherData")?.one(XENC, "CipherValue")?)
}

fn decoded(node: Node<'_, '_>) -> Result<Vec<u8>, SsoError> {
    let text = node.packed()?;
    STANDARD.decode(text).map_err(|_| SsoError::new(Check::Malformed, format!("{} is not base64", node.name())))
}
