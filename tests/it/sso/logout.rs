//! Single logout: what is not signed ends nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::base::{Ambient, Timestamp};
use rollcall::sso::saml::{Binding, Incoming, Logout, Outgoing, Service};
use rollcall::sso::{Check, NameId, SsoError};

use super::request::{field, query};
use super::with;
use crate::support::saml::{Key, SignAs, World};

/// The world seen from the other side: we are the identity provider, and sign with our own keys.
struct Sides {
    ours: World,
    theirs: World,
}

impl Sides {
    fn new(binding: Binding) -> Self {
        let mut ours = World::new();
        let mut theirs = World::new();
        ours.idp.slo[0].binding = binding;
        ours.idp.certificates = vec![theirs.keys.all()[0].signing.certificate().clone()];
        theirs.service = Service {
            entity_id: ours.idp.entity_id.clone(),
            acs_url: String::new(),
            slo_url: ours.idp.slo[0].location.clone(),
        };
        theirs.idp.entity_id.clone_from(&ours.service.entity_id);
        theirs.idp.certificates = vec![ours.keys.all()[0].signing.certificate().clone()];
        theirs.idp.slo[0].binding = binding;
        theirs.idp.slo[0].location.clone_from(&ours.service.slo_url);
        Self { ours, theirs }
    }
}

fn logout(world: &World) -> Logout<'_> {
    Logout { service: &world.service, idp: &world.idp, options: &world.options, keys: &world.keys }
}

fn ana() -> NameId {
    NameId {
        value: "00u1 <ana> & co".to_owned(),
        format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
        name_qualifier: None,
        sp_name_qualifier: Some("urn:\"q\"".to_owned()),
    }
}

fn incoming(message: &Outgoing) -> Incoming<'_> {
    match message {
        Outgoing::Redirect(_) => Incoming::Query(query(message)),
        Outgoing::Post { fields, .. } => {
            Incoming::Form { message: &fields[0].1, relay_state: field(message, "RelayState") }
        }
    }
}

#[test]
fn logouts_go_both_ways_by_both_bindings() {
    let ambient = Ambient::system();
    for binding in [Binding::Redirect, Binding::Post] {
        let Sides { ours, theirs } = Sides::new(binding);
        let sent = logout(&theirs).ask(&ana(), Some("_session1"), Some("state"), &ambient).unwrap();
        let asked = logout(&ours).read_request(&incoming(&sent.message), ambient.now()).unwrap();
        assert_eq!((&asked.id, &asked.name_id), (&sent.id, &ana()));
        assert_eq!(asked.sessions, ["_session1"]);
        assert_eq!(asked.relay_state.as_deref(), Some("state"));
        for done in [true, false] {
            let answer = logout(&ours).answer(&asked, done, binding, &ambient).unwrap();
            let read = logout(&theirs)
                .read_response(&incoming(&answer), std::slice::from_ref(&sent.id), ambient.now())
                .unwrap();
            assert_eq!(read.in_response_to, sent.id);
            assert_eq!(read.failure.is_none(), done, "{read:?}");
            assert_eq!(read.relay_state.as_deref(), Some("state"));
            let other = logout(&theirs).read_response(&incoming(&answer), &["_other".to_owned()], ambient.now());
            assert_eq!(other.unwrap_err().check, Check::Request);
        }
    }
}

/// A logout by form, signed by a key, after the text was changed.
fn by_form(world: &World, key: Option<Key>, now: Timestamp, change: impl Fn(String) -> String) -> String {
    let xml = format!(
        "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_logout1\" Version=\"2.0\" IssueInstant=\"{now}\" \
         Destination=\"{}\"><saml:Issuer>{}</saml:Issuer><saml:NameID>00u1ana</saml:NameID></samlp:LogoutRequest>",
        world.service.slo_url,
        world.idp.entity_id.replace('&', "&amp;"),
    );
    let xml = change(xml);
    STANDARD.encode(key.map_or(xml.clone(), |key| SignAs::with(key).sign(&xml)))
}

fn judged(world: &World, message: &str, now: Timestamp) -> Result<(), SsoError> {
    logout(world).read_request(&Incoming::Form { message, relay_state: None }, now).map(|_| ())
}

#[test]
fn s18_a_forged_logout_ends_nothing() {
    let world = World::new();
    let now = world.now;
    let good = by_form(&world, Some(Key::Idp), now, |xml| xml);
    judged(&world, &good, now).unwrap();
    for key in [None, Some(Key::Stranger)] {
        let error = judged(&world, &by_form(&world, key, now, |xml| xml), now).unwrap_err();
        assert_eq!(error.check, Check::Signature, "{error}");
    }
    let signed = String::from_utf8(STANDARD.decode(&good).unwrap()).unwrap();
    let error = judged(&world, &STANDARD.encode(with(&signed, "00u1ana", "00u0owner")), now).unwrap_err();
    assert_eq!(error.check, Check::Signature);
    // Around another one.
    let evil = by_form(&world, None, now, |xml| with(&with(&xml, "00u1ana", "00u0owner"), "_logout1", "_evil"));
    let evil = String::from_utf8(STANDARD.decode(evil).unwrap()).unwrap();
    let wrapped = with(&evil, "<saml:NameID>", &format!("{signed}<saml:NameID>"));
    assert_eq!(judged(&world, &STANDARD.encode(wrapped), now).unwrap_err().check, Check::Signature);
}

