//! What a person loses when access is computed anew.

use serde::{Deserialize, Serialize};

use super::evaluate::Access;
use crate::domain::{LossKind, Role};

/// What one person would lose. Everything that is gained meanwhile is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How grave it is.
    pub kind: LossKind,
    /// The role that goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The role that comes for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_role: Option<Role>,
    /// Whether the worker goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub worker: bool,
    /// Whether acting as agent goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub act_as_agent: bool,
    /// The teams that go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// The skills that go, at whatever level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// The channels that go, at whatever capacity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
}

/// What a person has: the role, the outcome of the rules as far as it is known, and whether there is to be a worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Has<'a> {
    /// The role.
    pub role: Option<Role>,
    /// The outcome of the rules.
    pub access: Option<&'a Access>,
    /// Whether a worker is desired.
    pub worker: bool,
}

/// What goes on the way from what a person has to what the person is to have; none: nothing goes.
///
/// Another level of a skill, another capacity of a channel, and other values of worker attributes are no loss.
#[must_use]
pub fn loss(before: Has<'_>, after: Has<'_>) -> Option<Loss> {
    let worker = before.worker && !after.worker;
    let act_as_agent = before.access.is_some_and(|access| access.act_as_agent)
        && !after.access.is_some_and(|access| access.act_as_agent);
    let gone = |of: fn(&Access) -> Vec<&String>| -> Vec<String> {
        let kept = after.access.map(of).unwrap_or_default();
        let had = before.access.map(of).unwrap_or_default();
        had.into_iter().filter(|name| !kept.contains(name)).cloned().collect()
    };
    let teams = gone(|access| access.teams.iter().collect());
    let skills = gone(|access| access.skills.keys().collect());
    let channels = gone(|access| access.channels.keys().collect());
    let role = before.role.filter(|_| before.role != after.role);
    let kind = if worker || (role.is_some() && after.role.is_none()) {
        LossKind::Access
    } else if role.is_some() {
        LossKind::Role
    } else if act_as_agent || !(teams.is_empty() && skills.is_empty() && channels.is_empty()) {
        LossKind::Grants
    } else {
        return None;
    };
    let new_role = after.role.filter(|_| role.is_some());
    Some(Loss { kind, role, new_role, worker, act_as_agent, teams, skills, channels })
}

impl Loss {
    /// In words, for lists.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        match (self.role, self.new_role) {
            (Some(role), Some(new)) => parts.push(format!("{role} becomes {new}")),
            (Some(role), None) => parts.push(format!("role {role}")),
            (None, _) => {}
        }
        if self.worker {
            parts.push("worker".to_owned());
        }
        if self.act_as_agent {
            parts.push("acting as agent".to_owned());
        }
        for (word, names) in [("teams", &self.teams), ("skills", &self.skills), ("channels", &self.channels)] {
            if !names.is_empty() {
                parts.push(format!("{word} {}", names.join(", ")));
            }
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn access(role: Role, teams: &[&str], skills: &[&str], channels: &[&str]) -> Access {
        Access {
            role: Some(role),
            teams: teams.iter().map(|&team| team.to_owned()).collect(),
            skills: skills.iter().map(|&skill| (skill.to_owned(), 1.into())).collect(),
            channels: channels.iter().map(|&channel| (channel.to_owned(), 1)).collect(),
            ..Access::default()
        }
    }

    fn has(access: &Access) -> Has<'_> {
        Has { role: access.role, access: Some(access), worker: access.role.is_some() }
    }

    #[test]
    fn growth_and_ordinary_edits_lose_nothing() {
        let one = access(Role::Agent, &["A"], &["english"], &["voice"]);
        let mut more = access(Role::Agent, &["B", "A"], &["english", "french"], &["voice", "chat"]);
        more.skills.insert("english".to_owned(), 5.into());
        more.channels.insert("voice".to_owned(), 7);
        assert_eq!(loss(has(&one), has(&more)), None);
        assert_eq!(loss(has(&one), has(&one)), None);
        assert_eq!(loss(Has::default(), has(&one)), None);
        assert_eq!(loss(Has::default(), Has::default()), None);
    }

    #[test]
    fn the_gravest_loss_is_the_kind() {
        let before = access(Role::Supervisor, &["A", "B"], &["english"], &["voice"]);
        let gone = loss(has(&before), Has::default()).unwrap();
        assert_eq!((gone.kind, gone.worker, gone.role), (LossKind::Access, true, Some(Role::Supervisor)));
        assert_eq!(gone.describe(), "role supervisor; worker; teams A, B; skills english; channels voice");
        let demoted = access(Role::Agent, &["A"], &["english"], &["voice"]);
        let demoted = loss(has(&before), has(&demoted)).unwrap();
        assert_eq!(demoted.kind, LossKind::Role);
        assert_eq!(demoted.describe(), "supervisor becomes agent; teams B");
        let moved = access(Role::Supervisor, &["C", "B"], &["english"], &["voice"]);
        let moved = loss(has(&before), has(&moved)).unwrap();
        assert_eq!((moved.kind, moved.teams), (LossKind::Grants, vec!["A".to_owned()]));
        let promoted = access(Role::Admin, &["A", "B"], &["english"], &["voice"]);
        assert_eq!(loss(has(&before), has(&promoted)).map(|loss| loss.kind), Some(LossKind::Role));
    }

    #[test]
    fn a_worker_that_cannot_be_described_any_more_is_a_loss_of_access() {
        let before = access(Role::Agent, &[], &[], &[]);
        let after = Has { worker: false, ..has(&before) };
        assert_eq!(loss(has(&before), after).map(|loss| loss.kind), Some(LossKind::Access));
    }

    #[test]
    fn who_stops_acting_as_agent_loses_that() {
        let after = access(Role::Supervisor, &[], &[], &[]);
        let before = Access { act_as_agent: true, ..after.clone() };
        let lost = loss(has(&before), has(&after)).unwrap();
        assert_eq!((lost.kind, lost.describe().as_str()), (LossKind::Grants, "acting as agent"));
    }

    fn any_access() -> impl Strategy<Value = Access> {
        let names = || proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3);
        (proptest::option::of(proptest::sample::select(Role::ALL.to_vec())), names(), names(), names()).prop_map(
            |(role, teams, skills, channels)| {
                role.map_or_else(Access::default, |role| access(role, &teams, &skills, &channels))
            },
        )
    }

    proptest! {
        /// Whoever loses nothing still has the role and every grant.
        #[test]
        fn nothing_lost_is_everything_kept(before in any_access(), after in any_access()) {
            let lost = loss(has(&before), has(&after));
            let kept = before.role.is_none_or(|role| after.role == Some(role))
                && before.teams.iter().all(|team| after.teams.contains(team))
                && before.skills.keys().all(|skill| after.skills.contains_key(skill))
                && before.channels.keys().all(|channel| after.channels.contains_key(channel));
            prop_assert_eq!(lost.is_none(), kept);
        }
    }
}
