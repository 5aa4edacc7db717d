//! What the tests of the reconciler share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::Routers;
use crate::base::{AccountId, Ambient, Clock, SeededEntropy, Timestamp};
use crate::domain::LeaverPolicy;
use crate::domain::worker::DesiredWorker;
use crate::taskrouter::TaskRouter;

/// The clock of the runtime, which stands still under `start_paused` until everybody waits.
pub(super) struct RuntimeClock(Instant);

impl RuntimeClock {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000).after(self.0.elapsed())
    }
}

pub(super) fn ambient(seed: u64) -> Ambient {
    Ambient::new(Arc::new(RuntimeClock::new()), Arc::new(SeededEntropy::new(seed)))
}

pub(super) fn account(n: u128) -> AccountId {
    AccountId::from(Uuid::from_u128(n))
}

pub(super) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

pub(super) fn desired(name: &str, attributes: Value, channels: &[(&str, u32)]) -> DesiredWorker {
    DesiredWorker {
        friendly_name: name.to_owned(),
        attributes: map(attributes),
        channels: channels.iter().map(|(name, capacity)| ((*name).to_owned(), *capacity)).collect::<BTreeMap<_, _>>(),
    }
}

/// One TaskRouter for every account.
pub(super) struct SameRouter(pub(super) Arc<dyn TaskRouter>, pub(super) LeaverPolicy);

impl Routers for SameRouter {
    fn for_account(&self, _: AccountId) -> Option<Arc<dyn TaskRouter>> {
        Some(Arc::clone(&self.0))
    }

    fn leavers(&self, _: AccountId) -> LeaverPolicy {
        self.1
    }
}