#[test]
fn s18_a_signed_logout_is_for_us_from_them_and_now() {
    let world = World::new();
    let (now, idp) = (world.now, Some(Key::Idp));
    let changes: [(&str, &str, Check); 7] = [
        ("https://idp.acme.example/saml", "https://evil.example/saml", Check::Issuer),
        ("https://rollcall.example/", "https://other.example/", Check::Destination),
        ("Destination=", "Other=", Check::Destination),
        ("Version=\"2.0\"", "Version=\"1.1\"", Check::Malformed),
        ("<saml:NameID>00u1ana</saml:NameID>", "", Check::Subject),
        ("<saml:NameID>00u1ana</saml:NameID>", "<saml:NameID><x/></saml:NameID>", Check::Malformed),
        ("IssueInstant=", "NotOnOrAfter=\"2026-11-22T11:00:00Z\" IssueInstant=", Check::Time),
    ];
    for (from, to, check) in changes {
        let error = judged(&world, &by_form(&world, idp, now, |xml| with(&xml, from, to)), now).unwrap_err();
        assert_eq!(error.check, check, "{error}");
    }
    let good = by_form(&world, idp, now, |xml| xml);
    for seconds in [-61, 3_600] {
        let then = Timestamp::from_millis(now.millis() + seconds * 1_000);
        assert_eq!(judged(&world, &good, then).unwrap_err().check, Check::Time);
    }
    // A response to a sign-in is no logout, whoever signed it.
    let response = world.message().send(crate::support::saml::Signing::Both);
    assert!(judged(&world, &response, now).is_err());
}

#[test]
fn s18_a_redirect_is_judged_by_its_octets() {
    let ambient = Ambient::system();
    let Sides { ours, theirs } = Sides::new(Binding::Redirect);
    let sent = logout(&theirs).ask(&ana(), None, Some("a b"), &ambient).unwrap();
    let good = query(&sent.message).to_owned();
    let judge = |query: &str| logout(&ours).read_request(&Incoming::Query(query), ambient.now());
    // The order in the URL does not matter, nor what else stands in it.
    let mut pairs: Vec<&str> = good.split('&').collect();
    pairs.reverse();
    judge(&format!("other=1&{}", pairs.join("&"))).unwrap();
    let signature = good.split("&Signature=").nth(1).unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for forged in [
        good.split("&SigAlg").next().unwrap().to_owned(),
        good.split("&Signature").next().unwrap().to_owned(),
        good.replace("a%20b", "a+b"),
        good.replace("&RelayState=a%20b", ""),
        good.replace("rsa-sha256", "rsa-sha384"),
        good.replace(signature, &format!("{flipped}{}", &signature[1..])),
        good.replace(signature, ""),
        good.replace("SAMLRequest=", "SAMLResponse="),
        format!("{good}&RelayState=evil"),
        format!("SAMLRequest=evil&{good}"),
        format!("{good}&SAMLResponse=x"),
        format!("{good}&%53igAlg=x"),
        good.replace("xmldsig-more%23rsa-sha256", "x"),
        String::new(),
    ] {
        assert!(judge(&forged).is_err(), "{forged}");
    }
    let sha1 = good
        .replace("%2F2001%2F04%2Fxmldsig%2Dmore%23rsa%2Dsha256", "%2F2000%2F09%2Fxmldsig%23rsa%2Dsha1")
        .replace("%2F2001%2F04%2Fxmldsig-more%23rsa-sha256", "%2F2000%2F09%2Fxmldsig%23rsa-sha1");
    assert_ne!(sha1, good);
    assert_eq!(judge(&sha1).unwrap_err().check, Check::Algorithm);
}

#[test]
fn s07_a_compressed_bomb_is_refused() {
    use std::io::Write as _;
    let world = World::new();
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 30_000_000]).unwrap();
    let bomb = STANDARD.encode(encoder.finish().unwrap());
    let algorithm = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    let escape = |text: &str| {
        text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace(':', "%3A").replace('#', "%23")
    };
    let query = format!("SAMLRequest={}&SigAlg={}", escape(&bomb), escape(algorithm));
    let signature = STANDARD.encode(Key::Idp.sign_octets(algorithm, query.as_bytes()));
    let query = format!("{query}&Signature={}", escape(&signature));
    let error = logout(&world).read_request(&Incoming::Query(&query), world.now).unwrap_err();
    assert_eq!(error.check, Check::Limit, "{error}");
}
