//! The rows of a workspace, as they stand in memory and in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::expression::{Expression, ExpressionError};
use crate::base::Timestamp;

/// The journal's format; a journal with another one is refused.
pub(super) const FORMAT: u32 = 1;

/// The task channels of a Flex workspace with the capacity that a new worker starts with.
pub(super) const TASK_CHANNELS: [(&str, u32); 6] =
    [("default", 10), ("voice", 1), ("chat", 10), ("sms", 10), ("video", 1), ("email", 1)];

/// The longest attributes of a worker, in characters, white space counted.
const MAX_ATTRIBUTES: usize = 4096;

/// The SIDs that are made once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Identity {
    pub format: u32,
    pub account_sid: String,
    pub workspace_sid: String,
    pub instance_sid: String,
    pub api_key: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Workspace {
    pub friendly_name: String,
    pub default_activity_sid: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Activity {
    pub sid: String,
    pub friendly_name: String,
    pub available: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Worker {
    pub sid: String,
    pub friendly_name: String,
    pub activity_sid: String,
    pub attributes: Attributes,
    pub version: u64,
    /// Only the channels that differ from how a new worker has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, Channel>,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub status_changed: Timestamp,
}

/// The attributes of a worker, as the caller wrote them, white space and all, and as read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Attributes {
    text: String,
    /// Queues are computed from it at each question.
    read: Arc<Map<String, Value>>,
}

/// The text cannot be attributes of a worker.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttributesError {
    #[error("Attributes are longer than {MAX_ATTRIBUTES} characters")]
    TooLong,
    #[error("Attributes is not a valid JSON object")]
    NotAnObject,
}

impl Attributes {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn read(&self) -> &Map<String, Value> {
        &self.read
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self { text: "{}".to_owned(), read: Arc::default() }
    }
}

impl TryFrom<String> for Attributes {
    type Error = AttributesError;

    fn try_from(text: String) -> Result<Self, AttributesError> {
        if text.chars().count() > MAX_ATTRIBUTES {
            return Err(AttributesError::TooLong);
        }
        let read = serde_json::from_str(&text).map_err(|_| AttributesError::NotAnObject)?;
        Ok(Self { text, read: Arc::new(read) })
    }
}

impl From<Attributes> for String {
    fn from(attributes: Attributes) -> Self {
        attributes.text
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Channel {
    pub capacity: u32,
    pub available: bool,
    pub updated: Timestamp,
}

impl Worker {
    /// The worker's channel of that name, if the workspace has such a task channel.
    pub(super) fn channel(&self, unique_name: &str) -> Option<Channel> {
        let (_, capacity) = TASK_CHANNELS.iter().find(|(name, _)| *name == unique_name)?;
        let fresh = || Channel { capacity: *capacity, available: true, updated: self.created };
        Some(self.channels.get(unique_name).cloned().unwrap_or_else(fresh))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Queue {
    pub sid: String,
    pub friendly_name: String,
    pub target_workers: TargetWorkers,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// The condition of a queue, as written and as read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct TargetWorkers {
    text: String,
    expression: Expression,
}

impl TargetWorkers {
    pub(super) fn everybody() -> Self {
        Self { text: "1==1".to_owned(), expression: Expression::always() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn hold_for(&self, attributes: &Map<String, Value>) -> bool {
        self.expression.matches(attributes, &Map::new())
    }
}

impl TryFrom<String> for TargetWorkers {
    type Error = ExpressionError;

    fn try_from(text: String) -> Result<Self, ExpressionError> {
        Ok(Self { expression: Expression::parse(&text)?, text })
    }
}

impl From<TargetWorkers> for String {
    fn from(target: TargetWorkers) -> Self {
        target.text
    }
}

/// The state of an offer of work to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReservationStatus {
    /// Offered, not yet answered.
    Pending,
    /// In hand.
    Accepted,
    /// Refused, by the worker or by taking the worker out.
    Rejected,
    /// Not answered in time.
    Timeout,
    /// The task was cancelled.
    Canceled,
    /// Somebody else took it.
    Rescinded,
    /// After-call work.
    Wrapping,
    /// Done.
    Completed,
}

impl ReservationStatus {
    /// Whether the worker still has work from it, which blocks the worker's deletion.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Accepted | Self::Wrapping)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Rescinded => "rescinded",
            Self::Wrapping => "wrapping",
            Self::Completed => "completed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Accepted,
            Self::Rejected,
            Self::Timeout,
            Self::Canceled,
            Self::Rescinded,
            Self::Wrapping,
            Self::Completed,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reservation {
    pub sid: String,
    pub worker_sid: String,
    pub task_sid: String,
    pub status: ReservationStatus,
    pub channel: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// The parent of a worker in Flex.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FlexUser {
    pub sid: String,
    pub username: String,
    pub email: String,
    pub full_name: String,
    pub roles: Vec<String>,
    pub deactivated: bool,
    pub worker_sid: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Event {
    pub sid: String,
    pub kind: String,
    pub at: Timestamp,
    pub worker_sid: Option<String>,
    pub resource_sid: String,
    pub data: Box<RawValue>,
}

/// One step of the journal: the row as it is afterwards, or that it is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Identity(Identity),
    Workspace(Workspace),
    Activity(Activity),
    ActivityGone(String),
    Worker(Box<Worker>),
    WorkerGone(String),
    Queue(Queue),
    QueueGone(String),
    Reservation(Reservation),
    FlexUser(FlexUser),
    Event(Event),
}
