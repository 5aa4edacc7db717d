//! Requests, responses and errors of the outbound client.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

/// Who chose the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The operator, in the configuration: any address, and plain HTTP to the loopback interface.
    Operator,
    /// Anybody else (metadata and key URLs, webhooks): HTTPS to public addresses only, checked after name resolution.
    Public,
    /// As [`Public`](Self::Public), and for development this machine too, also over plain HTTP: `localhost`, names below it
    /// and literal loopback addresses. Other names that lead to the loopback stay refused.
    PublicOrLoopback,
}

impl Destination {
    /// Where URLs that administrators chose may lead, by the development switch `sso.allow_loopback_http`.
    #[must_use]
    pub const fn of_administrators(allow_loopback_http: bool) -> Self {
        if allow_loopback_http { Self::PublicOrLoopback } else { Self::Public }
    }
}

/// What a request carries.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// `application/json`.
    Json(Value),
    /// Any other content type.
    Other(HeaderValue, Bytes),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) destination: Destination,
    pub(super) headers: HeaderMap,
    pub(super) basic_auth: Option<(String, SecretString)>,
    pub(super) body: Body,
    pub(super) timeout: Duration,
    pub(super) cap: usize,
}

impl Request {
    /// The time from the first packet to the last byte of the answer, unless the request says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(15);
    /// The most bytes of an answer's body, unless the request says otherwise.
    pub const CAP: usize = 4 << 20;

    /// The time that an identity provider gets: a person waits for it.
    pub const IDENTITY_PROVIDER_TIMEOUT: Duration = Duration::from_secs(5);
    /// The most bytes of an identity provider's answer: key sets have some kilobytes, SAML metadata up to some hundred.
    pub const IDENTITY_PROVIDER_CAP: usize = 1 << 20;

    /// What this program calls itself, unless the request says otherwise.
    pub const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("rollcall/", env!("CARGO_PKG_VERSION")));

    /// A request without body, with the default time-out and cap.
    pub fn new(method: Method, url: Url, destination: Destination) -> Self {
        Self {
            method,
            url,
            destination,
            headers: HeaderMap::from_iter([(USER_AGENT, Self::USER_AGENT)]),
            basic_auth: None,
            body: Body::Empty,
            timeout: Self::TIMEOUT,
            cap: Self::CAP,
        }
    }

    /// A request to an identity provider, whose address an administrator chose: little time, and small answers.
    pub fn to_identity_provider(method: Method, url: Url, destination: Destination) -> Self {
        Self::new(method, url, destination).timeout(Self::IDENTITY_PROVIDER_TIMEOUT).cap(Self::IDENTITY_PROVIDER_CAP)
    }

    /// Adds a header, replacing one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Leaves out a header that would be sent otherwise.
    #[must_use]
    pub fn without_header(mut self, name: &HeaderName) -> Self {
        self.headers.remove(name);
        self
    }

    /// HTTP Basic authentication (RFC 7617).
    #[must_use]
    pub fn basic_auth(mut self, username: &str, password: &SecretString) -> Self {
        self.basic_auth = Some((username.to_owned(), password.clone()));
        self
    }

    /// Sets the body and with it the content type.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sets the time-out of the whole exchange.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the most bytes that the answer's body may have.
    #[must_use]
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }
}

/// An answer, whatever its status; redirects are answers too.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Response {
    /// A header as text, `None` if it is absent or not text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// There is no usable answer. The texts hold neither the URL nor anything that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection came about, so the request was surely not processed.
    #[error("no connection: {0}")]
    NotSent(String),
    /// No complete answer in time; the request may have been processed.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke; the request may have been processed.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than the cap; the request was answered, hence probably processed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The address is not allowed; nothing was sent.
    #[error("the address is refused: {0}")]
    Refused(&'static str),
}

impl HttpError {
    /// Whether it is certain that the other side processed nothing.
    pub fn surely_not_processed(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Refused(_))
    }
}
