//! Rollcall as the identity provider of Flex: its requests, and the way there.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, Uri, header};
use url::form_urlencoded;

use super::leave;
use super::saml::form;
use crate::service::Principal;
use crate::service::broker::ToFlex;
use crate::service::sign_in::LogoutMessage as Message;
use crate::sso::saml::Outgoing;
use crate::web::WebState;
use crate::web::pages;
use crate::web::visitor::Visitor;

/// `GET /sso/flex/{account}/metadata`: we, as an identity provider.
pub(super) async fn metadata(State(state): State<WebState>, Path(account): Path<String>, visitor: Visitor) -> Response {
    match state.core.broker_metadata(&account).await {
        Ok(Some(text)) => {
            let mut response = Response::new(Body::from(text));
            let kind = HeaderValue::from_static("application/samlmetadata+xml");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        Ok(None) => pages::error(&visitor, StatusCode::NOT_FOUND),
        Err(failure) => pages::failed(&visitor, &failure),
    }
}

/// `GET /sso/flex/{account}/login`: a request of Flex by redirect.
pub(super) async fn redirected(
    State(state): State<WebState>,
    Path(account): Path<String>,
    visitor: Visitor,
    uri: Uri,
) -> Response {
    let message = Message::Query(uri.query().unwrap_or_default().to_owned());
    asked(&state, &account, message, &visitor).await
}

/// `POST /sso/flex/{account}/login`: a request of Flex by form.
pub(super) async fn posted(
    State(state): State<WebState>,
    Path(account): Path<String>,
    visitor: Visitor,
    request: Request,
) -> Response {
    let mut form = match form(request).await {
        Ok(form) => form,
        Err(status) => return pages::error(&visitor, status),
    };
    let relay_state = form.take("RelayState");
    let Some(message) = form.take("SAMLRequest") else { return pages::error(&visitor, StatusCode::BAD_REQUEST) };
    asked(&state, &account, Message::Form { message, relay_state }, &visitor).await
}

/// The person goes on to `/flex`, by way of the sign-in where that is needed.
async fn asked(state: &WebState, account: &str, message: Message, visitor: &Visitor) -> Response {
    match state.core.asked_by_flex(account, message, &visitor.origin).await {
        Ok(Some(Ok(waiting))) => Visitor::go(&format!("/flex?request={waiting}")),
        Ok(Some(Err(_))) => pages::error(visitor, StatusCode::FORBIDDEN),
        Ok(None) => pages::error(visitor, StatusCode::NOT_FOUND),
        Err(failure) => pages::failed(visitor, &failure),
    }
}

/// `GET /flex`: takes the person, who is signed in, to Flex.
pub(super) async fn go(
    State(state): State<WebState>,
    visitor: Visitor,
    Extension(principal): Extension<Arc<Principal>>,
    uri: Uri,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let waiting = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "request").map(|(_, value)| value);
    match state.core.to_flex(&principal, waiting.as_deref()).await {
        Ok(ToFlex::Carry(message)) => {
            let response = match message {
                Outgoing::Redirect(url) => leave(&url),
                Outgoing::Post { action, fields } => pages::post_elsewhere(&visitor, &action, &fields),
            };
            response.unwrap_or_else(|| pages::error(&visitor, StatusCode::BAD_GATEWAY))
        }
        Ok(ToFlex::StepUp) => {
            Visitor::go(&pages::step_up_path(uri.path_and_query().map_or("/flex", |path| path.as_str())))
        }
        Ok(ToFlex::Refused) => pages::error(&visitor, StatusCode::FORBIDDEN),
        Ok(ToFlex::Unknown) => pages::error(&visitor, StatusCode::NOT_FOUND),
        Err(failure) => pages::failed(&visitor, &failure),
    }
}
