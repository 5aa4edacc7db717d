//! `rollcall inventory`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::{AccountId, Timestamp};
use crate::config::Config;
use crate::reconcile::inventory::classify::Class;
use crate::reconcile::inventory::{Detail, Summary};
use crate::service::Core;
use crate::store::inventory::{self, Finding};

/// What the last walk through all workers found.
///
/// `serve` reads all workers from time to time (inventory.every_s), and `rollcall reconcile` at once.
#[derive(Debug, Subcommand)]
pub enum InventoryCommand {
    Show(ShowArgs),
    List(ListArgs),
}

/// Show when each account was walked last, how long it took, and how many workers are in step.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

const SHOW_EXAMPLES: &str = "\
Example:
  rollcall inventory show";

/// List what is not in step.
///
/// missing: Rollcall holds the worker in step, and TaskRouter has none. drifted: something that Rollcall owns differs though
/// it changed nothing. duplicate: a second worker of somebody. orphan: a worker of nobody. unadopted: a worker that may not
/// be taken over. `rollcall reconcile` brings missing and drifted ones into step; of the others a person decides
/// (`rollcall orphans`).
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only this class
    #[arg(long, value_name = "CLASS")]
    pub class: Option<Wanted>,
    /// How many.
    #[command(flatten)]
    pub extent: Extent,
}

const LIST_EXAMPLES: &str = "\
Examples:
  rollcall inventory list --class drifted
  rollcall inventory list --all --json | jq 'select(.class == \"missing\").name'";

/// How much of a list is shown, and how.
#[derive(Debug, Clone, Copy, Args)]
pub struct Extent {
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub lines: u64,
    /// All of them
    #[arg(long, conflicts_with = "lines")]
    pub all: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// A class of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Rollcall holds it in step, and TaskRouter has none
    Missing,
    /// Something of ours differs though Rollcall changed nothing
    Drifted,
    /// A second worker of somebody
    Duplicate,
    /// A worker of nobody
    Orphan,
    /// A worker that may not be taken over
    Unadopted,
}

impl Wanted {
    const fn class(self) -> Class {
        match self {
            Self::Missing => Class::Missing,
            Self::Drifted => Class::Drifted,
            Self::Duplicate => Class::Duplicate,
            Self::Orphan => Class::Orphan,
            Self::Unadopted => Class::Unadopted,
        }
    }
}

impl InventoryCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account does not exist, or the database cannot be used.
    pub async fn run(&self, config: &Config, core: &Core) -> Outcome {
        match self {
            Self::Show(show) => show.run(config, core).await,
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                let one = list.class.map(|class| [class.class()]);
                let classes = one.as_ref().map_or(Class::FINDINGS.as_slice(), <[_; 1]>::as_slice);
                print(core, account.id, classes, list.extent).await
            }
        }
    }
}

impl ShowArgs {
    async fn run(&self, config: &Config, core: &Core) -> Outcome {
        let mut table = Table::new([
            "ACCOUNT",
            "WALKED",
            "TOOK",
            "WORKERS",
            "IN STEP",
            "DRIFTED",
            "MISSING",
            "DUPLICATE",
            "ORPHAN",
            "UNADOPTED",
            "PENDING",
            "NOW",
        ]);
        for account in core.list_accounts().await? {
            let walks = inventory::walks(core.store().read(), account.id).await?;
            let summary = walks.as_ref().and_then(|walks| walks.summary.clone());
            let summary: Summary = summary.map(serde_json::from_value).transpose()?.unwrap_or_default();
            let finished = walks.as_ref().and_then(|walks| walks.finished_at);
            let next = walks.as_ref().filter(|_| config.inventory.every.is_some()).map(|walks| walks.next_at);
            let error = walks.as_ref().and_then(|walks| walks.last_error.clone());
            let under_way = walks.as_ref().is_some_and(|walks| walks.under_way);
            if self.json {
                output::line(json!({
                    "account": account.name.as_str(), "walk": walks.as_ref().and_then(|walks| walks.walk.clone()),
                    "finishedAt": finished, "nextAt": next, "underWay": under_way, "error": error,
                    "summary": finished.map(|_| &summary),
                }))?;
                continue;
            }
            let now = match (under_way, &error, next) {
                (true, ..) => "under way".to_owned(),
                (false, Some(error), _) => format!("failed: {error}"),
                (false, None, Some(next)) => format!("next at {next}"),
                (false, None, None) => String::new(),
            };
            let mut cells = [const { String::new() }; 12];
            account.name.as_str().clone_into(&mut cells[0]);
            cells[1] = finished.map_or_else(|| "never".to_owned(), |at| at.to_string());
            cells[11] = now;
            if finished.is_some() {
                cells[2] = seconds(summary.millis);
                for (cell, count) in cells[3..11].iter_mut().zip(counts(&summary)) {
                    *cell = count.to_string();
                }
            }
            table.row(cells.each_ref().map(String::as_str));
        }
        if !self.json {
            output::line(table)?;
        }
        Ok(())
    }
}

