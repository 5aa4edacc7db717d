//! `rollcall serve`

use clap::Args;

use super::{Outcome, output, signal};
use crate::app::App;
use crate::base::Ambient;
use crate::config::Config;

/// Run the server.
///
/// The database is made or brought up to date by itself. Without Twilio credentials a TaskRouter of our own is started
/// beside it ("stand-in"), so that everything can be tried out; the log says so.
///
/// Stops on SIGTERM and Ctrl-C: requests in progress are answered and calls to Twilio in progress are finished first.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Address and port to listen at; port 0 takes a free one [env: ROLLCALL_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The URL under which identity providers reach this server [env: ROLLCALL_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  rollcall serve
  rollcall serve --listen 0.0.0.0:8080 --public-url https://rollcall.example.com
  ROLLCALL_DATABASE_URL=postgres://rollcall@db/rollcall ROLLCALL_SECRET_KEY=... rollcall serve";

impl ServeArgs {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// When the address, the data directory or the database cannot be used.
    pub async fn run(&self, config: &Config) -> Outcome {
        let stop = signal::stop()?;
        let app = App::start(config, Ambient::system()).await?;
        if app.public_url().starts_with("http://") {
            tracing::warn!(
                url = app.public_url(),
                "PEOPLE REACH THIS SERVER BY PLAIN HTTP: cookies of sessions have neither Secure nor the prefix __Host-. Set ROLLCALL_PUBLIC_URL to an https address"
            );
        }
        tracing::info!(
            address = %app.address(),
            scim = app.core().scim_url(),
            ops = app.ops_address().map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        let core = app.core();
        if let Some(link) = core.first_owner_link(&core.ensure_default_account().await?).await? {
            // To standard output: logs are kept and shipped, and this is a secret.
            output::line(format_args!(
                "There is no owner yet. To become the owner, open this link within 24 hours: {link}"
            ))?;
        }
        app.run(stop).await?;
        tracing::info!("stopped");
        Ok(())
    }
}
