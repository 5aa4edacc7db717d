//! `rollcall orphans`

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::inventory::{Extent, print};
use super::progress::Shown;
use super::reconcile::stop_on_signal;
use super::waiting::{Waiting, unless_paused};
use super::{AccountArg, Differences, Outcome, output};
use crate::app::command::Reach;
use crate::base::WorkerId;
use crate::config::Config;
use crate::reconcile::inventory::classify::Class;
use crate::reconcile::inventory::strangers::Strangers;
use crate::reconcile::inventory::{InventoryPorts, InventorySettings};
use crate::service::{Core, Wake};
use crate::store::StoreError;
use crate::store::accounts::Account;
use crate::store::inventory::rows::{InventoryRow, Progress};
use crate::taskrouter::{TaskRouter, WorkerSid};

/// Workers at TaskRouter that are nobody's in Rollcall, and what is to become of them.
///
/// They are never removed but by `orphans remove`.
#[derive(Debug, Subcommand)]
pub enum OrphansCommand {
    List(ListArgs),
    Adopt(AdoptArgs),
    Remove(RemoveArgs),
}

/// List them, as the last walk found them.
///
/// duplicate: a second worker of somebody, such as an identity of the Console beside that of single sign-on. orphan: a worker
/// of nobody. unadopted: one with a protected role or of the Console, which Rollcall leaves alone.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// How many.
    #[command(flatten)]
    pub extent: Extent,
}

const LIST_EXAMPLES: &str = "\
Examples:
  rollcall orphans list
  rollcall orphans list --all --json | jq -r 'select(.class == \"orphan\").worker'";

/// Make a worker that of a user, who must have access and no worker yet.
///
/// The worker gets the name, attributes and channels of the user; what others wrote on it stays.
#[derive(Debug, Args)]
#[command(after_help = ADOPT_EXAMPLES)]
pub struct AdoptArgs {
    /// The worker (WK...)
    #[arg(value_name = "WORKER")]
    pub worker: WorkerSid,
    /// The user's name [default: the name of the worker]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
}

const ADOPT_EXAMPLES: &str = "\
Examples:
  rollcall orphans adopt WK00000000000000000000000000000001
  rollcall orphans adopt WK00000000000000000000000000000001 --user ana@acme.example";

/// Take workers out of the queues, delete them, and read back that they are gone.
///
/// Workers that are somebody's, have a protected role or are of the Console are refused. Work in hand is finished first: the
/// worker gets no more, and is deleted when it has none.
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLES)]
pub struct RemoveArgs {
    /// The workers (WK...)
    #[arg(value_name = "WORKER", required = true)]
    pub workers: Vec<WorkerSid>,
    /// Do not ask; needed where there is no terminal
    #[arg(long)]
    pub yes: bool,
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
}

const REMOVE_EXAMPLES: &str = "\
Example:
  rollcall orphans remove WK00000000000000000000000000000001";

/// The classes of workers that no row holds.
const CLASSES: [Class; 3] = [Class::Duplicate, Class::Orphan, Class::Unadopted];

impl OrphansCommand {
    /// Does it.
    ///
    /// # Errors
    /// When a worker may not be touched, or TaskRouter or the database cannot be used.
    pub async fn run(&self, config: &Config, core: &Arc<Core>, wake: &Wake) -> Outcome {
        match self {
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                print(core, account.id, &CLASSES, list.extent).await
            }
            Self::Adopt(adopt) => {
                let deciding = Deciding::new(config, core, wake, &adopt.account).await?;
                let done = deciding.adopt(adopt).await;
                deciding.reach.end(None).await?;
                done
            }
            Self::Remove(remove) => {
                if !remove.yes {
                    confirm(remove.workers.len())?;
                }
                let deciding = Deciding::new(config, core, wake, &remove.account).await?;
                let done = deciding.remove(remove).await;
                deciding.reach.end(None).await?;
                done
            }
        }
    }
}

/// Asks whether to go on.
fn confirm(workers: usize) -> Result<(), String> {
    if !std::io::stdin().is_terminal() {
        return Err("there is no terminal to ask at: say --yes to remove the workers".to_owned());
    }
    eprint!("Remove {workers} worker(s) at TaskRouter? Type yes: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| format!("no answer: {error}"))?;
    if answer.trim() == "yes" { Ok(()) } else { Err("nothing was done".to_owned()) }
}

struct Deciding<'a> {
    config: &'a Config,
    core: &'a Core,
    account: Account,
    reach: Reach,
}