fn counts(summary: &Summary) -> [u64; 8] {
    [
        summary.workers,
        summary.in_step,
        summary.drifted,
        summary.missing,
        summary.duplicate,
        summary.orphan,
        summary.unadopted,
        summary.pending,
    ]
}

/// Milliseconds for people.
pub(super) fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

/// Prints what was found of some classes.
pub(super) async fn print(core: &Core, account: AccountId, classes: &[Class], extent: Extent) -> Outcome {
    let mut lines = Lines { extent, table: empty(), rows: 0, shown: 0 };
    for class in classes {
        let mut after = String::new();
        loop {
            let found = inventory::findings(core.store().read(), account, class.as_str(), &after, PAGE).await?;
            for finding in &found {
                if !lines.add(finding)? {
                    return lines.end(true);
                }
            }
            match found.last() {
                Some(last) if found.len() as u64 == PAGE => after.clone_from(&last.subject),
                _ => break,
            }
        }
    }
    lines.end(false)
}

/// What is printed, in pages: a list of any length is written as it is read.
struct Lines {
    extent: Extent,
    table: Table,
    rows: u64,
    shown: u64,
}

fn empty() -> Table {
    Table::new(["CLASS", "WORKER", "NAME", "SINCE", "WHAT"])
}

impl Lines {
    /// False if no more are wanted.
    fn add(&mut self, finding: &Finding) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        if !self.extent.all && self.shown == self.extent.lines {
            return Ok(false);
        }
        self.shown += 1;
        if self.extent.json {
            output::line(value(finding)?)?;
            return Ok(true);
        }
        row(&mut self.table, finding)?;
        self.rows += 1;
        if self.rows == PAGE {
            output::line(std::mem::replace(&mut self.table, empty()))?;
            self.rows = 0;
        }
        Ok(true)
    }

    fn end(self, more: bool) -> Outcome {
        if self.rows > 0 {
            output::line(self.table)?;
        }
        if more && !self.extent.json {
            output::line("... and more: show them with --all, or with -n")?;
        }
        Ok(())
    }
}

/// How many findings are read at once.
const PAGE: u64 = 500;

fn row(table: &mut Table, finding: &Finding) -> Outcome {
    let detail = Detail::read(&finding.detail)?;
    table.row([
        finding.class.as_str(),
        &finding.subject,
        &finding.name,
        &day(finding.first_at),
        &what(&detail, finding.handed_over),
    ]);
    Ok(())
}

fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// So many differences fit into a line.
const DIFFERENCES: usize = 3;

/// What is to be said of a finding, in one line.
fn what(detail: &Detail, handed_over: bool) -> String {
    let mut parts = Vec::new();
    if !detail.actions.is_empty() {
        let would = if handed_over { "repair" } else { "would" };
        parts.push(format!("{would}: {}", detail.actions.join(", ")));
    }
    for difference in detail.differences.iter().take(DIFFERENCES) {
        let (found, held) = (short(&difference.found), short(&difference.held));
        parts.push(format!("{}: {found} instead of {held}", difference.what));
    }
    if let Some(more) = detail.differences.len().checked_sub(DIFFERENCES).filter(|more| *more > 0) {
        parts.push(format!("{more} more (--json shows all)"));
    }
    parts.extend(detail.person.as_ref().map(|person| format!("second worker of {person}")));
    parts.extend(detail.protected.clone());
    parts.extend(detail.note.clone());
    parts.join("; ")
}

fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

/// A finding as JSON.
pub(super) fn value(finding: &Finding) -> Result<Value, crate::store::StoreError> {
    let detail = Detail::read(&finding.detail)?;
    Ok(json!({
        "class": finding.class, "worker": finding.subject, "name": finding.name, "row": finding.worker,
        "since": finding.first_at, "handedOver": finding.handed_over, "actions": detail.actions,
        "differences": detail.differences, "person": detail.person, "protected": detail.protected, "note": detail.note,
    }))
}
