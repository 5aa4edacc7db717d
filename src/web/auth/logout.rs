//! Single logout by SAML: requests of the identity provider, and its answers to ours, by both bindings.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use url::form_urlencoded;

use super::saml::form;
use super::{browser, leave};
use crate::service::ServiceError;
use crate::service::sign_in::{LoggedOut, LogoutMessage};
use crate::sso::saml::Outgoing;
use crate::web::WebState;
use crate::web::pages;
use crate::web::visitor::Visitor;

/// `GET /sso/saml/{connection}/slo`: a message by redirect.
pub(super) async fn redirected(
    State(state): State<WebState>,
    Path(connection): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let has = |wanted: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == wanted);
    let (asks, answers, message) = (has("SAMLRequest"), has("SAMLResponse"), LogoutMessage::Query(query.to_owned()));
    let came = match (asks, answers) {
        (true, false) => state.core.saml_logout_request(&connection, message, &visitor.origin).await,
        (false, true) => {
            let browser = browser(&visitor, &headers);
            state.core.saml_logout_response(&connection, message, &browser, &visitor.origin).await
        }
        _ => return pages::error(&visitor, StatusCode::BAD_REQUEST),
    };
    show(&visitor, came)
}

/// `POST /sso/saml/{connection}/slo`: a message by form.
pub(super) async fn posted(
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
    let relay_state = form.take("RelayState");
    let came = match (form.take("SAMLRequest"), form.take("SAMLResponse")) {
        (Some(message), None) => {
            let message = LogoutMessage::Form { message, relay_state };
            state.core.saml_logout_request(&connection, message, &visitor.origin).await
        }
        (None, Some(message)) => {
            let message = LogoutMessage::Form { message, relay_state };
            state.core.saml_logout_response(&connection, message, &browser, &visitor.origin).await
        }
        _ => return pages::error(&visitor, StatusCode::BAD_REQUEST),
    };
    show(&visitor, came)
}

fn show(visitor: &Visitor, came: Result<LoggedOut, ServiceError>) -> Response {
    match came {
        Ok(LoggedOut::Answer(answer)) => {
            carry(visitor, answer).unwrap_or_else(|| pages::error(visitor, StatusCode::BAD_GATEWAY))
        }
        Ok(LoggedOut::Done) => Visitor::go("/signed-out"),
        Ok(LoggedOut::Refused) => pages::error(visitor, StatusCode::FORBIDDEN),
        Ok(LoggedOut::Unknown) => pages::error(visitor, StatusCode::NOT_FOUND),
        Err(failure) => pages::failed(visitor, &failure),
    }
}

/// Lets the browser carry a message to the identity provider; none: the address cannot be used.
fn carry(visitor: &Visitor, message: Outgoing) -> Option<Response> {
    match message {
        Outgoing::Redirect(url) => leave(&url),
        Outgoing::Post { action, fields } => pages::post_elsewhere(visitor, &action, &fields),
    }
}
