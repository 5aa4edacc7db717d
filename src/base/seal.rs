//! Encryption of secrets at rest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Ambient;

/// A sealed secret could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text is not something that was sealed.
    #[error("the stored secret is damaged")]
    Damaged,
    /// It was sealed with a key that is not here.
    #[error("the stored secret was sealed with key {0}, which is not configured (see ROLLCALL_SECRET_KEY)")]
    UnknownKey(String),
    /// It was sealed for another place, or changed since.
    #[error("the stored secret does not belong here or was changed")]
    Refused,
    /// The configured key is unusable.
    #[error("a secret key needs 32 bytes in hexadecimal (64 characters), for example from `openssl rand -hex 32`")]
    BadKey,
}

/// The keys that seal secrets at rest (XChaCha20-Poly1305): the first seals, all of them open.
///
/// Each secret is bound to its place (`table/column/row`), so that a sealed value copied to another row does not open there.
pub struct Keyring {
    keys: Vec<(String, Zeroizing<[u8; 32]>)>,
}

impl Keyring {
    /// From keys of 64 hexadecimal characters, separated by commas, the sealing key first.
    ///
    /// # Errors
    /// [`SealError::BadKey`] when one of them is not a key, or none is given.
    pub fn from_hex(keys: &str) -> Result<Self, SealError> {
        let keys = keys.split(',').map(|key| parse_key(key.trim())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// Seals a secret for one place.
    ///
    /// # Errors
    /// [`SealError::Damaged`] if the cipher refuses, which it does only beyond 256 GiB.
    pub fn seal(&self, ambient: &Ambient, place: &str, secret: &str) -> Result<String, SealError> {
        let (id, key) = self.keys.first().ok_or(SealError::BadKey)?;
        let nonce = ambient.bytes::<24>();
        let sealed = cipher(key)
            .encrypt(&XNonce::from(nonce), Payload { msg: secret.as_bytes(), aad: place.as_bytes() })
            .map_err(|_| SealError::Damaged)?;
        Ok(format!("v1.{id}.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what [`Keyring::seal`] sealed for the same place.
    ///
    /// # Errors
    /// Says whether the text is damaged, its key is missing, or it belongs elsewhere.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Zeroizing<String>, SealError> {
        let [version, id, nonce, body] = sealed.split('.').collect::<Vec<_>>()[..] else {
            return Err(SealError::Damaged);
        };
        if version != "v1" {
            return Err(SealError::Damaged);
        }
        let (_, key) = self.keys.iter().find(|(k, _)| k == id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let nonce: [u8; 24] =
            URL_SAFE_NO_PAD.decode(nonce).ok().and_then(|n| n.try_into().ok()).ok_or(SealError::Damaged)?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Damaged)?;
        let opened = cipher(key)
            .decrypt(&XNonce::from(nonce), Payload { msg: &body, aad: place.as_bytes() })
            .map_err(|_| SealError::Refused)?;
        String::from_utf8(opened).map(Zeroizing::new).map_err(|_| SealError::Damaged)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

fn cipher(key: &Zeroizing<[u8; 32]>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(**key))
}

fn parse_key(text: &str) -> Result<(String, Zeroizing<[u8; 32]>), SealError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(text, key.as_mut_slice()).map_err(|_| SealError::BadKey)?;
    let id = hex::encode(&Sha256::digest(key.as_slice())[..4]);
    Ok((id, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &str) -> Keyring {
        Keyring::from_hex(keys).unwrap()
    }

    #[test]
    fn s60_opens_only_in_its_place_with_its_key() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let ambient = Ambient::system();
        let sealed = ring(&old).seal(&ambient, "account/secret/1", "hush").unwrap();
        assert!(!sealed.contains("hush"));
        assert_eq!(ring(&old).open("account/secret/1", &sealed).unwrap().as_str(), "hush");
        assert_eq!(ring(&old).open("account/secret/2", &sealed).unwrap_err(), SealError::Refused);
        assert!(matches!(ring(&new).open("account/secret/1", &sealed), Err(SealError::UnknownKey(_))));
        // Rotation: the new key seals, the old one still opens.
        let both = ring(&format!("{new},{old}"));
        assert_eq!(both.open("account/secret/1", &sealed).unwrap().as_str(), "hush");
        assert!(ring(&old).open("x", &both.seal(&ambient, "x", "y").unwrap()).is_err());
    }

    #[test]
    fn damaged_text_is_refused() {
        let keys = ring(&"33".repeat(32));
        for text in ["", "v1", "v1.a.b.c", "v2.a.b.c", "v1.a.b.c.d"] {
            assert!(keys.open("x", text).is_err(), "{text}");
        }
        assert_eq!(Keyring::from_hex("short").unwrap_err(), SealError::BadKey);
    }
}
