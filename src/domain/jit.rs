//! Who becomes a user at sign-in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether somebody whom nobody provisioned becomes a user at the first sign-in (just-in-time provisioning).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Jit {
    /// Nobody: who is a user already signs in, however that came about.
    Off,
    /// Everybody whom the identity provider lets in.
    On,
    /// Nobody, and only whom SCIM provisioned signs in.
    Provisioned,
}

/// The text names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use on, off or provisioned")]
pub struct JitError;

impl Jit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::On, Self::Provisioned];

    /// The name in the database and in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Provisioned => "provisioned",
        }
    }
}

impl fmt::Display for Jit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Jit {
    type Err = JitError;

    fn from_str(text: &str) -> Result<Self, JitError> {
        Self::ALL.into_iter().find(|jit| jit.as_str() == text).ok_or(JitError)
    }
}
