//! Leaving: why access ended, and what an account wants done with the workers of those who leave.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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

/// What becomes of calls and other work that a leaver has in hand. Out of the queues they are at once, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveCalls {
    /// The worker is deleted at once, as far as TaskRouter lets us.
    Cut,
    /// The worker is deleted when the work is done, or when the time for that is over.
    Drain,
}

/// What becomes of the worker of somebody who is deactivated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deactivated {
    /// It is removed, as that of everybody who leaves.
    Remove,
    /// It stays, unavailable and without routing.
    KeepOffline,
}

/// The text names no choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of: {1}")]
pub struct ChoiceError(String, &'static str);

impl LiveCalls {
    /// The name, stored and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Drain => "drain",
        }
    }
}

impl FromStr for LiveCalls {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let found = [Self::Cut, Self::Drain].into_iter().find(|choice| choice.as_str() == text);
        found.ok_or_else(|| ChoiceError(text.chars().take(40).collect(), "cut, drain"))
    }
}

impl Deactivated {
    /// The name, stored and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::KeepOffline => "keep-offline",
        }
    }
}

impl FromStr for Deactivated {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let found = [Self::Remove, Self::KeepOffline].into_iter().find(|choice| choice.as_str() == text);
        found.ok_or_else(|| ChoiceError(text.chars().take(40).collect(), "remove, keep-offline"))
    }
}

/// What an account wants done with the workers of those who leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaverPolicy {
    /// Work in hand.
    pub live_calls: LiveCalls,
    /// For how long work in hand is waited for, from the push on.
    pub drain: Duration,
    /// Those who are deactivated, from now on.
    pub deactivated: Deactivated,
}

impl LeaverPolicy {
    /// Whether the end of work in hand is still waited for, this long after the push.
    #[must_use]
    pub fn drains_at(&self, age: Duration) -> bool {
        self.live_calls == LiveCalls::Drain && age < self.drain
    }
}

impl Default for LeaverPolicy {
    fn default() -> Self {
        Self { live_calls: LiveCalls::Drain, drain: Duration::from_hours(1), deactivated: Deactivated::Remove }
    }
}
