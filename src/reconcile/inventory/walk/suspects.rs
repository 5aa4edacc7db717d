//! Reading again what seems to differ or to be gone.

use super::super::classify::{self, Class, Held, Rows};
use super::super::{Detail, Stage, WalkError};
use super::{Walk, held, identities, seen_in_list};
use crate::base::WorkerId;
use crate::reconcile::plan::Action;
use crate::store::inventory::rows;
use crate::taskrouter::Worker;

impl Walk<'_> {
    pub(super) async fn read_suspects(&mut self) -> Result<(), WalkError> {
        let suspects = std::mem::take(&mut self.suspects);
        let all = suspects.len() as u64;
        for (done, suspect) in (1_u64..).zip(suspects) {
            match self.confirm(suspect).await? {
                // Already counted, or no worker to count.
                None => {}
                Some(class) => self.summary.count(class),
            }
            self.watch.at(Stage::Reading, done, Some(all));
        }
        Ok(())
    }

    /// Reads a row, its worker, and the row again: only if the row says the same before and after, and is settled, was the
    /// worker changed by somebody else.
    async fn confirm(&mut self, suspect: WorkerId) -> Result<Option<Class>, WalkError> {
        let Some(before) = self.settled_row(suspect).await? else { return Ok(Some(Class::Pending)) };
        let Some(seen) = self.look(&before).await? else { return self.gone(&before).await };
        if self.settled_row(suspect).await?.as_ref() != Some(&before) {
            return Ok(Some(Class::Pending));
        }
        let actions = classify::actions(&before, &seen);
        if actions.is_empty() {
            return Ok(Some(Class::InStep));
        }
        let detail = Detail {
            actions: actions.into_iter().map(str::to_owned).collect(),
            differences: classify::differences(&before, &seen),
            ..Detail::default()
        };
        self.find(Class::Drifted, &seen.sid, &seen.friendly_name, Some(suspect), &detail).await?;
        self.repairs.push((suspect, seen.sid.to_string()));
        Ok(Some(Class::Drifted))
    }

    /// The worker of a row is not there: another one may have its name.
    async fn gone(&mut self, before: &Held) -> Result<Option<Class>, WalkError> {
        let namesake = self.calls.find(&before.name).await?;
        if self.settled_row(before.worker).await?.as_ref() != Some(before) {
            return Ok(Some(Class::Pending));
        }
        let Some(sid) = &before.sid else { return Ok(None) };
        // Nothing is desired, and nothing is there.
        let Some(desired) = &before.desired else { return Ok(None) };
        if let Some(namesake) = &namesake
            && let Some(why) = self.protected(namesake)
        {
            let note = format!("the worker {sid} is gone, and another one has its name");
            let detail = Detail { protected: Some(why), note: Some(note), ..Detail::default() };
            self.find(Class::Unadopted, &namesake.sid, &namesake.friendly_name, Some(before.worker), &detail).await?;
            return Ok(Some(Class::Unadopted));
        }
        let mut actions = match namesake {
            Some(_) => vec![Action::Adopt.as_str().to_owned()],
            None => vec![Action::Create.as_str().to_owned()],
        };
        if !desired.channels.is_empty() {
            actions.push("set_channel".to_owned());
        }
        let note = namesake.map(|namesake| format!("{} has its name now", namesake.sid));
        let detail = Detail { actions, note, ..Detail::default() };
        self.find(Class::Missing, sid, &before.name, Some(before.worker), &detail).await?;
        self.repairs.push((before.worker, sid.to_string()));
        Ok(Some(Class::Missing))
    }

    /// The row, if it is settled and has a worker.
    async fn settled_row(&self, worker: WorkerId) -> Result<Option<Held>, WalkError> {
        let row = rows::by_id(self.ports.store.read(), self.asked.account, worker).await?;
        Ok(row.as_ref().map(held).filter(Held::has_a_worker))
    }

    pub(super) fn protected(&self, worker: &Worker) -> Option<String> {
        let attributes = worker.attributes.clone().unwrap_or_default();
        classify::protection(&worker.friendly_name, &attributes, &self.settings.protected_roles)
    }

    /// Whether a worker is still nobody's; with it, whether a row remembers one of its name.
    pub(super) fn still_unknown(rows: &Rows, worker: &super::Stranger) -> Option<bool> {
        let seen = super::Seen {
            sid: worker.sid.clone(),
            friendly_name: worker.name.clone(),
            attributes: None,
            available: false,
            channels: None,
        };
        match classify::classify(rows, &seen) {
            classify::Sight::Stranger(remembered) => Some(remembered.is_some()),
            _ => None,
        }
    }

    /// Reads a stranger by itself; none: it is gone.
    pub(super) async fn fetch_stranger(&mut self, worker: &mut super::Stranger) -> Result<bool, WalkError> {
        match self.calls.fetch(&worker.sid).await {
            Ok(Some(found)) => {
                worker.protected = self.protected(&found);
                worker.identities = identities(&found.friendly_name, seen_in_list(&found).attributes.as_ref());
                worker.name = found.friendly_name;
                worker.read = true;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(WalkError::Call(error)) if error.kind == crate::taskrouter::ErrorKind::Permanent => {
                worker.protected = Some("its attributes cannot be read".to_owned());
                worker.read = true;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}
