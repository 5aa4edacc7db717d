//! What happens to every request before and after its handler: credentials, faults, the record of calls.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use super::super::calls::{Call, Outcome};
use super::super::error::ApiError;
use super::super::faults::Fate;
use super::super::{StandIn, hold};

/// Left on a response by the handler that created a worker, for the record of calls.
#[derive(Debug, Clone)]
pub(super) struct AboutWorker(pub String);

pub(super) async fn gate(State(stand_in): State<Arc<StandIn>>, mut request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/_stand_in/") {
        // Without a secret the credentials prove nothing, and people who play with the knobs are spared typing them.
        let open = stand_in.secret.is_none() || stand_in.knows(request.headers());
        return if open { next.run(request).await } else { ApiError::unauthorized().into_response() };
    }
    let fate = hold(&stand_in.dice).throw(stand_in.ambient.now());
    let half = Duration::from_millis(stand_in.faults().latency_ms) / 2;
    let under_way = UnderWay::enter(&stand_in.in_flight);
    let target = Target::of(&mut request).await;
    let mut record = Record::start(&stand_in, &request, &target);

    wait(half).await;
    let refusal = stand_in.refusal(&target, &request);
    let (mut response, processed) = suffer(&stand_in, fate, async {
        match refusal {
            Some(error) => error.into_response(),
            None => next.run(request).await,
        }
    })
    .await;
    record.processed(processed, response.extensions_mut().remove());
    wait(half).await;

    response.headers_mut().insert("twilio-concurrent-requests", HeaderValue::from(under_way.count));
    let cut = matches!(fate, Fate::LostBeforeCommit | Fate::LostAfterCommit);
    record.answered(fate, if cut { 0 } else { response.status().as_u16() });
    if cut { severed() } else { response }
}

/// Lets the fate of a call take its course; tells also whether the call was processed.
async fn suffer(stand_in: &StandIn, fate: Fate, handle: impl Future<Output = Response>) -> (Response, bool) {
    match fate {
        Fate::Answered | Fate::LostAfterCommit => (handle.await, true),
        Fate::RateLimited => (ApiError::too_many(stand_in.faults().retry_after_s).into_response(), false),
        Fate::LostBeforeCommit => (StatusCode::NO_CONTENT.into_response(), false),
        Fate::Failed { processed: false } => (ApiError::internal().into_response(), false),
        Fate::Failed { processed: true } => {
            let about = about(handle.await);
            (marked(ApiError::internal().into_response(), about), true)
        }
        Fate::Html { processed: false } => ((StatusCode::BAD_GATEWAY, page()).into_response(), false),
        Fate::Html { processed: true } => {
            let response = handle.await;
            let (status, about) = (response.status(), about(response));
            (marked((status, page()).into_response(), about), true)
        }
    }
}

fn about(mut response: Response) -> Option<AboutWorker> {
    response.extensions_mut().remove()
}

fn marked(mut response: Response, about: Option<AboutWorker>) -> Response {
    if let Some(about) = about {
        response.extensions_mut().insert(about);
    }
    response
}

fn page() -> Html<&'static str> {
    Html("<html><head><title>Service</title></head><body><h1>We will be back soon</h1></body></html>")
}

/// A timer costs up to a millisecond even when it is set to nothing.
async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The server gives up the connection when the body fails, before it has sent anything.
fn severed() -> Response {
    let broken = stream::once(async { Err::<&'static [u8], _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Response::new(Body::from_stream(broken))
}

/// A call's entry in the record of calls. It is made however the call ends: a caller that hangs up drops it half-way,
/// and the record must still tell whether the call took effect.
struct Record<'a> {
    stand_in: &'a StandIn,
    call: Option<Call>,
}

impl<'a> Record<'a> {
    fn start(stand_in: &'a StandIn, request: &Request, target: &Target) -> Self {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let call = Call {
            at: stand_in.ambient.now(),
            method: request.method().to_string(),
            path: path.to_owned(),
            worker_sid: target.worker.clone(),
            status: 0,
            processed: false,
            outcome: Outcome::HungUp,
            took_ms: 0,
        };
        Self { stand_in, call: Some(call) }
    }

    fn processed(&mut self, processed: bool, created: Option<AboutWorker>) {
        if let Some(call) = &mut self.call {
            call.processed = processed;
            call.worker_sid = created.map(|AboutWorker(sid)| sid).or(call.worker_sid.take());
        }
    }

    fn answered(&mut self, fate: Fate, status: u16) {
        if let Some(call) = &mut self.call {
            call.status = status;
            call.outcome = fate.into();
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if let Some(mut call) = self.call.take() {
            let took = self.stand_in.ambient.now().since(call.at);
            call.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            hold(&self.stand_in.calls).record(call, self.stand_in.calls_kept);
        }
    }
}

/// Counts a call as under way for as long as it lives; a caller that hangs up drops it too.
struct UnderWay<'a> {
    counter: &'a AtomicUsize,
    count: usize,
}

impl<'a> UnderWay<'a> {
    fn enter(counter: &'a AtomicUsize) -> Self {
        Self { counter, count: counter.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whose resources a path names.
#[derive(Default)]
struct Target {
    workspace: Option<String>,
    instance: Option<String>,
    worker: Option<String>,
}

impl Target {
    async fn of(request: &mut Request) -> Self {
        let mut target = Self::default();
        if let Ok(params) = request.extract_parts::<RawPathParams>().await {
            for (name, value) in &params {
                let value = Some(value.to_owned());
                match name {
                    "workspace" => target.workspace = value,
                    "instance" => target.instance = value,
                    "worker" => target.worker = value,
                    _ => {}
                }
            }
        }
        target
    }
}

impl StandIn {
    fn refusal(&self, target: &Target, request: &Request) -> Option<ApiError> {
        if !self.knows(request.headers()) {
            return Some(ApiError::unauthorized());
        }
        let foreign = |named: &Option<String>, own: &String| named.as_ref().is_some_and(|sid| sid != own);
        let unknown = foreign(&target.workspace, &self.identity.workspace_sid)
            || foreign(&target.instance, &self.identity.instance_sid);
        unknown.then(|| ApiError::not_found(request.uri().path()))
    }

    /// HTTP Basic with the API key or the account and the secret; anything that is complete when no secret is set.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = basic(headers) else { return false };
        let Some(secret) = &self.secret else { return !user.is_empty() && !password.is_empty() };
        let known = [&self.identity.api_key, &self.identity.account_sid].contains(&&user);
        let right: bool = password.as_bytes().ct_eq(secret.expose_secret().as_bytes()).into();
        known && right
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
