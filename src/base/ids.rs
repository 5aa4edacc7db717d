//! Typed ids: an account's id can never stand where a user's is wanted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct IdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        /// Reads only the form that we write (36 characters, lower case), so that one id has one spelling.
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let id = Uuid::try_parse(text).map_err(|_| IdError)?;
                let mut buffer = Uuid::encode_buffer();
                if *id.hyphenated().encode_lower(&mut buffer) == *text { Ok(Self(id)) } else { Err(IdError) }
            }
        }
    )+};
}

ids! {
    /// One contact centre (tenant).
    AccountId,
    /// A script's key for the JSON API.
    ApiKeyId,
    /// An OAuth client of a connection.
    ClientId,
    /// One link to an identity provider.
    ConnectionId,
    /// One audit event.
    EventId,
    /// A SCIM group.
    GroupId,
    /// A loss of access that waits for a person's decision.
    HoldId,
    /// A link that works once.
    LinkId,
    /// A mapping rule.
    RuleId,
    /// A session of somebody who signed in.
    SessionId,
    /// A bearer token of a connection.
    TokenId,
    /// A SCIM user.
    UserId,
    /// Our row for a `TaskRouter` worker (Twilio's own id is the SID).
    WorkerId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_has_one_spelling() {
        let text = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(text.parse::<UserId>().map(|id| id.to_string()), Ok(text.to_owned()));
        for other in [
            "0192F0C1-2345-7ABC-8DEF-0123456789AB",
            "0192f0c123457abc8def0123456789ab",
            "{0192f0c1-2345-7abc-8def-0123456789ab}",
            "1",
            "",
        ] {
            assert_eq!(other.parse::<UserId>(), Err(IdError), "{other}");
        }
    }
}
