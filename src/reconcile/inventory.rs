//! Drift and inventory: reads all workers of an account, and says how each stands to what we hold.
//!
//! A walk reads the list of workers page by page, compares it with the rows of the account ([`classify`], pure), reads again
//! what seems to differ, and records it. It writes nothing at TaskRouter: a repair makes the row due again as *unsure*, and
//! the reconciler, which then reads the worker with its channels, writes what differs. Workers of nobody are reported; what
//! becomes of them is for a person to say ([`strangers`]).
//!
//! What it rests on:
//!
//! - **The list is a walk, not a snapshot.** What is drifted or missing by the list is read by itself, between two readings
//!   of its row; if the row changed meanwhile, or is not settled, the reconciler is at it and nothing is found.
//! - **Only what is ours counts**: the planner judges, as it does for the reconciler.
//! - **One at a time**: a lease for each account in the database. A walk that dies is begun anew when it lapses.
//! - **Within a share**: a walk makes one call at a time, and no more in a second than its share of what is known to be borne;
//!   a tenth of that while changes wait to be brought about.
//! - **Bounded memory**: sixteen bytes for each worker and row, some hundred for each one that is not in step.
//! - **Not too many at once**: a walk that nobody watches repairs nothing if more than the guard's number *and* share of the
//!   workers differ. That many say that something else is wrong: another workspace, or another program that writes.

mod calls;
pub mod classify;
mod periodic;
pub mod strangers;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

pub use crate::store::inventory::When;
pub use periodic::run;
pub use walk::{Asked, walk};

use crate::base::Ambient;
use crate::store::{Store, StoreError};
use crate::taskrouter::TaskRouterError;
use classify::{Class, Difference};

/// How walks are made.
#[derive(Clone, Debug)]
pub struct InventorySettings {
    /// How often without being asked; none: never.
    pub every: Option<Duration>,
    /// The share of the calls that TaskRouter bears (0 to 1).
    pub share: f64,
    /// Whether channels are compared, too: one more call for each worker that has some.
    pub channels: bool,
    /// Whether walks that nobody asked for repair what they find, or only report it.
    pub repair: bool,
    /// Workers with one of these values in `roles` are not taken over or removed.
    pub protected_roles: BTreeSet<String>,
    /// More than this number, and ...
    pub many_people: u32,
    /// ... more than this share of the workers are not repaired unless a person says so.
    pub many_share: f64,
}

/// What a walk needs from outside.
#[derive(Clone)]
pub struct InventoryPorts {
    /// The database.
    pub store: Arc<Store>,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Is told when there is work for the reconciler.
    pub wake: Arc<Notify>,
}

impl std::fmt::Debug for InventoryPorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InventoryPorts").finish_non_exhaustive()
    }
}

/// What becomes of what is drifted or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// It is reported.
    Never,
    /// It is repaired, unless it is too much at once.
    UnlessMany,
    /// It is repaired: a person said so.
    Always,
}

/// Why a walk came to no end.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// Another walk is under way, or none is due.
    #[error("another walk through this account is under way")]
    Busy,
    /// Somebody else took over.
    #[error("the walk took too long to renew its lease, and somebody else may walk now")]
    LeaseLost,
    /// The process ends.
    #[error("stopped")]
    Stopped,
    /// The list turns in a circle.
    #[error("the list of workers does not end")]
    Endless,
    /// TaskRouter does not answer as it should.
    #[error(transparent)]
    Call(#[from] TaskRouterError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a walk counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Workers that TaskRouter listed.
    pub workers: u64,
    /// Those that are as desired.
    pub in_step: u64,
    /// See [`Class::Drifted`].
    pub drifted: u64,
    /// See [`Class::Missing`].
    pub missing: u64,
    /// See [`Class::Duplicate`].
    pub duplicate: u64,
    /// See [`Class::Orphan`].
    pub orphan: u64,
    /// See [`Class::Unadopted`].
    pub unadopted: u64,
    /// See [`Class::Pending`].
    pub pending: u64,
    /// Rows that the reconciler was told to repair.
    pub handed_over: u64,
    /// Rows that were not repaired because they were too many.
    pub held_back: u64,
    /// Calls to TaskRouter, those that failed included.
    pub calls: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Whether channels were compared.
    pub channels: bool,
}

impl Summary {
    /// The count of a class.
    #[must_use]
    pub const fn of(&self, class: Class) -> u64 {
        match class {
            Class::InStep => self.in_step,
            Class::Drifted => self.drifted,
            Class::Missing => self.missing,
            Class::Orphan => self.orphan,
            Class::Duplicate => self.duplicate,
            Class::Unadopted => self.unadopted,
            Class::Pending => self.pending,
        }
    }

    const fn count(&mut self, class: Class) {
        let count = match class {
            Class::InStep => &mut self.in_step,
            Class::Drifted => &mut self.drifted,
            Class::Missing => &mut self.missing,
            Class::Orphan => &mut self.orphan,
            Class::Duplicate => &mut self.duplicate,
            Class::Unadopted => &mut self.unadopted,
            Class::Pending => &mut self.pending,
        };
        *count += 1;
    }
}

/// A walk that came to its end.
#[derive(Clone, Debug)]
pub struct Walked {
    /// Its id, under which its findings are.
    pub walk: String,
    /// What it counted.
    pub summary: Summary,
}

/// What is recorded with a finding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// The steps of a repair.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// What differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Whose second worker it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Why it may not be taken over or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Detail {
    /// Reads what is stored.
    ///
    /// # Errors
    /// When it is not one.
    pub fn read(value: &Value) -> Result<Self, StoreError> {
        Self::deserialize(value)
            .map_err(|error| StoreError::Damaged { table: "finding", what: format!("detail: {error}") })
    }
}

/// What a walk is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the list of workers.
    Listing,
    /// Looking for rows whose worker was not in the list.
    Looking,
    /// Reading again what seems to differ.
    Reading,
}

/// Is told how far a walk is. Called in the middle of things: it must not wait.
pub trait Watch: Send + Sync {
    /// So many of these are done; of how many, if that is known.
    fn at(&self, stage: Stage, done: u64, all: Option<u64>);
}

/// Nobody watches.
impl Watch for () {
    fn at(&self, _: Stage, _: u64, _: Option<u64>) {}
}
