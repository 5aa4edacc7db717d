//! What must have come of the day, compared with what the application says and what TaskRouter has.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{Role, UserStatus};
use crate::taskrouter::stand_in::WorkerSnapshot;

/// `fixtures/demo/expected.json`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// The channels of a worker that no rule ever gave: as a new worker has them.
    pub(super) other_channels: BTreeMap<String, Channel>,
    pub(super) people: Vec<ExpectedPerson>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedPerson {
    /// The key in `people.toml`.
    pub(super) person: String,
    pub(super) name: String,
    pub(super) status: UserStatus,
    pub(super) role: Option<Role>,
    pub(super) teams: Vec<String>,
    pub(super) worker: Option<ExpectedWorker>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedWorker {
    pub(super) friendly_name: String,
    pub(super) available: bool,
    /// All of them: one too many is a difference.
    pub(super) attributes: Map<String, Value>,
    pub(super) channels: BTreeMap<String, Channel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    capacity: u32,
    available: bool,
}

/// What the application says about one person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) status: UserStatus,
    pub(super) role: Option<Role>,
    pub(super) teams: Vec<String>,
    pub(super) worker_sid: Option<String>,
    pub(super) in_step: bool,
}

/// Every difference between what was expected and what there is, one sentence each.
///
/// `told` is keyed by person, `workers` are all that TaskRouter has.
pub(super) fn differences(
    expected: &Expected,
    told: &IndexMap<String, Told>,
    workers: &[WorkerSnapshot],
) -> Vec<String> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    for person in &expected.people {
        let Some(told) = told.get(&person.person) else {
            found.push(format!("{}: unknown to the application", person.name));
            continue;
        };
        let mut differs = Differences { person: &person.name, found: &mut found };
        differs.compare("status", &person.status.as_str(), &told.status.as_str());
        differs.compare("role", &role(person.role), &role(told.role));
        differs.compare("teams", &person.teams, &told.teams);
        differs.compare("in step", &true, &told.in_step);
        let worker = told.worker_sid.as_ref().and_then(|sid| workers.iter().find(|worker| worker.sid == *sid));
        match (&person.worker, worker) {
            (Some(expected_worker), Some(worker)) => {
                known.push(worker.sid.as_str());
                differs.worker(expected_worker, &expected.other_channels, worker);
            }
            (Some(_), None) => differs.note("worker", "one", "none"),
            (None, Some(worker)) => {
                known.push(worker.sid.as_str());
                differs.note("worker", "none", &worker.sid);
            }
            (None, None) => differs.compare("worker SID", &None, &told.worker_sid.as_deref()),
        }
    }
    for stranger in workers.iter().filter(|worker| !known.contains(&worker.sid.as_str())) {
        found.push(format!(
            "TaskRouter has a worker that belongs to nobody: {} ({})",
            stranger.friendly_name, stranger.sid
        ));
    }
    found
}

fn role(role: Option<Role>) -> &'static str {
    role.map_or("none", Role::as_str)
}

struct Differences<'a> {
    person: &'a str,
    found: &'a mut Vec<String>,
}

