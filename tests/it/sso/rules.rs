//! To whom, from whom, when, in answer to what.

use std::time::Duration;

use rollcall::sso::Check;
use rollcall::sso::saml::SubjectFrom;

use super::{cut, refused, refused_form, with};
use crate::support::saml::{Message, Signing, World};

/// What is changed in a message, and the check that must find it.
type Change = (&'static str, fn(&mut Message, &World), Check);

fn confirmed(message: &mut Message, name: &'static str, value: Option<&str>) {
    *message = message.clone().confirm(name, value);
}

fn at(world: &World, seconds: i64) -> String {
    Message::shifted(world.now, seconds)
}

const CHANGES: &[Change] = &[
    ("another issuer", |m, _| "https://evil.example".clone_into(&mut m.issuer), Check::Issuer),
    ("no issuer", |m, _| m.issuer = String::new(), Check::Issuer),
    ("another destination", |m, _| m.destination = Some("https://other.example/acs".to_owned()), Check::Destination),
    ("an empty destination", |m, _| m.destination = Some(String::new()), Check::Destination),
    (
        "a destination that begins like ours",
        |m, w| m.destination = Some(format!("{}/", w.service.acs_url)),
        Check::Destination,
    ),
    ("another recipient", |m, _| confirmed(m, "Recipient", Some("https://other.example/acs")), Check::Destination),
    ("no recipient", |m, _| confirmed(m, "Recipient", None), Check::Destination),
    ("another audience", |m, _| m.audiences = vec!["https://other.example".to_owned()], Check::Audience),
    ("no audience", |m, _| m.audiences.clear(), Check::Audience),
    ("an audience in other letters", |m, w| m.audiences = vec![w.service.entity_id.to_uppercase()], Check::Audience),
    ("the end of the conditions", |m, w| m.not_on_or_after = at(w, -61), Check::Time),
    ("the beginning of the conditions", |m, w| m.not_before = at(w, 61), Check::Time),
    ("the end of the confirmation", |m, w| confirmed(m, "NotOnOrAfter", Some(&at(w, -61))), Check::Time),
    ("no end of the confirmation", |m, _| confirmed(m, "NotOnOrAfter", None), Check::Time),
    ("a beginning of the confirmation", |m, w| confirmed(m, "NotBefore", Some(&at(w, -300))), Check::Time),
    ("an issue in the future", |m, w| m.issued_at = at(w, 62), Check::Time),
    ("an issue long ago", |m, w| m.issued_at = at(w, -3_600), Check::Time),
    ("a sign-in in the future", |m, w| m.authenticated_at = at(w, 90), Check::Time),
    ("the end of the session", |m, w| m.session.push(("SessionNotOnOrAfter", at(w, -61))), Check::Time),
    ("another request", |m, _| m.in_response_to = Some("_request2".to_owned()), Check::Request),
    ("no request", |m, _| m.in_response_to = None, Check::Request),
    ("another request inside", |m, _| confirmed(m, "InResponseTo", Some("_request2")), Check::Request),
    ("no request inside", |m, _| confirmed(m, "InResponseTo", None), Check::Request),
    ("no time", |m, _| "today".clone_into(&mut m.issued_at), Check::Malformed),
    ("no name", |m, _| m.name_id = None, Check::Subject),
    ("an empty name", |m, _| m.name_id.as_mut().unwrap().1.clear(), Check::Subject),
    ("a blank name", |m, _| "\u{a0} \t".clone_into(&mut m.name_id.as_mut().unwrap().1), Check::Subject),
];

#[test]
fn s11_each_rule_refuses_what_it_is_for() {
    for (what, change, check) in CHANGES {
        for signing in [Signing::Assertion, Signing::Response, Signing::Both] {
            let world = World::new();
            let mut message = world.message();
            change(&mut message, &world);
            match world.verify(&message.send(signing)) {
                Ok(verified) => panic!("{what}: it is taken: {verified:?}"),
                Err(error) => assert_eq!(error.check, *check, "{what}, {signing:?}: {error}"),
            }
        }
    }
}

#[test]
fn s11_errors_say_what_was_found_and_expected() {
    let world = World::new();
    let mut message = world.message();
    message.audiences = vec!["https://other.example".to_owned()];
    let error = world.verify(&message.send(Signing::Assertion)).unwrap_err();
    let wanted = format!("the audience is \"https://other.example\", expected \"{}\"", world.service.entity_id);
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn s11_a_signed_response_needs_a_destination() {
    let world = World::new();
    let mut message = world.message();
    message.destination = None;
    refused(&world, &message.xml(Signing::Response), Check::Destination);
    refused(&world, &message.xml(Signing::Both), Check::Destination);
    world.verify(&message.send(Signing::Assertion)).unwrap();
}

#[test]
fn s11_clocks_may_be_a_minute_apart_or_as_chosen() {
    let mut world = World::new();
    let form = world.message().send(Signing::Both);
    let moved = |seconds: i64| rollcall::base::Timestamp::from_millis(world.now.millis() + seconds * 1_000);
    // Issued at noon, until five past: from a minute before to a minute after.
    world.verify_at(&form, moved(-60)).unwrap();
    world.verify_at(&form, moved(359)).unwrap();
    for seconds in [-61, 360, 3_600] {
        assert_eq!(world.verify_at(&form, moved(seconds)).unwrap_err().check, Check::Time, "{seconds}");
    }
    let (early, late) = (moved(-180), moved(479));
    let (too_early, too_late) = (moved(-181), moved(480));
    world.options.skew_s = 10_000;
    world.verify_at(&form, early).unwrap();
    world.verify_at(&form, late).unwrap();
    assert!(world.verify_at(&form, too_early).is_err() && world.verify_at(&form, too_late).is_err());
}

#[test]
fn s11_every_audience_restriction_must_name_us() {
    let world = World::new();
    let message = world.message();
    let ours = format!("<saml:Audience>{}</saml:Audience>", world.service.entity_id);
    let other = "<saml:Audience>https://other.example</saml:Audience>";
    let restriction = |inside: &str| format!("<saml:AudienceRestriction>{inside}</saml:AudienceRestriction>");
    let send = |conditions: &str| {
        let assertion = with(&message.assertion(), &restriction(&ours), conditions);
        message.response(&message.sign.sign(&assertion))
    };
    world.verify(&crate::support::saml::form(&send(&restriction(&format!("{other}{ours}"))))).unwrap();
    world.verify(&crate::support::saml::form(&send(&format!("{}<saml:OneTimeUse/>", restriction(&ours))))).unwrap();
    refused(&world, &send(&format!("{}{}", restriction(&ours), restriction(other))), Check::Audience);
    refused(&world, &send(&format!("{}<saml:Condition/>", restriction(&ours))), Check::Malformed);
    refused(&world, &send(""), Check::Audience);
}

#[test]
fn s11_what_must_be_there_is_missed() {
    let world = World::new();
    let message = world.message();
    for (from, to) in [
        ("<saml:Conditions ", "</saml:Conditions>"),
        ("<saml:AuthnStatement ", "</saml:AuthnStatement>"),
        ("<saml:Subject>", "</saml:Subject>"),
    ] {
        let assertion = message.sign.sign(&cut(&message.assertion(), from, to).0);
        refused(&world, &message.response(&assertion), Check::Malformed);
    }
    let (without, _) = cut(&message.assertion(), "<saml:SubjectConfirmation ", "</saml:SubjectConfirmation>");
    refused(&world, &message.response(&message.sign.sign(&without)), Check::Subject);
    let (without, issuer) = cut(&message.assertion(), "<saml:Issuer>", "</saml:Issuer>");
    let signed = message.sign.sign(&message.response(&without));
    refused(&world, &signed, Check::Issuer);
    let response = message.response(&message.sign.sign(&message.assertion()));
    let (without, _) = cut(&response, "<saml:Issuer ", "</saml:Issuer>");
    refused(&world, &without, Check::Issuer);
    let format = issuer
        .replace("<saml:Issuer>", "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\">");
    let assertion = with(&message.assertion(), &issuer, &format);
    refused(&world, &message.response(&message.sign.sign(&assertion)), Check::Issuer);
}

#[test]
fn s11_other_versions_and_confirmations_are_refused() {
    let world = World::new();
    let message = world.message();
    let assertion = with(&message.assertion(), "Version=\"2.0\"", "Version=\"1.1\"");
    refused(&world, &message.response(&message.sign.sign(&assertion)), Check::Malformed);
    let response = with(&message.response("@"), "Version=\"2.0\"", "Version=\"1.1\"");
    let response = response.replace('@', &message.sign.sign(&message.assertion()));
    refused(&world, &response, Check::Malformed);
    for method in ["holder-of-key", "sender-vouches"] {
        let assertion = with(&message.assertion(), "cm:bearer", &format!("cm:{method}"));
        refused(&world, &message.response(&message.sign.sign(&assertion)), Check::Subject);
    }
    let (_, confirmation) = cut(&message.assertion(), "<saml:SubjectConfirmation ", "</saml:SubjectConfirmation>");
    let twice = with(&message.assertion(), &confirmation, &confirmation.repeat(2));
    refused(&world, &message.response(&message.sign.sign(&twice)), Check::Subject);
    // Another name inside of the confirmation.
    let other = confirmation.replace(
        "<saml:SubjectConfirmationData ",
        "<saml:NameID>00u0owner</saml:NameID><saml:SubjectConfirmationData ",
    );
    let named = with(&message.assertion(), &confirmation, &other);
    refused(&world, &message.response(&message.sign.sign(&named)), Check::Subject);
}

#[test]
fn s12_an_answer_to_another_browser_is_refused() {
    let mut world = World::new();
    let form = world.message().send(Signing::Both);
    world.outstanding.clear();
    refused_form(&world, &form, Check::Request);
    world.outstanding = vec!["_other".to_owned(), "_request1".to_owned()];
    assert_eq!(world.verify(&form).unwrap().in_response_to.as_deref(), Some("_request1"));
    // Even where sign-ins need no request, one that names a request needs that request.
    world.options.idp_initiated = true;
    world.outstanding.clear();
    refused_form(&world, &form, Check::Request);
    // An unsolicited assertion in a response that says otherwise, and the other way round.
    world.outstanding = vec!["_request1".to_owned()];
    let unsolicited = world.message().confirm("InResponseTo", None);
    refused_form(&world, &unsolicited.send(Signing::Assertion), Check::Request);
    let mut stripped = world.message();
    stripped.in_response_to = None;
    refused_form(&world, &stripped.send(Signing::Assertion), Check::Request);
}

#[test]
fn s13_what_must_be_remembered_is_said() {
    let world = World::new();
    let verified = world.verify(&world.message().send(Signing::Assertion)).unwrap();
    assert_eq!(verified.assertion_id, "_assertion1");
    // Until the last instant at which it would be taken.
    let form = world.message().send(Signing::Assertion);
    let before = verified.expires_at.before(Duration::from_millis(1));
    world.verify_at(&form, before).unwrap();
    assert_eq!(
        world.verify_at(&form, verified.expires_at.after(Duration::from_millis(1))).unwrap_err().check,
        Check::Time
    );
    // However long the identity provider says that it holds.
    let mut message = world.message();
    message.not_on_or_after = Message::shifted(world.now, 3_600 * 24 * 365);
    let message = message.confirm("NotOnOrAfter", Some("2036-01-01T00:00:00Z"));
    let verified = world.verify(&message.send(Signing::Assertion)).unwrap();
    assert!(verified.expires_at < world.now.after(Duration::from_mins(10)));
}

#[test]
fn s14_unsolicited_responses_are_off_by_default() {
    let mut world = World::new();
    world.outstanding.clear();
    let form = world.message().send(Signing::Both);
    refused_form(&world, &form, Check::Request);
    world.options.idp_initiated = true;
    let verified = world.verify(&form).unwrap();
    assert_eq!(verified.in_response_to, None);
}

#[test]
fn a_refusal_of_the_identity_provider_is_told_in_its_words() {
    let world = World::new();
    let mut message = world.message();
    message.status = "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\">\
        <samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext\"/></samlp:StatusCode>\
        <samlp:StatusMessage>AADSTS75011: sign in again</samlp:StatusMessage>"
        .to_owned();
    let error = world.verify(&crate::support::saml::form(&message.response(""))).unwrap_err();
    assert_eq!(error.check, Check::Status);
    let text = "the identity provider answered \"Responder\", \"NoAuthnContext\": \"AADSTS75011: sign in again\"";
    assert_eq!(error.to_string(), text);
    // A failure that brings an assertion along is still a failure.
    refused(&world, &message.xml(Signing::Both), Check::Status);
    // Success is the whole word, and outside.
    message.status = "<samlp:StatusCode Value=\"urn:evil:Responder\"><samlp:StatusCode \
        Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:StatusCode>"
        .to_owned();
    refused(&world, &message.xml(Signing::Both), Check::Status);
}

#[test]
fn a_new_sign_in_is_new() {
    let mut world = World::new();
    let mut message = world.message();
    world.fresh_since = Some(world.now.before(Duration::from_secs(30)));
    world.verify(&message.send(Signing::Both)).unwrap();
    message.authenticated_at = Message::shifted(world.now, -3_600);
    refused(&world, &message.xml(Signing::Both), Check::Freshness);
    world.fresh_since = None;
    world.verify(&message.send(Signing::Both)).unwrap();
}

#[test]
fn a_weaker_sign_in_than_asked_for_is_refused() {
    let mut world = World::new();
    let message = world.message();
    world.options.authn_context = vec!["https://refeds.org/profile/mfa".to_owned()];
    refused(&world, &message.xml(Signing::Both), Check::Freshness);
    world.options.authn_context.push(message.context.clone());
    world.verify(&message.send(Signing::Both)).unwrap();
}

#[test]
fn an_attribute_may_name_the_person() {
    let mut world = World::new();
    let mut message = world.message();
    message.attributes.push(("uid".to_owned(), vec!["ana".to_owned()]));
    world.options.subject = SubjectFrom::Attribute("uid".to_owned());
    assert_eq!(world.verify(&message.send(Signing::Both)).unwrap().identity.subject, "ana");
    message.attributes.push(("uid".to_owned(), vec!["owner".to_owned()]));
    refused(&world, &message.xml(Signing::Both), Check::Claim);
    message.attributes.clear();
    refused(&world, &message.xml(Signing::Both), Check::Claim);
}

#[test]
fn an_address_is_found_and_never_verified() {
    let mut world = World::new();
    let email = |world: &World, message: &Message| world.verify(&message.send(Signing::Both)).unwrap().identity.email;
    let mut message = world.message();
    let found = email(&world, &message).unwrap();
    assert_eq!((found.address.as_str(), found.verified), ("ana@acme.example", false));
    message.attributes = vec![("work".to_owned(), vec!["ana@work.example".to_owned()])];
    assert_eq!(email(&world, &message), None);
    world.options.email_attribute = Some("work".to_owned());
    assert_eq!(email(&world, &message).unwrap().address, "ana@work.example");
    world.options.email_attribute = None;
    message.name_id.as_mut().unwrap().0 = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress".to_owned();
    assert_eq!(email(&world, &message).unwrap().address, "00u1ana");
}
