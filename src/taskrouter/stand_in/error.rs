//! What can go wrong at opening, and the error bodies that callers see.

use std::io;
use std::path::PathBuf;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The stand-in cannot be opened, or a knob cannot be set so.
#[derive(Debug, thiserror::Error)]
pub enum StandInError {
    /// The journal cannot be read or written.
    #[error("the stand-in's journal {path} cannot be used")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the data directory open.
    #[error("the stand-in's directory {0} is in use by another process")]
    InUse(PathBuf),
    /// A line in the midst of the journal cannot be read; only a torn last line is expected after a crash.
    #[error("line {line} of the stand-in's journal {path} is damaged; move the file away to start afresh")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The journal was written by a version with another format.
    #[error("the stand-in's journal {path} has format {found}, this version reads {known}")]
    Format {
        /// The journal.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The format that is read.
        known: u32,
    },
    /// The journal belongs to other SIDs than the options name.
    #[error("the stand-in's journal belongs to {kept}, not to the configured {wanted}")]
    OtherIdentity {
        /// The SID in the journal.
        kept: String,
        /// The SID in the options.
        wanted: String,
    },
    /// A rate is not a share.
    #[error("rates of failure are shares between 0 and 1")]
    Faults,
    /// The stand-in would answer this request with an error.
    #[error("the stand-in refuses: {0}")]
    Refused(String),
}

impl StandInError {
    pub(super) fn refused(error: ApiError) -> Self {
        Self::Refused(error.message)
    }
}

/// An error as Twilio answers it: status, code and a message for the caller.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: u32,
    message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    /// 400/20001, the catch-all of `TaskRouter`: parameters, duplicates, wrong state.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 20001, message)
    }

    pub(super) fn unauthorized() -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
        error.header = Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Twilio API\"")));
        error
    }

    pub(super) fn not_found(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, 20404, format!("The requested resource {path} was not found"))
    }

    pub(super) fn stale() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, 20412, "The resource was changed since it was read")
    }

    pub(super) fn too_many(retry_after_s: Option<u64>) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, 20429, "Too many requests");
        error.header = retry_after_s.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
        error
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 20500, "An internal server error has occurred")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status.as_u16(),
        });
        let mut response = (self.status, Json(body)).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
