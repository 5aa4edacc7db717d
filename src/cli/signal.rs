//! Being told to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first SIGTERM (service managers) or SIGINT (Ctrl-C).
///
/// From the call on, and not only from the first poll, these signals no longer end the process by themselves.
///
/// # Errors
/// When the system refuses to report signals.
pub fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop (SIGTERM)"),
            _ = interrupt.recv() => tracing::info!("told to stop (Ctrl-C)"),
        }
    })
}
