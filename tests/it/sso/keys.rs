//! Whose keys count, and which algorithms.

use rollcall::sso::Check;
use rollcall::sso::saml::{Certificate, MetadataPolicy, idp_metadata};

use super::{cut, refused, with};
use crate::support::saml::{Encryption, Key, SignAs, Signing, World, form};

const SIGNED: [Signing; 3] = [Signing::Assertion, Signing::Response, Signing::Both];

#[test]
fn s09_only_the_connections_keys_count() {
    let world = World::new();
    let mut message = world.message();
    message.sign = SignAs::with(Key::Stranger);
    for signing in SIGNED {
        refused(&world, &message.xml(signing), Check::Signature);
        // Nor does it help to say that it is the right key.
        message.sign.key_info = Some("<ds:KeyName>idp.acme.example</ds:KeyName>".to_owned());
        refused(&world, &message.xml(signing), Check::Signature);
        let right = Key::Idp.certificate().base64();
        let right = format!("<ds:X509Data><ds:X509Certificate>{right}</ds:X509Certificate></ds:X509Data>");
        message.sign.key_info = Some(right);
        refused(&world, &message.xml(signing), Check::Signature);
        message.sign.key_info = None;
    }
    // One good signature does not excuse a bad one.
    let message = world.message();
    let strange = SignAs::with(Key::Stranger).sign(&message.assertion());
    refused(&world, &message.sign.sign(&message.response(&strange)), Check::Signature);
    let good = message.sign.sign(&message.assertion());
    refused(&world, &SignAs::with(Key::Stranger).sign(&message.response(&good)), Check::Signature);
}

#[test]
fn s09_key_info_is_ignored_and_several_certificates_are_tried() {
    let mut world = World::new();
    world.idp.certificates = vec![Key::Next.certificate(), Key::P256.certificate(), Key::Idp.certificate()];
    for key in [Key::Idp, Key::Next, Key::P256] {
        let mut message = world.message();
        message.sign = SignAs::with(key);
        for info in [None, Some(String::new()), Some("<ds:KeyName>other</ds:KeyName>".to_owned())] {
            message.sign.key_info = info;
            for signing in SIGNED {
                world.verify(&message.send(signing)).unwrap();
            }
        }
        let (without, _) = cut(&message.xml(Signing::Assertion), "<ds:KeyInfo>", "</ds:KeyInfo>");
        world.verify(&form(&without)).unwrap();
    }
    // An address in it is never asked.
    let mut message = world.message();
    let away = "<ds:RetrievalMethod URI=\"http://127.0.0.1:1/key\" Type=\"http://www.w3.org/2000/09/xmldsig#rawX509Certificate\"/>";
    message.sign.key_info = Some(away.to_owned());
    world.verify(&message.send(Signing::Both)).unwrap();
}

#[test]
fn s09_a_connection_without_certificates_takes_nobody() {
    let mut world = World::new();
    world.idp.certificates.clear();
    for signing in [Signing::Nothing, Signing::Assertion, Signing::Response, Signing::Both] {
        refused(&world, &world.message().xml(signing), Check::Configuration);
    }
}

#[test]
fn s10_weak_algorithms_are_refused() {
    let world = World::new();
    let mut message = world.message();
    message.sign.digest = "http://www.w3.org/2000/09/xmldsig#sha1".to_owned();
    for signing in SIGNED {
        refused(&world, &message.xml(signing), Check::Algorithm);
    }
    // The names alone decide, before anything is computed.
    let good = world.message().xml(Signing::Assertion);
    for method in [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "none",
        "",
    ] {
        let forged = with(&good, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", method);
        refused(&world, &forged, Check::Algorithm);
    }
    // With leave they are taken.
    let mut lenient = World::new();
    lenient.options.allow_sha1 = true;
    lenient.verify(&message.send(Signing::Both)).unwrap();
}

#[test]
fn s10_short_keys_are_refused() {
    let weak = Certificate::from_base64(Key::Weak.pem()).unwrap_err();
    assert_eq!(weak.check, Check::Algorithm, "{weak}");
    assert!(weak.detail.contains("1024"), "{weak}");
    let world = World::new();
    let policy = MetadataPolicy { now: world.now, signers: &[], loopback_http: false };
    let metadata = super::metadata::of(&world.idp.entity_id, &[Key::Weak.pem()]);
    assert_eq!(idp_metadata(&metadata, &policy).unwrap_err().check, Check::Algorithm);
    // Beside a good one it is left out.
    let metadata = super::metadata::of(&world.idp.entity_id, &[Key::Weak.pem(), Key::Idp.pem()]);
    assert_eq!(idp_metadata(&metadata, &policy).unwrap().certificates, [Key::Idp.certificate()]);
}

#[test]
fn s10_weak_encryption_is_refused() {
    let mut world = World::new();
    world.options.allow_cbc = true;
    let mut message = world.message();
    message.encrypt = Some(Encryption::gcm());
    let good = message.xml(Signing::Assertion);
    for (from, to) in [
        (Encryption::OAEP, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        (Encryption::OAEP, "http://www.w3.org/2001/04/xmlenc#kw-aes256"),
        (Encryption::AES256_GCM, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        (Encryption::AES256_GCM, "http://www.w3.org/2001/04/xmlenc#none"),
    ] {
        refused(&world, &with(&good, from, to), Check::Algorithm);
    }
}
