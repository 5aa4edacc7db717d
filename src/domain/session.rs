//! How long a session lasts, and by what people sign in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// For how long after a sign-in sensitive changes are possible.
pub const FRESH: Duration = Duration::from_mins(5);

/// By what somebody showed who they are. A step-up asks for the same means again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// The password of a local account.
    Password,
    /// An identity provider by SAML 2.0.
    Saml,
    /// An identity provider by OpenID Connect.
    Oidc,
}

/// The text names no means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a means of signing in: use password, saml or oidc")]
pub struct MeansError(String);

impl Means {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Password, Self::Saml, Self::Oidc];

    /// The name in the database and in the log of sign-ins.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Saml => "saml",
            Self::Oidc => "oidc",
        }
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Means {
    type Err = MeansError;

    fn from_str(text: &str) -> Result<Self, MeansError> {
        let found = Self::ALL.into_iter().find(|means| means.as_str() == text);
        found.ok_or_else(|| MeansError(text.chars().take(40).collect()))
    }
}

/// How long the sessions of an account last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without a request. Requests are noted once a minute, so this is no shorter than [`SessionLimits::SHORTEST`].
    pub idle: Duration,
    /// In any case, counted from the sign-in.
    pub absolute: Duration,
}

impl SessionLimits {
    /// The shortest limit.
    pub const SHORTEST: Duration = Duration::from_mins(5);
    /// The longest limit.
    pub const LONGEST: Duration = Duration::from_hours(30 * 24);
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { idle: Duration::from_hours(1), absolute: Duration::from_hours(12) }
    }
}

/// When a session began, was used, and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// The sign-in.
    pub created_at: Timestamp,
    /// When the person last proved who they are: the sign-in or a step-up.
    pub authenticated_at: Timestamp,
    /// The last request, to the minute.
    pub last_seen_at: Timestamp,
    /// The end that the identity provider or the limits of that time set.
    pub ends_at: Timestamp,
}

impl SessionTimes {
    /// Whether the session stands at `now`. What a limit became meanwhile holds for it, too.
    #[must_use]
    pub fn stands(&self, limits: SessionLimits, now: Timestamp) -> bool {
        now < self.ends_at && now < self.created_at.after(limits.absolute) && now < self.last_seen_at.after(limits.idle)
    }

    /// Whether the person proved who they are lately enough for a sensitive change.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.authenticated_at.after(FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_000).after(Duration::from_mins(minutes))
    }

    #[test]
    fn s50_a_session_ends_idle_or_in_any_case() {
        let limits = SessionLimits { idle: Duration::from_mins(30), absolute: Duration::from_mins(100) };
        let times = |seen, ends| SessionTimes {
            created_at: at(0),
            authenticated_at: at(0),
            last_seen_at: at(seen),
            ends_at: at(ends),
        };
        assert!(times(0, 100).stands(limits, at(29)));
        assert!(!times(0, 100).stands(limits, at(30)), "idle");
        assert!(times(80, 200).stands(limits, at(99)));
        assert!(!times(90, 200).stands(limits, at(100)), "the limit was shortened meanwhile");
        assert!(!times(90, 95).stands(limits, at(95)), "the identity provider said so");
    }

    #[test]
    fn s52_a_sign_in_is_fresh_for_five_minutes() {
        let times =
            SessionTimes { created_at: at(0), authenticated_at: at(10), last_seen_at: at(14), ends_at: at(100) };
        assert!(times.is_fresh(at(14)));
        assert!(!times.is_fresh(at(15)));
    }

    #[test]
    fn means_have_one_name() {
        for means in Means::ALL {
            assert_eq!(means.to_string().parse(), Ok(means));
        }
        assert!("Password".parse::<Means>().is_err());
    }
}
