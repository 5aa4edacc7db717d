//! `rollcall domain`

use clap::{Args, Subcommand};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::Slug;
use crate::service::Core;

/// E-mail domains: people whose address has a connection's verified domain are sent to its identity provider.
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    Add(AddArgs),
    Verify(VerifyArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// A domain of a connection.
#[derive(Debug, Args)]
pub struct Which {
    /// The connection
    pub connection: Slug,
    /// The domain, as in acme.example
    pub domain: String,
    /// The account that the connection belongs to.
    #[command(flatten)]
    pub account: AccountArg,
}

/// Add a domain to a connection; prints the DNS record that proves it.
#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLES)]
pub struct AddArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

const ADD_EXAMPLES: &str = "\
Example:
  rollcall domain add okta acme.example";

/// Verify a domain by its DNS record.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Take my word for it instead: it is recorded who gave it
    #[arg(long)]
    pub on_my_word: bool,
}

const VERIFY_EXAMPLES: &str = "\
Example:
  rollcall domain verify okta acme.example";

/// List the domains of a connection.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// The connection
    pub connection: Slug,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
}

const LIST_EXAMPLES: &str = "\
Example:
  rollcall domain list okta";

/// Take a domain away from a connection.
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArgs {
    /// Which.
    #[command(flatten)]
    pub which: Which,
}

const REMOVE_EXAMPLES: &str = "\
Example:
  rollcall domain remove okta acme.example";

/// How the audit trail names whoever works with commands.
const BY_COMMAND: &str = "command";

impl DomainCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the connection or domain does not exist, the record is missing, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Add(AddArgs { which }) => {
                let account = core.account(&which.account.account).await?;
                let connection = core.connection(&account, &which.connection).await?;
                let (domain, challenge) = core.add_domain(&account, &connection, &which.domain, BY_COMMAND).await?;
                output::line(format_args!(
                    "set this TXT record, then: rollcall domain verify {} {}\n{}  {}",
                    connection.name, domain.domain, challenge.name, challenge.value
                ))?;
            }
            Self::Verify(VerifyArgs { which, on_my_word }) => {
                let account = core.account(&which.account.account).await?;
                let connection = core.connection(&account, &which.connection).await?;
                let word = *on_my_word;
                let domain = core.verify_domain(&account, &connection, &which.domain, word, BY_COMMAND).await?;
                let by = domain.verified_by.as_deref().unwrap_or_default();
                output::line(format_args!("{} is verified ({by})", domain.domain))?;
            }
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                let connection = core.connection(&account, &list.connection).await?;
                let domains = core.domains(&connection).await?;
                if domains.is_empty() {
                    let next = format!("no domains yet; add one with: rollcall domain add {} DOMAIN", connection.name);
                    return Ok(output::line(next)?);
                }
                let mut table = Table::new(["DOMAIN", "VERIFIED", "BY"]);
                for domain in &domains {
                    let at = domain.verified_at.map_or_else(|| "not yet".to_owned(), |at| at.to_string());
                    table.row([domain.domain.as_str(), &at, domain.verified_by.as_deref().unwrap_or("")]);
                }
                output::line(table)?;
            }
            Self::Remove(RemoveArgs { which }) => {
                let account = core.account(&which.account.account).await?;
                let connection = core.connection(&account, &which.connection).await?;
                core.remove_domain(&account, &connection, &which.domain, BY_COMMAND).await?;
                output::line(format_args!("{} is removed", which.domain))?;
            }
        }
        Ok(())
    }
}
