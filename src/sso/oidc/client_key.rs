//! Our key for `private_key_jwt` (RFC 7523, OpenID Connect Core 1.0 §9).

use std::fmt;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::words::refuse;
use crate::base::{Ambient, Timestamp};
use crate::sso::{Check, SsoError};

/// How long an assertion is good: it is used at once.
const LIFETIME: Duration = Duration::from_mins(2);

/// An RSA key of 2048 bits that signs with RS256, which every provider with `private_key_jwt` takes.
///
/// The provider gets the public part as a JWKS document ([`ClientKey::jwks`]). To rotate, publish the documents of the old
/// and the new key together, and sign with the new one once the provider has fetched it.
#[derive(Clone)]
pub struct ClientKey {
    pair: KeyPair,
    sealed_form: SecretString,
    id: String,
}

impl ClientKey {
    /// Makes a key. It takes up to a second of computing: call it where blocking is allowed.
    ///
    /// # Errors
    /// When the cryptography library fails.
    pub fn generate() -> Result<Self, SsoError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| broken("no key could be made"))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| broken("the new key cannot be written"))?;
        let sealed_form = SecretString::from(URL_SAFE_NO_PAD.encode(der.as_ref()));
        Self::assemble(pair, sealed_form)
    }

    /// The private key as text (PKCS #8 in base64url), to be sealed by the caller.
    #[must_use]
    pub const fn private(&self) -> &SecretString {
        &self.sealed_form
    }

    /// A key from what [`ClientKey::private`] gave.
    ///
    /// # Errors
    /// When it is not such a text.
    pub fn from_private(text: SecretString) -> Result<Self, SsoError> {
        let der = URL_SAFE_NO_PAD.decode(text.expose_secret()).map_err(|_| broken("the stored key is damaged"))?;
        let pair = KeyPair::from_pkcs8(&der).map_err(|_| broken("the stored key is damaged"))?;
        Self::assemble(pair, text)
    }

    fn assemble(pair: KeyPair, sealed_form: SecretString) -> Result<Self, SsoError> {
        let (n, e) = components(&pair);
        // The thumbprint of RFC 7638 §3: the same key has the same id in every copy.
        let members = json!({"e": e, "kty": "RSA", "n": n});
        let canonical = serde_json::to_string(&members).map_err(|_| broken("the key cannot be written"))?;
        Ok(Self { pair, sealed_form, id: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)) })
    }

    /// The key id (`kid`), made from the public key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a member of `keys` of a JWKS document (RFC 7517).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let (n, e) = components(&self.pair);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "n": n, "e": e})
    }

    /// The document that the provider fetches or gets: the public parts of these keys.
    #[must_use]
    pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a Self>) -> Value {
        let keys: Vec<Value> = keys.into_iter().map(Self::public_jwk).collect();
        json!({ "keys": keys })
    }

    /// The assertion that authenticates `client_id` at `audience`, the token endpoint (RFC 7523 §3).
    pub(super) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        ambient: &Ambient,
        now: Timestamp,
    ) -> Result<SecretString, SsoError> {
        let seconds = now.millis() / 1_000;
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": URL_SAFE_NO_PAD.encode(ambient.bytes::<16>()),
            "iat": seconds,
            "exp": seconds + i64::try_from(LIFETIME.as_secs()).unwrap_or(0),
        });
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.id});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| broken("signing with the stored key failed"))?;
        Ok(SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

fn components(pair: &KeyPair) -> (String, String) {
    let public = pair.public_key();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    (
        encode(public.modulus().big_endian_without_leading_zero()),
        encode(public.exponent().big_endian_without_leading_zero()),
    )
}

fn broken(text: &str) -> SsoError {
    refuse(Check::Configuration, text)
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("id", &self.id).finish_non_exhaustive()
    }
}
