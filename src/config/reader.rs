//! Reading single settings: each method turns one key into its type and notes what is wrong with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use toml::Value;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::layers::{Layers, Origin, variable_of};
use super::{Database, DriftPolicy, LogFormat, OpsListen, Problem, TwilioCredentials};
use crate::base::network;

pub(super) struct Reader<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layers: &'a Layers) -> Self {
        Self { layers, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Whether the value is that of the defaults, wherever it was said.
    pub(super) fn is_default(&self, key: &str) -> bool {
        self.layers.get(key).map(|(value, _)| value) == self.layers.default_of(key)
    }

    /// Notes a problem with a key, at the place where its value was said.
    pub(super) fn problem(&mut self, key: &str, message: &str) {
        let problem = match self.layers.get(key) {
            Some((_, origin @ Origin::File { .. })) => Problem::new(Some(origin.clone()), format!("'{key}' {message}")),
            Some((_, origin @ (Origin::Environment(_) | Origin::Flag(_)))) => {
                Problem::new(Some(origin.clone()), message.to_owned())
            }
            _ => Problem::new(None, format!("'{key}' ({}) {message}", variable_of(key))),
        };
        self.problems.push(problem);
    }

    /// Parses the value of a key. When it cannot be, the problem is noted and the default stands in, so that the other
    /// keys are looked at too.
    #[expect(clippy::expect_used, reason = "the defaults are part of the program, and a test reads every one of them")]
    fn parse<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, String>) -> T {
        let parsed = self.layers.get(key).map(|(value, _)| parse(value));
        match parsed {
            Some(Ok(value)) => return value,
            Some(Err(message)) => self.problem(key, &message),
            None => {}
        }
        self.layers.default_of(key).and_then(|value| parse(value).ok()).expect("a key with a good default")
    }

    fn parse_text<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.parse(key, |value| parse(value.as_str().unwrap_or_default()))
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        self.parse_text(key, |text| match text {
            "" => Err("must not be empty".to_owned()),
            text => Ok(text.to_owned()),
        })
    }

    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        self.parse_text(key, |text| Ok(Some(text.to_owned()).filter(|text| !text.is_empty())))
    }

    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        self.optional_text(key).map(SecretString::from)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.parse(key, |value| value.as_bool().ok_or_else(|| "must be true or false".to_owned()))
    }

    pub(super) fn number<T: TryFrom<i64>>(&mut self, key: &str, least: i64, most: i64) -> T {
        self.parse(key, |value| {
            let number = value.as_integer().filter(|number| (least..=most).contains(number));
            number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("must be {least} to {most}"))
        })
    }

    pub(super) fn seconds(&mut self, key: &str, least: i64, most: i64) -> Duration {
        Duration::from_secs(self.number(key, least, most))
    }

    pub(super) fn share(&mut self, key: &str) -> f64 {
        self.parse(key, |value| {
            let share = value.as_float().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| "must be a share from 0 to 1, for example 0.1 for a tenth".to_owned())
        })
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        self.parse(key, |value| {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        })
    }

    pub(super) fn networks(&mut self, key: &str) -> Vec<IpNet> {
        self.parse(key, |value| {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str);
            items.map(|text| network(text).map_err(|error| format!("must be networks: {error}"))).collect()
        })
    }

    pub(super) fn address(&mut self, key: &str) -> SocketAddr {
        self.parse_text(key, |text| {
            text.parse().map_err(|_| "must be ADDRESS:PORT, for example 127.0.0.1:8080 or 0.0.0.0:8080".to_owned())
        })
    }

    /// An address, or nothing.
    pub(super) fn ops_listen(&mut self, key: &str) -> Option<OpsListen> {
        let chosen = self.layers.get(key).is_some_and(|(_, origin)| *origin != Origin::Default);
        self.parse_text(key, |text| match text.trim() {
            "" => Ok(None),
            text => match text.parse() {
                Ok(address) => Ok(Some(OpsListen { address, chosen })),
                Err(_) => Err("must be ADDRESS:PORT, for example 127.0.0.1:9464, or empty for no listener".to_owned()),
            },
        })
    }

    /// A URL that is only scheme, host and port.
    pub(super) fn public_url(&mut self, key: &str) -> Option<Url> {
        self.parse_text(key, |text| match text {
            "" => Ok(None),
            text => parse_http(text, "https://rollcall.example.com").and_then(|url| match url.path() {
                "/" => Ok(Some(url)),
                _ => Err("must be without a path, for example https://rollcall.example.com".to_owned()),
            }),
        })
    }

    pub(super) fn base_url(&mut self, key: &str) -> Url {
        self.parse_text(key, |text| {
            let url = parse_http(text, "https://taskrouter.twilio.com")?;
            if url.scheme() == "https" || is_loopback(&url) {
                Ok(url)
            } else {
                Err("must be https: credentials are sent there (http is for this machine only)".to_owned())
            }
        })
    }

    pub(super) fn database(&mut self, key: &str, data_dir: &Path) -> Database {
        self.parse_text(key, |text| match text {
            "" => Ok(Database::in_directory(data_dir)),
            text if text.starts_with("sqlite:") => parse_sqlite(text).map(Database::Sqlite),
            text => parse_postgres(text).map(Database::Postgres),
        })
    }

    pub(super) fn log_filter(&mut self, key: &str) -> String {
        self.parse_text(key, |text| match EnvFilter::try_new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(format!("is not a log filter ({error}): use for example info or info,rollcall=debug")),
        })
    }

    pub(super) fn log_format(&mut self, key: &str) -> LogFormat {
        self.parse_text(key, |text| match text {
            "auto" => Ok(LogFormat::Auto),
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err("must be auto, pretty or json".to_owned()),
        })
    }

    pub(super) fn drift_policy(&mut self, key: &str) -> DriftPolicy {
        self.parse_text(key, |text| match text {
            "repair" => Ok(DriftPolicy::Repair),
            "report" => Ok(DriftPolicy::Report),
            _ => Err("must be repair or report".to_owned()),
        })
    }

    /// All four parts of the credentials, or none of them.
    pub(super) fn credentials(&mut self) -> Option<TwilioCredentials> {
        const KEYS: [&str; 4] =
            ["taskrouter.account_sid", "taskrouter.api_key", "taskrouter.api_secret", "taskrouter.workspace_sid"];
        let parts = KEYS.map(|key| self.optional_text(key));
        for (key, part) in KEYS.iter().zip(&parts) {
            // They stand in URLs and headers; the secret is free.
            if part.as_ref().is_some_and(|sid| !sid.bytes().all(|b| b.is_ascii_alphanumeric()))
                && !key.ends_with("secret")
            {
                self.problem(key, "must be letters and digits only, as the Twilio Console shows it");
            }
        }
        let missing: Vec<String> =
            KEYS.iter().zip(&parts).filter(|(_, part)| part.is_none()).map(|(key, _)| variable_of(key)).collect();
        match parts {
            [Some(account_sid), Some(api_key), Some(api_secret), Some(workspace_sid)] => {
                let api_secret = SecretString::from(api_secret);
                Some(TwilioCredentials { account_sid, api_key, api_secret, workspace_sid })
            }
            _ if missing.len() < KEYS.len() => {
                let message = format!(
                    "the Twilio credentials are incomplete: set {} too, or none of them to use the built-in stand-in",
                    missing.join(" and ")
                );
                self.problems.push(Problem::new(None, message));
                None
            }
            _ => None,
        }
    }
}

/// Whether a URL names this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn parse_http(text: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| format!("must be an http or https URL, for example {example}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("must be without user, query and fragment, for example {example}"));
    }
    Ok(url)
}

fn parse_sqlite(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or_default();
    // `mode=rwc` is what the file gets anyway, and what people know from other programs.
    let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
    if path.contains(":memory:") {
        return Err(
            "must name a file: an SQLite database in memory cannot be shared by connections and commands".into()
        );
    }
    if path.is_empty() || path.contains('?') {
        return Err("must be sqlite:PATH without options, for example sqlite:/var/lib/rollcall/rollcall.db".to_owned());
    }
    let path =
        percent_decode_str(path).decode_utf8().map_err(|_| "must be sqlite:PATH with a UTF-8 path".to_owned())?;
    Ok(PathBuf::from(path.into_owned()))
}

fn parse_postgres(text: &str) -> Result<SecretString, String> {
    // Not a word of the text is repeated in the message: there may be a password in it.
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    let named = url.is_some_and(|url| !url.path().trim_matches('/').is_empty() || url.query().is_some());
    if named {
        Ok(SecretString::from(text.to_owned()))
    } else {
        Err("must be sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned())
    }
}
