//! One call: turn, time-out, authentication, counters, and the first look at the answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ETAG, IF_MATCH};
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::answer::Context;
use super::limiter::{Limiter, Sort};
use super::pace::Taken;
use super::{TwilioConfig, TwilioConfigError, wire};
use crate::base::Ambient;
use crate::net::{Body, Destination, HttpClient, Request, Response};
use crate::taskrouter::stats::{Allowance, CallStats};
use crate::taskrouter::{ETag, ErrorKind, Operation, Result, TaskRouterError, Worker, WorkerSid};

/// Room for a page of 1,000 workers with the longest attributes, every quote of them escaped.
const CAP: usize = 16 << 20;

/// How many calls Twilio has under way for the account (Twilio's error 20429).
const COMPANY: HeaderName = HeaderName::from_static("twilio-concurrent-requests");
/// The parameters by which workers are looked for with an expression, which is limited for itself.
const EXPRESSIONS: [&str; 2] = ["TargetWorkersExpression", "EvaluateWorkerAttributes"];

/// A call to be made.
pub(super) struct Call {
    context: Context,
    method: Method,
    url: Url,
    form: Vec<(String, String)>,
    if_match: Option<ETag>,
}

impl Call {
    pub(super) fn new(operation: Operation, method: Method, url: Url) -> Self {
        Self { context: Context { operation, names: false }, method, url, form: Vec::new(), if_match: None }
    }

    pub(super) fn get(operation: Operation, url: Url) -> Self {
        Self::new(operation, Method::GET, url)
    }

    pub(super) fn form(mut self, fields: Vec<(&str, String)>) -> Self {
        self.form = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self
    }

    pub(super) fn if_match(mut self, etag: Option<&ETag>) -> Self {
        self.if_match = etag.cloned();
        self
    }

    /// The call gives the worker a name, which may be taken.
    pub(super) fn names(mut self) -> Self {
        self.context.names = true;
        self
    }
}

/// A success with its JSON.
pub(super) struct Answer {
    context: Context,
    response: Response,
    body: Value,
}

impl Answer {
    /// Reads the body; what cannot be read was no answer from `TaskRouter`.
    pub(super) fn read<T>(&self, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        read(&self.body).ok_or_else(|| self.context.garbled(&self.response))
    }

    pub(super) fn worker(&self) -> Result<Worker> {
        let etag = self.response.header(&ETAG).map(ETag::new);
        self.read(|body| wire::worker(body, etag.clone()))
    }
}

