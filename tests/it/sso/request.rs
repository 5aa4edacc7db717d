//! What we ask identity providers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::base::Ambient;
use rollcall::sso::Check;
use rollcall::sso::saml::{
    Ask, Binding, Broker, Incoming, Outgoing, Relying, SentRequest, authn_request, read_authn_request,
};

use crate::support::saml::World;

pub(super) fn query(message: &Outgoing) -> &str {
    let Outgoing::Redirect(url) = message else { panic!("{message:?} is no redirect") };
    url.split_once('?').expect("a query").1
}

pub(super) fn field<'m>(message: &'m Outgoing, name: &str) -> Option<&'m str> {
    let Outgoing::Post { fields, .. } = message else { panic!("{message:?} is no form") };
    fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn ask(world: &World, ask: &Ask<'_>) -> SentRequest {
    authn_request(&world.service, &world.idp, &world.options, &world.keys, ask, &Ambient::system()).unwrap()
}

/// Reads our request as the identity provider would: signed by our key.
fn read(world: &World, incoming: &Incoming<'_>) -> Result<rollcall::sso::saml::SignInAsked, rollcall::sso::SsoError> {
    let broker = Broker { entity_id: world.idp.entity_id.clone(), sso_url: world.idp.sso[0].location.clone() };
    let relying = Relying {
        entity_id: world.service.entity_id.clone(),
        acs_url: world.service.acs_url.clone(),
        certificates: vec![world.keys.all()[0].signing.certificate().clone()],
        require_signed: true,
    };
    read_authn_request(incoming, &broker, &relying, Ambient::system().now())
}

#[test]
fn a_redirect_is_signed_over_its_octets() {
    let mut world = World::new();
    world.idp.sso[0].location = "https://idp.acme.example/sso?tenant=a%2Fb&x=1".to_owned();
    world.service.entity_id = "https://rollcall.example/sso/saml/a?b=1&c=\"<>".to_owned();
    let sent = ask(&world, &Ask { force_authn: true, relay_state: Some("k/1&2=3 +ä") });
    let Outgoing::Redirect(url) = &sent.message else { panic!("{:?}", sent.message) };
    assert!(url.starts_with("https://idp.acme.example/sso?tenant=a%2Fb&x=1&SAMLRequest="), "{url}");
    let asked = read(&world, &Incoming::Query(query(&sent.message))).unwrap();
    assert_eq!(asked.id, sent.id);
    assert_eq!(asked.relay_state.as_deref(), Some("k/1&2=3 +ä"));
    assert!(asked.force_authn && !asked.passive);
    for (from, to) in
        [("&RelayState=", "&RelayState=x"), ("rsa-sha256", "rsa-sha512"), ("SAMLRequest=", "SAMLRequest=A")]
    {
        let changed = query(&sent.message).replace(from, to);
        assert!(read(&world, &Incoming::Query(&changed)).is_err(), "{to}");
    }
    let unsigned = query(&sent.message).split("&SigAlg").next().unwrap();
    assert_eq!(read(&world, &Incoming::Query(unsigned)).unwrap_err().check, Check::Signature);
}

#[test]
fn a_form_is_signed_inside() {
    let mut world = World::new();
    world.idp.sso[0].binding = Binding::Post;
    world.options.authn_context = vec!["urn:a&b".to_owned()];
    world.options.name_id_format = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned());
    let sent = ask(&world, &Ask { relay_state: Some("key"), ..Ask::default() });
    let value = field(&sent.message, "SAMLRequest").unwrap();
    let form = |message| Incoming::Form { message, relay_state: field(&sent.message, "RelayState") };
    let asked = read(&world, &form(value)).unwrap();
    assert_eq!((asked.id.as_str(), asked.relay_state.as_deref()), (sent.id.as_str(), Some("key")));
    let xml = String::from_utf8(STANDARD.decode(value).unwrap()).unwrap();
    assert!(xml.contains("<saml:AuthnContextClassRef>urn:a&amp;b</saml:AuthnContextClassRef>"), "{xml}");
    assert!(xml.contains("Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\""), "{xml}");
    let changed = STANDARD.encode(xml.replace("ProtocolBinding", "IsPassive=\"true\" ProtocolBinding"));
    assert_eq!(read(&world, &form(&changed)).unwrap_err().check, Check::Signature);
}

#[test]
fn ids_are_names_of_128_random_bits() {
    let world = World::new();
    let (one, two) = (ask(&world, &Ask::default()).id, ask(&world, &Ask::default()).id);
    assert_ne!(one, two);
    for id in [one, two] {
        let digits = id.strip_prefix('_').unwrap();
        assert!(digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
}

#[test]
fn signing_is_left_out_only_where_nobody_wants_it() {
    let mut world = World::new();
    world.options.sign_requests = false;
    assert!(!query(&ask(&world, &Ask::default()).message).contains("Signature="));
    world.idp.wants_signed_requests = true;
    assert!(query(&ask(&world, &Ask::default()).message).contains("Signature="));
}

#[test]
fn a_relay_state_is_short() {
    let world = World::new();
    let long = "x".repeat(81);
    let ask = Ask { relay_state: Some(&long), ..Ask::default() };
    let refused = authn_request(&world.service, &world.idp, &world.options, &world.keys, &ask, &Ambient::system());
    assert_eq!(refused.unwrap_err().check, Check::Configuration);
}
