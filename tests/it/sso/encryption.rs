//! Encrypted assertions.

use rollcall::base::Ambient;
use rollcall::sso::Check;

use super::{cut, refused, with};
use crate::support::saml::{Encryption, Key, SignAs, Signing, World, encrypted};

#[test]
fn s04_encryption_is_no_signature() {
    let world = World::new();
    for encryption in [Encryption::gcm(), Encryption { cipher: Encryption::AES128_GCM, ..Encryption::gcm() }] {
        let mut message = world.message();
        message.encrypt = Some(encryption);
        // Our certificate is public: anybody can encrypt for us.
        refused(&world, &message.xml(Signing::Nothing), Check::Signature);
        message.sign = SignAs::with(Key::Stranger);
        refused(&world, &message.xml(Signing::Assertion), Check::Encryption);
        refused(&world, &message.xml(Signing::Response), Check::Signature);
        // A good response signature does not cover for a bad one inside.
        let inside = message.inside(Signing::Assertion);
        message.sign = SignAs::with(Key::Idp);
        refused(&world, &message.sign.sign(&message.response(&inside)), Check::Signature);
    }
}

#[test]
fn s04_what_is_encrypted_is_judged_like_what_is_not() {
    let world = World::new();
    let certificate = world.encryption_certificate();
    let message = world.message();
    let signed = message.sign.sign(&message.assertion());
    let (bare, signature) = cut(&signed, "<ds:Signature ", "</ds:Signature>");
    let evil = with(&with(&bare, "00u1ana", "00u0owner"), "_assertion1", "_evil");
    for inside in [
        format!("{evil}{signed}"),
        format!("{signed}{evil}"),
        with(&evil, "</saml:Assertion>", &format!("{signed}</saml:Assertion>")),
        with(&evil, "</saml:Issuer>", &format!("</saml:Issuer>{signature}")),
        format!("<!DOCTYPE x>{signed}"),
        format!("</decrypted><decrypted>{signed}"),
        format!("{signed}</decrypted><x/>"),
        with(&signed, "00u1ana", "00u1<!---->ana"),
        String::new(),
        "x".to_owned(),
    ] {
        let inside = encrypted(&inside, &Encryption::gcm(), &certificate);
        refused(&world, &message.response(&inside), Check::Encryption);
        // In a signed response it is said what is wrong.
        let response = message.sign.sign(&message.response(&inside));
        assert!(world.verify(&crate::support::saml::form(&response)).is_err());
    }
    // Two at once, or one beside a plain one.
    let one = encrypted(&signed, &Encryption::gcm(), &certificate);
    let other = one.replace("_key1", "_key2").replace("_data1", "_data2");
    for inside in [format!("{one}{other}"), format!("{one}{signed}"), format!("{evil}{one}")] {
        refused(&world, &message.response(&inside), Check::Malformed);
    }
}

#[test]
fn s04_cbc_is_taken_only_where_nobody_can_try_it_out() {
    let mut world = World::new();
    let mut message = world.message();
    message.encrypt = Some(Encryption::cbc());
    refused(&world, &message.xml(Signing::Assertion), Check::Encryption);
    refused(&world, &message.xml(Signing::Nothing), Check::Encryption);
    world.verify(&message.send(Signing::Response)).unwrap();
    world.verify(&message.send(Signing::Both)).unwrap();
    world.options.allow_cbc = true;
    world.verify(&message.send(Signing::Assertion)).unwrap();
    refused(&world, &message.xml(Signing::Nothing), Check::Signature);
}

/// Whatever is wrong inside of what nobody signed is answered alike.
#[test]
fn s04_answers_tell_nothing_of_what_is_encrypted() {
    let mut world = World::new();
    world.options.allow_cbc = true;
    let mut message = world.message();
    message.encrypt = Some(Encryption::cbc());
    let good = message.xml(Signing::Assertion);
    let (_, value) = cut(&good, "</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>", "</xenc:CipherValue>");
    let text = value
        .trim_start_matches("</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>")
        .trim_end_matches("</xenc:CipherValue>");
    let mut answers = std::collections::BTreeSet::new();
    for at in [0, 40, text.len() / 2, text.len() - 30] {
        let byte = if &text[at..=at] == "A" { "B" } else { "A" };
        let damaged = format!("{}{byte}{}", &text[..at], &text[at + 1..]);
        let error = world.verify(&crate::support::saml::form(&with(&good, text, &damaged))).unwrap_err();
        answers.insert(error.to_string());
    }
    let stranger = SignAs::with(Key::Stranger).sign(&message.assertion());
    let inside = encrypted(&stranger, &Encryption::cbc(), &world.encryption_certificate());
    let error = world.verify(&crate::support::saml::form(&message.response(&inside))).unwrap_err();
    answers.insert(error.to_string());
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[test]
fn keys_may_stand_beside_and_have_other_digests() {
    let world = World::new();
    let sha256 = Some("http://www.w3.org/2001/04/xmlenc#sha256");
    for encryption in [
        Encryption { key_beside: true, ..Encryption::gcm() },
        Encryption { digest: Some("http://www.w3.org/2000/09/xmldsig#sha1"), ..Encryption::gcm() },
        Encryption { transport: "http://www.w3.org/2009/xmlenc11#rsa-oaep", digest: sha256, ..Encryption::gcm() },
    ] {
        let mut message = world.message();
        message.encrypt = Some(encryption);
        world.verify(&message.send(Signing::Assertion)).unwrap();
    }
}

#[test]
fn an_assertion_that_borrows_namespaces_of_the_response_is_taken() {
    let world = World::new();
    let message = world.message();
    let declared = " xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
    let borrowed = with(&message.sign.sign(&message.assertion()), declared, "");
    let inside = encrypted(&borrowed, &Encryption::gcm(), &world.encryption_certificate());
    world.verify(&crate::support::saml::form(&message.response(&inside))).unwrap();
}

#[test]
fn an_assertion_that_is_not_encrypted_is_refused_where_it_must_be() {
    let mut world = World::new();
    world.options.want_encrypted = true;
    refused(&world, &world.message().xml(Signing::Both), Check::Encryption);
}

#[test]
fn old_and_announced_keys_open_what_is_encrypted_for_them() {
    let mut world = World::new();
    let mut message = world.message();
    message.encrypt = Some(Encryption::gcm());
    let before = message.send(Signing::Both);
    world.keys.announce(&Ambient::system()).unwrap();
    world.verify(&before).unwrap();
    message.certificate = world.keys.all()[1].encryption.certificate().clone();
    let after = message.send(Signing::Both);
    world.verify(&after).unwrap();
    world.keys.promote();
    world.verify(&before).unwrap();
    world.verify(&after).unwrap();
    world.keys.retire();
    world.verify(&after).unwrap();
    assert_eq!(world.verify(&before).unwrap_err().check, Check::Encryption);
}
