//! `rollcall sign-ins`

use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output;
use super::{AccountArg, Outcome};
use crate::base::{ConnectionId, Slug};
use crate::service::Core;
use crate::store::sign_ins::{Logged, Selection};

/// How often it is looked for more.
const EVERY: Duration = Duration::from_millis(500);
/// How many are read at once while following.
const AT_ONCE: u64 = 1_000;

/// Who signed in, who was refused, and why.
#[derive(Debug, Subcommand)]
pub enum SignInsCommand {
    Tail(TailArgs),
}

/// Show the latest sign-ins and attempts.
///
/// One line each: number, time, outcome, connection or `local`, means, who, the address, and of a refusal the check and what it
/// found. The last word is the reference that the person was shown.
#[derive(Debug, Args)]
#[command(after_help = TAIL_EXAMPLES)]
pub struct TailArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// Only those of this connection
    #[arg(long, value_name = "NAME")]
    pub connection: Option<Slug>,
    /// Only the one with this reference, which the person was shown
    #[arg(long, value_name = "REFERENCE")]
    pub reference: Option<String>,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub lines: u32,
    /// Go on showing new ones until Ctrl-C
    #[arg(long, short = 'f')]
    pub follow: bool,
    /// Everything that is kept of each, as one JSON object a line
    #[arg(long)]
    pub json: bool,
}

const TAIL_EXAMPLES: &str = "\
Examples:
  rollcall sign-ins tail --follow
  rollcall sign-ins tail --connection okta -n 100
  rollcall sign-ins tail --reference 019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11 --json";

impl SignInsCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account or connection does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Tail(tail) => tail.run(core).await,
        }
    }
}

impl TailArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let connection = match &self.connection {
            Some(name) => Some(core.connection(&account, name).await?.id),
            None => None,
        };
        let mut selection = Selection { connection, reference: self.reference.clone(), ..Selection::default() };
        let mut limit = u64::from(self.lines);
        loop {
            let names: HashMap<ConnectionId, String> =
                core.list_connections(&account).await?.into_iter().map(|it| (it.id, it.name.to_string())).collect();
            for logged in core.list_sign_ins(account.id, &selection, limit).await? {
                selection.after = Some(logged.seq);
                let connection =
                    logged.sign_in.connection.and_then(|id| names.get(&id)).map_or("local", String::as_str);
                if self.json {
                    output::line(value(&logged, connection))?;
                } else {
                    output::line(line(&logged, connection))?;
                }
            }
            if !self.follow {
                return Ok(());
            }
            limit = AT_ONCE;
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// One line for people. Control characters, which an identity provider may send, cannot reach the terminal.
fn line(logged: &Logged, connection: &str) -> String {
    let it = &logged.sign_in;
    let who = logged.user_name.as_deref().or(it.who.as_deref()).unwrap_or("-");
    let address = if it.address.is_empty() { "-" } else { &it.address };
    let mut text = format!("{}  {}  {}  {connection}  {}  {who}  {address}", logged.seq, it.at, it.outcome, it.means);
    if let Some(check) = &it.check {
        text = format!("{text}  {check}: {}", it.detail.as_deref().unwrap_or_default());
    }
    text = format!("{text}  {}", it.reference);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn value(logged: &Logged, connection: &str) -> Value {
    let it = &logged.sign_in;
    json!({
        "id": logged.seq, "at": it.at, "outcome": it.outcome, "connection": connection, "means": it.means,
        "user": it.user, "userName": logged.user_name, "who": it.who, "check": it.check, "detail": it.detail,
        "claims": it.claims, "address": it.address, "userAgent": it.user_agent, "reference": it.reference,
    })
}
