//! The only place that wires the parts together; `main` and the tests both come through here.

pub mod command;
mod copies;
mod housekeeping;
mod inventory;
mod keys;
mod metrics;
mod routers;
mod words;

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use crate::base::{Ambient, Keyring};
use crate::config::{Config, Database, OpsListen, TaskRouterConfig};
use crate::net::{Destination, HttpClient, HttpError, SystemTxt};
use crate::reconcile::driver::{self, DriverHandle, DriverPorts, DriverSettings, Wake as DriverWake};
use crate::reconcile::execute::ExecuteSettings;
use crate::reconcile::observe::Stats;
use crate::reconcile::sql_store::SqlStore;
use crate::service::pushes::PushLog;
use crate::service::sign_in::SignOnPorts;
use crate::service::{Core, ServiceError, Wake};
use crate::sso::MetadataReader;
use crate::sso::oidc::RelyingParty;
use crate::store::{Store, StoreError, StoreOptions};
use crate::taskrouter::stand_in::{StandIn, StandInError, StandInOptions};
use crate::taskrouter::twilio::{TwilioConfig, TwilioConfigError};
use crate::web::{Limits, Readiness, ServerSettings, WebState, ops_site, serve, site};
use metrics::Gauges;
use routers::AccountRouters;
use words::Words;

/// The directory of the stand-in inside the data directory.
pub const STAND_IN_DIRECTORY: &str = "stand-in";
/// Connections for monitoring that are served at once.
const OPS_CONNECTIONS: usize = 32;
/// How long monitoring may take to read its last answer when the server stops.
const OPS_GRACE: Duration = Duration::from_secs(1);
/// How long to wait before a failed recomputation is tried again.
const RECOMPUTE_RETRY: Duration = Duration::from_secs(1);
/// How often waiting recomputations are looked for without being told.
const RECOMPUTE_POLL: Duration = Duration::from_millis(500);

/// The program could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Store(#[from] StoreError),
    /// Something that is needed at the start failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A file or directory cannot be used.
    #[error("{what}: {source}")]
    File {
        /// What was to be done.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// The keys that seal secrets cannot be used.
    #[error(transparent)]
    Keys(#[from] crate::base::SealError),
    /// The address is not free.
    #[error("cannot listen at {0}: {1}; choose another with --listen or ROLLCALL_LISTEN")]
    Listen(SocketAddr, io::Error),
    /// The address for monitoring was chosen, and is not free.
    #[error(
        "cannot listen at {0} for monitoring: {1}; choose another address with ROLLCALL_OPS_LISTEN, or set it to nothing for no metrics"
    )]
    OpsListen(SocketAddr, io::Error),
    /// The stand-in cannot run.
    #[error("the built-in stand-in of TaskRouter cannot run: {0}")]
    StandIn(#[from] StandInError),
    /// TaskRouter cannot be reached as configured.
    #[error(transparent)]
    TaskRouter(#[from] TwilioConfigError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Http(#[from] HttpError),
}

/// Opens the database with what surrounds it: all that a command needs. The database is brought up to date, and has the
/// account `default`.
pub async fn open(config: &Config, ambient: Ambient, public_url: &str, wake: Wake) -> Result<Core, AppError> {
    make_private(&config.data_dir).map_err(|source| AppError::File {
        what: format!("the data directory {} cannot be made", config.data_dir.display()),
        source,
    })?;
    let keyring = match &config.secret_key {
        Some(keys) => Keyring::from_hex(keys.expose_secret())?,
        None => keys::from_file(&config.data_dir, &ambient)?,
    };
    if let Database::Sqlite(file) = &config.database.target
        && let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        make_private(folder).map_err(|source| AppError::File {
            what: format!("the folder {} cannot be made", folder.display()),
            source,
        })?;
    }
    let store = Arc::new(Store::open(&store_options(config)).await?);
    let ports = sign_on_ports(config, &ambient)?;
    let core = Core::new(store, ambient, Arc::new(keyring), wake, public_url)
        .with_access_tokens_for(config.oauth.access_token_lifetime)
        .with_limits(limits_of_guard(config))
        .with_sign_on(ports);
    core.ensure_default_account().await?;
    Ok(core)
}

