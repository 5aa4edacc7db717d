//! The workspace in memory: rows, indexes, and the one function that changes them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::model::{Activity, Change, Event, FlexUser, Identity, Queue, Reservation, Worker, Workspace};
use crate::base::Timestamp;

/// How long events are kept.
const EVENTS_KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// How many events are kept at most, the newest.
const EVENTS_KEPT: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct State {
    pub identity: Option<Identity>,
    pub workspace: Option<Workspace>,
    pub activities: BTreeMap<String, Activity>,
    /// By SID: a list is a walk by key, so what is made during the walk may or may not show, as at Twilio.
    pub workers: BTreeMap<String, Worker>,
    names: HashMap<String, String>,
    pub available_workers: usize,
    pub queues: BTreeMap<String, Queue>,
    pub reservations: BTreeMap<String, Reservation>,
    by_worker: HashMap<String, BTreeSet<String>>,
    pub flex_users: BTreeMap<String, FlexUser>,
    usernames: HashMap<String, String>,
    pub events: VecDeque<Event>,
}

impl State {
    /// Applies one step, whether it comes from a request or from the journal.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Identity(identity) => self.identity = Some(identity),
            Change::Workspace(workspace) => self.workspace = Some(workspace),
            Change::Activity(activity) => {
                self.activities.insert(activity.sid.clone(), activity);
            }
            Change::ActivityGone(sid) => {
                self.activities.remove(&sid);
            }
            Change::Worker(worker) => self.put_worker(*worker),
            Change::WorkerGone(sid) => self.remove_worker(&sid),
            Change::Queue(queue) => {
                self.queues.insert(queue.sid.clone(), queue);
            }
            Change::QueueGone(sid) => {
                self.queues.remove(&sid);
            }
            Change::Reservation(reservation) => {
                self.by_worker.entry(reservation.worker_sid.clone()).or_default().insert(reservation.sid.clone());
                self.reservations.insert(reservation.sid.clone(), reservation);
            }
            Change::FlexUser(user) => {
                self.usernames.insert(name_key(&user.username), user.sid.clone());
                self.flex_users.insert(user.sid.clone(), user);
            }
            Change::Event(event) => self.push_event(event),
        }
    }

    fn put_worker(&mut self, worker: Worker) {
        self.forget(&worker.sid);
        self.available_workers += usize::from(self.is_available(&worker));
        self.names.insert(name_key(&worker.friendly_name), worker.sid.clone());
        self.workers.insert(worker.sid.clone(), worker);
    }

    fn remove_worker(&mut self, sid: &str) {
        self.forget(sid);
        for reservation in self.by_worker.remove(sid).unwrap_or_default() {
            self.reservations.remove(&reservation);
        }
    }

    fn forget(&mut self, sid: &str) {
        if let Some(old) = self.workers.remove(sid) {
            self.available_workers -= usize::from(self.is_available(&old));
            self.names.remove(&name_key(&old.friendly_name));
        }
    }

    fn push_event(&mut self, event: Event) {
        let now = event.at;
        self.events.push_back(event);
        let too_old = |event: &Event| now.since(event.at) > EVENTS_KEPT_FOR;
        while self.events.len() > EVENTS_KEPT || self.events.front().is_some_and(too_old) {
            self.events.pop_front();
        }
    }

    /// Everything as steps: what a compacted journal consists of.
    pub(super) fn snapshot(&self) -> impl Iterator<Item = Change> {
        let identity = self.identity.iter().cloned().map(Change::Identity);
        let workspace = self.workspace.iter().cloned().map(Change::Workspace);
        let activities = self.activities.values().cloned().map(Change::Activity);
        let queues = self.queues.values().cloned().map(Change::Queue);
        let workers = self.workers.values().map(|worker| Change::Worker(Box::new(worker.clone())));
        let reservations = self.reservations.values().cloned().map(Change::Reservation);
        let users = self.flex_users.values().cloned().map(Change::FlexUser);
        let events = self.events.iter().cloned().map(Change::Event);
        identity
            .chain(workspace)
            .chain(activities)
            .chain(queues)
            .chain(workers)
            .chain(reservations)
            .chain(users)
            .chain(events)
    }

    pub(super) fn is_available(&self, worker: &Worker) -> bool {
        self.activities.get(&worker.activity_sid).is_some_and(|activity| activity.available)
    }

    pub(super) fn activity_name(&self, sid: &str) -> &str {
        self.activities.get(sid).map_or("", |activity| activity.friendly_name.as_str())
    }

    /// Names of workers are unique without regard to case.
    pub(super) fn worker_named(&self, friendly_name: &str) -> Option<&Worker> {
        self.names.get(&name_key(friendly_name)).and_then(|sid| self.workers.get(sid))
    }

    pub(super) fn flex_user_named(&self, username: &str) -> Option<&FlexUser> {
        self.usernames.get(&name_key(username)).and_then(|sid| self.flex_users.get(sid))
    }

    pub(super) fn flex_user_of(&self, worker: &Worker) -> Option<&FlexUser> {
        self.flex_user_named(&worker.friendly_name).filter(|user| user.worker_sid.as_ref() == Some(&worker.sid))
    }

    pub(super) fn reservations_of(&self, worker_sid: &str) -> impl Iterator<Item = &Reservation> {
        self.by_worker.get(worker_sid).into_iter().flatten().filter_map(|sid| self.reservations.get(sid))
    }

    /// The fields of a worker that may stand in an expression beside its attributes.
    pub(super) fn fields(&self, worker: &Worker) -> Map<String, Value> {
        let fields = json!({
            "sid": worker.sid,
            "friendly_name": worker.friendly_name,
            "activity_sid": worker.activity_sid,
            "activity_name": self.activity_name(&worker.activity_sid),
        });
        if let Value::Object(fields) = fields { fields } else { Map::new() }
    }

    /// Whether the worker is in the queue, by its attributes alone.
    pub(super) fn is_member(&self, queue_sid: &str, worker: &Worker) -> bool {
        self.queues.get(queue_sid).is_some_and(|queue| queue.target_workers.hold_for(worker.attributes.read()))
    }

    /// The newest events first.
    pub(super) fn events_between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Event> {
        self.events.iter().rev().filter(move |event| event.at >= from && event.at <= to)
    }
}

pub(super) fn name_key(name: &str) -> String {
    name.to_lowercase()
}
