//! X.509 certificates: those of identity providers, read for their keys, and our own, which we sign ourselves.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use x509_cert::certificate::{Certificate as X509, TbsCertificate, Version};
use x509_cert::der::asn1::{Any, BitString, GeneralizedTime, UintRef, UtcTime};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::words::refuse;
use crate::base::{Ambient, Timestamp};
use crate::sso::{Check, SsoError};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
/// The first instant that `UTCTime` cannot hold (RFC 5280 §4.1.2.5): 2050.
const GENERALIZED_FROM: u64 = 2_524_608_000;

/// A certificate with a key that we take: RSA of 2,048 bits and more, or ECDSA on P-256, P-384 or P-521.
///
/// Only its key counts. In SAML a certificate is trusted because an administrator gave it to us; who signed it and when it
/// ends says nothing (SAML Metadata Interoperability §2.6.1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Certificate {
    der: Vec<u8>,
    key: Vec<u8>,
    not_after: Timestamp,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// [`Check::Configuration`] when it is no certificate, [`Check::Algorithm`] when its key is too weak or of another kind.
    pub fn from_der(der: &[u8]) -> Result<Self, SsoError> {
        let unreadable =
            |error| SsoError::new(Check::Configuration, format!("the certificate cannot be read: {error}"));
        let parsed = X509::from_der(der).map_err(unreadable)?.tbs_certificate;
        let key = parsed.subject_public_key_info.to_der().map_err(unreadable)?;
        load(&key)?;
        let seconds = parsed.validity.not_after.to_unix_duration().as_secs();
        let not_after = Timestamp::from_millis(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX));
        Ok(Self { der: der.to_vec(), key, not_after })
    }

    /// Reads base64 of DER, with or without the lines that PEM puts around it.
    ///
    /// # Errors
    /// As [`Certificate::from_der`].
    pub fn from_base64(text: &str) -> Result<Self, SsoError> {
        let body: String = text.lines().filter(|line| !line.trim_start().starts_with("-----")).collect();
        let packed: String = body.split_whitespace().collect();
        match STANDARD.decode(packed) {
            Ok(der) => Self::from_der(&der),
            Err(_) => refuse(Check::Configuration, "the certificate is not base64"),
        }
    }

    /// As base64 without lines, which is how XML holds it.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    /// As PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// SHA-256 of it in hexadecimal, by which people compare certificates.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    /// When it ends. Nothing depends on it; it is for administrators to see.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Its key, for checking signatures.
    pub(super) fn key(&self) -> Result<bergshamra::Key, SsoError> {
        load(&self.key)
    }
}

/// The bits of an RSA modulus (RFC 8017 §A.1.1); nothing for other keys.
fn rsa_bits(key: &[u8]) -> Result<Option<usize>, x509_cert::der::Error> {
    let info = SubjectPublicKeyInfoOwned::from_der(key)?;
    if info.algorithm.oid != RSA {
        return Ok(None);
    }
    let mut reader = SliceReader::new(info.subject_public_key.raw_bytes())?;
    let bits = reader.sequence(|inside| {
        let modulus = UintRef::decode(inside)?;
        UintRef::decode(inside)?;
        let zeros = modulus.as_bytes().first().map_or(0, |byte| byte.leading_zeros() as usize);
        Ok(modulus.as_bytes().len() * 8 - zeros)
    })?;
    Ok(Some(bits))
}

fn load(key: &[u8]) -> Result<bergshamra::Key, SsoError> {
    let bits = rsa_bits(key).map_err(|error| {
        SsoError::new(Check::Configuration, format!("the certificate's key cannot be read: {error}"))
    })?;
    if let Some(bits) = bits.filter(|bits| !(2_048..=8_192).contains(bits)) {
        let text = format!("the certificate's RSA key has {bits} bits, 2048 to 8192 are taken");
        return refuse(Check::Algorithm, text);
    }
    let refused = |error| SsoError::new(Check::Algorithm, format!("the key of the certificate is not taken: {error}"));
    let key = bergshamra::keys::loader::load_spki_der(key).map_err(refused)?;
    if key.data.algorithm_name().starts_with("RSA") || key.data.algorithm_name().starts_with("EC-P") {
        return Ok(key);
    }
    refuse(Check::Algorithm, format!("keys of the kind {} are not taken", key.data.algorithm_name()))
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

impl TryFrom<String> for Certificate {
    type Error = SsoError;

    fn try_from(text: String) -> Result<Self, SsoError> {
        Self::from_base64(&text)
    }
}

impl From<Certificate> for String {
    fn from(certificate: Certificate) -> Self {
        certificate.base64()
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END " + label + "-----\n"
}

/// Makes a certificate for a key that signs it itself, valid for ten years.
///
/// # Errors
/// [`Check::Configuration`] when the parts cannot be encoded, which they always can.
pub(super) fn self_signed(
    key: &aws_lc_rs::rsa::KeyPair,
    ambient: &Ambient,
    now: Timestamp,
) -> Result<Certificate, SsoError> {
    let failed = |what: &str| SsoError::new(Check::Configuration, format!("no certificate can be made: {what}"));
    let encoded = || -> Result<Vec<u8>, x509_cert::der::Error> {
        // The name is for people; nothing that reads the certificate goes by it.
        let name = Name::from_str("CN=Rollcall sign-on")?;
        let mut serial = ambient.bytes::<16>();
        serial[0] = serial[0] & 0x7f | 0x40;
        let parameters = AlgorithmIdentifierOwned { oid: SHA256_WITH_RSA, parameters: Some(Any::null()) };
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| x509_cert::der::ErrorKind::Failed)?;
        let body = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&serial)?,
            signature: parameters.clone(),
            issuer: name.clone(),
            validity: Validity { not_before: time(now.before(DAY))?, not_after: time(now.after(DAY * 3_650))? },
            subject: name,
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(public.as_ref())?,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: None,
        };
        let signature = super::sign::rsa_sha256(key, &body.to_der()?).map_err(|_| x509_cert::der::ErrorKind::Failed)?;
        X509 { tbs_certificate: body, signature_algorithm: parameters, signature: BitString::from_bytes(&signature)? }
            .to_der()
    };
    Certificate::from_der(&encoded().map_err(|error| failed(&error.to_string()))?)
}

const DAY: Duration = Duration::from_hours(24);

fn time(at: Timestamp) -> Result<Time, x509_cert::der::Error> {
    let seconds = u64::try_from(at.millis() / 1_000).unwrap_or(0);
    let since = Duration::from_secs(seconds);
    Ok(if seconds < GENERALIZED_FROM {
        Time::UtcTime(UtcTime::from_unix_duration(since)?)
    } else {
        Time::GeneralTime(GeneralizedTime::from_unix_duration(since)?)
    })
}
