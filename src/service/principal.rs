//! Who sends a request to the pages and the JSON API: a person with a session, or a script with a key.

use crate::base::{AccountId, ApiKeyId, ConnectionId, SessionId, Timestamp, UserId};
use crate::domain::{Means, Person, Role, SessionTimes};
use crate::store::StoreError;

/// Who sends a request, and what they are now.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account; nothing of another one can be seen.
    pub account: AccountId,
    /// Its name.
    pub account_name: String,
    /// The role now.
    pub role: Role,
    /// The person; none: a key that belongs to nobody.
    pub person: Option<Known>,
    /// The name of the connection that the person belongs to.
    pub connection: Option<String>,
    /// How the request shows it.
    pub by: By,
}

/// A person as the pages show one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The user.
    pub user: UserId,
    /// userName.
    pub user_name: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The name for people.
    pub full_name: Option<String>,
}

impl Known {
    /// From a user's stored attributes.
    pub(super) fn read(user: UserId, user_name: String, document: &str) -> Result<Self, StoreError> {
        let attributes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(document)
            .map_err(|error| StoreError::Damaged { table: "user", what: format!("document of {user}: {error}") })?;
        let person = Person::new(&attributes);
        Ok(Self { user, user_name, email: person.email().map(str::to_owned), full_name: person.full_name() })
    }

    /// What to call the person.
    #[must_use]
    pub fn name(&self) -> &str {
        self.full_name.as_deref().unwrap_or(&self.user_name)
    }
}

/// How a request shows who sends it.
#[derive(Clone, Debug)]
pub enum By {
    /// By the cookie of a session.
    Session(SessionFacts),
    /// By an API key.
    Key(ApiKeyId),
}

/// The session of a request.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Its id.
    pub id: SessionId,
    /// By what the person signed in.
    pub means: Means,
    /// The connection of the sign-in; none: a local account.
    pub connection: Option<ConnectionId>,
    /// Its times.
    pub times: SessionTimes,
}

impl Principal {
    /// The session, if the request has one.
    #[must_use]
    pub const fn session(&self) -> Option<&SessionFacts> {
        match &self.by {
            By::Session(session) => Some(session),
            By::Key(_) => None,
        }
    }

    /// Whether a sensitive change may follow: keys were given out for it, people have to have proved lately who they are.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.session().is_none_or(|session| session.times.is_fresh(now))
    }

    /// How the audit trail names who did it.
    #[must_use]
    pub fn actor(&self) -> String {
        match (&self.by, &self.person) {
            (By::Key(id), _) => format!("api-key:{id}"),
            (By::Session(_), Some(person)) => format!("user:{}", person.user),
            (By::Session(session), None) => format!("session:{}", session.id),
        }
    }
}
