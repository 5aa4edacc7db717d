//! What a command needs that reaches TaskRouter beside a server, or without one.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::routers::AccountRouters;
use super::words::Words;
use super::{AppError, STAND_IN_DIRECTORY, configured, inventory, stand_in_config, start_driver, start_stand_in};
use crate::config::Config;
use crate::net::HttpClient;
use crate::reconcile::Routers as _;
use crate::reconcile::driver::DriverHandle;
use crate::reconcile::inventory::{InventoryPorts, InventorySettings};
use crate::reconcile::observe::Stats;
use crate::service::{Core, Wake};
use crate::store::accounts::Account;
use crate::taskrouter::TaskRouter;
use crate::taskrouter::stand_in::{StandIn, StandInError};
use crate::taskrouter::twilio::TwilioConfig;

/// Where the stand-in of a running server is, in its directory.
const ADDRESS: &str = "address.json";

/// How commands reach the stand-in of a server that runs on the same data directory.
#[derive(Serialize, Deserialize)]
struct Address {
    url: String,
    workspace_sid: String,
    api_key: String,
    api_secret: String,
}

/// Leaves word of where the stand-in is. It is of no use to others: the stand-in listens on this machine only, unless it was
/// told otherwise, and the file is its owner's.
pub(super) fn announce(data_dir: &Path, stand_in: &StandIn, url: &Url) -> Result<(), AppError> {
    let credentials = stand_in.credentials();
    let address = Address {
        url: url.to_string(),
        workspace_sid: credentials.workspace_sid,
        api_key: credentials.api_key,
        api_secret: credentials.api_secret.expose_secret().to_owned(),
    };
    let path = address_file(data_dir);
    let failed = |source| AppError::File { what: format!("the file {} cannot be written", path.display()), source };
    let text = serde_json::to_vec(&address).map_err(|error| failed(error.into()))?;
    // Under another name first: whoever reads it finds all of it.
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(failed)?;
    file.write_all(&text).and_then(|()| std::fs::rename(&draft, &path)).map_err(failed)
}

fn address_file(data_dir: &Path) -> PathBuf {
    data_dir.join(STAND_IN_DIRECTORY).join(ADDRESS)
}

fn announced(data_dir: &Path) -> Result<TwilioConfig, AppError> {
    let path = address_file(data_dir);
    let failed = |source: io::Error| AppError::File {
        what: format!("the stand-in of the running server is not known from {}", path.display()),
        source,
    };
    let text = std::fs::read(&path).map_err(failed)?;
    let address: Address = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    let url = Url::parse(&address.url).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let secret = SecretString::from(address.api_secret);
    Ok(TwilioConfig::new(url, &address.workspace_sid, &address.api_key, secret))
}

/// The TaskRouter of an account, for a command.
#[derive(Debug)]
pub struct Reach {
    core: Arc<Core>,
    wake: Wake,
    routers: Arc<AccountRouters>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Reach {
    /// Finds the TaskRouter that an account has: its own, that of the configuration, or the stand-in, which a running server
    /// has open, and which otherwise runs as long as the command.
    ///
    /// # Errors
    /// When none can be used.
    pub async fn new(config: &Config, core: &Arc<Core>, wake: &Wake, account: &Account) -> Result<Self, AppError> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let own = match configured(config) {
            None if account.taskrouter.is_none() => {
                Some(match start_stand_in(config, core.ambient(), &stop, &tasks).await {
                    Ok((stand_in, url)) => stand_in_config(&stand_in, &url),
                    Err(AppError::StandIn(StandInError::InUse(_))) => announced(&config.data_dir)?,
                    Err(error) => return Err(error),
                })
            }
            own => own,
        };
        let shared = config.taskrouter.credentials.is_none();
        let (http, ambient) = (HttpClient::new()?, core.ambient().clone());
        let routers = AccountRouters::new(Arc::clone(core), http, ambient, own, &config.taskrouter, shared)?;
        routers.refresh().await?;
        Ok(Self { core: Arc::clone(core), wake: wake.clone(), routers: Arc::new(routers), stop, tasks })
    }

    /// The account's client.
    #[must_use]
    pub fn router(&self, account: &Account) -> Option<Arc<dyn TaskRouter>> {
        self.routers.for_account(account.id)
    }

    /// What walks need.
    #[must_use]
    pub fn ports(&self) -> InventoryPorts {
        inventory::ports(&self.core, &self.wake)
    }

    /// How walks are made, as configured.
    #[must_use]
    pub fn settings(config: &Config) -> InventorySettings {
        inventory::settings(config)
    }

    /// Starts a reconciler beside those of servers: leases share the work.
    #[must_use]
    pub fn start_driver(&self, config: &Config) -> DriverHandle {
        let ambient = self.core.ambient().clone();
        let stats = Arc::new(Stats::default());
        let copy = ambient.id::<uuid::Uuid>().to_string();
        let (handle, driver) = start_driver(config, &self.core, &self.routers, &stats, ambient);
        let (core, routers) = (Arc::clone(&self.core), Arc::clone(&self.routers));
        let words = Words { core, routers, driver, copy, stop: self.stop.clone() };
        // Servers are told as well: they share the work.
        let news = Arc::new(Notify::new());
        self.tasks.spawn(words.clone().wake(self.wake.clone(), Arc::clone(&news)));
        self.tasks.spawn(words.tell(news));
        handle
    }

    /// Finishes what is under way.
    ///
    /// # Errors
    /// If the reconciler failed.
    pub async fn end(self, driver: Option<DriverHandle>) -> Result<(), JoinError> {
        let ended = match driver {
            Some(driver) => driver.shutdown().await,
            None => Ok(()),
        };
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        ended
    }
}
