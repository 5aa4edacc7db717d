//! `rollcall rules`

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::access::Rule;
use crate::base::AccountId;
use crate::domain::LossKind;
use crate::service::guard::{Foreseen, Preview};
use crate::service::rules::{Force, Import, Imported};
use crate::service::{Core, ServiceError};
use crate::store::accounts::Account;

/// Rules that turn groups and attributes into a role, teams, skills and channels.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    Import(ImportArgs),
    List(ListArgs),
}

/// Replace the rules of an account by those of a file.
///
/// The access of everybody is computed again, and only workers that differ are touched. A mistake in the file is refused
/// with its place, and then nothing changes.
///
/// A rule has a name, a condition (a SCIM filter over the user, whose groups are in `groups`) and what it grants: role,
/// teams, skills, channels, attributes. They are looked at from the top: the first that names a role gives it, and all
/// that match add their teams, skills, channels and attributes. Nobody has access without a role.
///
/// If more people would lose something than the guard lets pass, the command says what, and asks; where nobody can answer, it
/// refuses, unless --force is given.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// The file (TOML), or - for standard input
    pub file: PathBuf,
    /// Import also if more people lose something than the guard lets pass, and hold nothing of it
    #[arg(long)]
    pub force: bool,
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
}

const IMPORT_EXAMPLES: &str = r#"Example:
  rollcall rules import rules.toml

rules.toml:
  [[rule]]
  name = "agents"
  when = 'groups.display eq "CC Agents" and not (userType eq "Contractor")'
  role = "agent"                        # owner, admin, supervisor or agent
  teams = ["Support"]
  skills = { english = 3, billing = 1 } # with levels
  channels = { voice = 1, chat = 3 }    # with capacities
  attributes = { site = "north" }"#;

/// List the rules in force.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
}

const LIST_EXAMPLES: &str = "\
Example:
  rollcall rules list --account acme-uk";

/// How long to wait for a chunk that another process has taken.
const WAIT: Duration = Duration::from_millis(100);

impl RulesCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the file has a mistake, the account does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Import(args) => {
                let account = core.account(&args.account.account).await?;
                let text = read(&args.file)?;
                let imported = args.import(core, &account, &text).await?;
                for warning in &imported.warnings {
                    tracing::warn!("{warning}");
                }
                if imported.unchanged {
                    output::line(format_args!("{} rules, unchanged (version {})", imported.rules, imported.version))?;
                }
                // Also what an earlier import left behind.
                let (looked_at, changed) = recompute(core, &account).await;
                if !imported.unchanged {
                    output::line(format_args!(
                        "{} rules in force (version {}); {looked_at} people computed anew, {changed} of them changed",
                        imported.rules, imported.version
                    ))?;
                }
            }
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                let (version, rules) = core.list_rules(&account).await?;
                if version == 0 {
                    output::line("no rules yet, so nobody has access; import some with: rollcall rules import FILE")?;
                    return Ok(());
                }
                let mut table = Table::new(["#", "NAME", "ROLE", "TEAMS", "SKILLS", "CHANNELS", "ATTRIBUTES", "WHEN"]);
                for (n, rule) in rules.iter().enumerate() {
                    row(&mut table, n + 1, rule);
                }
                output::line(table)?;
            }
        }
        Ok(())
    }
}

impl ImportArgs {
    /// Imports, and asks before too many lose something.
    async fn import(
        &self,
        core: &Core,
        account: &Account,
        text: &str,
    ) -> Result<Imported, Box<dyn std::error::Error + Send + Sync>> {
        let force = if self.force { Force::Yes } else { Force::No };
        let preview = match core.import_rules(account, text, force).await? {
            Import::Done(imported) => return Ok(imported),
            Import::TooMuch(preview) => preview,
        };
        let told = tell(&preview);
        let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && self.file.as_os_str() != "-";
        if !can_ask {
            return Err(format!("{told}\nnothing was changed; if this is meant, import again with --force").into());
        }
        eprint!("{told}\nimport these rules all the same? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err("nothing was changed".into());
        }
        match core.import_rules(account, text, Force::Yes).await? {
            Import::Done(imported) => Ok(imported),
            Import::TooMuch(_) => Err("nothing was changed".into()),
        }
    }
}

/// What rules would take from whom, in words.
fn tell(preview: &Preview) -> String {
    let mut lines = vec!["these rules take something from more people than the guard lets pass:".to_owned()];
    for Foreseen { connection, kind, people, beyond, examples } in &preview.losses {
        let what = match kind {
            LossKind::Access => "lose access",
            LossKind::Role => "get another role",
            LossKind::Grants => "lose teams, skills, channels, or acting as agent",
        };
        let beyond = beyond.map(|beyond| format!(" (beyond {})", beyond.as_str())).unwrap_or_default();
        lines.push(format!("  connection {connection}: {people} people {what}{beyond}"));
        for (name, loss) in examples {
            let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            lines.push(format!("    {name}: {}", loss.describe()));
        }
    }
    lines.join("\n")
}

fn row(table: &mut Table, number: usize, listed: &Rule) {
    let definition = listed.definition();
    let role = definition.role.map_or("", crate::domain::Role::as_str);
    let role = if definition.act_as_agent { format!("{role}+agent") } else { role.to_owned() };
    let skills: Vec<String> = definition.skills.iter().map(|(name, level)| format!("{name}={level}")).collect();
    let channels: Vec<String> =
        definition.channels.iter().map(|(name, capacity)| format!("{name}={capacity}")).collect();
    let attributes: Vec<&str> = definition.attributes.keys().map(String::as_str).collect();
    table.row([
        &number.to_string(),
        listed.name(),
        &role,
        &definition.teams.join(", "),
        &skills.join(" "),
        &channels.join(" "),
        &attributes.join(" "),
        &definition.when,
    ]);
}

fn read(file: &Path) -> Result<String, String> {
    let failed = |error| format!("the rule file {} cannot be read: {error}", file.display());
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(failed)
}

/// Computes what waits to be computed for an account, with progress on a terminal; says how many people it looked at and
/// changed. A running server takes part. What the command was for is done already, so a failure is a warning.
pub(super) async fn recompute(core: &Core, account: &Account) -> (u64, u64) {
    let mut sum = (0, 0);
    if let Err(error) = recompute_all(core, account.id, &mut sum).await {
        tracing::warn!(
            error = %crate::base::Causes(&error),
            "access could not be computed anew for everybody; a server that runs, or is started, goes on with it"
        );
    }
    sum
}

async fn recompute_all(core: &Core, account: AccountId, sum: &mut (u64, u64)) -> Result<(), ServiceError> {
    let shown = std::io::stderr().is_terminal();
    while core.recomputes_pending(account).await? {
        match core.recompute_chunk(Some(account)).await? {
            Some(progress) => {
                // The first pass looks for those who lose, the second counts.
                sum.0 += progress.looked_at;
                sum.1 += progress.changed;
                if shown {
                    eprint!("\rcomputing access anew: {} looked at, {} changed ", sum.0, sum.1);
                }
            }
            None => tokio::time::sleep(WAIT).await,
        }
    }
    if shown && sum.0 > 0 {
        eprintln!();
    }
    Ok(())
}
