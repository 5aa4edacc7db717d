//! The steps of a plan, as calls to TaskRouter.

use serde_json::{Map, Value};

use super::{Next, Run, Stop};
use crate::domain::worker::DesiredWorker;
use crate::reconcile::desired_store::Refused;
use crate::reconcile::plan::{Action, Observed, WorkerState};
use crate::taskrouter::{
    Channel, ETag, ErrorKind, NewWorker, Reservation, ReservationStatus, TaskRouterError, Worker, WorkerSid,
    WorkerUpdate,
};

/// Failed attempts after which a worker makes room for another one that waits for its name.
const PATIENCE: u32 = 3;

impl<'a> Run<'a> {
    pub(super) async fn perform(&mut self, action: Action) -> Result<Next, Stop> {
        let writes = !matches!(action, Action::Look | Action::Adopt | Action::AwaitWork | Action::VerifyRemoved);
        if writes && !self.at.lease.allows_a_write() {
            return Err(Stop::Later("the lease could not be renewed in time".to_owned()));
        }
        match &action {
            Action::Look => {
                self.look().await?;
                Ok(Next::Replan)
            }
            Action::Create => self.create(&action).await,
            Action::Adopt => {
                if let Observed::Namesake(state) = self.observed.clone() {
                    self.own(state);
                    self.report_progress();
                }
                Ok(Next::Go)
            }
            Action::Update { friendly_name, attributes } => {
                self.update(&action, friendly_name.clone(), attributes).await
            }
            Action::SetChannel { name, channel } => self.set_channel(&action, name, *channel).await,
            Action::TakeOut { attributes } => self.take_out(&action, attributes.clone()).await,
            Action::AwaitWork => self.await_work().await,
            Action::Remove => self.remove(&action).await,
            Action::VerifyRemoved => self.verify_removed().await,
        }
    }

    async fn create(&mut self, action: &Action) -> Result<Next, Stop> {
        let desired = self.wanted()?;
        let new = NewWorker {
            friendly_name: desired.friendly_name.clone(),
            attributes: desired.attributes.clone(),
            activity_sid: None,
        };
        match self.at.router.create_worker(&new).await {
            Ok(worker) => {
                self.effect(action);
                self.known.footprint.applied.keys = desired.owned_keys();
                self.known.footprint.applied.roles = desired.roles().collect();
                self.known.footprint.applied.channels.clear();
                self.own(WorkerState::from_worker(worker, &desired.attributes));
                if !desired.channels.is_empty() {
                    // More calls follow: whatever becomes of them, this worker is not to be created again.
                    self.report_progress();
                    self.learn_new_channels().await?;
                }
                Ok(Next::Replan)
            }
            Err(error) if error.kind == ErrorKind::Conflict => self.find_holder_of_the_name(desired, error).await,
            Err(error) => {
                self.doubt(&error);
                Err(error.into())
            }
        }
    }

    async fn learn_new_channels(&mut self) -> Result<(), Stop> {
        let Observed::Ours(state) = &mut self.observed else { return Ok(()) };
        match self.at.workspace.new_worker_channels(self.at.router, &state.sid).await {
            Ok(channels) => {
                state.channels = channels;
                Ok(())
            }
            Err(error) => {
                // The next attempt meets a worker whose channels nobody knows.
                self.unsure = true;
                Err(error.into())
            }
        }
    }

    /// TaskRouter's answer to a taken name is its answer to any bad input, too: the look-up decides which it was.
    async fn find_holder_of_the_name(
        &mut self,
        desired: &DesiredWorker,
        refusal: TaskRouterError,
    ) -> Result<Next, Stop> {
        let router = self.at.router;
        let mut holder = router.find_worker(&desired.friendly_name).await?;
        if holder.is_none() {
            holder = router.search_worker(&desired.friendly_name).await?;
        }
        let Some(holder) = holder else { return Err(self.refused_for_nobody(&refusal)) };
        self.found(holder).await?;
        Ok(Next::Replan)
    }

    async fn update(
        &mut self,
        action: &Action,
        friendly_name: Option<String>,
        attributes: &Map<String, Value>,
    ) -> Result<Next, Stop> {
        let desired = self.wanted()?;
        let (sid, etag) = self.ours()?;
        let renames = friendly_name.is_some();
        let update = WorkerUpdate { friendly_name, attributes: Some(attributes.clone()), ..WorkerUpdate::default() };
        let answer = self.at.router.update_worker(&sid, &update, etag.as_ref()).await;
        if let Err(error) = &answer
            && error.kind == ErrorKind::Conflict
            && renames
        {
            return Err(self.name_is_taken(&sid, desired, error).await?);
        }
        let Some(worker) = self.unless_changed(answer)? else { return Ok(Next::Replan) };
        self.effect(action);
        let mut ours = desired.owned_keys();
        // A lost write may still arrive and bring a key back.
        if self.unsure {
            ours = ours.union(&self.known.footprint.applied.keys);
        }
        self.known.footprint.applied.keys = ours;
        self.known.footprint.applied.roles.extend(desired.roles());
        self.refresh(worker, attributes);
        Ok(Next::Go)
    }

