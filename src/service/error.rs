//! What a use case can answer instead of its result.

use crate::scim::ScimError;
use crate::store::{StoreError, Taken};

/// A use case could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The SCIM request cannot be fulfilled.
    #[error(transparent)]
    Scim(#[from] ScimError),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
    /// What was named does not exist.
    #[error("there is no {kind} '{name}'{hint}")]
    Missing {
        /// What kind of thing.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// What to do.
        hint: String,
    },
    /// The request makes no sense as it stands; the text says what to change.
    #[error("{0}")]
    Invalid(String),
    /// The name is taken.
    #[error("{0}")]
    Taken(String),
}

impl ServiceError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable(_)))
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Taken::UserName) => Self::Scim(ScimError::uniqueness(
                "Another user has this userName (case does not matter). Match the existing user, or change the userName at the identity provider.",
            )),
            StoreError::Conflict(Taken::GroupName) => Self::Scim(ScimError::uniqueness(
                "Another group of this connection has this displayName (case does not matter).",
            )),
            StoreError::Conflict(taken @ (Taken::AccountName | Taken::ConnectionName)) => {
                Self::Taken(format!("{taken} is already taken; choose another"))
            }
            other => Self::Store(other),
        }
    }
}
