//! `rollcall receipts`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::{Slug, Timestamp};
use crate::config::Config;
use crate::service::Core;
use crate::service::receipts::{STAGES, Stage};
use crate::store::connections::Connection;
use crate::store::receipts::{Receipt, Selection, Whose};

/// Show who left, the newest first, and how long it took until their worker was gone.
///
/// ACCEPTED is when the push was accepted. The times behind it count from there: until access was refused, and until the
/// worker was unavailable, removed, and found to be gone. STATE says how a receipt ended: `verified` when TaskRouter was asked for the
/// worker and has none, `no_worker` when there was none, `superseded` when the person came back before the end. While it is
/// open, it is the state of the worker, with `late` when that takes too long (receipts.late_after_s).
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct ReceiptsArgs {
    /// Something else than the list.
    #[command(subcommand)]
    pub command: Option<ReceiptsCommand>,
    /// Which.
    #[command(flatten)]
    pub list: ListArgs,
}

/// What else can be shown.
#[derive(Debug, Subcommand)]
pub enum ReceiptsCommand {
    Summary(SummaryArgs),
}

/// Which receipts.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
    /// Only those of this person: the id of the user, or the name of the worker
    #[arg(long, value_name = "ID|NAME")]
    pub user: Option<String>,
    /// Only those that are not finished
    #[arg(long)]
    pub open: bool,
    /// All of them, however many
    #[arg(long, conflicts_with = "lines")]
    pub all: bool,
    /// How many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub lines: u32,
    /// Everything that is kept of each, as one JSON object a line
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  rollcall receipts --open
  rollcall receipts --user ana@acme.example
  rollcall receipts --connection okta --all --json | jq 'select(.ending == \"verified\")'
  rollcall receipts summary --since 30d";

/// Show how long it took for those who left, by connection and stage.
///
/// All times count from the acceptance of the push: half of the people were through a stage within P50, 95 of 100 within
/// P95, 99 of 100 within P99.
#[derive(Debug, Args)]
#[command(after_help = SUMMARY_EXAMPLES)]
pub struct SummaryArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
    /// Of those who left since then, as in 30m, 24h or 7d
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = super::span::span)]
    pub since: Duration,
    /// As one JSON object for each connection
    #[arg(long)]
    pub json: bool,
}

const SUMMARY_EXAMPLES: &str = "\
Example:
  rollcall receipts summary --connection okta --since 24h";

/// How many receipts are read at once.
const PAGE: u32 = 1_000;

impl ReceiptsArgs {
    /// Does it.
    ///
    /// # Errors
    /// When the account or connection does not exist, or the database cannot be used.
    pub async fn run(&self, config: &Config, core: &Core) -> Outcome {
        match &self.command {
            None => self.list.run(config.receipts.late_after, core).await,
            Some(ReceiptsCommand::Summary(summary)) => summary.run(core).await,
        }
    }
}

impl ListArgs {
    async fn run(&self, late_after: Duration, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let connections = core.list_connections(&account).await?;
        let connection = match &self.connection {
            Some(name) => Some(core.connection(&account, name).await?.id),
            None => None,
        };
        let whose = self.user.as_ref().map(|user| match user.parse() {
            Ok(id) => Whose::User(id),
            Err(_) => Whose::Name(user.clone()),
        });
        let mut selection = Selection { connection, whose, open: self.open, before: None };
        let now = core.ambient().now();
        let late = |receipt: &Receipt| receipt.ending.is_none() && now.since(receipt.accepted_at) >= late_after;
        let mut table = Table::new([
            "ID",
            "WHO",
            "CONNECTION",
            "WHY",
            "ACCEPTED",
            "REFUSED",
            "UNAVAILABLE",
            "REMOVED",
            "VERIFIED",
            "STATE",
        ]);
        let mut left = if self.all { u32::MAX } else { self.lines };
        while left > 0 {
            let page = core.receipts(&account, &selection, left.min(PAGE)).await?;
            for receipt in &page {
                let connection = name_of(receipt, &connections);
                if self.json {
                    output::line(value(receipt, connection, late(receipt)))?;
                } else {
                    table.row(cells(receipt, connection, late(receipt)).each_ref().map(String::as_str));
                }
            }
            let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
            let Some(last) = page.last().filter(|_| read == left.min(PAGE)) else { break };
            selection.before = Some(last.seq);
            left -= read;
        }
        if self.json { Ok(()) } else { Ok(output::line(table)?) }
    }
}

