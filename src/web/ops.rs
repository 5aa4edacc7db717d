//! What a load balancer asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;

use super::WebState;
use super::error::problem;

/// The database must answer within this time to count as reachable.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this process means to serve requests.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says that requests will be served, or not any longer.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// 200 as long as the process runs.
async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 only when requests will be served: started, not stopping, and the database takes writes.
async fn readyz(State(state): State<WebState>) -> Response {
    if !state.readiness.is_set() {
        return unready("The server is starting or stopping.");
    }
    match tokio::time::timeout(PATIENCE, state.core.store().check()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::base::Causes(&error), "not ready");
            unready("The database cannot be used.")
        }
        Err(_) => unready("The database does not answer."),
    }
}

fn unready(detail: &str) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "Not ready", detail)
}
