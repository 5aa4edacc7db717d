//! Accepting connections, and letting go of them without losing an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tower::ServiceExt as _;

use super::Site;
use super::refusal::Explained;
use super::scim::Peer;

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How long a connection may be idle, and how long a request's head may take to arrive.
    pub keep_alive: Duration,
    /// How long a new connection may take to say which version of HTTP it speaks.
    pub opening: Duration,
    /// How many connections are served at once; others wait to be accepted.
    pub max_connections: usize,
    /// How long open requests may take to finish once the server is asked to stop.
    pub shutdown_grace: Duration,
}

/// Serves until `shutdown` is done; then accepts nothing new and waits for open requests.
pub async fn serve(listener: TcpListener, site: Site, settings: ServerSettings, shutdown: impl Future<Output = ()>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper counts this from the end of the last answer, so it bounds idleness as well as slow heads.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.keep_alive).keep_alive(true);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_mins(1)));
    let connections = GracefulShutdown::new();
    let mut places = Places::new(settings.max_connections);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async { (places.take().await, listener.accept().await) };
        let (place, (stream, peer)) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok(accepted) => (place, accepted),
                Err(error) => {
                    // Out of file handles, most likely: going on at once would spin.
                    tracing::warn!(error = %crate::base::Causes(&error), "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %crate::base::Causes(&error), "a connection keeps its delay");
        }
        let service =
            TowerToHyperService::new(site.clone().map_request(move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer));
                request.map(Body::new)
            }));
        let connection = builder
            .serve_connection(TokioIo::new(Explained::new(Opening::new(stream, settings.opening))), service)
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // What goes wrong here is the other side going away; requests have been logged by themselves.
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.shutdown_grace, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off: they took longer than the time to stop");
    }
}

/// Places for connections. Who finds none is not accepted yet, and waits with the operating system.
struct Places {
    free: Arc<Semaphore>,
    warned: Option<Instant>,
}

impl Places {
    fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), warned: None }
    }

    /// A place, which is free again when it is dropped; none only if there are no places at all any more.
    async fn take(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 && self.warned.is_none_or(|at| at.elapsed() > Duration::from_mins(1)) {
            self.warned = Some(Instant::now());
            tracing::warn!("all connections are taken (server.max_connections); others wait");
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

/// What HTTP/2 begins with (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that ends unless it says in time which version of HTTP it speaks: hyper waits for that without a clock.
/// From then on hyper's own times hold.
#[derive(Debug)]
struct Opening<T> {
    inner: T,
    /// How much was read that both versions may begin with, and until when more must come; none: it is known.
    waiting: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<T> Opening<T> {
    fn new(inner: T, patience: Duration) -> Self {
        Self { inner, waiting: Some((0, Box::pin(tokio::time::sleep(patience)))) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Opening<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if let Some((seen, until)) = &mut this.waiting {
            if read.is_pending() {
                return until.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
            }
            let new = &buffer.filled()[before..];
            let rest = &HTTP2[*seen..];
            if new.len() < rest.len() && rest.starts_with(new) {
                *seen += new.len();
            } else {
                this.waiting = None;
            }
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Opening<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
