//! The classes, each by its shortest case; and that people are told of a difference exactly when one is written.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reconcile::testing::{desired, map};

const ANA: &str = "ana@acme.example";

fn sid(n: u32) -> WorkerSid {
    format!("WK{n:032}").parse().unwrap()
}

fn held(number: u32, attributes: Value, channels: &[(&str, u32)]) -> Held {
    let desired = desired(ANA, attributes, channels);
    Held {
        worker: WorkerId::from(uuid::Uuid::from_u128(u128::from(number))),
        name: ANA.to_owned(),
        sid: Some(sid(number)),
        footprint: Footprint { applied: desired.applied(), ..Footprint::default() },
        desired: Some(desired),
        standing: Standing::Settled,
    }
}

fn agent(number: u32) -> Held {
    held(number, json!({"roles": ["agent"], "routing": {"skills": ["a"], "levels": {"a": 3}}}), &[("voice", 1)])
}

fn seen(number: u32, name: &str, attributes: Value) -> Seen {
    Seen {
        sid: sid(number),
        friendly_name: name.to_owned(),
        attributes: Some(map(attributes)),
        available: true,
        channels: None,
    }
}

/// The worker of a row, with something of others.
fn in_step(held: &Held) -> Seen {
    let mut attributes = held.desired.clone().unwrap().attributes;
    attributes.entry("theme").or_insert(json!("dark"));
    Seen { attributes: Some(attributes), ..seen(1, ANA, json!({})) }
}

fn rows(all: impl IntoIterator<Item = Held>) -> Rows {
    let mut rows = Rows::default();
    for held in all {
        if let Some(sid) = &held.sid {
            rows.by_sid.insert(sid.to_string(), held.clone());
        }
        rows.by_name.insert(fold(&held.name), held);
    }
    rows
}

fn changed(seen: &Seen, key: &str, value: Option<Value>) -> Seen {
    let mut changed = seen.clone();
    OwnedKeys::set(changed.attributes.as_mut().unwrap(), key, value);
    changed
}

#[test]
fn only_our_keys_count() {
    let rows = rows([agent(1)]);
    let good = in_step(&agent(1));
    assert!(matches!(classify(&rows, &good), Sight::InStep(_)));
    for other in [
        changed(&good, "theme", Some(json!("light"))),
        changed(&good, "theme", None),
        changed(&good, "routing.own", Some(json!([1]))),
        changed(&good, "routing.levels", Some(json!({"a": 3.0}))),
    ] {
        assert!(matches!(classify(&rows, &other), Sight::InStep(_)), "{other:?}");
    }
    for (other, what) in [
        (changed(&good, "roles", Some(json!(["admin"]))), "roles"),
        (changed(&good, "roles", None), "roles"),
        (changed(&good, "routing.skills", Some(json!(["a", "b"]))), "routing.skills"),
        (changed(&good, "routing", Some(json!("x"))), "routing.levels"),
        (Seen { friendly_name: ANA.to_uppercase(), ..good.clone() }, "name"),
    ] {
        let Sight::Drifted(held) = classify(&rows, &other) else { panic!("{other:?} is not drifted") };
        assert!(differences(held, &other).iter().any(|difference| difference.what == what), "{other:?}");
        assert_eq!(actions(held, &other), ["update"]);
    }
}

#[test]
fn channels_count_when_they_were_read() {
    let (held, good) = (agent(1), in_step(&agent(1)));
    let with = |capacity, available| Seen {
        channels: Some(BTreeMap::from([
            ("voice".to_owned(), Channel { capacity, available }),
            ("chat".to_owned(), Channel { capacity: 7, available: false }),
        ])),
        ..good.clone()
    };
    assert_eq!(actions(&held, &with(1, true)), Vec::<&str>::new());
    for other in [with(2, true), with(1, false)] {
        assert_eq!(actions(&held, &other), ["set_channel"]);
        assert_eq!(differences(&held, &other)[0].what, "channel.voice");
    }
}

#[test]
fn attributes_that_are_not_shown_are_unknown_and_not_empty() {
    let unknown = Seen { attributes: None, ..in_step(&agent(1)) };
    assert!(matches!(classify(&rows([agent(1)]), &unknown), Sight::Unclear(_)));
    assert_eq!(actions(&agent(1), &unknown), ["look"]);
}

