//! Reading what is at TaskRouter.

use std::collections::BTreeMap;

use serde_json::Map;

use super::workspace::channels_of;
use super::{Run, Stop};
use crate::domain::worker::ROUTING;
use crate::reconcile::plan::{self, Observed, WorkerState, granted};
use crate::taskrouter::{Channel, ErrorKind, Worker, WorkerSid};

impl Run<'_> {
    /// Reads the worker: by its SID, and if there is none of that SID by its name.
    pub(super) async fn look(&mut self) -> Result<(), Stop> {
        if let Some(sid) = self.known.sid.clone() {
            if let Some(state) = self.fetch(&sid).await? {
                self.observed = Observed::Ours(state);
                return Ok(());
            }
            self.forget();
            if self.desired.is_none() {
                self.stages.verified();
                self.observed = Observed::Absent;
                return Ok(());
            }
        }
        self.look_by_name().await
    }

    async fn fetch(&self, sid: &WorkerSid) -> Result<Option<WorkerState>, Stop> {
        match self.at.router.fetch_worker(sid).await {
            Ok(Some(worker)) => Ok(Some(self.state_of(worker).await?)),
            Ok(None) => Ok(None),
            // Unreadable attributes must not keep anybody in: going offline and deleting need none.
            Err(error) if error.kind == ErrorKind::Permanent && self.desired.is_none() => Ok(Some(WorkerState {
                sid: sid.clone(),
                friendly_name: self.at.claimed.name.clone(),
                attributes: Map::new(),
                available: true,
                etag: None,
                channels: BTreeMap::new(),
            })),
            Err(error) => Err(error.into()),
        }
    }

    async fn look_by_name(&mut self) -> Result<(), Stop> {
        let name = self.desired.map_or(&self.at.claimed.name, |desired| &desired.friendly_name);
        if let Some(worker) = self.at.router.find_worker(name).await? {
            return self.found(worker).await;
        }
        self.observed = Observed::Absent;
        Ok(())
    }

    /// Sorts in a worker that was found by name.
    pub(super) async fn found(&mut self, worker: Worker) -> Result<(), Stop> {
        if self.is_held_by_another(&worker.sid).await? {
            // The worker of somebody who is to be renamed, and is not yet.
            if self.desired.is_some() {
                return Err(Stop::Later("the name is still carried by the worker of another person".to_owned()));
            }
            self.observed = Observed::Absent;
            return Ok(());
        }
        let state = self.state_of(worker).await?;
        // After a lost creation it is the worker that this has made, or one that we would have adopted instead.
        let creations = &self.known.footprint.creations;
        let protected = plan::protected_role(&state.attributes, &self.at.settings.protected_roles).is_some();
        // Whoever took it out before, and died before saying so, left it without routing.
        let taken_out = self.desired.is_none() && plan::is_out(&state);
        let made_by_us = creations.iter().any(|made| {
            let mut made = made.clone();
            if taken_out {
                made.shift_remove(ROUTING);
            }
            !made.is_empty() && plan::carries(&state.attributes, &made)
        });
        // Whom nobody may have is not made ours only to be removed.
        let adoptable = self.desired.is_some() && !protected && !creations.is_empty();
        if made_by_us || adoptable {
            self.known.footprint.widen_by_creations();
            self.own(state);
        } else {
            self.observed = Observed::Namesake(state);
        }
        Ok(())
    }

    async fn state_of(&self, worker: Worker) -> Result<WorkerState, Stop> {
        let mut state = WorkerState::from_worker(worker, &Map::new());
        state.channels = self.channels(&state.sid).await?;
        Ok(state)
    }

    /// The channels as far as they matter: as recorded if the record can be trusted, else as read.
    async fn channels(&self, sid: &WorkerSid) -> Result<BTreeMap<String, Channel>, Stop> {
        let recorded = &self.known.footprint.applied.channels;
        let Some(desired) = self.desired.filter(|desired| !(desired.channels.is_empty() && recorded.is_empty())) else {
            return Ok(BTreeMap::new());
        };
        let trusted = !self.unsure && self.known.sid.as_ref() == Some(sid);
        if trusted {
            let set = recorded.iter().filter_map(|(name, capacity)| Some((name.clone(), granted((*capacity)?))));
            return Ok(set.collect());
        }
        let mut channels = channels_of(self.at.router, sid).await?;
        channels.retain(|name, _| desired.channels.contains_key(name) || recorded.contains_key(name));
        Ok(channels)
    }
}
