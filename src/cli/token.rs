//! `rollcall token`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::{Slug, Timestamp};
use crate::service::Core;
use crate::store::tokens::Token;

/// Bearer tokens, with which an identity provider shows that it is a connection.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a token and print it, once.
///
/// Only the token goes to standard output. It is stored as a hash, so it cannot be shown again. To replace a token, make a
/// new one, set it at the identity provider, and revoke the old one: both are accepted until then.
#[derive(Debug, Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub struct CreateArgs {
    /// The connection that it is for
    #[arg(long, value_name = "NAME")]
    pub connection: Slug,
    /// The account that the connection belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// A note that tells it from others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub label: String,
    /// Days until it expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub expires_in: Option<u32>,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  rollcall token create --connection okta
  TOKEN=$(rollcall token create --connection okta --expires-in 365 --label 'Okta, production')";

/// List the tokens of an account's connections: never the tokens themselves.
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
  rollcall token list --connection okta";

/// End a token: the next request with it is refused.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLES)]
pub struct RevokeArgs {
    /// Its id, as `rollcall token list` shows it
    pub id: String,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
}

const REVOKE_EXAMPLES: &str = "\
Example:
  rollcall token revoke 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11";

impl TokenCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account, connection or token does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Create(create) => {
                let account = core.account(&create.account.account).await?;
                let connection = core.connection(&account, &create.connection).await?;
                let lifetime = create.expires_in.map(|days| Duration::from_secs(u64::from(days) * 86_400));
                let (_, secret) = core.create_token(&connection, &create.label, lifetime).await?;
                output::line(secret.expose())?;
            }
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                let connections = core.list_connections(&account).await?;
                let only = match &list.connection {
                    Some(name) => Some(core.connection(&account, name).await?.id),
                    None => None,
                };
                let mut table =
                    Table::new(["ID", "CONNECTION", "BEGINS", "STATE", "CREATED", "EXPIRES", "LAST USED", "LABEL"]);
                let now = core.ambient().now();
                for token in core.list_tokens(&account, only).await? {
                    let name = connections.iter().find(|c| c.id == token.connection).map_or("", |c| c.name.as_str());
                    let when =
                        |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
                    table.row([
                        &token.id.to_string(),
                        name,
                        &token.hint,
                        state(&token, now),
                        &token.created_at.to_string(),
                        &when(token.expires_at),
                        &when(token.last_used_at),
                        &token.label,
                    ]);
                }
                output::line(table)?;
            }
            Self::Revoke(revoke) => {
                let account = core.account(&revoke.account.account).await?;
                let token = core.revoke_token(&account, &revoke.id).await?;
                output::line(format_args!("token {} is revoked", token.id))?;
            }
        }
        Ok(())
    }
}

fn state(token: &Token, now: Timestamp) -> &'static str {
    match (token.revoked_at, token.is_good(now)) {
        (Some(_), _) => "revoked",
        (None, false) => "expired",
        (None, true) => "valid",
    }
}
