//! The client over `reqwest`.

use std::error::Error as _;
use std::time::Duration;

use bytes::BytesMut;
use http::header::CONTENT_TYPE;
use secrecy::ExposeSecret as _;
use url::Url;

use super::address::{self, AddressRefused, GuardedResolver};
use super::message::{Body, Destination, HttpError, Request, Response};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the keep-alive of common servers and load balancers, so that a request seldom meets a connection that
/// is just being closed: that would leave the outcome of a write in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The outbound client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    operator: reqwest::Client,
    public: reqwest::Client,
}

impl HttpClient {
    /// Sets up connection pools and TLS; opens no connection.
    ///
    /// # Errors
    /// If the machine's certificate store cannot be used.
    pub fn new() -> Result<Self, HttpError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // The only failure is that another thread installed one in between, which serves as well.
            drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        }
        Ok(Self { operator: build(Destination::Operator)?, public: build(Destination::Public)? })
    }

    /// Whether a request to this URL could be sent, as far as can be said without resolving its name.
    ///
    /// # Errors
    /// [`HttpError::Refused`] with the reason.
    pub fn check(url: &Url, destination: Destination) -> Result<(), HttpError> {
        address::check(url, destination)
    }

    /// Sends one request and reads the whole answer. Nothing is repeated: the caller knows what a repetition means.
    ///
    /// # Errors
    /// Only if there is no complete answer; every status is an answer.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        address::check(&request.url, request.destination)?;
        let client = match request.destination {
            Destination::Operator => &self.operator,
            Destination::PublicOrLoopback if address::names_loopback(&request.url) => &self.operator,
            Destination::Public | Destination::PublicOrLoopback => &self.public,
        };
        let mut builder = client.request(request.method, request.url).timeout(request.timeout).headers(request.headers);
        if let Some((username, password)) = &request.basic_auth {
            builder = builder.basic_auth(username, Some(password.expose_secret()));
        }
        builder = match request.body {
            Body::Empty => builder,
            Body::Form(fields) => builder.form(&fields),
            Body::Json(value) => builder.header(CONTENT_TYPE, "application/json").body(value.to_string()),
            Body::Other(content_type, bytes) => builder.header(CONTENT_TYPE, content_type).body(bytes),
        };
        let answer = builder.send().await.map_err(error)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Response { status, headers, body: read(answer, request.cap).await?.freeze() })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one outbound client that the ban points to")]
fn build(destination: Destination) -> Result<reqwest::Client, HttpError> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .https_only(destination == Destination::Public)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .dns_resolver(GuardedResolver(destination))
        .build()
        .map_err(|failure| HttpError::NotSent(describe(&failure)))
}

async fn read(mut answer: reqwest::Response, cap: usize) -> Result<BytesMut, HttpError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(error)? {
        if body.len() + chunk.len() > cap {
            return Err(HttpError::TooLarge(cap));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn error(failure: reqwest::Error) -> HttpError {
    let failure = failure.without_url();
    let mut cause = failure.source();
    while let Some(inner) = cause {
        if inner.is::<AddressRefused>() {
            return HttpError::Refused("the name leads to a private address");
        }
        cause = inner.source();
    }
    // A time-out while connecting is both, and then certainly not processed.
    if failure.is_connect() || failure.is_builder() {
        HttpError::NotSent(describe(&failure))
    } else if failure.is_timeout() {
        HttpError::Timeout
    } else {
        HttpError::Broken(describe(&failure))
    }
}

/// The innermost cause, which says the most ("connection refused"), without the URL.
fn describe(failure: &reqwest::Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
