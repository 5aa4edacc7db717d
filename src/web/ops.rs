//! What a load balancer asks, and the listener for monitoring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::Mutex;
use tower::util::BoxCloneSyncService;

use super::error::{self, problem};
use super::{Site, WebState};
use crate::service::Core;

/// The database must answer within this time to count as reachable.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the answer of the database is given to others who ask: anybody may ask, as often as they like.
const SHARED: Duration = Duration::from_secs(1);

/// What is wrong with the database, and when it was asked.
type Found = (Instant, Result<(), &'static str>);

/// Whether this process serves requests.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    meant: Arc<AtomicBool>,
    /// Held while the database is asked.
    database: Arc<Mutex<Option<Found>>>,
}

impl Readiness {
    /// Says that requests will be served, or not any longer.
    pub fn set(&self, ready: bool) {
        self.meant.store(ready, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.meant.load(Ordering::Acquire)
    }

    /// What the database was last found to be; asks it if that was too long ago, once for all who wait meanwhile. The
    /// question goes on when whoever asked goes away, so that nobody can ask more often by going.
    async fn of_database<F>(&self, ask: impl FnOnce() -> F) -> Result<(), &'static str>
    where
        F: Future<Output = Result<(), &'static str>> + Send + 'static,
    {
        let mut last = Arc::clone(&self.database).lock_owned().await;
        if let Some((at, found)) = *last
            && at.elapsed() < SHARED
        {
            return found;
        }
        let asked = ask();
        let asking = tokio::spawn(async move {
            let found = asked.await;
            *last = Some((Instant::now(), found));
            found
        });
        asking.await.unwrap_or(Err("The database could not be asked."))
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
    let core = Arc::clone(&state.core);
    match state.readiness.of_database(|| asked(core)).await {
        Ok(()) => "ready\n".into_response(),
        Err(detail) => unready(detail),
    }
}

/// Tells all metrics: their text and its media type; none if that failed, which has been logged.
pub type Telling = Arc<dyn Fn() -> BoxFuture<'static, Option<(String, &'static str)>> + Send + Sync>;

/// The site of the listener for monitoring. Nobody needs a token there, so it is never part of the public one.
#[must_use]
pub fn ops_site(state: WebState, telling: Telling) -> Site {
    let metrics = move || {
        let telling = Arc::clone(&telling);
        async move {
            let Some((text, media_type)) = telling().await else {
                return problem(StatusCode::INTERNAL_SERVER_ERROR, "No metrics", "The log says why.");
            };
            ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], text).into_response()
        }
    };
    let router: Router<()> =
        routes().with_state(state).route("/metrics", get(metrics)).fallback(async || error::nothing_here());
    BoxCloneSyncService::new(router)
}

async fn asked(core: Arc<Core>) -> Result<(), &'static str> {
    match tokio::time::timeout(PATIENCE, core.store().check()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::base::Causes(&error), "not ready");
            Err("The database cannot be used.")
        }
        Err(_) => Err("The database does not answer."),
    }
}

fn unready(detail: &str) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "Not ready", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::sync::atomic::AtomicUsize;

    /// Also by those who do not wait for the answer.
    #[tokio::test]
    async fn the_database_is_asked_once_for_all() {
        let (readiness, asked) = (Readiness::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err("It is ill.")
            }
        };
        assert_eq!(readiness.of_database(ask).now_or_never(), None);
        let found = futures::future::join_all((0..20).map(|_| readiness.of_database(ask))).await;
        assert!(found.iter().all(|found| *found == Err("It is ill.")), "{found:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        if let Some((at, _)) = &mut *readiness.database.lock().await {
            *at -= SHARED;
        }
        assert_eq!(readiness.of_database(ask).await, Err("It is ill."));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
