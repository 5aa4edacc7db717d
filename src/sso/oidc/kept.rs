//! A document of a provider that is kept for some time: fetched by one request while the others wait, fetched early at a
//! limited rate.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::base::Timestamp;
use crate::sso::SsoError;

/// After a failure nobody asks again for this long: requests that wait would otherwise each wait for the time-out.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(3);
/// An old document serves this long beyond its time when no new one can be fetched.
const STALE: Duration = Duration::from_hours(1);
/// How many early fetches may follow each other at once, and how long it takes until one more is allowed.
const BURST: u32 = 2;
const REFILL: Duration = Duration::from_secs(10);

/// Who asks for an early fetch: each has a budget of its own, so that strangers cannot use up that of sign-ins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// A sign-in, whose token came from the provider itself.
    SignIn,
    /// A logout token, which anybody can send.
    Stranger,
}

/// A kept document.
#[derive(Debug)]
pub(super) struct Kept<T> {
    good_for: Duration,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    value: Option<(Arc<T>, Timestamp)>,
    failure: Option<(SsoError, Timestamp)>,
    budgets: [Budget; 2],
}

/// A token bucket.
#[derive(Debug, Clone, Copy)]
struct Budget {
    left: u32,
    since: Timestamp,
}

impl Budget {
    fn take(&mut self, now: Timestamp) -> bool {
        let refills = now.since(self.since).as_secs() / REFILL.as_secs();
        if refills > 0 {
            self.left = self.left.saturating_add(u32::try_from(refills).unwrap_or(BURST)).min(BURST);
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl<T> Kept<T> {
    pub(super) fn new(good_for: Duration, now: Timestamp) -> Self {
        let budget = Budget { left: BURST, since: now };
        Self { good_for, state: Mutex::new(State { value: None, failure: None, budgets: [budget; 2] }) }
    }

    /// The document, fetched when there is none or its time is over.
    pub(super) async fn get(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, SsoError>>,
    ) -> Result<Arc<T>, SsoError> {
        let mut state = self.state.lock().await;
        let age = state.value.as_ref().map(|(value, at)| (Arc::clone(value), now.since(*at)));
        match age {
            Some((value, age)) if age < self.good_for => Ok(value),
            Some((value, age)) if age < self.good_for + STALE => state.fetch(now, fetch).await.or(Ok(value)),
            _ => state.fetch(now, fetch).await,
        }
    }

    /// A newer document than the one that was `seen`, if one may be fetched now: because of a key that it does not hold.
    pub(super) async fn newer(
        &self,
        seen: &Arc<T>,
        asker: Asker,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, SsoError>>,
    ) -> Option<Arc<T>> {
        let mut state = self.state.lock().await;
        if let Some((value, _)) = state.value.as_ref().filter(|(value, _)| !Arc::ptr_eq(value, seen)) {
            return Some(Arc::clone(value));
        }
        let budget = match asker {
            Asker::SignIn => &mut state.budgets[0],
            Asker::Stranger => &mut state.budgets[1],
        };
        if !budget.take(now) {
            return None;
        }
        state.fetch(now, fetch).await.ok()
    }
}

impl<T> State<T> {
    async fn fetch(
        &mut self,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, SsoError>>,
    ) -> Result<Arc<T>, SsoError> {
        if let Some((failure, at)) = &self.failure
            && now.since(*at) < PAUSE_AFTER_FAILURE
        {
            return Err(failure.clone());
        }
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                self.value = Some((Arc::clone(&value), now));
                self.failure = None;
                Ok(value)
            }
            Err(failure) => {
                self.failure = Some((failure.clone(), now));
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::sso::Check;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    async fn count(counter: &AtomicU32) -> Result<u32, SsoError> {
        tokio::task::yield_now().await;
        Ok(counter.fetch_add(1, Ordering::SeqCst))
    }

    fn fail() -> impl Future<Output = Result<u32, SsoError>> {
        std::future::ready(Err(SsoError::new(Check::Unreachable, "down")))
    }

    #[tokio::test]
    async fn one_fetch_serves_all_who_wait_and_lasts_for_its_time() {
        let (kept, counter) = (Kept::new(HOUR, at(0)), AtomicU32::new(0));
        let all = futures::future::join_all((0..20).map(|_| kept.get(at(0), count(&counter)))).await;
        assert!(all.iter().all(|value| **value.as_ref().unwrap() == 0));
        assert_eq!(*kept.get(at(3_599), count(&counter)).await.unwrap(), 0);
        assert_eq!(*kept.get(at(3_600), count(&counter)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn s25_early_fetches_follow_a_pace_that_others_cannot_use_up() {
        let (kept, counter) = (Kept::new(HOUR, at(0)), AtomicU32::new(0));
        let mut seen = kept.get(at(0), count(&counter)).await.unwrap();
        for _ in 0..50 {
            if let Some(newer) = kept.newer(&seen, Asker::Stranger, at(1), count(&counter)).await {
                seen = newer;
            }
        }
        assert_eq!(counter.load(Ordering::SeqCst), 1 + BURST);
        let newer = kept.newer(&seen, Asker::SignIn, at(1), count(&counter)).await.unwrap();
        // Who saw the one before gets the newest without a fetch.
        assert!(Arc::ptr_eq(&kept.newer(&seen, Asker::Stranger, at(1), fail()).await.unwrap(), &newer));
        assert!(kept.newer(&newer, Asker::Stranger, at(9), count(&counter)).await.is_none());
        assert!(kept.newer(&newer, Asker::Stranger, at(11), count(&counter)).await.is_some());
    }

    #[tokio::test]
    async fn an_old_document_serves_while_the_provider_is_away_but_not_for_ever() {
        let (kept, counter) = (Kept::new(HOUR, at(0)), AtomicU32::new(0));
        kept.get(at(0), count(&counter)).await.unwrap();
        assert_eq!(*kept.get(at(3_700), fail()).await.unwrap(), 0);
        // The pause after a failure: nobody asks.
        assert_eq!(*kept.get(at(3_701), count(&counter)).await.unwrap(), 0);
        assert_eq!(*kept.get(at(3_704), count(&counter)).await.unwrap(), 1);
        assert!(kept.get(at(20_000), fail()).await.is_err());
    }
}
