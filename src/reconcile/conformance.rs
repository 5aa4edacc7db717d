//! The suite that every [`DesiredStore`] passes.
//!
//! Each check wants a fresh [`Bench`]. A failed expectation panics, as in any test; [`ALL`] names the checks so that a test
//! can say which one failed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::desired_store::{
    ClaimRequest, Claimed, DesiredStore, Footprint, Known, Lanes, LeaseId, Outcome, Record, Recorded, RowState,
};
use super::receipt::{Ending, Stages};
use crate::base::{AccountId, WorkerId};
use crate::domain::worker::DesiredWorker;

/// What the suite needs beside the port: how desired workers get in, how rows look, and how time goes by.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn DesiredStore>;
    /// Two accounts.
    fn accounts(&self) -> [AccountId; 2];
    /// Desires a worker (or its absence) under a name.
    async fn want(&self, account: AccountId, name: &str, desired: Option<DesiredWorker>) -> WorkerId;
    /// Says that the worker of a name is not desired any longer, and stays, offline.
    async fn keep_offline(&self, account: AccountId, name: &str) -> WorkerId;
    /// How the row looks.
    async fn look(&self, worker: WorkerId) -> View;
    /// Lets the store's time go by (for a database: moves all due times and ends of leases into the past).
    async fn pass(&self, by: Duration);
}

/// The part of a row that the suite looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Where it stands.
    pub state: RowState,
    /// What is known of the worker.
    pub known: Known,
    /// Whether an outcome is unknown.
    pub unsure: bool,
    /// Failed attempts.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// Whether the version that is desired now was brought about.
    pub in_step: bool,
    /// The receipts of those who left, oldest first.
    pub receipts: Vec<ReceiptView>,
}

/// The part of a receipt that the suite looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptView {
    /// From when it was accepted until the worker got no more work.
    pub unavailable_after: Option<Duration>,
    /// ... until it was deleted.
    pub removed_after: Option<Duration>,
    /// ... until it was found to be gone.
    pub verified_after: Option<Duration>,
    /// How it ended.
    pub ending: Option<Ending>,
}

mod checks;
mod receipts;

