//! Metadata of identity providers, and our own.

use rollcall::base::Ambient;
use rollcall::sso::Check;
use rollcall::sso::saml::{
    Binding, IdpSettings, MetadataPolicy, ServiceKeys, broker_metadata, idp_metadata, service_metadata,
};

use super::with;
use crate::support::saml::{Key, SignAs, World};

fn fixture(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/saml").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Metadata with these certificates.
pub(super) fn of(entity_id: &str, certificates: &[&str]) -> String {
    let keys: Vec<String> = certificates
        .iter()
        .map(|pem| {
            let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect::<Vec<_>>().join("\n");
            format!(
                "<KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{body}\n</ds:X509Certificate>\
                 </ds:X509Data></ds:KeyInfo></KeyDescriptor>"
            )
        })
        .collect();
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
         ID=\"_metadata1\" entityID=\"{}\"><IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{}\
         <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.acme.example/sso\"/>\
         </IDPSSODescriptor></EntityDescriptor>",
        entity_id.replace('&', "&amp;"),
        keys.concat()
    )
}

fn read(text: &str) -> Result<IdpSettings, rollcall::sso::SsoError> {
    let world = World::new();
    idp_metadata(text, &MetadataPolicy { now: world.now, signers: &[], loopback_http: false })
}

#[test]
fn metadata_of_real_identity_providers_is_read() {
    for (name, entity_id, certificates, slo, wants_signed) in [
        ("okta-metadata.xml", "http://www.okta.example/exk1acme", 1, 1, false),
        ("entra-metadata.xml", "https://sts.windows.example/00000000-0000-0000-0000-000000000001/", 2, 1, false),
        ("google-metadata.xml", "https://accounts.google.example/o/saml2?idpid=C01acme", 2, 0, false),
        ("adfs-metadata.xml", "http://adfs.acme.example/adfs/services/trust", 1, 2, false),
        ("ping-metadata.xml", "https://auth.pingone.example/00000000-0000-0000-0000-000000000002", 1, 2, true),
        ("keycloak-metadata.xml", "https://keycloak.acme.example/realms/acme", 1, 2, true),
    ] {
        let idp = read(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(idp.entity_id, entity_id, "{name}");
        assert_eq!(idp.certificates.len(), certificates, "{name}");
        assert_eq!(idp.slo.len(), slo, "{name}");
        assert_eq!(idp.wants_signed_requests, wants_signed, "{name}");
        assert!(idp.sso.iter().any(|endpoint| endpoint.binding == Binding::Redirect), "{name}");
        let kept: IdpSettings = serde_json::from_str(&serde_json::to_string(&idp).unwrap()).unwrap();
        assert_eq!(kept, idp, "{name}");
    }
}

#[test]
fn metadata_that_nobody_can_sign_in_with_is_refused() {
    let good = of("https://idp.acme.example", &[Key::Idp.pem()]);
    read(&good).unwrap();
    for (text, check) in [
        (of("https://idp.acme.example", &[]), Check::Configuration),
        (of("", &[Key::Idp.pem()]), Check::Configuration),
        (with(&good, "KeyDescriptor use=\"signing\"", "KeyDescriptor use=\"encryption\""), Check::Configuration),
        (with(&good, "HTTP-Redirect", "SOAP"), Check::Configuration),
        (with(&good, "https://idp.acme.example/sso", "http://idp.acme.example/sso"), Check::Configuration),
        (with(&good, "https://idp.acme.example/sso", "javascript:alert(1)"), Check::Configuration),
        (with(&good, "https://idp.acme.example/sso", "/sso"), Check::Configuration),
        (with(&good, "SAML:2.0:protocol", "SAML:1.1:protocol"), Check::Configuration),
        (with(&good, "<IDPSSODescriptor", "<IDPSSODescriptor validUntil=\"2026-11-22T12:00:00Z\""), Check::Time),
        (with(&good, "urn:oasis:names:tc:SAML:2.0:metadata", "urn:other"), Check::Malformed),
        (format!("<!DOCTYPE x>{good}"), Check::Malformed),
        ("<html></html>".to_owned(), Check::Malformed),
        (String::new(), Check::Malformed),
        (format!("<x>{}</x>", "y".repeat(2_000_001)), Check::Limit),
    ] {
        let error = read(&text).unwrap_err();
        assert_eq!(error.check, check, "{error}");
    }
}

#[test]
fn one_identity_provider_is_found_among_entities() {
    let one = of("https://idp.acme.example", &[Key::Idp.pem()]);
    let service = "<EntityDescriptor entityID=\"urn:sp\"><SPSSODescriptor/></EntityDescriptor>";
    let several = |inside: &str| {
        format!("<EntitiesDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\">{inside}</EntitiesDescriptor>")
    };
    assert_eq!(read(&several(&format!("{service}{one}"))).unwrap().entity_id, "https://idp.acme.example");
    let other = one.replace("_metadata1", "_metadata2");
    for inside in [format!("{one}{other}"), service.to_owned()] {
        assert_eq!(read(&several(&inside)).unwrap_err().check, Check::Configuration);
    }
}

#[test]
fn s17_a_pinned_signer_must_have_signed() {
    let world = World::new();
    let plain = of("https://idp.acme.example", &[Key::Idp.pem()]);
    let sign = |key: Key| {
        let at = plain.find('>').unwrap() + 1;
        let sign = SignAs::with(key);
        sign.complete(&format!("{}{}{}", &plain[..at], sign.template("_metadata1"), &plain[at..]))
    };
    let signers = [Key::Next.certificate()];
    let read =
        |text: &str| idp_metadata(text, &MetadataPolicy { now: world.now, signers: &signers, loopback_http: false });
    let good = sign(Key::Next);
    assert_eq!(read(&good).unwrap().certificates, [Key::Idp.certificate()]);
    for text in [
        plain.clone(),
        sign(Key::Idp),
        with(&good, "https://idp.acme.example/sso", "https://evil.example/sso"),
        format!("<EntitiesDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\">{good}</EntitiesDescriptor>"),
    ] {
        assert_eq!(read(&text).unwrap_err().check, Check::Signature);
    }
}

#[test]
fn endpoints_on_this_machine_need_leave() {
    let world = World::new();
    let good = of("https://idp.acme.example", &[Key::Idp.pem()]);
    for (url, taken) in [("http://127.0.0.1:9/sso", true), ("http://[::1]:9/sso", true), ("http://10.0.0.1/sso", false)]
    {
        let text = with(&good, "https://idp.acme.example/sso", url);
        assert_eq!(read(&text).unwrap_err().check, Check::Configuration);
        let policy = MetadataPolicy { now: world.now, signers: &[], loopback_http: true };
        assert_eq!(idp_metadata(&text, &policy).is_ok(), taken, "{url}");
    }
}

#[test]
fn our_metadata_names_all_our_keys() {
    let mut world = World::new();
    world.service.entity_id = "https://rollcall.example/a?b&c".to_owned();
    world.keys.announce(&Ambient::system()).unwrap();
    let text = service_metadata(&world.service, &world.keys, &world.options);
    for key in world.keys.all() {
        for part in [&key.signing, &key.encryption] {
            assert!(text.contains(&part.certificate().base64()), "{text}");
        }
    }
    assert_eq!(text.matches("use=\"signing\"").count(), 2);
    assert_eq!(text.matches("use=\"encryption\"").count(), 2);
    for part in [
        "entityID=\"https://rollcall.example/a?b&amp;c\"",
        "WantAssertionsSigned=\"true\"",
        "AuthnRequestsSigned=\"true\"",
        "<md:AssertionConsumerService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\"",
        "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn keys_are_made_kept_and_never_shown() {
    let keys = ServiceKeys::generate(&Ambient::system()).unwrap();
    let kept = serde_json::to_string(&keys).unwrap();
    let again: ServiceKeys = serde_json::from_str(&kept).unwrap();
    assert_eq!(again.all()[0].signing.certificate(), keys.all()[0].signing.certificate());
    assert_ne!(keys.all()[0].signing.certificate(), keys.all()[0].encryption.certificate());
    let value: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let secret = value["keys"][0]["signing"]["secret"].as_str().unwrap();
    assert!(secret.len() > 1_000 && !format!("{keys:?}").contains(&secret[..20]));
    assert!(keys.all()[0].signing.certificate().pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
    // What we make as an identity provider reads as metadata of one.
    let broker = rollcall::sso::saml::Broker {
        entity_id: "https://rollcall.example/broker".to_owned(),
        sso_url: "https://rollcall.example/broker/sso".to_owned(),
    };
    let read = read(&broker_metadata(&broker, &keys)).unwrap();
    assert_eq!(read.certificates, [keys.all()[0].signing.certificate().clone()]);
    assert_eq!(read.sso.len(), 2);
}
