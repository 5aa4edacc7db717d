//! Stores reports in batches, so that attempts neither wait for the database nor write to it one by one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::DriverPorts;
use super::held::Held;
use crate::base::{AccountId, Ambient, Timestamp};
use crate::reconcile::backoff::Backoff;
use crate::reconcile::desired_store::{DesiredStore, DesiredStoreError, Outcome, Record, Recorded};
use crate::reconcile::observe::{Attempted, Observer};
use crate::reconcile::row::Settlement;

/// A report on its way to the store.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) record: Record,
    pub(super) account: AccountId,
    pub(super) name: String,
    pub(super) desired_at: Timestamp,
    pub(super) settled_before: bool,
    pub(super) leaver: bool,
}

/// The end of an attempt is stored, or refused.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) recorded: Recorded,
    pub(super) due_in: Option<Duration>,
}

pub(super) struct Recorder {
    store: Arc<dyn DesiredStore>,
    observer: Arc<dyn Observer>,
    ambient: Ambient,
    held: Arc<Held>,
    acked: mpsc::UnboundedSender<Acknowledged>,
}

/// While the store is unavailable.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), cap: Duration::from_secs(2) };

/// Failures in a row after which, when stopping, the reports are given up: their rows come back as unsure.
const LAST_TRIES: u32 = 5;

const BATCH: usize = 256;

impl Recorder {
    pub(super) fn new(ports: &DriverPorts, held: Arc<Held>, acked: mpsc::UnboundedSender<Acknowledged>) -> Self {
        Self {
            store: Arc::clone(&ports.store),
            observer: Arc::clone(&ports.observer),
            ambient: ports.ambient.clone(),
            held,
            acked,
        }
    }

    /// Runs until the driver is gone and everything is stored.
    pub(super) async fn run(self, mut incoming: mpsc::UnboundedReceiver<Report>) {
        let mut waiting: Vec<Report> = Vec::new();
        let mut failures = 0_u32;
        loop {
            if waiting.is_empty() && incoming.recv_many(&mut waiting, BATCH).await == 0 {
                return;
            }
            while waiting.len() < BATCH
                && let Ok(report) = incoming.try_recv()
            {
                waiting.push(report);
            }
            waiting = latest(waiting);
            let records: Vec<Record> = waiting.iter().map(|report| report.record.clone()).collect();
            match self.store.record(&records).await {
                Ok(answers) => {
                    failures = 0;
                    for (report, recorded) in waiting.drain(..).zip(answers) {
                        self.stored(&report, recorded);
                    }
                }
                Err(error) => {
                    failures += 1;
                    warn(&error, records.len(), failures);
                    if incoming.is_closed() && incoming.is_empty() && failures >= LAST_TRIES {
                        return;
                    }
                    tokio::time::sleep(BACKOFF.wait(&self.ambient, failures, None)).await;
                }
            }
        }
    }

    fn stored(&self, report: &Report, recorded: Recorded) {
        let Record { worker, lease, outcome, .. } = &report.record;
        if matches!(outcome, Outcome::Progress { .. }) {
            return;
        }
        self.held.release(*worker, lease);
        let end = Settlement::of(outcome);
        if recorded == Recorded::Stored
            && let Some(state) = end.state
        {
            let reached = state.is_settled() && !report.settled_before;
            self.observer.attempted(&Attempted {
                account: report.account,
                worker: *worker,
                name: report.name.clone(),
                leaver: report.leaver,
                sid: end.known.and_then(|known| known.sid),
                state,
                latency: reached.then(|| self.ambient.now().since(report.desired_at)),
                error: end.error,
            });
        }
        let due_in = end.due_in;
        // The driver is gone only when it is being stopped, and then it does not need to know.
        if self.acked.send(Acknowledged { recorded, due_in }).is_err() {
            tracing::trace!("nobody waits for the acknowledgement");
        }
    }
}

fn warn(error: &DesiredStoreError, reports: usize, failures: u32) {
    tracing::warn!(error = error as &dyn std::error::Error, reports, failures, "reports could not be stored");
}

/// Of several reports about one claim only the last: it contains what the others say.
fn latest(reports: Vec<Report>) -> Vec<Report> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Report> = reports
        .into_iter()
        .rev()
        .filter(|report| seen.insert((report.record.worker, report.record.lease.clone())))
        .collect();
    kept.reverse();
    kept
}
