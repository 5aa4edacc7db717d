//! Spans of time on the command line.

use std::time::Duration;

/// Reads `90s`, `30m`, `24h` or `7d`; `0` is no time at all.
///
/// # Errors
/// When it is none of them, or longer than a year.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a span of time: use for example 30m, 24h or 7d, and a year at most");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| number.parse::<u64>().ok()?.checked_mul(unit)).flatten();
    seconds.filter(|seconds| *seconds <= 366 * 86_400).map(Duration::from_secs).ok_or_else(wrong)
}

/// Writes a span as [`span`] reads it, in the largest unit that fits.
#[must_use]
pub fn written(span: Duration) -> String {
    let seconds = span.as_secs();
    let fits = [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, letter) = fits.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["0s", "90s", "30m", "25h", "7d"] {
            assert_eq!(span(text).map(written).as_deref(), Ok(text));
        }
    }

    #[test]
    fn spans_have_a_unit() {
        for (text, seconds) in [("0", 0), ("0h", 0), ("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(span(text).map(|span| span.as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "24", "h", "-1h", "1.5h", "1w", "367d", "99999999999999999999d", "1 h", "é"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
