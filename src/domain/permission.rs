//! Who may do what on the pages and in the JSON API: one table, which everything that asks reads.

use super::Role;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// See oneself.
    SeeSelf,
    /// See and end one's own sessions.
    OwnSessions,
    /// See people, with role, status and worker.
    SeePeople,
    /// See and end sessions of others.
    OthersSessions,
    /// See API keys: never the keys themselves.
    SeeApiKeys,
    /// Make and revoke API keys.
    ChangeApiKeys,
    /// See connections, without their secrets.
    SeeConnections,
    /// Make, change and delete connections.
    ChangeConnections,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// What it is about.
    pub action: Action,
    /// Who may.
    pub roles: &'static [Role],
    /// Whether people must have proved within [`super::session::FRESH`] who they are. Keys of scripts cannot prove it again;
    /// they were made for the purpose by somebody who had.
    pub sensitive: bool,
}

const EVERYBODY: &[Role] = &[Role::Agent, Role::Supervisor, Role::Admin, Role::Owner];
const LEADERS: &[Role] = &[Role::Supervisor, Role::Admin, Role::Owner];
const ADMINS: &[Role] = &[Role::Admin, Role::Owner];

const fn row(action: Action, roles: &'static [Role], sensitive: bool) -> Permission {
    Permission { action, roles, sensitive }
}

/// The table: each action once.
pub const TABLE: [Permission; 8] = [
    row(Action::SeeSelf, EVERYBODY, false),
    row(Action::OwnSessions, EVERYBODY, false),
    row(Action::SeePeople, LEADERS, false),
    row(Action::OthersSessions, ADMINS, false),
    row(Action::SeeApiKeys, ADMINS, false),
    row(Action::ChangeApiKeys, ADMINS, true),
    row(Action::SeeConnections, ADMINS, false),
    row(Action::ChangeConnections, ADMINS, true),
];

impl Action {
    fn row(self) -> Option<&'static Permission> {
        TABLE.iter().find(|row| row.action == self)
    }

    /// Whether somebody of that role may. What is not in the table nobody may.
    #[must_use]
    pub fn is_allowed_to(self, role: Role) -> bool {
        self.row().is_some_and(|row| row.roles.contains(&role))
    }

    /// Whether a fresh sign-in is asked for. What is not in the table asks for one.
    #[must_use]
    pub fn is_sensitive(self) -> bool {
        self.row().is_none_or(|row| row.sensitive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s53_the_table_says_who_may_what() {
        let may = |role: Role| -> Vec<Action> {
            TABLE.iter().map(|row| row.action).filter(|action| action.is_allowed_to(role)).collect()
        };
        assert_eq!(may(Role::Agent), [Action::SeeSelf, Action::OwnSessions]);
        assert_eq!(may(Role::Supervisor), [Action::SeeSelf, Action::OwnSessions, Action::SeePeople]);
        assert_eq!(may(Role::Admin).len(), TABLE.len());
        assert_eq!(may(Role::Owner).len(), TABLE.len());
    }

    #[test]
    fn s52_what_gives_rights_is_sensitive() {
        let sensitive: Vec<Action> =
            TABLE.iter().map(|row| row.action).filter(|action| action.is_sensitive()).collect();
        assert_eq!(sensitive, [Action::ChangeApiKeys, Action::ChangeConnections]);
    }

    #[test]
    fn each_action_has_one_row() {
        for (n, row) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(n + 1).all(|other| other.action != row.action), "{:?}", row.action);
            // A greater role may whatever a smaller one may.
            for role in row.roles {
                assert!(Role::ALL.iter().filter(|other| *other > role).all(|other| row.roles.contains(other)));
            }
        }
    }
}
