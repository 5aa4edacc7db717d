//! `rollcall backlog`

use std::time::Duration;

use clap::Args;

use super::Outcome;
use super::output::{self, Table};
use crate::base::Slug;
use crate::service::Core;
use crate::store::backlog::{Backlog, Copies};

/// Show what waits to be brought about at TaskRouter: how much, for how long, and how long it will take.
///
/// RATE and TIME LEFT are of all copies of the server together, over the last five minutes or since they began to work.
/// STUCK counts workers that wait for a person: `blocked`, `unadopted` or `rejected` (docs/OPERATIONS.md says what to do);
/// they are tried again slowly, and TIME LEFT is without them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BacklogArgs {
    /// Only this account (contact centre)
    #[arg(long, value_name = "NAME")]
    pub account: Option<Slug>,
}

const EXAMPLES: &str = "\
Examples:
  rollcall backlog
  rollcall backlog --account acme-uk";

impl BacklogArgs {
    /// Shows it.
    ///
    /// # Errors
    /// When the account does not exist, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        let accounts = match &self.account {
            Some(name) => vec![core.account(name).await?],
            None => core.list_accounts().await?,
        };
        let (mut backlogs, copies) = (core.backlogs().await?, core.copies().await?);
        let columns = ["ACCOUNT", "TO REMOVE", "OLDEST", "OTHERS", "OLDEST", "STUCK", "RATE", "TIME LEFT"];
        let mut table = Table::new(columns);
        for account in accounts {
            let backlog = backlogs.remove(&account.id).unwrap_or_default();
            table.row(row(account.name.as_str(), &backlog, copies).each_ref().map(String::as_str));
        }
        output::line(table)?;
        if let Some(why) = standing(copies) {
            output::line(why)?;
        }
        Ok(())
    }
}

fn row(account: &str, backlog: &Backlog, copies: Copies) -> [String; 8] {
    let stuck = (backlog.leavers + backlog.others).saturating_sub(backlog.moving());
    let left = match backlog.time_left() {
        Some(Duration::ZERO) => "nothing to do".to_owned(),
        _ if copies.working == 0 => "nobody works".to_owned(),
        Some(left) => format!("about {}", rough(left)),
        None => "unknown: nothing moves".to_owned(),
    };
    [
        account.to_owned(),
        backlog.leavers.to_string(),
        backlog.oldest_leaver.map_or_else(|| "-".to_owned(), rough),
        backlog.others.to_string(),
        backlog.oldest_other.map_or_else(|| "-".to_owned(), rough),
        stuck.to_string(),
        backlog.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}/s")),
        left,
    ]
}

/// Why nothing moves, or less than could.
fn standing(copies: Copies) -> Option<String> {
    match (copies.working, copies.paused) {
        (0, 0) => Some("No server runs on this database: nothing happens at TaskRouter.".to_owned()),
        (0, _) => Some("PAUSED (reconciler.paused): pushes are accepted, nothing happens at TaskRouter.".to_owned()),
        (_, 0) => None,
        (working, paused) => Some(format!("Of {} copies of the server {paused} are paused.", working + paused)),
    }
}

/// A time in its largest unit.
fn rough(time: Duration) -> String {
    match time.as_secs() {
        0 => "under 1 s".to_owned(),
        seconds @ 1..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn backlog(pending: u64, rate: Option<f64>) -> Backlog {
        let states = HashMap::from([("pending".to_owned(), pending), ("blocked".to_owned(), 2)]);
        Backlog { leavers: 2, others: pending, states, rate, ..Backlog::default() }
    }

    #[test]
    fn it_says_how_long_it_takes_or_why_that_is_unknown() {
        let working = Copies { working: 1, paused: 0 };
        let left = |backlog: &Backlog, copies| row("default", backlog, copies)[7].clone();
        assert_eq!(left(&backlog(10_000, Some(41.0)), working), "about 4 min");
        assert_eq!(left(&backlog(10_000, None), working), "unknown: nothing moves");
        assert_eq!(left(&backlog(10_000, Some(41.0)), Copies { working: 0, paused: 2 }), "nobody works");
        assert_eq!(left(&backlog(0, None), working), "nothing to do");
        assert_eq!(row("default", &backlog(7, None), working)[5], "2");
    }

    #[test]
    fn it_says_who_is_paused() {
        let said = |working, paused| standing(Copies { working, paused });
        assert_eq!(said(1, 0), None);
        assert!(said(0, 0).unwrap().contains("No server runs"));
        assert!(said(0, 2).unwrap().contains("PAUSED"));
        assert_eq!(said(2, 1).unwrap(), "Of 3 copies of the server 1 are paused.");
    }
}
