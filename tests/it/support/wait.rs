//! Waiting for a condition. The only place in the tests that sleeps.

use std::time::{Duration, Instant};

/// Asks again and again until the condition holds.
///
/// # Panics
/// If it does not hold within `deadline`; `what` says what was waited for.
pub async fn wait_until(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
