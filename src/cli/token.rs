//! `rollcall token`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::credentials::{Which, days};
use super::output;
use super::{AccountArg, Outcome};
use crate::base::Slug;
use crate::domain::Scope;
use crate::service::Core;
use crate::service::tokens::NewToken;
use crate::store::tokens::Token;

/// Bearer tokens, with which an identity provider shows that it is a connection.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    Create(CreateArgs),
    List(ListArgs),
    Rotate(RotateArgs),
    Revoke(RevokeArgs),
}

/// Make a token and print it, once.
///
/// Only the token goes to standard output. It is stored as a hash, so it cannot be shown again. To replace a token without
/// a gap, see `rollcall token rotate`.
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
    /// What it may do: read, or write (which includes reading)
    #[arg(long, default_value = "write")]
    pub scope: Scope,
    /// Let it stand for one user of the connection: it reads /Me and what the server can do, and nothing else
    #[arg(long, value_name = "USERNAME", conflicts_with = "scope")]
    pub user: Option<String>,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  rollcall token create --connection okta
  rollcall token create --connection okta --scope read --label 'nightly report'
  rollcall token create --connection okta --user ana@acme.example --expires-in 1
  TOKEN=$(rollcall token create --connection okta --expires-in 365 --label 'Okta, production')";

/// List the tokens of an account's connections that open something: never the tokens themselves.
///
/// A token that ends within 14 days is shown as `expiring` and warned about; the server logs the same warning once a day.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

const LIST_EXAMPLES: &str = "\
Examples:
  rollcall token list --connection okta
  rollcall token list --all -n 1000";

/// Replace a token: print a new one, once, and let the old one end after a while.
///
/// The new one is for the same connection, with the same label and scope, and lives as long as the old one was to. Both are
/// accepted until the old one ends, so that there is time to set the new one at the identity provider.
#[derive(Debug, Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub struct RotateArgs {
    /// The id of the old one, as `rollcall token list` shows it
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
}

const ROTATE_EXAMPLES: &str = "\
Example:
  TOKEN=$(rollcall token rotate 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11 --overlap 24h)";

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
                let user = match &create.user {
                    Some(name) => Some(core.active_user(&connection, name).await?),
                    None => None,
                };
                let wanted = NewToken {
                    label: create.label.clone(),
                    lifetime: create.expires_in.map(days),
                    scope: create.scope,
                    user,
                };
                let (_, secret) = core.create_token_with(&connection, wanted).await?;
                output::line(secret.expose())?;
            }
            Self::Rotate(rotate) => {
                let account = core.account(&rotate.account.account).await?;
                let lifetime = rotate.expires_in.map(days);
                let (_, secret) = core.rotate_token(&account, &rotate.id, rotate.overlap, lifetime).await?;
                output::line(secret.expose())?;
            }
            Self::List(ListArgs { which }) => {
                let (account, selection) = which.read(core).await?;
                let tokens = core.list_tokens(&account, &selection).await?;
                let scope = |token: &Token| if token.user.is_some() { "me" } else { token.scope.as_str() };
                which.show(core, &account, tokens, |token| [&token.hint, scope(token), &token.label]).await?;
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
