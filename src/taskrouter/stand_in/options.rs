//! How a stand-in is set up, and the knobs that can be turned while it runs.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::StandInError;

/// How to open a [`super::StandIn`]. The default keeps everything in memory, accepts any Basic credentials and never fails.
#[derive(Debug, Default)]
pub struct StandInOptions {
    /// Where the journal lives; nothing is kept when absent.
    pub dir: Option<PathBuf>,
    /// The account's SID (`AC...`); made once and kept in the journal when absent.
    pub account_sid: Option<String>,
    /// The workspace's SID (`WS...`); made once and kept in the journal when absent.
    pub workspace_sid: Option<String>,
    /// The API key's SID (`SK...`); made once and kept in the journal when absent.
    pub api_key: Option<String>,
    /// The secret that callers must know; any Basic credentials are accepted when absent.
    pub api_secret: Option<SecretString>,
    /// Latency, rates of failure and the seed of the dice.
    pub faults: Faults,
    /// Answers to what is not known about the real service.
    pub behaviour: Behaviour,
    /// How many of the latest calls are remembered; 20,000 when absent.
    pub call_log: Option<usize>,
}

/// What goes wrong, and how often. Rates are shares of the calls, 0 to 1; they are tried in the order of the fields.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The time from a request to its answer, in milliseconds; half of it passes before the request takes effect.
    pub latency_ms: u64,
    /// How many calls a second are let through; the others are answered 429.
    pub limit_per_second: Option<u32>,
    /// Answered 429, not processed.
    pub rate_429: f64,
    /// The `Retry-After` of an answer 429, in seconds; no such header when absent.
    pub retry_after_s: Option<u64>,
    /// The connection is cut and the request was not processed.
    pub rate_lost_before_commit: f64,
    /// The connection is cut after the request was processed.
    pub rate_lost_after_commit: f64,
    /// Answered 500; every second one was processed all the same.
    pub rate_500: f64,
    /// Answered with a page of HTML: 200 after processing, or 502 without.
    pub rate_html: f64,
    /// Where the dice start; the same seed and the same calls give the same faults.
    pub seed: u64,
}

impl Faults {
    /// # Errors
    /// [`StandInError::Faults`] when a rate is not a share of 1.
    pub(super) fn check(&self) -> Result<(), StandInError> {
        let rates =
            [self.rate_429, self.rate_lost_before_commit, self.rate_lost_after_commit, self.rate_500, self.rate_html];
        if rates.iter().all(|rate| (0.0..=1.0).contains(rate)) { Ok(()) } else { Err(StandInError::Faults) }
    }
}

/// The points on which nothing is published, or two texts disagree: a client must work with either answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each the answer to one open question")]
pub struct Behaviour {
    /// A worker can be deleted only while its activity is not available.
    pub offline_before_delete: bool,
    /// An activity change is refused while reservations are pending and the flag to reject them is absent.
    pub refuse_activity_change_with_pending: bool,
    /// Lists carry the workers' attributes; otherwise they are null there and must be fetched one by one.
    pub attributes_in_lists: bool,
    /// Answers about one worker carry an `ETag`, and `If-Match` is enforced.
    pub etags: bool,
    /// The list filter `FriendlyName` minds upper and lower case.
    pub name_filter_minds_case: bool,
    /// The longest `FriendlyName` of a worker, in characters.
    pub friendly_name_limit: usize,
    /// How many workers may be available at once (error 14240); no limit when absent.
    pub available_worker_limit: Option<usize>,
    /// How many workers the workspace holds; no limit when absent.
    pub worker_limit: Option<usize>,
    /// The number of workers above which statistics of workers are switched off.
    pub statistics_worker_limit: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            offline_before_delete: false,
            refuse_activity_change_with_pending: false,
            attributes_in_lists: true,
            etags: true,
            name_filter_minds_case: false,
            friendly_name_limit: 256,
            available_worker_limit: None,
            worker_limit: None,
            statistics_worker_limit: 100,
        }
    }
}

/// What a client needs to call the stand-in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account (`AC...`).
    pub account_sid: String,
    /// The workspace (`WS...`).
    pub workspace_sid: String,
    /// The Flex instance (`GO...`).
    pub instance_sid: String,
    /// The user name of Basic authentication (`SK...`).
    pub api_key: String,
    /// The password of Basic authentication; when none was set, one that works as well as any other.
    pub api_secret: SecretString,
}
