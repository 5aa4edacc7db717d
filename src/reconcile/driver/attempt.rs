//! One attempt, as a task of its own.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::queue::Ticket;
use super::recorder::Report;
use super::{Attempt, DriverPorts, DriverSettings};
use crate::reconcile::desired_store::{Claimed, Known, Outcome, Record, Refused, RowState};
use crate::reconcile::execute::{self, Finished, WorkspaceFacts};
use crate::reconcile::receipt::Stages;
use crate::reconcile::row::Settlement;

/// Makes the report about a claimed row.
pub(super) fn report(claimed: &Claimed, outcome: Outcome, stages: Stages) -> Report {
    Report {
        record: Record {
            worker: claimed.worker,
            lease: claimed.lease.clone(),
            desired_version: claimed.desired_version,
            outcome,
            stages,
        },
        account: claimed.account,
        name: claimed.name.clone(),
        desired_at: claimed.desired_at,
        settled_before: claimed.settled_before,
        leaver: claimed.desired.is_none(),
    }
}

/// What everything that is logged during an attempt carries, each call to TaskRouter too.
pub(super) fn span(claimed: &Claimed) -> tracing::Span {
    let Claimed { account, worker, user, attempts, .. } = claimed;
    let user = user.as_ref().map(tracing::field::display);
    tracing::info_span!("attempt", %account, user, %worker, attempt = attempts.saturating_add(1))
}

pub(super) async fn make(
    ports: DriverPorts,
    settings: Arc<DriverSettings>,
    facts: Arc<WorkspaceFacts>,
    reports: mpsc::UnboundedSender<Report>,
    ticket: Ticket,
) -> Attempt {
    let began = Instant::now();
    let finished = tokio::select! {
        biased;
        // Somebody else holds the row now, and reads back whatever we were about to do.
        () = ticket.lost.cancelled() => Finished { outcome: Outcome::Released, unauthorized: false, stages: Stages::default() },
        finished = run(&ports, &settings, &facts, &reports, &ticket) => finished,
    };
    log(&ticket.claimed, &finished, began);
    (ticket.claimed, finished)
}

async fn run(
    ports: &DriverPorts,
    settings: &DriverSettings,
    facts: &WorkspaceFacts,
    reports: &mpsc::UnboundedSender<Report>,
    ticket: &Ticket,
) -> Finished {
    let claimed = &ticket.claimed;
    let Some(router) = ports.routers.for_account(claimed.account) else {
        // The account may have been made a moment ago, and its TaskRouter be known in the next.
        let attempts = claimed.attempts.saturating_add(1);
        let outcome = Outcome::Refused {
            known: claimed.known.clone(),
            why: Refused::NoTaskRouter,
            attempts,
            after: settings.execute.backoff.wait(&ports.ambient, attempts, None),
            error: "the account has no TaskRouter".to_owned(),
        };
        return Finished { outcome, unauthorized: false, stages: Stages::default() };
    };
    let progress = |known: Known| {
        // The recorder ends only after all attempts; should it be gone, the row comes back as unsure.
        if reports.send(report(claimed, Outcome::Progress { known }, Stages::default())).is_err() {
            tracing::error!(worker = %claimed.worker, "progress cannot be stored any longer");
        }
    };
    execute::execute(&execute::Attempt {
        claimed,
        store: ports.store.as_ref(),
        router: router.as_ref(),
        workspace: facts,
        settings: &settings.execute,
        leavers: ports.routers.leavers(claimed.account),
        ambient: &ports.ambient,
        lease: &ticket.lease,
        progress: &progress,
        observer: ports.observer.as_ref(),
    })
    .await
}

fn log(claimed: &Claimed, finished: &Finished, began: Instant) {
    let end = Settlement::of(&finished.outcome);
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Claimed { account, worker, desired_version: version, attempts, .. } = claimed;
    let leaver = claimed.desired.is_none();
    let attempt = attempts.saturating_add(1);
    let Some(state) = end.state else {
        tracing::warn!(%account, %worker, version, leaver, attempt, ms, "attempt cut off: the lease was lost");
        return;
    };
    let outcome = state.as_str();
    match end.error {
        None => tracing::info!(%account, %worker, version, leaver, attempt, outcome, ms, "worker in step"),
        Some(error) if state == RowState::Draining => {
            tracing::debug!(%account, %worker, version, leaver, attempt, outcome, ms, error, "worker waits for work in hand");
        }
        Some(error) => {
            tracing::warn!(%account, %worker, version, leaver, attempt, outcome, ms, error, "worker not in step");
        }
    }
}
