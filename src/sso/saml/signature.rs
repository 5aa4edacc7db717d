//! Checking XML signatures (XML Signature 1.1, SAML Core §5.4), and what they cover.
//!
//! The form of a signature is checked before any cryptography: it stands directly in what it signs, has one reference, which
//! is to that element, and the two transforms of SAML. Then bergshamra checks digest and signature, and the digest is made
//! a second time over the canonical text that is handed out: only that text is read from then on.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::dsig::verify::verify_all_document_with_source;
use bergshamra::{DsigContext, KeysManager, VerifyResult};
use uppsala::Document;

use super::certificate::Certificate;
use super::names::{self, DSIG, EXC_C14N};
use super::tree::Node;
use super::words::{refuse, shown};
use crate::sso::{Check, SsoError};

/// Prefixes that canonicalization is told to keep: each is looked up at each element.
const MAX_PREFIXES: usize = 16;

/// Who may have signed, and how.
pub(super) struct Trust {
    keys: Vec<bergshamra::Key>,
    sha1: bool,
}

impl Trust {
    /// The keys of those certificates; what a message says about keys never counts.
    pub(super) fn of(certificates: &[Certificate], sha1: bool) -> Result<Self, SsoError> {
        if certificates.is_empty() {
            return refuse(Check::Configuration, "the connection has no certificate of the identity provider");
        }
        let failed = |error| SsoError::new(Check::Configuration, format!("cryptography cannot start: {error}"));
        bergshamra::initialize_backend().map_err(failed)?;
        let keys = certificates.iter().map(Certificate::key).collect::<Result<_, _>>()?;
        Ok(Self { keys, sha1 })
    }

    fn context(&self) -> DsigContext {
        let mut manager = KeysManager::new();
        manager.add_keys(self.keys.iter().cloned());
        DsigContext::new(manager)
    }

    /// Refuses algorithms that are not on the list.
    pub(super) fn require_method(&self, method: &str) -> Result<(), SsoError> {
        let strong = [
            names::RSA_SHA256,
            names::RSA_SHA384,
            names::RSA_SHA512,
            names::PSS_SHA256,
            names::PSS_SHA384,
            names::PSS_SHA512,
            names::ECDSA_SHA256,
            names::ECDSA_SHA384,
            names::ECDSA_SHA512,
        ];
        if strong.contains(&method) || (self.sha1 && method == names::RSA_SHA1) {
            return Ok(());
        }
        refuse(Check::Algorithm, format!("the signature algorithm {} is not allowed", shown(method)))
    }

    fn digest(&self, method: &str) -> Result<&'static digest::Algorithm, SsoError> {
        match method {
            names::SHA256 => Ok(&digest::SHA256),
            names::SHA384 => Ok(&digest::SHA384),
            names::SHA512 => Ok(&digest::SHA512),
            names::SHA1 if self.sha1 => Ok(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            other => refuse(Check::Algorithm, format!("the digest algorithm {} is not allowed", shown(other))),
        }
    }

    /// Checks a signature over plain octets with each key.
    pub(super) fn verify_octets(&self, method: &str, octets: &[u8], signature: &[u8]) -> Result<(), SsoError> {
        self.require_method(method)?;
        let unusable = |error| SsoError::new(Check::Algorithm, format!("the signature cannot be checked: {error}"));
        let algorithm = bergshamra::crypto::sign::from_uri(method).map_err(unusable)?;
        for key in &self.keys {
            // A key of another kind than the algorithm's is an error here, and only means that another key signed.
            let Ok(Some(key)) = key.to_signing_key() else { continue };
            if matches!(algorithm.verify(&key, octets, signature), Ok(true)) {
                return Ok(());
            }
        }
        refuse(Check::Signature, "the signature is not by a key of the identity provider, or what it signs was changed")
    }
}

/// What the form of a signature says.
struct Form<'d, 't> {
    signature: Node<'d, 't>,
    signed: Node<'d, 't>,
    digest: &'static digest::Algorithm,
    value: Vec<u8>,
    prefixes: Vec<String>,
}

/// Checks the one signature of a document, and gives the canonical text that it covers.
///
/// # Errors
/// [`Check::Signature`], [`Check::Algorithm`], [`Check::Malformed`].
pub(super) fn signed_text(
    document: &Document<'_>,
    text: &str,
    signature: Node<'_, '_>,
    trust: &Trust,
) -> Result<String, SsoError> {
    let mut texts = signed_texts(document, text, &[signature], trust)?;
    texts.pop().ok_or_else(|| SsoError::new(Check::Signature, "there is no signature"))
}

/// Checks all signatures of a document, which are these and no others, and gives the canonical text that each covers.
///
/// # Errors
/// As [`signed_text`].
pub(super) fn signed_texts(
    document: &Document<'_>,
    text: &str,
    signatures: &[Node<'_, '_>],
    trust: &Trust,
) -> Result<Vec<String>, SsoError> {
    let all = Node::root(document)?.descendants().filter(|node| node.name() == "Signature").count();
    if all != signatures.len() {
        return refuse(Check::Signature, "there is a signature where none belongs");
    }
    if signatures.is_empty() {
        return Ok(Vec::new());
    }
    let forms = signatures.iter().map(|signature| form(*signature, trust)).collect::<Result<Vec<_>, _>>()?;
    let results = verify_all_document_with_source(&trust.context(), document, Some(text)).map_err(invalid)?;
    if results.len() != forms.len() {
        return refuse(Check::Signature, "there is a signature where none belongs");
    }
    forms.iter().map(|form| covered(form, &results)).collect()
}

