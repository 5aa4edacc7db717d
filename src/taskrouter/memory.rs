//! A `TaskRouter` inside the process: deterministic, with faults on demand. For tests and simulations.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    ATTRIBUTES_LIMIT, Activity, ActivitySid, Channel, ETag, ErrorKind, NewWorker, Operation, PageToken, Reservation,
    ReservationStatus, Result, TaskRouter, TaskRouterError, Worker, WorkerChannel, WorkerPage, WorkerSid, WorkerUpdate,
    Workspace,
};
use crate::base::fold;

/// The activities of a new workspace; the first one is the default.
const ACTIVITIES: [(&str, bool); 4] =
    [("Offline", false), ("Available", true), ("Unavailable", false), ("Break", false)];
/// The channels of a new worker on a Flex account, with their first capacities.
const CHANNELS: [(&str, u32); 6] =
    [("default", 10), ("chat", 10), ("sms", 10), ("voice", 1), ("video", 1), ("email", 1)];
/// The highest capacity of a channel.
const MOST_CAPACITY: u32 = 50;

/// One call, as the fault hook and the log see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryCall {
    /// Which call.
    pub operation: Operation,
    /// The worker's SID, or its name where the call goes by name; empty for calls about the workspace.
    pub target: String,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with this error and does nothing.
    Before(TaskRouterError),
    /// The call does its work, then fails with this error: the lost answer.
    After(TaskRouterError),
}

/// Decides for each call whether it fails.
pub type FaultHook = Box<dyn FnMut(&MemoryCall) -> Option<Fault> + Send>;

#[derive(Clone, Debug)]
struct Entry {
    worker: Worker,
    version: u64,
    channels: BTreeMap<String, Channel>,
    reservations: Vec<Reservation>,
}

impl Entry {
    fn shown(&self) -> Worker {
        Worker { etag: Some(ETag::new(format!("\"{}\"", self.version))), ..self.worker.clone() }
    }
}

#[derive(Default)]
struct State {
    /// By SID, which is also the order of creation.
    workers: BTreeMap<WorkerSid, Entry>,
    made: u64,
    page_size: usize,
    hides_attributes: bool,
    hook: Option<FaultHook>,
    calls: Vec<MemoryCall>,
}

/// The workspace in memory.
#[derive(Default)]
pub struct MemoryTaskRouter(Mutex<State>);

fn failure(kind: ErrorKind, operation: Operation, status: u16, code: u32, message: &str) -> TaskRouterError {
    TaskRouterError::new(kind, operation, message).answered(status, Some(code))
}

fn not_found(operation: Operation) -> TaskRouterError {
    failure(ErrorKind::NotFound, operation, 404, 20404, "the worker was not found")
}

#[expect(clippy::expect_used, reason = "the text is made here of characters that every SID may have")]
fn sid<T: std::str::FromStr<Err = super::SidError>>(prefix: &str, number: u64) -> T {
    format!("{prefix}{number:032x}").parse().expect("a SID")
}

fn activity(index: usize) -> Activity {
    let (name, available) = ACTIVITIES[index];
    Activity { sid: sid("WA", index as u64 + 1), friendly_name: name.to_owned(), available }
}

impl MemoryTaskRouter {
    /// An empty workspace.
    pub fn new() -> Self {
        Self(Mutex::new(State { page_size: 1000, ..State::default() }))
    }

    /// Asks this hook at every call from now on.
    pub fn set_faults(&self, hook: impl FnMut(&MemoryCall) -> Option<Fault> + Send + 'static) {
        self.state().hook = Some(Box::new(hook));
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.state().hook = None;
    }

    /// From now on lists show attributes as unknown, as `TaskRouter`'s contract allows.
    pub fn hide_attributes_in_lists(&self) {
        self.state().hides_attributes = true;
    }

    /// How many workers a page of the list has.
    pub fn set_page_size(&self, size: usize) {
        self.state().page_size = size.max(1);
    }

    /// All workers, in the order of their creation. Not a call: neither logged nor subject to faults.
    pub fn workers(&self) -> Vec<Worker> {
        self.state().workers.values().map(Entry::shown).collect()
    }

    /// The worker with this name. Not a call.
    pub fn worker(&self, friendly_name: &str) -> Option<Worker> {
        let wanted = fold(friendly_name);
        self.workers().into_iter().find(|worker| fold(&worker.friendly_name) == wanted)
    }