    /// A new name that is taken: by a stranger, which people have to settle, or by somebody who is to be renamed, too.
    async fn name_is_taken(
        &self,
        sid: &WorkerSid,
        desired: &DesiredWorker,
        refusal: &TaskRouterError,
    ) -> Result<Stop, Stop> {
        let holder = self.at.router.find_worker(&desired.friendly_name).await?;
        let Some(holder) = holder.filter(|holder| holder.sid != *sid) else {
            return Ok(self.refused_for_nobody(refusal));
        };
        if !self.is_held_by_another(&holder.sid).await? {
            return Ok(Stop::Refused(Refused::Unadopted, format!("{refusal}; another worker has the name")));
        }
        // Two people who change names with each other wait for each other: after a while we step aside.
        if self.at.claimed.attempts >= PATIENCE {
            let aside = format!("moving-{}", self.at.claimed.worker);
            let update = WorkerUpdate { friendly_name: Some(aside), ..WorkerUpdate::default() };
            self.at.router.update_worker(sid, &update, None).await?;
        }
        Ok(Stop::Later("the new name is still carried by the worker of another person".to_owned()))
    }

    /// A refusal that may be about a taken name, when nobody has the name: the input is bad, or whoever had the name gave it
    /// up between the refusal and the look-up. The second passes by itself, so it is ruled out first.
    fn refused_for_nobody(&self, refusal: &TaskRouterError) -> Stop {
        if self.is_stubborn() {
            Stop::Refused(Refused::Invalid, refusal.to_string())
        } else {
            Stop::Later(refusal.to_string())
        }
    }

    async fn set_channel(&mut self, action: &Action, name: &str, channel: Channel) -> Result<Next, Stop> {
        let granted = self.wanted()?.channels.contains_key(name);
        let (sid, _) = self.ours()?;
        match self.at.router.set_channel(&sid, name, channel).await {
            Ok(()) => self.effect(action),
            // A lost channel that the workspace no longer has is lost.
            Err(error) if error.kind == ErrorKind::Permanent && !granted => {}
            Err(error) if error.kind == ErrorKind::Permanent => {
                self.refused_channel.get_or_insert(error);
                return Ok(Next::Go);
            }
            Err(error) => {
                return match self.unless_changed::<()>(Err(error))? {
                    Some(()) => Ok(Next::Go),
                    None => Ok(Next::Replan),
                };
            }
        }
        let recorded = &mut self.known.footprint.applied.channels;
        if granted {
            recorded.insert(name.to_owned(), Some(channel.capacity));
        } else if !self.unsure {
            recorded.remove(name);
        }
        if let Observed::Ours(state) = &mut self.observed {
            state.channels.insert(name.to_owned(), channel);
        }
        Ok(Next::Go)
    }

    async fn take_out(&mut self, action: &Action, attributes: Option<Map<String, Value>>) -> Result<Next, Stop> {
        let (sid, _) = self.ours()?;
        let offline = match self.at.workspace.offline_activity(self.at.router).await {
            Err(error) if error.kind == ErrorKind::Permanent && self.is_stubborn() => return Ok(Next::Go),
            offline => offline?,
        };
        let update = WorkerUpdate {
            friendly_name: None,
            attributes: attributes.clone(),
            activity_sid: Some(offline),
            reject_pending_reservations: true,
        };
        // Without If-Match: whatever others write meanwhile, the worker gets no more work.
        let answer = self.at.router.update_worker(&sid, &update, None).await;
        if let Err(error) = &answer
            && matches!(error.kind, ErrorKind::Permanent | ErrorKind::Conflict)
        {
            // Perhaps the activity is gone: learn it anew, and do not leave a leaver waiting for a slow retry.
            self.at.workspace.forget_offline_activity().await;
            // Whoever cannot be taken out of the queues can still be removed.
            return if self.is_stubborn() { Ok(Next::Go) } else { Err(Stop::Later(error.to_string())) };
        }
        let Some(worker) = self.unless_changed(answer)? else { return Ok(Next::Replan) };
        self.effect(action);
        self.stages.unavailable();
        let kept = match (&attributes, &self.observed) {
            (None, Observed::Ours(state)) => state.attributes.clone(),
            _ => attributes.unwrap_or_default(),
        };
        self.refresh(worker, &kept);
        Ok(Next::Go)
    }

