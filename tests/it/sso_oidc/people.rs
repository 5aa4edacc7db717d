//! Who may sign in by what is known of the provider.

use rollcall::sso::oidc::Preset;
use rollcall::sso::{Check, Email};
use serde_json::{Value, json};

use super::{Rig, assert_refusal};

const OURS: &str = "9122040d-6c67-4c5b-b112-36a304b66dad";
const OTHERS: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn entra(tenant: &str) -> Value {
    json!({"sub": "AAAAPAIRWISE", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "tid": tenant, "ver": "2.0",
        "preferred_username": "ana@acme.example", "email": "ana@acme.example", "email_verified": true,
        "groups": ["0e129f5b-6b0a-4944-982d-f776045632af"], "rh": "0.A", "uti": "x", "name": "Ana"})
}

#[tokio::test]
async fn s21_the_key_of_an_entra_person_is_directory_and_object_id() {
    let mut rig = Rig::start().await;
    rig.settings.preset = Some(Preset::Entra);
    rig.settings.tenants = vec![OURS.to_uppercase()];
    rig.op.person(entra(OURS));
    let signed_in = rig.sign_in().await.unwrap();
    assert_eq!(signed_in.identity.subject, format!("{OURS}/690222be-ff1a-4d56-abd1-7e4f7d38e474"));
    assert_eq!(signed_in.sub, "AAAAPAIRWISE");
    // An address in Entra ID is no proof, whatever stands beside it.
    assert_eq!(signed_in.identity.email, Some(Email { address: "ana@acme.example".to_owned(), verified: false }));
    rig.forged(Check::Subject, "scope profile", |token| token.unset("oid")).await;
}

#[tokio::test]
async fn s22_people_of_another_entra_directory_are_refused() {
    let mut rig = Rig::start().await;
    rig.settings.preset = Some(Preset::Entra);
    rig.settings.tenants = vec![OURS.to_owned()];
    rig.op.person(entra(OTHERS));
    rig.refused(Check::Claim, OTHERS).await;
    for odd in [json!(null), json!(""), json!([OURS]), json!(7)] {
        rig.forged(Check::Claim, "tid", move |token| token.set("tid", odd.clone())).await;
    }
    rig.forged(Check::Claim, "names no directory", |token| token.unset("tid")).await;
}

#[tokio::test]
async fn s22_an_issuer_for_every_directory_lets_in_the_chosen_ones_only() {
    let mut rig = Rig::start().await;
    rig.settings.preset = Some(Preset::Entra);
    rig.settings.issuer = format!("{}/organizations/v2.0", rig.op.issuer());
    let template = format!("{}/{{tenantid}}/v2.0", rig.op.issuer());
    let of = |tenant: &str| template.replace("{tenantid}", tenant);
    rig.op.announce("issuer", template.as_str());
    let error =
        rig.party.begin(rig.client(), super::REDIRECT_URI, &rollcall::sso::oidc::Ask::default()).await.unwrap_err();
    assert_refusal(&error, Check::Configuration, "set tenants");
    rig.settings.tenants = vec![OURS.to_owned()];
    rig.op.state().path_prefix = "/organizations/v2.0".to_owned();
    rig.op.person(entra(OURS));
    let (ours, others) = (of(OURS), of(OTHERS));
    {
        let ours = ours.clone();
        rig.op.forge(move |token| token.set("iss", ours.as_str()));
    }
    let identity = rig.sign_in().await.unwrap().identity;
    assert_eq!(identity.issuer, ours);
    for (issuer, tenant, check) in [
        (&others, OTHERS, Check::Claim),
        (&others, OURS, Check::Issuer),
        (&ours, OTHERS, Check::Issuer),
        (&template, OURS, Check::Issuer),
        (&template, "{tenantid}", Check::Claim),
    ] {
        let (issuer, tenant) = (issuer.clone(), tenant.to_owned());
        rig.forged(check, "expected", move |token| {
            token.set("iss", issuer.as_str());
            token.set("tid", tenant.as_str());
        })
        .await;
    }
    let ours = ours.clone();
    rig.forged(Check::Claim, "names no directory", move |token| {
        token.set("iss", ours.as_str());
        token.unset("tid");
    })
    .await;
}

