//! What every use case needs.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::{Ambient, Keyring};
use crate::store::Store;

use super::cache::Caches;

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
    /// The SCIM base URL as identity providers see it, without a slash at its end.
    pub(super) scim_url: String,
}

impl Core {
    /// Puts it together. `public_url` is where people and identity providers reach this server.
    #[must_use]
    pub fn new(store: Arc<Store>, ambient: Ambient, keyring: Arc<Keyring>, wake: Wake, public_url: &str) -> Self {
        let scim_url = format!("{}/scim/v2", public_url.trim_end_matches('/'));
        Self { store, ambient, keyring, caches: Arc::default(), wake, scim_url }
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
}

impl Core {
    pub(super) fn parts(&self) -> Parts {
        Parts { ambient: self.ambient.clone(), caches: Arc::clone(&self.caches) }
    }

    pub(super) fn wake_if(&self, wakes: bool) {
        if wakes {
            self.wake.workers.notify_one();
        }
    }
}
