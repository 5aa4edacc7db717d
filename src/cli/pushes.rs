//! `rollcall pushes`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::base::{Slug, Timestamp};
use crate::service::Core;
use crate::service::pushes::Shown;
use crate::store::accounts::Account;
use crate::store::connections::Connection;
use crate::store::pushes::Logged;

/// How often it is looked for more.
const EVERY: Duration = Duration::from_millis(500);
/// Copies of the server write side by side, so that a number may appear after a greater one: each may write all that waits
/// in its queue while another one is still at its first batch. It is looked back this far.
const BACK: i64 = 10_000;
/// How many numbers of one connection are read at once: more than it is looked back, so that it always comes forward.
const AT_ONCE: u32 = 20_000;

/// What identity providers sent, and what they were told.
#[derive(Debug, Subcommand)]
pub enum PushesCommand {
    Tail(TailArgs),
    Show(ShowArgs),
    Reads(ReadsArgs),
}

/// Show the latest pushes: every request that writes, and every one that failed.
///
/// One line each: number, time, connection, status, method and path, milliseconds, and the reason of a refusal. A status
/// of 0 means that the client went away before the answer.
#[derive(Debug, Args)]
#[command(after_help = TAIL_EXAMPLES)]
pub struct TailArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub lines: u32,
    /// Only those that were refused or failed
    #[arg(long)]
    pub failed: bool,
    /// Go on showing new ones until Ctrl-C
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// Everything that is kept of each, as one JSON object a line
    #[arg(long)]
    pub json: bool,
}

const TAIL_EXAMPLES: &str = "\
Examples:
  rollcall pushes tail --connection okta --follow
  rollcall pushes tail --failed -n 100
  rollcall pushes tail --json | jq 'select(.ignored != [])'";

/// Show one push: its body without secrets, its answer, the people it named, and what it changed.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Its number, as `rollcall pushes tail` shows it
    pub id: i64,
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

const SHOW_EXAMPLES: &str = "\
Example:
  rollcall pushes show 4711";

/// Show what was read: how often, by endpoint and parameters.
#[derive(Debug, Args)]
#[command(after_help = READS_EXAMPLES)]
pub struct ReadsArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
    /// Since when, as in 30m, 24h or 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = super::span::span)]
    pub since: Duration,
}

const READS_EXAMPLES: &str = "\
Example:
  rollcall pushes reads --connection okta --since 1h";

impl PushesCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account, connection or push does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Tail(tail) => tail.run(core).await,
            Self::Show(show) => {
                let account = core.account(&show.account.account).await?;
                let shown = core.push(&account, show.id).await?;
                if show.json { Ok(output::line(complete(&shown))?) } else { print(&shown) }
            }
            Self::Reads(reads) => reads.run(core).await,
        }
    }
}

async fn connections(
    core: &Core,
    account: &Account,
    only: Option<&Slug>,
) -> Result<Vec<Connection>, crate::service::ServiceError> {
    match only {
        Some(name) => Ok(vec![core.connection(account, name).await?]),
        None => core.list_connections(account).await,
    }
}

impl TailArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let connections = connections(core, &account, self.connection.as_ref()).await?;
        // What is there already is not news, but for what is shown of it.
        let start = core.latest_pushes(&connections, false, 1).await?.last().map_or(0, |logged| logged.seq);
        let mut seen = core.push_numbers_after(&connections, start - BACK, self.failed, AT_ONCE).await?;
        let latest = core.latest_pushes(&connections, self.failed, self.lines.max(1)).await?;
        seen.extend(latest.iter().map(|logged| logged.seq));
        let mut last = seen.last().copied().unwrap_or(start);
        let surplus = latest.len().saturating_sub(usize::try_from(self.lines).unwrap_or(usize::MAX));
        for logged in &latest[surplus..] {
            self.show(logged, &connections)?;
        }
        if !self.follow {
            return Ok(());
        }
        loop {
            tokio::time::sleep(EVERY).await;
            let found = core.push_numbers_after(&connections, last - BACK, self.failed, AT_ONCE).await?;
            let new: Vec<i64> = found.difference(&seen).copied().collect();
            for logged in core.pushes_numbered(&new).await? {
                self.show(&logged, &connections)?;
            }
            last = new.last().copied().unwrap_or(last).max(last);
            seen.extend(new);
            seen = seen.split_off(&(last - BACK));
        }
    }

    fn show(&self, logged: &Logged, connections: &[Connection]) -> std::io::Result<()> {
        let found = connections.iter().find(|connection| connection.id == logged.push.connection);
        let connection = found.map_or("", |connection| connection.name.as_str());
        if self.json { output::line(value(logged, connection)) } else { output::line(line(logged, connection)) }
    }
}

