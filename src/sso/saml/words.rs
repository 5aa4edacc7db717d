//! What the parts share: values shown in errors, times, escaped text.

use crate::base::Timestamp;
use crate::sso::{Check, SsoError};

/// A value of a message as an error shows it: short, and without characters that would spoil a log.
pub(super) fn shown(value: &str) -> String {
    const MOST: usize = 200;
    let cut: String = value.chars().take(MOST).collect();
    let more = if cut.len() < value.len() { "..." } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}

pub(super) fn refuse<T>(check: Check, detail: impl Into<String>) -> Result<T, SsoError> {
    Err(SsoError::new(check, detail))
}

/// An instant (`xs:dateTime` in UTC, SAML Core §1.3.3).
pub(super) fn instant(text: &str) -> Result<Timestamp, SsoError> {
    let time = text.trim_matches([' ', '\t', '\r', '\n']);
    // Years of more digits do not fit what stores them.
    let parsed = if time.len() <= 40 { time.parse().ok() } else { None };
    parsed.ok_or_else(|| SsoError::new(Check::Malformed, format!("{} is not an instant in UTC", shown(text))))
}

/// Text as it stands in an attribute or between elements.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' => escaped.push_str("&#x9;"),
            '\n' => escaped.push_str("&#xA;"),
            '\r' => escaped.push_str("&#xD;"),
            // No XML 1.0 document can hold these, not even escaped.
            control if control < ' ' || matches!(control, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_values_in_one_short_line() {
        assert_eq!(shown("a\n\u{1b}[31m"), "\"a\\n\\u{1b}[31m\"");
        assert!(shown(&"x".repeat(5_000)).len() < 220);
    }

    #[test]
    fn reads_instants_as_identity_providers_write_them() {
        for text in ["2026-01-31T08:30:00Z", "2026-01-31T08:30:00.000Z", "2026-01-31T08:30:00.0000000Z"] {
            assert_eq!(instant(text).unwrap().to_string(), "2026-01-31T08:30:00.000Z", "{text}");
        }
        for text in ["", "2026-01-31", "2026-01-31T08:30:00", "now", "99999999-01-01T00:00:00Z"] {
            assert!(instant(text).is_err(), "{text}");
        }
    }
}