    /// Whether what TaskRouter refuses was refused often enough to go on without it.
    fn is_stubborn(&self) -> bool {
        self.at.claimed.attempts >= PATIENCE
    }

    /// Goes on if nothing is in hand. Offers are none: they are rejected, and may reach a worker that is offline, too.
    async fn await_work(&mut self) -> Result<Next, Stop> {
        let (sid, _) = self.ours()?;
        let open = match self.at.router.open_reservations(&sid).await {
            // Whoever may not see the work cannot wait for it: TaskRouter refuses to delete a worker that has some.
            Err(error) if error.kind == ErrorKind::Permanent && self.is_stubborn() => return Ok(Next::Go),
            answer => answer,
        };
        let Some(open) = self.unless_changed(open)? else { return Ok(Next::Replan) };
        let (offers, work): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|open| open.status == ReservationStatus::Pending);
        if !offers.is_empty() && !self.rejected_offers {
            self.rejected_offers = true;
            self.take_out(&Action::TakeOut { attributes: None }, None).await?;
            return Ok(Next::Replan);
        }
        if work.is_empty() {
            return Ok(Next::Go);
        }
        Err(Stop::Refused(Refused::Draining, format!("waits for the end of work in hand{}", in_hand(&work))))
    }

    async fn remove(&mut self, action: &Action) -> Result<Next, Stop> {
        let (sid, etag) = self.ours()?;
        match self.at.router.delete_worker(&sid, etag.as_ref()).await {
            Ok(()) => {
                self.effect(action);
                self.stages.removed();
                Ok(Next::Go)
            }
            // Gone already: the reading that follows says so once more.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Next::Go),
            Err(error) if error.kind == ErrorKind::Blocked => {
                // Knowing what blocks is a courtesy: failing to know it is not a failure of its own.
                let open = self.at.router.open_reservations(&sid).await.unwrap_or_default();
                if !self.rejected_offers && open.iter().any(|open| open.status == ReservationStatus::Pending) {
                    // Offers reach a worker that is offline, too: made just before, or by way of another queue.
                    self.rejected_offers = true;
                    self.take_out(&Action::TakeOut { attributes: None }, None).await?;
                    return Ok(Next::Replan);
                }
                Err(Stop::Refused(Refused::Blocked, format!("{error}{}", in_hand(&open))))
            }
            Err(error) => match self.unless_changed::<()>(Err(error))? {
                Some(()) => Ok(Next::Go),
                None => Ok(Next::Replan),
            },
        }
    }

    async fn verify_removed(&mut self) -> Result<Next, Stop> {
        let (sid, _) = self.ours()?;
        match self.at.router.fetch_worker(&sid).await {
            Ok(None) => {
                self.stages.verified();
                self.forget();
                self.observed = Observed::Absent;
                Ok(Next::Replan)
            }
            Ok(Some(_)) => Err(Stop::Later("TaskRouter still shows the worker after deleting it".to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// `None` if the worker is not what we took it for and has to be looked at again.
    fn unless_changed<T>(&mut self, answer: Result<T, TaskRouterError>) -> Result<Option<T>, Stop> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind, ErrorKind::Stale | ErrorKind::NotFound) => {
                self.observed = Observed::Unknown;
                Ok(None)
            }
            Err(error) => {
                self.doubt(&error);
                Err(error.into())
            }
        }
    }

    /// Takes over an answer to an update; the channels are not part of it.
    fn refresh(&mut self, worker: Worker, attributes: &Map<String, Value>) {
        if let Observed::Ours(state) = &mut self.observed {
            let channels = std::mem::take(&mut state.channels);
            *state = WorkerState { channels, ..WorkerState::from_worker(worker, attributes) };
        }
    }

    fn wanted(&self) -> Result<&'a DesiredWorker, Stop> {
        self.desired.ok_or_else(|| Stop::Later("the plan does not fit the desired worker".to_owned()))
    }

    fn ours(&self) -> Result<(WorkerSid, Option<ETag>), Stop> {
        match &self.observed {
            Observed::Ours(state) => Ok((state.sid.clone(), state.etag.clone())),
            _ => Err(Stop::Later("the plan does not fit the worker".to_owned())),
        }
    }
}

/// What keeps a worker from being deleted, for people.
fn in_hand(open: &[Reservation]) -> String {
    let counts: Vec<String> = ReservationStatus::OPEN
        .into_iter()
        .map(|status| (status, open.iter().filter(|reservation| reservation.status == status).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    if counts.is_empty() { String::new() } else { format!("; reservations: {}", counts.join(", ")) }
}
