//! A name for each request, in and out, and one line about how it went.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use tracing::Instrument as _;

use super::WebState;

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) Arc<str>);

pub(super) async fn trace(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let id: Arc<str> = given(&request).unwrap_or_else(|| state.core.ambient().id::<uuid::Uuid>().to_string().into());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    // The query is left out: filters hold names and addresses.
    let span =
        tracing::info_span!("http", method = %request.method(), path = harmless(request.uri().path()), request = &*id);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    span.in_scope(|| match status {
        500.. => tracing::warn!(status, millis, "failed"),
        401 | 403 | 429 => tracing::info!(status, millis, "refused"),
        _ => tracing::debug!(status, millis, "answered"),
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// A path as logs may have it: the secret of a link is left out.
fn harmless(path: &str) -> &str {
    const LINKS: &str = "/owner/";
    if path.starts_with(LINKS) { LINKS } else { path }
}

/// The id that a proxy or client gave, if it is harmless to repeat.
fn given(request: &Request) -> Option<Arc<str>> {
    let text = request.headers().get(HEADER)?.to_str().ok()?;
    let harmless = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    harmless.then(|| Arc::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s59_secrets_of_links_are_not_logged() {
        assert_eq!(harmless("/owner/rcl_secret"), "/owner/");
        assert_eq!(harmless("/scim/v2/Users"), "/scim/v2/Users");
    }
}