fn invalid(error: impl std::fmt::Display) -> SsoError {
    SsoError::new(Check::Signature, format!("the signature is not valid: {error}"))
}

/// The text that a signature covers, if bergshamra found it valid for that element.
fn covered(form: &Form<'_, '_>, results: &[VerifyResult]) -> Result<String, SsoError> {
    let mut why = "it was not checked";
    let valid = results.iter().any(|result| match result {
        VerifyResult::Valid { signature_node, references, .. } if *signature_node == form.signature.id => {
            matches!(&references[..], [one] if one.digest_verified && one.resolved_node == Some(form.signed.id))
        }
        VerifyResult::Valid { .. } => false,
        VerifyResult::Invalid { reason } => {
            why = reason;
            false
        }
    });
    if !valid {
        return Err(invalid(format!("{why} ({})", form.signed.name())));
    }
    let text = form.signed.canonical(Some(form.signature), &form.prefixes)?;
    if digest::digest(form.digest, text.as_bytes()).as_ref() != form.value {
        return Err(invalid("the digest is that of another text"));
    }
    Ok(text)
}

/// The form that SAML prescribes (SAML Core §5.4), and nothing else.
fn form<'d, 't>(signature: Node<'d, 't>, trust: &Trust) -> Result<Form<'d, 't>, SsoError> {
    let Some(signed) = signature.parent() else {
        return refuse(Check::Signature, "the signature signs nothing");
    };
    let [info, value, key_info @ ..] = &children(signature)?[..] else {
        return refuse(Check::Signature, "the signature is incomplete");
    };
    let complete = info.is(DSIG, "SignedInfo") && value.is(DSIG, "SignatureValue") && key_info.len() <= 1;
    if !complete || key_info.iter().any(|node| !node.is(DSIG, "KeyInfo")) {
        return refuse(Check::Signature, "the signature has other parts than its value and its key");
    }
    value.packed()?;
    let [canonicalization, method, reference] = children(*info)?[..] else {
        return refuse(Check::Signature, "the signature has not exactly one reference");
    };
    let named = canonicalization.is(DSIG, "CanonicalizationMethod") && method.is(DSIG, "SignatureMethod");
    if !named || !reference.is(DSIG, "Reference") {
        return refuse(Check::Signature, "the signature has other parts than its methods and one reference");
    }
    require_exclusive(canonicalization)?;
    if !children(method)?.is_empty() {
        return refuse(Check::Algorithm, "the signature algorithm has parameters");
    }
    trust.require_method(method.required("Algorithm")?)?;
    let id = signed.required("ID")?;
    let uri = reference.attribute("URI").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if id.is_empty() || !id.chars().all(plain) || uri.strip_prefix('#') != Some(id) {
        let text = format!("the signature refers to {}, and stands in {}", shown(uri), shown(id));
        return refuse(Check::Signature, text);
    }
    let [transforms, digest_method, digest_value] = children(reference)?[..] else {
        return refuse(Check::Signature, "the reference is incomplete");
    };
    let named = transforms.is(DSIG, "Transforms") && digest_method.is(DSIG, "DigestMethod");
    if !named || !digest_value.is(DSIG, "DigestValue") || !children(digest_method)?.is_empty() {
        return refuse(Check::Signature, "the reference has other parts than transforms and a digest");
    }
    let value = STANDARD.decode(digest_value.packed()?).map_err(|_| invalid("the digest is not base64"))?;
    Ok(Form {
        signature,
        signed,
        digest: trust.digest(digest_method.required("Algorithm")?)?,
        value,
        prefixes: prefixes(transforms)?,
    })
}

fn children<'d, 't>(node: Node<'d, 't>) -> Result<Vec<Node<'d, 't>>, SsoError> {
    node.holds_elements_only()?;
    Ok(node.children().collect())
}

/// The two transforms of SAML, and the prefixes that the second keeps: Okta signs with `PrefixList="xs"`
/// (`fixtures/saml/okta-response.xml`).
fn prefixes(transforms: Node<'_, '_>) -> Result<Vec<String>, SsoError> {
    match children(transforms)?[..] {
        [enveloped, exclusive]
            if enveloped.is(DSIG, "Transform")
                && exclusive.is(DSIG, "Transform")
                && enveloped.attribute("Algorithm") == Some(names::ENVELOPED)
                && children(enveloped)?.is_empty() =>
        {
            require_exclusive(exclusive)
        }
        _ => refuse(Check::Signature, "the transforms are not enveloped signature and exclusive canonicalization"),
    }
}

/// Exclusive canonicalization without comments; gives its `PrefixList`.
fn require_exclusive(method: Node<'_, '_>) -> Result<Vec<String>, SsoError> {
    let algorithm = method.required("Algorithm")?;
    if algorithm != EXC_C14N {
        return refuse(Check::Algorithm, format!("the canonicalization {} is not allowed", shown(algorithm)));
    }
    match children(method)?[..] {
        [] => Ok(Vec::new()),
        [list] if list.is(EXC_C14N, "InclusiveNamespaces") && children(list)?.is_empty() => {
            let prefixes = list.attribute("PrefixList").unwrap_or_default().split_whitespace();
            let prefixes: Vec<String> = prefixes.take(MAX_PREFIXES + 1).map(str::to_owned).collect();
            if prefixes.len() > MAX_PREFIXES {
                return refuse(Check::Limit, format!("the canonicalization keeps more than {MAX_PREFIXES} prefixes"));
            }
            Ok(prefixes)
        }
        _ => refuse(Check::Signature, "the canonicalization has unknown parameters"),
    }
}