impl<'a> Deciding<'a> {
    async fn new(
        config: &'a Config,
        core: &'a Arc<Core>,
        wake: &Wake,
        account: &AccountArg,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        unless_paused(config)?;
        let account = core.account(&account.account).await?;
        let reach = Reach::new(config, core, wake, &account).await?;
        Ok(Self { config, core, account, reach })
    }

    fn strangers<'s>(
        &self,
        ports: &'s InventoryPorts,
        settings: &'s InventorySettings,
        router: &'s dyn TaskRouter,
    ) -> Strangers<'s> {
        Strangers { ports, account: self.account.id, router, protected_roles: &settings.protected_roles }
    }

    async fn adopt(&self, adopt: &AdoptArgs) -> Outcome {
        let (ports, settings) = (self.reach.ports(), Reach::settings(self.config));
        let router = self.router()?;
        let strangers = self.strangers(&ports, &settings, router.as_ref());
        let row = strangers.adopt(&adopt.worker, adopt.user.as_deref()).await?;
        let rows = self.wait(&[row]).await?;
        Self::tell(&rows, |row| format!("{} is the worker of {}", adopt.worker, row.name))
    }

    async fn remove(&self, remove: &RemoveArgs) -> Outcome {
        let (ports, settings) = (self.reach.ports(), Reach::settings(self.config));
        let router = self.router()?;
        let strangers = self.strangers(&ports, &settings, router.as_ref());
        let (mut told, mut refused) = (Vec::new(), 0);
        for worker in &remove.workers {
            match strangers.remove(worker).await {
                Ok(row) => told.push(row),
                Err(error) => {
                    refused += 1;
                    eprintln!("rollcall: {}", crate::base::Causes(&error));
                }
            }
        }
        let rows = self.wait(&told).await?;
        Self::tell(&rows, |row| format!("{} is gone", row.name))?;
        if refused > 0 { Err(format!("{refused} not removed").into()) } else { Ok(()) }
    }

    fn router(&self) -> Result<Arc<dyn TaskRouter>, String> {
        let missing = || format!("the account '{}' has no TaskRouter", self.account.name);
        self.reach.router(&self.account).ok_or_else(missing)
    }

    /// Waits for the reconciler.
    async fn wait(&self, ids: &[WorkerId]) -> Result<Vec<InventoryRow>, Box<dyn std::error::Error + Send + Sync>> {
        let shown = Shown::new();
        let mut waiting = Waiting::new(self.config, &self.reach, stop_on_signal()?);
        let look = async || {
            let rows = self.rows(ids).await?;
            let count = |test: fn(&InventoryRow) -> bool| rows.iter().filter(|row| test(row)).count() as u64;
            let stuck = |row: &InventoryRow| {
                matches!(&*row.state, "blocked" | "rejected" | "unadopted" | "draining" | "protected")
            };
            Ok(Progress {
                all: ids.len() as u64,
                done: count(|row| row.settled),
                refused: count(stuck),
                touched: count(|row| row.state != "pending"),
            })
        };
        let ended = waiting.until_done(&shown, look).await;
        waiting.end().await?;
        shown.end();
        ended?;
        Ok(self.rows(ids).await?)
    }

    async fn rows(&self, ids: &[WorkerId]) -> Result<Vec<InventoryRow>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            let session = self.core.store().read();
            rows.extend(crate::store::inventory::rows::by_id(session, self.account.id, *id).await?);
        }
        Ok(rows)
    }

    fn tell(rows: &[InventoryRow], done: impl Fn(&InventoryRow) -> String) -> Outcome {
        let mut left = false;
        for row in rows {
            if row.settled {
                output::line(done(row))?;
            } else {
                left = true;
                let error = row.last_error.as_deref().unwrap_or("not yet");
                output::line(format_args!("{}: {}, {error}; the reconciler goes on with it", row.name, row.state))?;
            }
        }
        if left { Err(Differences.into()) } else { Ok(()) }
    }
}
