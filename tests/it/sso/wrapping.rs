//! Signatures that are good, around or beside what nobody signed.

use rollcall::sso::Check;

use super::{cut, refused, with};
use crate::support::saml::{Key, Message, SignAs, Signing, World};

/// A signed assertion taken apart, and what an attacker wants to be read in its place.
struct Parts {
    message: Message,
    /// As the identity provider signed it.
    signed: String,
    /// The same without its signature.
    bare: String,
    signature: String,
    /// Somebody else's name, another id, no signature.
    evil: String,
}

fn parts(world: &World) -> Parts {
    let message = world.message();
    let signed = message.sign.sign(&message.assertion());
    let (bare, signature) = cut(&signed, "<ds:Signature ", "</ds:Signature>");
    let evil = with(&with(&bare, "00u1ana", "00u0owner"), "_assertion1", "_evil");
    Parts { message, signed, bare, signature, evil }
}

/// Puts text behind the first issuer.
fn behind_issuer(xml: &str, text: &str) -> String {
    with(xml, "</saml:Issuer>", &format!("</saml:Issuer>{text}"))
}

fn inside_signature(signature: &str, text: &str) -> String {
    with(signature, "</ds:Signature>", &format!("<ds:Object>{text}</ds:Object></ds:Signature>"))
}

#[test]
fn s01_nothing_that_is_not_signed_is_read() {
    let world = World::new();
    for response in ["", "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/>"] {
        let xml = behind_issuer(&world.message().response("@"), response).replace('@', &world.message().assertion());
        refused(&world, &xml, Check::Signature);
    }
    // A signature that was taken away, one of another message, and one whose value is empty.
    let both = world.message().xml(Signing::Both);
    let (without, _) = cut(&both, "<ds:Signature ", "</ds:Signature>");
    world.verify(&crate::support::saml::form(&without)).unwrap();
    let (neither, _) = cut(&without, "<ds:Signature ", "</ds:Signature>");
    refused(&world, &neither, Check::Signature);
    let single = world.message().xml(Signing::Assertion);
    let (empty, _) = cut(&single, "<ds:SignatureValue>", "</ds:SignatureValue>");
    refused(&world, &empty, Check::Signature);
    let (_, value) = cut(&single, "<ds:SignatureValue>", "</ds:SignatureValue>");
    refused(&world, &with(&single, &value, "<ds:SignatureValue></ds:SignatureValue>"), Check::Signature);
}

#[test]
fn s01_any_change_of_what_is_signed_is_found() {
    let world = World::new();
    for signing in [Signing::Assertion, Signing::Response, Signing::Both] {
        let xml = world.message().xml(signing);
        for (from, to) in [
            ("00u1ana", "00u0owner"),
            ("ana@acme.example", "owner@acme.example"),
            ("Agents", "Owners"),
            ("SessionIndex=\"_session1\"", "SessionIndex=\"_session2\""),
            ("<saml:AttributeValue>", "<saml:AttributeValue >x"),
            (">Madrid<", "> Madrid<"),
        ] {
            refused(&world, &with(&xml, from, to), Check::Signature);
        }
    }
    // With the response signed, what stands around the assertion is signed, too.
    let xml = world.message().xml(Signing::Response);
    let now = world.now.to_string();
    refused(&world, &xml.replacen(&now, "2026-11-22T12:00:01.000Z", 1), Check::Signature);
}

