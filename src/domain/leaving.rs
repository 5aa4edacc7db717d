//! What leaving is.

use std::fmt;
use std::str::FromStr;

use super::UserStatus;

/// Why somebody's access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user was deactivated.
    Deactivated,
    /// The user was deleted.
    Deleted,
    /// No rule gives the user anything any longer: a group, an attribute or a rule changed.
    LostAccess,
}

/// The text names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a reason for leaving")]
pub struct ReasonError(String);

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deactivated, Self::Deleted, Self::LostAccess];

    /// Why somebody has no access who has this status now.
    #[must_use]
    pub const fn of(status: UserStatus) -> Self {
        match status {
            UserStatus::Inactive => Self::Deactivated,
            UserStatus::Deleted => Self::Deleted,
            UserStatus::Active | UserStatus::Pending => Self::LostAccess,
        }
    }

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
            Self::LostAccess => "lost_access",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| ReasonError(text.chars().take(40).collect()))
    }
}
