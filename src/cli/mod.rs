//! The command line: one file a subcommand. Results go to standard output, everything else to standard error.

#![expect(clippy::doc_markdown, reason = "doc comments are the help texts here, which are not Markdown")]

pub mod account;
pub mod api_key;
pub mod backlog;
pub mod check_config;
pub mod client;
pub mod connection;
mod connection_sso;
pub mod credentials;
pub mod demo;
pub mod domain;
pub mod flex_sso;
pub mod holds;
pub mod inventory;
pub mod migrate;
pub mod orphans;
pub mod output;
pub mod owner;
mod progress;
pub mod pushes;
pub mod receipts;
pub mod reconcile;
pub mod rules;
mod secret_file;
pub mod serve;
pub mod sign_ins;
pub mod signal;
mod span;
pub mod stand_in;
#[cfg(test)]
mod tests;
pub mod token;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use crate::app;
use crate::base::{Ambient, Slug};
use crate::config::{Config, ConfigError, ConfigFile, Flag, Loaded, Sources};
use crate::service::Wake;
pub use secret_file::SecretFile;

/// Keeps the people of a Twilio Flex contact centre in step with the company's identity provider.
///
/// Identity providers push people and groups to Rollcall over SCIM 2.0; rules turn them into roles, teams, skills and
/// channels; and Rollcall creates, updates and removes the matching TaskRouter workers.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  rollcall demo                                  see it work, with nothing set up
  rollcall serve                                 the real thing
  rollcall connection add okta                   a link to an identity provider ...
  rollcall token create --connection okta        ... and the token for its provisioning settings

Every setting, its environment variable and its default: rollcall check-config --defaults";

/// Flags that come before or after any subcommand.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// A configuration file (TOML) [env: ROLLCALL_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// sqlite:PATH or postgres://... [env: ROLLCALL_DATABASE_URL]
    ///
    /// Other users of the machine see arguments: a URL with a password belongs into the environment.
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// The directory for the SQLite file, the key file and the stand-in [env: ROLLCALL_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// What to log: error, warn, info, debug, trace, or by module [env: ROLLCALL_LOG]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

/// The subcommands; what each says of itself in the help stands at its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Migrate(migrate::MigrateArgs),
    #[command(subcommand)]
    Account(account::AccountCommand),
    Backlog(backlog::BacklogArgs),
    #[command(subcommand)]
    Connection(connection::ConnectionCommand),
    #[command(subcommand)]
    Token(token::TokenCommand),
    #[command(subcommand)]
    Client(client::ClientCommand),
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    #[command(subcommand)]
    Holds(holds::HoldsCommand),
    #[command(subcommand)]
    FlexSso(flex_sso::FlexSsoCommand),
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    #[command(subcommand)]
    Owner(owner::OwnerCommand),
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    #[command(subcommand)]
    SignIns(sign_ins::SignInsCommand),
    #[command(subcommand)]
    Pushes(pushes::PushesCommand),
    Receipts(receipts::ReceiptsArgs),
    Reconcile(reconcile::ReconcileArgs),
    #[command(subcommand)]
    Inventory(inventory::InventoryCommand),
    #[command(subcommand)]
    Orphans(orphans::OrphansCommand),
    CheckConfig(check_config::CheckConfigArgs),
    StandIn(stand_in::StandInArgs),
}

/// What a command ends with; the error's text is for the person who typed the command.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The command did what it was asked for and found differences: all is said, and the exit status tells scripts.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not everything is in step")]
pub struct Differences;

impl Differences {
    /// The exit status. 1 is a failure, 2 a mistake on the command line.
    pub const STATUS: u8 = 3;
}

/// The account that a command is about.
#[derive(Debug, Args)]
pub struct AccountArg {
    /// The account (contact centre)
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub account: Slug,
}

