//! The end of a walk: what is handed to the reconciler, and what is kept.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::{InventorySettings, Repair, WalkError};
use super::{BATCH, Walk};
use crate::base::{AccountId, Ambient, Causes, WorkerId};
use crate::store::StoreError;
use crate::store::audit::AuditEvent;
use crate::store::inventory;
use crate::store::inventory::rows::{self, HandOver};

/// After a walk that came to no end, the next one is not put off by more than this.
const AFTER_A_FAILURE: Duration = Duration::from_mins(10);

impl Walk<'_> {
    /// Makes the rows due again whose workers are to be repaired, unless they are too many.
    pub(super) async fn hand_over(&mut self) -> Result<(), WalkError> {
        let repairs = std::mem::take(&mut self.repairs);
        let many = is_many(self.settings, repairs.len() as u64, self.summary.in_step + repairs.len() as u64);
        if self.asked.repair == Repair::Never || repairs.is_empty() {
            return Ok(());
        }
        if many && self.asked.repair == Repair::UnlessMany {
            self.summary.held_back = repairs.len() as u64;
            return Ok(());
        }
        for chunk in repairs.chunks(BATCH) {
            self.calls.keep_lease().await?;
            let job = Arc::new((self.ports.ambient.clone(), self.asked.account, self.id.to_owned(), chunk.to_vec()));
            let due = self.ports.store.keep(move |tx| {
                let job = Arc::clone(&job);
                Box::pin(async move {
                    let (ambient, account, walk, chunk) = &*job;
                    let rows: Vec<HandOver> =
                        chunk.iter().map(|(worker, subject)| entry(ambient, *account, *worker, subject)).collect();
                    rows::hand_over(tx, *account, walk, &rows).await
                })
            });
            self.summary.handed_over += due.await?.len() as u64;
            self.ports.wake.notify_one();
        }
        Ok(())
    }

    pub(super) async fn finish(&mut self) -> Result<(), WalkError> {
        self.summary.calls = self.calls.made;
        self.summary.millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let counted = serde_json::to_value(&self.summary)
            .map_err(|error| StoreError::Damaged { table: "inventory", what: error.to_string() })?;
        let job = Arc::new((self.asked.account, self.id.to_owned(), counted, self.next_in()));
        let kept = self.ports.store.keep(move |tx| {
            let job = Arc::clone(&job);
            Box::pin(async move { inventory::finish(tx, job.0, &job.1, &job.2, job.3).await })
        });
        if !kept.await? {
            return Err(WalkError::LeaseLost);
        }
        self.log();
        Ok(())
    }

    /// When the next walk is due that nobody asks for.
    fn next_in(&self) -> Duration {
        // Without a period nobody looks at it, until one is configured.
        let every = self.settings.every.unwrap_or(super::super::periodic::FIRST_AFTER);
        let tenth = every / 10;
        every.saturating_sub(tenth) + self.ports.ambient.jitter(tenth * 2)
    }

    fn log(&self) {
        let counted = &self.summary;
        let account = self.asked.account;
        tracing::info!(
            %account,
            walk = self.id,
            ms = counted.millis,
            calls = counted.calls,
            workers = counted.workers,
            in_step = counted.in_step,
            drifted = counted.drifted,
            missing = counted.missing,
            duplicate = counted.duplicate,
            orphan = counted.orphan,
            unadopted = counted.unadopted,
            pending = counted.pending,
            handed_over = counted.handed_over,
            held_back = counted.held_back,
            "inventory walked"
        );
        if counted.held_back > 0 {
            let held_back = counted.held_back;
            tracing::error!(
                %account, held_back,
                "so many workers differ that they were not repaired: look at `rollcall reconcile --dry-run`, and repair them with `rollcall reconcile --apply --yes`"
            );
        }
    }

    /// Keeps why the walk came to no end, and lets go of the lease.
    pub(super) async fn give_up(&mut self, error: &WalkError) {
        let why = Causes(error).to_string();
        let account = self.asked.account;
        tracing::warn!(%account, walk = self.id, error = why, "inventory not walked");
        let next_in = self.next_in().min(AFTER_A_FAILURE);
        let job = Arc::new((account, self.id.to_owned(), why));
        let kept = self.ports.store.keep(move |tx| {
            let job = Arc::clone(&job);
            Box::pin(async move { inventory::give_up(tx, job.0, &job.1, &job.2, next_in).await })
        });
        if let Err(error) = kept.await {
            // The lease lapses by itself.
            tracing::warn!(%account, error = %Causes(&error), "the end of the walk was not stored");
        }
    }
}

/// Whether so many of the workers differ that something else is likely wrong.
#[expect(clippy::cast_precision_loss, reason = "a share of some thousands")]
fn is_many(settings: &InventorySettings, differ: u64, all: u64) -> bool {
    differ > u64::from(settings.many_people) && differ as f64 > settings.many_share * all as f64
}

fn entry(ambient: &Ambient, account: AccountId, worker: WorkerId, subject: &str) -> HandOver {
    HandOver {
        worker,
        subject: subject.to_owned(),
        event: AuditEvent {
            id: ambient.id(),
            at: ambient.now(),
            account,
            connection: None,
            actor: "inventory".to_owned(),
            request: String::new(),
            action: "worker.repair",
            target_kind: "worker",
            target_id: worker.to_string(),
            before: None,
            after: Some(json!({"sid": subject})),
        },
    }
}
