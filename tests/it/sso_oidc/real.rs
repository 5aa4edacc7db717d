//! The same against a provider that others wrote: the npm package oidc-provider.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use rollcall::base::Ambient;
use rollcall::net::{Destination, HttpClient, SecretString};
use rollcall::sso::Email;
use rollcall::sso::oidc::{
    Ask, Callback, Client, ClientAuth, ClientKey, Credential, OidcSettings, RelyingParty, SignedIn,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::form_urlencoded;

use super::REDIRECT_URI;
use crate::support::node_op::{Browser, NodeOp};

const SECRET: &str = "a-secret-of-more-than-thirty-two-characters";
const SIGNED_OUT: &str = "https://rollcall.example/signed-out";

fn client(method: &str, algorithm: &str, more: &Value) -> Value {
    let mut client = json!({
        "client_id": format!("{method}-{algorithm}"),
        "redirect_uris": [REDIRECT_URI],
        "post_logout_redirect_uris": [SIGNED_OUT],
        "token_endpoint_auth_method": method,
        "id_token_signed_response_alg": algorithm,
    });
    if method != "private_key_jwt" {
        client["client_secret"] = json!(SECRET);
    }
    client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client
}

struct Rig {
    op: NodeOp,
    party: RelyingParty,
    browser: Browser,
}

impl Rig {
    async fn start(clients: &Value) -> Self {
        let op = NodeOp::start(clients).await;
        let http = HttpClient::new().unwrap();
        let party = RelyingParty::new(http, Destination::of_administrators(true), Ambient::system());
        Self { op, party, browser: Browser::new() }
    }

    fn settings(&self, id: &str) -> OidcSettings {
        let mut settings = OidcSettings::new(&self.op.issuer, id);
        settings.scopes.push("groups".to_owned());
        settings
    }

    async fn sign_in(&mut self, settings: &OidcSettings, credential: &Credential, ask: &Ask) -> SignedIn {
        let client = Client { settings, credential };
        let begun = self.party.begin(client, REDIRECT_URI, ask).await.unwrap();
        let query = self.browser.sign_in(&begun.url, REDIRECT_URI).await;
        let callback = Callback::read(&query).unwrap();
        self.party.complete(client, &callback, &begun.flow).await.unwrap()
    }
}

#[tokio::test]
#[ignore = "needs Node.js: script/oidc-provider runs it"]
async fn people_sign_in_by_every_method_and_algorithm() {
    let key = ClientKey::generate().unwrap();
    let signed = json!({"userinfo_signed_response_alg": "RS256"});
    let clients = json!([
        client("client_secret_basic", "RS256", &json!({})),
        client("client_secret_basic", "PS256", &signed),
        client("client_secret_post", "ES256", &json!({})),
        client("private_key_jwt", "RS256", &json!({"jwks": ClientKey::jwks([&key])})),
    ]);
    let mut rig = Rig::start(&clients).await;
    let secret = Credential::Secret(SecretString::from(SECRET));
    let key = Credential::Key(key);
    for (id, method, credential) in [
        ("client_secret_basic-RS256", ClientAuth::ClientSecret, &secret),
        ("client_secret_basic-PS256", ClientAuth::ClientSecretBasic, &secret),
        ("client_secret_post-ES256", ClientAuth::ClientSecretPost, &secret),
        ("private_key_jwt-RS256", ClientAuth::PrivateKeyJwt, &key),
    ] {
        let mut settings = rig.settings(id);
        settings.client_auth = method;
        rig.browser = Browser::new();
        let ask = Ask { login_hint: Some("bea".to_owned()), max_age: Some(Duration::from_mins(5)) };
        let identity = rig.sign_in(&settings, credential, &ask).await.identity;
        assert_eq!((identity.subject.as_str(), &identity.issuer), ("bea", &rig.op.issuer), "{id}");
        assert_eq!(identity.email, Some(Email { address: "bea@acme.example".to_owned(), verified: true }));
        assert_eq!(identity.claims["groups"], [json!("Agents"), json!("Everyone")]);
        assert!(identity.authenticated_at.is_some());
    }
}

#[tokio::test]
#[ignore = "needs Node.js: script/oidc-provider runs it"]
async fn keys_are_rotated_and_sessions_end_at_both_ends() {
    let (told, mut tokens) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = format!("http://{}/logout", listener.local_addr().unwrap());
    let router = Router::new().route("/logout", post(async move |body: String| told.send(body).unwrap()));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let more = json!({"backchannel_logout_uri": receiver, "backchannel_logout_session_required": true});
    let mut rig = Rig::start(&json!([client("client_secret_basic", "RS256", &more)])).await;
    let settings = rig.settings("client_secret_basic-RS256");
    let credential = Credential::Secret(SecretString::from(SECRET));
    rig.sign_in(&settings, &credential, &Ask::default()).await;
    rig.op.rotate().await;
    rig.browser = Browser::new();
    let signed_in = rig.sign_in(&settings, &credential, &Ask::default()).await;
    let url = rig.party.logout_url(&settings, Some(&signed_in.id_token), SIGNED_OUT, "st").await.unwrap().unwrap();
    let end = rig.browser.sign_out(&url, SIGNED_OUT).await.expect("the person comes back");
    assert!(end.contains("state=st"), "{end}");
    let body = tokio::time::timeout(Duration::from_secs(20), tokens.recv()).await.unwrap().unwrap();
    let (name, token) = form_urlencoded::parse(body.as_bytes()).next().unwrap();
    assert_eq!(name, "logout_token");
    let notice = rig.party.logout_notice(&settings, &token).await.unwrap();
    assert!(notice.session.is_some());
    assert_eq!((notice.sub.as_deref(), &notice.session), (Some("ana"), &signed_in.identity.session));
}
