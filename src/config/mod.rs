//! Configuration: the built-in defaults, a file, the environment and the command line become one checked [`Config`].
//!
//! The layers are merged by hand and not by a general crate: those turn `0.5` into the number of people 1 and `yes` into
//! 1 without a word, and forget the line of a mistake. Here each value must have the type that its default has, and each
//! problem names the place that it came from.

mod check;
mod error;
mod layers;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

pub use error::{ConfigError, Problem};
pub use layers::{DEFAULTS, Origin, Setting};
use layers::{Layers, PREFIX};
use reader::Reader;

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where monitoring listens; none: nowhere.
    pub ops_listen: Option<OpsListen>,
    /// The configured public URL; [`Config::public_url_at`] says what holds when there is none.
    pub public_url: Option<Url>,
    /// Where everything is stored.
    pub database: DatabaseConfig,
    /// The directory for files.
    pub data_dir: PathBuf,
    /// The keys that seal secrets, as [`crate::base::Keyring::from_hex`] takes them; none: a key file in the data directory.
    pub secret_key: Option<SecretString>,
    /// Limits of the HTTP server.
    pub server: ServerConfig,
    /// The TaskRouter of the account `default`.
    pub taskrouter: TaskRouterConfig,
    /// The SCIM endpoints.
    pub scim: ScimConfig,
    /// OAuth clients.
    pub oauth: OauthConfig,
    /// The log of pushes.
    pub push_log: PushLogConfig,
    /// The log of sign-ins.
    pub sign_ins: SignInsConfig,
    /// Receipts of those who left.
    pub receipts: ReceiptsConfig,
    /// Bringing workers into step.
    pub reconciler: ReconcilerConfig,
    /// Walks through all workers.
    pub inventory: InventoryConfig,
    /// When a loss of access is held.
    pub guard: GuardConfig,
    /// Sign-on.
    pub sso: SsoConfig,
    /// Logging.
    pub log: LogConfig,
}

/// Where monitoring listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpsListen {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Whether somebody chose it. The default may be taken by another copy, and then there is no listener.
    pub chosen: bool,
}

/// The table `[server]`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The largest request body in bytes.
    pub body_limit: usize,
    /// The time to read and answer a request.
    pub request_timeout: Duration,
    /// How long an idle connection is kept; at least 120 s.
    pub keep_alive: Duration,
    /// How many connections are served at once.
    pub max_connections: usize,
    /// How long work in progress may take after the signal to stop.
    pub shutdown_grace: Duration,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The table `[scim]`.
#[derive(Debug, Clone, Copy)]
pub struct ScimConfig {
    /// Requests a second that each token may send; none: no limit.
    pub rate_per_token: Option<u32>,
}

/// Where everything is stored: `database_url`, and the table `[database]`.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Which database.
    pub target: Database,
    /// Reading connections to SQLite.
    pub sqlite_readers: u32,
    /// Connections to PostgreSQL.
    pub postgres_connections: u32,
}

/// A database that can be used.
#[derive(Clone)]
pub enum Database {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, with its password.
    Postgres(SecretString),
}

