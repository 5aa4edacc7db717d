//! `rollcall reconcile`

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::inventory::{Extent, print, seconds};
use super::progress::Shown;
use super::waiting::{Waiting, unless_paused};
use super::{AccountArg, Differences, Outcome, output, signal};
use crate::app::command::Reach;
use crate::config::Config;
use crate::reconcile::inventory::classify::Class;
use crate::reconcile::inventory::{Asked, Repair, Summary, WalkError, Walked, When, walk};
use crate::service::{Core, Wake};
use crate::store::accounts::Account;
use crate::store::inventory::rows::{self, Progress};

/// Read all workers, say what is not in step, and bring it into step if asked to.
///
/// Workers that others changed (drifted) or deleted (missing) can be brought into step; second workers of somebody
/// (duplicate), workers of nobody (orphan) and those that may not be taken over (unadopted) are told: see `rollcall orphans`.
/// The reconciler of a running server does the work; if none runs, the command does it.
///
/// The exit status is 0 if nothing is drifted or missing, or all of it was brought into step; 3 if something is left; 1 if it
/// could not be found out.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[group(id = "what", required = true, multiple = false, args = ["dry_run", "apply"])]
pub struct ReconcileArgs {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Do it, and wait for it
    #[arg(long)]
    pub apply: bool,
    /// Also if so many workers differ that something else may be wrong (guard.max_people and guard.max_share)
    #[arg(long, requires = "apply")]
    pub yes: bool,
    /// Take channels for what they are recorded as: one call for each thousand workers instead of one for each
    #[arg(long)]
    pub skip_channels: bool,
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
    /// How much is shown, and how.
    #[command(flatten)]
    pub extent: Extent,
}

const EXAMPLES: &str = "\
Examples:
  rollcall reconcile --dry-run
  rollcall reconcile --apply --account acme-uk
  rollcall reconcile --dry-run --all --json | jq 'select(.class == \"drifted\").differences'";

impl ReconcileArgs {
    /// Does it.
    ///
    /// # Errors
    /// [`Differences`] if not everything is in step; else whatever keeps it from its end.
    pub async fn run(&self, config: &Config, core: &Arc<Core>, wake: &Wake) -> Outcome {
        if self.apply {
            unless_paused(config)?;
        }
        let account = core.account(&self.account.account).await?;
        let reach = Reach::new(config, core, wake, &account).await?;
        let shown = Shown::new();
        let ended = self.reconcile(config, core, &reach, &account, &shown).await;
        shown.end();
        reach.end(None).await?;
        let (walked, progress) = ended?;
        print(core, account.id, &Class::FINDINGS, self.extent).await?;
        self.tell(&account, &walked, progress)
    }

    async fn reconcile(
        &self,
        config: &Config,
        core: &Arc<Core>,
        reach: &Reach,
        account: &Account,
        shown: &Shown,
    ) -> Result<(Walked, Progress), Box<dyn std::error::Error + Send + Sync>> {
        let router =
            reach.router(account).ok_or_else(|| format!("the account '{}' has no TaskRouter", account.name))?;
        let mut settings = Reach::settings(config);
        settings.channels &= !self.skip_channels;
        let repair = match (self.apply, self.yes) {
            (false, _) => Repair::Never,
            (true, false) => Repair::UnlessMany,
            (true, true) => Repair::Always,
        };
        let asked = Asked { account: account.id, when: When::Now, repair, stop: stop_on_signal()? };
        let stop = asked.stop.clone();
        let walked = match walk(&reach.ports(), &settings, router, &asked, shown).await {
            Err(WalkError::Busy) => return Err(busy(account).into()),
            walked => walked?,
        };
        let mut progress = Progress::default();
        if walked.summary.handed_over > 0 {
            let mut waiting = Waiting::new(config, reach, stop);
            let look = async || rows::progress(core.store().read(), account.id, &walked.walk).await;
            let ended = waiting.until_done(shown, look).await;
            waiting.end().await?;
            progress = ended?;
        }
        Ok((walked, progress))
    }

    fn tell(&self, account: &Account, walked: &Walked, progress: Progress) -> Outcome {
        let summary = &walked.summary;
        let left = (summary.drifted + summary.missing).saturating_sub(progress.done);
        if self.extent.json {
            output::line(json!({
                "account": account.name.as_str(), "walk": walked.walk, "summary": summary,
                "repaired": progress.done, "refused": progress.refused, "left": left,
            }))?;
        } else {
            output::line(sentence(summary))?;
            if summary.held_back > 0 {
                output::line(format_args!(
                    "{} workers differ, which is so many that something else may be wrong (another workspace, another program \
                     that writes): nothing was done. To bring them into step all the same: --apply --yes",
                    summary.held_back
                ))?;
            } else if self.apply {
                output::line(format_args!(
                    "{} brought into step, {left} left{}",
                    progress.done,
                    if left > 0 { ": see `rollcall inventory list` and the log of the server" } else { "" }
                ))?;
            }
        }
        if left > 0 { Err(Differences.into()) } else { Ok(()) }
    }
}

fn sentence(summary: &Summary) -> String {
    let mut text = format!("{} workers in {}", summary.workers, seconds(summary.millis));
    for (class, words) in [
        (Class::InStep, "in step"),
        (Class::Pending, "being worked on"),
        (Class::Missing, "missing"),
        (Class::Drifted, "drifted"),
        (Class::Duplicate, "duplicate"),
        (Class::Orphan, "orphan"),
        (Class::Unadopted, "unadopted"),
    ] {
        let count = summary.of(class);
        if count > 0 || class == Class::InStep {
            let joint = if class == Class::InStep { ":" } else { "," };
            text = format!("{text}{joint} {count} {words}");
        }
    }
    if !summary.channels {
        text.push_str("; channels were not compared");
    }
    text
}

fn busy(account: &Account) -> String {
    format!(
        "another walk through the account '{}' is under way; `rollcall inventory show` says when it is done",
        account.name
    )
}

/// Ctrl-C ends the walk, so that the next one need not wait for its lease.
pub(super) fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let (stop, signal) = (CancellationToken::new(), signal::stop()?);
    let told = stop.clone();
    tokio::spawn(async move {
        signal.await;
        told.cancel();
    });
    Ok(stop)
}
