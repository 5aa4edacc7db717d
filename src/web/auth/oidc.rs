//! OpenID Connect: the sign-in, the way back, and the place where providers say that sessions end.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde_json::json;
use url::form_urlencoded;

use super::{browser, leave, purpose, remember, show};
use crate::base::Causes;
use crate::service::sign_in::{Beginning, Begun, Ended};
use crate::web::WebState;
use crate::web::visitor::Visitor;

/// The largest logout token with its form, in bytes.
const LARGEST: usize = 32 * 1024;

/// `GET /sso/oidc/{connection}/login`: begins a sign-in.
pub(super) async fn login(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let begun = state.core.begin_oidc(&connection, &purpose(&uri), &browser(&visitor, &headers), &visitor.origin).await;
    let Begun { message, secret } = match begun {
        Ok(Beginning::Begun(begun)) => begun,
        Ok(Beginning::Not(ended)) => return show(&visitor, Ok(ended)),
        Err(failure) => return show(&visitor, Err(failure)),
    };
    let Some(mut response) = leave(&message) else { return show(&visitor, Ok(Ended::Refused)) };
    remember(&visitor, &secret, &mut response);
    response
}

/// `GET /sso/oidc/{connection}/callback`: takes the provider's answer.
pub(super) async fn callback(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let (query, browser) = (uri.query().unwrap_or_default(), browser(&visitor, &headers));
    show(&visitor, state.core.complete_oidc(&connection, query, &browser, &visitor.origin).await)
}

/// `POST /sso/oidc/{connection}/backchannel-logout` (OpenID Connect Back-Channel Logout 1.0 §2.5): 200, or 400 with why.
pub(super) async fn back_channel_logout(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
    request: Request,
) -> Response {
    let Some(token) = logout_token(request).await else {
        return told(StatusCode::BAD_REQUEST, "invalid_request", "the form has no logout_token");
    };
    match state.core.back_channel_logout(&connection, &token, &visitor.origin).await {
        Ok(Ok(_)) => answer(StatusCode::OK, Body::empty()),
        // What failed stands in the log: anybody can ask.
        Ok(Err(_)) => told(StatusCode::BAD_REQUEST, "invalid_request", "the logout token is refused"),
        Err(failure) => {
            tracing::error!(error = %Causes(&failure), "a logout could not be carried out");
            told(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "try again")
        }
    }
}

async fn logout_token(request: Request) -> Option<String> {
    let kind = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.split(';').next()?.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let body = axum::body::to_bytes(request.into_body(), LARGEST).await.ok()?;
    let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Some(token.into_owned()),
        _ => None,
    }
}

fn told(status: StatusCode, error: &str, description: &str) -> Response {
    answer(status, Body::from(json!({"error": error, "error_description": description}).to_string()))
}

fn answer(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
