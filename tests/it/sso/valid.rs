//! Responses as real identity providers write them are taken, with all that they say.

use rollcall::sso::saml::SubjectFrom;
use serde_json::json;

use crate::support::number;
use crate::support::saml::{Encryption, Key, SignAs, Signing, Style, World, form};

const SIGNED: [Signing; 3] = [Signing::Assertion, Signing::Response, Signing::Both];
const STYLES: [Style; 6] = [Style::Plain, Style::Okta, Style::Entra, Style::Adfs, Style::Ping, Style::Google];

#[test]
fn every_style_is_taken_however_it_is_signed() {
    for style in STYLES {
        for signing in SIGNED {
            let mut world = World::new();
            let message = world.message().styled(style);
            if style == Style::Adfs {
                world.options.subject = SubjectFrom::Attribute(message.attributes[0].0.clone());
            }
            let verified = world.verify(&message.send(signing));
            let verified = verified.unwrap_or_else(|error| panic!("{style:?} {signing:?}: {:?} {error}", error.check));
            let identity = verified.identity;
            assert_eq!(identity.email.unwrap().address, "ana@acme.example", "{style:?}");
            assert_eq!(identity.issuer, world.idp.entity_id);
            assert_eq!(identity.claims[&message.attributes[1].0], [json!("Agents"), json!("Madrid")]);
            assert_eq!(identity.session.as_deref(), Some("_session1"));
            assert_eq!(verified.assertion_id, "_assertion1");
            assert_eq!(verified.in_response_to.as_deref(), Some("_request1"));
        }
    }
}

#[test]
fn every_style_is_taken_encrypted() {
    for style in STYLES {
        for signing in SIGNED {
            let mut world = World::new();
            world.options.want_encrypted = true;
            let mut message = world.message().styled(style);
            if style == Style::Adfs {
                world.options.subject = SubjectFrom::Attribute(message.attributes[0].0.clone());
            }
            message.encrypt = Some(Encryption::gcm());
            let verified = world.verify(&message.send(signing));
            verified.unwrap_or_else(|error| panic!("{style:?} {signing:?}: {:?} {error}", error.check));
        }
    }
}

#[test]
fn elliptic_curves_and_longer_digests_are_taken() {
    for (key, method, digest) in [
        (Key::P256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"),
        (Key::P384, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "http://www.w3.org/2001/04/xmlenc#sha512"),
        (
            Key::Idp,
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            "http://www.w3.org/2001/04/xmldsig-more#sha384",
        ),
        (Key::Idp, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512"),
        (Key::Idp, "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", "http://www.w3.org/2001/04/xmlenc#sha256"),
    ] {
        let mut world = World::new();
        world.idp.certificates = vec![Key::Next.certificate(), key.certificate()];
        let mut message = world.message();
        message.sign = SignAs { method: method.to_owned(), digest: digest.to_owned(), ..SignAs::with(key) };
        for signing in SIGNED {
            world.verify(&message.send(signing)).unwrap_or_else(|error| panic!("{method} {signing:?}: {error}"));
        }
    }
}

/// The samples in `fixtures/saml` are what the generator writes (`ROLLCALL_TEST_WRITE_FIXTURES=1` writes them anew), and are
/// taken.
#[test]
fn the_samples_are_taken() {
    for (name, style, signing) in [
        ("okta", Style::Okta, Signing::Both),
        ("entra", Style::Entra, Signing::Assertion),
        ("google", Style::Google, Signing::Response),
        ("adfs", Style::Adfs, Signing::Assertion),
        ("ping", Style::Ping, Signing::Response),
        ("keycloak", Style::Plain, Signing::Both),
    ] {
        let path = format!("{}/fixtures/saml/{name}-response.xml", env!("CARGO_MANIFEST_DIR"));
        let mut world = World::new();
        let written = world.message().styled(style).xml(signing);
        if number("ROLLCALL_TEST_WRITE_FIXTURES", 0) == 1 {
            std::fs::write(&path, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(kept, written, "{path}");
        if style == Style::Adfs {
            let name = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
            world.options.subject = SubjectFrom::Attribute(name.to_owned());
        }
        world.verify(&form(&kept)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
