//! The SCIM endpoints (RFC 7644 §3.2) under `/scim/v2`.
//!
//! Nothing here is reached without a token, not even an error about a path that does not exist.

mod admission;
mod asked;
mod body;
mod bulk;
mod discovery;
mod groups;
mod list;
mod me;
mod pace;
mod query;
mod record;
mod rest;
mod users;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use futures::FutureExt as _;
use http::{HeaderValue, StatusCode, header};

use super::WebState;
use super::error;
use super::normalise::SCIM;
use super::request_id::RequestId;
use crate::scim::ScimError;
use crate::scim::messages::MEDIA_TYPE;
use crate::service::{Caller, ServiceError};
use admission::Refusal;
pub(super) use admission::{Peer, client};
pub(super) use pace::Pace;
use record::{Whose, record};
use rest::Rest;

/// How much is read of a body that nobody wants, as a multiple of the largest one that is allowed.
const DRAINED: usize = 4;

pub(super) fn routes(state: &WebState) -> Router<WebState> {
    let at = |path: &str| format!("{SCIM}{path}");
    Router::new()
        .route(&at("/Users"), get(list::users).post(users::create))
        .route(&at("/Users/{id}"), get(users::read).put(users::replace).patch(users::patch).delete(users::delete))
        .route(&at("/Groups"), get(list::groups).post(groups::create))
        .route(&at("/Groups/{id}"), get(groups::read).put(groups::replace).patch(groups::patch).delete(groups::delete))
        .route(&at("/Bulk"), post(bulk::bulk))
        .route(&at("/.search"), post(list::search_all))
        .route(&at("/Users/.search"), post(list::search_users))
        .route(&at("/Groups/.search"), post(list::search_groups))
        .route(&at("/Me"), get(me::read).fallback(me::refuse))
        .route(&at("/ServiceProviderConfig"), get(discovery::service_provider_config))
        .route(&at("/ResourceTypes"), get(discovery::resource_types))
        .route(&at("/ResourceTypes/{name}"), get(discovery::resource_type))
        .route(&at("/Schemas"), get(discovery::schemas))
        .route(&at("/Schemas/{id}"), get(discovery::schema))
        .route("/scim", any(no_such_endpoint))
        .route("/scim/{*rest}", any(no_such_endpoint))
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(from_fn(survive))
        .layer(from_fn_with_state(state.clone(), record))
}

/// Who asks, and within which time. Every request passes here before its path means anything.
async fn guard(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let (mut request, rest) = Rest::keep(request);
    let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| RequestId("".into()));
    let whose = request.extensions().get::<Whose>().cloned().unwrap_or_default();
    let answered = tokio::time::timeout(state.request_timeout, async {
        let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let caller = match state.core.authenticate(authorization, id.0.clone()).await {
            Ok(caller) => caller,
            Err(refused) => {
                // Whoever holds a token that has ended is answered as a stranger is, however often it is sent.
                refused.whose.into_iter().for_each(|sender| whose.is(*sender, Arc::default()));
                return Refusal::new("token", error::explained(refused.error, &id.0)).answer();
            }
        };
        whose.is(caller.sender(), Arc::clone(&caller.trail));
        if let Some(token) = caller.used {
            state.pushes.used(token, state.core.ambient().now());
        }
        if let Err(refused) = admission::check(&state, &caller, &request) {
            return refused.answer();
        }
        request.extensions_mut().insert(caller);
        next.run(request).await
    });
    let response = answered.await.unwrap_or_else(|_| {
        tracing::error!("a request took too long");
        error::scim(&ScimError::unavailable("The request took too long. Try again."))
    });
    rest.drain(state.body_limit.saturating_mul(DRAINED), state.request_timeout).await;
    response
}

async fn no_such_endpoint() -> Response {
    error::scim(&ScimError::not_found(
        "There is no such SCIM endpoint. The base URL ends in /scim/v2, and has /Users, /Groups, /Bulk, /Me, /.search, /ServiceProviderConfig, /ResourceTypes and /Schemas below it.",
    ))
}

async fn no_such_method() -> Response {
    error::scim(&ScimError::method_not_allowed("This SCIM endpoint does not know the method of the request."))
}

/// A handler that panics costs its own request only.
async fn survive(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map_or_else(|| "".into(), |id| id.0.clone());
    // The panic hook has logged it, with the request that it belongs to.
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| error::scim(&ScimError::internal(&id)))
}

/// What a handler answers.
type Answer = Result<Response, Failure>;

/// A failure on its way to [`error`], with the request that it belongs to.
struct Failure(ServiceError, Arc<str>);

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> Response {
        error::scim_service(self.0, &self.1)
    }
}

/// Lets a handler use `?` on what fails.
trait For<T> {
    fn caused_by(self, caller: &Caller) -> Result<T, Failure>;
}

impl<T, E: Into<ServiceError>> For<T> for Result<T, E> {
    fn caused_by(self, caller: &Caller) -> Result<T, Failure> {
        self.map_err(|error| Failure(error.into(), caller.request.clone()))
    }
}

/// An answer with SCIM content.
fn answer(status: StatusCode, body: axum::body::Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

fn no_content() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Names the version and the place.
fn describe(response: &mut Response, version: i64, location: Option<&str>) {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
    if let Some(Ok(location)) = location.map(HeaderValue::from_str) {
        headers.insert(header::LOCATION, location);
    }
}

/// The client has this version already (RFC 7644 §3.14).
fn not_modified(version: i64) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    describe(&mut response, version, None);
    response
}