impl SummaryArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let connections = match &self.connection {
            Some(name) => vec![core.connection(&account, name).await?],
            None => core.list_connections(&account).await?,
        };
        let since = core.ambient().now().before(self.since);
        let mut table = Table::new(["CONNECTION", "STAGE", "PEOPLE", "P50", "P95", "P99", "MAX"]);
        for connection in connections {
            let figures = core.receipt_figures(&connection, since).await?;
            let name = connection.name.as_str();
            if self.json {
                let stages: Vec<Value> =
                    STAGES.iter().zip(&figures.stages).map(|(stage, figures)| stage_value(stage, figures)).collect();
                output::line(json!({
                    "connection": name, "since": since, "receipts": figures.receipts, "open": figures.open,
                    "endings": figures.endings, "stages": stages,
                }))?;
                continue;
            }
            for (stage, figures) in STAGES.iter().zip(&figures.stages) {
                let people = figures.count.to_string();
                let [p50, p95, p99, max] = [figures.p50, figures.p95, figures.p99, figures.max].map(short);
                table.row([name, stage, &people, &p50, &p95, &p99, &max]);
            }
            let endings = figures.endings.iter().map(|(ending, people)| (ending.as_str(), *people));
            for (ending, people) in endings.chain([("open", figures.open)]).filter(|(_, people)| *people > 0) {
                table.row([name, ending, &people.to_string(), "", "", "", ""]);
            }
        }
        if self.json { Ok(()) } else { Ok(output::line(table)?) }
    }
}

fn name_of<'a>(receipt: &Receipt, connections: &'a [Connection]) -> &'a str {
    let found = connections.iter().find(|connection| Some(connection.id) == receipt.connection);
    found.map_or("", |connection| connection.name.as_str())
}

fn cells(receipt: &Receipt, connection: &str, late: bool) -> [String; 10] {
    let after = |time: Option<Timestamp>| short(time.map(|time| time.since(receipt.accepted_at)));
    let state = match (&receipt.ending, &receipt.row) {
        (Some(ending), _) => ending.clone(),
        (None, Some(row)) => row.state.clone(),
        (None, None) => "open".to_owned(),
    };
    [
        receipt.seq.to_string(),
        receipt.name.clone(),
        connection.to_owned(),
        receipt.reason.to_string(),
        receipt.accepted_at.to_string(),
        after(Some(receipt.refused_at)),
        after(receipt.unavailable_at),
        after(receipt.removed_at),
        after(receipt.verified_at),
        if late { format!("{state}, late") } else { state },
    ]
}

/// A time for people, `-` if it is not known.
fn short(time: Option<Duration>) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

fn stage_value(name: &str, stage: &Stage) -> Value {
    let ms = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    json!({
        "stage": name, "people": stage.count, "p50Ms": ms(stage.p50), "p95Ms": ms(stage.p95), "p99Ms": ms(stage.p99),
        "maxMs": ms(stage.max),
    })
}

fn value(receipt: &Receipt, connection: &str, late: bool) -> Value {
    let row = receipt.row.as_ref();
    json!({
        "id": receipt.seq, "connection": connection, "user": receipt.user, "name": receipt.name, "worker": receipt.worker,
        "reason": receipt.reason.as_str(), "event": receipt.event, "acceptedAt": receipt.accepted_at,
        "refusedAt": receipt.refused_at, "unavailableAt": receipt.unavailable_at, "removedAt": receipt.removed_at,
        "verifiedAt": receipt.verified_at, "ending": receipt.ending, "endedAt": receipt.ended_at, "late": late,
        "state": row.map(|row| row.state.as_str()), "attempts": row.map(|row| row.attempts),
        "error": row.and_then(|row| row.error.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let shown = |ms| short(Some(Duration::from_millis(ms)));
        assert_eq!([0, 999, 1_000, 59_999].map(shown), ["0 ms", "999 ms", "1.0 s", "59.9 s"]);
        assert_eq!([60_000, 3_661_000].map(shown), ["1 min 0 s", "1 h 1 min"]);
        assert_eq!(short(None), "-");
    }
}
