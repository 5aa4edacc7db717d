//! The one place where errors become answers.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::routes::ROUTES;
use crate::base::Causes;
use crate::scim::ScimError;
use crate::scim::messages::MEDIA_TYPE;
use crate::service::ServiceError;

/// How long a client should wait when the database is away, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// A SCIM Error body (RFC 7644 §3.12).
pub(super) fn scim(error: &ScimError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, error.to_body().to_string()).into_response();
    // For the log of pushes.
    response.extensions_mut().insert(error.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"SCIM\""));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        _ => {}
    }
    response
}

/// What a failed use case is on a SCIM path.
pub(super) fn scim_service(error: ServiceError, request: &str) -> Response {
    scim(&explained(error, request))
}

/// What a caller is told of a failed use case. What the caller cannot mend is logged here, once, and answered with a
/// reference only.
pub(super) fn explained(error: ServiceError, request: &str) -> ScimError {
    match error {
        ServiceError::Scim(error) => error,
        ServiceError::Missing { .. } => ScimError::not_found(error.to_string()),
        ServiceError::Invalid(_) => ScimError::invalid_value(error.to_string()),
        ServiceError::Taken(_) => ScimError::uniqueness(error.to_string()),
        ServiceError::Store(_) if error.may_pass() => {
            tracing::error!(error = %Causes(&error), "the database is not available");
            ScimError::unavailable("The service cannot reach its database right now. Try again.")
        }
        ServiceError::Store(_) => {
            tracing::error!(error = %Causes(&error), "a request failed for a reason of ours");
            ScimError::internal(request)
        }
    }
}

/// RFC 9457 for everything that is not SCIM.
pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Response {
    shown(status, &json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail}))
}

fn shown(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// A path that is there, and a method that is not.
pub(super) fn wrong_method(path: &str) -> Response {
    let mut allowed: Vec<&str> = ROUTES.iter().filter(|row| row.path == path).map(|row| row.method).collect();
    allowed.sort_unstable();
    let detail = format!("This address takes {}.", allowed.join(", "));
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", &detail);
    if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// The API knows neither session nor key.
pub(super) fn unauthorized() -> Response {
    let mut response = problem(
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "Sign in, or send an API key as a bearer token. Make one with `rollcall api-key create`.",
    );
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Rollcall\""));
    response
}

/// The sign-in is too long ago for what is asked for (the page `/step-up` mends it).
pub(super) fn fresh_sign_in_required() -> Response {
    let body = json!({
        "type": "urn:rollcall:problem:fresh-sign-in-required", "title": "Fresh sign-in required", "status": 403,
        "detail": "This needs a sign-in within the last five minutes. Open /step-up in the browser, then try again.",
        "step_up": "/step-up",
    });
    shown(StatusCode::FORBIDDEN, &body)
}

/// What a failed use case is in the API. What the caller cannot mend is logged here, once.
pub(super) fn api(error: ServiceError, request: &str) -> Response {
    let told = explained(error, request);
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = problem(status, status.canonical_reason().unwrap_or("Error"), &told.detail);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}

/// Nobody who is not a browser finds anything here.
pub(super) fn nothing_here() -> Response {
    problem(StatusCode::NOT_FOUND, "Not found", "There is nothing at this address. SCIM is at /scim/v2.")
}
