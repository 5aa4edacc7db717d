//! Sign-ins that succeed, and what leaves us on the way.

use std::collections::BTreeMap;

use rollcall::sso::oidc::{Algorithm, Ask, ClaimNames, Preset};
use rollcall::sso::{Check, Email};
use serde_json::{Value, json};
use url::Url;

use super::{REDIRECT_URI, Rig, assert_refusal};
use crate::support::op::{CLIENT_ID, OpKey};

fn query(url: &str) -> BTreeMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_person_signs_in() {
    let rig = Rig::start().await;
    let signed_in = rig.sign_in().await.unwrap();
    let identity = &signed_in.identity;
    assert_eq!((identity.issuer.as_str(), identity.subject.as_str()), (rig.op.issuer().as_str(), "ana-1"));
    assert_eq!(identity.email, Some(Email { address: "ana@acme.example".to_owned(), verified: true }));
    assert_eq!(identity.claims["name"], [json!("Ana")]);
    assert!(!identity.claims.contains_key("nonce") && !identity.claims.contains_key("at_hash"));
    assert_eq!((signed_in.sub.as_str(), &identity.session, &identity.name_id), ("ana-1", &None, &None));
    assert_eq!(rig.op.state().complaints, Vec::<String>::new());
    assert!(!format!("{signed_in:?}").contains("eyJ"));
}

#[tokio::test]
async fn s20_the_request_carries_state_nonce_and_a_pkce_challenge_that_are_never_repeated() {
    let rig = Rig::start().await;
    let (one, two) = (rig.begin().await, rig.begin().await);
    let asked = query(&one.url);
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("state", &one.flow.state),
        ("nonce", &one.flow.nonce),
    ] {
        assert_eq!(asked.get(name).map(String::as_str), Some(expected), "{name}");
    }
    assert!(!one.url.contains(&one.flow.pkce_verifier));
    let secrets =
        |flow: &rollcall::sso::oidc::Flow| [flow.state.clone(), flow.nonce.clone(), flow.pkce_verifier.clone()];
    for secret in secrets(&one.flow) {
        assert_eq!(secret.len(), 43, "256 bits in base64url");
        assert!(!secrets(&two.flow).contains(&secret));
        assert!(!format!("{:?}", one.flow).contains(&secret));
    }
    // What is stored comes back whole.
    let stored = serde_json::to_string(&one.flow).unwrap();
    assert_eq!(serde_json::from_str::<rollcall::sso::oidc::Flow>(&stored).unwrap(), one.flow);
}

#[tokio::test]
async fn a_hint_and_googles_domain_are_passed_on() {
    let mut rig = Rig::start().await;
    let ask = Ask { login_hint: Some("ana@acme.example".to_owned()), max_age: None };
    let asked = query(&rig.begin_asking(&ask).await.url);
    assert_eq!(asked["login_hint"], "ana@acme.example");
    assert!(!asked.contains_key("prompt") && !asked.contains_key("max_age") && !asked.contains_key("hd"));
    rig.settings.preset = Some(Preset::Google);
    rig.settings.hosted_domains = vec!["acme.example".to_owned()];
    assert_eq!(query(&rig.begin().await.url)["hd"], "acme.example");
}

#[tokio::test]
async fn every_algorithm_that_is_announced_is_accepted() {
    let rig = Rig::start().await;
    let algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "none"];
    rig.op.announce("id_token_signing_alg_values_supported", json!(algorithms));
    let keys = [
        (OpKey::rsa("rsa"), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (OpKey::p256("p256"), &["ES256"]),
        (OpKey::p384("p384"), &["ES384"]),
        (OpKey::ed25519("ed25519"), &["EdDSA"]),
    ];
    for (key, algorithms) in keys {
        rig.op.sign_with(key);
        rig.pass(20);
        for algorithm in algorithms {
            rig.op.forge(move |token| {
                // `at_hash` depends on the algorithm; tests of it are elsewhere.
                token.head("alg", *algorithm);
                token.unset("at_hash");
            });
            rig.sign_in().await.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        }
    }
}