impl Differences<'_> {
    fn note(&mut self, what: &str, expected: &str, found: &str) {
        self.found.push(format!("{}: {what}: expected {expected}, found {found}", self.person));
    }

    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.note(what, &format!("{expected:?}"), &format!("{found:?}"));
        }
    }

    fn worker(&mut self, expected: &ExpectedWorker, others: &BTreeMap<String, Channel>, found: &WorkerSnapshot) {
        self.compare("worker name", &expected.friendly_name, &found.friendly_name);
        self.compare("worker available", &expected.available, &found.available);
        self.attributes(&expected.attributes, &found.attributes);
        let channels: BTreeMap<&String, &Channel> = others.iter().chain(&expected.channels).collect();
        let has = |name: &String| {
            let channel = found.channels.get(name)?;
            Some(Channel { capacity: channel.capacity, available: channel.available })
        };
        for (name, channel) in &channels {
            self.compare(&format!("channel {name}"), &Some(**channel), &has(name));
        }
        for name in found.channels.keys().filter(|name| !channels.contains_key(name)) {
            self.compare(&format!("channel {name}"), &None, &has(name));
        }
    }

    fn attributes(&mut self, expected: &Map<String, Value>, found: &Map<String, Value>) {
        let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let unexpected = found.keys().filter(|name| !expected.contains_key(*name));
        for name in expected.keys().chain(unexpected) {
            let (wanted, there) = (expected.get(name), found.get(name));
            if wanted != there {
                self.note(&format!("attribute {name}"), &text(wanted), &text(there));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::taskrouter::stand_in::ChannelSnapshot;

    fn expected() -> Expected {
        serde_json::from_value(json!({
            "other_channels": {"voice": {"capacity": 1, "available": true}, "chat": {"capacity": 10, "available": true}},
            "people": [
                {"person": "ana", "name": "Ana", "status": "active", "role": "agent", "teams": ["Support"], "worker": {
                    "friendly_name": "ana@acme.example", "available": false,
                    "attributes": {"roles": ["agent"], "routing": {"skills": ["a"], "levels": {"a": 1}}},
                    "channels": {"chat": {"capacity": 3, "available": true}}
                }},
                {"person": "ben", "name": "Ben", "status": "inactive", "role": null, "teams": [], "worker": null}
            ]
        }))
        .unwrap()
    }

    fn told() -> IndexMap<String, Told> {
        let ana = Told {
            status: UserStatus::Active,
            role: Some(Role::Agent),
            teams: vec!["Support".to_owned()],
            worker_sid: Some("WK1".to_owned()),
            in_step: true,
        };
        let ben = Told { status: UserStatus::Inactive, role: None, teams: Vec::new(), worker_sid: None, in_step: true };
        [("ana".to_owned(), ana), ("ben".to_owned(), ben)].into_iter().collect()
    }

    fn worker() -> WorkerSnapshot {
        let channel = |name: &str, capacity| (name.to_owned(), ChannelSnapshot { capacity, available: true });
        let attributes = json!({"routing": {"levels": {"a": 1}, "skills": ["a"]}, "roles": ["agent"]});
        WorkerSnapshot {
            sid: "WK1".to_owned(),
            friendly_name: "ana@acme.example".to_owned(),
            attributes: attributes.as_object().unwrap().clone(),
            activity_name: "Offline".to_owned(),
            available: false,
            channels: [channel("voice", 1), channel("chat", 3)].into_iter().collect(),
            queues: Vec::new(),
            version: 1,
        }
    }

    #[test]
    fn what_is_as_expected_has_no_differences() {
        assert_eq!(differences(&expected(), &told(), &[worker()]), [""; 0]);
    }

    #[test]
    fn each_thing_that_differs_is_named() {
        let with = |change: &dyn Fn(&mut WorkerSnapshot)| {
            let mut worker = worker();
            change(&mut worker);
            let found = differences(&expected(), &told(), &[worker]);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].clone()
        };
        assert_eq!(with(&|w| w.available = true), "Ana: worker available: expected false, found true");
        assert!(
            with(&|w| drop(w.attributes.insert("site".to_owned(), json!("x"))))
                .ends_with("expected nothing, found \"x\"")
        );
        assert!(with(&|w| drop(w.attributes.remove("roles"))).ends_with("expected [\"agent\"], found nothing"));
        assert!(with(&|w| w.attributes["routing"]["levels"]["a"] = json!(2)).starts_with("Ana: attribute routing"));
        assert!(with(&|w| w.channels.get_mut("voice").unwrap().capacity = 2).starts_with("Ana: channel voice"));
        assert!(with(&|w| w.channels.get_mut("chat").unwrap().available = false).starts_with("Ana: channel chat"));
        assert!(with(&|w| w.channels.extend([("fax".to_owned(), w.channels["chat"])])).starts_with("Ana: channel fax"));
        assert!(with(&|w| w.friendly_name = "x".to_owned()).starts_with("Ana: worker name"));
    }

    #[test]
    fn what_the_application_says_counts_too() {
        let with = |change: &dyn Fn(&mut IndexMap<String, Told>)| {
            let mut told = told();
            change(&mut told);
            differences(&expected(), &told, &[worker()])
        };
        assert_eq!(with(&|t| t["ana"].role = None), ["Ana: role: expected \"agent\", found \"none\""]);
        assert_eq!(with(&|t| t["ana"].in_step = false), ["Ana: in step: expected true, found false"]);
        assert_eq!(with(&|t| t["ben"].status = UserStatus::Active).len(), 1);
        assert_eq!(with(&|t| drop(t.shift_remove("ben"))), ["Ben: unknown to the application"]);
        assert_eq!(with(&|t| t["ben"].worker_sid = Some("WK2".to_owned())).len(), 1);
        // His worker is gone, and hers belongs to nobody any longer.
        assert_eq!(with(&|t| t["ana"].worker_sid = Some("WK3".to_owned())).len(), 2);
    }
}