type Check = fn(Arc<dyn Bench>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every check with its name.
pub const ALL: &[(&str, Check)] = &[
    ("claims_are_exclusive", |b| Box::pin(checks::claims_are_exclusive(b))),
    ("concurrent_claims_share_the_rows", |b| Box::pin(checks::concurrent_claims_share_the_rows(b))),
    ("lapsed_leases_come_back_as_unsure", |b| Box::pin(checks::lapsed_leases_come_back_as_unsure(b))),
    ("renewed_leases_do_not_lapse", |b| Box::pin(checks::renewed_leases_do_not_lapse(b))),
    ("leavers_come_first", |b| Box::pin(checks::leavers_come_first(b))),
    ("accounts_take_turns", |b| Box::pin(checks::accounts_take_turns(b))),
    ("excepted_accounts_are_left_alone", |b| Box::pin(checks::excepted_accounts_are_left_alone(b))),
    ("settled_rows_are_not_due", |b| Box::pin(checks::settled_rows_are_not_due(b))),
    ("an_outdated_report_does_not_settle_newer_desires", |b| Box::pin(checks::outdated_reports(b))),
    ("an_outdated_removal_does_not_settle_a_rehire", |b| Box::pin(checks::outdated_removals(b))),
    ("retry_times_are_kept", |b| Box::pin(checks::retry_times_are_kept(b))),
    ("a_new_desire_does_not_wait_for_the_retry_time", |b| Box::pin(checks::new_desires_are_due_at_once(b))),
    ("reports_under_a_lost_lease_are_refused", |b| Box::pin(checks::lost_leases_are_refused(b))),
    ("a_late_report_under_a_lapsed_lease_nobody_took_counts", |b| Box::pin(checks::late_reports_count(b))),
    ("progress_is_kept_and_holds_the_lease", |b| Box::pin(checks::progress_is_kept(b))),
    ("released_rows_are_as_before", |b| Box::pin(checks::released_rows_are_as_before(b))),
    ("rechecks_come_back_once_due", |b| Box::pin(checks::rechecks_come_back(b))),
    ("refusals_are_visible_and_tried_again", |b| Box::pin(checks::refusals_are_visible(b))),
    ("what_a_lost_attempt_may_have_written_stays_ours", |b| Box::pin(checks::footprints_are_widened(b))),
    ("what_was_never_attempted_is_not_taken_for_set", |b| Box::pin(checks::unattempted_channels(b))),
    ("an_equal_desire_changes_nothing", |b| Box::pin(checks::equal_desires_change_nothing(b))),
    ("the_holder_of_a_worker_is_known", |b| Box::pin(checks::holders(b))),
    ("a_batch_settles_each_row_by_itself", |b| Box::pin(checks::batches(b))),
    ("a_receipt_has_the_stages_that_attempts_saw", |b| Box::pin(receipts::stages(b))),
    ("a_receipt_keeps_the_first_time_of_a_stage", |b| Box::pin(receipts::first_times(b))),
    ("s49_a_receipt_is_verified_by_reading_back_alone", |b| Box::pin(receipts::s49_read_back_alone(b))),
    ("whoever_comes_back_supersedes_the_receipt", |b| Box::pin(receipts::superseded(b))),
    ("each_leaving_has_a_receipt_of_its_own", |b| Box::pin(receipts::each_leaving(b))),
    ("a_worker_that_stays_is_told_to_go_by_another_leaving", |b| Box::pin(receipts::kept(b))),
    ("without_a_worker_the_receipt_says_so", |b| Box::pin(receipts::no_worker(b))),
];

const LEASE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
/// Nearly as long as a lease.
const ALMOST: Duration = Duration::from_secs(9);

fn worker(name: &str, site: &str) -> DesiredWorker {
    let mut attributes = Map::new();
    attributes.insert("roles".to_owned(), Value::from(vec!["agent"]));
    attributes.insert(format!("site_{site}"), Value::from(site));
    DesiredWorker {
        friendly_name: name.to_owned(),
        attributes,
        channels: BTreeMap::from([(format!("channel_{site}"), 1)]),
    }
}

fn known(sid: Option<&str>, desired: Option<&DesiredWorker>) -> Known {
    Known {
        sid: sid.and_then(|sid| sid.parse().ok()),
        footprint: Footprint {
            applied: desired.map(DesiredWorker::applied).unwrap_or_default(),
            creations: Vec::new(),
        },
    }
}

fn request(lease: &str, lanes: Lanes, limit: usize) -> ClaimRequest {
    ClaimRequest { lease: LeaseId(lease.to_owned()), lease_for: LEASE, lanes, limit, except: Vec::new() }
}

async fn claim(bench: &Arc<dyn Bench>, lease: &str) -> Vec<Claimed> {
    claim_with(bench, &request(lease, Lanes::All, 100)).await
}

async fn claim_with(bench: &Arc<dyn Bench>, request: &ClaimRequest) -> Vec<Claimed> {
    match bench.store().claim(request).await {
        Ok(claimed) => claimed,
        Err(error) => panic!("claim failed: {error:?}"),
    }
}

async fn claim_one(bench: &Arc<dyn Bench>, lease: &str) -> Claimed {
    let mut claimed = claim(bench, lease).await;
    assert_eq!(claimed.len(), 1, "one row is due: {claimed:?}");
    claimed.remove(0)
}

async fn report(bench: &Arc<dyn Bench>, claimed: &Claimed, outcome: Outcome) -> Recorded {
    report_with(bench, claimed, outcome, Stages::default()).await
}

async fn report_with(bench: &Arc<dyn Bench>, claimed: &Claimed, outcome: Outcome, stages: Stages) -> Recorded {
    let record = Record {
        worker: claimed.worker,
        lease: claimed.lease.clone(),
        desired_version: claimed.desired_version,
        outcome,
        stages,
    };
    match bench.store().record(&[record]).await {
        Ok(answers) => {
            assert_eq!(answers.len(), 1, "one answer for one report");
            answers[0]
        }
        Err(error) => panic!("record failed: {error:?}"),
    }
}

fn in_step(known: Known) -> Outcome {
    Outcome::InStep { known, recheck: None }
}

fn retry(claimed: &Claimed, unsure: bool, after: Duration) -> Outcome {
    Outcome::Retry {
        known: claimed.known.clone(),
        unsure,
        attempts: claimed.attempts + 1,
        after,
        error: "TaskRouter is busy".to_owned(),
    }
}
