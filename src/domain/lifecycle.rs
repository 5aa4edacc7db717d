//! The life of a user: which change is possible from where, and who may make it.
//!
//! One table for every way in (SCIM, API, page, command line), so that no way has rights another lacks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Role;

/// Where a user is in life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// Invited and not yet accepted.
    Pending,
    /// May have access, if the rules give any.
    Active,
    /// Kept, without access.
    Inactive,
    /// Gone from lists; kept for history and for an owner's restore.
    Deleted,
}

/// The text names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a status: use pending, active, inactive or deleted")]
pub struct StatusError(String);

impl UserStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Inactive, Self::Deleted];

    /// The name in the database, in answers and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Deleted => "deleted",
        }
    }

    /// The status of a user that an identity provider creates.
    #[must_use]
    pub const fn provisioned(active: bool) -> Self {
        if active { Self::Active } else { Self::Inactive }
    }

    /// Whether rules may give access at all: without it there is no sign-in, no session and no worker.
    #[must_use]
    pub const fn may_have_access(self) -> bool {
        matches!(self, Self::Active)
    }
}

impl fmt::Display for UserStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UserStatus {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| StatusError(text.chars().take(40).collect()))
    }
}

/// Who makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The connection that provisioned the user.
    Connection,
    /// A person with this role in the account.
    Person(Role),
    /// The user, with a link that was sent to them.
    Invitee,
    /// Whoever has the machine: the command line.
    Operator,
}

/// A change in a user's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The user accepts an invitation.
    Accept,
    /// Access may begin again: what the rules give today, never what they gave before (S48).
    Activate,
    /// Access ends; the user is kept.
    Deactivate,
    /// The user goes.
    Delete,
    /// A deleted user comes back.
    Restore,
}

impl Change {
    const fn verb(self) -> &'static str {
        match self {
            Self::Accept => "accept an invitation for",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::Restore => "restore",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

/// What the decision needs to know of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where the user is now.
    pub status: UserStatus,
    /// The user is the only local owner left; nothing may end that access (S31).
    pub last_local_owner: bool,
}

/// Why a change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// The actor may never do this.
    #[error("not allowed to {0} a user")]
    Forbidden(Change),
    /// The change makes no sense from here.
    #[error("cannot {change} a user who is {status}")]
    Impossible {
        /// What was wanted.
        change: Change,
        /// Where the user is.
        status: UserStatus,
    },
    /// The user is deleted: to everybody but an owner who restores, they do not exist.
    #[error("the user is deleted")]
    Gone,
    /// The account would be left without an owner who can sign in without the identity provider.
    #[error("the last local owner cannot be removed, deactivated or demoted")]
    LastOwner,
}

impl Standing {
    /// The status after a change, which may be the present one.
    ///
    /// # Errors
    /// Says why the change is refused; see [`LifecycleError`].
    pub fn after(self, change: Change, actor: Actor) -> Result<UserStatus, LifecycleError> {
        if !allowed(change, actor) {
            return Err(LifecycleError::Forbidden(change));
        }
        if self.last_local_owner && matches!(change, Change::Deactivate | Change::Delete) {
            return Err(LifecycleError::LastOwner);
        }
        let impossible = Err(LifecycleError::Impossible { change, status: self.status });
        match (self.status, change) {
            (UserStatus::Deleted, Change::Restore) | (UserStatus::Pending, Change::Accept) => Ok(UserStatus::Active),
            (UserStatus::Deleted, _) => Err(LifecycleError::Gone),
            // An IdP that pushes somebody who was invited vouches for them; a person cannot skip the acceptance.
            (UserStatus::Pending, Change::Activate) if actor != Actor::Connection => impossible,
            (_, Change::Activate) => Ok(UserStatus::Active),
            (_, Change::Deactivate) => Ok(UserStatus::Inactive),
            (_, Change::Delete) => Ok(UserStatus::Deleted),
            (_, Change::Accept | Change::Restore) => impossible,
        }
    }

    /// Whether the user's role may become `role` (nothing: no role at all).
    ///
    /// # Errors
    /// [`LifecycleError::LastOwner`] when that would demote the last local owner, by whatever way.
    pub const fn may_become(self, role: Option<Role>) -> Result<(), LifecycleError> {
        if self.last_local_owner && !matches!(role, Some(Role::Owner)) {
            Err(LifecycleError::LastOwner)
        } else {
            Ok(())
        }
    }
}

