//! What an answer that is not the expected one means.

use std::time::Duration;

use chrono::DateTime;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;

use super::wire::ErrorBody;
use crate::base::Timestamp;
use crate::net::{HttpError, Response};
use crate::taskrouter::{ErrorKind, Operation, TaskRouterError};

/// `TaskRouter`'s catch-all code for refused parameters, duplicates and wrong states.
const CATCH_ALL: u32 = 20001;
/// "Too many requests".
const TOO_MANY_REQUESTS: u32 = 20429;
/// The longest `Retry-After` that is believed; more is taken as this much.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// The most characters of `TaskRouter`'s message that are kept.
const MESSAGE_LIMIT: usize = 300;

/// The call behind an answer, as far as it changes what the answer means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) operation: Operation,
    /// The call names the worker (creation, renaming), so its name may be taken.
    pub(super) names: bool,
}

impl Context {
    /// For a failure after which a read may simply be repeated and a write may have happened.
    fn doubtful(self) -> ErrorKind {
        if self.operation.is_write() { ErrorKind::Ambiguous } else { ErrorKind::Retryable }
    }

    /// The kind of a 404: of a worker, or of the workspace that everything hangs on.
    fn missing(self) -> ErrorKind {
        match self.operation {
            Operation::Workspace
            | Operation::Activities
            | Operation::FindWorker
            | Operation::ListWorkers
            | Operation::CreateWorker => ErrorKind::Unauthorized,
            _ => ErrorKind::NotFound,
        }
    }

    /// An answer that claims success but cannot be understood.
    pub(super) fn garbled(self, response: &Response) -> TaskRouterError {
        let message = match media_type(response) {
            Some(media_type) => format!("a success without the expected JSON ({})", tidy(media_type)),
            None => "a success without the expected JSON".to_owned(),
        };
        TaskRouterError::new(self.doubtful(), self.operation, message).answered(response.status, None)
    }

    /// There was no answer.
    pub(super) fn unanswered(self, failure: &HttpError) -> TaskRouterError {
        let kind = if failure.surely_not_processed() { ErrorKind::Retryable } else { self.doubtful() };
        TaskRouterError::new(kind, self.operation, failure.to_string())
    }

    /// An answer that is no success.
    pub(super) fn refused(self, response: &Response, now: Timestamp) -> TaskRouterError {
        // An error page of a proxy says nothing about the worker, whatever its status.
        let json = serde_json::from_slice::<Value>(&response.body).ok();
        let from_taskrouter = json.is_some() || response.body.is_empty();
        let body = json.as_ref().map(ErrorBody::read).unwrap_or_default();
        let kind = self.kind(response.status, body.code, from_taskrouter);
        let message = match body.message {
            Some(message) => tidy(&message),
            None if from_taskrouter => "no reason given".to_owned(),
            None => "an answer that is not from TaskRouter".to_owned(),
        };
        TaskRouterError::new(kind, self.operation, message)
            .answered(response.status, body.code)
            .retry_after(retry_after(response, now))
    }

    fn kind(self, status: u16, code: Option<u32>, from_taskrouter: bool) -> ErrorKind {
        match status {
            429 | 425 => ErrorKind::Retryable,
            _ if code == Some(TOO_MANY_REQUESTS) => ErrorKind::Retryable,
            // Twilio's own 403 is about this kind of call: a key that may not delete can still create.
            403 if code.is_some() => ErrorKind::Permanent,
            401 | 403 => ErrorKind::Unauthorized,
            404 | 410 if from_taskrouter => self.missing(),
            404 | 408 | 410 | 500.. => self.doubtful(),
            409 if self.names => ErrorKind::Conflict,
            400 if self.names && code.is_none_or(|code| code == CATCH_ALL) => ErrorKind::Conflict,
            400 | 409 if self.operation == Operation::DeleteWorker => ErrorKind::Blocked,
            409 | 412 => ErrorKind::Stale,
            // Nothing was done, and nothing says that the input is at fault: a redirect, or a proxy in between.
            ..400 => ErrorKind::Retryable,
            _ => ErrorKind::Permanent,
        }
    }
}

fn media_type(response: &Response) -> Option<&str> {
    response.header(&CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or_default().trim())
}

