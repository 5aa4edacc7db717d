//! Brings the workers at TaskRouter in step with the desired ones.
//!
//! [`plan`] (pure) names the steps, [`execute`] takes them, [`driver`] decides when. All three are written against two
//! ports, [`DesiredStore`](desired_store::DesiredStore) and [`TaskRouter`], and know neither database nor network.
//!
//! # What is recorded when
//!
//! | moment | recorded |
//! |---|---|
//! | the desired worker changes | the new version, due at once, by whoever makes the change, in its transaction. If the old version is being worked on, or in doubt, the keys, channels and creation that it may have written are added to the [`Footprint`](desired_store::Footprint) |
//! | a row is claimed | the lease. A row whose former lease has no end becomes *unsure* |
//! | a worker is created or adopted, and more calls follow | its SID, as progress, while the next call is already under way |
//! | an attempt ends | everything: SID, footprint, state, when to try again, and whether a write of unknown outcome is behind it. It ends the lease |
//! | it is said that there is to be no worker | a [`Receipt`](receipt::Receipt) of that version, by whoever says it, in its transaction |
//! | an attempt at that version ends | the stages of the receipt that it has seen, together with its end |
//! | a doubtful row has settled | that it is to be looked at once more, because the lost write may still arrive |
//!
//! So a process may die at any moment: what it did and did not record is read back from TaskRouter before anything is
//! written, because its row comes back as unsure. A write that TaskRouter confirmed, or carried out unseen, is not repeated.
//! Reports go through one queue and are stored in batches; a report that comes after the lease went to somebody else is
//! refused, and one about an outdated version is kept as knowledge but settles nothing.

pub mod backoff;
pub mod conformance;
pub mod desired_store;
pub mod driver;
pub mod execute;
mod fair;
pub mod inventory;
pub mod lease;
pub mod memory_store;
pub mod observe;
pub mod plan;
pub mod receipt;
pub mod row;
pub mod sql_store;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use crate::base::AccountId;
use crate::domain::LeaverPolicy;
use crate::taskrouter::TaskRouter;

/// The TaskRouter of each account.
pub trait Routers: Send + Sync {
    /// The account's client, `None` if the account has no TaskRouter.
    fn for_account(&self, account: AccountId) -> Option<Arc<dyn TaskRouter>>;

    /// What the account wants done with the workers of those who leave.
    fn leavers(&self, account: AccountId) -> LeaverPolicy;
}
