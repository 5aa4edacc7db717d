use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn sid() -> WorkerSid {
    "WK00000000000000000000000000000001".parse().unwrap()
}

fn state(name: &str, attributes: Value) -> WorkerState {
    WorkerState {
        sid: sid(),
        friendly_name: name.to_owned(),
        attributes: map(attributes),
        available: false,
        etag: None,
        channels: BTreeMap::new(),
    }
}

fn desired(attributes: Value, channels: &[(&str, u32)]) -> DesiredWorker {
    DesiredWorker {
        friendly_name: "ana@acme.example".to_owned(),
        attributes: map(attributes),
        channels: channels.iter().map(|(name, capacity)| ((*name).to_owned(), *capacity)).collect(),
    }
}

fn protecting(role: &str) -> PlanPolicy {
    PlanPolicy { protected_roles: BTreeSet::from([role.to_owned()]), ..PlanPolicy::default() }
}

#[test]
fn a_mover_loses_exactly_what_we_wrote() {
    let before = desired(
        json!({"roles": ["agent"], "site": "north", "routing": {"skills": ["en"], "levels": {"en": 3}}}),
        &[("voice", 1), ("chat", 3)],
    );
    let after = desired(json!({"roles": ["agent"]}), &[("voice", 1)]);
    let mut found = state(
        "ana@acme.example",
        json!({"languages": ["de"], "roles": ["agent"], "site": "north", "disabled_skills": {"skills": []},
               "routing": {"skills": ["en"], "levels": {"en": 3}, "note": "theirs"}}),
    );
    found.channels = BTreeMap::from([("voice".to_owned(), granted(1)), ("chat".to_owned(), granted(3))]);
    let actions = plan(Some(&after), &before.applied(), &Observed::Ours(found), &PlanPolicy::default()).unwrap();
    let kept = json!({"languages": ["de"], "roles": ["agent"], "disabled_skills": {"skills": []}, "routing": {"note": "theirs"}});
    assert_eq!(
        actions,
        [
            Action::Update { friendly_name: None, attributes: map(kept) },
            Action::SetChannel { name: "chat".to_owned(), channel: LOST_CHANNEL },
        ]
    );
}

#[test]
fn nothing_differs_nothing_is_written() {
    let wanted = desired(json!({"roles": ["agent"], "routing": {"levels": {"en": 3}, "skills": ["en"]}}), &[]);
    let found = state(
        "ana@acme.example",
        json!({"routing": {"skills": ["en"], "levels": {"en": 3.0}}, "roles": ["agent"], "other": null}),
    );
    assert_eq!(
        plan(Some(&wanted), &Applied::default(), &Observed::Ours(found), &PlanPolicy::default()),
        Ok(Vec::new())
    );
}

#[test]
fn the_name_is_written_as_the_identity_provider_spells_it() {
    let wanted = desired(json!({"roles": ["agent"]}), &[]);
    let found = state("Ana@acme.example", json!({"roles": ["agent"]}));
    let actions =
        plan(Some(&wanted), &wanted.applied(), &Observed::Ours(found.clone()), &PlanPolicy::default()).unwrap();
    assert_eq!(
        actions,
        [Action::Update { friendly_name: Some("ana@acme.example".to_owned()), attributes: found.attributes }]
    );
}

#[test]
fn only_channels_that_differ_from_a_new_workers_are_set() {
    let wanted = desired(json!({"roles": ["agent"]}), &[("voice", 1), ("chat", 3), ("sms", 2)]);
    let policy = PlanPolicy {
        new_worker_channels: BTreeMap::from([("voice".to_owned(), granted(1)), ("chat".to_owned(), granted(10))]),
        ..PlanPolicy::default()
    };
    let actions = plan(Some(&wanted), &Applied::default(), &Observed::Absent, &policy).unwrap();
    assert_eq!(
        actions,
        [
            Action::Create,
            Action::SetChannel { name: "chat".to_owned(), channel: granted(3) },
            Action::SetChannel { name: "sms".to_owned(), channel: granted(2) },
        ]
    );
}

