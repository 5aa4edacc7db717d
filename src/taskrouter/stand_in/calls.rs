//! The stand-in's own record of the calls it had, against which tests check what a client did.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::faults::Fate;
use crate::base::Timestamp;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When it came in.
    pub at: Timestamp,
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path with names in place of SIDs: `/v1/Workspaces/{workspace}/Workers/{worker}`; empty for an unknown path.
    pub path: String,
    /// The worker that the call was about, or that it created.
    pub worker_sid: Option<String>,
    /// The status that was answered; 0 when the connection was cut.
    pub status: u16,
    /// Whether it took effect, whatever was answered.
    pub processed: bool,
    /// The fault that befell it.
    pub outcome: Outcome,
    /// From request to answer, in milliseconds.
    pub took_ms: u64,
}

/// What befell a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered as the service means it, be it with an error.
    Answered,
    /// 429 by the dice or by the limit of calls a second.
    RateLimited,
    /// Cut before it was processed.
    LostBeforeCommit,
    /// Cut after it was processed.
    LostAfterCommit,
    /// 500 by the dice.
    Failed,
    /// HTML by the dice.
    Html,
    /// The caller did not wait for the answer.
    HungUp,
}

impl From<Fate> for Outcome {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Answered => Self::Answered,
            Fate::RateLimited => Self::RateLimited,
            Fate::LostBeforeCommit => Self::LostBeforeCommit,
            Fate::LostAfterCommit => Self::LostAfterCommit,
            Fate::Failed { .. } => Self::Failed,
            Fate::Html { .. } => Self::Html,
        }
    }
}

/// The latest calls, and how many there were of each kind since the start.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CallLog {
    /// All calls since the start.
    pub total: u64,
    /// By method and path.
    pub by_kind: BTreeMap<String, u64>,
    /// By answered status; 0 for connections that were cut.
    pub by_status: BTreeMap<u16, u64>,
    /// By fault.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// The latest, oldest first.
    pub latest: VecDeque<Call>,
}

impl CallLog {
    pub(super) fn record(&mut self, call: Call, keep: usize) {
        self.total += 1;
        let kind = format!("{} {}", call.method, call.path);
        *self.by_kind.entry(kind).or_default() += 1;
        *self.by_status.entry(call.status).or_default() += 1;
        *self.by_outcome.entry(call.outcome).or_default() += 1;
        self.latest.push_back(call);
        while self.latest.len() > keep {
            self.latest.pop_front();
        }
    }
}
