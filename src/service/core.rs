//! What every use case needs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::base::{Ambient, Keyring};
use crate::domain::Limits;
use crate::store::Store;

use super::cache::Caches;
use super::clients::Grants;
use super::guard::Notices;
use super::passwords::Hasher;
use super::sign_in::SignOnPorts;

/// What waits to be told that there is work.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    /// The reconciler: a desired worker changed.
    pub workers: Arc<Notify>,
    /// The recomputation of access.
    pub recomputes: Arc<Notify>,
}

/// The store with what surrounds it.
#[derive(Debug)]
pub struct Core {
    pub(super) store: Arc<Store>,
    pub(super) ambient: Ambient,
    pub(super) keyring: Arc<Keyring>,
    pub(super) caches: Arc<Caches>,
    pub(super) wake: Wake,
    /// What OAuth clients did lately.
    pub(super) grants: Grants,
    /// Where passwords are hashed.
    pub(super) hasher: Hasher,
    /// How long access tokens of OAuth clients are good.
    pub(super) access_token_lifetime: Duration,
    /// What may be lost without approval, where a connection has no limits of its own.
    pub(super) limits: Limits,
    /// How identity providers are asked; none: by nobody.
    pub(super) sign_on: Option<Arc<SignOnPorts>>,
    /// Where people and identity providers reach this server, without a slash at its end.
    public_url: String,
    /// The SCIM base URL as identity providers see it, without a slash at its end.
    pub(super) scim_url: Arc<str>,
}

/// How long access tokens are good unless it is configured.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_hours(1);

impl Core {
    /// Puts it together. `public_url` is where people and identity providers reach this server.
    #[must_use]
    pub fn new(store: Arc<Store>, ambient: Ambient, keyring: Arc<Keyring>, wake: Wake, public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let scim_url = format!("{public_url}/scim/v2").into();
        let hasher = Hasher::new(&ambient);
        Self {
            store,
            ambient,
            keyring,
            caches: Arc::default(),
            wake,
            grants: Grants::default(),
            hasher,
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            limits: Limits::default(),
            sign_on: None,
            public_url,
            scim_url,
        }
    }

    /// With another lifetime of access tokens.
    #[must_use]
    pub fn with_access_tokens_for(self, lifetime: Duration) -> Self {
        Self { access_token_lifetime: lifetime, ..self }
    }

    /// With other limits of the guard.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// With what asks identity providers.
    #[must_use]
    pub fn with_sign_on(self, ports: SignOnPorts) -> Self {
        Self { sign_on: Some(Arc::new(ports)), ..self }
    }

    /// The store, for what only reads.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Time and randomness.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// Where OAuth clients get their access tokens.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth/token", self.public_url)
    }

    /// Where people and identity providers reach this server, without a slash at its end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The SCIM base URL.
    #[must_use]
    pub fn scim_url(&self) -> &str {
        &self.scim_url
    }
}

/// What a transaction's job takes along: it may outlive the request that asked for it.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) ambient: Ambient,
    pub(super) caches: Arc<Caches>,
    /// The SCIM base URL, without a slash at its end.
    pub(super) scim_url: Arc<str>,
    pub(super) limits: Limits,
    /// What is to be said once the transaction is committed.
    pub(super) notices: Notices,
}

impl Core {
    pub(super) fn parts(&self) -> Parts {
        Parts {
            ambient: self.ambient.clone(),
            caches: Arc::clone(&self.caches),
            scim_url: Arc::clone(&self.scim_url),
            limits: self.limits,
            notices: Notices::default(),
        }
    }

    pub(super) fn wake_if(&self, wakes: bool) {
        if wakes {
            self.wake.workers.notify_one();
        }
    }
}
