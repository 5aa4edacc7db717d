//! The two steps of a sign-in.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};

use super::exchange::{authorization_url, exchange};
use super::flow::{Ask, Begun, Callback, Flow};
use super::id_token::{Company, Members, Rules, subject};
use super::jws::{Purpose, Unverified};
use super::kept::Asker;
use super::keys::Signer;
use super::person::{identity, wants_userinfo};
use super::provider::{Fetcher, Metadata, Provider, Providers, TENANT};
use super::settings::{Algorithm, Credential, OidcSettings};
use super::userinfo;
use crate::base::{Ambient, Timestamp};
use crate::net::{Destination, HttpClient};
use crate::sso::{Identity, SsoError};

/// A connection: its settings, and what proves who we are.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The settings.
    pub settings: &'a OidcSettings,
    /// The secret or key.
    pub credential: &'a Credential,
}

/// A sign-in that succeeded.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who it is.
    pub identity: Identity,
    /// The claim `sub`, by which logout tokens name the person; for Entra ID not the identity's subject.
    pub sub: String,
    /// The ID token as it came, which sign-out gives back to the provider as a hint. Store it sealed.
    pub id_token: SecretString,
}

/// The relying party: one for the program, for all connections. It remembers what providers publish, and nothing else.
#[derive(Debug)]
pub struct RelyingParty {
    pub(super) fetcher: Fetcher,
    providers: Providers,
    ambient: Ambient,
}

/// A token whose signature is valid.
pub(super) struct Opened {
    pub(super) claims: Members,
    pub(super) algorithm: Algorithm,
    pub(super) signer: Signer,
}

/// The documents of a provider, at one instant.
pub(super) struct Known<'a> {
    pub(super) settings: &'a OidcSettings,
    pub(super) provider: Arc<Provider>,
    pub(super) metadata: Arc<Metadata>,
    pub(super) now: Timestamp,
}

impl RelyingParty {
    /// With the outbound client, and where providers may be: [`Destination::of_administrators`].
    #[must_use]
    pub fn new(http: HttpClient, destination: Destination, ambient: Ambient) -> Self {
        Self { fetcher: Fetcher { http, destination }, providers: Providers::default(), ambient }
    }

    /// Begins a sign-in that comes back to `redirect_uri`.
    ///
    /// # Errors
    /// When the connection is not set up right, or its provider cannot be asked.
    pub async fn begin(&self, client: Client<'_>, redirect_uri: &str, ask: &Ask) -> Result<Begun, SsoError> {
        let known = self.known(client.settings).await?;
        let secret = || URL_SAFE_NO_PAD.encode(self.ambient.bytes::<32>());
        let flow = Flow {
            state: secret(),
            nonce: secret(),
            pkce_verifier: secret(),
            redirect_uri: redirect_uri.to_owned(),
            max_age_s: ask.max_age.map(|age| age.as_secs()),
            begun_at: known.now,
        };
        Ok(Begun { url: authorization_url(&client, &known.metadata, &flow, ask)?, flow })
    }

    /// Completes a sign-in: the answer that the browser brought becomes an identity.
    ///
    /// The caller has taken the flow away from where it was stored, so that no answer is accepted twice.
    ///
    /// # Errors
    /// With the check that failed.
    pub async fn complete(&self, client: Client<'_>, callback: &Callback, flow: &Flow) -> Result<SignedIn, SsoError> {
        let known = self.known(client.settings).await?;
        let metadata = &known.metadata;
        let required = metadata.authorization_response_iss_parameter_supported;
        let code = callback.code(flow, |found| known.is_issuer(found), required, &client.settings.issuer)?;
        let at = (&self.ambient, known.now);
        let tokens = exchange(&self.fetcher, &client, metadata, flow, code, at).await?;
        let opened = self.open(&known, tokens.id_token.expose_secret(), Purpose::IdToken, Asker::SignIn).await?;
        let company = Company {
            flow,
            code,
            access_token: tokens.access_token.expose_secret(),
            algorithm: opened.algorithm,
            signer: &opened.signer,
        };
        let issuer = known.rules().check_id_token(&opened.claims, &company)?;
        let more = match &metadata.userinfo_endpoint {
            Some(endpoint) if wants_userinfo(client.settings, metadata, &opened.claims) => {
                Some(userinfo::ask(self, &known, endpoint, &tokens.access_token, &opened.claims).await?)
            }
            _ => None,
        };
        let identity = identity(client.settings, issuer, &opened.claims, more.as_ref())?;
        let sub = subject(&opened.claims)?.to_owned();
        Ok(SignedIn { identity, sub, id_token: tokens.id_token })
    }

    /// Checks settings together with what their provider publishes, before a connection is used for the first time.
    ///
    /// # Errors
    /// When the settings are wrong, or the provider cannot be asked.
    pub async fn check_provider(&self, settings: &OidcSettings) -> Result<(), SsoError> {
        let known = self.known(settings).await?;
        known.provider.keys.get(known.now, self.fetcher.keys(&known.metadata)).await?;
        Ok(())
    }

    /// What the provider publishes, fetched or remembered.
    pub(super) async fn known<'a>(&self, settings: &'a OidcSettings) -> Result<Known<'a>, SsoError> {
        settings.check(self.fetcher.destination)?;
        let now = self.ambient.now();
        let provider = self.providers.of(settings, now);
        let metadata = provider.metadata.get(now, self.fetcher.metadata(settings)).await?;
        Ok(Known { settings, provider, metadata, now })
    }

    /// Checks the signature of a token by the provider's keys, which are fetched anew when it is signed by one that is not
    /// known: at a limited rate, since a forged token always is (S25).
    pub(super) async fn open(
        &self,
        known: &Known<'_>,
        token: &str,
        purpose: Purpose,
        asker: Asker,
    ) -> Result<Opened, SsoError> {
        let accepted = known.settings.accepted_algorithms(&known.metadata.id_token_signing_alg_values_supported);
        let token = Unverified::read(token, purpose, &accepted)?;
        let fetch = || self.fetcher.keys(&known.metadata);
        let keys = known.provider.keys.get(known.now, fetch()).await?;
        let signer = match keys.verify(&token) {
            Ok(signer) => signer,
            Err(no_match) if no_match.may_be_rotated => {
                let newer = known.provider.keys.newer(&keys, asker, known.now, fetch()).await;
                newer.ok_or(no_match.error)?.verify(&token).map_err(|no_match| no_match.error)?
            }
            Err(no_match) => return Err(no_match.error),
        };
        Ok(Opened { claims: token.claims()?, algorithm: token.header.algorithm, signer })
    }
}

impl Known<'_> {
    pub(super) fn rules(&self) -> Rules<'_> {
        Rules { settings: self.settings, metadata: &self.metadata, now: self.now }
    }

    /// Whether the provider may call itself so in an answer (RFC 9207 §2.4).
    fn is_issuer(&self, found: &str) -> bool {
        if self.metadata.issuer.contains(TENANT) {
            let ours = |tenant: &String| self.metadata.issuer.replace(TENANT, tenant) == found;
            return self.settings.tenants.iter().any(ours);
        }
        found == self.settings.issuer
    }
}
