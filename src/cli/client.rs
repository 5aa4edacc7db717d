//! `rollcall client`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::credentials::{Which, days};
use super::output;
use super::{AccountArg, Outcome};
use crate::base::{SecretToken, Slug};
use crate::domain::Scope;
use crate::service::Core;
use crate::service::clients::NewClient;
use crate::store::clients::Client;

/// OAuth 2.0 clients, for identity providers that get short-lived access tokens for a client id and secret.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    Create(CreateArgs),
    List(ListArgs),
    Rotate(RotateArgs),
    Revoke(RevokeArgs),
}

/// Make a client and print its id and secret, once.
///
/// The secret is stored as a hash, so it cannot be shown again. To replace a client without a gap, see `rollcall client
/// rotate`.
#[derive(Debug, Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub struct CreateArgs {
    /// The connection that it is for
    #[arg(long, value_name = "NAME")]
    pub connection: Slug,
    /// The account that the connection belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// The most that its access tokens may do: read, or write (which includes reading)
    #[arg(long, default_value = "write")]
    pub scope: Scope,
    /// A note that tells it from others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub label: String,
    /// Days until it expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub expires_in: Option<u32>,
    /// Where identity providers reach the server, for `token_endpoint`, if `rollcall serve` has it as a flag
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

const CREATE_EXAMPLES: &str = "\
Example:
  rollcall client create --connection entra --label 'Entra ID, production'";

/// List the OAuth clients of an account's connections that get access tokens: never their secrets.
///
/// A client that ends within 14 days is shown as `expiring` and warned about; the server logs the same warning once a day.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

const LIST_EXAMPLES: &str = "\
Example:
  rollcall client list --connection entra";

/// Replace a client: print a new one, once, and let the old one end after a while.
///
/// The new one is for the same connection, with the same label and scope, and lives as long as the old one was to; its id
/// is another one. Both get access tokens until the old one ends, so that there is time to set the new one at the identity
/// provider.
#[derive(Debug, Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub struct RotateArgs {
    /// The id of the old one, as `rollcall client list` shows it
    pub id: String,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// How long the old one is still accepted, as in 30m, 24h or 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = super::span::span)]
    pub overlap: Duration,
    /// Days until the new one expires [default: as the old one]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub expires_in: Option<u32>,
    /// Where identity providers reach the server, for `token_endpoint`, if `rollcall serve` has it as a flag
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

const ROTATE_EXAMPLES: &str = "\
Example:
  rollcall client rotate 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11 --overlap 24h";

/// End a client: it gets no more access tokens, and the next request with one that it has is refused.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLES)]
pub struct RevokeArgs {
    /// Its id, as `rollcall client list` shows it
    pub id: String,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
}

const REVOKE_EXAMPLES: &str = "\
Example:
  rollcall client revoke 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11";

impl ClientCommand {
    /// Where identity providers reach the server, if a flag says so.
    #[must_use]
    pub fn public_url(&self) -> Option<&str> {
        match self {
            Self::Create(create) => create.public_url.as_deref(),
            Self::Rotate(rotate) => rotate.public_url.as_deref(),
            Self::List(_) | Self::Revoke(_) => None,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// When the account, connection or client does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Create(create) => {
                let account = core.account(&create.account.account).await?;
                let connection = core.connection(&account, &create.connection).await?;
                let wanted = NewClient {
                    label: create.label.clone(),
                    scope: create.scope,
                    lifetime: create.expires_in.map(days),
                };
                let (client, secret) = core.create_client(&connection, wanted).await?;
                print(core, &client, &secret)?;
            }
            Self::Rotate(rotate) => {
                let account = core.account(&rotate.account.account).await?;
                let lifetime = rotate.expires_in.map(days);
                let (client, secret) = core.rotate_client(&account, &rotate.id, rotate.overlap, lifetime).await?;
                print(core, &client, &secret)?;
            }
            Self::List(ListArgs { which }) => {
                let (account, selection) = which.read(core).await?;
                let clients = core.list_clients(&account, &selection).await?;
                which
                    .show(core, &account, clients, |client| [&client.hint, client.scope.as_str(), &client.label])
                    .await?;
            }
            Self::Revoke(revoke) => {
                let account = core.account(&revoke.account.account).await?;
                let client = core.revoke_client(&account, &revoke.id).await?;
                output::line(format_args!("client {} is revoked", client.id))?;
            }
        }
        Ok(())
    }
}

fn print(core: &Core, client: &Client, secret: &SecretToken) -> std::io::Result<()> {
    output::line(format_args!(
        "client_id={}\nclient_secret={}\ntoken_endpoint={}",
        client.id,
        secret.expose(),
        core.token_endpoint()
    ))
}