impl Database {
    /// The SQLite file of a data directory.
    #[must_use]
    pub fn in_directory(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("rollcall.db"))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

/// The table `[taskrouter]`.
#[derive(Debug, Clone)]
pub struct TaskRouterConfig {
    /// The base URL of the TaskRouter API.
    pub base_url: Url,
    /// The base URL of the Flex API.
    pub flex_base_url: Url,
    /// How to sign in there; none: the built-in stand-in is used.
    pub credentials: Option<TwilioCredentials>,
    /// The longest wait for the answer to one call.
    pub timeout: Duration,
    /// Calls at the same time.
    pub max_in_flight: usize,
    /// Calls a second; none: no limit until Twilio asks for one.
    pub max_rate: Option<u32>,
    /// Where the built-in stand-in listens.
    pub stand_in_listen: SocketAddr,
}

/// Credentials of a Twilio account and the workspace that they are for.
#[derive(Debug, Clone)]
pub struct TwilioCredentials {
    /// `AC…`
    pub account_sid: String,
    /// `SK…`, or the account SID when the secret is the auth token.
    pub api_key: String,
    /// The secret of the API key.
    pub api_secret: SecretString,
    /// `WS…`
    pub workspace_sid: String,
}

/// The table `[oauth]`.
#[derive(Debug, Clone, Copy)]
pub struct OauthConfig {
    /// How long access tokens are good.
    pub access_token_lifetime: Duration,
}

/// The table `[sign_ins]`.
#[derive(Debug, Clone, Copy)]
pub struct SignInsConfig {
    /// How long attempts are kept.
    pub keep: Duration,
}

/// The table `[push_log]`.
#[derive(Debug, Clone, Copy)]
pub struct PushLogConfig {
    /// How long requests are kept.
    pub keep: Duration,
}

/// The table `[receipts]`.
#[derive(Debug, Clone, Copy)]
pub struct ReceiptsConfig {
    /// How long finished receipts are kept.
    pub keep: Duration,
    /// A removal that is not verified after this is late.
    pub late_after: Duration,
}

/// The table `[reconciler]`.
#[derive(Debug, Clone)]
pub struct ReconcilerConfig {
    /// Nothing is done at Twilio.
    pub paused: bool,
    /// Workers brought into step at the same time.
    pub concurrency: usize,
    /// Roles at Twilio whose workers are never adopted, and never removed.
    pub protected_roles: Vec<String>,
}

/// The table `[inventory]`.
#[derive(Debug, Clone, Copy)]
pub struct InventoryConfig {
    /// How often all workers are read; none: only when somebody asks.
    pub every: Option<Duration>,
    /// The share of the calls to Twilio that this may take (0 to 1).
    pub share: f64,
    /// Whether channels are compared, too.
    pub channels: bool,
    /// What becomes of drift.
    pub drift: DriftPolicy,
}

/// What becomes of a worker that differs though Rollcall changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftPolicy {
    /// It is brought into step.
    Repair,
    /// It is reported.
    Report,
}

/// The table `[guard]`.
#[derive(Debug, Clone, Copy)]
pub struct GuardConfig {
    /// More people than this in the window are held.
    pub max_people: u32,
    /// More than this share of a connection's people (0 to 1) is held.
    pub max_share: f64,
    /// The window.
    pub window: Duration,
}

/// The table `[sso]`.
#[derive(Debug, Clone, Copy)]
pub struct SsoConfig {
    /// For development: identity providers on this machine may be used over http.
    pub allow_loopback_http: bool,
}

/// The table `[log]`.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Directives of `tracing_subscriber::EnvFilter`; checked.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What a configuration is made of. The environment is a value, so that only `main` reads the real one.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// Environment variables; those that do not begin with `ROLLCALL_` are ignored.
    pub environment: Vec<(String, String)>,
    /// What the command line says.
    pub flags: Vec<Flag>,
}

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Its name for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl ConfigFile {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                Err(Problem::new(None, format!("the configuration file {name} cannot be read: {error}")).into())
            }
        }
    }
}

/// A setting given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as people type it (`--data-dir`).
    pub name: &'static str,
    /// The key that it sets (`data_dir`).
    pub key: &'static str,
    /// Its value.
    pub value: String,
}

/// A configuration with what there is to say about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What the operator should know, one sentence each.
    pub warnings: Vec<String>,
    /// Every setting in force with its origin; secrets are masked.
    pub settings: Vec<Setting>,
}

impl Loaded {
    /// Whether nobody set this key, so that a command may choose a value of its own.
    #[must_use]
    pub fn is_default(&self, key: &str) -> bool {
        self.settings.iter().all(|setting| setting.key != key || setting.origin == Origin::Default)
    }
}

