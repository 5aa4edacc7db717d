//! Claims that only the userinfo endpoint tells.

use rollcall::sso::{Check, Email};
use serde_json::{Value, json};

use super::Rig;
use crate::support::op::{CLIENT_ID, Draft, OpKey, UserInfo};

type Change = fn(&mut Draft);

async fn rig() -> Rig {
    let rig = Rig::start().await;
    rig.op.person(json!({"sub": "ana-1", "name": "Ana"}));
    rig
}

fn answer(rig: &Rig, claims: Value) {
    rig.op.state().userinfo = UserInfo::Json(claims);
}

fn signed(rig: &Rig, make: impl Fn() -> Draft + Send + 'static) {
    rig.op.state().userinfo = UserInfo::Signed(Box::new(make));
}

#[tokio::test]
async fn missing_claims_come_from_userinfo_and_the_id_token_wins() {
    let rig = rig().await;
    let told =
        json!({"sub": "ana-1", "email": "ana@acme.example", "email_verified": true, "name": "Other", "team": "a"});
    answer(&rig, told);
    let identity = rig.sign_in().await.unwrap().identity;
    assert_eq!(identity.email, Some(Email { address: "ana@acme.example".to_owned(), verified: true }));
    assert_eq!((&identity.claims["name"][..], &identity.claims["team"][..]), (&[json!("Ana")][..], &[json!("a")][..]));
    assert!(rig.op.last("/userinfo").authorization.unwrap().starts_with("Bearer "));
}

#[tokio::test]
async fn userinfo_is_asked_only_for_what_is_missing() {
    let mut rig = rig().await;
    let person = json!({"sub": "ana-1", "email": "ana@acme.example"});
    rig.op.person(person.clone());
    answer(&rig, json!({"sub": "ana-1", "groups": ["Agents"], "email_verified": true}));
    rig.sign_in().await.unwrap();
    assert_eq!(rig.op.count("/userinfo"), 0);
    rig.settings.scopes.push("groups".to_owned());
    let identity = rig.sign_in().await.unwrap().identity;
    assert_eq!(identity.claims["groups"], [json!("Agents")]);
    // What userinfo says about verification is about the address that it tells.
    assert!(!identity.email.unwrap().verified);
    answer(&rig, json!({"sub": "ana-1", "groups": [], "email": "other@acme.example", "email_verified": true}));
    assert!(!rig.sign_in().await.unwrap().identity.email.unwrap().verified);
    answer(&rig, json!({"sub": "ana-1", "groups": [], "email": "ana@acme.example", "email_verified": true}));
    assert!(rig.sign_in().await.unwrap().identity.email.unwrap().verified);
    rig.op.person(json!({"sub": "ana-1", "email": "ana@acme.example", "email_verified": false}));
    assert!(!rig.sign_in().await.unwrap().identity.email.unwrap().verified);
}

#[tokio::test]
async fn s19_userinfo_about_somebody_else_is_refused() {
    let rig = rig().await;
    for sub in [json!("bob-2"), json!("ANA-1"), json!("ana-1 ")] {
        answer(&rig, json!({"sub": sub, "email": "bob@acme.example", "email_verified": true}));
        rig.refused(Check::Subject, "userinfo is about").await;
    }
    for sub in [json!(null), json!(["ana-1"]), json!("")] {
        answer(&rig, json!({"sub": sub, "email": "bob@acme.example"}));
        rig.refused(Check::Subject, "subject").await;
    }
    answer(&rig, json!({"email": "bob@acme.example"}));
    rig.refused(Check::Subject, "no subject").await;
    answer(&rig, json!(["ana-1"]));
    rig.refused(Check::Malformed, "cannot be read").await;
    rig.op.state().userinfo = UserInfo::Status(401);
    rig.refused(Check::Unreachable, "status 401").await;
}

#[tokio::test]
async fn s19_a_signed_userinfo_answer_is_checked_like_a_token() {
    let rig = rig().await;
    let issuer = rig.op.issuer();
    let draft = {
        let issuer = issuer.clone();
        move || Draft::new(json!({"iss": issuer, "aud": CLIENT_ID, "sub": "ana-1", "email": "ana@acme.example"}))
    };
    signed(&rig, draft.clone());
    assert_eq!(rig.sign_in().await.unwrap().identity.email.unwrap().address, "ana@acme.example");
    signed(&rig, || Draft::new(json!({"sub": "ana-1", "email": "ana@acme.example"})));
    rig.sign_in().await.expect("issuer and audience should be said, and need not");
    let forged: [(Check, &str, Change); 7] = [
        (Check::Issuer, "the issuer is", |draft| draft.set("iss", "https://evil.example")),
        (Check::Audience, "the audience is", |draft| draft.set("aud", "other")),
        (Check::Subject, "userinfo is about", |draft| draft.set("sub", "bob-2")),
        (Check::Algorithm, "signed by", |draft| draft.head("alg", "none")),
        (Check::Signature, "is not valid", |draft| draft.key = Some(OpKey::rsa("key-1").into())),
        (Check::Malformed, "has the type", |draft| draft.head("typ", "logout+jwt")),
        (Check::Malformed, "three parts", |draft| draft.finish = Some(|_| "{}".to_owned())),
    ];
    for (check, words, change) in forged {
        let draft = draft.clone();
        signed(&rig, move || {
            let mut draft = draft();
            change(&mut draft);
            draft
        });
        rig.refused(check, words).await;
    }
}
