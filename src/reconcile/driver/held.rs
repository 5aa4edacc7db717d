//! The leases that this driver holds, and keeping them alive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::queue::Ticket;
use crate::base::WorkerId;
use crate::reconcile::desired_store::{DesiredStore, LeaseId};
use crate::reconcile::lease::LeaseClock;

struct Entry {
    lease: LeaseId,
    clock: Arc<LeaseClock>,
    lost: CancellationToken,
}

/// From claim to stored report.
#[derive(Default)]
pub(super) struct Held(Mutex<BTreeMap<WorkerId, Entry>>);

impl Held {
    pub(super) fn take(&self, ticket: &Ticket) {
        let entry =
            Entry { lease: ticket.claimed.lease.clone(), clock: Arc::clone(&ticket.lease), lost: ticket.lost.clone() };
        // Claiming a row that we hold says that our own lease had lapsed unnoticed: whatever still runs on it has to end.
        if let Some(lapsed) = self.lock().insert(ticket.claimed.worker, entry) {
            lapsed.lost.cancel();
        }
    }

    pub(super) fn release(&self, worker: WorkerId, lease: &LeaseId) {
        let mut held = self.lock();
        if held.get(&worker).is_some_and(|entry| entry.lease == *lease) {
            held.remove(&worker);
        }
    }

    fn lose(&self, worker: WorkerId, lease: &LeaseId) {
        let mut held = self.lock();
        if held.get(&worker).is_some_and(|entry| entry.lease == *lease)
            && let Some(entry) = held.remove(&worker)
        {
            entry.lost.cancel();
        }
    }

    fn all(&self) -> Vec<(WorkerId, LeaseId)> {
        self.lock().iter().map(|(worker, entry)| (*worker, entry.lease.clone())).collect()
    }

    fn prolong(&self, worker: WorkerId, lease: &LeaseId, asked: Instant, lease_for: Duration) {
        if let Some(entry) = self.lock().get(&worker).filter(|entry| entry.lease == *lease) {
            entry.clock.prolong(asked, lease_for);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews all leases whenever a third of their time has gone by; ends the attempts whose lease is lost.
pub(super) async fn heartbeat(store: Arc<dyn DesiredStore>, held: Arc<Held>, lease_for: Duration) {
    let mut beat = tokio::time::interval(lease_for / 3);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let leases = held.all();
        if leases.is_empty() {
            continue;
        }
        let asked = Instant::now();
        // The answer must not take longer than the leases last, or it says nothing.
        match tokio::time::timeout(lease_for, store.renew(&leases, lease_for)).await {
            Ok(Ok(renewed)) => {
                for (worker, lease) in &leases {
                    if renewed.contains(worker) {
                        held.prolong(*worker, lease, asked, lease_for);
                    } else {
                        held.lose(*worker, lease);
                    }
                }
            }
            // Attempts begin no further write when their lease comes to its end.
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "leases could not be renewed"),
            Err(_) => tracing::warn!("leases could not be renewed in time"),
        }
    }
}