#[tokio::test]
async fn s22_a_directory_in_the_issuer_binds_without_any_setting() {
    let mut rig = Rig::start().await;
    let issuer = format!("{}/{OURS}/v2.0", rig.op.issuer());
    rig.settings.issuer = issuer.clone();
    rig.op.announce("issuer", issuer.as_str());
    rig.op.state().path_prefix = format!("/{OURS}/v2.0");
    rig.op.person(entra(OURS));
    rig.sign_in().await.unwrap();
    rig.op.person(entra(OTHERS));
    rig.refused(Check::Claim, OTHERS).await;
}

#[tokio::test]
async fn s19_a_key_of_another_directory_signs_nothing_here() {
    let mut rig = Rig::start().await;
    rig.settings.preset = Some(Preset::Entra);
    rig.settings.tenants = vec![OURS.to_owned()];
    rig.op.person(entra(OURS));
    let mut jwk = rig.op.state().current.jwk();
    jwk["issuer"] = json!(format!("https://login.microsoftonline.com/{OTHERS}/v2.0"));
    rig.op.state().key_document = Some(json!({"keys": [jwk]}));
    rig.refused(Check::Signature, "the key is for the issuer").await;
}

#[tokio::test]
async fn s22_google_accounts_outside_the_workspace_are_refused() {
    let mut rig = Rig::start().await;
    rig.settings.preset = Some(Preset::Google);
    rig.settings.hosted_domains = vec!["acme.example".to_owned()];
    let person = |hd: Value| json!({"sub": "1081", "email": "ana@acme.example", "email_verified": true, "hd": hd});
    rig.op.person(person(json!("Acme.example")));
    rig.sign_in().await.unwrap();
    for (hd, words) in [
        (json!("evil.example"), "evil.example"),
        (json!(["acme.example"]), "hd"),
        (json!(""), "hd"),
        (json!("acme.example.evil.example"), "hd"),
        (json!(null), "hd"),
    ] {
        rig.op.person(person(hd));
        rig.refused(Check::Claim, words).await;
    }
    // The domain of the address is not the Workspace.
    rig.forged(Check::Claim, "in no Google Workspace", |token| token.unset("hd")).await;
}

#[tokio::test]
async fn s22_only_a_true_that_is_true_verifies_an_address() {
    let rig = Rig::start().await;
    for said in [json!("true"), json!(1), json!("1"), json!(null), json!([true]), json!(false), json!({"a": true})] {
        rig.op.person(json!({"sub": "a", "email": "a@acme.example", "email_verified": said}));
        assert!(!rig.sign_in().await.unwrap().identity.email.unwrap().verified, "{said}");
    }
    rig.op.person(json!({"sub": "a", "email": "a@acme.example"}));
    assert!(!rig.sign_in().await.unwrap().identity.email.unwrap().verified);
    for odd in [json!(["a@acme.example"]), json!("no address"), json!(7)] {
        rig.op.person(json!({"sub": "a", "email": odd, "email_verified": true}));
        assert_eq!(rig.sign_in().await.unwrap().identity.email, None);
    }
}

#[tokio::test]
async fn entras_missing_groups_are_named_with_what_to_set() {
    let mut rig = Rig::start().await;
    let overflow = [
        json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}),
        json!({"hasgroups": true}),
        json!({"hasgroups": "true"}),
    ];
    for claims in overflow {
        let mut person = json!({"sub": "a", "email": "a@acme.example"});
        person.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        rig.op.person(person);
        rig.settings.claims.groups = Some("groups".to_owned());
        rig.refused(Check::Claim, "Groups assigned to the application").await;
        rig.settings.claims.groups = None;
        rig.sign_in().await.unwrap();
    }
    assert!(rig.op.state().seen.iter().all(|seen| !seen.path.contains("graph")));
}
