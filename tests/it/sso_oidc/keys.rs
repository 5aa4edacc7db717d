//! Keys of the provider: rotation, and who can make us fetch them.

use std::sync::Arc;

use futures::future::join_all;
use rollcall::sso::Check;
use serde_json::json;

use super::Rig;
use crate::support::op::OpKey;

#[tokio::test]
async fn s25_new_keys_are_found_and_withdrawn_ones_forgotten() {
    let rig = Rig::start().await;
    rig.sign_in().await.unwrap();
    rig.sign_in().await.unwrap();
    assert_eq!((rig.op.count("/keys"), rig.op.count("/.well-known/openid-configuration")), (1, 1));
    let old = Arc::clone(&rig.op.state().current);
    rig.op.sign_with(OpKey::rsa("key-2"));
    rig.op.withdraw_old_keys();
    rig.sign_in().await.unwrap();
    assert_eq!(rig.op.count("/keys"), 2);
    rig.forged(Check::Signature, "\"key-1\", and the provider publishes no such key", move |token| {
        token.key = Some(Arc::clone(&old));
    })
    .await;
    // The same id with another key.
    rig.pass(20);
    rig.op.sign_with(OpKey::rsa("key-2"));
    rig.op.withdraw_old_keys();
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn s25_a_withdrawn_key_is_accepted_for_five_minutes_at_most() {
    let rig = Rig::start().await;
    rig.sign_in().await.unwrap();
    let old = Arc::clone(&rig.op.state().current);
    rig.op.sign_with(OpKey::rsa("key-2"));
    rig.op.withdraw_old_keys();
    rig.pass(300);
    rig.forged(Check::Signature, "publishes no such key", move |token| token.key = Some(Arc::clone(&old))).await;
}

#[tokio::test]
async fn s25_unknown_keys_cannot_force_a_storm_of_fetches() {
    let rig = Rig::start().await;
    rig.sign_in().await.unwrap();
    for number in 0..20 {
        rig.forged(Check::Signature, "publishes no such key", move |token| {
            token.head("kid", format!("unknown-{number}"));
        })
        .await;
    }
    assert!(rig.op.count("/keys") <= 3, "{}", rig.op.count("/keys"));
    let before = rig.op.count("/keys");
    let tokens = (0..30).map(|number| {
        let mut draft = rig.op.logout_draft(json!({"sub": "ana-1"}));
        draft.head("kid", format!("unknown-{number}"));
        rig.op.sign(draft)
    });
    let tokens: Vec<String> = tokens.collect();
    let answers = join_all(tokens.iter().map(|token| rig.party.logout_notice(&rig.settings, token))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.check == Check::Signature)));
    assert!(rig.op.count("/keys") <= before + 2);
    // Strangers did not use up what sign-ins need after a rotation.
    rig.pass(10);
    let answers = join_all(tokens.iter().map(|token| rig.party.logout_notice(&rig.settings, token))).await;
    assert!(answers.iter().all(Result::is_err));
    rig.op.sign_with(OpKey::rsa("key-2"));
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn s25_many_sign_ins_at_once_fetch_once() {
    let rig = Rig::start().await;
    let all = join_all((0..10).map(|_| rig.sign_in())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((rig.op.count("/keys"), rig.op.count("/.well-known/openid-configuration")), (1, 1));
}

#[tokio::test]
async fn sign_ins_go_on_while_documents_cannot_be_fetched() {
    let rig = Rig::start().await;
    rig.sign_in().await.unwrap();
    rig.op.state().down.extend(["/keys", "/.well-known/openid-configuration"]);
    rig.pass(3_601);
    rig.sign_in().await.unwrap();
    rig.pass(3_600);
    let error = rig.party.check_provider(&rig.settings).await.unwrap_err();
    super::assert_refusal(&error, Check::Unreachable, "status 503");
}

#[tokio::test]
async fn s19_keys_that_are_not_for_this_are_not_used() {
    let rig = Rig::start().await;
    let jwk = rig.op.state().current.jwk();
    let with = |name: &str, value: serde_json::Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        json!({ "keys": [jwk] })
    };
    for document in [
        with("use", json!("enc")),
        with("alg", json!("RS512")),
        with("alg", json!("RSA-OAEP")),
        with("key_ops", json!(["encrypt"])),
        with("kty", json!("oct")),
        with("n", json!(crate::support::op::encoded([0xff; 128]))),
        with("n", json!(null)),
        json!({ "keys": [] }),
    ] {
        rig.op.state().key_document = Some(document.clone());
        rig.pass(400);
        let error = rig.sign_in().await.unwrap_err();
        super::assert_refusal(&error, Check::Signature, "publishes no such key");
    }
    for document in [json!({}), json!([]), json!({"keys": "x"})] {
        rig.op.state().key_document = Some(document.clone());
        rig.pass(7_200);
        let error = rig.sign_in().await.unwrap_err();
        super::assert_refusal(&error, Check::Malformed, "key document");
    }
}

#[tokio::test]
async fn s19_without_a_key_id_there_must_be_one_key_only() {
    let rig = Rig::start().await;
    rig.op.forge(|token| token.head("kid", json!(null)));
    rig.sign_in().await.unwrap();
    rig.op.state().keys.push(Arc::new(OpKey::p256("ec")));
    rig.pass(400);
    rig.sign_in().await.expect("a key of another kind does not count");
    rig.op.state().keys.push(Arc::new(OpKey::rsa("key-2")));
    rig.pass(400);
    rig.refused(Check::Signature, "several keys").await;
}
