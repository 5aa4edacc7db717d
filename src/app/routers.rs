//! Which TaskRouter an account has.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::AppError;
use crate::base::{AccountId, Ambient};
use crate::config::TaskRouterConfig;
use crate::domain::LeaverPolicy;
use crate::net::HttpClient;
use crate::reconcile::Routers;
use crate::service::Core;
use crate::service::accounts::DEFAULT;
use crate::store::accounts::Account;
use crate::taskrouter::TaskRouter;
use crate::taskrouter::twilio::{TwilioConfig, TwilioTaskRouter};

/// How often accounts that commands made are looked for.
const REFRESH: Duration = Duration::from_millis(500);

/// What was read at an epoch.
#[derive(Clone, Default)]
struct Known {
    epoch: i64,
    clients: HashMap<AccountId, Arc<TwilioTaskRouter>>,
    leavers: HashMap<AccountId, LeaverPolicy>,
}

/// The clients of all accounts. An account with settings of its own has its own client; the account `default` otherwise has
/// that of the configuration. While the stand-in runs, it serves every account without settings.
pub struct AccountRouters {
    core: Arc<Core>,
    http: HttpClient,
    ambient: Ambient,
    own: Option<Arc<TwilioTaskRouter>>,
    settings: TaskRouterConfig,
    shared: bool,
    known: RwLock<Known>,
    names: RwLock<BTreeMap<AccountId, String>>,
}

impl AccountRouters {
    pub(super) fn new(
        core: Arc<Core>,
        http: HttpClient,
        ambient: Ambient,
        own: Option<TwilioConfig>,
        settings: &TaskRouterConfig,
        shared: bool,
    ) -> Result<Self, AppError> {
        let own = own.map(|own| TwilioTaskRouter::new(own, http.clone(), ambient.clone())).transpose()?.map(Arc::new);
        Ok(Self {
            core,
            http,
            ambient,
            own,
            settings: settings.clone(),
            shared,
            known: RwLock::default(),
            names: RwLock::default(),
        })
    }

    /// The client that the configuration or the stand-in gives.
    #[must_use]
    pub fn own(&self) -> Option<&Arc<TwilioTaskRouter>> {
        self.own.as_ref()
    }

    /// The names of all accounts.
    pub(super) fn names(&self) -> BTreeMap<AccountId, String> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every client once, with the name of the account that it is for; one that several accounts share is for `default`.
    pub(super) fn clients(&self) -> Vec<(String, Arc<TwilioTaskRouter>)> {
        let names = self.names();
        let is_own = |client: &Arc<_>| self.own.as_ref().is_some_and(|own| Arc::ptr_eq(own, client));
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let others = known.clients.iter().filter(|(_, client)| !is_own(client)).map(|(account, client)| {
            let name = names.get(account).cloned().unwrap_or_default();
            (name, Arc::clone(client))
        });
        self.own.iter().map(|own| (DEFAULT.to_owned(), Arc::clone(own))).chain(others).collect()
    }

    /// Looks for accounts that were made or changed since.
    pub(super) async fn refresh(&self) -> Result<(), AppError> {
        let epoch = self.core.store().epoch().await?;
        let mut known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.epoch == epoch {
            return Ok(());
        }
        known.epoch = epoch;
        let accounts = self.core.list_accounts().await?;
        let names = accounts.iter().map(|account| (account.id, account.name.to_string())).collect();
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        for account in accounts {
            known.leavers.insert(account.id, account.leavers);
            if known.clients.contains_key(&account.id) {
                continue;
            }
            match self.client(&account) {
                Ok(Some(client)) => drop(known.clients.insert(account.id, client)),
                Ok(None) => {}
                // One account that cannot be reached must not keep the others from their work.
                Err(error) => {
                    tracing::error!(account = %account.name, error = %crate::base::Causes(&error), "the account's TaskRouter cannot be used");
                }
            }
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    pub(super) async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH)).await.is_some() {
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = %crate::base::Causes(&error), "the accounts could not be read");
            }
        }
    }

    fn client(&self, account: &Account) -> Result<Option<Arc<TwilioTaskRouter>>, AppError> {
        let Some(settings) = &account.taskrouter else {
            let served = self.shared || account.name.as_str() == DEFAULT;
            return Ok(if served { self.own.clone() } else { None });
        };
        let Some(secret) = self.core.account_secret(account)? else { return Ok(None) };
        let base = Url::parse(&settings.base_url).map_err(|error| AppError::File {
            what: format!("the TaskRouter URL of account '{}'", account.name),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
        })?;
        let secret = SecretString::from(secret.as_str().to_owned());
        let config = TwilioConfig::new(base, &settings.workspace_sid, &settings.api_key, secret);
        let config = super::paced(config, &self.settings);
        Ok(Some(Arc::new(TwilioTaskRouter::new(config, self.http.clone(), self.ambient.clone())?)))
    }
}

impl Routers for AccountRouters {
    fn for_account(&self, account: AccountId) -> Option<Arc<dyn TaskRouter>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clients.get(&account).map(|client| Arc::clone(client) as Arc<dyn TaskRouter>)
    }

    fn leavers(&self, account: AccountId) -> LeaverPolicy {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.leavers.get(&account).copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for AccountRouters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRouters").field("shared", &self.shared).finish_non_exhaustive()
    }
}
