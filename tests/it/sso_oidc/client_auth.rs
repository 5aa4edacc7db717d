//! How we prove to the provider who we are.

use rollcall::net::SecretString;
use rollcall::sso::Check;
use rollcall::sso::oidc::{ClientAuth, ClientKey, Credential};
use serde_json::json;

use super::Rig;
use crate::support::op::{CLIENT_ID, CLIENT_SECRET};

#[tokio::test]
async fn the_secret_goes_the_way_that_the_provider_takes() {
    for (method, announced, basic) in [
        (ClientAuth::ClientSecret, json!(null), true),
        (ClientAuth::ClientSecret, json!(["client_secret_basic", "client_secret_post"]), true),
        (ClientAuth::ClientSecret, json!(["private_key_jwt", "client_secret_post"]), false),
        (ClientAuth::ClientSecretBasic, json!(["client_secret_post"]), true),
        (ClientAuth::ClientSecretPost, json!(null), false),
    ] {
        let mut rig = Rig::start().await;
        rig.settings.client_auth = method;
        rig.op.announce("token_endpoint_auth_methods_supported", announced.clone());
        rig.sign_in().await.unwrap();
        let request = rig.op.last("/token");
        assert_eq!(request.authorization.is_some(), basic, "{method:?} {announced}");
        let in_form = request.form.get("client_secret").map(String::as_str);
        assert_eq!(in_form, (!basic).then_some(CLIENT_SECRET));
        assert_eq!(request.form["grant_type"], "authorization_code");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_said_so_without_it() {
    let mut rig = Rig::start().await;
    rig.credential = Credential::Secret(SecretString::from("wrong-secret"));
    let error = rig.sign_in().await.unwrap_err();
    super::assert_refusal(&error, Check::Status, "invalid_client");
    assert!(!error.detail.contains("wrong-secret"));
    assert!(!format!("{:?}", rig.credential).contains("wrong-secret"));
}

#[tokio::test]
async fn a_public_client_sends_its_id_and_no_secret() {
    let mut rig = Rig::start().await;
    rig.credential = Credential::Nothing;
    rig.refused(Check::Status, "invalid_client").await;
    let request = rig.op.last("/token");
    assert_eq!((request.authorization, request.form["client_id"].as_str()), (None, CLIENT_ID));
    assert!(!request.form.contains_key("client_secret"));
}

#[tokio::test]
async fn our_key_signs_an_assertion_and_is_rotated_with_overlap() {
    let mut rig = Rig::start().await;
    rig.settings.client_auth = ClientAuth::PrivateKeyJwt;
    rig.refused(Check::Configuration, "there is no key").await;
    let (old, new) = (ClientKey::generate().unwrap(), ClientKey::generate().unwrap());
    assert_ne!(old.id(), new.id());
    rig.op.state().client_keys = Some(ClientKey::jwks([&old, &new]));
    // What is stored gives the same key.
    let stored = ClientKey::from_private(old.private().clone()).unwrap();
    assert_eq!((stored.id(), stored.public_jwk()), (old.id(), old.public_jwk()));
    for key in [stored, new] {
        rig.credential = Credential::Key(key);
        rig.sign_in().await.unwrap_or_else(|error| panic!("{error} {:?}", rig.op.state().complaints));
        let request = rig.op.last("/token");
        assert_eq!(request.form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert!(request.authorization.is_none() && !request.form.contains_key("client_secret"));
    }
    rig.op.state().client_keys = Some(ClientKey::jwks([&old]));
    rig.refused(Check::Status, "invalid_client").await;
    assert!(ClientKey::from_private(SecretString::from("damaged")).is_err());
}
