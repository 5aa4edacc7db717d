//! Cursors of lists (RFC 9865): where the next page begins, sealed so that nobody reads or makes one.

use serde::{Deserialize, Serialize};

use crate::base::{Ambient, Keyring, Timestamp};
use crate::scim::ScimError;
use crate::scim::discovery::CURSOR_TIMEOUT;
use crate::store::{Place, StoreError};

use super::error::ServiceError;

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// When it was given out, in milliseconds.
    pub(super) at: i64,
    /// How many matched when the walk began, if that was known.
    pub(super) total: Option<u64>,
    /// Which of the types of resources that are listed.
    pub(super) part: usize,
    /// The place behind which the page begins; none: at the beginning of the part.
    pub(super) place: Option<Place>,
    /// How many resources to pass over, where the order is made for each page.
    pub(super) offset: u64,
}

/// What a cursor belongs to: it opens for this list only, asked for in the same way by the same connection.
#[derive(Clone, Debug)]
pub(super) struct Binding(pub(super) String);

impl Cursor {
    pub(super) fn seal(
        mut self,
        keyring: &Keyring,
        ambient: &Ambient,
        binding: &Binding,
    ) -> Result<String, ServiceError> {
        self.at = ambient.now().millis();
        let text = serde_json::to_string(&self)
            .map_err(|error| StoreError::Damaged { table: "cursor", what: error.to_string() })?;
        Ok(keyring.seal(ambient, &binding.0, &text).map_err(StoreError::Sealed)?)
    }

    /// # Errors
    /// 400 `invalidCursor` for what was not sealed for this list, `expiredCursor` for what is too old. Which of the many
    /// ways a cursor can be wrong is not told.
    pub(super) fn open(sealed: &str, keyring: &Keyring, now: Timestamp, binding: &Binding) -> Result<Self, ScimError> {
        let opened = keyring.open(&binding.0, sealed).ok();
        let cursor: Option<Self> = opened.and_then(|text| serde_json::from_str(&text).ok());
        let cursor = cursor.ok_or_else(|| {
            ScimError::invalid_cursor(
                "The cursor was not given out for this list. Send nextCursor with the same filter and order, or begin anew with an empty cursor.",
            )
        })?;
        if now.since(Timestamp::from_millis(cursor.at)) > CURSOR_TIMEOUT {
            return Err(ScimError::expired_cursor(format!(
                "The cursor is older than {} seconds. Begin anew with an empty cursor.",
                CURSOR_TIMEOUT.as_secs()
            )));
        }
        Ok(cursor)
    }
}
