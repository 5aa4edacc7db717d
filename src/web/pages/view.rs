//! How a page looks and what goes with it: language, style, headers.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::assets;
use super::texts::{Language, Texts};
use crate::base::Causes;
use crate::web::visitor::Visitor;

/// Nothing but our own style, icon and forms; nobody shows us in a frame.
pub(in crate::web) const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page has.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) language: Language,
    pub(super) t: &'static Texts,
    pub(super) style: &'static str,
    pub(super) icon: &'static str,
    /// The value of the hidden field of forms.
    pub(super) form: String,
}

impl Page {
    pub(super) fn of(visitor: &Visitor) -> Self {
        let language = visitor.language;
        Self { language, t: language.texts(), style: assets::style(), icon: assets::icon(), form: visitor.form_field() }
    }
}

/// Some lines of text, with a reference or a link below them.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub(super) struct Message<'a> {
    pub(super) p: Page,
    pub(super) title: &'a str,
    pub(super) lines: Vec<String>,
    pub(super) reference: Option<&'a str>,
    pub(super) link: Option<(&'a str, &'a str)>,
}

/// The page as an answer. It is for this person at this moment: nobody keeps it.
pub(super) fn show<T: Template>(visitor: &Visitor, status: StatusCode, template: &T) -> Response {
    let text = template.render().unwrap_or_else(|error| {
        tracing::error!(error = %Causes(&error), "a page could not be made");
        format!("Reference: {}\n", visitor.origin.reference)
    });
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // With `no-referrer` browsers would send forms without an origin.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::VARY, "accept-language, cookie"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    visitor.remember_form(headers);
    response
}
