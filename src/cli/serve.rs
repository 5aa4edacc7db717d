//! `rollcall serve`

use clap::Args;

use super::{Outcome, signal};
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
        tracing::info!(
            address = %app.address(),
            scim = app.core().scim_url(),
            ops = app.ops_address().map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        app.run(stop).await?;
        tracing::info!("stopped");
        Ok(())
    }
}