impl ReadsArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let span = i64::try_from(self.since.as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_millis(core.ambient().now().millis().saturating_sub(span));
        let mut table = Table::new(["CONNECTION", "READ", "TIMES", "LATEST"]);
        for connection in connections(core, &account, self.connection.as_ref()).await? {
            for reads in core.reads(&connection, since).await? {
                let (total, minute) = (reads.total.to_string(), reads.minute.to_string());
                table.row([connection.name.as_str(), &reads.shape, &total, &minute]);
            }
        }
        Ok(output::line(table)?)
    }
}

/// One line for people. Control characters, which a client may send, cannot reach the terminal.
fn line(logged: &Logged, connection: &str) -> String {
    let push = &logged.push;
    let mut text = format!(
        "{}  {}  {connection}  {}  {} {}  {} ms",
        logged.seq, push.at, push.status, push.method, push.path, push.latency_ms
    );
    if push.times > 1 {
        text = format!("{text}  {} times in a minute", push.times);
    }
    for part in [&push.scim_type, &push.detail].into_iter().flatten() {
        text.push_str("  ");
        text.push_str(part);
    }
    tame(&text)
}

fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn print(shown: &Shown) -> Outcome {
    let push = &shown.logged.push;
    let body = push
        .body
        .as_ref()
        .map(|body| serde_json::from_str::<Value>(body).ok().and_then(|body| serde_json::to_string_pretty(&body).ok()));
    output::line(line(&shown.logged, &shown.connection))?;
    for (name, value) in [
        ("request", Some(push.request.clone())),
        ("token", Some(push.bearer.clone())),
        ("resource", push.resource.clone()),
        ("people", Some(push.people.join(" "))),
        ("ignored", Some(push.ignored.join(" "))),
        ("note", push.note.clone()),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            output::line(format_args!("{name:<9} {}", tame(&value)))?;
        }
    }
    if let Some(body) = body.flatten().or_else(|| push.body.as_deref().map(tame)) {
        output::line("body")?;
        for line in body.lines() {
            output::line(tame(line))?;
        }
    }
    for event in &shown.events {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
        output::line(format_args!(
            "changed   {} {}\n  before  {}\n  after   {}",
            event.action,
            event.id,
            tame(&text(&event.before)),
            tame(&text(&event.after))
        ))?;
    }
    Ok(())
}

fn complete(shown: &Shown) -> Value {
    let mut value = value(&shown.logged, &shown.connection);
    let events = shown
        .events
        .iter()
        .map(|event| json!({"id": event.id, "action": event.action, "before": event.before, "after": event.after}));
    value["events"] = events.collect();
    value
}

fn value(logged: &Logged, connection: &str) -> Value {
    let push = &logged.push;
    let body = push.body.as_ref().map(|body| serde_json::from_str(body).unwrap_or_else(|_| Value::from(body.as_str())));
    json!({
        "id": logged.seq, "at": push.at, "connection": connection, "token": push.bearer, "method": push.method,
        "path": push.path, "body": body, "note": push.note, "status": push.status, "scimType": push.scim_type,
        "detail": push.detail, "latencyMs": push.latency_ms, "request": push.request, "resource": push.resource,
        "people": push.people, "ignored": push.ignored, "failedOperations": push.failed_operations, "times": push.times,
    })
}
