//! Logs: to standard error, for people on a terminal and as JSON otherwise; panics are logged like everything else.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{LogConfig, LogFormat};

/// The logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one; a loaded configuration never has such a one.
    #[error("'{0}' is not a log filter")]
    Filter(String),
    /// It was done before in this process.
    #[error(transparent)]
    Twice(#[from] TryInitError),
}

/// Sends the logs of this process to standard error, from now on; standard output is for results.
///
/// # Errors
/// When the filter is not one, or the logs of this process were set up before.
pub fn init(log: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|_| TelemetryError::Filter(log.filter.clone()))?;
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Auto => !terminal,
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    };
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
    } else {
        let layer = fmt::layer().with_writer(std::io::stderr);
        // On a terminal the layer's own choice stands: it knows NO_COLOR.
        if terminal { layer.boxed() } else { layer.with_ansi(false).boxed() }
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// A panic without this would be a bare text between JSON lines, which collectors cannot read.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    let message = panic.payload_as_str().unwrap_or("a value that is not a text");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(location, thread, %backtrace, "panic: {message}");
    } else {
        tracing::error!(location, thread, "panic: {message}");
    }
}