#[test]
fn a_leaver_is_taken_out_before_removal() {
    let mut found = state("ana@acme.example", json!({"roles": ["agent"], "routing": {"skills": ["en"]}, "x": 1}));
    found.available = true;
    let plan_for =
        |state: &WorkerState| plan(None, &Applied::default(), &Observed::Ours(state.clone()), &PlanPolicy::default());
    assert_eq!(
        plan_for(&found).unwrap(),
        [
            Action::TakeOut { attributes: Some(map(json!({"roles": ["agent"], "x": 1}))) },
            Action::Remove,
            Action::VerifyRemoved,
        ]
    );
    found.attributes.shift_remove(ROUTING);
    assert_eq!(plan_for(&found).unwrap()[0], Action::TakeOut { attributes: None });
    found.available = false;
    assert_eq!(plan_for(&found).unwrap(), [Action::Remove, Action::VerifyRemoved]);
}

#[test]
fn work_in_hand_is_waited_for_between_taking_out_and_removal() {
    let mut found = state("ana@acme.example", json!({}));
    found.available = true;
    let policy = PlanPolicy { drain: true, ..PlanPolicy::default() };
    assert_eq!(
        plan(None, &Applied::default(), &Observed::Ours(found), &policy).unwrap(),
        [Action::TakeOut { attributes: None }, Action::AwaitWork, Action::Remove, Action::VerifyRemoved]
    );
}

#[test]
fn a_namesake_is_never_removed() {
    let found = state("ana@acme.example", json!({}));
    assert_eq!(plan(None, &Applied::default(), &Observed::Namesake(found), &PlanPolicy::default()), Ok(Vec::new()));
}

#[test]
fn protected_workers_are_not_adopted() {
    let wanted = desired(json!({"roles": ["admin"], "full_name": "Ana"}), &[]);
    for roles in [json!(["agent", "admin"]), json!("admin")] {
        let found = Observed::Namesake(state("ana@acme.example", json!({"roles": roles})));
        assert_eq!(
            plan(Some(&wanted), &Applied::default(), &found, &protecting("admin")),
            Err(Refusal::Unadopted { role: "admin".to_owned() })
        );
        assert!(plan(Some(&wanted), &Applied::default(), &found, &protecting("auditor")).is_ok());
    }
}

#[test]
fn attributes_of_others_count_against_the_limit() {
    let wanted = desired(json!({"roles": ["agent"]}), &[]);
    let found = Observed::Ours(state("ana@acme.example", json!({"theirs": "x".repeat(ATTRIBUTES_LIMIT - 20)})));
    let refusal = plan(Some(&wanted), &Applied::default(), &found, &PlanPolicy::default()).unwrap_err();
    assert!(
        matches!(refusal, Refusal::AttributesTooLong { chars } if chars > ATTRIBUTES_LIMIT && chars < ATTRIBUTES_LIMIT + 50)
    );
}

/// TaskRouter as far as one worker is concerned: what is really there, and what the planner is shown of it.
struct Model {
    applied: Applied,
    shown: Observed,
    real: Option<WorkerState>,
}

