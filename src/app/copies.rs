//! Tells the database that this copy of the server is there, and how much it does.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::Causes;
use crate::reconcile::observe::Stats;
use crate::service::Core;

/// How often, while there is something to tell.
const BUSY: Duration = Duration::from_secs(5);
/// After so many times of nothing to tell, that it is there.
const IDLE: u32 = 2;

/// How long to try to say that it stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs until it is told to stop.
pub(super) async fn tell(core: Arc<Core>, copy: String, stats: Arc<Stats>, paused: bool, stop: CancellationToken) {
    let mut nothing = IDLE;
    if let Err(error) = core.forget_copies(None).await {
        tracing::warn!(error = %Causes(&error), "copies that are gone were not forgotten");
    }
    loop {
        let settled = stats.take_settled();
        nothing += 1;
        if !settled.is_empty() || nothing >= IDLE {
            nothing = 0;
            if let Err(error) = core.tell_of_copy(&copy, paused, settled).await {
                tracing::warn!(error = %Causes(&error), "this copy could not tell of itself");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(BUSY)).await.is_none() {
            break;
        }
    }
    match tokio::time::timeout(GOODBYE, core.forget_copies(Some(&copy))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = %Causes(&error), "this copy could not be forgotten"),
        Err(_) => tracing::debug!("this copy could not be forgotten in time"),
    }
}
