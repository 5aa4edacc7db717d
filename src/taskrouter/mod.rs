//! `TaskRouter` as the rest of the program sees it: a small port over workers, their channels and reservations.
//!
//! The reconciler is written against [`TaskRouter`] alone. [`twilio`] speaks it over HTTP to Twilio or to the built-in
//! stand-in (the client cannot tell them apart), [`memory`] keeps everything in the process for tests and simulations.
//! [`conformance`] is the suite that every implementation passes.

pub mod conformance;
mod error;
pub mod memory;
pub mod stand_in;
mod stats;
#[cfg(test)]
mod tests;
pub mod twilio;
mod types;

use async_trait::async_trait;

pub use error::{ErrorKind, Operation, TaskRouterError};
pub use stats::{Allowance, CallCounts, CallStats, OperationCalls};
pub use types::{
    ATTRIBUTES_LIMIT, Activity, ActivitySid, Channel, ETag, NewWorker, PageToken, Reservation, ReservationStatus,
    SidError, Worker, WorkerChannel, WorkerPage, WorkerSid, WorkerUpdate, Workspace,
};

use crate::base::fold;

/// Far more pages than a workspace can have (15,000 workers), so that a list that turns in a circle is noticed.
const MOST_PAGES: usize = 1000;

/// What every call answers with.
pub type Result<T> = std::result::Result<T, TaskRouterError>;

/// One `TaskRouter` workspace.
///
/// Every call is a single attempt with its own time-out; nothing is repeated inside. [`ErrorKind`] says what the caller
/// may conclude from a failure: after [`ErrorKind::Ambiguous`] the effect may have happened and has to be read back
/// first.
#[async_trait]
pub trait TaskRouter: Send + Sync {
    /// The workspace itself: a cheap proof that the credentials and the workspace SID fit together.
    async fn workspace(&self) -> Result<Workspace>;

    /// All activities of the workspace (at most 100).
    async fn activities(&self) -> Result<Vec<Activity>>;

    /// The worker with this SID, `None` if `TaskRouter` says there is none.
    ///
    /// A worker that is returned always carries its attributes: if `TaskRouter` does not show them, or they are not a
    /// JSON object, the call fails with [`ErrorKind::Permanent`], because merging into unknown attributes would destroy
    /// them.
    async fn fetch_worker(&self, sid: &WorkerSid) -> Result<Option<Worker>>;

    /// The worker with this name, compared without case; one with exactly this spelling is preferred.
    ///
    /// Carries its attributes like [`Self::fetch_worker`]. Relies on `TaskRouter`'s own filter, whose treatment of case
    /// is not documented: [`Self::search_worker`] is the slow way that does not.
    async fn find_worker(&self, friendly_name: &str) -> Result<Option<Worker>>;

    /// Creates a worker.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the name is, or may be, taken: look it up; if it is not there, the input is invalid.
    async fn create_worker(&self, worker: &NewWorker) -> Result<Worker>;

    /// Changes what the update names and leaves the rest; attributes are replaced as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::Stale`] if `if_match` is no longer the worker's version, [`ErrorKind::Conflict`] if the new name is
    /// or may be taken, [`ErrorKind::NotFound`] if there is no such worker.
    async fn update_worker(&self, sid: &WorkerSid, update: &WorkerUpdate, if_match: Option<&ETag>) -> Result<Worker>;

    /// Deletes a worker.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`] while `TaskRouter` refuses (open reservations, or still available),
    /// [`ErrorKind::NotFound`] if it is gone already, [`ErrorKind::Stale`] if `if_match` is no longer the worker's
    /// version.
    async fn delete_worker(&self, sid: &WorkerSid, if_match: Option<&ETag>) -> Result<()>;

    /// Sets capacity and availability of one of the worker's channels, by the unique name of the task channel.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such worker, [`ErrorKind::Permanent`] if the workspace has no such
    /// channel.
    async fn set_channel(&self, sid: &WorkerSid, unique_name: &str, channel: Channel) -> Result<()>;

    /// All channels of a worker.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such worker.
    async fn channels(&self, sid: &WorkerSid) -> Result<Vec<WorkerChannel>>;

    /// The reservations that keep a worker from being deleted: pending, accepted or wrapping.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such worker.
    async fn open_reservations(&self, sid: &WorkerSid) -> Result<Vec<Reservation>>;

    /// A page of up to 1,000 workers: the first one without a token, then the one that [`WorkerPage::next`] names.
    ///
    /// The list is a walk, not a snapshot: workers that come or go meanwhile may or may not show. Attributes may be
    /// unknown (`None`) here.
    async fn list_workers(&self, page: Option<&PageToken>) -> Result<WorkerPage>;

    /// The calls a second that are known to be borne, by configuration or by earlier answers; `None` if nothing is known.
    fn rate(&self) -> Option<f64> {
        None
    }

    /// Finds a worker by reading the whole list, for when `TaskRouter` says a name is taken and its filter does not
    /// show who has it. Costs a call per 1,000 workers.
    async fn search_worker(&self, friendly_name: &str) -> Result<Option<Worker>> {
        let wanted = fold(friendly_name);
        let mut page = self.list_workers(None).await?;
        for _ in 0..MOST_PAGES {
            if let Some(found) = page.workers.iter().find(|worker| fold(&worker.friendly_name) == wanted) {
                // The list may hide attributes, and the worker may be gone since.
                return self.fetch_worker(&found.sid).await;
            }
            match page.next {
                Some(token) => page = self.list_workers(Some(&token)).await?,
                None => return Ok(None),
            }
        }
        Err(TaskRouterError::new(ErrorKind::Retryable, Operation::ListWorkers, "the list of workers does not end"))
    }
}