#[test]
fn s02_wrapped_assertions_are_refused() {
    let world = World::new();
    let Parts { message, signed, bare, signature, evil } = parts(&world);
    let evil_with = |text: &str| behind_issuer(&evil, text);
    let extensions = |text: &str| format!("<samlp:Extensions>{text}</samlp:Extensions>");
    // XSW3 to XSW8, by the numbers of Somorovsky and others, "On Breaking SAML" (2012).
    let forged = [
        message.response(&format!("{evil}{signed}")),
        message.response(&with(&evil, "</saml:Assertion>", &format!("{signed}</saml:Assertion>"))),
        message.response(&format!("{}{bare}", evil_with(&signature))),
        message.response(&evil_with(&inside_signature(&signature, &bare))),
        behind_issuer(&message.response(&evil), "")
            .replace("<samlp:Status>", &format!("{}<samlp:Status>", extensions(&signed))),
        message.response(&evil_with(&inside_signature(&signature, &signed))),
        // The same with the places of both changed, and with neither having a place of its own.
        message.response(&format!("{signed}{evil}")),
        message.response(&with(&signed, "</saml:Assertion>", &format!("{evil}</saml:Assertion>"))),
        message.response(&format!("{bare}{}", evil_with(&signature))),
        message.response(&format!("{evil}{signature}{bare}")),
        message.response(&evil).replace("</samlp:Response>", &format!("{signature}{bare}</samlp:Response>")),
        message.response(&format!("<saml:Advice>{signed}</saml:Advice>{evil}")),
        message.response(&with(
            &evil,
            "<saml:AttributeStatement>",
            &format!("<saml:Advice>{signed}</saml:Advice><saml:AttributeStatement>"),
        )),
        message.response(&format!("<x:Any xmlns:x=\"urn:x\">{signed}</x:Any>{evil}")),
        message.response(&format!("{evil}<samlp:Status>{signed}</samlp:Status>")),
    ];
    for xml in forged {
        refused(&world, &xml, Check::Malformed);
    }
}

#[test]
fn s02_wrapped_responses_are_refused() {
    let world = World::new();
    let message = world.message();
    let signed = message.xml(Signing::Response);
    let (bare, signature) = cut(&signed, "<ds:Signature ", "</ds:Signature>");
    let evil = with(&with(&bare, "00u1ana", "00u0owner"), "_response1", "_evil");
    let around = |text: &str| behind_issuer(&evil, "@").replacen('@', text, 1).replace('@', "");
    for xml in [
        // XSW1 and XSW2.
        around(&inside_signature(&signature, &bare)),
        around(&format!("{bare}{signature}")),
        around(&format!("{signature}{bare}")),
        around(&signed),
        with(&evil, "</samlp:Response>", &format!("{signed}</samlp:Response>")),
        with(&signed, "</samlp:Response>", &format!("{evil}</samlp:Response>")),
        format!("<x:Envelope xmlns:x=\"urn:x\">{signed}{evil}</x:Envelope>"),
    ] {
        refused(&world, &xml, Check::Malformed);
    }
    // The signature alone, on another response.
    refused(&world, &around(&signature), Check::Signature);
    // Both have the same id.
    let same = with(&evil, "_evil", "_response1");
    refused(&world, &with(&same, "</samlp:Response>", &format!("{signed}</samlp:Response>")), Check::Malformed);
}

#[test]
fn s03_two_assertions_are_refused() {
    let world = World::new();
    let Parts { message, signed, evil, .. } = parts(&world);
    let second = message.sign.sign(&with(&message.assertion(), "_assertion1", "_assertion2"));
    for inside in [format!("{evil}{signed}"), format!("{signed}{evil}"), format!("{signed}{second}"), signed.repeat(2)]
    {
        refused(&world, &message.response(&inside), Check::Malformed);
        // Signing the response around them makes it no better.
        if inside != signed.repeat(2) {
            let around = message.response("<x/>");
            let around = message.sign.sign(&around.replace("<x/>", &inside));
            refused(&world, &around, Check::Malformed);
        }
    }
    refused(&world, &message.response(""), Check::Malformed);
}

