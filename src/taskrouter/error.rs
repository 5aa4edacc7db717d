//! What can go wrong at `TaskRouter`, sorted by what the caller may conclude.

use std::fmt;
use std::time::Duration;

/// The calls of the port: which one failed, and the key of counters and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`super::TaskRouter::workspace`].
    Workspace,
    /// [`super::TaskRouter::activities`].
    Activities,
    /// [`super::TaskRouter::fetch_worker`].
    FetchWorker,
    /// [`super::TaskRouter::find_worker`].
    FindWorker,
    /// [`super::TaskRouter::list_workers`].
    ListWorkers,
    /// [`super::TaskRouter::create_worker`].
    CreateWorker,
    /// [`super::TaskRouter::update_worker`].
    UpdateWorker,
    /// [`super::TaskRouter::delete_worker`].
    DeleteWorker,
    /// [`super::TaskRouter::channels`].
    Channels,
    /// [`super::TaskRouter::set_channel`].
    SetChannel,
    /// [`super::TaskRouter::open_reservations`].
    Reservations,
}

impl Operation {
    /// Every operation, in a fixed order.
    pub const ALL: [Self; 11] = [
        Self::Workspace,
        Self::Activities,
        Self::FetchWorker,
        Self::FindWorker,
        Self::ListWorkers,
        Self::CreateWorker,
        Self::UpdateWorker,
        Self::DeleteWorker,
        Self::Channels,
        Self::SetChannel,
        Self::Reservations,
    ];

    /// A stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Activities => "activities",
            Self::FetchWorker => "fetch_worker",
            Self::FindWorker => "find_worker",
            Self::ListWorkers => "list_workers",
            Self::CreateWorker => "create_worker",
            Self::UpdateWorker => "update_worker",
            Self::DeleteWorker => "delete_worker",
            Self::Channels => "channels",
            Self::SetChannel => "set_channel",
            Self::Reservations => "reservations",
        }
    }

    /// Whether the call changes something, so that a lost answer leaves doubt.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::CreateWorker | Self::UpdateWorker | Self::DeleteWorker | Self::SetChannel)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the caller may conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing happened (429, connection refused, a read that failed): the same call again later is right.
    Retryable,
    /// A write whose outcome is unknown (time-out, cut connection, 5xx, no JSON in a success): read back before
    /// repeating.
    Ambiguous,
    /// The input is refused: the same call will fail again until the input changes.
    Permanent,
    /// Credentials, or the workspace that they should open, are refused (401, 403, 404 on the workspace itself): no
    /// call will succeed until an operator acts.
    Unauthorized,
    /// The name is, or may be, taken (409, or `TaskRouter`'s catch-all 400 with code 20001): look it up.
    Conflict,
    /// `If-Match` named an old version (412), or somebody else changed the worker at this moment: read again.
    Stale,
    /// There is no such worker.
    NotFound,
    /// The worker cannot be deleted now (400): open reservations, or still available.
    Blocked,
}

impl ErrorKind {
    /// A stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Ambiguous => "ambiguous",
            Self::Permanent => "permanent",
            Self::Unauthorized => "unauthorized",
            Self::Conflict => "conflict",
            Self::Stale => "stale",
            Self::NotFound => "not_found",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that failed. Holds no credentials, and of the answer only `TaskRouter`'s own message, shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRouterError {
    /// What the caller may conclude.
    pub kind: ErrorKind,
    /// The call that failed.
    pub operation: Operation,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Twilio's error code (`20429`), if the answer had one.
    pub code: Option<u32>,
    /// How long `TaskRouter` asks to wait, if it did. Can come with any kind.
    pub retry_after: Option<Duration>,
    /// For people.
    pub message: String,
}

impl TaskRouterError {
    /// An error without an answer behind it.
    pub fn new(kind: ErrorKind, operation: Operation, message: impl Into<String>) -> Self {
        Self { kind, operation, status: None, code: None, retry_after: None, message: message.into() }
    }

    /// With the HTTP status and Twilio's code.
    #[must_use]
    pub fn answered(mut self, status: u16, code: Option<u32>) -> Self {
        self.status = Some(status);
        self.code = code;
        self
    }

    /// With the time that `TaskRouter` asks to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

impl fmt::Display for TaskRouterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.kind)?;
        match (self.status, self.code) {
            (Some(status), Some(code)) => write!(f, " ({status}, code {code})")?,
            (Some(status), None) => write!(f, " ({status})")?,
            (None, _) => {}
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for TaskRouterError {}
