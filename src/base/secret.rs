//! Bearer secrets: made here, shown once, kept only as a hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::Ambient;

/// A freshly made bearer secret of 256 bits with a prefix that tells what it opens (`rcs_…`).
#[derive(Debug)]
pub struct SecretToken(SecretString);

impl SecretToken {
    /// Makes a secret.
    #[must_use]
    pub fn generate(ambient: &Ambient, prefix: &str) -> Self {
        let body = URL_SAFE_NO_PAD.encode(ambient.bytes::<32>());
        Self(SecretString::from(format!("{prefix}{body}")))
    }

    /// The secret itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> String {
        token_hash(self.expose())
    }

    /// The first characters, by which people tell tokens apart.
    #[must_use]
    pub fn hint(&self) -> String {
        self.expose().chars().take(8).collect()
    }
}

/// The stored form of a bearer secret: SHA-256 in hexadecimal.
///
/// A plain hash is enough because the secret has 256 random bits; equal hashes are found through an
/// index on the hash, so no comparison depends on the secret's own characters.
#[must_use]
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s33_tokens_have_256_bits_and_never_show_in_debug() {
        let token = SecretToken::generate(&Ambient::system(), "rcs_");
        let body = token.expose().strip_prefix("rcs_").unwrap_or_default().to_owned();
        assert_eq!(URL_SAFE_NO_PAD.decode(&body).map(|b| b.len()), Ok(32));
        assert!(!format!("{token:?}").contains(&body));
        assert_eq!(token.hash(), token_hash(token.expose()));
        assert_ne!(token.hash(), SecretToken::generate(&Ambient::system(), "rcs_").hash());
    }
}