fn sign_on_ports(config: &Config, ambient: &Ambient) -> Result<SignOnPorts, AppError> {
    let (http, loopback_http) = (HttpClient::new()?, config.sso.allow_loopback_http);
    let destination = Destination::of_administrators(loopback_http);
    Ok(SignOnPorts {
        relying_party: RelyingParty::new(http.clone(), destination, ambient.clone()),
        txt: Box::new(SystemTxt::default()),
        metadata: MetadataReader::new(http, destination),
        loopback_http,
    })
}

fn limits_of_guard(config: &Config) -> crate::domain::Limits {
    let guard = &config.guard;
    crate::domain::Limits {
        max_people: guard.max_people,
        max_share: crate::domain::Share::new(guard.max_share),
        window: guard.window,
    }
}

/// Makes a missing directory for its owner only: people's names and addresses will be in it.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn store_options(config: &Config) -> StoreOptions {
    match &config.database.target {
        Database::Sqlite(file) => StoreOptions::Sqlite { file: file.clone(), readers: config.database.sqlite_readers },
        Database::Postgres(url) => StoreOptions::Postgres {
            url: url.clone(),
            connections: config.database.postgres_connections,
            patience: crate::store::PATIENCE,
        },
    }
}

/// A running server.
pub struct App {
    core: Arc<Core>,
    address: SocketAddr,
    public_url: String,
    listener: TcpListener,
    ops: Option<(TcpListener, SocketAddr)>,
    paused: bool,
    readiness: Readiness,
    settings: (ServerSettings, Limits),
    pushes: PushLog,
    driver: DriverHandle,
    stats: Arc<Stats>,
    stand_in: Option<(Arc<StandIn>, Url)>,
    routers: Arc<AccountRouters>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl App {
    /// Binds the address, opens the database, and starts what works in the background. Nothing is served before
    /// [`App::run`].
    pub async fn start(config: &Config, ambient: Ambient) -> Result<Self, AppError> {
        let listener =
            TcpListener::bind(config.listen).await.map_err(|error| AppError::Listen(config.listen, error))?;
        let address = listener.local_addr().map_err(|error| AppError::Listen(config.listen, error))?;
        let public_url = config.public_url_at(address);
        let ops = listen_for_monitoring(config.ops_listen).await?;
        let (wake, stop, tasks) = (Wake::default(), CancellationToken::new(), TaskTracker::new());
        let core = Arc::new(open(config, ambient.clone(), &public_url, wake.clone()).await?);
        let stand_in = match &config.taskrouter.credentials {
            Some(_) => None,
            None => Some(start_stand_in(config, &ambient, &stop, &tasks).await?),
        };
        let own =
            stand_in.as_ref().map(|(stand_in, url)| stand_in_config(stand_in, url)).or_else(|| configured(config));
        let routers = Arc::new(AccountRouters::new(
            Arc::clone(&core),
            HttpClient::new()?,
            ambient.clone(),
            own,
            &config.taskrouter,
            stand_in.is_some(),
        )?);
        routers.refresh().await?;
        tasks.spawn(Arc::clone(&routers).keep_fresh(stop.clone()));
        let keep = housekeeping::Keep {
            pushes: config.push_log.keep,
            receipts: config.receipts.keep,
            sign_ins: config.sign_ins.keep,
        };
        tasks.spawn(housekeeping::run(Arc::clone(&core), keep, stop.clone()));
        tasks.spawn(housekeeping::watch_removals(Arc::clone(&core), config.receipts.late_after, stop.clone()));
        let (pushes, writer) = PushLog::new(Arc::clone(core.store()));
        tasks.spawn(writer.run(stop.clone()));
        tasks.spawn(recompute(Arc::clone(&core), wake.clone(), stop.clone()));
        let stats = Arc::new(Stats::default());
        let copy = ambient.id::<Uuid>().to_string();
        let telling =
            copies::tell(Arc::clone(&core), copy.clone(), Arc::clone(&stats), config.reconciler.paused, stop.clone());
        tasks.spawn(telling);
        tasks.spawn(inventory::run(config, &core, &routers, &wake, stop.clone()));
        let (driver, driver_wake) = start_driver(config, &core, &routers, &stats, ambient);
        let words = Words {
            core: Arc::clone(&core),
            routers: Arc::clone(&routers),
            driver: driver_wake,
            copy,
            stop: stop.clone(),
        };
        let news = Arc::new(Notify::new());
        tasks.spawn(words.clone().wake(wake, Arc::clone(&news)));
        tasks.spawn(words.clone().tell(news));
        tasks.spawn(words.hear());
        let server = ServerSettings {
            keep_alive: config.server.keep_alive,
            opening: config.server.request_timeout,
            max_connections: config.server.max_connections,
            shutdown_grace: config.server.shutdown_grace,
        };
        Ok(Self {
            core,
            address,
            public_url,
            listener,
            ops,
            paused: config.reconciler.paused,
            readiness: Readiness::default(),
            settings: (server, limits(config)),
            pushes,
            driver,
            stats,
            stand_in,
            routers,
            stop,
            tasks,
        })
    }

    /// The use cases.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where monitoring is listened for.
    #[must_use]
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops.as_ref().map(|(_, address)| *address)
    }

