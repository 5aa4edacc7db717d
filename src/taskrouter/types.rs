//! The resources of `TaskRouter`, reduced to what provisioning reads and writes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most characters of JSON that a worker's attributes may have, white space counted (`TaskRouter` limits; not
/// raisable).
pub const ATTRIBUTES_LIMIT: usize = 4096;

/// The text cannot be a SID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SID")]
pub struct SidError;

macro_rules! sids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The SID as `TaskRouter` writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = SidError;

            fn try_from(text: String) -> std::result::Result<Self, SidError> {
                // Only what can stand in a path segment as it is; prefix and length are TaskRouter's business.
                let safe = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                if (1..=64).contains(&text.len()) && text.bytes().all(safe) { Ok(Self(text)) } else { Err(SidError) }
            }
        }

        impl From<$name> for String {
            fn from(sid: $name) -> Self {
                sid.0
            }
        }

        impl FromStr for $name {
            type Err = SidError;

            fn from_str(text: &str) -> std::result::Result<Self, SidError> {
                Self::try_from(text.to_owned())
            }
        }
    )+};
}

sids! {
    /// The SID of a worker (`WK` and 32 hexadecimal digits).
    WorkerSid,
    /// The SID of an activity (`WA` and 32 hexadecimal digits).
    ActivitySid,
}

/// The version of a worker, exactly as the last answer's `ETag` header gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// From the value of an `ETag` header.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value for an `If-Match` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a list goes on; opaque, and valid only for the `TaskRouter` that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    /// From what an implementation wants back.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// What the implementation put in.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The workspace that all workers belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// `WS...`.
    pub sid: String,
    /// The name, for people.
    pub friendly_name: String,
    /// The activity of a worker that is created without one, by default "Offline".
    pub default_activity_sid: Option<ActivitySid>,
}

/// A state that a worker can be in. Customers rename activities: judge by `available`, never by the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `WA...`.
    pub sid: ActivitySid,
    /// The name, for people.
    pub friendly_name: String,
    /// Whether workers in this activity get work; fixed when the activity is made.
    pub available: bool,
}

/// A worker as last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// `WK...`; a worker that is deleted and created again has a new one.
    pub sid: WorkerSid,
    /// Unique in the workspace, without regard to case.
    pub friendly_name: String,
    /// The present activity, if it was shown.
    pub activity_sid: Option<ActivitySid>,
    /// The name of the present activity, empty if it was not shown.
    pub activity_name: String,
    /// Whether the worker gets work now.
    pub available: bool,
    /// The attributes; `None` means that the answer did not show them, not that there are none.
    pub attributes: Option<Map<String, Value>>,
    /// The version to hand to an update or deletion, if the answer gave one. Lists never do.
    pub etag: Option<ETag>,
}

/// A worker to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewWorker {
    /// Unique in the workspace, without regard to case.
    pub friendly_name: String,
    /// All attributes.
    pub attributes: Map<String, Value>,
    /// The first activity; the workspace's default if `None`.
    pub activity_sid: Option<ActivitySid>,
}

/// A change to a worker: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerUpdate {
    /// The new name.
    pub friendly_name: Option<String>,
    /// All attributes: `TaskRouter` replaces the whole object and merges nothing.
    pub attributes: Option<Map<String, Value>>,
    /// The new activity.
    pub activity_sid: Option<ActivitySid>,
    /// Rejects the worker's pending reservations; only valid together with an activity that is not available.
    pub reject_pending_reservations: bool,
}

/// How much work of one kind a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// How many tasks at the same time, 0 to 50.
    pub capacity: u32,
    /// Whether the worker gets tasks of this channel at all.
    pub available: bool,
}

/// A channel of a worker, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerChannel {
    /// The unique name of the task channel: `voice`, `chat`, ...
    pub unique_name: String,
    /// Capacity and availability.
    pub channel: Channel,
}

/// Where a reservation stands, for those that are still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationStatus {
    /// Offered, not yet taken. An update can reject these.
    Pending,
    /// The worker is at it.
    Accepted,
    /// The worker finishes up.
    Wrapping,
}

impl ReservationStatus {
    /// The three open states.
    pub const OPEN: [Self; 3] = [Self::Pending, Self::Accepted, Self::Wrapping];

    /// As `TaskRouter` writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Wrapping => "wrapping",
        }
    }
}

impl fmt::Display for ReservationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Work that a worker was offered or has in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `WR...`.
    pub sid: String,
    /// Where it stands.
    pub status: ReservationStatus,
}

/// A part of the list of workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerPage {
    /// The workers of this page.
    pub workers: Vec<Worker>,
    /// Where the list goes on, `None` at its end.
    pub next: Option<PageToken>,
}