#[test]
fn s08_other_references_and_transforms_are_refused() {
    let world = World::new();
    let message = world.message();
    let dsig = "http://www.w3.org/2000/09/xmldsig#";
    let enveloped = format!("<ds:Transform Algorithm=\"{dsig}enveloped-signature\"/>");
    let exclusive = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
    let signed_as = |change: &dyn Fn(&mut SignAs)| {
        let mut sign = SignAs::with(Key::Idp);
        change(&mut sign);
        message.response(&sign.sign(&message.assertion()))
    };
    let cases: Vec<(String, Check)> = vec![
        (signed_as(&|sign| sign.uri = Some(String::new())), Check::Signature),
        (signed_as(&|sign| sign.uri = Some("#xpointer(/)".to_owned())), Check::Signature),
        (signed_as(&|sign| sign.uri = Some("#xpointer(id('_assertion1'))".to_owned())), Check::Signature),
        (signed_as(&|sign| sign.transforms.clone_from(&enveloped)), Check::Signature),
        (signed_as(&|sign| sign.transforms = format!("{enveloped}{exclusive}{exclusive}")), Check::Signature),
        (
            signed_as(&|sign| {
                let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
                sign.transforms = format!("{enveloped}<ds:Transform Algorithm=\"{inclusive}\"/>");
            }),
            Check::Algorithm,
        ),
        (
            signed_as(&|sign| {
                let comments = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";
                sign.transforms = format!("{enveloped}<ds:Transform Algorithm=\"{comments}\"/>");
            }),
            Check::Algorithm,
        ),
        (
            signed_as(&|sign| {
                sign.canonicalization = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315".to_owned();
            }),
            Check::Algorithm,
        ),
        (signed_as(&|sign| sign.more = "<ds:Object>x</ds:Object>".to_owned()), Check::Signature),
    ];
    for (xml, check) in cases {
        refused(&world, &xml, check);
    }
    let written = exclusive.replace("/>", "></ds:Transform>");
    // Changed after signing: the order of the transforms, what it names is another thing, or several.
    let good = message.xml(Signing::Assertion);
    let (_, reference) = cut(&good, "<ds:Reference ", "</ds:Reference>");
    for (to, check) in [
        (format!("{reference}{reference}"), Check::Signature),
        (reference.replace("#_assertion1", "#_response1"), Check::Signature),
        (reference.replace("#_assertion1", "http://127.0.0.1:1/assertion.xml"), Check::Signature),
        (reference.replace("#_assertion1", "Cargo.toml"), Check::Signature),
        (reference.replace("#_assertion1", "cid:attachment"), Check::Signature),
        (reference.replace(" URI=\"#_assertion1\"", ""), Check::Signature),
        (String::new(), Check::Signature),
        (with(&with(&reference, &written, ""), &enveloped, &format!("{written}{enveloped}")), Check::Signature),
        (with(&reference, "<ds:DigestValue>", "<ds:DigestValue><x/>"), Check::Malformed),
        (with(&reference, "<ds:DigestValue>", "<ds:DigestValue>AAAA"), Check::Signature),
    ] {
        refused(&world, &with(&good, &reference, &to), check);
    }
}

#[test]
fn s08_signatures_in_other_namespaces_and_identifiers_in_others_are_refused() {
    let world = World::new();
    let good = world.message().xml(Signing::Assertion);
    refused(&world, &good.replace("http://www.w3.org/2000/09/xmldsig#\"", "urn:other:dsig\""), Check::Malformed);
    let prefixed = with(&good, "<saml:Assertion ", "<saml:Assertion xmlns:x=\"urn:x\" x:ID=\"_other\" ");
    refused(&world, &prefixed, Check::Malformed);
    refused(&world, &with(&good, " ID=\"_assertion1\"", " Id=\"_assertion1\""), Check::Malformed);
    refused(&world, &with(&good, " ID=\"_response1\"", " ID=\"_assertion1\""), Check::Malformed);
    refused(&world, &with(&good, "xmlns:samlp=", "xmlns:void=\"relative\" xmlns:samlp="), Check::Malformed);
    let renamed = with(&good, "urn:oasis:names:tc:SAML:2.0:protocol\"", "urn:oasis:names:tc:SAML:1.1:protocol\"");
    refused(&world, &renamed, Check::Malformed);
    // A second signature inside of the first one's key.
    let (_, info) = cut(&good, "<ds:X509Data>", "</ds:X509Data>");
    let hidden = with(&good, &info, "<x:Signature xmlns:x=\"urn:x\"/>");
    refused(&world, &hidden, Check::Malformed);
}

#[test]
fn s07_prefixes_that_are_kept_are_few() {
    let world = World::new();
    let good = world.message().styled(crate::support::saml::Style::Okta).xml(Signing::Assertion);
    let many: Vec<String> = (0..9_000).map(|n| format!("p{n}")).collect();
    let forged = with(&good, "PrefixList=\"xs\"", &format!("PrefixList=\"{}\"", many.join(" ")));
    refused(&world, &forged, Check::Limit);
}
