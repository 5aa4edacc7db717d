//! Every metric.

use super::Family;
use super::Kind::{Counter, Gauge, Histogram};

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] in $unit:literal: $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Family = Family { name: $name, kind: $kind, labels: &[$($label),*], unit: $unit, help: $help };
        )+
        /// All of them, in the order in which they are shown.
        pub const FAMILIES: &[Family] = &[$($constant),+];
    };
}

families! {
    BUILD = Gauge "rollcall_build_info" ["version"] in "1": "The version that runs";
    STARTED = Gauge "process_start_time_seconds" [] in "seconds since 1970": "When the process started";
    MEMORY = Gauge "process_resident_memory_bytes" [] in "bytes": "The memory that the process has resident (Linux only)";
    PAUSED = Gauge "rollcall_reconciler_paused" [] in "1 or 0": "Whether this copy does nothing at TaskRouter (reconciler.paused)";
    SCIM_REQUESTS = Counter "rollcall_scim_requests" ["connection", "method", "outcome"] in "requests": "SCIM requests by their end: ok (1xx to 3xx), refused (4xx), throttled (429), failed (5xx) or abandoned (the client went away); without a known token the connection is empty";
    SCIM_DURATION = Histogram "rollcall_scim_request_duration_seconds" ["method"] in "seconds": "From the head of a SCIM request to its answer";
    PUSHES_DROPPED = Counter "rollcall_pushes_dropped" [] in "requests": "Requests that are missing from the log of pushes, because more came than could be written";
    BACKLOG = Gauge "rollcall_backlog_workers" ["account", "lane"] in "workers": "Workers that are to go (leavers), or to be made or changed (others), and are not as desired yet; all copies together";
    BACKLOG_OLDEST = Gauge "rollcall_backlog_oldest_seconds" ["account", "lane"] in "seconds": "How long the oldest of them has waited; 0 when there is none";
    BACKLOG_RATE = Gauge "rollcall_backlog_rate" ["account"] in "workers a second": "Workers that became as desired, over the last minutes; all copies together";
    BACKLOG_TIME_LEFT = Gauge "rollcall_backlog_time_left_seconds" ["account"] in "seconds": "How long the backlog takes at that rate; no sample while nothing moves or all copies are paused";
    UNSETTLED = Gauge "rollcall_unsettled_workers" ["account", "state"] in "workers": "Workers that are not as desired yet, by state: pending, retrying, blocked, unadopted or rejected";
    COPIES = Gauge "rollcall_copies" ["state"] in "processes": "Copies of the server that have told the database of themselves in the last 30 seconds: working or paused";
    ATTEMPTS = Counter "rollcall_attempts" ["account", "outcome"] in "attempts": "Attempts of this copy to bring a worker into step, by the state they led to";
    EFFECTS = Counter "rollcall_effects" ["action"] in "writes": "Writes of this copy that TaskRouter has confirmed, by kind";
    SETTLING = Histogram "rollcall_settling_duration_seconds" ["lane"] in "seconds": "From a change of the desired worker to its being brought about, for leavers (removed and read back) and others";
    CALLS = Counter "rollcall_taskrouter_calls" ["account", "operation", "status"] in "calls": "Calls of this copy to TaskRouter by HTTP status, or none when there was no answer";
    CALL_DURATION = Histogram "rollcall_taskrouter_call_duration_seconds" ["account", "operation"] in "seconds": "From sending a call to its answer, or to giving it up";
    THROTTLED = Counter "rollcall_taskrouter_throttled" ["account"] in "calls": "Calls that TaskRouter answered 429";
    HELD_BACK = Counter "rollcall_taskrouter_held_back" ["account"] in "calls": "Calls that were not sent, because their turn would have come too late";
    ALLOWED_RATE = Gauge "rollcall_taskrouter_allowed_rate" ["account"] in "calls a second": "How fast this copy allows itself to call; no sample while there is no limit";
    ALLOWED_CALLS = Gauge "rollcall_taskrouter_allowed_calls" ["account"] in "calls": "How many calls at a time this copy allows itself";
    CALLS_IN_FLIGHT = Gauge "rollcall_taskrouter_calls_in_flight" ["account"] in "calls": "Calls that have their turn now, and those that wait for their moment with it";
    WRITER_QUEUE = Gauge "rollcall_database_writer_queue" [] in "changes": "Changes that wait for the writer of SQLite; no sample on PostgreSQL";
    CONNECTIONS = Gauge "rollcall_database_connections" ["state"] in "connections": "Connections to the database, busy or idle; on SQLite those that read";
    DATABASE_UP = Gauge "rollcall_database_up" [] in "1 or 0": "Whether the database answered when it was asked for the backlog; without an answer those samples are missing";
}
