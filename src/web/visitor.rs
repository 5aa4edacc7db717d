//! The browser behind a request: its language, its cookies, where it comes from.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq as _;

use super::WebState;
use super::cookie::{Cookie, Jar};
use super::pages::Language;
use super::request_id::RequestId;
use super::scim::{Peer, client};
use crate::base::token_hash;
use crate::service::sign_ins::Origin;

/// What a page needs to know of who asks for it. Who the person is says the session, which is looked up where it counts.
#[derive(Clone, Debug)]
pub(in crate::web) struct Visitor {
    /// The language that is wanted most.
    pub(in crate::web) language: Language,
    /// Address, browser and the id of the request.
    pub(in crate::web) origin: Origin,
    /// The secret of the session's cookie, unchecked.
    pub(in crate::web) session: Option<String>,
    /// How cookies are set.
    pub(in crate::web) jar: Jar,
    form: String,
    form_is_new: bool,
}

impl Visitor {
    /// Reads it from a request.
    pub(in crate::web) fn read(state: &WebState, parts: &Parts) -> Self {
        let headers = &parts.headers;
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let jar = Jar::new(state.core.public_url());
        let known = jar.get(headers, Cookie::Form).filter(|value| (32..=64).contains(&value.len()));
        let form_is_new = known.is_none();
        let form = known.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(state.core.ambient().bytes::<32>()));
        Self {
            language: Language::accepted(text(header::ACCEPT_LANGUAGE)),
            origin: Origin {
                address: client(state, parts.extensions.get::<Peer>(), headers),
                user_agent: text(header::USER_AGENT).to_owned(),
                reference: parts.extensions.get::<RequestId>().map(|id| id.0.to_string()).unwrap_or_default(),
            },
            session: jar.get(headers, Cookie::Session),
            jar,
            form,
            form_is_new,
        }
    }

    /// The value of the hidden field of forms: who cannot read our cookie cannot make it.
    pub(in crate::web) fn form_field(&self) -> String {
        token_hash(&format!("form:{}", self.form))
    }

    /// Whether the hidden field of a form is that of this browser.
    pub(in crate::web) fn sent_form(&self, field: &str) -> bool {
        !self.form_is_new && bool::from(self.form_field().as_bytes().ct_eq(field.as_bytes()))
    }

    /// Sets the cookie from which the hidden field is made, if the browser has none.
    pub(in crate::web) fn remember_form(&self, headers: &mut HeaderMap) {
        if self.form_is_new
            && let Some(cookie) = self.jar.set(Cookie::Form, &self.form)
        {
            headers.append(header::SET_COOKIE, cookie);
        }
    }

    /// Leads to a path of ours by GET.
    pub(in crate::web) fn go(path: &str) -> Response {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let headers = response.headers_mut();
        if let Ok(path) = HeaderValue::from_str(path) {
            headers.insert(header::LOCATION, path);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// Gives the browser its session, and leads on.
    pub(in crate::web) fn go_signed_in(&self, secret: &str, path: &str) -> Response {
        let mut response = Self::go(path);
        if let Some(cookie) = self.jar.set(Cookie::Session, secret) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Takes the session's cookie away from the browser.
    pub(in crate::web) fn forget_session(&self, response: &mut Response) {
        if let Some(cookie) = self.jar.clear(Cookie::Session) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

impl FromRequestParts<WebState> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Infallible> {
        Ok(Self::read(state, parts))
    }
}
