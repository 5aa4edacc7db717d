//! State and journal behind one lock, and the transaction in which a request changes them.

use std::path::Path;

use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::journal::Journal;
use super::model::{Activity, Attributes, Change, Event, FORMAT, Identity, Queue, TargetWorkers, Worker, Workspace};
use super::state::State;
use super::{ApiError, StandInError, StandInOptions};
use crate::base::{Ambient, Timestamp};

#[derive(Debug)]
pub(super) struct Store {
    pub state: State,
    journal: Option<Journal>,
}

impl Store {
    /// Reads what was kept, or makes a new workspace.
    pub(super) fn open(options: &StandInOptions, ambient: &Ambient) -> Result<(Self, Identity), StandInError> {
        let mut state = State::default();
        let play = |changes: Vec<Change>| changes.into_iter().for_each(|change| state.apply(change));
        let journal = options.dir.as_deref().map(|dir| Journal::open(dir, play)).transpose()?;
        let mut store = Self { state, journal };
        let dir = options.dir.as_deref().unwrap_or(Path::new(""));
        let identity = match store.state.identity.clone() {
            Some(identity) => kept(identity, options, dir)?,
            None => store.found(options, ambient),
        };
        if let Some(journal) = &mut store.journal {
            journal.compact(store.state.snapshot())?;
        }
        Ok((store, identity))
    }

    /// Makes the workspace that a new Flex account has. It reaches the journal by the compaction that follows.
    fn found(&mut self, options: &StandInOptions, ambient: &Ambient) -> Identity {
        let or_new = |sid: &Option<String>, prefix| sid.clone().unwrap_or_else(|| new_sid(ambient, prefix));
        let identity = Identity {
            format: FORMAT,
            account_sid: or_new(&options.account_sid, "AC"),
            workspace_sid: or_new(&options.workspace_sid, "WS"),
            instance_sid: new_sid(ambient, "GO"),
            api_key: or_new(&options.api_key, "SK"),
        };
        let now = ambient.now();
        let activities = [("Offline", false), ("Available", true), ("Unavailable", false), ("Break", false)];
        let activities = activities.map(|(name, available)| Activity {
            sid: new_sid(ambient, "WA"),
            friendly_name: name.to_owned(),
            available,
            created: now,
            updated: now,
        });
        let workspace = Workspace {
            friendly_name: "Flex Task Assignment".to_owned(),
            default_activity_sid: activities[0].sid.clone(),
            created: now,
            updated: now,
        };
        let everyone = Queue {
            sid: new_sid(ambient, "WQ"),
            friendly_name: "Everyone".to_owned(),
            target_workers: TargetWorkers::everybody(),
            created: now,
            updated: now,
        };
        self.state.apply(Change::Identity(identity.clone()));
        self.state.apply(Change::Workspace(workspace));
        self.state.apply(Change::Queue(everyone));
        for activity in activities {
            self.state.apply(Change::Activity(activity));
        }
        identity
    }

    /// Runs one request: its changes are in the journal and in the state when this returns, or none of them is.
    pub(super) fn transact<T>(
        &mut self,
        ambient: &Ambient,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut tx = Tx { state: &self.state, ambient, now: ambient.now(), changes: Vec::new() };
        let answer = work(&mut tx)?;
        let changes = tx.changes;
        if changes.is_empty() {
            return Ok(answer);
        }
        if let Some(journal) = &mut self.journal {
            journal.append(&changes).map_err(|error| {
                tracing::error!(%error, "the stand-in's journal cannot be written");
                ApiError::internal()
            })?;
        }
        for change in changes {
            self.state.apply(change);
        }
        if let Some(journal) = self.journal.as_mut().filter(|journal| journal.wants_compaction())
            && let Err(error) = journal.compact(self.state.snapshot())
        {
            // The change itself is safe in the long journal.
            tracing::warn!(%error, "the stand-in's journal cannot be compacted");
        }
        Ok(answer)
    }
}

fn kept(identity: Identity, options: &StandInOptions, dir: &Path) -> Result<Identity, StandInError> {
    if identity.format != FORMAT {
        return Err(StandInError::Format { path: dir.to_owned(), found: identity.format, known: FORMAT });
    }
    for (kept, wanted) in [
        (&identity.account_sid, &options.account_sid),
        (&identity.workspace_sid, &options.workspace_sid),
        (&identity.api_key, &options.api_key),
    ] {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != kept) {
            return Err(StandInError::OtherIdentity { kept: kept.clone(), wanted: wanted.clone() });
        }
    }
    Ok(identity)
}

/// A request's view of the state, and what it is going to change.
pub(super) struct Tx<'a> {
    pub state: &'a State,
    pub now: Timestamp,
    ambient: &'a Ambient,
    changes: Vec<Change>,
}

impl Tx<'_> {
    pub(super) fn sid(&self, prefix: &str) -> String {
        new_sid(self.ambient, prefix)
    }

    pub(super) fn put(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Records what happened to a worker, with the details that only this kind of event has.
    pub(super) fn worker_event(&mut self, kind: &str, worker: &Worker, details: Value) -> Result<(), ApiError> {
        let mut data = json!({
            "worker_sid": worker.sid,
            "worker_name": worker.friendly_name,
            "worker_attributes": worker.attributes.text(),
            "worker_activity_sid": worker.activity_sid,
            "worker_activity_name": self.state.activity_name(&worker.activity_sid),
            "worker_version": worker.version.to_string(),
        });
        if let (Some(data), Value::Object(details)) = (data.as_object_mut(), details) {
            data.extend(details);
        }
        let event = Event {
            sid: self.sid("EV"),
            kind: kind.to_owned(),
            at: self.now,
            worker_sid: Some(worker.sid.clone()),
            resource_sid: worker.sid.clone(),
            data: to_raw_value(&data).map_err(|_| ApiError::internal())?,
        };
        self.put(Change::Event(event));
        Ok(())
    }

    /// A worker as it is at first, offline and without attributes.
    pub(super) fn new_worker(&self, friendly_name: &str) -> Worker {
        let default = self.state.workspace.as_ref().map(|workspace| workspace.default_activity_sid.clone());
        Worker {
            sid: self.sid("WK"),
            friendly_name: friendly_name.to_owned(),
            activity_sid: default.unwrap_or_default(),
            attributes: Attributes::default(),
            version: 0,
            channels: std::collections::BTreeMap::new(),
            created: self.now,
            updated: self.now,
            status_changed: self.now,
        }
    }
}

fn new_sid(ambient: &Ambient, prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(ambient.bytes::<16>()))
}
