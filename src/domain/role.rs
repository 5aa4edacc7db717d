//! The four roles, and what each is on a worker.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a person may do in the contact centre; the greater role is the greater value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes tasks.
    Agent,
    /// Leads teams of agents.
    Supervisor,
    /// Runs the contact centre.
    Admin,
    /// An admin who also holds the account itself; Flex has no such role.
    Owner,
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a role: use owner, admin, supervisor or agent")]
pub struct RoleError(String);

impl Role {
    /// All roles, the greatest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Supervisor, Self::Agent];

    /// The name in files, answers and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Supervisor => "supervisor",
            Self::Agent => "agent",
        }
    }

    /// The worker attribute `roles`.
    ///
    /// Flex knows `admin`, `supervisor` and `agent`; an owner is an admin there. Who acts as agent is
    /// an agent besides, because queue expressions select agents by that word.
    #[must_use]
    pub fn worker_roles(self, act_as_agent: bool) -> Vec<&'static str> {
        let main = match self {
            Self::Owner | Self::Admin => "admin",
            Self::Supervisor => "supervisor",
            Self::Agent => return vec!["agent"],
        };
        if act_as_agent { vec![main, "agent"] } else { vec![main] }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.chars().take(40).collect()))
    }
}

/// A set of roles, stored as a list of names with the greatest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Role>", into = "Vec<Role>")]
pub struct RoleSet(u8);

impl RoleSet {
    /// Whether the role is in the set.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }

    /// This set and the role.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | bit(role))
    }

    /// The roles of the set, the greatest first.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::default(), Self::with)
    }
}

impl From<Vec<Role>> for RoleSet {
    fn from(roles: Vec<Role>) -> Self {
        roles.into_iter().collect()
    }
}

impl From<RoleSet> for Vec<Role> {
    fn from(set: RoleSet) -> Self {
        set.iter().collect()
    }
}

const fn bit(role: Role) -> u8 {
    1 << role as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_nothing_else_is_a_role() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        for text in ["Admin", "", "root", "agent "] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }

    #[test]
    fn workers_carry_the_roles_that_flex_knows() {
        let roles = |role: Role, act: bool| role.worker_roles(act).join(",");
        assert_eq!(roles(Role::Owner, false), "admin");
        assert_eq!(roles(Role::Admin, true), "admin,agent");
        assert_eq!(roles(Role::Supervisor, false), "supervisor");
        assert_eq!(roles(Role::Supervisor, true), "supervisor,agent");
        assert_eq!(roles(Role::Agent, true), "agent");
    }

    #[test]
    fn sets_are_stored_as_names() {
        let set: RoleSet = [Role::Agent, Role::Supervisor].into_iter().collect();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["supervisor","agent"]"#);
        assert_eq!(serde_json::from_str::<RoleSet>(r#"["agent","supervisor"]"#).unwrap(), set);
        assert!(!set.contains(Role::Owner));
    }
}
