//! What the product is about, without any way of storing or sending it: roles, people, their life cycle, workers.
//!
//! Pure: no clock, no I/O.

pub mod destination;
pub mod guard;
pub mod jit;
pub mod leaving;
pub mod lifecycle;
pub mod permission;
pub mod person;
pub mod role;
pub mod scope;
pub mod session;
pub mod worker;
pub mod worker_at;

pub use destination::Destination;
pub use guard::{Beyond, Limits, LossKind, Share};
pub use jit::{Jit, JitError};
pub use leaving::{ChoiceError, Deactivated, LeaverPolicy, LiveCalls, Reason, ReasonError};
pub use lifecycle::{Actor, Change, LifecycleError, Standing, UserStatus};
pub use permission::Action;
pub use person::Person;
pub use role::{Role, RoleSet};
pub use scope::Scope;
pub use session::{Means, SessionLimits, SessionTimes};
pub use worker::{Applied, DesiredWorker, OwnedKeys};
pub use worker_at::{WorkerAt, WorkerAtError};
