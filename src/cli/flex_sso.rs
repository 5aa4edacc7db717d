//! `rollcall flex-sso`

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::connection_sso::KeysArg;
use super::output;
use super::{AccountArg, Outcome};
use crate::service::Core;
use crate::service::broker::{BrokerFacts, BrokerSetup};

/// Rollcall as the identity provider of Flex: people sign in here, and Flex gets the role that the rules give.
#[derive(Debug, Subcommand)]
pub enum FlexSsoCommand {
    Set(SetArgs),
    Show(ShowArgs),
    Keys(KeysArgs),
    Remove(RemoveArgs),
}

/// Set what an account tells Flex. What is not named stays as it is.
///
/// Flex is always told roles, full_name and email, and as its name for the person the userName.
#[derive(Debug, Args)]
#[command(after_help = SET_EXAMPLES)]
pub struct SetArgs {
    /// Flex's entity ID, as its SSO page shows it
    #[arg(long, value_name = "ID")]
    pub entity_id: Option<String>,
    /// Where Flex takes assertions, as its SSO page shows it
    #[arg(long, value_name = "URL")]
    pub acs_url: Option<String>,
    /// One more claim and the worker attribute that it holds, as in team_name or site=site_name; "none" for no more
    #[arg(long = "claim", value_name = "NAME[=ATTRIBUTE]")]
    pub claims: Vec<String>,
    /// The account.
    #[command(flatten)]
    pub account: AccountArg,
}

const SET_EXAMPLES: &str = "\
Example:
  rollcall flex-sso set --entity-id https://flex.example/metadata/JB... --acs-url https://flex.example/authenticate/JB...
  rollcall flex-sso set --claim team_name --claim site";

/// Show what an account tells Flex, and what Flex needs to know.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// The account.
    #[command(flatten)]
    pub account: AccountArg,
}

const SHOW_EXAMPLES: &str = "\
Example:
  rollcall flex-sso show";

/// Go a step on with the keys that sign for Flex: announce the next ones, sign with them, drop the old ones.
///
/// Flex keeps the certificate that was entered: enter the announced one there before it signs.
#[derive(Debug, Args)]
#[command(after_help = KEYS_EXAMPLES)]
pub struct KeysArgs {
    /// The step
    #[arg(value_name = "STEP")]
    pub step: KeysArg,
    /// The account.
    #[command(flatten)]
    pub account: AccountArg,
}

const KEYS_EXAMPLES: &str = "\
Example:
  rollcall flex-sso keys announce";

/// Tell Flex nothing any longer.
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArgs {
    /// The account.
    #[command(flatten)]
    pub account: AccountArg,
}

const REMOVE_EXAMPLES: &str = "\
Example:
  rollcall flex-sso remove";

/// How the audit trail names whoever works with commands.
const BY_COMMAND: &str = "command";

impl FlexSsoCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account does not exist, something is missing, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Set(set) => {
                let account = core.account(&set.account.account).await?;
                let claims = claims(&set.claims);
                let setup = BrokerSetup { entity_id: set.entity_id.clone(), acs_url: set.acs_url.clone(), claims };
                output::line(written(&core.set_broker(&account, setup, BY_COMMAND).await?))?;
            }
            Self::Show(show) => {
                let account = core.account(&show.account.account).await?;
                match core.broker_facts(&account).await? {
                    Some(facts) => output::line(written(&facts))?,
                    None => output::line("Flex is told nothing yet; begin with: rollcall flex-sso set --help")?,
                }
            }
            Self::Keys(keys) => {
                let account = core.account(&keys.account.account).await?;
                output::line(written(&core.rotate_broker_keys(&account, keys.step.into(), BY_COMMAND).await?))?;
            }
            Self::Remove(remove) => {
                let account = core.account(&remove.account.account).await?;
                let was = core.remove_broker(&account, BY_COMMAND).await?;
                output::line(if was { "Flex is told nothing any longer" } else { "Flex was told nothing" })?;
            }
        }
        Ok(())
    }
}

/// More claims; none: as they are.
fn claims(pairs: &[String]) -> Option<BTreeMap<String, String>> {
    if pairs.is_empty() {
        return None;
    }
    let pairs = pairs.iter().filter(|pair| *pair != "none");
    Some(
        pairs
            .map(|pair| match pair.split_once('=') {
                Some((name, attribute)) => (name.trim().to_owned(), attribute.trim().to_owned()),
                None => (pair.trim().to_owned(), pair.trim().to_owned()),
            })
            .collect(),
    )
}

fn written(facts: &BrokerFacts) -> String {
    let claims: Vec<String> = facts.claims.iter().map(|(name, attribute)| format!("{name}={attribute}")).collect();
    let more = if claims.is_empty() { String::new() } else { format!(", {}", claims.join(", ")) };
    [
        ("our entity ID", facts.entity_id.as_str()),
        ("our SSO URL", &facts.sso_url),
        ("our metadata", &facts.metadata_url),
        ("tile of a portal", &facts.tile_url),
        ("Flex's entity ID", &facts.flex_entity_id),
        ("Flex's ACS URL", &facts.flex_acs_url),
        ("claims", &format!("roles, full_name, email{more}")),
    ]
    .map(|(name, value)| format!("{name:<20}{value}"))
    .join("\n")
        + "\ncertificate for Flex:\n"
        + facts.certificate_pem.trim_end()
}
