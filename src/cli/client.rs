//! `rollcall client`

use clap::{Args, Subcommand};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::{Slug, Timestamp};
use crate::domain::Scope;
use crate::service::Core;
use crate::service::clients::NewClient;

/// OAuth 2.0 clients, for identity providers that get short-lived access tokens for a client id and secret.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a client and print its id and secret, once.
///
/// The secret is stored as a hash, so it cannot be shown again. A connection may have several clients: to replace a
/// secret without a gap, make a second client, set it at the identity provider, and revoke the first.
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
    /// Where identity providers reach the server, for `token_endpoint`, if `rollcall serve` has it as a flag
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

const CREATE_EXAMPLES: &str = "\
Example:
  rollcall client create --connection entra --label 'Entra ID, production'";

/// List the OAuth clients of an account's connections: never their secrets.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
}

const LIST_EXAMPLES: &str = "\
Example:
  rollcall client list --connection entra";

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
            _ => None,
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
                let wanted = NewClient { label: create.label.clone(), scope: create.scope };
                let (client, secret) = core.create_client(&connection, wanted).await?;
                output::line(format_args!(
                    "client_id={}\nclient_secret={}\ntoken_endpoint={}",
                    client.id,
                    secret.expose(),
                    core.token_endpoint()
                ))?;
            }
            Self::List(list) => list.run(core).await?,
            Self::Revoke(revoke) => {
                let account = core.account(&revoke.account.account).await?;
                let client = core.revoke_client(&account, &revoke.id).await?;
                output::line(format_args!("client {} is revoked", client.id))?;
            }
        }
        Ok(())
    }
}

impl ListArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let connections = core.list_connections(&account).await?;
        let only = match &self.connection {
            Some(name) => Some(core.connection(&account, name).await?.id),
            None => None,
        };
        let mut table = Table::new(["ID", "CONNECTION", "BEGINS", "SCOPE", "STATE", "CREATED", "LAST USED", "LABEL"]);
        for client in core.list_clients(&account, only).await? {
            let name = connections.iter().find(|c| c.id == client.connection).map_or("", |c| c.name.as_str());
            let when = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
            table.row([
                &client.id.to_string(),
                name,
                &client.hint,
                client.scope.as_str(),
                if client.revoked_at.is_some() { "revoked" } else { "valid" },
                &client.created_at.to_string(),
                &when(client.last_used_at),
                &client.label,
            ]);
        }
        Ok(output::line(table)?)
    }
}
