//! Forged ID tokens.

use std::sync::Arc;

use rollcall::sso::Check;
use serde_json::{Value, json};

use super::Rig;
use crate::support::op::{CLIENT_ID, CLIENT_SECRET, OpKey, encoded};

#[tokio::test]
async fn s19_another_issuer_or_audience_is_refused() {
    let rig = Rig::start().await;
    let issuer = rig.op.issuer();
    for other in [json!("https://evil.example"), json!(format!("{issuer}/")), json!(issuer.to_uppercase())] {
        rig.forged(Check::Issuer, "expected", move |token| token.set("iss", other.clone())).await;
    }
    for other in [json!(null), json!([issuer]), json!(7)] {
        rig.forged(Check::Issuer, "no issuer", move |token| token.set("iss", other.clone())).await;
    }
    rig.forged(Check::Issuer, "no issuer", |token| token.unset("iss")).await;
    let audiences = [
        json!("other"),
        json!([]),
        json!([CLIENT_ID, "other"]),
        json!(["other"]),
        json!(7),
        json!([CLIENT_ID, 7]),
        json!(""),
    ];
    for other in audiences {
        rig.forged(Check::Audience, "audience", move |token| token.set("aud", other.clone())).await;
    }
    rig.forged(Check::Audience, "no audience", |token| token.unset("aud")).await;
    for other in [json!("other"), json!(""), json!([CLIENT_ID])] {
        rig.forged(Check::Audience, "azp", move |token| token.set("azp", other.clone())).await;
    }
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn s19_other_times_are_refused() {
    let rig = Rig::start().await;
    let now = rig.now();
    for (name, at, words) in [
        ("exp", now - 61, "expired"),
        ("exp", now - 60, "expired"),
        ("exp", 0, "expired"),
        ("iat", now + 61, "in the future"),
        ("iat", now + 86_400, "in the future"),
        ("iat", now - 86_400, "long before"),
        ("nbf", now + 61, "valid from"),
        ("auth_time", now + 3_600, "in the future"),
    ] {
        rig.forged(Check::Time, words, move |token| token.set(name, at)).await;
    }
    for name in ["exp", "iat"] {
        rig.forged(Check::Time, name, move |token| token.unset(name)).await;
        for odd in [json!("1800000300"), json!(null), json!(true), json!([now]), json!(1e300)] {
            rig.forged(Check::Malformed, name, move |token| token.set(name, odd.clone())).await;
        }
    }
    // A clock that is off by less than the skew.
    rig.op.forge(move |token| {
        token.set("exp", now - 59);
        token.set("iat", now + 59);
        token.set("nbf", now + 59);
    });
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn s19_another_nonce_is_refused() {
    let rig = Rig::start().await;
    for other in [json!("other"), json!(""), json!(null), json!(7)] {
        rig.forged(Check::Request, "nonce", move |token| token.set("nonce", other.clone())).await;
    }
    rig.forged(Check::Request, "no nonce", |token| token.unset("nonce")).await;
    // The token of a sign-in in another browser.
    let other = rig.begin().await.flow.nonce;
    rig.forged(Check::Request, "nonce", move |token| token.set("nonce", other.as_str())).await;
}

#[tokio::test]
async fn s19_a_subject_that_says_nothing_is_refused() {
    let rig = Rig::start().await;
    for other in [json!(""), json!(" "), json!(7), json!(null), json!(["a"]), json!("x".repeat(256))] {
        rig.forged(Check::Subject, "subject", move |token| token.set("sub", other.clone())).await;
    }
    rig.forged(Check::Subject, "no subject", |token| token.unset("sub")).await;
}

#[tokio::test]
async fn s19_hashes_of_other_tokens_are_refused() {
    let rig = Rig::start().await;
    for name in ["at_hash", "c_hash"] {
        for other in [json!(encoded([0; 16])), json!(""), json!(null), json!(7)] {
            rig.forged(Check::Signature, name, move |token| token.set(name, other.clone())).await;
        }
    }
    rig.op.forge(|token| token.unset("at_hash"));
    rig.sign_in().await.expect("at_hash is optional in the code flow");
}

#[tokio::test]
async fn s19_unsigned_tokens_and_those_signed_with_what_everybody_knows_are_refused() {
    let rig = Rig::start().await;
    for none in ["none", "None", "NONE", "nOnE"] {
        rig.forged(Check::Algorithm, "signed by", move |token| {
            token.head("alg", none);
            token.finish = Some(|token| format!("{}.", token.rsplit_once('.').unwrap().0));
        })
        .await;
    }
    rig.forged(Check::Malformed, "three parts", |token| {
        token.head("alg", "none");
        token.finish = Some(|token| token.rsplit_once('.').unwrap().0.to_owned());
    })
    .await;
    let key = Arc::clone(&rig.op.state().current);
    let jwk = key.jwk();
    let secrets = [
        key.pem().into_bytes(),
        key.pem().trim().as_bytes().to_vec(),
        jwk.to_string().into_bytes(),
        jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        CLIENT_SECRET.as_bytes().to_vec(),
        Vec::new(),
    ];
    rig.op.announce("id_token_signing_alg_values_supported", json!(["RS256", "HS256", "none"]));
    for secret in secrets {
        for header in ["HS256", "hs256"] {
            let secret = secret.clone();
            rig.forged(Check::Algorithm, "signed by", move |token| {
                token.head("alg", header);
                token.hmac = Some(secret.clone());
            })
            .await;
        }
        // The same under an algorithm that is accepted.
        rig.forged(Check::Signature, "is not valid", move |token| token.hmac = Some(secret.clone())).await;
    }
    for odd in [json!(null), json!(7), json!(["RS256"])] {
        rig.forged(Check::Malformed, "names no algorithm", move |token| token.head("alg", odd.clone())).await;
    }
}

#[tokio::test]
async fn s19_keys_that_the_token_brings_along_are_not_used() {
    let rig = Rig::start().await;
    let own = Arc::new(OpKey::rsa("key-1"));
    let jwk = own.jwk();
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
    ] {
        let own = Arc::clone(&own);
        rig.forged(Check::Signature, "is not valid", move |token| {
            token.head(name, value.clone());
            token.key = Some(Arc::clone(&own));
        })
        .await;
    }
    for kid in [json!("key-9"), json!("../../key-1"), json!("key-1' OR '1'='1"), json!("")] {
        let own = Arc::clone(&own);
        rig.forged(Check::Signature, "publishes no such key", move |token| {
            token.head("kid", kid.clone());
            token.key = Some(Arc::clone(&own));
        })
        .await;
    }
    for kid in [json!(7), json!({"a": 1})] {
        rig.forged(Check::Malformed, "key id", move |token| token.head("kid", kid.clone())).await;
    }
    let paths: Vec<String> = rig.op.state().seen.iter().map(|seen| seen.path.clone()).collect();
    assert!(paths.iter().all(|path| !path.contains("evil")));
}

fn swap_claims(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = r#"{"sub":"owner"}"#;
    format!("{}.{}.{}", parts[0], encoded(claims), parts[2])
}

fn cut_signature(token: &str) -> String {
    format!("{}.", token.rsplit_once('.').unwrap().0)
}

fn flip(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", &signature[1..])
}

#[tokio::test]
async fn s19_changed_tokens_are_refused() {
    let rig = Rig::start().await;
    for change in [swap_claims, cut_signature, flip] {
        rig.forged(Check::Signature, "is not valid", move |token| token.finish = Some(change)).await;
    }
    let broken: [fn(&str) -> String; 5] = [
        |token| format!("{token}="),
        |token| token.replacen('.', "..", 1),
        |token| format!(" {token}"),
        |token| format!("{token}.{token}"),
        |_| "not a token".to_owned(),
    ];
    for change in broken {
        rig.forged(Check::Malformed, "ID token", move |token| token.finish = Some(change)).await;
    }
    rig.forged(Check::Encryption, "encrypted", |token| token.finish = Some(|token| format!("{token}.a.b"))).await;
    rig.forged(Check::Limit, "bytes", |token| token.set("x", "x".repeat(300_000))).await;
}

#[tokio::test]
async fn s19_tokens_that_read_two_ways_or_are_for_something_else_are_refused() {
    let rig = Rig::start().await;
    let (issuer, now) = (rig.op.issuer(), rig.now());
    let twice =
        format!(r#"{{"iss":"{issuer}","aud":"{CLIENT_ID}","exp":{},"iat":{now},"sub":"a","sub":"owner"}}"#, now + 300);
    for text in [twice, "[]".to_owned(), "{".to_owned(), "null".to_owned(), String::new()] {
        rig.forged(Check::Malformed, "cannot be read", move |token| token.claims_text = Some(text.clone())).await;
    }
    for typ in ["at+jwt", "logout+jwt", "application/logout+jwt", "secevent+jwt", "dpop+jwt", ""] {
        rig.forged(Check::Malformed, "has the type", move |token| token.head("typ", typ)).await;
    }
    for (name, value) in [("crit", json!(["exp"])), ("crit", json!([])), ("cty", json!("JWT"))] {
        rig.forged(Check::Malformed, "not supported", move |token| token.head(name, value.clone())).await;
    }
    for typ in [Value::Null, json!("jwt"), json!("application/jwt")] {
        rig.op.forge(move |token| token.head("typ", typ.clone()));
        rig.sign_in().await.unwrap();
    }
}

#[tokio::test]
async fn s23_a_token_for_another_client_of_the_same_provider_is_refused() {
    let rig = Rig::start().await;
    let mut other = Rig::start().await;
    // The other connection has the same provider, and another client id there.
    other.op = rig.op.clone();
    other.settings.issuer = rig.op.issuer();
    other.settings.client_id = "another-account".to_owned();
    rig.sign_in().await.unwrap();
    let begun = rig.begin().await;
    let query = rig.op.sign_in(&begun.url).await;
    let error = other.complete(&begun, &query).await.unwrap_err();
    // The provider knows whose code it is; and if it did not, the audience would be wrong.
    super::assert_refusal(&error, Check::Status, "invalid_client");
    rig.forged(Check::Audience, "another-account", |token| token.set("aud", "another-account")).await;
}
