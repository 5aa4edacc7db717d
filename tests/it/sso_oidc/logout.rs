//! Logout tokens, and the way out at the provider.

use std::sync::Arc;

use rollcall::net::SecretString;
use rollcall::sso::Check;
use serde_json::{Value, json};
use url::Url;

use super::{Rig, assert_refusal};
use crate::support::op::{CLIENT_ID, CLIENT_SECRET, Draft, OpKey};

async fn refused(rig: &Rig, check: Check, words: &str, change: impl FnOnce(&mut Draft)) {
    let mut draft = rig.op.logout_draft(json!({"sub": "ana-1", "sid": "s-1"}));
    change(&mut draft);
    let token = rig.op.sign(draft);
    let error = rig.party.logout_notice(&rig.settings, &token).await.expect_err(words);
    assert_refusal(&error, check, words);
}

#[tokio::test]
async fn s26_a_logout_token_names_a_person_or_a_session_once() {
    let rig = Rig::start().await;
    for (claims, sub, sid) in [
        (json!({"sub": "ana-1", "sid": "s-1", "jti": "j"}), Some("ana-1"), Some("s-1")),
        (json!({"sub": "ana-1", "jti": "j"}), Some("ana-1"), None),
        (json!({"sid": "s-1", "jti": "j", "aud": [CLIENT_ID]}), None, Some("s-1")),
    ] {
        let token = rig.op.sign(rig.op.logout_draft(claims));
        let notice = rig.party.logout_notice(&rig.settings, &token).await.unwrap();
        assert_eq!((notice.sub.as_deref(), notice.session.as_deref(), notice.jti.as_str()), (sub, sid, "j"));
        assert_eq!(notice.issuer, rig.op.issuer());
        // It is remembered for as long as it would be accepted.
        let forgotten = u64::try_from(notice.remember_until.millis() / 1_000 - rig.now()).unwrap();
        assert_eq!(forgotten, 360);
    }
    // Keycloak and others give it the type of every token.
    let mut draft = rig.op.logout_draft(json!({"sub": "ana-1"}));
    draft.head("typ", "JWT");
    let token = rig.op.sign(draft);
    rig.party.logout_notice(&rig.settings, &token).await.unwrap();
    rig.pass(360);
    let error = rig.party.logout_notice(&rig.settings, &token).await.unwrap_err();
    assert_refusal(&error, Check::Time, "expired");
}

#[tokio::test]
async fn s26_a_logout_token_must_say_that_it_is_one() {
    let rig = Rig::start().await;
    let event = "http://schemas.openid.net/event/backchannel-logout";
    for events in
        [json!({}), json!({"other": {}}), json!([event]), json!(event), json!({event: null}), json!({event: true})]
    {
        refused(&rig, Check::Malformed, "no logout token", |token| token.set("events", events)).await;
    }
    refused(&rig, Check::Malformed, "no logout token", |token| token.unset("events")).await;
    for nonce in [json!("x"), json!(null), json!("")] {
        refused(&rig, Check::Malformed, "nonce", |token| token.set("nonce", nonce)).await;
    }
    // An ID token is none, and a logout token is no ID token.
    let signed_in = rig.sign_in().await.unwrap();
    let id_token = secrecy::ExposeSecret::expose_secret(&signed_in.id_token).to_owned();
    let error = rig.party.logout_notice(&rig.settings, &id_token).await.unwrap_err();
    assert_refusal(&error, Check::Malformed, "no logout token");
    refused(&rig, Check::Malformed, "has the type", |token| token.head("typ", "at+jwt")).await;
}

#[tokio::test]
async fn s26_a_logout_token_is_checked_like_every_token() {
    let rig = Rig::start().await;
    let now = rig.now();
    let changes: [(Check, &str, &str, Value); 13] = [
        (Check::Issuer, "the issuer is", "iss", json!("https://evil.example")),
        (Check::Audience, "the audience is", "aud", json!("other")),
        (Check::Audience, "the audience is", "aud", json!([CLIENT_ID, "other"])),
        (Check::Time, "in the future", "iat", json!(now + 61)),
        (Check::Time, "issued", "iat", json!(now - 661)),
        (Check::Time, "expired", "exp", json!(now - 60)),
        (Check::Malformed, "exp", "exp", json!("soon")),
        (Check::Replay, "no id", "jti", Value::Null),
        (Check::Malformed, "jti", "jti", json!("")),
        (Check::Malformed, "jti", "jti", json!(7)),
        (Check::Subject, "subject", "sub", json!("")),
        (Check::Subject, "subject", "sub", json!(7)),
        (Check::Malformed, "sid", "sid", json!(["s-1"])),
    ];
    for (check, words, name, value) in changes {
        refused(&rig, check, words, |token| {
            if value.is_null() {
                token.unset(name);
            } else {
                token.set(name, value);
            }
        })
        .await;
    }
    for name in ["iss", "aud", "iat", "exp"] {
        let check = match name {
            "iss" => Check::Issuer,
            "aud" => Check::Audience,
            _ => Check::Time,
        };
        refused(&rig, check, name, |token| token.unset(name)).await;
    }
    refused(&rig, Check::Subject, "neither a person", |token| {
        token.unset("sub");
        token.unset("sid");
    })
    .await;
}

#[tokio::test]
async fn s26_a_logout_token_that_the_provider_did_not_sign_is_refused() {
    let rig = Rig::start().await;
    let own = Arc::new(OpKey::rsa("key-1"));
    refused(&rig, Check::Signature, "is not valid", |token| token.key = Some(own)).await;
    refused(&rig, Check::Algorithm, "signed by", |token| token.head("alg", "none")).await;
    refused(&rig, Check::Algorithm, "signed by", |token| {
        token.head("alg", "HS256");
        token.hmac = Some(CLIENT_SECRET.as_bytes().to_vec());
    })
    .await;
    refused(&rig, Check::Signature, "publishes no such key", |token| token.head("kid", "unknown")).await;
    for token in ["", "a", "a.b.c", "..", "eyJ9.e30."] {
        assert!(rig.party.logout_notice(&rig.settings, token).await.is_err(), "{token}");
    }
}

#[tokio::test]
async fn s26_no_letter_of_a_logout_token_can_be_changed() {
    let rig = Rig::start().await;
    let token = rig.op.sign(rig.op.logout_draft(json!({"sub": "ana-1"})));
    rig.party.logout_notice(&rig.settings, &token).await.unwrap();
    for at in (0..token.len()).step_by(29) {
        for other in ["A", "B", ".", "\u{e9}", ""] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            if changed != token {
                assert!(rig.party.logout_notice(&rig.settings, &changed).await.is_err(), "{at} {other}");
            }
        }
    }
}

#[tokio::test]
async fn the_way_out_leads_to_the_provider_and_back() {
    let rig = Rig::start().await;
    let token = SecretString::from("the-id-token");
    let back = "https://rollcall.example/signed-out";
    let url = rig.party.logout_url(&rig.settings, Some(&token), back, "st").await.unwrap().unwrap();
    let url = Url::parse(&url).unwrap();
    assert_eq!(url.path(), "/logout");
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("id_token_hint", "the-id-token"),
        ("client_id", CLIENT_ID),
        ("post_logout_redirect_uri", back),
        ("state", "st"),
    ];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    rig.op.announce("end_session_endpoint", Value::Null);
    rig.pass(3_600);
    assert_eq!(rig.party.logout_url(&rig.settings, None, back, "st").await.unwrap(), None);
}
