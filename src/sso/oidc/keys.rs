//! The keys of a provider (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::CoreJsonWebKey;
use openidconnect::{JsonWebKey as _, JsonWebKeyAlgorithm, SignatureVerificationError};
use serde_json::Value;

use super::json;
use super::jws::Unverified;
use super::settings::Algorithm;
use super::words::{refuse, shown};
use crate::sso::{Check, SsoError};

/// RSA keys below this many bits are left out.
const MIN_RSA_BITS: usize = 2_048;
/// The most keys of a document that are looked at.
const MAX_KEYS: usize = 100;

/// One key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// Entra ID says for which directories a key is: an issuer, or a template with `{tenantid}`.
    issuer: Option<String>,
    public: CoreJsonWebKey,
}

/// The keys of a provider that can check signatures. What cannot be read is left out: providers publish keys of kinds that
/// nobody here uses.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

/// Why a signature is not valid by a set of keys.
#[derive(Debug)]
pub(super) struct NoMatch {
    pub(super) error: SsoError,
    /// A newer set could have the key.
    pub(super) may_be_rotated: bool,
}

/// What a valid signature brings.
#[derive(Debug)]
pub(super) struct Signer {
    /// For which issuer the provider publishes the key, if it says so.
    pub(super) issuer: Option<String>,
}

impl KeySet {
    pub(super) fn read(document: &[u8]) -> Result<Self, SsoError> {
        let malformed = |text: String| refuse(Check::Malformed, format!("the provider's key document {text}"));
        let document = json::object(document).map_err(|error| malformed(format!("cannot be read: {error}")))?;
        let Some(Value::Array(keys)) = document.get("keys") else {
            return Err(malformed("has no list \"keys\"".to_owned()));
        };
        Ok(Self(keys.iter().take(MAX_KEYS).filter_map(Key::read).collect()))
    }

    /// Checks the signature of a token.
    pub(super) fn verify(&self, token: &Unverified<'_>) -> Result<Signer, NoMatch> {
        let (header, wanted) = (&token.header, token.header.algorithm);
        let of_id = |key: &&Key| header.key_id.is_none() || header.key_id == key.id;
        let usable: Vec<&Key> = self.0.iter().filter(of_id).filter(|key| key.fits(wanted)).collect();
        let id =
            header.key_id.as_deref().map_or_else(|| "no key id".to_owned(), |id| format!("the key id {}", shown(id)));
        let key = match usable[..] {
            [key] => key,
            [] => {
                let detail = format!(
                    "the token is signed by {} with {id}, and the provider publishes no such key for signing",
                    wanted.name()
                );
                return Err(NoMatch { error: refuse(Check::Signature, detail), may_be_rotated: true });
            }
            // OpenID Connect Core 1.0 §10.1: with several keys the header has to say which.
            _ => {
                let detail = format!("the token has {id}, and several keys of the provider are for {}", wanted.name());
                return Err(NoMatch { error: refuse(Check::Signature, detail), may_be_rotated: false });
            }
        };
        match key.public.verify_signature(&wanted.of_crate(), token.signed.as_bytes(), &token.signature) {
            Ok(()) => Ok(Signer { issuer: key.issuer.clone() }),
            Err(error) => {
                let why = match error {
                    SignatureVerificationError::CryptoError(_) => "is not valid".to_owned(),
                    other => format!("cannot be checked: {other}"),
                };
                let detail = format!("the signature by {} with {id} {why}", wanted.name());
                Err(NoMatch { error: refuse(Check::Signature, detail), may_be_rotated: true })
            }
        }
    }
}

impl Key {
    fn read(member: &Value) -> Option<Self> {
        let public: CoreJsonWebKey = serde_json::from_value(member.clone()).ok()?;
        let text = |name: &str| member.get(name).and_then(Value::as_str).map(str::to_owned);
        if member.get("kty").and_then(Value::as_str) == Some("RSA") {
            let modulus = URL_SAFE_NO_PAD.decode(member.get("n")?.as_str()?.trim_end_matches('=')).ok()?;
            let bits: usize = modulus
                .iter()
                .position(|byte| *byte != 0)
                .map_or(0, |zeros| (modulus.len() - zeros) * 8 - modulus[zeros].leading_zeros() as usize);
            if bits < MIN_RSA_BITS {
                return None;
            }
        }
        // A key whose operations are listed must be for checking (RFC 7517 §4.3).
        if let Some(Value::Array(operations)) = member.get("key_ops")
            && !operations.iter().any(|operation| operation == "verify")
        {
            return None;
        }
        Some(Self { id: text("kid"), issuer: text("issuer"), public })
    }

    /// Whether kind, use and algorithm of the key allow this algorithm: an RSA key never checks anything but RSA.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = serde_json::to_value(self.public.key_type()).ok();
        let right_kind = match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => "RSA",
            Algorithm::Es256 | Algorithm::Es384 => "EC",
            Algorithm::EdDsa => "OKP",
        };
        let for_signing = self.public.key_use().is_none_or(openidconnect::JsonWebKeyUse::allows_signature);
        let right_algorithm = match self.public.signing_alg() {
            JsonWebKeyAlgorithm::Unspecified => true,
            JsonWebKeyAlgorithm::Algorithm(named) => *named == algorithm.of_crate(),
            JsonWebKeyAlgorithm::Unsupported => false,
        };
        for_signing && right_algorithm && kind.is_some_and(|kind| kind == right_kind)
    }
}
