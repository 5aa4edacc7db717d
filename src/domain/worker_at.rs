//! When a person's worker is made.

use std::fmt;
use std::str::FromStr;

/// When the worker of a new person is made: Twilio bills for workers of people who never come, or has them ready on the first
/// day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WorkerAt {
    /// As soon as the person has access.
    #[default]
    Provisioning,
    /// When the person signs in for the first time. Workers that are there stay.
    SignIn,
}

/// The text names no such moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use provisioning or sign-in")]
pub struct WorkerAtError;

impl WorkerAt {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Provisioning, Self::SignIn];

    /// The name in the database and in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::SignIn => "sign-in",
        }
    }
}

impl fmt::Display for WorkerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WorkerAt {
    type Err = WorkerAtError;

    fn from_str(text: &str) -> Result<Self, WorkerAtError> {
        Self::ALL.into_iter().find(|at| at.as_str() == text).ok_or(WorkerAtError)
    }
}
