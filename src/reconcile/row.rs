//! What happens to the row of a desired worker: the state machine that every [`super::DesiredStore`] implements.
//!
//! The fields are the columns. A store may run these functions on a row that it read in the same transaction, or say the
//! same in SQL.

use std::time::Duration;

use super::desired_store::{Claimed, Known, LeaseId, Outcome, Record, Recorded, Refused, RowState};
use super::receipt::Receipt;
use crate::base::{AccountId, Timestamp, WorkerId};
use crate::domain::worker::DesiredWorker;

/// One desired worker.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row's id.
    pub worker: WorkerId,
    /// The account.
    pub account: AccountId,
    /// The worker's name; its case-folded form is unique in the account.
    pub name: String,
    /// The worker as it should be, `None` if it should not be. The lane follows from it: leavers have none.
    pub desired: Option<DesiredWorker>,
    /// Whether a worker that is not desired stays, offline.
    pub keep: bool,
    /// Counts the changes of `desired`.
    pub desired_version: i64,
    /// When `desired` changed last.
    pub desired_at: Timestamp,
    /// The version that was last brought about.
    pub applied_version: Option<i64>,
    /// What is known of the worker at TaskRouter.
    pub known: Known,
    /// Desired workers that were replaced while somebody may have been writing them: whoever claims the row next takes their
    /// keys and channels for possibly written.
    pub superseded: Vec<DesiredWorker>,
    /// See [`Claimed::unsure`].
    pub unsure: bool,
    /// For people.
    pub state: RowState,
    /// Failed attempts at this version.
    pub attempts: u32,
    /// From when on the row may be claimed; `None` if there is nothing to do.
    pub due_at: Option<Timestamp>,
    /// Who holds it. Cleared by every report that ends an attempt, so whoever finds it set finds an attempt without an end.
    pub lease: Option<LeaseId>,
    /// Until when it is held.
    pub lease_until: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the worker last became as desired.
    pub in_step_at: Option<Timestamp>,
    /// When the worker was last found to be gone.
    pub removed_at: Option<Timestamp>,
    /// The receipts of those who left, oldest first.
    pub receipts: Vec<Receipt>,
}

impl Row {
    /// A row that nothing was desired of yet.
    #[must_use]
    pub fn new(worker: WorkerId, account: AccountId, name: String, now: Timestamp) -> Self {
        Self {
            worker,
            account,
            name,
            desired: None,
            keep: false,
            desired_version: 0,
            desired_at: now,
            applied_version: Some(0),
            known: Known::default(),
            superseded: Vec::new(),
            unsure: false,
            state: RowState::Removed,
            attempts: 0,
            due_at: None,
            lease: None,
            lease_until: now,
            last_error: None,
            in_step_at: None,
            removed_at: None,
            receipts: Vec::new(),
        }
    }

    /// Changes what is desired; false, with nothing touched, if it is desired already.
    pub fn want(&mut self, desired: Option<DesiredWorker>, now: Timestamp) -> bool {
        self.want_or_keep(desired, false, now)
    }

    /// Like [`Row::want`]; `keep` says that a worker which is not desired stays, offline. One that stays may still be told to
    /// go, and one that goes is not told to stay.
    pub fn want_or_keep(&mut self, desired: Option<DesiredWorker>, keep: bool, now: Timestamp) -> bool {
        let lets_go = self.keep && !keep && desired.is_none();
        if !lets_go && self.desired.as_ref().map(DesiredWorker::digest) == desired.as_ref().map(DesiredWorker::digest) {
            return false;
        }
        // Whoever works on the old version, or died doing so, may have written it: those keys stay ours to remove.
        if let Some(old) = &self.desired
            && (self.lease.is_some() || self.unsure)
        {
            self.superseded.push(old.clone());
        }
        if let Some(desired) = &desired {
            self.name.clone_from(&desired.friendly_name);
        }
        self.keep = keep && desired.is_none();
        self.desired = desired;
        self.desired_version += 1;
        self.desired_at = now;
        self.state = RowState::Pending;
        self.attempts = 0;
        self.due_at = Some(now);
        self.last_error = None;
        if let Some(latest) = self.receipts.last_mut() {
            latest.supersede();
        }
        if self.desired.is_none() {
            self.receipts.push(Receipt::new(self.desired_version, now));
        }
        true
    }

    /// Whether the row may follow its person to a new name, so that the worker is renamed in place.
    ///
    /// Not while a worker that we know nothing of may exist, or come to exist, under the old name: then the old name is to
    /// leave, and the new one gets its own row. Else nobody would look for the worker under its old name any longer.
    #[must_use]
    pub const fn may_be_renamed(&self) -> bool {
        self.known.footprint.creations.is_empty()
            && (self.known.sid.is_some() || (self.lease.is_none() && !self.unsure && self.superseded.is_empty()))
    }

    /// Whether the row is nothing but the memory of a worker that is gone: another person's row may take its name.
    #[must_use]
    pub const fn is_forgettable(&self) -> bool {
        self.desired.is_none() && !self.keep && self.due_at.is_none() && self.lease.is_none()
    }

