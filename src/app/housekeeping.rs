//! What only time brings about: warnings about tokens that end and removals that are late, and old rows that go.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Causes, Timestamp};
use crate::service::Core;
use crate::service::credentials::warn_of_end;

/// How often it is looked at the clock.
const EVERY: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// How often it is looked for removals that have become late.
const WATCHED: Duration = Duration::from_secs(2);

/// How long rows are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) pushes: Duration,
    pub(super) receipts: Duration,
    pub(super) sign_ins: Duration,
}

/// Logs removals that take too long, until it is told to stop.
pub(super) async fn watch_removals(core: Arc<Core>, late_after: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(WATCHED)).await.is_some() {
        if let Err(error) = core.report_late_removals(late_after).await {
            tracing::warn!(error = %Causes(&error), "it is not known which removals are late");
        }
    }
}

/// Runs until it is told to stop.
pub(super) async fn run(core: Arc<Core>, keep: Keep, stop: CancellationToken) {
    let mut daily = Daily::default();
    loop {
        if daily.is_due(core.ambient().now()) {
            warn_of_tokens(&core).await;
        }
        if let Err(error) = core.sweep_access_tokens().await {
            tracing::warn!(error = %Causes(&error), "old access tokens were not deleted");
        }
        if let Err(error) = core.sweep_losses().await {
            tracing::warn!(error = %Causes(&error), "old losses were not deleted");
        }
        if let Err(error) = core.sweep_pushes(keep.pushes).await {
            tracing::warn!(error = %Causes(&error), "old requests were not deleted from the log of pushes");
        }
        if let Err(error) = core.sweep_receipts(keep.receipts).await {
            tracing::warn!(error = %Causes(&error), "old receipts were not deleted");
        }
        if let Err(error) = core.sweep_flows().await {
            tracing::warn!(error = %Causes(&error), "sign-ins that nobody finished were not deleted");
        }
        if let Err(error) = core.refresh_metadata().await {
            tracing::warn!(error = %Causes(&error), "the metadata of identity providers was not read again");
        }
        sweep_sign_on(&core, keep.sign_ins).await;
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// What signing in leaves behind.
async fn sweep_sign_on(core: &Core, keep: Duration) {
    if let Err(error) = core.sweep_sign_ins(keep).await {
        tracing::warn!(error = %Causes(&error), "old attempts were not deleted from the log of sign-ins");
    }
    if let Err(error) = core.sweep_sessions().await {
        tracing::warn!(error = %Causes(&error), "old sessions were not deleted");
    }
    if let Err(error) = core.sweep_links().await {
        tracing::warn!(error = %Causes(&error), "old links were not deleted");
    }
    if let Err(error) = core.sweep_attempts().await {
        tracing::warn!(error = %Causes(&error), "old counts of attempts were not deleted");
    }
}

/// At the start, and then once a day.
#[derive(Debug, Default)]
struct Daily(Option<Timestamp>);

impl Daily {
    fn is_due(&mut self, now: Timestamp) -> bool {
        let due = self.0.is_none_or(|last| now.since(last) >= DAY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

async fn warn_of_tokens(core: &Core) {
    match core.expiring_tokens().await {
        Ok(tokens) => tokens.iter().for_each(warn_of_end),
        Err(error) => tracing::warn!(error = %Causes(&error), "the tokens could not be read"),
    }
    match core.expiring_clients().await {
        Ok(clients) => clients.iter().for_each(warn_of_end),
        Err(error) => tracing::warn!(error = %Causes(&error), "the OAuth clients could not be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_at_the_start_and_once_a_day() {
        let (mut daily, start) = (Daily::default(), Timestamp::from_millis(5));
        let at = |hours| start.after(Duration::from_hours(hours));
        let due: Vec<u64> = (0..60).filter(|hours| daily.is_due(at(*hours))).collect();
        assert_eq!(due, [0, 24, 48]);
    }
}
