//! An OpenID provider of our own on the loopback, honest unless a test tells it otherwise.
//!
//! ```ignore
//! let op = Op::start(clock).await;
//! op.person(json!({"sub": "ana", "email": "ana@acme.example", "email_verified": true}));
//! let query = op.sign_in(&begun.url).await;      // what the browser would bring back to the redirect URI
//! op.forge(|token| { token.set("aud", "other"); });   // for the next tokens
//! ```

mod keys;
mod routes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rollcall::base::Ambient;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

pub use keys::{Draft, OpKey, encoded};

pub const CLIENT_ID: &str = "rollcall";
pub const CLIENT_SECRET: &str = "a secret: with/signs+and%40";

/// A request that the provider received.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub authorization: Option<String>,
    pub form: BTreeMap<String, String>,
}

/// What the userinfo endpoint answers.
pub enum UserInfo {
    /// These claims, as JSON.
    Json(Value),
    /// These claims, signed.
    Signed(Box<dyn Fn() -> Draft + Send>),
    /// This status, with no body.
    Status(u16),
}

type Forge = Arc<dyn Fn(&mut Draft) + Send + Sync>;

pub struct State {
    pub issuer: String,
    pub ambient: Ambient,
    /// Where the discovery document is, before its well-known path.
    pub path_prefix: String,
    pub metadata: Map<String, Value>,
    pub keys: Vec<Arc<OpKey>>,
    /// Which of them signs.
    pub current: Arc<OpKey>,
    /// Takes the place of the key document.
    pub key_document: Option<Value>,
    pub person: Map<String, Value>,
    pub userinfo: UserInfo,
    pub forge: Option<Forge>,
    /// Added to the answer of the authorization endpoint; null takes a parameter away.
    pub answer: Map<String, Value>,
    /// Takes the place of the token endpoint's answer.
    pub token_answer: Option<(u16, String)>,
    /// The public keys that may sign client assertions.
    pub client_keys: Option<Value>,
    /// What each code stands for: the authorization request.
    pub codes: BTreeMap<String, BTreeMap<String, String>>,
    /// The paths that are answered with status 503.
    pub down: Vec<&'static str>,
    pub seen: Vec<Seen>,
    /// What went wrong with a request, in words of the provider.
    pub complaints: Vec<String>,
}

/// The provider.
#[derive(Clone)]
pub struct Op(Arc<Mutex<State>>);

impl Op {
    /// Starts a provider, which lives as long as the test's runtime.
    pub async fn start(ambient: Ambient) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let op = Self(Arc::new(Mutex::new(State::new(issuer, ambient))));
        let router = routes::router(op.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        op
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn issuer(&self) -> String {
        self.state().issuer.clone()
    }

    /// Who signs in from now on.
    pub fn person(&self, claims: Value) {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        self.state().person = claims;
    }

    /// Changes every ID token from now on, before it is signed.
    pub fn forge(&self, change: impl Fn(&mut Draft) + Send + Sync + 'static) {
        self.state().forge = Some(Arc::new(change));
    }

    /// Is honest again.
    pub fn be_honest(&self) {
        let mut state = self.state();
        (state.forge, state.token_answer, state.key_document) = (None, None, None);
        state.answer.clear();
    }

    /// Publishes a key beside the others, and signs with it.
    pub fn sign_with(&self, key: OpKey) -> Arc<OpKey> {
        let key = Arc::new(key);
        let mut state = self.state();
        state.keys.push(Arc::clone(&key));
        state.current = Arc::clone(&key);
        key
    }

    /// Withdraws all keys but the one that signs.
    pub fn withdraw_old_keys(&self) {
        let mut state = self.state();
        state.keys = vec![Arc::clone(&state.current)];
    }

    /// Sets a member of the discovery document; null takes it away.
    pub fn announce(&self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let mut state = self.state();
        if value.is_null() {
            state.metadata.remove(name);
        } else {
            state.metadata.insert(name.to_owned(), value);
        }
    }

    /// A token with these claims and what is common to all: issuer, audience, times.
    pub fn draft(&self, claims: Value) -> Draft {
        self.state().draft(claims)
    }

    /// Signs a token with the current key.
    pub fn sign(&self, draft: Draft) -> String {
        let key = Arc::clone(&self.state().current);
        draft.sign(&key)
    }

    /// A logout token as the specification has it.
    pub fn logout_draft(&self, claims: Value) -> Draft {
        let mut draft = self.draft(claims);
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        draft.set("events", event);
        draft.head("typ", "logout+jwt");
        if !draft.claims.contains_key("jti") {
            let jti = encoded(self.state().ambient.bytes::<16>());
            draft.set("jti", jti);
        }
        draft
    }

    /// How many requests came to a path.
    pub fn count(&self, path: &str) -> usize {
        self.state().seen.iter().filter(|seen| seen.path == path).count()
    }

    /// The last request to a path.
    pub fn last(&self, path: &str) -> Seen {
        self.state().seen.iter().rfind(|seen| seen.path == path).expect("a request").clone()
    }

    /// Follows the address that a sign-in begins with, as a browser does whose person agrees at once: the query that comes
    /// back to the redirect URI.
    pub async fn sign_in(&self, url: &str) -> String {
        let answer = routes::get(url).await;
        let location = answer.expect("the provider sends the browser back");
        location.split_once('?').expect("a query").1.to_owned()
    }
}

impl State {
    fn new(issuer: String, ambient: Ambient) -> Self {
        let key = Arc::new(OpKey::rsa("key-1"));
        let at = |path: &str| format!("{issuer}{path}");
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/keys"),
            "end_session_endpoint": at("/logout"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        });
        let Value::Object(metadata) = metadata else { unreachable!("an object") };
        let person = json!({"sub": "ana-1", "email": "ana@acme.example", "email_verified": true, "name": "Ana"});
        Self {
            issuer,
            ambient,
            path_prefix: String::new(),
            metadata,
            keys: vec![Arc::clone(&key)],
            current: key,
            key_document: None,
            person: person.as_object().unwrap().clone(),
            userinfo: UserInfo::Status(404),
            forge: None,
            answer: Map::new(),
            token_answer: None,
            client_keys: None,
            codes: BTreeMap::new(),
            down: Vec::new(),
            seen: Vec::new(),
            complaints: Vec::new(),
        }
    }

    pub fn now(&self) -> i64 {
        self.ambient.now().millis() / 1_000
    }

    pub fn draft(&self, claims: Value) -> Draft {
        let now = self.now();
        let issuer = &self.metadata["issuer"];
        let mut draft = Draft::new(json!({"iss": issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}));
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        draft.claims.extend(claims);
        draft
    }
}
