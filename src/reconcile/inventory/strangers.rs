//! What a person decides on a worker of nobody: it becomes somebody's, or it goes. Both go through the reconciler.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::classify;
use super::walk::held;
use super::{InventoryPorts, classify::Standing};
use crate::base::{AccountId, WorkerId};
use crate::store::audit::AuditEvent;
use crate::store::inventory::rows::{self, InventoryRow, Unwanted};
use crate::store::{StoreError, inventory};
use crate::taskrouter::{ErrorKind, TaskRouter, TaskRouterError, Worker, WorkerSid};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum StrangerError {
    /// There is none.
    #[error("TaskRouter has no worker {0}")]
    Gone(WorkerSid),
    /// It is somebody's.
    #[error("the worker {sid} belongs to '{name}': Rollcall keeps it as the rules say")]
    Held {
        /// The worker.
        sid: WorkerSid,
        /// Whose.
        name: String,
    },
    /// It may be neither.
    #[error("the worker {sid} ('{name}') may not be taken over or removed: {why}")]
    Protected {
        /// The worker.
        sid: WorkerSid,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// Nobody has the name.
    #[error("no user is named '{0}'; name one with --user")]
    NoUser(String),
    /// Somebody without access gets no worker.
    #[error("'{0}' has no access, so no worker: the rules have to give a role first, or remove the worker")]
    NoAccess(String),
    /// The user has a worker.
    #[error("'{name}' has the worker {sid} already: one of the two has to go")]
    HasOne {
        /// The user.
        name: String,
        /// The worker.
        sid: String,
    },
    /// It was decided meanwhile.
    #[error("the worker or the user is being worked on; look again in a moment")]
    Moving,
    /// TaskRouter does not answer as it should.
    #[error(transparent)]
    Call(#[from] TaskRouterError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Decides on workers of one account.
pub struct Strangers<'a> {
    /// Database and wake-up.
    pub ports: &'a InventoryPorts,
    /// Whose workers.
    pub account: AccountId,
    /// Their TaskRouter.
    pub router: &'a dyn TaskRouter,
    /// Workers with one of these values in `roles` are left alone.
    pub protected_roles: &'a BTreeSet<String>,
}

impl Strangers<'_> {
    /// Gives a worker to a user, by default to the one of its name, and lets the reconciler bring it into step. Returns the
    /// user's row.
    ///
    /// # Errors
    /// [`StrangerError`]; nothing is done then.
    pub async fn adopt(&self, sid: &WorkerSid, user: Option<&str>) -> Result<WorkerId, StrangerError> {
        let worker = self.unprotected(sid).await?;
        let name = user.unwrap_or(&worker.friendly_name);
        let row = self.row_of(name).await?;
        let row = row.filter(|row| row.user.is_some()).ok_or_else(|| StrangerError::NoUser(name.to_owned()))?;
        if row.desired.is_none() {
            return Err(StrangerError::NoAccess(name.to_owned()));
        }
        if let Some(held) = row.sid {
            return Err(StrangerError::HasOne { name: row.name, sid: held });
        }
        let event = self.event("worker.adopt", row.id, &worker);
        let job = Arc::new((self.account, row.id, sid.to_string(), event));
        let done = self.ports.store.keep(move |tx| {
            let job = Arc::clone(&job);
            Box::pin(async move {
                let done = rows::adopt(tx, job.0, job.1, &job.2, &job.3).await?;
                if done {
                    inventory::forget(tx, job.0, &job.2).await?;
                }
                Ok::<_, StoreError>(done)
            })
        });
        self.told(done.await?)?;
        Ok(row.id)
    }

    /// Lets the reconciler take a worker out of the queues, delete it and read back that it is gone. Returns the row that does
    /// it.
    ///
    /// # Errors
    /// [`StrangerError`]; nothing is done then.
    pub async fn remove(&self, sid: &WorkerSid) -> Result<WorkerId, StrangerError> {
        let worker = self.unprotected(sid).await?;
        let row = self.row_of(&worker.friendly_name).await?;
        if let Some(row) = &row
            && (row.desired.is_some() || held(row).standing == Standing::Moving)
        {
            return Err(StrangerError::Held { sid: sid.clone(), name: row.name.clone() });
        }
        let id = row.map_or_else(|| self.ports.ambient.id(), |row| row.id);
        let event = self.event("worker.remove", id, &worker);
        let job = Arc::new((self.account, id, worker.friendly_name, sid.to_string(), event));
        let done = self.ports.store.keep(move |tx| {
            let job = Arc::clone(&job);
            Box::pin(async move {
                let (account, id, name, sid, event) = &*job;
                let unwanted = Unwanted { id: *id, account: *account, name, sid, event: event.id };
                let done = rows::remove(tx, &unwanted, event).await?;
                if done {
                    inventory::forget(tx, *account, sid).await?;
                }
                Ok::<_, StoreError>(done)
            })
        });
        self.told(done.await?)?;
        Ok(id)
    }

    /// Reads the worker, if it is nobody's and may be touched.
    async fn unprotected(&self, sid: &WorkerSid) -> Result<Worker, StrangerError> {
        let holders = rows::by_sids(self.ports.store.read(), self.account, &[sid.as_str()]).await?;
        if let Some(row) = holders.get(sid.as_str()) {
            return Err(StrangerError::Held { sid: sid.clone(), name: row.name.clone() });
        }
        let protected =
            |name: &str, why: String| Err(StrangerError::Protected { sid: sid.clone(), name: name.to_owned(), why });
        match self.router.fetch_worker(sid).await {
            Ok(Some(worker)) => {
                let attributes = worker.attributes.clone().unwrap_or_default();
                match classify::protection(&worker.friendly_name, &attributes, self.protected_roles) {
                    Some(why) => protected(&worker.friendly_name, why),
                    None => Ok(worker),
                }
            }
            Ok(None) => Err(StrangerError::Gone(sid.clone())),
            // Whoever cannot be read may be anybody.
            Err(error) if error.kind == ErrorKind::Permanent => protected("?", "it cannot be read".to_owned()),
            Err(error) => Err(error.into()),
        }
    }

    async fn row_of(&self, name: &str) -> Result<Option<InventoryRow>, StoreError> {
        let rows = rows::by_names(self.ports.store.read(), self.account, &[name]).await?;
        Ok(rows.into_values().next())
    }

    fn told(&self, done: bool) -> Result<(), StrangerError> {
        if done {
            self.ports.wake.notify_one();
            Ok(())
        } else {
            Err(StrangerError::Moving)
        }
    }

    fn event(&self, action: &'static str, row: WorkerId, worker: &Worker) -> AuditEvent {
        AuditEvent {
            id: self.ports.ambient.id(),
            at: self.ports.ambient.now(),
            account: self.account,
            connection: None,
            actor: "command".to_owned(),
            request: String::new(),
            action,
            target_kind: "worker",
            target_id: row.to_string(),
            before: None,
            after: Some(json!({"sid": worker.sid.as_str(), "name": worker.friendly_name})),
        }
    }
}

impl std::fmt::Debug for Strangers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Strangers").field("account", &self.account).finish_non_exhaustive()
    }
}
