//! `rollcall stand-in`

use std::net::SocketAddr;

use clap::Args;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;

use super::{Outcome, SecretFile, output, signal};
use crate::app::STAND_IN_DIRECTORY;
use crate::base::Ambient;
use crate::config::Config;
use crate::taskrouter::stand_in::{Credentials, Faults, StandIn, StandInOptions};

/// Run a TaskRouter of our own, for trying things out and for tests.
///
/// It answers the parts of Twilio's TaskRouter and Flex APIs that Rollcall uses, keeps what it is told in the data
/// directory, and can be made slow and unreliable. It prints the settings with which Rollcall reaches it. Under
/// /_stand_in/ it tells its state and the calls it got, and takes new faults while it runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StandInArgs {
    /// Address and port to listen at; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Keep nothing
    #[arg(long)]
    pub in_memory: bool,
    /// The file that holds the API secret that callers must send, or - for standard input [default: any is taken]
    #[arg(long, value_name = "FILE")]
    pub api_secret_file: Option<SecretFile>,
    /// Milliseconds that every call takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
    /// The share of calls (0 to 1) that are answered 429
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub rate_429: f64,
    /// The share of calls that are answered 500
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub rate_500: f64,
    /// The share of calls that take effect and get no answer
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub rate_lost_after_commit: f64,
    /// The share of calls that are answered with HTML
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub rate_html: f64,
    /// Where the dice for all this start
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  rollcall stand-in
  rollcall stand-in --listen 127.0.0.1:0 --in-memory --latency-ms 100 --rate-429 0.05

  rollcall stand-in > settings &        # then, in the same shell:
  set -a; . ./settings; rollcall serve";

impl StandInArgs {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// When the data directory or the address cannot be used, or a share is not one.
    pub async fn run(&self, config: &Config) -> Outcome {
        let stop = signal::stop()?;
        let options = StandInOptions {
            dir: (!self.in_memory).then(|| config.data_dir.join(STAND_IN_DIRECTORY)),
            api_secret: self.api_secret_file.as_ref().map(SecretFile::read).transpose()?,
            faults: self.faults(),
            ..StandInOptions::default()
        };
        let stand_in = StandIn::open(options, Ambient::system())?;
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| format!("cannot listen at {}: {error}; choose another with --listen", self.listen))?;
        let bound = listener.local_addr()?;
        output::line(settings(bound, &stand_in.credentials()))?;
        tracing::info!(address = %bound, "the stand-in of TaskRouter is ready");
        stand_in.serve(listener, stop).await?;
        Ok(())
    }

    fn faults(&self) -> Faults {
        Faults {
            latency_ms: self.latency_ms,
            rate_429: self.rate_429,
            rate_500: self.rate_500,
            rate_lost_after_commit: self.rate_lost_after_commit,
            rate_html: self.rate_html,
            seed: self.seed,
            ..Faults::default()
        }
    }
}

/// The environment with which Rollcall reaches a stand-in, as a shell reads it.
fn settings(bound: SocketAddr, credentials: &Credentials) -> String {
    [
        ("BASE_URL", &*format!("http://{bound}")),
        ("FLEX_BASE_URL", &*format!("http://{bound}")),
        ("ACCOUNT_SID", &credentials.account_sid),
        ("API_KEY", &credentials.api_key),
        ("API_SECRET", &shell_quoted(credentials.api_secret.expose_secret())),
        ("WORKSPACE_SID", &credentials.workspace_sid),
    ]
    .map(|(name, value)| format!("ROLLCALL_TASKROUTER__{name}={value}"))
    .join("\n")
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_printed_settings_are_complete_credentials() {
        let stand_in = StandIn::open(StandInOptions::default(), Ambient::system()).unwrap();
        let text = settings(SocketAddr::from(([127, 0, 0, 1], 8090)), &stand_in.credentials());
        let environment = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        let loaded = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        assert_eq!(loaded.config.taskrouter.base_url.as_str(), "http://127.0.0.1:8090/");
        assert!(loaded.config.taskrouter.credentials.is_some());
        assert_eq!(shell_quoted("a'b c"), r"'a'\''b c'");
    }
}
