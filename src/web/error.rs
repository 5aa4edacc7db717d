//! The one place where errors become answers.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

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
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

pub(super) async fn no_such_page() -> Response {
    problem(StatusCode::NOT_FOUND, "Not found", "There is nothing at this address. SCIM is at /scim/v2.")
}
