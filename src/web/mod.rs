//! The HTTP server: which path means what, who may ask, and how answers and errors look.
//!
//! Handlers read the request, call one use case and show its result.

mod api;
mod auth;
mod cookie;
mod error;
mod form;
mod guard;
mod normalise;
mod oauth;
mod ops;
mod origin;
mod pages;
mod refusal;
mod request_id;
mod request_line;
mod routes;
mod scim;
mod server;
mod traffic;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, header};
use ipnet::IpNet;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

pub use api::openapi;
pub use ops::Readiness;
pub use ops::{Telling, ops_site};
pub use routes::{Forgery, Kind, ROUTES, Row, Who};
pub use server::{ServerSettings, serve};
pub use traffic::{Traffic, TrafficCounts};

use crate::service::Core;
use crate::service::pushes::PushLog;
use scim::Pace;

/// What handlers have at hand.
#[derive(Clone, Debug)]
pub struct WebState {
    /// The use cases.
    pub core: Arc<Core>,
    /// Whether requests will be served.
    pub readiness: Readiness,
    /// The largest body of a request, in bytes.
    pub body_limit: usize,
    /// How long a request may take from its first byte to its answer.
    pub request_timeout: std::time::Duration,
    trusted_proxies: Arc<[IpNet]>,
    pace: Arc<Pace>,
    pushes: PushLog,
    traffic: Arc<Traffic>,
}

/// The limits of requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body: usize,
    /// How long a request may take from its first byte to its answer.
    pub time: std::time::Duration,
    /// SCIM requests a second that each token may send; none: no limit.
    pub rate_per_token: Option<u32>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[IpNet]>,
}

impl WebState {
    /// Puts it together.
    #[must_use]
    pub fn new(core: Arc<Core>, readiness: Readiness, limits: &Limits, pushes: PushLog) -> Self {
        Self {
            core,
            readiness,
            body_limit: limits.body,
            request_timeout: limits.time,
            trusted_proxies: Arc::clone(&limits.trusted_proxies),
            pace: Arc::new(Pace::new(limits.rate_per_token)),
            pushes,
            traffic: Arc::default(),
        }
    }

    /// How many requests there were.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }
}

/// The whole site. Paths are brought to one spelling before they are looked up.
pub type Site = BoxCloneSyncService<Request, Response, std::convert::Infallible>;

/// Puts the site together.
#[must_use]
pub fn site(state: WebState) -> Site {
    let router = Router::new()
        .merge(ops::routes())
        .merge(scim::routes(&state))
        .merge(oauth::routes())
        .merge(pages::routes(&state))
        .merge(auth::routes(&state))
        .merge(api::routes(&state))
        .fallback(pages::no_such_page)
        .layer(axum::middleware::map_response(as_declared))
        .layer(axum::middleware::from_fn_with_state(state.clone(), request_id::trace))
        .with_state(state);
    BoxCloneSyncService::new(router.map_request(normalise::request))
}

/// Browsers take an answer for what its Content-Type says, whatever it looks like.
async fn as_declared(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
