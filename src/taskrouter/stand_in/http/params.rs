//! The parameters of a request, and the address under which the caller reached us.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode, header};
use serde::de::DeserializeOwned;

use super::super::error::ApiError;

/// The parameters: the form of a POST, the query of anything else. Names are `PascalCase`; of a repeated one the last counts.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if request.method() != Method::POST {
            return Ok(Self(decode(request.uri().query().unwrap_or_default().as_bytes())?));
        }
        let content_type = content_type(&request);
        let body = body(request, state).await?;
        if body.is_empty() {
            return Ok(Self::default());
        }
        if content_type != "application/x-www-form-urlencoded" {
            return Err(ApiError::bad("The body is to be sent as application/x-www-form-urlencoded"));
        }
        Ok(Self(decode(&body)?))
    }
}

impl Params {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        let text = self.text(name).filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| ApiError::bad(format!("Missing required parameter {name} in the post body")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(Some(false)),
            Some(_) => Err(invalid(name)),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, ApiError> {
        self.text(name).map(|text| text.parse().map_err(|_| invalid(name))).transpose()
    }

    /// All parameters but those of paging, for the links to other pages.
    pub(super) fn besides_paging(&self) -> impl Iterator<Item = (&str, &str)> {
        let paging = ["PageSize", "Page", "PageToken"];
        self.0.iter().filter(move |(name, _)| !paging.contains(&name.as_str())).map(|(name, value)| (&**name, &**value))
    }
}

pub(super) fn invalid(name: &str) -> ApiError {
    ApiError::bad(format!("Invalid parameter {name}"))
}

fn decode(text: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    serde_urlencoded::from_bytes(text).map_err(|_| ApiError::bad("The parameters cannot be read"))
}

fn content_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, 20001, "The body is too large"),
        _ => ApiError::bad("The body cannot be read"),
    })
}

/// A body of JSON: for the Flex calls that take it, and for the control endpoints.
///
/// The content type is demanded because a web page can send a form to a local port, but not this without being asked.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if content_type(&request) != "application/json" {
            return Err(ApiError::bad("The body is to be sent as application/json"));
        }
        let body = body(request, state).await?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| ApiError::bad(format!("The body is not as expected: {error}")))
    }
}

/// `http://host:port` as the caller wrote it: the links in answers must lead back here.
#[derive(Debug, Clone)]
pub(super) struct Base(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let header = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = header.or_else(|| parts.uri.authority().map(Authority::as_str)).unwrap_or("localhost");
        Ok(Self(format!("http://{host}")))
    }
}
