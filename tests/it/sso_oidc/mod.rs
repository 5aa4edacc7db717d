//! OpenID Connect against a provider of our own, honest and forged. Each refusal is for the check that it is meant for.

mod answers;
mod client_auth;
mod keys;
mod logout;
mod people;
mod real;
mod sign_in;
mod step_up;
mod tokens;
mod userinfo;

use std::sync::Arc;
use std::time::Duration;

use rollcall::base::{Ambient, MockClock, OsEntropy, Timestamp};
use rollcall::net::{Destination, HttpClient, SecretString};
use rollcall::sso::oidc::{Ask, Begun, Callback, Client, Credential, OidcSettings, RelyingParty, SignedIn};
use rollcall::sso::{Check, SsoError};

use crate::support::op::{CLIENT_ID, CLIENT_SECRET, Draft, Op};

const REDIRECT_URI: &str = "https://rollcall.example/sso/oidc/acme/callback";

/// A connection to a provider of its own, and a clock that stands still.
struct Rig {
    op: Op,
    party: RelyingParty,
    settings: OidcSettings,
    credential: Credential,
    clock: Arc<MockClock>,
}

impl Rig {
    async fn start() -> Self {
        let clock = Arc::new(MockClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let ambient = Ambient::new(Arc::clone(&clock) as _, Arc::new(OsEntropy));
        let op = Op::start(ambient.clone()).await;
        let party = RelyingParty::new(HttpClient::new().unwrap(), Destination::of_administrators(true), ambient);
        let settings = OidcSettings::new(&op.issuer(), CLIENT_ID);
        let credential = Credential::Secret(SecretString::from(CLIENT_SECRET));
        Self { op, party, settings, credential, clock }
    }

    fn client(&self) -> Client<'_> {
        Client { settings: &self.settings, credential: &self.credential }
    }

    async fn begin(&self) -> Begun {
        self.begin_asking(&Ask::default()).await
    }

    async fn begin_asking(&self, ask: &Ask) -> Begun {
        self.party.begin(self.client(), REDIRECT_URI, ask).await.unwrap()
    }

    async fn complete(&self, begun: &Begun, query: &str) -> Result<SignedIn, SsoError> {
        self.party.complete(self.client(), &Callback::read(query)?, &begun.flow).await
    }

    /// A whole sign-in.
    async fn sign_in(&self) -> Result<SignedIn, SsoError> {
        let begun = self.begin().await;
        let query = self.op.sign_in(&begun.url).await;
        self.complete(&begun, &query).await
    }

    /// A sign-in that fails by this check, with a reason that holds these words and no secret.
    async fn refused(&self, check: Check, words: &str) {
        let error = self.sign_in().await.expect_err(words);
        assert_refusal(&error, check, words);
    }

    /// A sign-in with a token that was changed.
    async fn forged(&self, check: Check, words: &str, change: impl Fn(&mut Draft) + Send + Sync + 'static) {
        self.op.forge(change);
        self.refused(check, words).await;
        self.op.be_honest();
    }

    fn now(&self) -> i64 {
        self.op.state().now()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn assert_refusal(error: &SsoError, check: Check, words: &str) {
    assert_eq!(error.check, check, "{error}");
    assert!(error.detail.contains(words), "{error}\nshould hold: {words}");
    assert!(!error.detail.contains(CLIENT_SECRET) && !error.detail.contains("eyJ"), "{error}");
}
