//! The JSON API for scripts and pages, at `/api/v1`. Errors are problem+json (RFC 9457).

mod api_keys;
mod connections;
mod me;
mod sessions;
mod users;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::WebState;
use super::error;
use super::guard;
use super::request_id::RequestId;
use crate::service::{Core, Principal, ServiceError};

/// The longest body, in bytes.
const LONGEST: usize = 64 * 1024;

/// What the description of the API says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "The JSON API of Rollcall. Everything is of one account: that of the session or key. Lists are paged by cursor. \
                       Errors are problem+json (RFC 9457); changes that need a fresh sign-in answer 403 with the type \
                       urn:rollcall:problem:fresh-sign-in-required to sessions whose sign-in is older than five minutes.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem)),
    modifiers(&Security),
    security(("key" = []), ("session" = []))
)]
struct Description;

/// The two ways to show who one is.
struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key (rck_...).")).build();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description("__Host-rollcall", "The session of a browser.");
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `about:blank`, or a URN of its own where a program can act on it.
    r#type: String,
    /// The kind of error.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong, for people.
    detail: String,
}

fn documented() -> OpenApiRouter<WebState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(me::read))
        .routes(routes!(users::list))
        .routes(routes!(connections::list, connections::create))
        .routes(routes!(connections::read, connections::change, connections::delete))
        .routes(routes!(sessions::list, sessions::end_all))
        .routes(routes!(sessions::end))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
}

pub(super) fn routes(state: &WebState) -> Router<WebState> {
    let (router, _) = documented().split_for_parts();
    router.route_layer(from_fn_with_state(state.clone(), guard::check))
}

/// The description of the API as JSON text (`OpenAPI` 3.1), as it stands in `docs/openapi.json`.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn openapi() -> Result<String, serde_json::Error> {
    documented().into_openapi().to_pretty_json()
}

/// Who asks, as the door has found out.
struct Asked {
    core: Arc<Core>,
    principal: Arc<Principal>,
    request: Arc<str>,
}

impl FromRequestParts<WebState> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Response> {
        let principal = parts.extensions.get::<Arc<Principal>>().cloned().ok_or_else(error::unauthorized)?;
        let request = parts.extensions.get::<RequestId>().map(|id| Arc::clone(&id.0)).unwrap_or_default();
        Ok(Self { core: Arc::clone(&state.core), principal, request })
    }
}

impl Asked {
    fn failed(&self, failure: ServiceError) -> Response {
        error::api(failure, &self.request)
    }
}

/// What a handler answers: a result, or an error as it goes over the wire.
type Answer = Result<Response, Response>;

/// A JSON answer that nobody keeps.
fn shown<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn not_found(what: &str) -> Response {
    error::problem(StatusCode::NOT_FOUND, "Not found", &format!("There is no such {what}."))
}

/// Reads a JSON body.
async fn read_body<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Response> {
    read_body_up_to(LONGEST, headers, body).await
}

/// Reads a JSON body of at most so many bytes.
async fn read_body_up_to<T: DeserializeOwned>(longest: usize, headers: &HeaderMap, body: Body) -> Result<T, Response> {
    let wrong =
        |status: StatusCode, detail: &str| error::problem(status, status.canonical_reason().unwrap_or("Error"), detail);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json."));
    }
    let body = axum::body::to_bytes(body, longest).await;
    let body = body.map_err(|_| wrong(StatusCode::PAYLOAD_TOO_LARGE, "The body is too long, or ended too early."))?;
    serde_json::from_slice(&body)
        .map_err(|error| wrong(StatusCode::BAD_REQUEST, &format!("The body does not read: {error}")))
}
