//! Reads metadata of identity providers by URL.

use std::time::Duration;

use http::Method;
use url::Url;

use super::{Check, SsoError};
use crate::net::{Destination, HttpClient, Request};

/// The longest wait for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document, in bytes; that of a federation with thousands of members is not meant.
const LARGEST: usize = 2 << 20;

/// Reads metadata, from where administrators say that it is: never from this machine or a private network, and without
/// following redirects.
#[derive(Clone, Debug)]
pub struct MetadataReader {
    http: HttpClient,
    destination: Destination,
}

impl MetadataReader {
    /// With the outbound client, and where identity providers may be.
    #[must_use]
    pub const fn new(http: HttpClient, destination: Destination) -> Self {
        Self { http, destination }
    }

    /// The document at a URL.
    ///
    /// # Errors
    /// [`Check::Configuration`] when the URL cannot be used, [`Check::Unreachable`] when there is no document.
    pub async fn read(&self, url: &str) -> Result<String, SsoError> {
        let wrong =
            |why: String| SsoError::new(Check::Configuration, format!("the metadata URL cannot be used: {why}"));
        let url = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        HttpClient::check(&url, self.destination).map_err(|error| wrong(error.to_string()))?;
        let away = |why: String| SsoError::new(Check::Unreachable, format!("the metadata cannot be read: {why}"));
        let request = Request::new(Method::GET, url, self.destination).timeout(PATIENCE).cap(LARGEST);
        let answer = self.http.send(request).await.map_err(|error| away(error.to_string()))?;
        if answer.status != 200 {
            return Err(away(format!("the answer has the status {}, expected 200", answer.status)));
        }
        String::from_utf8(answer.body.to_vec()).map_err(|_| away("it is not UTF-8".to_owned()))
    }
}
