//! Looking into the stand-in, and moving it, from the same process.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::model::{ReservationStatus, TASK_CHANNELS, Worker};
use super::state::State;
use super::{StandIn, StandInError, http};

/// A worker as the stand-in has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerSnapshot {
    /// `WK...`.
    pub sid: String,
    /// The unique name, as written last.
    pub friendly_name: String,
    /// The attributes, read.
    pub attributes: Map<String, Value>,
    /// The name of the activity.
    pub activity_name: String,
    /// Whether the activity lets work in.
    pub available: bool,
    /// All channels by unique name.
    pub channels: BTreeMap<String, ChannelSnapshot>,
    /// The names of the queues whose expression holds for the worker, sorted.
    pub queues: Vec<String>,
    /// How often the worker was written since it was made.
    pub version: u64,
}

/// A worker's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChannelSnapshot {
    /// How many tasks at once.
    pub capacity: u32,
    /// Whether tasks come at all.
    pub available: bool,
}

impl WorkerSnapshot {
    pub(super) fn of(state: &State, worker: &Worker) -> Self {
        let channels = TASK_CHANNELS.iter().filter_map(|(name, _)| {
            let channel = worker.channel(name)?;
            let snapshot = ChannelSnapshot { capacity: channel.capacity, available: channel.available };
            Some(((*name).to_owned(), snapshot))
        });
        let queues = state.queues.values().filter(|queue| state.is_member(&queue.sid, worker));
        let mut queues: Vec<_> = queues.map(|queue| queue.friendly_name.clone()).collect();
        queues.sort();
        Self {
            sid: worker.sid.clone(),
            friendly_name: worker.friendly_name.clone(),
            attributes: worker.attributes.read().clone(),
            activity_name: state.activity_name(&worker.activity_sid).to_owned(),
            available: state.is_available(worker),
            channels: channels.collect(),
            queues,
            version: worker.version,
        }
    }
}

impl StandIn {
    /// All workers, by SID.
    pub fn workers(&self) -> Vec<WorkerSnapshot> {
        self.read(|state| state.workers.values().map(|worker| WorkerSnapshot::of(state, worker)).collect())
    }

    /// The worker of that name, whatever its case.
    pub fn worker_named(&self, friendly_name: &str) -> Option<WorkerSnapshot> {
        self.read(|state| state.worker_named(friendly_name).map(|worker| WorkerSnapshot::of(state, worker)))
    }

    /// How many workers there are.
    pub fn worker_count(&self) -> usize {
        self.read(|state| state.workers.len())
    }

    /// Offers work to a worker, or puts it in hand; returns the reservation's SID.
    ///
    /// # Errors
    /// [`StandInError::Refused`] when there is no such worker or channel.
    pub fn add_reservation(
        &self,
        worker_sid: &str,
        channel: &str,
        status: ReservationStatus,
    ) -> Result<String, StandInError> {
        let made = self.write(|tx| http::reservations::make(tx, worker_sid, channel, status));
        made.map(|reservation| reservation.sid).map_err(StandInError::refused)
    }

    /// Moves a reservation on, for example to [`ReservationStatus::Completed`].
    ///
    /// # Errors
    /// [`StandInError::Refused`] when there is no such reservation.
    pub fn set_reservation(&self, sid: &str, status: ReservationStatus) -> Result<(), StandInError> {
        self.write(|tx| http::reservations::set_status(tx, sid, status)).map(|_| ()).map_err(StandInError::refused)
    }

    /// A successful sign-on to Flex: makes or revives the worker and writes the claims over its attributes.
    ///
    /// # Errors
    /// [`StandInError::Refused`] when a claim does not fit its type.
    pub fn sso_login(&self, friendly_name: &str, claims: &Map<String, Value>) -> Result<String, StandInError> {
        let limit = self.behaviour();
        let worker = self.write(|tx| http::sso_login::sign_in(tx, &limit, friendly_name, claims));
        worker.map(|worker| worker.sid).map_err(StandInError::refused)
    }
}
