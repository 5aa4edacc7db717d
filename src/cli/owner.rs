//! `rollcall owner`

use clap::{Args, Subcommand};

use super::output;
use super::{AccountArg, Outcome};
use crate::service::Core;

/// The local owner of an account: the way in before there is an identity provider, and when it fails.
#[derive(Debug, Subcommand)]
pub enum OwnerCommand {
    Link(LinkArgs),
}

/// Make a link and print it, once: whoever opens it becomes the owner, with a name and a password of their choice.
///
/// It works once and for 24 hours, and links made before stop working. With the name of an owner who is there already it sets
/// that owner's password anew and ends their sessions. Treat it like a password.
#[derive(Debug, Args)]
#[command(after_help = LINK_EXAMPLES)]
pub struct LinkArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// The URL under which people reach the server [env: ROLLCALL_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

const LINK_EXAMPLES: &str = "\
Examples:
  rollcall owner link
  rollcall owner link --account acme-uk --public-url https://rollcall.acme.example";

impl OwnerCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Link(link) => {
                let account = core.account(&link.account.account).await?;
                output::line(core.create_owner_link(&account).await?)?;
            }
        }
        Ok(())
    }

    /// The public URL that stands on the command line.
    pub(super) fn public_url(&self) -> Option<&str> {
        match self {
            Self::Link(link) => link.public_url.as_deref(),
        }
    }
}
