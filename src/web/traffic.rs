//! Counts SCIM requests, for monitoring.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use crate::base::{ConnectionId, Histogram};

/// SCIM requests since the start.
#[derive(Clone, Debug, Default)]
pub struct TrafficCounts {
    /// By connection (none: without a known token), method and outcome.
    pub requests: BTreeMap<(Option<ConnectionId>, &'static str, &'static str), u64>,
    /// How long they took, by method.
    pub times: BTreeMap<&'static str, Histogram>,
}

/// Counts SCIM requests.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<TrafficCounts>);

impl Traffic {
    /// The counts now.
    pub fn counts(&self) -> TrafficCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one; the status is 0 if the client went away before the answer.
    pub(super) fn count(&self, whose: Option<ConnectionId>, method: &Method, status: u16, time: Duration) {
        let method = name(method);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((whose, method, outcome(status))).or_default() += 1;
        counts.times.entry(method).or_default().record(time);
    }
}

/// Anybody may send a method of their own making; there shall not be a count for each.
fn name(method: &Method) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|known| method == known).unwrap_or("other")
}

fn outcome(status: u16) -> &'static str {
    match status {
        0 => "abandoned",
        429 => "throttled",
        400..=499 => "refused",
        500.. => "failed",
        _ => "ok",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_send_makes_no_new_counts() {
        let traffic = Traffic::default();
        for n in 0..100 {
            let method = Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
            traffic.count(None, &method, 405, Duration::ZERO);
        }
        let counts = traffic.counts();
        assert_eq!(counts.requests, BTreeMap::from([((None, "other", "refused"), 100)]));
        assert_eq!(counts.times["other"].count(), 100);
    }

    #[test]
    fn every_status_has_its_outcome() {
        let shown = [0, 200, 204, 304, 400, 401, 404, 429, 500, 503].map(outcome);
        let wanted = ["abandoned", "ok", "ok", "ok", "refused", "refused", "refused", "throttled", "failed", "failed"];
        assert_eq!(shown, wanted);
    }
}
