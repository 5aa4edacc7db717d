//! People as the API lists them.

use crate::base::{AccountId, UserId};
use crate::domain::{Role, UserStatus};
use crate::store::{StoreError, people};

use super::core::Core;
use super::error::ServiceError;
use super::principal::Known;

/// The most people of a page.
pub const MOST: u32 = 500;

/// A person in a list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who.
    pub person: Known,
    /// The role; none: no access.
    pub role: Option<Role>,
    /// Where the person is in life.
    pub status: UserStatus,
    /// The worker's SID, once there is one.
    pub sid: Option<String>,
    /// How the worker is; none: there never was to be one.
    pub state: Option<String>,
}

/// A page of people.
#[derive(Clone, Debug)]
pub struct PeoplePage {
    /// The people.
    pub items: Vec<Entry>,
    /// Where the next page begins; none: this is the last one.
    pub next: Option<String>,
}

impl Core {
    /// A page of an account's people, in the order in which they were made.
    ///
    /// # Errors
    /// When the cursor was not given out for this account.
    pub async fn list_people(
        &self,
        account: AccountId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<PeoplePage, ServiceError> {
        let (place, limit) = (format!("api/users/{account}"), limit.clamp(1, MOST));
        let after = cursor.map(|cursor| self.opened(&place, cursor)).transpose()?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = people::list(self.store.read(), account, after, u64::from(limit) + 1).await?;
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().map(|listed| listed.user).filter(|_| more);
        let sealed = last.map(|last| self.keyring.seal(&self.ambient, &place, &last.to_string()));
        let next = sealed.transpose().map_err(StoreError::Sealed)?;
        let items = found.into_iter().map(|it| {
            let person = Known::read(it.user, it.user_name, &it.document)?;
            Ok(Entry { person, role: it.role, status: it.status, sid: it.sid, state: it.state })
        });
        Ok(PeoplePage { items: items.collect::<Result<_, StoreError>>()?, next })
    }

    fn opened(&self, place: &str, cursor: &str) -> Result<UserId, ServiceError> {
        let wrong =
            || ServiceError::Invalid("the cursor was not given out for this list; begin without one".to_owned());
        self.keyring.open(place, cursor).ok().and_then(|id| id.parse().ok()).ok_or_else(wrong)
    }
}