/// The HTTP side of the client.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient,
    ambient: Ambient,
    limiter: Limiter,
    stats: Arc<CallStats>,
    /// The workspace's own URL, without a slash at its end.
    workspace: Url,
    username: String,
    secret: SecretString,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(
        config: TwilioConfig,
        http: HttpClient,
        ambient: Ambient,
    ) -> std::result::Result<Self, TwilioConfigError> {
        HttpClient::check(&config.base_url, Destination::Operator)?;
        if config.base_url.query().is_some() || config.base_url.fragment().is_some() {
            return Err(TwilioConfigError::NotABase);
        }
        // All SIDs have the same safe alphabet.
        if config.workspace_sid.parse::<WorkerSid>().is_err() {
            return Err(TwilioConfigError::WorkspaceSid(config.workspace_sid));
        }
        let mut workspace = config.base_url;
        extend(&mut workspace, &["v1", "Workspaces", &config.workspace_sid]);
        Ok(Self {
            http,
            ambient,
            limiter: Limiter::new(config.in_flight, config.rate, config.patience),
            stats: Arc::default(),
            workspace,
            username: config.username,
            secret: config.secret,
            timeout: config.call_timeout,
        })
    }

    pub(super) fn rate(&self) -> Option<f64> {
        self.limiter.rate()
    }

    pub(super) fn stats(&self) -> Arc<CallStats> {
        Arc::clone(&self.stats)
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.limiter.allowance()
    }

    /// A URL below the workspace.
    pub(super) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.workspace.clone();
        extend(&mut url, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The URL of a further page. The credentials go with it, so it must not lead anywhere else.
    pub(super) fn continued(&self, operation: Operation, next: &str) -> Result<Url> {
        let refused = |why: &str| {
            let message = format!("the next page is refused: {why}");
            TaskRouterError::new(ErrorKind::Permanent, operation, message)
        };
        let url = self.workspace.join(next).map_err(|_| refused("not a URL"))?;
        if url.origin() != self.workspace.origin() || !url.origin().is_tuple() {
            return Err(refused("it is on another host"));
        }
        HttpClient::check(&url, Destination::Operator).map_err(|error| refused(&error.to_string()))?;
        Ok(url)
    }

    /// Reads one page of a list, and the URL of the next one.
    pub(super) async fn page<T>(
        &self,
        operation: Operation,
        url: Url,
        key: &str,
        read: &(impl Fn(&Value) -> Option<T> + Sync),
    ) -> Result<(Vec<T>, Option<Url>)> {
        let answer = self.json(Call::get(operation, url.clone())).await?;
        let Some(page) = wire::page(&answer.body, key) else {
            return Err(answer.context.garbled(&answer.response));
        };
        let items: Vec<T> = page.items.iter().filter_map(read).collect();
        if items.len() < page.items.len() {
            let unreadable = page.items.len() - items.len();
            tracing::warn!(%operation, unreadable, "passed over entries of a list that cannot be read");
        }
        let next = page.next.map(|next| self.continued(operation, next)).transpose()?;
        if next.as_ref() == Some(&url) {
            return Err(TaskRouterError::new(ErrorKind::Permanent, operation, "the next page is the same page"));
        }
        Ok((items, next))
    }

    /// A call that answers with JSON.
    pub(super) async fn json(&self, call: Call) -> Result<Answer> {
        self.counted(call, |context, response| match serde_json::from_slice(&response.body) {
            Ok(body) => Ok(Answer { context, response, body }),
            Err(_) => Err(context.garbled(&response)),
        })
        .await
    }

    /// A call that answers with nothing.
    pub(super) async fn empty(&self, call: Call) -> Result<()> {
        self.counted(call, |context, response| {
            // A proxy's page with status 200 is no proof that TaskRouter did anything.
            let credible = response.body.is_empty() || serde_json::from_slice::<Value>(&response.body).is_ok();
            if credible { Ok(()) } else { Err(context.garbled(&response)) }
        })
        .await
    }

    async fn counted<T>(&self, call: Call, read: impl FnOnce(Context, Response) -> Result<T>) -> Result<T> {
        let context = call.context;
        let method = call.method.clone();
        let _turn = self.limiter.turn(sort_of(&call.url)).await.map_err(|no_turn| {
            self.stats.record_held_back();
            let message = "held back: TaskRouter asked to slow down, or too many calls are under way";
            TaskRouterError::new(ErrorKind::Retryable, context.operation, message).retry_after(Some(no_turn.wait))
        })?;
        let start = Instant::now();
        let mut status = None;
        let result = self.attempt(call).await.and_then(|response| {
            status = Some(response.status);
            read(context, response)
        });
        let time = start.elapsed();
        let (outcome, code) = match &result {
            Ok(_) => ("succeeded", None),
            Err(error) => {
                status = error.status.or(status);
                (error.kind.as_str(), error.code)
            }
        };
        self.stats.record(context.operation, time, status, &result);
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(operation = %context.operation, %method, outcome, status, code, ms, "called TaskRouter");
        result
    }

    async fn attempt(&self, call: Call) -> Result<Response> {
        let context = call.context;
        let mut request = Request::new(call.method, call.url, Destination::Operator)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .basic_auth(&self.username, &self.secret)
            .timeout(self.timeout)
            .cap(CAP);
        if let Some(etag) = &call.if_match {
            let value = HeaderValue::from_str(etag.as_str()).map_err(|_| {
                TaskRouterError::new(ErrorKind::Stale, context.operation, "the version cannot stand in a header")
            })?;
            request = request.header(IF_MATCH, value);
        }
        if !call.form.is_empty() {
            request = request.body(Body::Form(call.form));
        }
        let response = self.http.send(request).await.map_err(|failure| context.unanswered(&failure))?;
        let company = response.header(&COMPANY).and_then(|text| text.trim().parse().ok());
        if response.status != 429 {
            self.limiter.ended(Taken { refused: false, company, retry_after: None });
        }
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        let mut error = context.refused(&response, self.ambient.now());
        if error.status == Some(429) {
            self.limiter.ended(Taken { refused: true, company, retry_after: error.retry_after });
        }
        self.scrub(&mut error);
        Err(error)
    }

    /// `TaskRouter` has no reason to send the secret back, but a proxy's debug page might.
    fn scrub(&self, error: &mut TaskRouterError) {
        let secret = self.secret.expose_secret();
        if !secret.is_empty() && error.message.contains(secret) {
            error.message = error.message.replace(secret, "[secret]");
        }
    }
}

fn sort_of(url: &Url) -> Sort {
    let by_expression = url.query_pairs().any(|(name, _)| EXPRESSIONS.contains(&name.as_ref()));
    if by_expression { Sort::Expression } else { Sort::Usual }
}

fn extend(url: &mut Url, path: &[&str]) {
    // Only URLs that cannot be a base have no segments, and those have no host and were refused before.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
}
