//! Signing what we send.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::PrivateKey;
use super::names::{DSIG, ENVELOPED, EXC_C14N, RSA_SHA256, SHA256 as SHA256_URI};
use super::tree::{self, Node};
use super::words::{escape, refuse};
use crate::sso::{Check, SsoError};

/// RSA with PKCS #1 v1.5 and SHA-256, which every identity provider takes.
pub(super) fn rsa_sha256(pair: &KeyPair, octets: &[u8]) -> Result<Vec<u8>, SsoError> {
    let encoding: &'static dyn RsaEncoding = &RSA_PKCS1_SHA256;
    let mut signature = vec![0; pair.public_modulus_len()];
    match pair.sign(encoding, &SystemRandom::new(), octets, &mut signature) {
        Ok(()) => Ok(signature),
        Err(_) => refuse(Check::Configuration, "our key cannot sign"),
    }
}

/// Signs the outermost element of a document of ours: the signature stands behind `Issuer`, its first element.
pub(super) fn enveloped(xml: &str, key: &PrivateKey) -> Result<String, SsoError> {
    let document = tree::parse(xml, tree::METADATA)?;
    let root = Node::root(&document)?;
    let issuer_end = root
        .children()
        .next()
        .and_then(|issuer| document.node_range(issuer.id))
        .ok_or_else(|| SsoError::new(Check::Configuration, "what is to be signed has no issuer"))?
        .end;
    let value = STANDARD.encode(digest(&SHA256, root.canonical(None, &[])?.as_bytes()));
    let id = escape(root.required("ID")?);
    // Written as its canonical form, which is what is signed.
    let info = format!(
        "<ds:SignedInfo xmlns:ds=\"{DSIG}\"><ds:CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod><ds:Reference URI=\"#{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform><ds:Transform Algorithm=\"{EXC_C14N}\"></ds:Transform>\
         </ds:Transforms><ds:DigestMethod Algorithm=\"{SHA256_URI}\"></ds:DigestMethod><ds:DigestValue>{value}\
         </ds:DigestValue></ds:Reference></ds:SignedInfo>"
    );
    let signature = STANDARD.encode(rsa_sha256(&key.pair()?, info.as_bytes())?);
    let (before, after) = xml.split_at(issuer_end);
    Ok(format!(
        "{before}<ds:Signature xmlns:ds=\"{DSIG}\">{info}<ds:SignatureValue>{signature}</ds:SignatureValue><ds:KeyInfo>\
         <ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>{after}",
        key.certificate().base64()
    ))
}