    /// Whether the worker is to go: its row is claimed before all others.
    #[must_use]
    pub const fn is_leaver(&self) -> bool {
        self.desired.is_none()
    }

    /// Whether the row may be claimed.
    #[must_use]
    pub fn is_claimable(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= now) && (self.lease.is_none() || self.lease_until <= now)
    }

    /// Hands the row out.
    pub fn claim(&mut self, lease: &LeaseId, lease_for: Duration, now: Timestamp) -> Claimed {
        self.unsure |= self.lease.is_some();
        self.lease = Some(lease.clone());
        self.lease_until = now.after(lease_for);
        let mut known = self.known.clone();
        for old in &self.superseded {
            known.widen(old);
        }
        Claimed {
            worker: self.worker,
            account: self.account,
            name: self.name.clone(),
            desired: self.desired.clone(),
            desired_version: self.desired_version,
            desired_at: self.desired_at,
            age: now.since(self.desired_at),
            keep: self.keep,
            user: None,
            settled_before: self.applied_version == Some(self.desired_version),
            known,
            unsure: self.unsure,
            attempts: self.attempts,
            lease: lease.clone(),
        }
    }

    /// Prolongs a lease; false if it is not held any longer.
    pub fn renew(&mut self, lease: &LeaseId, lease_for: Duration, now: Timestamp) -> bool {
        let held = self.lease.as_ref() == Some(lease);
        if held {
            self.lease_until = now.after(lease_for);
        }
        held
    }

    /// Takes a report in.
    pub fn record(&mut self, record: &Record, now: Timestamp) -> Recorded {
        if self.lease.as_ref() != Some(&record.lease) {
            return Recorded::LeaseLost;
        }
        let end = Settlement::of(&record.outcome);
        if let Some(known) = end.known {
            self.known = known;
        }
        self.unsure = end.unsure.unwrap_or(self.unsure);
        if !matches!(record.outcome, Outcome::Progress { .. }) {
            self.lease = None;
        }
        if self.desired_version != record.desired_version {
            // The newer desired worker is due already, at its own time and with its own count of attempts.
            return Recorded::Superseded;
        }
        let Some(state) = end.state else { return Recorded::Stored };
        self.superseded.clear();
        self.state = state;
        self.attempts = end.attempts;
        self.due_at = end.due_in.map(|wait| now.after(wait));
        self.last_error = end.error;
        if let Some(receipt) = self.receipts.last_mut().filter(|receipt| receipt.version == record.desired_version) {
            receipt.note(&record.outcome, &record.stages, now);
        }
        if state.is_settled() {
            self.applied_version = Some(record.desired_version);
            match state {
                RowState::Removed => self.removed_at = Some(now),
                _ => self.in_step_at = Some(now),
            }
        }
        Recorded::Stored
    }
}

/// What a report writes into a row, column by column.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Replaces what is known, unless nothing was learned.
    pub known: Option<Known>,
    /// Replaces the doubt; `None` leaves it as it is.
    pub unsure: Option<bool>,
    /// The new state, and with it all that follows; `None` if the attempt has no end yet (progress) or was not begun.
    /// Not to be written if the desired worker changed meanwhile.
    pub state: Option<RowState>,
    /// Failed attempts.
    pub attempts: u32,
    /// When the row is due again, counted from now; `None` if it is not.
    pub due_in: Option<Duration>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Settlement {
    /// The columns that follow from an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let none = Self { known: None, unsure: None, state: None, attempts: 0, due_in: None, error: None };
        match outcome {
            Outcome::Progress { known } => Self { known: Some(known.clone()), ..none },
            Outcome::Released => none,
            Outcome::InStep { known, recheck } => Self::settled(RowState::InStep, known, *recheck),
            Outcome::Removed { known, recheck } => Self::settled(RowState::Removed, known, *recheck),
            Outcome::Kept { known, after } => {
                // The worker stays, and so does what may still be written to it: an earlier doubt is not over.
                Self { due_in: *after, unsure: None, ..Self::settled(RowState::KeptOffline, known, None) }
            }
            Outcome::Retry { known, unsure, attempts, after, error } => Self {
                known: Some(known.clone()),
                unsure: Some(*unsure),
                state: Some(RowState::Retrying),
                attempts: *attempts,
                due_in: Some(*after),
                error: Some(error.clone()),
            },
            Outcome::Refused { known, why, attempts, after, error } => Self {
                known: Some(known.clone()),
                // A refusal says nothing about an earlier write of unknown outcome.
                unsure: None,
                state: Some(match why {
                    Refused::Blocked => RowState::Blocked,
                    Refused::Draining => RowState::Draining,
                    Refused::Protected => RowState::Protected,
                    Refused::Unadopted => RowState::Unadopted,
                    Refused::Invalid | Refused::NoTaskRouter => RowState::Rejected,
                }),
                attempts: *attempts,
                due_in: Some(*after),
                error: Some(error.clone()),
            },
        }
    }

    fn settled(state: RowState, known: &Known, recheck: Option<Duration>) -> Self {
        Self {
            known: Some(known.clone()),
            unsure: Some(recheck.is_some()),
            state: Some(state),
            attempts: 0,
            due_in: recheck,
            error: None,
        }
    }
}
