//! Keys of the test provider, and tokens of any kind signed with them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

enum Pair {
    Rsa(rsa::KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key of the provider.
pub struct OpKey {
    pub kid: String,
    pair: Pair,
}

impl OpKey {
    pub fn rsa(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Rsa(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap()) }
    }

    pub fn p256(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
        }
    }

    pub fn p384(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Pair::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
        }
    }

    pub fn ed25519(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: Pair::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The public key as it stands in the key document.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = encoded(public.modulus().big_endian_without_leading_zero());
                let e = encoded(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": n, "e": e})
            }
            Pair::P256(pair) => point("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => point("P-384", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key())}),
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key as PEM, which the attack with HMAC uses as the shared secret.
    pub fn pem(&self) -> String {
        let Pair::Rsa(pair) = &self.pair else { panic!("an RSA key") };
        let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key());
        let body = base64::engine::general_purpose::STANDARD.encode(der.unwrap().as_ref());
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let by_rsa = |pair: &rsa::KeyPair| {
            let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match alg {
                "RS384" => &RSA_PKCS1_SHA384,
                "RS512" => &RSA_PKCS1_SHA512,
                "PS256" => &RSA_PSS_SHA256,
                "PS384" => &RSA_PSS_SHA384,
                "PS512" => &RSA_PSS_SHA512,
                _ => &RSA_PKCS1_SHA256,
            };
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &random, message, &mut signature).unwrap();
            signature
        };
        match &self.pair {
            Pair::Rsa(pair) => by_rsa(pair),
            Pair::P256(pair) | Pair::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn point(curve: &str, public: &[u8]) -> Value {
    let (x, y) = public[1..].split_at((public.len() - 1) / 2);
    json!({"kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y)})
}

/// A token before it is signed, to be changed in any way.
pub struct Draft {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    /// Signs instead of the provider's key: by HMAC with these bytes.
    pub hmac: Option<Vec<u8>>,
    /// Signs instead of the provider's current key.
    pub key: Option<std::sync::Arc<OpKey>>,
    /// Changes the finished token.
    pub finish: Option<fn(&str) -> String>,
    /// Takes the place of the claims as they are written.
    pub claims_text: Option<String>,
}

impl Draft {
    pub fn new(claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Self { header: Map::new(), claims, hmac: None, key: None, finish: None, claims_text: None }
    }

    /// Sets a claim.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.claims.insert(name.to_owned(), value.into());
    }

    /// Takes a claim away.
    pub fn unset(&mut self, name: &str) {
        self.claims.remove(name);
    }

    /// Sets a member of the header.
    pub fn head(&mut self, name: &str, value: impl Into<Value>) {
        self.header.insert(name.to_owned(), value.into());
    }

    /// The token, signed by `current` unless another signer was set.
    pub fn sign(self, current: &OpKey) -> String {
        let key = self.key.as_deref().unwrap_or(current);
        let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": key.kid});
        for (name, value) in self.header {
            header[name] = value;
        }
        // A member that is null is left out.
        let header: Map<String, Value> =
            header.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        let alg = header.get("alg").and_then(Value::as_str).unwrap_or_default().to_owned();
        let claims = self.claims_text.unwrap_or_else(|| Value::Object(self.claims).to_string());
        let signed = format!("{}.{}", encoded(Value::Object(header).to_string()), encoded(claims));
        let signature = match (&self.hmac, alg.as_str()) {
            (Some(secret), _) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            (None, "none") => Vec::new(),
            (None, alg) => key.sign(alg, signed.as_bytes()),
        };
        let token = format!("{signed}.{}", encoded(signature));
        match self.finish {
            Some(finish) => finish(&token),
            None => token,
        }
    }
}
