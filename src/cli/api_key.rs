//! `rollcall api-key`

use clap::{Args, Subcommand};

use super::credentials::days;
use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::Timestamp;
use crate::domain::Role;
use crate::service::Core;
use crate::service::api_keys::{ApiKey, NewApiKey};

/// Keys with which scripts use the JSON API.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a key and print it, once.
///
/// Only the key goes to standard output. It is stored as a hash, so it cannot be shown again.
#[derive(Debug, Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub struct CreateArgs {
    /// The most that it may do: owner, admin, supervisor or agent
    #[arg(long)]
    pub role: Role,
    /// A note that tells it from others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub name: String,
    /// Days until it expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub expires_in: Option<u32>,
    /// The account that it opens.
    #[command(flatten)]
    pub account: AccountArg,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  rollcall api-key create --role supervisor --name 'nightly report' --expires-in 365
  KEY=$(rollcall api-key create --role admin)";

/// List the keys that open something: never the keys themselves.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Those too that have ended or were revoked
    #[arg(long)]
    pub all: bool,
}

const LIST_EXAMPLES: &str = "\
Example:
  rollcall api-key list --all";

/// End a key: the next request with it is refused.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLES)]
pub struct RevokeArgs {
    /// Its id, as `rollcall api-key list` shows it
    pub id: String,
    /// The account that it opens.
    #[command(flatten)]
    pub account: AccountArg,
}

const REVOKE_EXAMPLES: &str = "\
Example:
  rollcall api-key revoke 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11";

impl ApiKeyCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account or key does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Create(create) => {
                let account = core.account(&create.account.account).await?;
                let wanted =
                    NewApiKey { name: create.name.clone(), role: create.role, lifetime: create.expires_in.map(days) };
                let (_, secret) = core.create_api_key(account.id, None, wanted, "").await?;
                output::line(secret.expose())?;
            }
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                let keys = core.list_api_keys(account.id, list.all).await?;
                show(&keys, core.ambient().now())?;
            }
            Self::Revoke(revoke) => {
                let account = core.account(&revoke.account.account).await?;
                let Some(key) = core.revoke_api_key(account.id, None, &revoke.id, "").await? else {
                    let hint = format!("see `rollcall api-key list --account {}`", account.name);
                    return Err(format!("there is no key '{}'; {hint}", revoke.id).into());
                };
                output::line(format_args!("key {} is revoked", key.id))?;
            }
        }
        Ok(())
    }
}

fn show(keys: &[ApiKey], now: Timestamp) -> std::io::Result<()> {
    let mut table = Table::new(["ID", "BEGINS", "ROLE", "STATE", "CREATED", "EXPIRES", "LAST USED", "NAME"]);
    let when = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| time.to_string());
    for key in keys.iter().rev() {
        let state = match (key.revoked_at.is_some(), key.is_good(now)) {
            (true, _) => "revoked",
            (false, true) => "valid",
            (false, false) => "expired",
        };
        table.row([
            &key.id.to_string(),
            &key.hint,
            key.role.as_str(),
            state,
            &key.created_at.to_string(),
            &when(key.expires_at),
            &when(key.last_used_at),
            &key.name,
        ]);
    }
    output::line(table)
}
