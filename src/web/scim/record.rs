//! Takes down each request for the log of pushes, around everything else that happens to it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, header};
use hyper::body::{Frame, SizeHint};

use super::super::WebState;
use super::super::normalise::SCIM;
use super::super::request_id::RequestId;
use super::admission::{TurnedAway, needed};
use crate::domain::Scope;
use crate::scim::ScimError;
use crate::service::pushes::{Body as Kept, Exchange, LONGEST_BODY, PushLog, Sender};
use crate::service::trail::Trail;
use crate::web::traffic::Traffic;

/// The parameters whose names are told; others may hold anything.
const PARAMETERS: [&str; 8] =
    ["attributes", "count", "cursor", "excludedAttributes", "filter", "sortBy", "sortOrder", "startIndex"];
/// The longest path that is kept.
const LONGEST_PATH: usize = 300;

/// Where it is said whose request this is, once that is known, and where its doings are noted. What strangers send is not
/// taken down.
#[derive(Clone, Debug, Default)]
pub(super) struct Whose(Arc<OnceLock<(Sender, Arc<Trail>)>>);

impl Whose {
    pub(super) fn is(&self, sender: Sender, trail: Arc<Trail>) {
        // It is said once for each request.
        let _: Result<(), _> = self.0.set((sender, trail));
    }
}

pub(super) async fn record(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let whose = Whose::default();
    request.extensions_mut().insert(whose.clone());
    let reads = needed(request.method(), request.uri().path()) == Scope::Read;
    let kept = Taken::default();
    if !request.body().is_end_stream() {
        let (head, body) = request.into_parts();
        request = Request::from_parts(head, Body::new(Tee { body, kept: kept.clone() }));
    }
    let mut open = Open {
        log: &state.pushes,
        traffic: &state.traffic,
        whose,
        kept,
        reads,
        method: request.method().clone(),
        uri: request.uri().clone(),
        request: request.extensions().get::<RequestId>().map_or_else(|| "".into(), |id| id.0.clone()),
        at: state.core.ambient().now(),
        started: Instant::now(),
        answered: false,
    };
    let response = next.run(request).await;
    open.close(Some(&response));
    response
}

/// A request under way. One that is dropped before its answer is taken down too: the client went away, and whatever it
/// asked for may have happened.
struct Open<'a> {
    log: &'a PushLog,
    traffic: &'a Traffic,
    whose: Whose,
    kept: Taken,
    reads: bool,
    method: Method,
    uri: http::Uri,
    request: Arc<str>,
    at: crate::base::Timestamp,
    started: Instant,
    answered: bool,
}

impl Open<'_> {
    fn close(&mut self, response: Option<&Response>) {
        self.answered = true;
        let status = response.map_or(0, |response| response.status().as_u16());
        let known = self.whose.0.get();
        self.traffic.count(known.map(|(sender, _)| sender.connection), &self.method, status, self.started.elapsed());
        let Some((sender, trail)) = known else { return };
        let path = self.uri.path().strip_prefix(SCIM).unwrap_or(self.uri.path());
        if self.reads && (200..400).contains(&status) {
            return self.log.count(sender, self.at, shape(&self.method, path, self.uri.query()));
        }
        let extensions = response.map(Response::extensions);
        let turned_away = extensions.and_then(|extensions| extensions.get::<TurnedAway>());
        let exchange = Exchange {
            sender: *sender,
            at: self.at,
            method: self.method.as_str().chars().take(20).collect(),
            path: path.chars().take(LONGEST_PATH).collect(),
            body: self.kept.take(),
            status,
            error: extensions.and_then(|extensions| extensions.get::<ScimError>()).cloned(),
            told: trail.take(),
            latency: self.started.elapsed(),
            request: Arc::clone(&self.request),
            created: response.filter(|_| status == 201).and_then(created),
        };
        match turned_away {
            Some(TurnedAway(reason)) => self.log.turned_away(exchange, reason),
            None => self.log.note(exchange),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.close(None);
        }
    }
}

/// The id at the end of `Location`.
fn created(response: &Response) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    location.rsplit('/').next().map(str::to_owned)
}

/// What is read, without anybody's data: the endpoint and the names of its parameters.
fn shape(method: &Method, path: &str, query: Option<&str>) -> String {
    let mut parts = path.split('/').skip(1);
    let mut shape = format!("{method} /{}", parts.next().unwrap_or_default());
    match parts.next() {
        Some(".search") => shape.push_str("/.search"),
        Some(_) => shape.push_str("/{id}"),
        None => {}
    }
    let given: Vec<&str> =
        query.unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
    let names: Vec<&str> = PARAMETERS.into_iter().filter(|name| given.contains(name)).collect();
    if !names.is_empty() {
        shape.push('?');
        shape.push_str(&names.join("&"));
    }
    shape
}

/// What went by of a body.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<(Vec<u8>, usize)>>);

impl Taken {
    fn add(&self, data: &Bytes) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.1 += data.len();
        if taken.1 <= LONGEST_BODY {
            taken.0.extend_from_slice(data);
        } else {
            taken.0 = Vec::new();
        }
    }

    fn take(&self) -> Kept {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.1 {
            0 => Kept::None,
            size if size > LONGEST_BODY => Kept::Long(size),
            _ => Kept::Whole(std::mem::take(&mut taken.0)),
        }
    }
}

/// A body that is looked at while it goes by.
struct Tee {
    body: Body,
    kept: Taken,
}

impl HttpBody for Tee {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.kept.add(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_nobodys_data() {
        let search = shape(&Method::POST, "/Users/.search", None);
        assert_eq!(
            (search.as_str(), shape(&Method::POST, "/.search", None)),
            ("POST /Users/.search", "POST /.search".to_owned())
        );
        for (path, query, wanted) in [
            ("/Users", None, "GET /Users"),
            ("/Users/123", Some("attributes=x"), "GET /Users/{id}?attributes"),
            (
                "/Users",
                Some("startIndex=1&filter=userName+eq+%22ana%22&count=1&ana=1"),
                "GET /Users?count&filter&startIndex",
            ),
            ("/Schemas/urn:x", None, "GET /Schemas/{id}"),
            ("", None, "GET /"),
        ] {
            assert_eq!(shape(&Method::GET, path, query), wanted);
        }
    }
}
