//! Answers that the browser brings.

use rollcall::sso::Check;
use rollcall::sso::oidc::Callback;
use serde_json::{Value, json};

use super::{Rig, assert_refusal};

#[tokio::test]
async fn s20_an_answer_to_another_sign_in_is_refused() {
    let rig = Rig::start().await;
    let (ours, theirs) = (rig.begin().await, rig.begin().await);
    let query = rig.op.sign_in(&theirs.url).await;
    let error = rig.complete(&ours, &query).await.unwrap_err();
    assert_refusal(&error, Check::Request, "state");
    for query in ["code=abc", "code=abc&state=", "", "state=x&code=abc"] {
        let error = rig.complete(&ours, query).await.unwrap_err();
        assert_refusal(&error, Check::Request, "state");
    }
    assert_eq!(rig.op.count("/token"), 0, "nothing was sent with the code");
    rig.complete(&theirs, &query).await.unwrap();
}

#[tokio::test]
async fn s20_a_code_of_another_sign_in_fails_by_pkce() {
    let rig = Rig::start().await;
    let (ours, theirs) = (rig.begin().await, rig.begin().await);
    let query = rig.op.sign_in(&theirs.url).await.replace(&theirs.flow.state, &ours.flow.state);
    let error = rig.complete(&ours, &query).await.unwrap_err();
    assert_refusal(&error, Check::Status, "invalid_grant");
    assert_eq!(rig.op.state().complaints, ["the verifier does not fit"]);
}

#[tokio::test]
async fn s20_a_code_is_used_once() {
    let rig = Rig::start().await;
    let begun = rig.begin().await;
    let query = rig.op.sign_in(&begun.url).await;
    rig.complete(&begun, &query).await.unwrap();
    let error = rig.complete(&begun, &query).await.unwrap_err();
    assert_refusal(&error, Check::Status, "invalid_grant");
}

#[tokio::test]
async fn s24_the_answer_of_another_provider_is_refused() {
    let rig = Rig::start().await;
    for other in ["https://evil.example", &format!("{}/", rig.op.issuer())] {
        rig.op.state().answer.insert("iss".to_owned(), json!(other));
        rig.refused(Check::Issuer, "the answer is of the issuer").await;
    }
    assert_eq!(rig.op.count("/token"), 0, "the code went to nobody");
    let ours = rig.op.issuer();
    rig.op.state().answer.insert("iss".to_owned(), json!(ours));
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn s24_an_answer_without_issuer_is_refused_when_the_provider_announces_one() {
    let rig = Rig::start().await;
    rig.op.announce("authorization_response_iss_parameter_supported", true);
    rig.sign_in().await.unwrap();
    for missing in [Value::Null, json!("")] {
        rig.op.state().answer.insert("iss".to_owned(), missing);
        rig.refused(Check::Issuer, "names no issuer").await;
    }
    assert_eq!(rig.op.count("/token"), 1);
}

#[tokio::test]
async fn the_providers_no_is_passed_on_in_its_words() {
    let rig = Rig::start().await;
    {
        let answer = &mut rig.op.state().answer;
        answer.insert("error".to_owned(), json!("access_denied"));
        answer.insert("error_description".to_owned(), json!("Ana is not assigned\nto the app"));
    }
    rig.refused(Check::Status, r#""access_denied": "Ana is not assigned\nto the app""#).await;
    assert_eq!(rig.op.count("/token"), 0, "a code beside an error is not used");
    rig.op.state().answer = json!({"code": null}).as_object().unwrap().clone();
    rig.refused(Check::Malformed, "neither a code nor an error").await;
}

#[tokio::test]
async fn parameters_that_stand_twice_or_are_too_long_are_refused() {
    for name in ["state", "code", "iss", "error"] {
        let error = Callback::read(&format!("state=a&code=b&iss=c&error=d&{name}=x")).unwrap_err();
        assert_refusal(&error, Check::Malformed, name);
    }
    let error = Callback::read(&format!("state={}", "x".repeat(20_000))).unwrap_err();
    assert_refusal(&error, Check::Limit, "bytes");
    let callback = Callback::read("state=a%20b&code=secret").unwrap();
    assert_eq!(callback.state(), Some("a b"));
    assert!(!format!("{callback:?}").contains("secret"));
}

#[tokio::test]
async fn answers_of_the_token_endpoint_that_cannot_be_used_are_refused_without_their_tokens() {
    let rig = Rig::start().await;
    for (status, body, check, words) in [
        (200, r#"{"access_token":"eyJx","token_type":"Bearer"}"#, Check::Malformed, "no ID token"),
        (200, r#"{"access_token":"eyJx","token_type":"mac","id_token":"a.b.c"}"#, Check::Malformed, "bearer"),
        (200, r#"{"access_token":7,"token_type":"Bearer","id_token":"eyJ"}"#, Check::Malformed, "access_token"),
        (200, "<html>eyJx</html>", Check::Malformed, "cannot be read"),
        (200, "", Check::Malformed, "empty"),
        (404, "no such page", Check::Malformed, "of status 404, cannot be read"),
        (401, r#"{"error":"invalid_client"}"#, Check::Status, "invalid_client"),
        (500, "eyJ broken", Check::Unreachable, "status 500"),
        (302, "", Check::Unreachable, "status 302"),
    ] {
        rig.op.state().token_answer = Some((status, body.to_owned()));
        rig.refused(check, words).await;
    }
}