impl Model {
    fn apply(&mut self, action: &Action, desired: Option<&DesiredWorker>, policy: &PlanPolicy) {
        match action {
            Action::AwaitWork => return,
            Action::Look | Action::VerifyRemoved => {
                self.shown = self.real.clone().map_or(Observed::Absent, Observed::Ours);
                return;
            }
            Action::Create => {
                assert!(self.real.is_none(), "created twice");
                let desired = desired.unwrap();
                self.real = Some(WorkerState {
                    friendly_name: desired.friendly_name.clone(),
                    channels: policy.new_worker_channels.clone(),
                    ..state("", Value::Object(desired.attributes.clone()))
                });
            }
            Action::Adopt => {}
            Action::Update { friendly_name, attributes } => {
                let real = self.real.as_mut().unwrap();
                if let Some(name) = friendly_name {
                    real.friendly_name.clone_from(name);
                }
                real.attributes.clone_from(attributes);
            }
            Action::SetChannel { name, channel } => {
                self.real.as_mut().unwrap().channels.insert(name.clone(), *channel);
            }
            Action::TakeOut { attributes } => {
                let real = self.real.as_mut().unwrap();
                real.available = false;
                if let Some(attributes) = attributes {
                    real.attributes.clone_from(attributes);
                }
            }
            Action::Remove => {
                let real = self.real.take().unwrap();
                assert!(!real.available && !real.attributes.contains_key(ROUTING), "removed while it could get work");
            }
        }
        self.shown = self.real.clone().map_or(Observed::Absent, Observed::Ours);
    }
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("a")),
        Just(json!(3)),
        Just(json!(3.0)),
        Just(json!(["x", "y"])),
        Just(json!({"k": [1]})),
        Just(json!(true)),
    ]
}

fn attributes() -> impl Strategy<Value = Map<String, Value>> {
    let routing = btree_map("skills|levels|note", values(), 0..3);
    (btree_map("roles|site|team|own", values(), 0..4), proptest::option::of(routing)).prop_map(|(plain, routing)| {
        let mut all: Map<String, Value> = plain.into_iter().collect();
        if let Some(members) = routing.filter(|members| !members.is_empty()) {
            all.insert(ROUTING.to_owned(), Value::Object(members.into_iter().collect()));
        }
        all
    })
}

fn workers() -> impl Strategy<Value = DesiredWorker> {
    ("ana|Ana|bob", attributes(), btree_map("voice|chat|sms", 0..4_u32, 0..3))
        .prop_map(|(friendly_name, attributes, channels)| DesiredWorker { friendly_name, attributes, channels })
}

fn channels() -> impl Strategy<Value = BTreeMap<String, Channel>> {
    let channel = (0..4_u32, any::<bool>()).prop_map(|(capacity, available)| Channel { capacity, available });
    btree_map("voice|chat|sms|mail", channel, 0..4)
}

fn states() -> impl Strategy<Value = WorkerState> {
    ("ana|Ana|bob", attributes(), any::<bool>(), channels()).prop_map(
        |(friendly_name, attributes, available, channels)| WorkerState {
            available,
            channels,
            ..state(&friendly_name, Value::Object(attributes))
        },
    )
}

fn applied() -> impl Strategy<Value = Applied> {
    let keys = btree_set("roles|site|team|routing\\.skills|routing\\.levels", 0..5);
    (keys, btree_map("voice|chat|sms", proptest::option::of(0..4_u32), 0..3)).prop_map(|(keys, channels)| Applied {
        keys: keys.into_iter().collect(),
        channels,
        roles: BTreeSet::new(),
    })
}