#[tokio::test]
async fn what_real_providers_put_into_tokens_is_accepted() {
    let rig = Rig::start().await;
    let people: [Value; 6] = [
        // Okta
        json!({"sub": "00u1", "ver": 1, "jti": "ID.1", "amr": ["pwd", "mfa"], "idp": "00o1", "auth_time": 1_799_999_000,
            "email": "a@acme.example", "email_verified": true, "groups": ["Everyone", "Agents"], "updated_at": 1_700_000_000,
            "address": {"locality": "Bern"}, "preferred_username": "a@acme.example", "zoneinfo": "Europe/Zurich"}),
        // Google
        json!({"sub": "1081", "azp": CLIENT_ID, "hd": "acme.example", "email": "a@acme.example", "email_verified": true,
            "picture": "https://lh3.example/p", "locale": "de"}),
        // PingFederate writes everything as text
        json!({"sub": "joe", "email": "joe@acme.example", "email_verified": "true", "updated_at": "2026-01-01", "acr": "1",
            "amr": "pwd", "pi.sri": "x1", "address": "Bern", "phone_number_verified": "false"}),
        // Keycloak
        json!({"sub": "f:1:joe", "typ": "ID", "azp": CLIENT_ID, "acr": "1", "sid": "5d1e", "session_state": "5d1e",
            "email": "a@acme.example", "email_verified": false, "resource_access": {"app": {"roles": ["x"]}}}),
        // Auth0
        json!({"sub": "auth0|1", "aud": [CLIENT_ID], "updated_at": "2026-01-01T00:00:00.000Z", "email": "a@acme.example"}),
        // Fractions, as some write instants
        json!({"sub": "frac", "iat": 1_800_000_000.25, "exp": 1_800_000_300.5, "nbf": 1_800_000_000, "email": "a@acme.example"}),
    ];
    for person in people {
        rig.op.person(person.clone());
        let identity = rig.sign_in().await.unwrap_or_else(|error| panic!("{person}: {error}")).identity;
        assert_eq!(person["sub"], identity.subject);
        assert_eq!(identity.session, person["sid"].as_str().map(str::to_owned));
        assert_eq!(identity.context, person["acr"].as_str().map(str::to_owned));
        // Text that says "true" is not true.
        let verified = identity.email.is_some_and(|email| email.verified);
        assert_eq!(verified, person["email_verified"] == json!(true), "{person}");
    }
}

#[tokio::test]
async fn claims_have_the_names_that_the_connection_says() {
    let mut rig = Rig::start().await;
    rig.settings.claims = ClaimNames { subject: Some("employee".to_owned()), email: "upn".to_owned(), groups: None };
    rig.op.person(json!({"sub": "x", "employee": "E7", "upn": "e7@acme.example", "email_verified": true}));
    let signed_in = rig.sign_in().await.unwrap();
    assert_eq!((signed_in.identity.subject.as_str(), signed_in.sub.as_str()), ("E7", "x"));
    // `email_verified` speaks of the claim `email` only.
    assert_eq!(signed_in.identity.email, Some(Email { address: "e7@acme.example".to_owned(), verified: false }));
    rig.op.person(json!({"sub": "x", "upn": "e7@acme.example"}));
    rig.refused(Check::Subject, "no claim \"employee\"").await;
}

#[tokio::test]
async fn a_provider_of_another_name_or_out_of_reach_is_said_so() {
    let mut rig = Rig::start().await;
    rig.op.announce("issuer", "https://other.example");
    let error = rig.party.begin(rig.client(), REDIRECT_URI, &Ask::default()).await.unwrap_err();
    assert_refusal(&error, Check::Issuer, "https://other.example");
    rig.op.announce("issuer", rig.op.issuer());
    rig.pass(5);
    rig.op.announce("token_endpoint", "http://10.0.0.1/token");
    let error = rig.party.begin(rig.client(), REDIRECT_URI, &Ask::default()).await.unwrap_err();
    assert_refusal(&error, Check::Configuration, "http://10.0.0.1/token");
    rig.pass(5);
    rig.op.state().down.push("/.well-known/openid-configuration");
    let error = rig.party.check_provider(&rig.settings).await.unwrap_err();
    assert_refusal(&error, Check::Unreachable, "status 503");
    rig.settings.issuer = "http://127.0.0.1:9".to_owned();
    let error = rig.party.check_provider(&rig.settings).await.unwrap_err();
    assert_refusal(&error, Check::Unreachable, "discovery document");
}

#[tokio::test]
async fn an_allow_list_of_algorithms_holds_against_what_the_provider_announces() {
    let mut rig = Rig::start().await;
    rig.op.announce("id_token_signing_alg_values_supported", json!(["RS256", "ES256"]));
    rig.settings.algorithms = vec![Algorithm::Es256];
    rig.refused(Check::Algorithm, "\"RS256\", and this connection accepts \"ES256\"").await;
    rig.op.sign_with(OpKey::p256("ec"));
    rig.op.forge(|token| {
        token.head("alg", "ES256");
    });
    rig.sign_in().await.unwrap();
}
