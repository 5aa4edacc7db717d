//! We, as the identity provider of Flex.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::base::Ambient;
use rollcall::sso::saml::{Broker, Incoming, Outgoing, Relying, Told, issue, read_authn_request};
use rollcall::sso::{Check, NameId};
use serde_json::json;

use super::request::field;
use super::with;
use crate::support::saml::{Key, SignAs, World};

fn broker() -> Broker {
    Broker {
        entity_id: "https://rollcall.example/broker/metadata".to_owned(),
        sso_url: "https://rollcall.example/broker/sso".to_owned(),
    }
}

fn flex() -> Relying {
    Relying {
        entity_id: "https://iam.flex.example/v1/Accounts/AC1/saml2/metadata".to_owned(),
        acs_url: "https://iam.flex.example/v1/Accounts/AC1/saml2".to_owned(),
        certificates: Vec::new(),
        require_signed: false,
    }
}

fn request() -> String {
    format!(
        "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_flex1\" Version=\"2.0\" IssueInstant=\"{}\" \
         Destination=\"{}\" AssertionConsumerServiceURL=\"{}\"><saml:Issuer>{}</saml:Issuer></samlp:AuthnRequest>",
        World::new().now,
        broker().sso_url,
        flex().acs_url,
        flex().entity_id,
    )
}

fn judged(xml: &str, relying: &Relying) -> Result<rollcall::sso::saml::SignInAsked, rollcall::sso::SsoError> {
    let message = STANDARD.encode(xml);
    let incoming = Incoming::Form { message: &message, relay_state: Some("back") };
    read_authn_request(&incoming, &broker(), relying, World::new().now)
}

#[test]
fn what_flex_is_told_passes_our_own_checks() {
    let ambient = Ambient::system();
    let mut world = World::new();
    let told = Told {
        name_id: NameId {
            value: "ana@acme.example".to_owned(),
            format: Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".to_owned()),
            name_qualifier: None,
            sp_name_qualifier: None,
        },
        attributes: vec![
            ("roles".to_owned(), vec!["agent".to_owned(), "wfo.full_access".to_owned()]),
            ("full_name".to_owned(), vec!["Ana <Ruiz> & \"Co\"\n".to_owned()]),
            ("email".to_owned(), vec!["ana@acme.example".to_owned()]),
        ],
        session: "_s1".to_owned(),
        authenticated_at: ambient.now(),
        context: None,
    };
    let asked = judged(&request(), &flex()).unwrap();
    for asked in [Some(&asked), None] {
        let sent = issue(&broker(), &flex(), &world.keys, &told, asked, Some("tile"), &ambient).unwrap();
        let Outgoing::Post { action, .. } = &sent else { panic!("{sent:?}") };
        assert_eq!(*action, flex().acs_url);
        assert_eq!(field(&sent, "RelayState"), Some(if asked.is_some() { "back" } else { "tile" }));
        // Flex is played by our own service provider.
        world.service.entity_id = flex().entity_id;
        world.service.acs_url = flex().acs_url;
        world.idp.entity_id = broker().entity_id;
        world.idp.certificates = vec![world.keys.all()[0].signing.certificate().clone()];
        world.outstanding = asked.iter().map(|asked| asked.id.clone()).collect();
        world.options.idp_initiated = asked.is_none();
        let value = field(&sent, "SAMLResponse").unwrap();
        let xml = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
        assert_eq!(xml.matches("<ds:SignatureValue>").count(), 2);
        let identity = world.verify_at(value, ambient.now()).unwrap().identity;
        assert_eq!(identity.name_id, Some(told.name_id.clone()));
        assert_eq!(identity.claims["roles"], [json!("agent"), json!("wfo.full_access")]);
        assert_eq!(identity.claims["full_name"], [json!("Ana <Ruiz> & \"Co\"\n")]);
        // Either signature alone is good, and what it covers cannot be changed.
        let forged = with(&xml, "wfo.full_access", "admin");
        assert_eq!(world.verify_at(&STANDARD.encode(forged), ambient.now()).unwrap_err().check, Check::Signature);
    }
}

#[test]
fn a_request_is_from_flex_for_its_own_address() {
    let asked = judged(&request(), &flex()).unwrap();
    assert_eq!((asked.id.as_str(), asked.relay_state.as_deref()), ("_flex1", Some("back")));
    let acs = flex().acs_url;
    for (from, to, check) in [
        (acs.as_str(), "https://evil.example/acs", Check::Destination),
        ("https://iam.flex.example/v1/Accounts/AC1/saml2/metadata", "https://evil.example", Check::Issuer),
        ("https://rollcall.example/broker/sso", "https://evil.example/sso", Check::Destination),
        ("AuthnRequest", "LogoutRequest", Check::Malformed),
        ("IssueInstant=\"2026-11-22T12", "IssueInstant=\"2026-11-22T10", Check::Time),
    ] {
        let forged = if from == acs {
            with(&request(), &format!("URL=\"{from}\""), &format!("URL=\"{to}\""))
        } else {
            with(&request(), from, to)
        };
        let error = judged(&forged, &flex()).unwrap_err();
        assert_eq!(error.check, check, "{error}");
    }
}

#[test]
fn a_signature_of_flex_is_checked_where_it_can_be() {
    let known = Relying { certificates: vec![Key::Next.certificate()], ..flex() };
    let strict = Relying { require_signed: true, ..known.clone() };
    let (good, bad) = (SignAs::with(Key::Next).sign(&request()), SignAs::with(Key::Stranger).sign(&request()));
    judged(&good, &known).unwrap();
    judged(&good, &strict).unwrap();
    judged(&request(), &known).unwrap();
    for (xml, relying) in [(&bad, &known), (&bad, &strict), (&request(), &strict)] {
        assert_eq!(judged(xml, relying).unwrap_err().check, Check::Signature);
    }
    let without = Relying { require_signed: true, ..flex() };
    assert_eq!(judged(&good, &without).unwrap_err().check, Check::Configuration);
}
