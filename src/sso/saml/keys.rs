//! Our own keys: one pair signs what we send, the other opens what is encrypted for us.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::certificate::{Certificate, pem, self_signed};
use super::words::refuse;
use crate::base::{Ambient, Timestamp};
use crate::sso::{Check, SsoError};

/// A private key with its certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct PrivateKey {
    /// PKCS #8 (RFC 5958) as base64.
    secret: Zeroizing<String>,
    certificate: Certificate,
}

impl PrivateKey {
    fn generate(ambient: &Ambient, now: Timestamp) -> Result<Self, SsoError> {
        let failed = |_| SsoError::new(Check::Configuration, "no key can be made");
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let secret: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let certificate = self_signed(&pair, ambient, now)?;
        Ok(Self { secret: Zeroizing::new(STANDARD.encode(secret.as_ref())), certificate })
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// For signing.
    pub(super) fn pair(&self) -> Result<KeyPair, SsoError> {
        let secret = self.der()?;
        KeyPair::from_pkcs8(&secret).map_err(|_| SsoError::new(Check::Configuration, "our key cannot be read"))
    }

    /// For decryption.
    pub(super) fn opener(&self) -> Result<bergshamra::SoftwareKey, SsoError> {
        let unreadable = |_| SsoError::new(Check::Configuration, "our key cannot be read");
        let text = Zeroizing::new(pem("PRIVATE KEY", &self.der()?));
        let key = bergshamra::keys::loader::load_pem_auto(text.as_bytes(), None).map_err(unreadable)?;
        match key.software_key().map_err(unreadable)? {
            Some(key) => Ok(key),
            None => refuse(Check::Configuration, "our key cannot be read"),
        }
    }

    fn der(&self) -> Result<Zeroizing<Vec<u8>>, SsoError> {
        match STANDARD.decode(self.secret.as_bytes()) {
            Ok(der) => Ok(Zeroizing::new(der)),
            Err(_) => refuse(Check::Configuration, "our key is not base64"),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.certificate.fingerprint())
    }
}

/// One pair for signing, one for encryption.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceKey {
    /// When it was made.
    pub made_at: Timestamp,
    /// Signs requests, logouts, and assertions of the broker.
    pub signing: PrivateKey,
    /// Opens encrypted assertions.
    pub encryption: PrivateKey,
}

/// All our keys of a connection. One signs; all stand in our metadata and open what comes.
///
/// To replace keys with an overlap: [`ServiceKeys::announce`] puts a new one into the metadata; once the identity provider
/// knows it, [`ServiceKeys::promote`] signs with it; once nothing is encrypted for the old one any more,
/// [`ServiceKeys::retire`] drops it. It holds private keys: seal what serde makes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceKeys {
    /// The one that signs, then any other.
    keys: Vec<ServiceKey>,
}

impl ServiceKeys {
    /// Makes the first keys. It takes some 100 ms.
    ///
    /// # Errors
    /// [`Check::Configuration`] when the system has no randomness.
    pub fn generate(ambient: &Ambient) -> Result<Self, SsoError> {
        Ok(Self { keys: vec![fresh(ambient)?] })
    }

    /// Makes the next keys, which do not sign yet. Those that were announced before are replaced.
    ///
    /// # Errors
    /// As [`ServiceKeys::generate`].
    pub fn announce(&mut self, ambient: &Ambient) -> Result<(), SsoError> {
        let next = fresh(ambient)?;
        self.keys.truncate(1);
        self.keys.push(next);
        Ok(())
    }

    /// Signs with the announced keys from now on, and keeps the old ones for what is encrypted for them.
    pub fn promote(&mut self) {
        if self.keys.len() > 1 {
            self.keys.swap(0, 1);
        }
    }

    /// Drops all keys but those that sign.
    pub fn retire(&mut self) {
        self.keys.truncate(1);
    }

    /// All of them, first the one that signs.
    #[must_use]
    pub fn all(&self) -> &[ServiceKey] {
        &self.keys
    }

    /// The one that signs.
    ///
    /// # Errors
    /// [`Check::Configuration`] when there is none, which only a damaged store brings about.
    pub fn signing(&self) -> Result<&PrivateKey, SsoError> {
        match self.keys.first() {
            Some(key) => Ok(&key.signing),
            None => refuse(Check::Configuration, "the connection has no keys of ours"),
        }
    }
}

fn fresh(ambient: &Ambient) -> Result<ServiceKey, SsoError> {
    let made_at = ambient.now();
    Ok(ServiceKey {
        made_at,
        signing: PrivateKey::generate(ambient, made_at)?,
        encryption: PrivateKey::generate(ambient, made_at)?,
    })
}
