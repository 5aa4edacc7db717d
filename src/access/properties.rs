//! What holds for all rules and all people.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Access, ConnectionGrants, Grant, Level, Rule, RuleDefinition, RuleSet, desired_worker, evaluate};
use crate::base::Ambient;
use crate::domain::worker::MAX_ATTRIBUTES_CHARS;
use crate::domain::{Role, RoleSet};

const GROUPS: [&str; 4] = ["A", "B", "C", "D"];

fn condition() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(&GROUPS[..]).prop_map(|group| format!("groups.display eq \"{group}\"")),
        prop::sample::select(&["x", "y"][..]).prop_map(|kind| format!("userType eq \"{kind}\"")),
        Just("title pr".to_owned()),
        prop::sample::select(&GROUPS[..]).prop_map(|group| format!("groups[display eq \"{group}\"]")),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

fn names(max: usize) -> impl Strategy<Value = Vec<String>> {
    vec(prop::sample::select(&["k1", "k2", "k3", "k4"][..]).prop_map(str::to_owned), 0..max)
}

fn definition() -> impl Strategy<Value = RuleDefinition> {
    let role = prop::option::of(prop::sample::select(&Role::ALL[..]));
    let attribute = prop_oneof![
        Just(Grant::From("userType".to_owned())),
        Just(Grant::From("groups.display".to_owned())),
        "[a-z]{1,900}".prop_map(|text| Grant::Literal(text.into())),
    ];
    let lists = (names(3), names(3), names(3), names(3), vec(attribute, 3), vec(0..=50_u32, 3));
    (condition(), role, any::<bool>(), lists).prop_map(|(when, role, act_as_agent, lists)| {
        let (teams, skills, channels, attributes, grants, numbers) = lists;
        RuleDefinition {
            when,
            role,
            act_as_agent,
            // Whatever else it grants, a rule must grant something.
            teams: if teams.is_empty() { vec!["base".to_owned()] } else { teams },
            skills: skills.into_iter().zip(&numbers).map(|(name, level)| (name, Level::from(*level))).collect(),
            channels: channels.into_iter().zip(numbers.iter().copied()).collect(),
            attributes: attributes.into_iter().zip(grants).collect(),
            ..RuleDefinition::default()
        }
    })
}

fn compile(definitions: Vec<RuleDefinition>) -> RuleSet {
    let ambient = Ambient::system();
    let rule = |(n, definition)| Rule::compile(ambient.id(), RuleDefinition { name: format!("r{n}"), ..definition });
    RuleSet::new(definitions.into_iter().enumerate().map(|entry| rule(entry).unwrap()).collect()).unwrap()
}

fn subject() -> impl Strategy<Value = Map<String, Value>> {
    let groups = prop::sample::subsequence(&GROUPS[..], 0..=GROUPS.len());
    let kind = prop::option::of(prop::sample::select(&["x", "y"][..]));
    ("[ -~]{1,300}", "\\PC{0,40}", groups, kind).prop_map(|(user_name, display, groups, kind)| {
        let groups: Vec<_> = groups.iter().map(|name| json!({"value": name, "display": name})).collect();
        let mut map = Map::from_iter([
            ("userName".to_owned(), Value::from(user_name)),
            ("displayName".to_owned(), Value::from(display)),
            ("groups".to_owned(), Value::from(groups)),
        ]);
        map.extend(kind.map(|kind| ("userType".to_owned(), Value::from(kind))));
        map
    })
}

fn grants() -> impl Strategy<Value = ConnectionGrants> {
    prop::sample::subsequence(&Role::ALL[..], 0..=4)
        .prop_map(|roles| ConnectionGrants { may_grant: roles.into_iter().collect::<RoleSet>() })
}

