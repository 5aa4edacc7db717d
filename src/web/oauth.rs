//! Where OAuth 2.0 clients get their access tokens: the client credentials grant (RFC 6749 §4.4).

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::WebState;
use super::request_id::RequestId;
use super::scim::{Peer, client as client_of};
use crate::base::Causes;
use crate::service::clients::{GrantError, Issued};

const PATH: &str = "/oauth/token";
/// The longest body in bytes; a grant takes a few hundred.
const LONGEST: usize = 16 * 1024;

pub(super) fn routes() -> Router<WebState> {
    Router::new().route(PATH, post(token).fallback(only_post))
}

async fn token(
    State(state): State<WebState>,
    request: Extension<RequestId>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let until = tokio::time::Instant::now() + state.request_timeout;
    let issued = match tokio::time::timeout_at(until, Form::read(&headers, body)).await {
        Ok(Ok(form)) => tokio::time::timeout_at(until, grant(&state, peer.as_deref(), &headers, &form))
            .await
            .unwrap_or_else(|_| Err(Refusal::took_too_long())),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::invalid_request("The body took too long to come.")),
    };
    issued.map_or_else(|refusal| refusal.answer(&request.0.0), |issued| shown(StatusCode::OK, &granted(&issued)))
}

async fn only_post() -> Response {
    let refusal = Refusal::invalid_request("Access tokens are given for a POST only (RFC 6749, section 3.2).");
    let mut response = Refusal { status: StatusCode::METHOD_NOT_ALLOWED, ..refusal }.answer("");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn grant(state: &WebState, peer: Option<&Peer>, headers: &HeaderMap, form: &Form) -> Result<Issued, Refusal> {
    let (client, secret) = credentials(headers, form)?;
    match form.get("grant_type")? {
        Some("client_credentials") => {}
        Some(_) => return Err(Refusal::new("unsupported_grant_type", "Only client_credentials is offered.")),
        None => return Err(Refusal::invalid_request("grant_type is missing: use client_credentials.")),
    }
    let from = client_of(state, peer, headers);
    Ok(state.core.grant(&client, &secret, form.get("scope")?, from).await?)
}

/// The parameters of a request.
struct Form(Vec<(String, String)>);

impl Form {
    async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::invalid_request("Send the parameters as application/x-www-form-urlencoded."));
        }
        let body = axum::body::to_bytes(body, LONGEST).await;
        let body = body.map_err(|_| Refusal::invalid_request("The body is too long, or ended too early."))?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// A parameter. Without a value it counts as left out, and it may come once only (RFC 6749 §3.2).
    fn get(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(known, value)| known == name && !value.is_empty());
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(Refusal::invalid_request(format!("{name} is there more than once."))),
            (first, _) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }
}

/// The client's credentials from the header or the body, not from both (RFC 6749 §2.3.1).
fn credentials(headers: &HeaderMap, form: &Form) -> Result<(String, String), Refusal> {
    let in_body = (form.get("client_id")?, form.get("client_secret")?);
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        return match in_body {
            (Some(client), Some(secret)) => Ok((client.to_owned(), secret.to_owned())),
            _ => Err(Refusal::invalid_client("Send client_id and client_secret, in the body or by HTTP Basic.")),
        };
    };
    if in_body.1.is_some() {
        return Err(Refusal::invalid_request("Send the credentials in the header or in the body, not in both."));
    }
    let unreadable = || Refusal::invalid_client("The Authorization header does not read as HTTP Basic.");
    let (client, secret) = header.to_str().ok().and_then(basic).ok_or_else(unreadable)?;
    if in_body.0.is_some_and(|other| other != client) {
        return Err(Refusal::invalid_request("client_id in the body is not that of the header."));
    }
    Ok((client, secret))
}

/// The credentials of HTTP Basic, of which each part is encoded as a form value (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    let text = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok()).flatten()?;
    let text = String::from_utf8(text).ok()?;
    let (client, secret) = text.split_once(':')?;
    // One pair without '=' is a name: the form's own reader decodes it.
    let decoded = |part: &str| form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some((decoded(client)?, decoded(secret)?))
}

/// Why there is no token, in the words of RFC 6749 §5.2.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    detail: String,
    retry_after: Option<u64>,
    cause: Option<Box<GrantError>>,
}

impl Refusal {
    fn new(error: &'static str, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, detail: detail.into(), retry_after: None, cause: None }
    }

    fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new("invalid_request", detail)
    }

    fn invalid_client(detail: &str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", detail) }
    }

    fn too_many(wait: Duration, error: &'static str, detail: &str) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { status, retry_after: Some(wait.as_secs().max(1)), ..Self::new(error, detail) }
    }

    /// RFC 6749 §5.2 has no word for this; that of §4.1.2.1 says it.
    fn unavailable(detail: &str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, retry_after: Some(5), ..Self::new("temporarily_unavailable", detail) }
    }

    fn took_too_long() -> Self {
        tracing::error!("a request for an access token took too long");
        Self::unavailable("The request took too long. Try again.")
    }

    fn answer(self, request: &str) -> Response {
        let mut detail = self.detail;
        if let Some(cause) = self.cause {
            tracing::error!(error = %Causes(&*cause), "an access token could not be given");
            detail = format!("{detail} Reference for the operator: {request}");
        }
        let mut response = shown(self.status, &json!({"error": self.error, "error_description": detail}));
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"OAuth\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<GrantError> for Refusal {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::InvalidClient => Self::invalid_client(
                "The client is not known, its secret is wrong, or it or its connection is out of use.",
            ),
            GrantError::Elsewhere => Self::new(
                "unauthorized_client",
                "The connection of this client does not take requests from this address.",
            ),
            GrantError::InvalidScope => {
                Self::new("invalid_scope", "The scope is not known (read, write), or more than the client has.")
            }
            GrantError::TooManyWrong(wait) => Self::too_many(
                wait,
                "invalid_client",
                "The client is not known or its secret is wrong, too often by now. Wait, and check both.",
            ),
            GrantError::TooManyTokens(wait) => Self::too_many(
                wait,
                "temporarily_unavailable",
                "This client gets more access tokens a minute than it can need. Use each until it ends (expires_in).",
            ),
            GrantError::Service(_) => Self {
                cause: Some(Box::new(error)),
                ..Self::unavailable("The service cannot give a token right now. Try again.")
            },
        }
    }
}

fn granted(issued: &Issued) -> Value {
    let scope = if issued.scope.as_str() == "write" { "read write" } else { "read" };
    json!({
        "access_token": issued.token.expose(),
        "token_type": "Bearer",
        "expires_in": issued.lifetime.as_secs(),
        "scope": scope,
    })
}

/// A body that nobody keeps (RFC 6749 §5.1).
fn shown(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    for (name, value) in
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let pair = |client: &str, secret: &str| Some((client.to_owned(), secret.to_owned()));
        assert_eq!(basic(&header("a:b")), pair("a", "b"));
        assert_eq!(basic(&header("a%3Ab:c+d%25")), pair("a:b", "c d%"));
        assert_eq!(basic(&header("a:b:c")), pair("a", "b:c"));
        for wrong in ["Basic", "Basic !", "Bearer YTpi", &header("ab"), &header(":b"), &header("a:")] {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
    }
}
