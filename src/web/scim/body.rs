//! Bodies of SCIM requests.

use axum::body::Body;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use crate::scim::{ScimError, json};

/// Reads a JSON body of at most `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Value, ScimError> {
    check_media_type(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => json::parse(&collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(ScimError::invalid_syntax("The request ended before its body was complete.")),
    }
}

fn too_large(limit: usize) -> ScimError {
    ScimError::payload_too_large(format!(
        "The request body is larger than {limit} bytes. Send fewer members or resources at once."
    ))
}

/// JSON under either of its names (RFC 7644 §3.1 and §8.2); a request without the header is taken as JSON.
fn check_media_type(headers: &HeaderMap) -> Result<(), ScimError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.is_empty() || ["application/scim+json", "application/json"].contains(&essence.as_str()) {
        return Ok(());
    }
    Err(ScimError::unsupported_media_type(
        "Send the body with Content-Type application/scim+json (or application/json).",
    ))
}