proptest! {
    #[test]
    fn evaluation_is_deterministic(rules in vec(definition(), 0..6), subject in subject(), grants in grants()) {
        let rules = compile(rules);
        prop_assert_eq!(evaluate(&rules, &subject, &grants), evaluate(&rules, &subject, &grants));
    }

    #[test]
    fn s30_no_role_beyond_the_connection_and_nothing_without_one(
        rules in vec(definition(), 0..6), subject in subject(), grants in grants(),
    ) {
        let access = evaluate(&compile(rules), &subject, &grants);
        if let Some(role) = access.role {
            prop_assert!(grants.may_grant.contains(role));
        } else {
            let skipped = access.skipped.clone();
            prop_assert_eq!(desired_worker(&subject, &access), Ok(None));
            prop_assert_eq!(access, Access { skipped, ..Access::default() });
        }
    }

    /// A rule at the end can only add: it changes no role that is there, no level, no capacity, no value.
    #[test]
    fn a_rule_at_the_end_only_adds(
        rules in vec(definition(), 1..6), last in definition(), subject in subject(), grants in grants(),
    ) {
        let before = evaluate(&compile(rules.clone()), &subject, &grants);
        let after = evaluate(&compile([rules, vec![last]].concat()), &subject, &grants);
        prop_assume!(before.role.is_some());
        prop_assert_eq!(before.role, after.role);
        prop_assert!(after.teams.starts_with(&before.teams));
        prop_assert!(before.skills.iter().all(|(name, level)| after.skills.get(name) == Some(level)));
        prop_assert!(before.channels.iter().all(|(name, capacity)| after.channels.get(name) == Some(capacity)));
        prop_assert!(before.attributes.iter().all(|(name, value)| after.attributes.get(name) == Some(value)));
    }

    #[test]
    fn without_grants_of_skills_there_is_no_routing(
        rules in vec(definition(), 0..6), subject in subject(), grants in grants(),
    ) {
        let bare = |rule: RuleDefinition| RuleDefinition { skills: indexmap::IndexMap::new(), ..rule };
        let with = evaluate(&compile(rules.clone()), &subject, &grants);
        let without = evaluate(&compile(rules.into_iter().map(bare).collect()), &subject, &grants);
        prop_assert_eq!(with.role, without.role);
        if let Ok(Some(worker)) = desired_worker(&subject, &without) {
            prop_assert!(!worker.attributes.contains_key("routing"));
        }
    }

    /// Each thing a person has is granted by exactly one rule, and nothing is granted that the person lacks.
    #[test]
    fn every_grant_is_explained_once(rules in vec(definition(), 0..6), subject in subject(), grants in grants()) {
        let access = evaluate(&compile(rules), &subject, &grants);
        let mut has: Vec<String> = access.role.iter().map(|_| "role".to_owned()).collect();
        has.extend(access.act_as_agent.then(|| "act_as_agent".to_owned()));
        has.extend(access.teams.iter().map(|name| format!("team:{name}")));
        has.extend(access.skills.keys().map(|name| format!("skill:{name}")));
        has.extend(access.channels.keys().map(|name| format!("channel:{name}")));
        has.extend(access.attributes.keys().map(|name| format!("attribute:{name}")));
        let mut explained: Vec<String> =
            access.because.iter().flat_map(|because| &because.granted).map(ToString::to_string).collect();
        has.sort();
        explained.sort();
        prop_assert_eq!(has, explained);
        prop_assert!(access.because.iter().all(|because| !because.matched.is_empty()));
    }

    #[test]
    fn a_desired_worker_fits_or_is_an_error(rules in vec(definition(), 1..6), subject in subject()) {
        let grants = ConnectionGrants::all();
        if let Ok(Some(worker)) = desired_worker(&subject, &evaluate(&compile(rules), &subject, &grants)) {
            prop_assert_eq!(Some(worker.friendly_name.as_str()), subject["userName"].as_str());
            prop_assert!(serde_json::to_string(&worker.attributes).unwrap().chars().count() <= MAX_ATTRIBUTES_CHARS);
            prop_assert!(worker.attributes.values().all(|value| !value.is_null() && value != ""));
            prop_assert!(worker.channels.values().all(|capacity| *capacity <= 50));
        }
    }

    #[test]
    fn definitions_survive_storage(definition in definition()) {
        let text = serde_json::to_string(&definition).unwrap();
        prop_assert_eq!(serde_json::from_str::<RuleDefinition>(&text).unwrap(), definition);
    }
}