impl Cli {
    /// Loads the configuration for the chosen command: file, environment, flags.
    ///
    /// # Errors
    /// When the file cannot be read or the configuration is not usable.
    pub fn load(&self, environment: Vec<(String, String)>) -> Result<Loaded, ConfigError> {
        let mut loaded = Config::load(&self.sources(environment)?)?;
        if matches!(self.command, Command::Demo(_)) {
            demo::calm(&mut loaded);
        }
        if matches!(self.command, Command::Reconcile(_) | Command::Orphans(_)) {
            // What the reconciler does on the way is for its own log; the command tells how it ends.
            demo::calm(&mut loaded);
        }
        Ok(loaded)
    }

    /// What [`Cli::load`] loads.
    ///
    /// # Errors
    /// When the configuration file cannot be read.
    pub fn sources(&self, environment: Vec<(String, String)>) -> Result<Sources, ConfigError> {
        let environment = match &self.command {
            Command::Demo(_) => demo::harmless(environment),
            _ => environment,
        };
        let named = environment.iter().find(|(name, value)| name == "ROLLCALL_CONFIG" && !value.is_empty());
        let path = self.global.config.clone().or_else(|| named.map(|(_, path)| PathBuf::from(path)));
        let file = path.as_deref().map(ConfigFile::read).transpose()?;
        Ok(Sources { file, environment, flags: self.flags() })
    }

    fn flags(&self) -> Vec<Flag> {
        let (listen, public_url) = match &self.command {
            Command::Serve(serve) => (serve.listen.clone(), serve.public_url.clone()),
            Command::Demo(demo) => (demo.listen.clone(), None),
            Command::Client(client) => (None, client.public_url().map(str::to_owned)),
            Command::Owner(owner) => (None, owner.public_url().map(str::to_owned)),
            _ => (None, None),
        };
        let global = &self.global;
        [
            ("--listen", "listen", listen),
            ("--public-url", "public_url", public_url),
            ("--database-url", "database_url", global.database_url.clone()),
            ("--data-dir", "data_dir", global.data_dir.clone()),
            ("--log", "log.filter", global.log.clone()),
        ]
        .into_iter()
        .filter_map(|(name, key, value)| value.map(|value| Flag { name, key, value }))
        .collect()
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// Whatever keeps the command from its end, in words for the person who typed it.
pub async fn run(cli: Cli, loaded: &Loaded) -> Outcome {
    let config = &loaded.config;
    match &cli.command {
        Command::Serve(serve) => serve.run(config).await,
        Command::Demo(demo) => demo.run(&cli, loaded).await,
        Command::CheckConfig(check) => Ok(check.run(loaded)?),
        Command::StandIn(stand_in) => stand_in.run(config).await,
        command => {
            let wake = Wake::default();
            let url = config.public_url_at(config.listen);
            let core = Arc::new(app::open(config, Ambient::system(), &url, wake.clone()).await?);
            match command {
                Command::Account(account) => account.run(config, &core).await,
                Command::Backlog(backlog) => backlog.run(&core).await,
                Command::Connection(connection) => connection.run(&core).await,
                Command::Token(token) => token.run(&core).await,
                Command::Client(client) => client.run(&core).await,
                Command::Rules(rules) => rules.run(&core).await,
                Command::Holds(holds) => holds.run(&core).await,
                Command::FlexSso(flex) => flex.run(&core).await,
                Command::Domain(domain) => domain.run(&core).await,
                Command::Owner(owner) => owner.run(&core).await,
                Command::ApiKey(key) => key.run(&core).await,
                Command::SignIns(sign_ins) => sign_ins.run(&core).await,
                Command::Pushes(pushes) => pushes.run(&core).await,
                Command::Receipts(receipts) => receipts.run(config, &core).await,
                Command::Reconcile(reconcile) => reconcile.run(config, &core, &wake).await,
                Command::Inventory(inventory) => inventory.run(config, &core).await,
                Command::Orphans(orphans) => orphans.run(config, &core, &wake).await,
                Command::Migrate(migrate) => migrate.run(),
                Command::Serve(_) | Command::Demo(_) | Command::CheckConfig(_) | Command::StandIn(_) => Ok(()),
            }
        }
    }
}
