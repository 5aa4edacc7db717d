//! Where the desired workers are kept: the port that the driver claims work from and reports to.
//!
//! There is one row per account and case-folded worker name. A row is *due* when its desired worker changed, when a failed
//! attempt is to be repeated, or when a doubtful one is to be looked at again. [`super::row::Row`] says exactly what every
//! step does to a row, and [`super::conformance`] holds an implementation to it.
//!
//! All times that decide (`due`, end of a lease) are the store's own: callers hand in durations only, so that copies with
//! different clocks agree.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::receipt::Stages;
use crate::base::{AccountId, Timestamp, UserId, WorkerId};
use crate::domain::worker::{Applied, DesiredWorker};
use crate::taskrouter::WorkerSid;

/// The store could not be read or written; what was asked for may or may not have been committed.
#[derive(Debug, thiserror::Error)]
#[error("the desired workers cannot be read or written")]
pub struct DesiredStoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// One claim's proof of ownership: new for each call of [`DesiredStore::claim`], shared by the rows that it returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub String);

/// Which rows to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Only workers that are to go.
    Leavers,
    /// All, workers that are to go first.
    All,
}

/// What to claim.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The name of the new lease.
    pub lease: LeaseId,
    /// How long it lasts unless renewed.
    pub lease_for: Duration,
    /// Which rows.
    pub lanes: Lanes,
    /// How many at most.
    pub limit: usize,
    /// Accounts whose rows are left alone for now.
    pub except: Vec<AccountId>,
}

/// What is known of the worker at TaskRouter, stored with the row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The worker that is ours.
    pub sid: Option<WorkerSid>,
    /// What we wrote, or may have written.
    pub footprint: Footprint,
}

impl Known {
    /// Adds what an attempt to bring about `desired` may have written.
    pub fn widen(&mut self, desired: &DesiredWorker) {
        self.footprint.widen(desired, self.sid.as_ref());
    }
}

/// What we wrote to TaskRouter for one row, or may have written: a record that errs on the side of too much.
///
/// Stored as JSON in one column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Attribute keys and channels.
    #[serde(flatten)]
    pub applied: Applied,
    /// Attributes of creations whose outcome was never learned. One of them may have made a worker of the row's name, or may
    /// yet arrive at TaskRouter and make it; by these attributes such a stray is told from a worker of somebody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub creations: Vec<Map<String, Value>>,
}

impl Footprint {
    /// More lost creations than this in a row are not told apart; the oldest are forgotten.
    const MOST_CREATIONS: usize = 8;

    /// Adds the keys of the lost creations: a worker that one of them made has them.
    pub fn widen_by_creations(&mut self) {
        for attributes in &self.creations {
            let made = DesiredWorker {
                friendly_name: String::new(),
                attributes: attributes.clone(),
                channels: BTreeMap::new(),
            };
            self.applied.keys = self.applied.keys.union(&made.owned_keys());
            self.applied.roles.extend(made.roles());
        }
    }

    /// Adds what an attempt to bring about `desired` may have written, `sid` being the worker known at that time.
    pub fn widen(&mut self, desired: &DesiredWorker, sid: Option<&WorkerSid>) {
        self.applied.keys = self.applied.keys.union(&desired.owned_keys());
        self.applied.roles.extend(desired.roles());
        for name in desired.channels.keys() {
            // Ours to take away, but not to be taken for set: the attempt may never have begun.
            self.applied.channels.entry(name.clone()).or_insert(None);
        }
        if sid.is_none() && !self.creations.contains(&desired.attributes) {
            self.creations.push(desired.attributes.clone());
            let surplus = self.creations.len().saturating_sub(Self::MOST_CREATIONS);
            self.creations.drain(..surplus);
        }
    }
}

/// A row to work on.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row.
    pub worker: WorkerId,
    /// Whose TaskRouter workspace it belongs to.
    pub account: AccountId,
    /// Whose worker it is; none: nobody's any more, or the store keeps no users.
    pub user: Option<UserId>,
    /// The worker's name as last desired; another spelling may stand at TaskRouter.
    pub name: String,
    /// The worker as it should be, `None` if it should not be.
    pub desired: Option<DesiredWorker>,
    /// Which change of the desired worker this is.
    pub desired_version: i64,
    /// When that change was made.
    pub desired_at: Timestamp,
    /// How long ago that was when the row was claimed, by the clock of the store.
    pub age: Duration,
    /// Whether a worker that is not desired stays, offline.
    pub keep: bool,
    /// Whether this very version was reached before: the row is only looked at again.
    pub settled_before: bool,
    /// What is known of the worker at TaskRouter.
    pub known: Known,
    /// Whether an earlier attempt may have had effects that are not in `known`: it ended without a report, or with a write
    /// whose outcome is unknown. Everything that matters has to be read before it is written.
    pub unsure: bool,
    /// How many attempts at this version have failed.
    pub attempts: u32,
    /// The proof of ownership.
    pub lease: LeaseId,
}