impl Config {
    /// Merges the sources (defaults < file < environment < flags) and checks the result as a whole.
    ///
    /// # Errors
    /// All problems that were found, each with its place and what to set instead.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::defaults()?;
        if let Some(file) = &sources.file {
            layers.add_file(file);
        }
        layers.add_environment(&sources.environment);
        layers.add_flags(&sources.flags);
        let mut reader = Reader::new(&layers);
        let config = Self::read(&mut reader);
        let mut warnings = layers.warnings.clone();
        check::check(&config, &mut reader, &mut warnings);
        let mut problems = layers.problems.clone();
        problems.extend(reader.into_problems());
        if problems.is_empty() {
            Ok(Loaded { config, warnings, settings: layers.settings() })
        } else {
            Err(ConfigError { problems })
        }
    }

    /// The public URL, given the address that was bound: the configured one, or `http://` and that address.
    /// It has no path and no slash at its end.
    #[must_use]
    pub fn public_url_at(&self, bound: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => format!("http://localhost:{}", bound.port()),
            None => format!("http://{bound}"),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        let data_dir = PathBuf::from(reader.text("data_dir"));
        Self {
            listen: reader.address("listen"),
            ops_listen: reader.ops_listen("ops_listen"),
            public_url: reader.public_url("public_url"),
            database: DatabaseConfig {
                target: reader.database("database_url", &data_dir),
                sqlite_readers: reader.number("database.sqlite_readers", 1, 64),
                postgres_connections: reader.number("database.postgres_connections", 2, 1_000),
            },
            data_dir,
            secret_key: reader.secret("secret_key"),
            server: ServerConfig {
                body_limit: reader.number("server.body_limit_bytes", 65_536, 1 << 30),
                request_timeout: reader.seconds("server.request_timeout_s", 1, 3_600),
                keep_alive: reader.seconds("server.keep_alive_s", 120, 86_400),
                max_connections: reader.number("server.max_connections", 1, 100_000),
                shutdown_grace: reader.seconds("server.shutdown_grace_s", 1, 3_600),
                trusted_proxies: reader.networks("server.trusted_proxies"),
            },
            scim: ScimConfig {
                rate_per_token: Some(reader.number("scim.rate_per_token", 0, 100_000)).filter(|rate| *rate > 0),
            },
            taskrouter: TaskRouterConfig {
                base_url: reader.base_url("taskrouter.base_url"),
                flex_base_url: reader.base_url("taskrouter.flex_base_url"),
                credentials: reader.credentials(),
                timeout: reader.seconds("taskrouter.timeout_s", 1, 120),
                max_in_flight: reader.number("taskrouter.max_in_flight", 1, 1_000),
                max_rate: Some(reader.number("taskrouter.max_rate", 0, 100_000)).filter(|rate| *rate > 0),
                stand_in_listen: reader.address("taskrouter.stand_in_listen"),
            },
            oauth: OauthConfig { access_token_lifetime: reader.seconds("oauth.access_token_lifetime_s", 60, 86_400) },
            push_log: PushLogConfig {
                keep: Duration::from_hours(24 * reader.number::<u64>("push_log.keep_days", 1, 3_650)),
            },
            sign_ins: SignInsConfig {
                keep: Duration::from_hours(24 * reader.number::<u64>("sign_ins.keep_days", 1, 3_650)),
            },
            receipts: ReceiptsConfig {
                keep: Duration::from_hours(24 * reader.number::<u64>("receipts.keep_days", 1, 3_650)),
                late_after: reader.seconds("receipts.late_after_s", 1, 86_400),
            },
            reconciler: ReconcilerConfig {
                paused: reader.flag("reconciler.paused"),
                concurrency: reader.number("reconciler.concurrency", 1, 1_000),
                protected_roles: reader.list("reconciler.protected_roles"),
            },
            inventory: InventoryConfig {
                every: Some(reader.seconds("inventory.every_s", 0, 31_536_000)).filter(|every| !every.is_zero()),
                share: reader.share("inventory.share"),
                channels: reader.flag("inventory.channels"),
                drift: reader.drift_policy("inventory.drift"),
            },
            guard: GuardConfig {
                max_people: reader.number("guard.max_people", 0, 1_000_000_000),
                max_share: reader.share("guard.max_share"),
                window: reader.seconds("guard.window_s", 1, 604_800),
            },
            sso: SsoConfig { allow_loopback_http: reader.flag("sso.allow_loopback_http") },
            log: LogConfig { filter: reader.log_filter("log.filter"), format: reader.log_format("log.format") },
        }
    }
}

/// The `ROLLCALL_*` variables of this process; only this module reads its environment.
///
/// # Errors
/// When one of them is not UTF-8.
pub fn process_environment() -> Result<Vec<(String, String)>, ConfigError> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Problem::new(Some(Origin::Environment(name)), "is not valid UTF-8".to_owned()).into()),
        })
        .collect()
}

/// Whether the person at the terminal wants no colours (`NO_COLOR`, set to anything; see no-color.org).
#[must_use]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
