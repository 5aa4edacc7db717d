//! Forms of our pages.

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::header;
use url::form_urlencoded;

use super::WebState;
use super::pages;
use super::visitor::Visitor;

/// The longest body of a form, in bytes.
const LONGEST: usize = 16 * 1024;
/// The hidden field.
const FIELD: &str = "form";

/// The fields of a form that one of our pages sent from this browser.
#[derive(Debug)]
pub(in crate::web) struct Form(Vec<(String, String)>);

impl Form {
    /// A field; empty if it is missing.
    pub(in crate::web) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl FromRequest<WebState> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &WebState) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let visitor = Visitor::read(state, &parts);
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(pages::forged(&visitor));
        }
        let body = axum::body::to_bytes(body, LONGEST).await.map_err(|_| pages::forged(&visitor))?;
        let form = Self(form_urlencoded::parse(&body).into_owned().collect());
        if visitor.sent_form(form.get(FIELD)) { Ok(form) } else { Err(pages::forged(&visitor)) }
    }
}
