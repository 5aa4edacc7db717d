//! What is left of a request's body once its answer is known.
//!
//! A client that is still sending when the connection closes sees a broken connection and never the answer: an identity
//! provider would report a network error where the body was too large or the token had expired. So the rest is read and
//! thrown away, up to a limit, before the answer goes out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use http::header;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};

/// A body that is handed to a handler and kept hold of.
#[derive(Clone)]
pub(super) struct Rest(Option<Arc<Mutex<Body>>>);

impl Rest {
    /// Keeps hold of the body of a request, if it has one. A client that waits to be asked for it (`Expect`) is not asked in
    /// vain.
    pub(super) fn keep(request: Request) -> (Request, Self) {
        if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
            return (request, Self(None));
        }
        let (head, body) = request.into_parts();
        let shared = Arc::new(Mutex::new(body));
        (Request::from_parts(head, Body::new(Shared(Arc::clone(&shared)))), Self(Some(shared)))
    }

    /// Reads what is left, at most `most` bytes and for no longer than `patience`.
    pub(super) async fn drain(self, most: usize, patience: Duration) {
        let Some(shared) = self.0 else { return };
        let mut shared = Shared(shared);
        let reading = async {
            let mut left = most;
            while let Some(Ok(frame)) = shared.frame().await {
                let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = less;
            }
        };
        // Whoever is slower than that has had its chance.
        drop(tokio::time::timeout(patience, reading).await);
    }
}

struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
