//! `rollcall holds`

use clap::{Args, Subcommand};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::domain::LossKind;
use crate::service::Core;
use crate::service::holds::{Decision, HoldCause, HoldSummary};
use crate::store::accounts::Account;
use crate::store::holds::HeldState;

/// Causes that are shown.
const CAUSES: u64 = 20;
/// People that are read at a time.
const PAGE: u64 = 500;

/// Losses of access that are too many at once, and wait for a decision.
#[derive(Debug, Subcommand)]
pub enum HoldsCommand {
    List(ListArgs),
    Show(ShowArgs),
    Approve(DecideArgs),
    Reject(RejectArgs),
}

/// List the holds in which somebody waits, the newest first.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Those too that are decided
    #[arg(long)]
    pub all: bool,
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

const LIST_EXAMPLES: &str = "\
Examples:
  rollcall holds list
  rollcall holds list --all -n 20";

/// Show a hold: what caused it, and its people with what each would lose.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Its id, as `rollcall holds list` shows it
    pub id: String,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// How many people at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit: u32,
}

const SHOW_EXAMPLES: &str = "\
Example:
  rollcall holds show 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11";

/// Carry out what is held, for everybody who waits in a hold or for some.
///
/// What happens is computed from how things are now: whoever the identity provider has brought back meanwhile keeps
/// everything.
#[derive(Debug, Args)]
#[command(after_help = APPROVE_EXAMPLES)]
pub struct DecideArgs {
    /// Its id, as `rollcall holds list` shows it
    pub id: String,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only for these people (userName); the others go on waiting
    #[arg(long = "user", value_name = "NAME")]
    pub users: Vec<String>,
}

const APPROVE_EXAMPLES: &str = "\
Examples:
  rollcall holds approve 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11
  rollcall holds approve 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11 --user ana@acme.example --user bo@acme.example";

/// Do not carry out what is held, until the identity provider changes the person again.
///
/// People whom the identity provider deactivated or deleted have no access all the same; only their workers stay.
#[derive(Debug, Args)]
#[command(after_help = REJECT_EXAMPLES)]
pub struct RejectArgs {
    /// What to reject.
    #[command(flatten)]
    pub what: DecideArgs,
}

const REJECT_EXAMPLES: &str = "\
Example:
  rollcall holds reject 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11";

impl HoldsCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account or hold does not exist, somebody named is not in it, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::List(args) => args.run(core).await,
            Self::Show(args) => args.run(core).await,
            Self::Approve(args) => {
                let account = decide(core, args, Decision::Approve).await?;
                super::rules::recompute(core, &account).await;
                Ok(())
            }
            Self::Reject(args) => decide(core, &args.what, Decision::Reject).await.map(drop),
        }
    }
}

impl ListArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let holds = core.list_holds(&account, !self.all, self.limit.into()).await?;
        if holds.is_empty() {
            let which = if self.all { "no holds" } else { "no holds wait for a decision" };
            return Ok(output::line(which)?);
        }
        let mut table = Table::new(["ID", "STATUS", "CONNECTION", "LOSS", "WAITING", "DECIDED", "OPENED", "CAUSE"]);
        for summary in &holds {
            let all: u64 = summary.counts.iter().map(|(_, people)| people).sum();
            let waiting = summary.count(HeldState::Held);
            table.row([
                &summary.hold.id.to_string(),
                status(summary),
                &summary.connection,
                summary.hold.kind.as_str(),
                &waiting.to_string(),
                &(all - waiting).to_string(),
                &summary.hold.opened_at.to_string(),
                &summary.causes.first().map(what).unwrap_or_default(),
            ]);
        }
        Ok(output::line(table)?)
    }
}

impl ShowArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let summary = core.hold(&account, &self.id, CAUSES).await?;
        let hold = &summary.hold;
        let mut facts = Table::new(["hold", &hold.id.to_string()]);
        let counts: Vec<String> =
            summary.counts.iter().map(|(state, people)| format!("{people} {}", state.as_str())).collect();
        for (name, value) in [
            ("status", status(&summary).to_owned()),
            ("connection", summary.connection.clone()),
            ("loss", meaning(hold.kind).to_owned()),
            ("beyond", hold.beyond.clone()),
            ("opened", hold.opened_at.to_string()),
            ("people", counts.join(", ")),
        ] {
            facts.row([name, &value]);
        }
        output::line(facts)?;
        output::line("")?;
        let mut causes = Table::new(["CAUSE", "BY", "AT", "PEOPLE", "REQUEST"]);
        for cause in &summary.causes {
            let (at, people) = (cause.at.to_string(), cause.people.to_string());
            causes.row([&what(cause), &cause.actor, &at, &people, &cause.request]);
        }
        output::line(causes)?;
        output::line("")?;
        self.people(core, &summary).await
    }

    async fn people(&self, core: &Core, summary: &HoldSummary) -> Outcome {
        let mut table = Table::new(["USER", "STATE", "LOSES"]);
        let (mut left, mut after) = (u64::from(self.limit), String::new());
        while left > 0 {
            let people = core.held_people(&summary.hold, &after, PAGE.min(left)).await?;
            let Some((last, _)) = people.last() else { break };
            after = last.user.to_string();
            left -= u64::try_from(people.len()).unwrap_or(left);
            for (held, loss) in &people {
                table.row([&held.user_name, held.state.as_str(), &loss.describe()]);
            }
        }
        Ok(output::line(table)?)
    }
}

async fn decide(
    core: &Core,
    args: &DecideArgs,
    decision: Decision,
) -> Result<Account, Box<dyn std::error::Error + Send + Sync>> {
    let account = core.account(&args.account.account).await?;
    let decided = core.decide_hold(&account, &args.id, decision, &args.users).await?;
    let word = match decision {
        Decision::Approve => "approved",
        Decision::Reject => "rejected",
    };
    output::line(format_args!("{} people {word}; {} wait for a decision", decided.people, decided.waiting))?;
    Ok(account)
}

fn status(summary: &HoldSummary) -> &'static str {
    if summary.hold.open { "open" } else { "decided" }
}

/// What a kind of loss means, for people.
fn meaning(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Access => "access: the role or the worker",
        LossKind::Role => "role: another one comes for it",
        LossKind::Grants => "grants: teams, skills, channels, or acting as agent",
    }
}

fn what(cause: &HoldCause) -> String {
    let target = if cause.target.is_empty() { &cause.target_id } else { &cause.target };
    format!("{} {target}", cause.action)
}