    /// The channels of a worker, empty if there is none. Not a call.
    pub fn channels_of(&self, sid: &WorkerSid) -> BTreeMap<String, Channel> {
        self.state().workers.get(sid).map(|entry| entry.channels.clone()).unwrap_or_default()
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<MemoryCall> {
        self.state().calls.clone()
    }

    /// Changes a worker as somebody else would: the version moves, no call is logged. Does nothing without the worker.
    pub fn meddle(&self, sid: &WorkerSid, change: impl FnOnce(&mut Worker)) {
        if let Some(entry) = self.state().workers.get_mut(sid) {
            change(&mut entry.worker);
            entry.version += 1;
        }
    }

    /// Gives a worker a piece of work. Does nothing without the worker.
    pub fn reserve(&self, sid: &WorkerSid, status: ReservationStatus) {
        let mut state = self.state();
        state.made += 1;
        let reservation = format!("WR{:032x}", state.made);
        if let Some(entry) = state.workers.get_mut(sid) {
            entry.reservations.push(Reservation { sid: reservation, status });
        }
    }

    /// Ends all of a worker's work.
    pub fn finish_work(&self, sid: &WorkerSid) {
        if let Some(entry) = self.state().workers.get_mut(sid) {
            entry.reservations.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A hook that panics leaves the state as it was before its call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<T>(&self, operation: Operation, target: &str, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        let call = MemoryCall { operation, target: target.to_owned() };
        state.calls.push(call.clone());
        match state.hook.as_mut().and_then(|hook| hook(&call)) {
            None => work(&mut state),
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => work(&mut state).and(Err(error)),
        }
    }
}

impl State {
    fn entry(&mut self, operation: Operation, sid: &WorkerSid) -> Result<&mut Entry> {
        self.workers.get_mut(sid).ok_or_else(|| not_found(operation))
    }

    fn check_name(&self, operation: Operation, name: &str, own: Option<&WorkerSid>) -> Result<()> {
        let wanted = fold(name);
        let taken = |entry: &Entry| Some(&entry.worker.sid) != own && fold(&entry.worker.friendly_name) == wanted;
        // TaskRouter says the same of a name that is refused and of one that is taken.
        if name.is_empty() || self.workers.values().any(taken) {
            let message = "the name is not valid or already exists for the workspace";
            return Err(failure(ErrorKind::Conflict, operation, 400, 20001, message));
        }
        Ok(())
    }

    fn create(&mut self, new: &NewWorker) -> Result<Worker> {
        let operation = Operation::CreateWorker;
        check_attributes(operation, &new.attributes)?;
        self.check_name(operation, &new.friendly_name, None)?;
        let activity = find_activity(operation, new.activity_sid.as_ref())?.unwrap_or_else(|| activity(0));
        self.made += 1;
        let worker = Worker {
            sid: sid("WK", self.made),
            friendly_name: new.friendly_name.clone(),
            activity_sid: Some(activity.sid),
            activity_name: activity.friendly_name,
            available: activity.available,
            attributes: Some(new.attributes.clone()),
            etag: None,
        };
        let channel = |capacity| Channel { capacity, available: true };
        let channels = CHANNELS.iter().map(|&(name, capacity)| (name.to_owned(), channel(capacity))).collect();
        let entry = Entry { worker, version: 0, channels, reservations: Vec::new() };
        let shown = entry.shown();
        self.workers.insert(shown.sid.clone(), entry);
        Ok(shown)
    }

    fn update(&mut self, sid: &WorkerSid, update: &WorkerUpdate, if_match: Option<&ETag>) -> Result<Worker> {
        let operation = Operation::UpdateWorker;
        check_version(operation, self.entry(operation, sid)?, if_match)?;
        if let Some(name) = &update.friendly_name {
            self.check_name(operation, name, Some(sid))?;
        }
        if let Some(attributes) = &update.attributes {
            check_attributes(operation, attributes)?;
        }
        let activity = find_activity(operation, update.activity_sid.as_ref())?;
        if update.reject_pending_reservations && activity.as_ref().is_none_or(|activity| activity.available) {
            let message = "RejectPendingReservations needs an activity that is not available";
            return Err(failure(ErrorKind::Permanent, operation, 400, 20001, message));
        }
        let entry = self.entry(operation, sid)?;
        entry.version += 1;
        if let Some(name) = &update.friendly_name {
            entry.worker.friendly_name.clone_from(name);
        }
        if let Some(attributes) = &update.attributes {
            entry.worker.attributes = Some(attributes.clone());
        }
        if let Some(activity) = activity {
            entry.worker.activity_sid = Some(activity.sid);
            entry.worker.activity_name = activity.friendly_name;
            entry.worker.available = activity.available;
        }
        if update.reject_pending_reservations {
            entry.reservations.retain(|reservation| reservation.status != ReservationStatus::Pending);
        }
        Ok(entry.shown())
    }

    fn delete(&mut self, sid: &WorkerSid, if_match: Option<&ETag>) -> Result<()> {
        let operation = Operation::DeleteWorker;
        let entry = self.entry(operation, sid)?;
        check_version(operation, entry, if_match)?;
        if entry.worker.available || !entry.reservations.is_empty() {
            let message = "the worker is available or has reservations";
            return Err(failure(ErrorKind::Blocked, operation, 400, 20001, message));
        }
        self.workers.remove(sid);
        Ok(())
    }

    fn page(&self, after: Option<&PageToken>) -> WorkerPage {
        let later = |sid: &&WorkerSid| after.is_none_or(|token| sid.as_str() > token.as_str());
        let mut sids = self.workers.keys().filter(later);
        let page: Vec<&WorkerSid> = sids.by_ref().take(self.page_size).collect();
        let next = sids.next().and(page.last()).map(|last| PageToken::new(last.as_str()));
        let workers = page.into_iter().filter_map(|sid| self.workers.get(sid));
        let shown = workers.map(|entry| Worker {
            attributes: entry.worker.attributes.clone().filter(|_| !self.hides_attributes),
            ..entry.worker.clone()
        });
        WorkerPage { workers: shown.collect(), next }
    }
}

fn check_version(operation: Operation, entry: &Entry, if_match: Option<&ETag>) -> Result<()> {
    match if_match {
        Some(etag) if Some(etag) != entry.shown().etag.as_ref() => {
            Err(failure(ErrorKind::Stale, operation, 412, 20412, "the version does not match"))
        }
        _ => Ok(()),
    }
}

fn check_attributes(operation: Operation, attributes: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
    let text = serde_json::to_string(attributes).unwrap_or_default();
    if text.encode_utf16().count() > ATTRIBUTES_LIMIT {
        return Err(TaskRouterError::new(ErrorKind::Permanent, operation, "the attributes are too long"));
    }
    Ok(())
}

fn find_activity(operation: Operation, wanted: Option<&ActivitySid>) -> Result<Option<Activity>> {
    let Some(wanted) = wanted else { return Ok(None) };
    match (0..ACTIVITIES.len()).map(activity).find(|activity| activity.sid == *wanted) {
        Some(found) => Ok(Some(found)),
        None => Err(failure(ErrorKind::Permanent, operation, 400, 20001, "there is no such activity")),
    }
}

#[async_trait]
impl TaskRouter for MemoryTaskRouter {
    async fn workspace(&self) -> Result<Workspace> {
        self.call(Operation::Workspace, "", |_| {
            Ok(Workspace {
                sid: format!("WS{:032x}", 1),
                friendly_name: "Flex Task Assignment".to_owned(),
                default_activity_sid: Some(activity(0).sid),
            })
        })
    }

    async fn activities(&self) -> Result<Vec<Activity>> {
        self.call(Operation::Activities, "", |_| Ok((0..ACTIVITIES.len()).map(activity).collect()))
    }

    async fn fetch_worker(&self, sid: &WorkerSid) -> Result<Option<Worker>> {
        self.call(Operation::FetchWorker, sid.as_str(), |state| Ok(state.workers.get(sid).map(Entry::shown)))
    }

    async fn find_worker(&self, friendly_name: &str) -> Result<Option<Worker>> {
        self.call(Operation::FindWorker, friendly_name, |state| {
            let wanted = fold(friendly_name);
            Ok(state.workers.values().find(|entry| fold(&entry.worker.friendly_name) == wanted).map(Entry::shown))
        })
    }

    async fn create_worker(&self, worker: &NewWorker) -> Result<Worker> {
        self.call(Operation::CreateWorker, &worker.friendly_name, |state| state.create(worker))
    }

    async fn update_worker(&self, sid: &WorkerSid, update: &WorkerUpdate, if_match: Option<&ETag>) -> Result<Worker> {
        self.call(Operation::UpdateWorker, sid.as_str(), |state| state.update(sid, update, if_match))
    }

    async fn delete_worker(&self, sid: &WorkerSid, if_match: Option<&ETag>) -> Result<()> {
        self.call(Operation::DeleteWorker, sid.as_str(), |state| state.delete(sid, if_match))
    }

    async fn set_channel(&self, sid: &WorkerSid, unique_name: &str, channel: Channel) -> Result<()> {
        let operation = Operation::SetChannel;
        self.call(operation, sid.as_str(), |state| {
            let refused = |message| Err(failure(ErrorKind::Permanent, operation, 400, 20001, message));
            match state.entry(operation, sid)?.channels.get_mut(unique_name) {
                None => refused("there is no such task channel"),
                Some(_) if channel.capacity > MOST_CAPACITY => refused("the capacity is above 50"),
                Some(known) => {
                    *known = channel;
                    Ok(())
                }
            }
        })
    }

    async fn channels(&self, sid: &WorkerSid) -> Result<Vec<WorkerChannel>> {
        self.call(Operation::Channels, sid.as_str(), |state| {
            let channels = &state.entry(Operation::Channels, sid)?.channels;
            let shown =
                |(name, channel): (&String, &Channel)| WorkerChannel { unique_name: name.clone(), channel: *channel };
            Ok(channels.iter().map(shown).collect())
        })
    }

    async fn open_reservations(&self, sid: &WorkerSid) -> Result<Vec<Reservation>> {
        self.call(Operation::Reservations, sid.as_str(), |state| {
            Ok(state.entry(Operation::Reservations, sid)?.reservations.clone())
        })
    }

    async fn list_workers(&self, page: Option<&PageToken>) -> Result<WorkerPage> {
        self.call(Operation::ListWorkers, "", |state| Ok(state.page(page)))
    }
}