const fn allowed(change: Change, actor: Actor) -> bool {
    match (actor, change) {
        (Actor::Invitee, Change::Accept)
        | (
            Actor::Connection | Actor::Person(Role::Owner | Role::Admin),
            Change::Activate | Change::Deactivate | Change::Delete,
        )
        | (Actor::Person(Role::Owner), Change::Restore)
        | (Actor::Operator, Change::Activate | Change::Deactivate | Change::Delete | Change::Restore) => true,
        (Actor::Invitee | Actor::Connection | Actor::Person(_) | Actor::Operator, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHANGES: [Change; 5] =
        [Change::Accept, Change::Activate, Change::Deactivate, Change::Delete, Change::Restore];
    const ACTORS: [Actor; 7] = [
        Actor::Connection,
        Actor::Person(Role::Owner),
        Actor::Person(Role::Admin),
        Actor::Person(Role::Supervisor),
        Actor::Person(Role::Agent),
        Actor::Invitee,
        Actor::Operator,
    ];

    fn standing(status: UserStatus) -> Standing {
        Standing { status, last_local_owner: false }
    }

    #[test]
    fn s53_supervisors_and_agents_change_nobodys_life() {
        for status in UserStatus::ALL {
            for change in CHANGES {
                for role in [Role::Supervisor, Role::Agent] {
                    let answer = standing(status).after(change, Actor::Person(role));
                    assert_eq!(answer, Err(LifecycleError::Forbidden(change)));
                }
            }
        }
    }

    #[test]
    fn only_owners_and_operators_bring_back_the_deleted() {
        for actor in ACTORS {
            let restored = standing(UserStatus::Deleted).after(Change::Restore, actor).is_ok();
            assert_eq!(restored, matches!(actor, Actor::Person(Role::Owner) | Actor::Operator), "{actor:?}");
        }
        assert_eq!(standing(UserStatus::Deleted).after(Change::Activate, Actor::Connection), Err(LifecycleError::Gone));
        assert_eq!(standing(UserStatus::Deleted).after(Change::Delete, Actor::Connection), Err(LifecycleError::Gone));
    }

    #[test]
    fn an_invitation_is_accepted_by_the_invited_only_and_once() {
        let accept = |status, actor| standing(status).after(Change::Accept, actor);
        assert_eq!(accept(UserStatus::Pending, Actor::Invitee), Ok(UserStatus::Active));
        assert!(accept(UserStatus::Pending, Actor::Person(Role::Owner)).is_err());
        for status in [UserStatus::Active, UserStatus::Inactive, UserStatus::Deleted] {
            assert!(accept(status, Actor::Invitee).is_err(), "{status}");
        }
        assert!(standing(UserStatus::Pending).after(Change::Activate, Actor::Person(Role::Admin)).is_err());
    }

    #[test]
    fn s31_the_last_local_owner_stays() {
        let last = Standing { status: UserStatus::Active, last_local_owner: true };
        for actor in [Actor::Connection, Actor::Person(Role::Owner), Actor::Operator] {
            assert_eq!(last.after(Change::Deactivate, actor), Err(LifecycleError::LastOwner));
            assert_eq!(last.after(Change::Delete, actor), Err(LifecycleError::LastOwner));
        }
        assert_eq!(last.may_become(Some(Role::Admin)), Err(LifecycleError::LastOwner));
        assert_eq!(last.may_become(None), Err(LifecycleError::LastOwner));
        assert_eq!(last.may_become(Some(Role::Owner)), Ok(()));
    }

    #[test]
    fn names_round_trip() {
        for status in UserStatus::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert!("gone".parse::<UserStatus>().is_err());
    }

    proptest! {
        /// A push that is sent again changes nothing more.
        #[test]
        fn what_an_idp_repeats_is_idempotent(
            status in prop::sample::select(&UserStatus::ALL[..3]),
            change in prop::sample::select(&[Change::Activate, Change::Deactivate][..]),
        ) {
            let once = standing(status).after(change, Actor::Connection);
            let twice = once.and_then(|status| standing(status).after(change, Actor::Connection));
            prop_assert_eq!(once, twice);
        }
    }
}