    /// Where others reach it.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// What the reconciler has done so far.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The stand-in, if there are no Twilio credentials.
    #[must_use]
    pub fn stand_in(&self) -> Option<&Arc<StandIn>> {
        self.stand_in.as_ref().map(|(stand_in, _)| stand_in)
    }

    /// Where the stand-in is reached, if there is one.
    #[must_use]
    pub fn stand_in_url(&self) -> Option<&Url> {
        self.stand_in.as_ref().map(|(_, url)| url)
    }

    /// The TaskRouter of each account.
    #[must_use]
    pub fn routers(&self) -> &Arc<AccountRouters> {
        &self.routers
    }

    /// Serves until `shutdown` is done; then finishes what is under way, so that nothing is lost and little is repeated.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), JoinError> {
        let (server, limits) = self.settings;
        let state = WebState::new(Arc::clone(&self.core), self.readiness.clone(), &limits, self.pushes.clone());
        if let Some((listener, _)) = self.ops {
            let gauges = Gauges {
                started: self.core.ambient().now(),
                core: self.core,
                routers: self.routers,
                stats: self.stats,
                traffic: Arc::clone(state.traffic()),
                pushes: self.pushes,
                paused: self.paused,
                told: tokio::sync::Mutex::default(),
            };
            let site = ops_site(state.clone(), gauges.telling());
            let settings = ServerSettings { max_connections: OPS_CONNECTIONS, shutdown_grace: OPS_GRACE, ..server };
            // To the very end, so that whoever asks learns that this copy is stopping.
            self.tasks.spawn(serve(listener, site, settings, self.stop.clone().cancelled_owned()));
        }
        self.readiness.set(true);
        let readiness = self.readiness.clone();
        let stopping = async move {
            shutdown.await;
            readiness.set(false);
        };
        serve(self.listener, site(state), server, stopping).await;
        let driver = self.driver.shutdown().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        driver
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Several servers on a machine have the same default: all but the first go on without. An address that somebody chose is
/// taken at its word.
async fn listen_for_monitoring(wanted: Option<OpsListen>) -> Result<Option<(TcpListener, SocketAddr)>, AppError> {
    let Some(OpsListen { address, chosen }) = wanted else { return Ok(None) };
    let bound = match TcpListener::bind(address).await {
        Ok(listener) => listener.local_addr().map(|bound| (listener, bound)),
        Err(error) => Err(error),
    };
    match bound {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if chosen => Err(AppError::OpsListen(address, error)),
        Err(error) => {
            tracing::warn!(
                %address,
                %error,
                "no metrics: the address for monitoring is taken, by another copy perhaps. Set ROLLCALL_OPS_LISTEN to a free one, or to nothing"
            );
            Ok(None)
        }
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        body: config.server.body_limit,
        time: config.server.request_timeout,
        rate_per_token: config.scim.rate_per_token,
        trusted_proxies: config.server.trusted_proxies.as_slice().into(),
    }
}

async fn start_stand_in(
    config: &Config,
    ambient: &Ambient,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Arc<StandIn>, Url), AppError> {
    let wanted = config.taskrouter.stand_in_listen;
    let options = StandInOptions { dir: Some(config.data_dir.join(STAND_IN_DIRECTORY)), ..StandInOptions::default() };
    let stand_in = StandIn::open(options, ambient.clone())?;
    let listener = TcpListener::bind(wanted).await.map_err(|error| AppError::Listen(wanted, error))?;
    let bound = listener.local_addr().map_err(|error| AppError::Listen(wanted, error))?;
    let url = Url::parse(&format!("http://{bound}"))
        .map_err(|error| AppError::Listen(bound, io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    command::announce(&config.data_dir, &stand_in, &url)?;
    tracing::warn!(
        address = %bound,
        "NO TWILIO CREDENTIALS: a built-in stand-in takes the place of TaskRouter, and no worker is made at Twilio. Set ROLLCALL_TASKROUTER__ACCOUNT_SID, __API_KEY, __API_SECRET and __WORKSPACE_SID for the real one."
    );
    let (serving, stopped) = (Arc::clone(&stand_in), stop.clone());
    tasks.spawn(async move {
        if let Err(error) = serving.serve(listener, stopped.cancelled_owned()).await {
            tracing::error!(error = %crate::base::Causes(&error), "the stand-in of TaskRouter has stopped");
        }
    });
    Ok((stand_in, url))
}

fn stand_in_config(stand_in: &StandIn, url: &Url) -> TwilioConfig {
    let credentials = stand_in.credentials();
    TwilioConfig::new(url.clone(), &credentials.workspace_sid, &credentials.api_key, credentials.api_secret)
}

/// The TaskRouter of the configuration, for the account `default`.
fn configured(config: &Config) -> Option<TwilioConfig> {
    let taskrouter = &config.taskrouter;
    let credentials = taskrouter.credentials.as_ref()?;
    let base = TwilioConfig::new(
        taskrouter.base_url.clone(),
        &credentials.workspace_sid,
        &credentials.api_key,
        credentials.api_secret.clone(),
    );
    Some(paced(base, taskrouter))
}

/// With the limits on calls that the configuration sets for each account.
fn paced(base: TwilioConfig, taskrouter: &TaskRouterConfig) -> TwilioConfig {
    TwilioConfig {
        // Leavers have places of their own in the driver; their calls need room here as well.
        in_flight: taskrouter.max_in_flight + DriverSettings::default().leaver_reserve,
        rate: taskrouter.max_rate.map(f64::from),
        call_timeout: taskrouter.timeout,
        ..base
    }
}

fn start_driver(
    config: &Config,
    core: &Arc<Core>,
    routers: &Arc<AccountRouters>,
    stats: &Arc<Stats>,
    ambient: Ambient,
) -> (DriverHandle, DriverWake) {
    let driver_wake = DriverWake::default();
    let ports = DriverPorts {
        store: Arc::new(SqlStore::new(Arc::clone(core.store()))),
        routers: Arc::clone(routers) as Arc<_>,
        ambient,
        observer: Arc::clone(stats) as Arc<_>,
        wake: driver_wake.clone(),
    };
    let settings = DriverSettings {
        concurrency: config.reconciler.concurrency,
        paused: config.reconciler.paused,
        grace: config.server.shutdown_grace,
        execute: ExecuteSettings {
            protected_roles: config.reconciler.protected_roles.iter().cloned().collect(),
            ..ExecuteSettings::default()
        },
        ..DriverSettings::default()
    };
    let driver = driver::start(ports, settings);
    if config.reconciler.paused {
        tracing::warn!(
            "THE RECONCILER IS PAUSED (ROLLCALL_RECONCILER__PAUSED): pushes are accepted, nothing happens at TaskRouter"
        );
    }
    (driver, driver_wake)
}

/// Does what waits to be recomputed, chunk by chunk.
async fn recompute(core: Arc<Core>, wake: Wake, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let wait = match core.recompute_chunk(None).await {
            Ok(Some(progress)) => {
                tracing::debug!(looked_at = progress.looked_at, changed = progress.changed, "access recomputed");
                continue;
            }
            Ok(None) => RECOMPUTE_POLL,
            Err(error) => {
                tracing::error!(
                    error = %crate::base::Causes(&error),
                    "access could not be recomputed; trying again"
                );
                RECOMPUTE_RETRY
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = wake.recomputes.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
