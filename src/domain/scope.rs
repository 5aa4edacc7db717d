//! What a bearer of a token may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token or an OAuth client is good for; the greater scope is the greater value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading: GET, and searches by POST.
    Read,
    /// Reading and every change.
    #[default]
    Write,
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a scope: use read or write")]
pub struct ScopeError(String);

impl Scope {
    /// The name in commands, answers and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// Whether this scope includes the other one.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self >= other
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            other => Err(ScopeError(other.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_includes_reading() {
        assert!(Scope::Write.includes(Scope::Read) && Scope::Write.includes(Scope::Write));
        assert!(Scope::Read.includes(Scope::Read) && !Scope::Read.includes(Scope::Write));
    }

    #[test]
    fn scopes_are_read_as_they_are_shown() {
        for scope in [Scope::Read, Scope::Write] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("all".parse::<Scope>().is_err() && "".parse::<Scope>().is_err());
    }
}
