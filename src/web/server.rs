//! Accepting connections, and letting go of them without losing an answer.

use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use super::Site;
use super::refusal::Explained;
use super::scim::Peer;

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How long a connection may be idle, and how long a request's head may take to arrive.
    pub keep_alive: Duration,
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
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
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
        let connection = builder.serve_connection(TokioIo::new(Explained::new(stream)), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // What goes wrong here is the other side going away; requests have been logged by themselves.
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.shutdown_grace, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off: they took longer than the time to stop");
    }
}
