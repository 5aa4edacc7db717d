//! SAML 2.0: the sign-in, our metadata, and the place where responses come.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use url::form_urlencoded;

use super::{browser, leave, purpose, remember, show};
use crate::service::sign_in::{Beginning, Begun, Ended};
use crate::sso::saml::Outgoing;
use crate::web::WebState;
use crate::web::pages;
use crate::web::visitor::Visitor;

/// The largest form that may come, in bytes: the longest response in base64, escaped.
const LARGEST: usize = 640 * 1024;
/// Of a form that is too large, so much is read all the same.
const DROPPED: usize = 32 << 20;

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
    let mut form = match form(request).await {
        Ok(form) => form,
        Err(status) => return pages::error(&visitor, status),
    };
    let (Some(response), relay) = (form.take("SAMLResponse"), form.take("RelayState")) else {
        return pages::error(&visitor, StatusCode::BAD_REQUEST);
    };
    show(&visitor, state.core.complete_saml(&connection, response, relay, &browser, &visitor.origin).await)
}

/// The fields of a form that a browser brings from another site.
pub(super) struct Posted(Vec<(String, String)>);

impl Posted {
    /// Takes a field; one that is there twice is none.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let places: Vec<usize> = (0..self.0.len()).filter(|place| self.0[*place].0 == name).collect();
        match places[..] {
            [place] => Some(self.0.swap_remove(place).1),
            _ => None,
        }
    }
}

/// Reads a form.
pub(super) async fn form(request: Request) -> Result<Posted, StatusCode> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = whole(request.into_body()).await?;
    Ok(Posted(form_urlencoded::parse(&body).into_owned().collect()))
}

/// Reads a body. What is too much is read and dropped, up to a limit: whoever is still sending would not see the answer.
async fn whole(mut body: Body) -> Result<Vec<u8>, StatusCode> {
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(data) = frame.data_ref() else { continue };
        length = length.saturating_add(data.len());
        if length > DROPPED {
            break;
        }
        if length > LARGEST {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(data);
        }
    }
    if length > LARGEST { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(kept) }
}
