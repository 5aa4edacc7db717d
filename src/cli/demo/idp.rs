//! The identity providers' side: real requests to the SCIM endpoints, as each provider sends them.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;

use super::script::{Idp, Messages, Person};
use crate::cli::Outcome;
use crate::net::{Body, Destination, HttpClient, Request};

/// Anything that keeps the demonstration from going on, in words for the person who watches.
pub(super) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What an identity provider does, each in its own way.
#[async_trait]
pub(super) trait Provider: Send {
    fn link(&self) -> &Link;

    /// What it asks when an administrator tests or saves the connection.
    async fn probe(&mut self) -> Outcome;

    /// Looks for the group, and makes it if there is none. True: there was one.
    async fn push_group(&mut self, group: &str) -> Result<bool>;

    /// Looks for the person by what this provider matches people by.
    async fn find(&mut self, person: &Person) -> Result<Option<String>>;

    /// Makes the person; returns the id that the service gave.
    async fn create(&mut self, person: &Person) -> Result<String>;

    async fn add_to_group(&mut self, group: &str, person: &Person, id: &str) -> Outcome;

    async fn remove_from_group(&mut self, group: &str, person: &Person, id: &str) -> Outcome;

    /// Sends what changed of a person, in the named form.
    async fn update(&mut self, message: &str, person: &Person, id: &str, active: bool) -> Outcome;
}

/// The way to the service provider, with counts of what went along it.
#[derive(Debug)]
pub(super) struct Link {
    idp: Idp,
    http: HttpClient,
    base: String,
    token: String,
    messages: Messages,
    lookups: u64,
    pushes: Vec<Duration>,
    accepted_at: Instant,
}

/// An answer that was as hoped for.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Value,
}

impl Answer {
    /// The id of the resource.
    pub(super) fn id(&self) -> Result<String> {
        let id = self.body.get("id").and_then(Value::as_str);
        Ok(id.ok_or("a resource came without an id")?.to_owned())
    }

    /// The id of the first resource of a list.
    pub(super) fn first_id(&self) -> Option<String> {
        Some(self.body.get("Resources")?.as_array()?.first()?.get("id")?.as_str()?.to_owned())
    }
}

impl Link {
    pub(super) fn new(idp: Idp, http: HttpClient, base: &str, token: &str, messages: Messages) -> Self {
        let (base, token) = (base.to_owned(), token.to_owned());
        Self { idp, http, base, token, messages, lookups: 0, pushes: Vec::new(), accepted_at: Instant::now() }
    }

    /// Requests that change nothing.
    pub(super) const fn lookups(&self) -> u64 {
        self.lookups
    }

    /// How long each request that changed something took to be accepted.
    pub(super) fn pushes(&self) -> &[Duration] {
        &self.pushes
    }

    /// When the last push was accepted.
    pub(super) const fn accepted_at(&self) -> Instant {
        self.accepted_at
    }

    pub(super) fn message(&self, name: &str, values: &Map<String, Value>) -> Result<Value> {
        Ok(self.messages.write(self.idp, name, values)?)
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.lookups += 1;
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn push(&mut self, method: Method, path: &str, body: &Value) -> Result<Answer> {
        let begun = Instant::now();
        let answer = self.send(method, path, Some(body)).await?;
        self.accepted_at = Instant::now();
        self.pushes.push(self.accepted_at - begun);
        Ok(answer)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let told = format!("{}: {method} {path}", self.idp.title());
        let url = Url::parse(&format!("{}{path}", self.base))?;
        let mut request = Request::new(method, url, Destination::Operator)
            .header(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", self.token))?);
        request = match self.idp {
            // In use it was seen without one, and web application firewalls have refused it for that.
            Idp::Entra => request.without_header(&USER_AGENT),
            Idp::Okta => request,
        };
        for (name, value) in headers(self.idp) {
            request = request.header(name.clone(), HeaderValue::from_static(value));
        }
        if let Some(body) = body {
            let content_type = HeaderValue::from_static("application/scim+json; charset=utf-8");
            request = request.body(Body::Other(content_type, Bytes::from(body.to_string())));
        }
        let answer = self.http.send(request).await.map_err(|error| format!("{told}: {error}"))?;
        let body = if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body)? };
        if !(200..300).contains(&answer.status) {
            let detail = body.get("detail").and_then(Value::as_str).unwrap_or("no detail was given");
            return Err(format!("{told} was answered {}: {detail}", answer.status).into());
        }
        Ok(Answer { body })
    }
}

/// The headers by which each provider is known, beside those of every request.
fn headers(idp: Idp) -> &'static [(HeaderName, &'static str)] {
    match idp {
        Idp::Okta => &[
            (USER_AGENT, "Okta SCIM Client 1.0.0"),
            (ACCEPT, "application/scim+json"),
            (ACCEPT_CHARSET, "utf-8"),
            (ACCEPT_ENCODING, "gzip,deflate"),
        ],
        Idp::Entra => &[(ACCEPT, "application/scim+json")],
    }
}