proptest! {
    #[test]
    fn planning_again_after_its_own_steps_gives_nothing(
        desired in proptest::option::of(workers()),
        applied in applied(),
        real in proptest::option::of(states()),
        how in 0..3_u8,
        new_worker_channels in channels(),
        keep_offline in any::<bool>(),
        drain in any::<bool>(),
    ) {
        let policy = PlanPolicy { keep_offline, drain, new_worker_channels, ..PlanPolicy::default() };
        let shown = match (how, real.clone()) {
            (0, _) => Observed::Unknown,
            (1, Some(state)) => Observed::Namesake(state),
            (_, Some(state)) => Observed::Ours(state),
            (_, None) => Observed::Absent,
        };
        let adoptable = desired.is_some() || how != 1;
        let mut model = Model { applied, shown, real: real.clone() };
        for round in 0.. {
            let actions = plan(desired.as_ref(), &model.applied, &model.shown, &policy).unwrap();
            if actions.is_empty() {
                break;
            }
            // Looking shows what there is, and only then the steps can be named: a second round. A third reads back what stays.
            prop_assert!(round < 3, "still {actions:?}");
            for action in &actions {
                model.apply(action, desired.as_ref(), &policy);
            }
            if !actions.contains(&Action::Look) {
                model.applied = desired.as_ref().map(DesiredWorker::applied).unwrap_or_default();
                prop_assert_eq!(plan(desired.as_ref(), &model.applied, &model.shown, &policy), Ok(Vec::new()));
            }
        }
        match &desired {
            None if adoptable && keep_offline => {
                prop_assert_eq!(model.real.is_some(), real.is_some());
                if let (Some(left), Some(found)) = (model.real, real) {
                    prop_assert!(is_out(&left));
                    let mut stripped = found.clone();
                    stripped.available = false;
                    stripped.attributes.shift_remove(ROUTING);
                    prop_assert_eq!(left, stripped, "all but the work stays as found");
                }
            }
            None => prop_assert!(!adoptable || model.real.is_none()),
            Some(desired) => {
                let worker = model.real.clone().unwrap();
                prop_assert_eq!(&worker.friendly_name, &desired.friendly_name);
                prop_assert!(carries(&worker.attributes, &desired.attributes));
                for (name, capacity) in &desired.channels {
                    prop_assert_eq!(worker.channels.get(name), Some(&granted(*capacity)));
                }
            }
        }
    }

    #[test]
    fn a_protected_worker_is_taken_out_and_never_removed(
        found in states(),
        keep_offline in any::<bool>(),
        drain in any::<bool>(),
    ) {
        let mut found = found;
        found.attributes.insert("roles".to_owned(), json!(["agent", "admin"]));
        let policy = PlanPolicy { keep_offline, drain, ..protecting("admin") };
        let mut model = Model { applied: Applied::default(), shown: Observed::Ours(found.clone()), real: Some(found) };
        for round in 0.. {
            prop_assert!(round < 3);
            match plan(None, &model.applied, &model.shown, &policy) {
                Ok(actions) if actions.is_empty() => {
                    prop_assert!(keep_offline);
                    break;
                }
                Ok(actions) => {
                    prop_assert!(!actions.contains(&Action::Remove));
                    for action in &actions {
                        model.apply(action, None, &policy);
                    }
                }
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::Protected { role: "admin".to_owned() });
                    prop_assert!(!keep_offline);
                    break;
                }
            }
        }
        prop_assert!(model.real.is_some_and(|left| is_out(&left)));
    }

    #[test]
    fn a_role_that_we_gave_protects_nobody(found in states(), drain in any::<bool>()) {
        let mut found = found;
        found.attributes.insert("roles".to_owned(), json!(["admin"]));
        let policy = PlanPolicy { drain, ..protecting("admin") };
        let applied = Applied { roles: BTreeSet::from(["admin".to_owned()]), ..Applied::default() };
        let actions = plan(None, &applied, &Observed::Ours(found), &policy).unwrap();
        prop_assert!(actions.contains(&Action::Remove), "{actions:?}");
    }

    #[test]
    fn what_others_wrote_stays(desired in workers(), applied in applied(), found in states()) {
        let after = merged(&found.attributes, &desired, &applied);
        let ours = applied.keys.union(&desired.owned_keys());
        let everything = DesiredWorker { attributes: found.attributes.clone(), ..desired.clone() };
        for (key, value) in everything.entries() {
            let replaced_whole = desired.attributes.get(ROUTING).is_some() && key == ROUTING;
            if !ours.contains(&key) && !replaced_whole {
                prop_assert_eq!(OwnedKeys::value(&after, &key), Some(value), "{}", key);
            }
        }
        for key in applied.keys.minus(&desired.owned_keys()) {
            prop_assert_eq!(OwnedKeys::value(&after, key), None, "{}", key);
        }
    }
}
