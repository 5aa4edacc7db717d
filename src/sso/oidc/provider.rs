//! What a provider publishes: its discovery document (OpenID Connect Discovery 1.0 §4) and its keys.
//!
//! The discovery document is read by hand and not by `openidconnect`, whose reader wants the issuer that was asked for:
//! Entra ID answers for several directories with a template, `https://login.microsoftonline.com/{tenantid}/v2.0`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use url::Url;

use super::kept::Kept;
use super::keys::KeySet;
use super::settings::{OidcSettings, Preset};
use super::words::{refuse, shown};
use crate::base::Timestamp;
use crate::net::{Destination, HttpClient, HttpError, Request};
use crate::sso::{Check, SsoError};

/// How long a discovery document is good.
const METADATA_FOR: Duration = Duration::from_hours(1);
/// How long keys are good: a key that its provider withdrew is accepted this long at most.
const KEYS_FOR: Duration = Duration::from_mins(5);
/// Providers that are remembered. Beyond this one is forgotten, and asked again when it is needed.
const MAX_PROVIDERS: usize = 1_000;
/// What stands for the directory in an issuer of Entra ID.
pub(super) const TENANT: &str = "{tenantid}";

/// A discovery document, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) end_session_endpoint: Option<Url>,
    #[serde(default)]
    pub(super) id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    pub(super) claims_supported: Vec<String>,
    /// RFC 9207 §3.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// The documents of one provider, as one client sees them.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) metadata: Kept<Metadata>,
    pub(super) keys: Kept<KeySet>,
}

/// The providers that are remembered in this copy of the program; others remember for themselves.
#[derive(Debug, Default)]
pub(super) struct Providers(Mutex<HashMap<String, Arc<Provider>>>);

impl Providers {
    /// The provider of a connection. Connections with the same issuer and client id share what is public anyway.
    pub(super) fn of(&self, settings: &OidcSettings, now: Timestamp) -> Arc<Provider> {
        let name = format!("{}\n{}", settings.issuer, settings.client_id);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = known.get(&name) {
            return Arc::clone(provider);
        }
        if known.len() >= MAX_PROVIDERS
            && let Some(other) = known.keys().next().cloned()
        {
            known.remove(&other);
        }
        let provider = Arc::new(Provider { metadata: Kept::new(METADATA_FOR, now), keys: Kept::new(KEYS_FOR, now) });
        known.insert(name, Arc::clone(&provider));
        provider
    }
}

/// Fetches documents of providers.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    pub(super) http: HttpClient,
    pub(super) destination: Destination,
}

impl Fetcher {
    pub(super) async fn metadata(&self, settings: &OidcSettings) -> Result<Metadata, SsoError> {
        let address = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
        let url = Url::parse(&address).map_err(|_| {
            refuse(Check::Configuration, format!("the issuer {} is not a URL", shown(&settings.issuer)))
        })?;
        let document = self.get(url, "discovery document").await?;
        let metadata: Metadata = serde_json::from_slice(&document).map_err(|error| {
            refuse(Check::Malformed, format!("the provider's discovery document cannot be read: {error}"))
        })?;
        check_issuer(settings, &metadata.issuer)?;
        let endpoints = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        let optional = [&metadata.userinfo_endpoint, &metadata.end_session_endpoint];
        for endpoint in endpoints.into_iter().chain(optional.into_iter().flatten()) {
            HttpClient::check(endpoint, self.destination).map_err(|error| {
                let detail = format!("the discovery document names {}, but {error}", shown(endpoint.as_str()));
                refuse(Check::Configuration, detail)
            })?;
        }
        Ok(metadata)
    }

    pub(super) async fn keys(&self, metadata: &Metadata) -> Result<KeySet, SsoError> {
        KeySet::read(&self.get(metadata.jwks_uri.clone(), "key document").await?)
    }

    async fn get(&self, url: Url, what: &str) -> Result<Vec<u8>, SsoError> {
        let address = shown(url.as_str());
        let request = Request::to_identity_provider(Method::GET, url, self.destination);
        let answer = self.http.send(request).await.map_err(|error| no_answer(what, &address, &error))?;
        if answer.status == 200 {
            return Ok(answer.body.to_vec());
        }
        let redirected = if (300..400).contains(&answer.status) { "; redirects are not followed" } else { "" };
        let detail =
            format!("the provider's {what} at {address} was answered with status {}{redirected}", answer.status);
        Err(refuse(Check::Unreachable, detail))
    }
}

pub(super) fn no_answer(what: &str, address: &str, error: &HttpError) -> SsoError {
    refuse(Check::Unreachable, format!("the provider's {what} at {address} could not be read: {error}"))
}

fn check_issuer(settings: &OidcSettings, found: &str) -> Result<(), SsoError> {
    let is_template = settings.preset() == Preset::Entra && settings.is_multi_tenant() && found.contains(TENANT);
    if found == settings.issuer || is_template {
        return Ok(());
    }
    let detail = format!(
        "the discovery document is of the issuer {}, expected {}: set the issuer exactly as the provider spells it",
        shown(found),
        shown(&settings.issuer)
    );
    Err(refuse(Check::Issuer, detail))
}
