//! Signing with bergshamra's signer, over a template.

use bergshamra::{DsigContext, KeysManager};
use rollcall::sso::saml::Certificate;

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Keys of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The identity provider's.
    Idp,
    /// Its next one.
    Next,
    /// Somebody else's.
    Stranger,
    P256,
    P384,
    /// RSA with 1,024 bits.
    Weak,
}

impl Key {
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Idp => (include_str!("keys/idp.key"), include_str!("keys/idp.crt")),
            Self::Next => (include_str!("keys/next.key"), include_str!("keys/next.crt")),
            Self::Stranger => (include_str!("keys/stranger.key"), include_str!("keys/stranger.crt")),
            Self::P256 => (include_str!("keys/p256.key"), include_str!("keys/p256.crt")),
            Self::P384 => (include_str!("keys/p384.key"), include_str!("keys/p384.crt")),
            Self::Weak => (include_str!("keys/weak.key"), include_str!("keys/weak.crt")),
        }
    }

    /// The certificate as PEM.
    pub fn pem(self) -> &'static str {
        self.texts().1
    }

    pub fn certificate(self) -> Certificate {
        Certificate::from_base64(self.pem()).expect("a certificate")
    }

    /// The private key for bergshamra.
    pub fn private(self) -> bergshamra::Key {
        bergshamra::keys::loader::load_pem_auto(self.texts().0.as_bytes(), None).expect("a key")
    }

    /// Signs plain octets with an algorithm by its URI.
    pub fn sign_octets(self, algorithm: &str, octets: &[u8]) -> Vec<u8> {
        let key = self.private().software_key().expect("a key").expect("a key");
        bergshamra::crypto::sign::from_uri(algorithm).expect("an algorithm").sign(&key, octets).expect("it signs")
    }
}

/// How a signature is made.
#[derive(Clone, Debug)]
pub struct SignAs {
    pub key: Key,
    pub method: String,
    pub digest: String,
    pub canonicalization: String,
    pub transforms: String,
    /// What the reference refers to; without, the element that is signed.
    pub uri: Option<String>,
    /// What stands in `KeyInfo`; without, the certificate of the key.
    pub key_info: Option<String>,
    /// More at the end of the signature.
    pub more: String,
    /// The prefix of the signature's elements; empty for none.
    pub prefix: &'static str,
    /// `PrefixList` of the transform.
    pub prefix_list: Option<&'static str>,
}

impl SignAs {
    pub fn with(key: Key) -> Self {
        let method = match key {
            Key::P256 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Key::P384 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            _ => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        };
        Self {
            key,
            method: method.to_owned(),
            digest: "http://www.w3.org/2001/04/xmlenc#sha256".to_owned(),
            canonicalization: "http://www.w3.org/2001/10/xml-exc-c14n#".to_owned(),
            transforms: String::new(),
            uri: None,
            key_info: None,
            more: String::new(),
            prefix: "ds",
            prefix_list: None,
        }
    }

    /// The signature before it is made.
    pub fn template(&self, id: &str) -> String {
        let (p, declared) = match self.prefix {
            "" => (String::new(), format!("xmlns=\"{DSIG}\"")),
            prefix => (format!("{prefix}:"), format!("xmlns:{prefix}=\"{DSIG}\"")),
        };
        let inclusive = self.prefix_list.map_or(String::new(), |list| {
            format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{list}\"/>"
            )
        });
        let transforms = if self.transforms.is_empty() {
            format!(
                "<{p}Transform Algorithm=\"{DSIG}enveloped-signature\"/>\
                 <{p}Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">{inclusive}</{p}Transform>"
            )
        } else {
            self.transforms.clone()
        };
        let body: String = self.key.pem().lines().filter(|line| !line.starts_with("---")).collect();
        let x509 = format!("<{p}X509Data><{p}X509Certificate>{body}</{p}X509Certificate></{p}X509Data>");
        format!(
            "<{p}Signature {declared}><{p}SignedInfo><{p}CanonicalizationMethod Algorithm=\"{}\"/>\
             <{p}SignatureMethod Algorithm=\"{}\"/><{p}Reference URI=\"{}\"><{p}Transforms>{transforms}</{p}Transforms>\
             <{p}DigestMethod Algorithm=\"{}\"/><{p}DigestValue></{p}DigestValue></{p}Reference></{p}SignedInfo>\
             <{p}SignatureValue></{p}SignatureValue><{p}KeyInfo>{}</{p}KeyInfo>{}</{p}Signature>",
            self.canonicalization,
            self.method,
            self.uri.clone().unwrap_or_else(|| format!("#{id}")),
            self.digest,
            self.key_info.clone().unwrap_or(x509),
            self.more,
        )
    }

    /// Signs the outermost element: the signature stands behind its issuer.
    pub fn sign(&self, xml: &str) -> String {
        let id = attribute(xml, "ID");
        let end = xml.find("Issuer").and_then(|at| xml[at..].find("</").map(|end| at + end)).expect("an issuer");
        let at = end + xml[end..].find('>').expect("its end") + 1;
        self.complete(&format!("{}{}{}", &xml[..at], self.template(&id), &xml[at..]))
    }

    /// Computes the first signature that stands in the text as a template.
    pub fn complete(&self, template: &str) -> String {
        let mut manager = KeysManager::new();
        manager.add_key(self.key.private());
        bergshamra::sign(&DsigContext::new_permissive(manager), template).expect("it signs")
    }
}

/// The first attribute of that name.
pub fn attribute(xml: &str, name: &str) -> String {
    let from = xml.find(&format!(" {name}=\"")).expect(name) + name.len() + 3;
    xml[from..].split('"').next().unwrap_or_default().to_owned()
}
