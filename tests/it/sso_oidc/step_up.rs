//! Step-up: a fresh sign-in of the same person.

use std::time::Duration;

use rollcall::sso::Check;
use rollcall::sso::oidc::Ask;
use serde_json::json;

use super::{Rig, assert_refusal};

#[tokio::test]
async fn s52_a_fresh_sign_in_is_asked_for_and_checked() {
    let rig = Rig::start().await;
    let ask = Ask { login_hint: None, max_age: Some(Duration::from_mins(5)) };
    let step_up = async || {
        let begun = rig.begin_asking(&ask).await;
        assert!(begun.url.contains("prompt=login") && begun.url.contains("max_age=300"), "{}", begun.url);
        let query = rig.op.sign_in(&begun.url).await;
        rig.complete(&begun, &query).await
    };
    let signed_in = step_up().await.unwrap();
    assert_eq!(signed_in.identity.authenticated_at.map(|at| at.millis() / 1_000), Some(rig.now()));
    let now = rig.now();
    for (auth_time, check, words) in [
        (json!(now - 361), Check::Freshness, "more than 300 s ago"),
        (json!(0), Check::Freshness, "more than 300 s ago"),
        (json!(now + 61), Check::Time, "in the future"),
        (json!("now"), Check::Malformed, "auth_time"),
    ] {
        rig.op.forge(move |token| token.set("auth_time", auth_time.clone()));
        assert_refusal(&step_up().await.unwrap_err(), check, words);
    }
    rig.op.forge(|token| token.unset("auth_time"));
    assert_refusal(&step_up().await.unwrap_err(), Check::Freshness, "does not say when");
    rig.op.forge(move |token| token.set("auth_time", now - 299));
    step_up().await.unwrap();
    // Without step-up an old sign-in at the provider is a sign-in.
    rig.op.forge(move |token| token.set("auth_time", now - 86_400));
    rig.sign_in().await.unwrap();
}
