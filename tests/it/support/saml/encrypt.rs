//! Encrypting as identity providers do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra::crypto::keytransport::{OaepParams, from_uri_with_params};
use rollcall::sso::saml::Certificate;

const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// How.
#[derive(Clone, Debug)]
pub struct Encryption {
    pub cipher: &'static str,
    pub transport: &'static str,
    /// `DigestMethod` of OAEP.
    pub digest: Option<&'static str>,
    /// The key stands beside the data, not in it.
    pub key_beside: bool,
}

impl Encryption {
    pub const AES256_GCM: &'static str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
    pub const AES128_GCM: &'static str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
    pub const AES256_CBC: &'static str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
    pub const OAEP: &'static str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";

    pub fn gcm() -> Self {
        Self { cipher: Self::AES256_GCM, transport: Self::OAEP, digest: None, key_beside: false }
    }

    pub fn cbc() -> Self {
        Self { cipher: Self::AES256_CBC, ..Self::gcm() }
    }
}

/// An assertion inside `EncryptedAssertion`.
pub fn encrypted(plain: &str, how: &Encryption, certificate: &Certificate) -> String {
    let cipher = bergshamra::crypto::cipher::from_uri(how.cipher).expect("a cipher");
    let key: Vec<u8> = (0..cipher.key_size()).map(|n| u8::try_from(n * 7 % 251).expect("a byte")).collect();
    let data = cipher.encrypt(&key, plain.as_bytes()).expect("it encrypts");
    let parameters = OaepParams { digest_uri: how.digest.map(str::to_owned), ..OaepParams::default() };
    let recipient = bergshamra::keys::loader::load_x509_cert_pem(certificate.pem().as_bytes()).expect("a certificate");
    let recipient = recipient.software_key().expect("a key").expect("a key");
    let transport = from_uri_with_params(how.transport, parameters).expect("a transport");
    let wrapped = transport.encrypt(&recipient, &key).expect("it encrypts");
    let digest = how
        .digest
        .map_or(String::new(), |digest| format!("<ds:DigestMethod xmlns:ds=\"{DSIG}\" Algorithm=\"{digest}\"/>"));
    let key = format!(
        "<xenc:EncryptedKey xmlns:xenc=\"{XENC}\" Id=\"_key1\"><xenc:EncryptionMethod Algorithm=\"{}\">{digest}</xenc:EncryptionMethod>\
         <xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>",
        how.transport,
        STANDARD.encode(wrapped)
    );
    let (info, beside) = if how.key_beside {
        (format!("<ds:RetrievalMethod Type=\"{XENC}EncryptedKey\" URI=\"#_key1\"/>"), key)
    } else {
        (key, String::new())
    };
    format!(
        "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">\
         <xenc:EncryptedData xmlns:xenc=\"{XENC}\" Id=\"_data1\" Type=\"{XENC}Element\"><xenc:EncryptionMethod Algorithm=\"{}\"/>\
         <ds:KeyInfo xmlns:ds=\"{DSIG}\">{info}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue>\
         </xenc:CipherData></xenc:EncryptedData>{beside}</saml:EncryptedAssertion>",
        how.cipher,
        STANDARD.encode(data)
    )
}
