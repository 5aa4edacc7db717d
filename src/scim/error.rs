//! What a SCIM client is told when a request cannot be done (RFC 7644 §3.12).

use serde_json::{Value, json};

use super::messages::ERROR_URN;

/// The longest part of a request that is repeated in a detail, in characters.
const EXCERPT: usize = 80;

/// The kinds of refusal that RFC 7644 §3.12 (table 9) and RFC 9865 §2.2 name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimType {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// The filter would need more work than is granted.
    TooMany,
    /// Another resource has the value already.
    Uniqueness,
    /// A read-only, immutable or required attribute would change.
    Mutability,
    /// The body is not the JSON that the operation wants.
    InvalidSyntax,
    /// The PATCH path cannot be read.
    InvalidPath,
    /// The PATCH path selects nothing.
    NoTarget,
    /// A value is missing or of the wrong type.
    InvalidValue,
    /// The cursor of a page is not one that was given out for this list.
    InvalidCursor,
    /// The cursor of a page is too old.
    ExpiredCursor,
    /// The size of a page that begins at a cursor is not a positive number.
    InvalidCount,
}

impl ScimType {
    /// The keyword on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

/// A refused SCIM request: an HTTP status, a keyword for programs and a sentence for the administrator of the identity
/// provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// The HTTP status.
    pub status: u16,
    /// The kind of refusal; only 400 and 409 have one.
    pub scim_type: Option<ScimType>,
    /// What to change, in words.
    pub detail: String,
    /// The PATCH path that the detail repeats. It may hold a filter and in it a value, which the answer may say and a log may
    /// not.
    pub path: Option<String>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $kind:expr;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(detail: impl Into<String>) -> Self {
            Self { status: $status, scim_type: $kind, detail: detail.into(), path: None }
        }
    )+};
}

impl ScimError {
    constructors! {
        /// 400: the filter is not understood.
        invalid_filter = 400, Some(ScimType::InvalidFilter);
        /// 400: the filter or list needs more work than is granted.
        too_many = 400, Some(ScimType::TooMany);
        /// 400: a read-only, immutable or required attribute would change.
        mutability = 400, Some(ScimType::Mutability);
        /// 400: the body is not the JSON that the operation wants.
        invalid_syntax = 400, Some(ScimType::InvalidSyntax);
        /// 400: the PATCH path cannot be read.
        invalid_path = 400, Some(ScimType::InvalidPath);
        /// 400: the PATCH path selects nothing.
        no_target = 400, Some(ScimType::NoTarget);
        /// 400: a value is missing or of the wrong type.
        invalid_value = 400, Some(ScimType::InvalidValue);
        /// 400: the cursor was not given out for this list.
        invalid_cursor = 400, Some(ScimType::InvalidCursor);
        /// 400: the cursor is too old.
        expired_cursor = 400, Some(ScimType::ExpiredCursor);
        /// 400: a page from a cursor needs a positive size.
        invalid_count = 400, Some(ScimType::InvalidCount);
        /// 409: another resource has the value already.
        uniqueness = 409, Some(ScimType::Uniqueness);
        /// 409: what the request builds on is not there.
        conflict = 409, None;
        /// 401: no bearer token, or not a valid one.
        unauthorized = 401, None;
        /// 403: the token may not do this.
        forbidden = 403, None;
        /// 404: no such resource or path.
        not_found = 404, None;
        /// 405: the path knows other methods.
        method_not_allowed = 405, None;
        /// 412: the resource has another version than the one named in If-Match.
        precondition_failed = 412, None;
        /// 413: the body is too long.
        payload_too_large = 413, None;
        /// 415: the body is not JSON by its Content-Type.
        unsupported_media_type = 415, None;
        /// 429: too many requests of this token.
        too_many_requests = 429, None;
        /// 503: try again later.
        unavailable = 503, None;
    }

    /// 500: our fault. The caller learns only the reference under which the cause is in the log.
    #[must_use]
    pub fn internal(reference: &str) -> Self {
        let detail = format!("The server failed to do this. Reference for the operator: {reference}");
        Self { status: 500, scim_type: None, detail, path: None }
    }

    /// The same error about a path, which its detail repeats as [`excerpt`] writes it.
    #[must_use]
    pub fn about_path(self, path: &str) -> Self {
        Self { path: Some(excerpt(path)), ..self }
    }

    /// The Error message (RFC 7644 §3.12), in which `status` is a string.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let mut body = json!({ "schemas": [ERROR_URN], "status": self.status.to_string() });
        if let Some(kind) = self.scim_type {
            body["scimType"] = kind.as_str().into();
        }
        body["detail"] = self.detail.as_str().into();
        body
    }
}

/// A piece of the request fit to be repeated in a detail: at most 80 characters, control characters replaced.
///
/// Details end up in logs and in consoles of identity providers, so what a caller sent is never repeated whole.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_a_string() {
        let body = ScimError::uniqueness("taken").to_body();
        assert_eq!(
            body,
            json!({ "schemas": [ERROR_URN], "status": "409", "scimType": "uniqueness", "detail": "taken" })
        );
        assert!(ScimError::not_found("gone").to_body().get("scimType").is_none());
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("a\nb"), "a\u{fffd}b");
        assert_eq!(excerpt(&"x".repeat(5000)).len(), 83);
    }
}
