//! How refusals say what was found.

use crate::sso::{Check, SsoError};

/// The most characters of a foreign value that a refusal shows.
const SHOWN: usize = 200;

pub(super) fn refuse(check: Check, detail: impl Into<String>) -> SsoError {
    SsoError::new(check, detail)
}

/// A foreign value in quotation marks, without control characters, cut when it is long.
pub(super) fn shown(value: &str) -> String {
    let cut: String = value.chars().take(SHOWN).collect();
    let more = if cut.len() < value.len() { "..." } else { "" };
    format!("{cut:?}{more}")
}

/// Foreign values, one after another.
pub(super) fn list<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = values.into_iter().take(20).map(|value| shown(value.as_ref())).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_values_are_cut_and_escaped() {
        assert_eq!(shown("a\n\"b"), r#""a\n\"b""#);
        assert_eq!(shown(&"x".repeat(300)).len(), SHOWN + 5);
        assert_eq!(list(["a", "b"]), r#""a", "b""#);
        assert_eq!(list(Vec::<String>::new()), "nothing");
    }
}