#[test]
fn what_the_reconciler_is_at_is_no_drift() {
    for standing in [Standing::Moving, Standing::Unadopted] {
        let rows = rows([Held { standing, ..agent(1) }]);
        let drifted = changed(&in_step(&agent(1)), "roles", None);
        match (standing, classify(&rows, &drifted)) {
            (Standing::Moving, Sight::Pending(_)) | (Standing::Unadopted, Sight::Unadopted(_)) => {}
            (_, sight) => panic!("{standing:?}: {sight:?}"),
        }
    }
    assert_eq!(Held::standing("in_step", true), Standing::Settled);
    assert_eq!(Held::standing("in_step", false), Standing::Moving);
    assert_eq!(Held::standing("unadopted", false), Standing::Unadopted);
    for state in ["pending", "retrying", "blocked", "rejected", "something new"] {
        assert_eq!(Held::standing(state, false), Standing::Moving, "{state}");
    }
}

#[test]
fn a_worker_of_nobody_is_a_stranger_and_one_of_a_taken_name_a_successor() {
    let other = seen(2, "Ana@ACME.example", json!({}));
    assert!(matches!(classify(&Rows::default(), &other), Sight::Stranger(None)));
    assert!(matches!(classify(&rows([agent(1)]), &other), Sight::Successor(_)));
    let gone = Held { sid: None, desired: None, ..agent(1) };
    assert!(matches!(classify(&rows([gone]), &other), Sight::Stranger(Some(_))));
    let joining = Held { sid: None, standing: Standing::Moving, ..agent(1) };
    assert!(matches!(classify(&rows([joining]), &other), Sight::Pending(_)));
}

#[test]
fn whoever_is_kept_offline_must_not_get_work() {
    let kept = Held { desired: None, ..agent(1) };
    let offline = Seen { available: false, ..seen(1, ANA, json!({"roles": ["agent"]})) };
    assert!(matches!(classify(&rows([kept.clone()]), &offline), Sight::InStep(_)));
    for working in
        [Seen { available: true, ..offline.clone() }, changed(&offline, "routing.skills", Some(json!(["a"])))]
    {
        assert!(matches!(classify(&rows([kept.clone()]), &working), Sight::Drifted(_)), "{working:?}");
        assert_eq!(actions(&kept, &working), ["take_out"]);
        assert_eq!(differences(&kept, &working).len(), 1);
    }
}

#[test]
fn one_person_is_known_by_several_names() {
    let ours = identities(ANA, &map(json!({"email": "Ana.Ruiz@acme.example"})));
    for (name, attributes) in [
        // As the Console names her, as single sign-on does, and by what Flex wrote.
        ("ana_40acme_2Eexample", json!({})),
        ("ANA@acme.example", json!({})),
        ("aruiz", json!({"email": "ana@ACME.example"})),
        ("aruiz", json!({"contact_uri": "client:ana_40acme_2Eexample"})),
        ("aruiz", json!({"email": "ana.ruiz@acme.example"})),
        ("ana.ruiz@acme.example", json!({})),
    ] {
        assert!(!ours.is_disjoint(&identities(name, &map(attributes.clone()))), "{name} {attributes}");
    }
    for (name, attributes) in [
        ("aruiz", json!({})),
        ("bob@acme.example", json!({"email": "", "contact_uri": ""})),
        ("ana@acme.example.org", json!({"contact_uri": "client:"})),
        ("ana@acme_2Eexample", json!({})),
    ] {
        assert!(ours.is_disjoint(&identities(name, &map(attributes.clone()))), "{name} {attributes}");
    }
}

#[test]
fn protected_roles_and_identities_of_the_console_are_left_alone() {
    let protected = BTreeSet::from(["admin".to_owned()]);
    let why = |name: &str, attributes: Value| protection(name, &map(attributes), &protected);
    assert_eq!(why("bob", json!({"roles": ["agent"]})), None);
    assert_eq!(why("bob_smith", json!({})), None);
    assert!(why("bob", json!({"roles": ["agent", "admin"]})).unwrap().contains("'admin'"));
    assert!(why("bob", json!({"roles": "admin"})).is_some());
    assert!(why("bob_40acme_2Eexample", json!({})).unwrap().contains("Console"));
    assert!(why("bob", json!({"roles": ["flex.readonlyadmin"]})).unwrap().contains("Console"));
    assert_eq!(stranger(true, true), Class::Duplicate);
    assert_eq!(stranger(false, true), Class::Unadopted);
    assert_eq!(stranger(false, false), Class::Orphan);
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(["agent"])),
        Just(json!(["agent", "admin"])),
        Just(json!(3)),
        Just(json!(3.0)),
        Just(json!("x")),
        Just(json!({"a": 1, "b": 2})),
        Just(json!({"b": 2.0, "a": 1})),
        Just(json!({})),
    ]
}

