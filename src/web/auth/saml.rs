//! SAML 2.0: the sign-in, our metadata, and the place where responses come.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use url::form_urlencoded;

use super::{browser, leave, purpose, remember, show};
use crate::service::sign_in::{Beginning, Begun, Ended};
use crate::sso::saml::Outgoing;
use crate::web::WebState;
use crate::web::pages;
use crate::web::visitor::Visitor;

/// The largest form that may come, in bytes: the longest response in base64, escaped.
const LARGEST: usize = 640 * 1024;

/// `GET /sso/saml/{connection}/login`: begins a sign-in.
pub(super) async fn login(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let begun = state.core.begin_saml(&connection, &purpose(&uri), &browser(&visitor, &headers), &visitor.origin).await;
    let Begun { message, secret } = match begun {
        Ok(Beginning::Begun(begun)) => begun,
        Ok(Beginning::Not(ended)) => return show(&visitor, Ok(ended)),
        Err(failure) => return show(&visitor, Err(failure)),
    };
    let response = match message {
        Outgoing::Redirect(url) => leave(&url),
        Outgoing::Post { action, fields } => pages::post_elsewhere(&visitor, &action, &fields),
    };
    let Some(mut response) = response else { return show(&visitor, Ok(Ended::Refused)) };
    remember(&visitor, &secret, &mut response);
    response
}

/// `GET /sso/saml/{connection}/metadata`: we, as a service provider.
pub(super) async fn metadata(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
) -> Response {
    match state.core.saml_metadata(&connection).await {
        Ok(Some(text)) => {
            let mut response = Response::new(Body::from(text));
            let kind = HeaderValue::from_static("application/samlmetadata+xml");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        Ok(None) => show(&visitor, Ok(Ended::Unknown)),
        Err(failure) => show(&visitor, Err(failure)),
    }
}

/// `POST /sso/saml/{connection}/acs`: takes a response.
pub(super) async fn acs(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
    request: Request,
) -> Response {
    let browser = browser(&visitor, request.headers());
    let form = match form(request).await {
        Ok(form) => form,
        Err(status) => return pages::error(&visitor, status),
    };
    let (Some(response), relay) = (form.response, form.relay) else {
        return pages::error(&visitor, StatusCode::BAD_REQUEST);
    };
    show(&visitor, state.core.complete_saml(&connection, response, relay, &browser, &visitor.origin).await)
}

struct Posted {
    response: Option<String>,
    relay: Option<String>,
}

/// Reads the form; a field that is there twice is none.
async fn form(request: Request) -> Result<Posted, StatusCode> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = request.into_body();
    let body = axum::body::to_bytes(body, LARGEST).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let only = |wanted: &str| {
        let mut values = form_urlencoded::parse(&body).filter(|(name, _)| name == wanted);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value.into_owned()),
            _ => None,
        }
    };
    Ok(Posted { response: only("SAMLResponse"), relay: only("RelayState") })
}
