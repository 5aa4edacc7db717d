//! An identity provider for tests: it writes responses in the ways of real ones, signs and encrypts them with bergshamra's own
//! signer (not with the code under test), and lets a test change the text at every stage.
//!
//! ```ignore
//! let world = World::new();
//! let form = world.message().send(Signing::Both);
//! world.verify(&form).unwrap();
//! ```
//!
//! The keys below `keys/` are for tests only.

mod encrypt;
mod message;
mod sign;

pub use encrypt::{Encryption, encrypted};
pub use message::{Message, Signing, Style, form};
pub use sign::{Key, SignAs};

use rollcall::base::Timestamp;
use rollcall::sso::SsoError;
use rollcall::sso::saml::{
    Binding, Certificate, Endpoint, Expected, IdpSettings, SamlOptions, Service, ServiceKeys, Verified, verify_response,
};

/// Our keys, made once.
pub fn service_keys() -> ServiceKeys {
    serde_json::from_str(include_str!("keys/service.json")).expect("keys")
}

/// One connection, one browser, one instant.
#[derive(Clone)]
pub struct World {
    pub service: Service,
    pub idp: IdpSettings,
    pub options: SamlOptions,
    pub keys: ServiceKeys,
    pub outstanding: Vec<String>,
    pub fresh_since: Option<Timestamp>,
    pub now: Timestamp,
}

impl World {
    /// A connection with default options, and one open request.
    pub fn new() -> Self {
        let base = "https://rollcall.example/sso/saml/acme";
        Self {
            service: Service {
                entity_id: format!("{base}/metadata"),
                acs_url: format!("{base}/acs"),
                slo_url: format!("{base}/slo"),
            },
            idp: IdpSettings {
                entity_id: "https://idp.acme.example/saml?org=1&app=2".to_owned(),
                certificates: vec![Key::Idp.certificate()],
                sso: vec![Endpoint {
                    binding: Binding::Redirect,
                    location: "https://idp.acme.example/sso".to_owned(),
                    response_location: None,
                }],
                slo: vec![Endpoint {
                    binding: Binding::Redirect,
                    location: "https://idp.acme.example/slo".to_owned(),
                    response_location: None,
                }],
                wants_signed_requests: false,
                name_id_formats: Vec::new(),
                valid_until: None,
            },
            options: SamlOptions::default(),
            keys: service_keys(),
            outstanding: vec!["_request1".to_owned()],
            fresh_since: None,
            now: "2026-11-22T12:00:00Z".parse().expect("an instant"),
        }
    }

    /// What a fitting answer says.
    pub fn message(&self) -> Message {
        Message::fitting(self)
    }

    /// Judges the value of the form field.
    pub fn verify(&self, form: &str) -> Result<Verified, SsoError> {
        self.verify_at(form, self.now)
    }

    pub fn verify_at(&self, form: &str, now: Timestamp) -> Result<Verified, SsoError> {
        let expected = Expected {
            service: &self.service,
            idp: &self.idp,
            options: &self.options,
            keys: &self.keys,
            outstanding: &self.outstanding,
            fresh_since: self.fresh_since,
        };
        verify_response(form, &expected, now)
    }

    /// The certificate that messages for us are encrypted with.
    pub fn encryption_certificate(&self) -> Certificate {
        self.keys.all()[0].encryption.certificate().clone()
    }
}