fn attributes() -> impl Strategy<Value = Value> {
    let member = prop_oneof![Just("skills"), Just("levels"), Just("own")];
    let routing = proptest::collection::btree_map(member, value(), 0..3);
    let key = prop_oneof![Just("roles"), Just("site"), Just("theme"), Just("email")];
    (proptest::collection::btree_map(key, value(), 0..4), proptest::option::of(routing)).prop_map(
        |(mut all, routing)| {
            if let Some(routing) = routing {
                all.insert("routing", json!(routing));
            }
            json!(all)
        },
    )
}

fn channels() -> impl Strategy<Value = Vec<(&'static str, u32)>> {
    proptest::sample::subsequence(vec![("voice", 1), ("chat", 3), ("sms", 2)], 0..=3)
}

fn found_channels() -> impl Strategy<Value = Option<BTreeMap<String, Channel>>> {
    let name = prop_oneof![Just("voice"), Just("chat"), Just("sms"), Just("video")].prop_map(str::to_owned);
    let channel = (0..4_u32, any::<bool>()).prop_map(|(capacity, available)| Channel { capacity, available });
    proptest::option::of(proptest::collection::btree_map(name, channel, 0..4))
}

proptest! {
    #[test]
    fn people_are_told_of_a_difference_exactly_when_one_is_written(
        wanted in attributes(),
        before in attributes(),
        granted in channels(),
        granted_before in channels(),
        found in attributes(),
        found_channels in found_channels(),
        renamed in any::<bool>(),
    ) {
        let mut held = held(1, wanted, &granted);
        // What was written for an earlier version may be on record, too.
        let earlier = desired(ANA, before, &granted_before).applied();
        let applied = &mut held.footprint.applied;
        applied.keys = applied.keys.union(&earlier.keys);
        for (name, capacity) in earlier.channels {
            applied.channels.entry(name).or_insert(capacity);
        }
        let name = if renamed { "ANA@acme.example" } else { ANA };
        let seen = Seen { channels: found_channels, ..seen(1, name, found) };
        let (actions, differences) = (actions(&held, &seen), differences(&held, &seen));
        prop_assert_eq!(actions.is_empty(), differences.is_empty(), "{:?} {:?}", actions, differences);
    }

    #[test]
    fn whatever_was_just_written_is_in_step(wanted in attributes(), granted in channels(), others in "[a-z]{1,5}") {
        let held = held(1, wanted, &granted);
        let mut worker = in_step(&held);
        if let Some(attributes) = worker.attributes.as_mut().filter(|attributes| !attributes.contains_key(&others)) {
            attributes.insert(others, json!(true));
        }
        prop_assert!(actions(&held, &worker).is_empty());
        prop_assert!(matches!(classify(&rows([held]), &worker), Sight::InStep(_)), "by its SID");
    }

    #[test]
    fn any_worker_has_a_class(
        rows_of in proptest::collection::vec((1..4_u32, 0..3_u8, any::<bool>(), any::<bool>()), 0..4),
        number in 1..4_u32,
        attributes in proptest::option::of(attributes()),
        available in any::<bool>(),
        name in "(ana@acme.example|ANA@acme.example|bob|\\PC{0,8})",
    ) {
        let all = rows_of.into_iter().map(|(number, standing, has_sid, has_desired)| {
            let mut held = agent(number);
            held.standing = [Standing::Settled, Standing::Moving, Standing::Unadopted][usize::from(standing)];
            if !has_sid { held.sid = None; }
            if !has_desired { held.desired = None; }
            held
        });
        let rows = rows(all);
        let seen = Seen { attributes: attributes.map(map), available, ..seen(number, &name, json!({})) };
        let sight = classify(&rows, &seen);
        let moving = |held: &Held| held.standing != Standing::Settled;
        match &sight {
            Sight::Drifted(held) | Sight::InStep(held) | Sight::Unclear(held) => {
                prop_assert!(!moving(held) && held.sid.as_ref() == Some(&seen.sid));
            }
            Sight::Pending(held) | Sight::Unadopted(held) => prop_assert!(moving(held)),
            Sight::Stranger(held) => prop_assert!(held.is_none_or(|held| held.sid.is_none() && !moving(held))),
            Sight::Successor(held) => prop_assert!(held.sid.as_ref() != Some(&seen.sid) && !moving(held)),
        }
        prop_assert_eq!(classify(&rows, &seen), sight);
    }
}
