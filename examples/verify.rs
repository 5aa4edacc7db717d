//! How many SAML responses a second one processor verifies.
//!
//! ```text
//! cargo run --release --example verify
//! ```
//!
//! The responses are the samples of `fixtures/saml`; the keys are those of the tests.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::base::Timestamp;
use rollcall::sso::saml::{
    Binding, Certificate, Endpoint, Expected, IdpSettings, SamlOptions, Service, ServiceKeys, verify_response,
};

type Fault = Box<dyn std::error::Error>;

/// How long each kind is verified.
const TIME: Duration = Duration::from_secs(3);

const KINDS: [(&str, &str); 3] = [
    ("both signed", include_str!("../fixtures/saml/okta-response.xml")),
    ("assertion signed", include_str!("../fixtures/saml/entra-response.xml")),
    ("response signed", include_str!("../fixtures/saml/google-response.xml")),
];

fn main() -> Result<(), Fault> {
    let base = "https://rollcall.example/sso/saml/acme";
    let service = Service {
        entity_id: format!("{base}/metadata"),
        acs_url: format!("{base}/acs"),
        slo_url: format!("{base}/slo"),
    };
    let location = "https://idp.acme.example/sso".to_owned();
    let idp = IdpSettings {
        entity_id: "https://idp.acme.example/saml?org=1&app=2".to_owned(),
        certificates: vec![Certificate::from_base64(include_str!("../tests/it/support/saml/keys/idp.crt"))?],
        sso: vec![Endpoint { binding: Binding::Redirect, location, response_location: None }],
        slo: Vec::new(),
        wants_signed_requests: false,
        name_id_formats: Vec::new(),
        valid_until: None,
    };
    let keys: ServiceKeys = serde_json::from_str(include_str!("../tests/it/support/saml/keys/service.json"))?;
    let expected = Expected {
        service: &service,
        idp: &idp,
        options: &SamlOptions::default(),
        keys: &keys,
        outstanding: &["_request1".to_owned()],
        fresh_since: None,
    };
    let now: Timestamp = "2026-11-22T12:00:00Z".parse()?;
    for (kind, xml) in KINDS {
        let form = STANDARD.encode(xml);
        let (began, mut count) = (Instant::now(), 0_u32);
        while began.elapsed() < TIME {
            verify_response(&form, &expected, now)?;
            count += 1;
        }
        println!("{kind}: {:.0} a second", f64::from(count) / began.elapsed().as_secs_f64());
    }
    Ok(())
}