/// How far an attempt got.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Not finished: something was learned that must survive a crash. The lease goes on.
    Progress {
        /// What is known now.
        known: Known,
    },
    /// The worker is as desired.
    InStep {
        /// What is known now.
        known: Known,
        /// Look at it once more after this time, because a write of unknown outcome may still arrive.
        recheck: Option<Duration>,
    },
    /// The worker is gone, read back from TaskRouter.
    Removed {
        /// What a write of unknown outcome may still bring about; nothing without a recheck.
        known: Known,
        /// Look for it once more after this time.
        recheck: Option<Duration>,
    },
    /// The worker of somebody who left is offline and without routing, read back from TaskRouter, and stays so.
    Kept {
        /// What is known now.
        known: Known,
        /// Look at it again after this time: an open page may make it available.
        after: Option<Duration>,
    },
    /// To be tried again.
    Retry {
        /// What is known now.
        known: Known,
        /// Whether a write of unknown outcome has to be read back first.
        unsure: bool,
        /// Failed attempts at this version, this one included.
        attempts: u32,
        /// When to try again.
        after: Duration,
        /// For people.
        error: String,
    },
    /// TaskRouter or we refuse: visible to people, and tried again slowly.
    Refused {
        /// What is known now.
        known: Known,
        /// Why.
        why: Refused,
        /// Failed attempts at this version, this one included.
        attempts: u32,
        /// When to try again.
        after: Duration,
        /// For people.
        error: String,
    },
    /// Not begun: the claim is given back as it was.
    Released,
}

/// Why an attempt is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// TaskRouter does not delete a worker with work in hand; it is offline and stays so.
    Blocked,
    /// The worker has work in hand, whose end is waited for; it is offline and stays so.
    Draining,
    /// The worker is ours and has a protected role: people remove it. It is offline and stays so.
    Protected,
    /// A worker of this name exists that may not be adopted.
    Unadopted,
    /// TaskRouter refuses the input, or would.
    Invalid,
    /// The account has no TaskRouter.
    NoTaskRouter,
}

/// Where a row stands, for people and for [`RowState::as_str`] in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// Changed, not yet brought about.
    Pending,
    /// The last attempt failed and will be repeated.
    Retrying,
    /// As desired.
    InStep,
    /// Gone, as desired.
    Removed,
    /// See [`Outcome::Kept`].
    KeptOffline,
    /// See [`Refused::Blocked`].
    Blocked,
    /// See [`Refused::Draining`].
    Draining,
    /// See [`Refused::Protected`].
    Protected,
    /// See [`Refused::Unadopted`].
    Unadopted,
    /// See [`Refused::Invalid`] and [`Refused::NoTaskRouter`].
    Rejected,
}

impl RowState {
    /// Every state, in a fixed order.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Retrying,
        Self::InStep,
        Self::Removed,
        Self::KeptOffline,
        Self::Blocked,
        Self::Draining,
        Self::Protected,
        Self::Unadopted,
        Self::Rejected,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::InStep => "in_step",
            Self::Removed => "removed",
            Self::KeptOffline => "kept_offline",
            Self::Blocked => "blocked",
            Self::Draining => "draining",
            Self::Protected => "protected",
            Self::Unadopted => "unadopted",
            Self::Rejected => "rejected",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the worker is as desired.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::InStep | Self::Removed | Self::KeptOffline)
    }
}

/// A report about a claimed row.
#[derive(Clone, Debug)]
pub struct Record {
    /// The row.
    pub worker: WorkerId,
    /// The lease under which it was claimed.
    pub lease: LeaseId,
    /// The version that was worked on.
    pub desired_version: i64,
    /// How far it got.
    pub outcome: Outcome,
    /// Which stages of a removal it has seen, for the receipt.
    pub stages: Stages,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Stored.
    Stored,
    /// What was learned is stored, but the desired worker changed meanwhile: the row is due again.
    Superseded,
    /// Refused and not stored, because somebody else claimed the row since (or it is gone).
    LeaseLost,
}

/// The desired workers, as the driver sees them.
#[async_trait]
pub trait DesiredStore: Send + Sync {
    /// Claims due rows that nobody holds, leavers first. Within a lane the accounts take turns, whatever each has waiting; of each
    /// account those come first that are due longest.
    ///
    /// A lease that lapsed without a report counts as not held; its rows come back as [`Claimed::unsure`].
    ///
    /// # Errors
    /// If the store cannot answer; rows that were claimed all the same come back when the lease lapses.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, DesiredStoreError>;

    /// Prolongs leases from now on; returns those that are still held.
    ///
    /// # Errors
    /// If the store cannot answer; the leases may lapse.
    async fn renew(
        &self,
        held: &[(WorkerId, LeaseId)],
        lease_for: Duration,
    ) -> Result<Vec<WorkerId>, DesiredStoreError>;

    /// Stores reports, each by itself: the answers are in the order of the reports.
    ///
    /// Storing a report twice is harmless: the second time the lease is no longer held.
    ///
    /// # Errors
    /// If the store cannot answer; any part may have been stored.
    async fn record(&self, records: &[Record]) -> Result<Vec<Recorded>, DesiredStoreError>;

    /// The account's row whose recorded worker this is.
    ///
    /// Asked before a worker that was found by its name is adopted: it may be the worker of somebody who is to be renamed.
    ///
    /// # Errors
    /// If the store cannot answer.
    async fn holder(&self, account: AccountId, sid: &WorkerSid) -> Result<Option<WorkerId>, DesiredStoreError>;
}
