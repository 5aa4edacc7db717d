//! Pages for people: few, plain, without scripts, in English and Spanish.

mod assets;
mod me;
mod owner;
mod sign_in;
mod texts;
mod view;

use askama::Template;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::{Url, form_urlencoded};

pub(in crate::web) use texts::Language;

use super::WebState;
use super::guard;
use super::visitor::Visitor;
use crate::base::Causes;
use crate::domain::Destination;
use crate::service::ServiceError;
use crate::service::sign_in::NoAccess;
use view::{Message, Page, show};

pub(super) fn routes(state: &WebState) -> Router<WebState> {
    Router::new()
        .route("/", get(me::page))
        .route("/assets/{name}", get(assets::get))
        .route("/sign-in", get(sign_in::page).post(sign_in::name))
        .route("/sign-in/password", post(sign_in::password))
        .route("/sign-out", post(sign_in::out))
        .route("/signed-out", get(sign_in::signed_out))
        .route("/sign-out/everywhere", post(me::out_everywhere))
        .route("/sessions/{id}/end", post(me::end_session))
        .route("/step-up", get(sign_in::step_up).post(sign_in::stepped_up))
        .route("/owner/{secret}", get(owner::page).post(owner::become_owner))
        .route_layer(from_fn_with_state(state.clone(), guard::check))
}

/// The page for somebody who has no access: why, and whom to ask. What failed in detail stands in the log of sign-ins under
/// the reference.
pub(in crate::web) fn no_access(visitor: &Visitor, why: NoAccess) -> Response {
    let p = Page::of(visitor);
    let why = match why {
        NoAccess::NoRole => p.t.no_access_role,
        NoAccess::Inactive => p.t.no_access_inactive,
        NoAccess::Unknown => p.t.no_access_unknown,
    };
    refused(visitor, StatusCode::FORBIDDEN, why)
}

/// The page for somebody who is signed in and whose role may not do this.
pub(in crate::web) fn not_permitted(visitor: &Visitor) -> Response {
    refused(visitor, StatusCode::FORBIDDEN, Page::of(visitor).t.no_access_not_permitted)
}

fn refused(visitor: &Visitor, status: StatusCode, why: &str) -> Response {
    let p = Page::of(visitor);
    let (title, lines) = (p.t.no_access, vec![why.to_owned(), p.t.ask_whom.to_owned()]);
    let reference = Some(visitor.origin.reference.as_str());
    show(visitor, status, &Message { p, title, lines, reference, link: None })
}

/// The page for a sign-in or request that failed: a reference and nothing else, whatever the reason.
pub(in crate::web) fn error(visitor: &Visitor, status: StatusCode) -> Response {
    let text = Page::of(visitor).t.error_text;
    message(visitor, status, text)
}

/// The page for a form that does not come from a page of ours.
pub(in crate::web) fn forged(visitor: &Visitor) -> Response {
    message(visitor, StatusCode::FORBIDDEN, Page::of(visitor).t.error_form)
}

/// The page for when we are overloaded or without a database.
pub(in crate::web) fn unavailable(visitor: &Visitor) -> Response {
    let mut response = message(visitor, StatusCode::SERVICE_UNAVAILABLE, Page::of(visitor).t.error_unavailable);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The page for a use case that failed for a reason of ours, which is logged here, once.
pub(in crate::web) fn failed(visitor: &Visitor, failure: &ServiceError) -> Response {
    let passing = failure.may_pass();
    tracing::error!(error = %Causes(failure), "a page could not be answered");
    if passing { unavailable(visitor) } else { error(visitor, StatusCode::INTERNAL_SERVER_ERROR) }
}

/// What is answered where there is nothing: a page for browsers, problem+json for others.
pub(in crate::web) async fn no_such_page(visitor: Visitor, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepted.contains("text/html") {
        return super::error::nothing_here();
    }
    let p = Page::of(&visitor);
    let (title, lines, link) = (p.t.not_found, vec![p.t.not_found_text.to_owned()], Some((p.t.back_home, "/")));
    show(&visitor, StatusCode::NOT_FOUND, &Message { p, title, lines, reference: None, link })
}

fn message(visitor: &Visitor, status: StatusCode, text: &str) -> Response {
    let p = Page::of(visitor);
    let (title, lines) = (p.t.error, vec![text.to_owned()]);
    let link = Some((p.t.back_home, "/"));
    let reference = Some(visitor.origin.reference.as_str());
    show(visitor, status, &Message { p, title, lines, reference, link })
}

/// Leads to another site by a page: a redirect that answers a form would be held against the policy for forms, in which other
/// sites have no place.
pub(in crate::web) fn forward(visitor: &Visitor, url: &str) -> Response {
    let p = Page::of(visitor);
    let (title, lines, link) = (p.t.forward, vec![p.t.forward_text.to_owned()], Some((p.t.continue_, url)));
    let mut response = show(visitor, StatusCode::OK, &Message { p, title, lines, reference: None, link });
    if let Ok(value) = HeaderValue::from_str(&format!("0; url={url}")) {
        response.headers_mut().insert(header::REFRESH, value);
    }
    response
}

#[derive(Template)]
#[template(path = "post.html")]
struct PostElsewhere<'a> {
    p: Page,
    title: &'a str,
    script: &'a str,
    action: &'a str,
    fields: &'a [(&'static str, String)],
}

/// Lets the browser send a form to another site, by itself where it runs scripts; none: the address cannot be used.
pub(in crate::web) fn post_elsewhere(
    visitor: &Visitor,
    action: &str,
    fields: &[(&'static str, String)],
) -> Option<Response> {
    let origin = Url::parse(action).ok()?.origin().ascii_serialization();
    // The identity provider may send the browser on within its own site, but a policy follows redirects only as far as it says.
    let policy = HeaderValue::from_str(&format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action {origin}; base-uri 'none'; \
         frame-ancestors 'none'"
    ));
    let p = Page::of(visitor);
    let page = PostElsewhere { title: p.t.forward, p, script: assets::submit(), action, fields };
    let mut response = show(visitor, StatusCode::OK, &page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.ok()?);
    Some(response)
}

/// The path of the sign-in that leads to a page of ours afterwards.
pub(in crate::web) fn sign_in_path(to: Option<&str>) -> String {
    with_destination("/sign-in", &Destination::read_or_home(to))
}

/// The path of the step-up that leads back to a page of ours afterwards.
pub(in crate::web) fn step_up_path(to: &str) -> String {
    with_destination("/step-up", &Destination::read_or_home(Some(to)))
}

fn with_destination(path: &str, to: &Destination) -> String {
    if *to == Destination::default() {
        return path.to_owned();
    }
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("to", to.as_str()).finish();
    format!("{path}?{query}")
}