/// One line, without control characters, of bounded length.
fn tidy(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MESSAGE_LIMIT).collect()
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    let text = response.header(&RETRY_AFTER)?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).ok()?,
        Err(_) => Timestamp::from_millis(DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis()).since(now),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = r#"{"code":20404,"message":"The requested resource was not found","status":404}"#;
    const HTML: &str = "<html><body>Bad gateway</body></html>";

    fn response(status: u16, body: &str) -> Response {
        Response { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn kind(operation: Operation, status: u16, body: &str) -> ErrorKind {
        let names = operation == Operation::CreateWorker;
        Context { operation, names }.refused(&response(status, body), Timestamp::default()).kind
    }

    #[test]
    fn each_status_means_what_it_may_mean() {
        use ErrorKind::{Ambiguous, Blocked, Conflict, NotFound, Permanent, Retryable, Stale, Unauthorized};
        use Operation::{CreateWorker, DeleteWorker, FetchWorker, ListWorkers, SetChannel, UpdateWorker};
        let catch_all = r#"{"code":20001,"message":"m"}"#;
        for (operation, status, body, expected) in [
            (CreateWorker, 429, HTML, Retryable),
            (FetchWorker, 400, r#"{"code":20429}"#, Retryable),
            (CreateWorker, 401, "", Unauthorized),
            (CreateWorker, 403, HTML, Unauthorized),
            (CreateWorker, 404, JSON, Unauthorized),
            (ListWorkers, 404, "", Unauthorized),
            (ListWorkers, 404, HTML, Retryable),
            (FetchWorker, 404, JSON, NotFound),
            (FetchWorker, 404, HTML, Retryable),
            (DeleteWorker, 404, "", NotFound),
            (DeleteWorker, 404, HTML, Ambiguous),
            (CreateWorker, 409, "", Conflict),
            (CreateWorker, 400, catch_all, Conflict),
            (CreateWorker, 400, r#"{"code":20002}"#, Permanent),
            (CreateWorker, 400, HTML, Conflict),
            (UpdateWorker, 400, catch_all, Permanent),
            (UpdateWorker, 409, "", Stale),
            (UpdateWorker, 412, "", Stale),
            (DeleteWorker, 400, catch_all, Blocked),
            (DeleteWorker, 409, "", Blocked),
            (DeleteWorker, 412, "", Stale),
            (SetChannel, 400, catch_all, Permanent),
            (SetChannel, 404, JSON, NotFound),
            (CreateWorker, 500, HTML, Ambiguous),
            (CreateWorker, 503, "", Ambiguous),
            (UpdateWorker, 408, "", Ambiguous),
            (FetchWorker, 502, HTML, Retryable),
            (CreateWorker, 302, "", Retryable),
            (CreateWorker, 422, "", Permanent),
        ] {
            assert_eq!(kind(operation, status, body), expected, "{operation} {status} {body}");
        }
    }

    #[test]
    fn a_renaming_may_meet_a_taken_name() {
        let renaming = Context { operation: Operation::UpdateWorker, names: true };
        let error = renaming.refused(&response(400, r#"{"code":20001,"message":"m"}"#), Timestamp::default());
        assert_eq!((error.kind, error.code, error.status), (ErrorKind::Conflict, Some(20001), Some(400)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_millis(1_784_116_800_000);
        for (text, expected) in [
            ("3", Some(3.0)),
            (" 0.5 ", Some(0.5)),
            ("-4", Some(0.0)),
            ("Wed, 15 Jul 2026 12:00:10 GMT", Some(10.0)),
            ("Wed, 15 Jul 2026 11:00:00 GMT", Some(0.0)),
            ("1000000", Some(600.0)),
            ("soon", None),
            ("NaN", Some(0.0)),
            ("inf", None),
        ] {
            let mut response = response(429, "");
            response.headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&response, now), expected.map(Duration::from_secs_f64), "{text}");
        }
    }

    #[test]
    fn messages_are_one_short_line() {
        let body =
            serde_json::json!({"message": format!("a\n\tb\u{7} {}", "x".repeat(1000)), "code": "20001"}).to_string();
        let context = Context { operation: Operation::SetChannel, names: false };
        let error = context.refused(&response(400, &body), Timestamp::default());
        assert!(error.message.starts_with("a b x") && error.message.chars().count() == MESSAGE_LIMIT);
        assert_eq!(error.code, Some(20001));
    }

    proptest! {
        #[test]
        fn a_write_is_never_called_undone_without_proof(status in 500..600_u16, body in "\\PC*") {
            for operation in Operation::ALL.into_iter().filter(|operation| operation.is_write()) {
                if !body.contains("20429") {
                    prop_assert_eq!(kind(operation, status, &body), ErrorKind::Ambiguous);
                }
            }
        }
    }
}
