//! What a worker at TaskRouter, and a row of ours, are to each other.
//!
//! Pure: the same rows and the same worker always give the same class. Whether a worker has drifted is the planner's to say
//! (a plan that is not empty), so that what is called drift is exactly what a repair writes; [`differences`] tells it to
//! people.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::access::contact_uri;
use crate::base::{WorkerId, fold};
use crate::domain::worker::{DesiredWorker, OwnedKeys, ROUTING, same_value};
use crate::reconcile::desired_store::{Footprint, RowState};
use crate::reconcile::plan::{self, Action, LOST_CHANNEL, Observed, PlanPolicy, WorkerState, granted};
use crate::taskrouter::{Channel, WorkerSid};

#[cfg(test)]
mod tests;

/// What a worker is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// As desired.
    InStep,
    /// Something of ours differs though we changed nothing.
    Drifted,
    /// We hold it in step, and TaskRouter has none.
    Missing,
    /// A worker of nobody.
    Orphan,
    /// A second worker of somebody: an identity of the Console beside that of single sign-on, or another spelling.
    Duplicate,
    /// A worker that may not be taken over, for its role or as an identity of the Console.
    Unadopted,
    /// The reconciler is at it.
    Pending,
}

impl Class {
    /// Those that are findings, in the order in which they are shown.
    pub const FINDINGS: [Self; 5] = [Self::Missing, Self::Drifted, Self::Duplicate, Self::Orphan, Self::Unadopted];

    /// The name in the database, on the command line and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "in_step",
            Self::Drifted => "drifted",
            Self::Missing => "missing",
            Self::Orphan => "orphan",
            Self::Duplicate => "duplicate",
            Self::Unadopted => "unadopted",
            Self::Pending => "pending",
        }
    }
}

/// How far the reconciler is with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is to do, and nobody is at it.
    Settled,
    /// Changed, under way, to be tried again or in doubt.
    Moving,
    /// A worker of its name may not be taken over.
    Unadopted,
}

/// A row of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The row.
    pub worker: WorkerId,
    /// The worker's name.
    pub name: String,
    /// The worker that is recorded as ours.
    pub sid: Option<WorkerSid>,
    /// The worker as it should be; none: there should be none, or one that gets no work.
    pub desired: Option<DesiredWorker>,
    /// What we wrote.
    pub footprint: Footprint,
    /// How far the reconciler is with it.
    pub standing: Standing,
}

impl Held {
    /// Reads the standing from the columns of a row.
    #[must_use]
    pub fn standing(state: &str, settled: bool) -> Standing {
        match (RowState::parse(state), settled) {
            (Some(RowState::Unadopted), _) => Standing::Unadopted,
            (_, true) => Standing::Settled,
            (_, false) => Standing::Moving,
        }
    }

    /// Whether a settled row says that a worker is there.
    #[must_use]
    pub fn has_a_worker(&self) -> bool {
        self.standing == Standing::Settled && self.sid.is_some()
    }
}

/// A worker as it was seen: in a list, where attributes may be unknown, or read by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its SID.
    pub sid: WorkerSid,
    /// Its name.
    pub friendly_name: String,
    /// All its attributes; none: they were not shown, which does not mean that there are none.
    pub attributes: Option<Map<String, Value>>,
    /// Whether it gets work now.
    pub available: bool,
    /// All its channels; none: they were not read, and count as they are recorded.
    pub channels: Option<BTreeMap<String, Channel>>,
}

/// The rows that may belong to the workers of a page.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By the SID of their worker.
    pub by_sid: HashMap<String, Held>,
    /// By their case-folded name.
    pub by_name: HashMap<String, Held>,
}

/// What a worker is, seen from the worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight<'a> {
    /// It is the worker of a row, as desired.
    InStep(&'a Held),
    /// It is the worker of a row, and differs.
    Drifted(&'a Held),
    /// It is, or will be, the worker of a row that the reconciler is at.
    Pending(&'a Held),
    /// A row wants a worker of this name, and may not have this one.
    Unadopted(&'a Held),
    /// It has the name of a row whose own worker is another one, which must be gone then: names are unique.
    Successor(&'a Held),
    /// It is nobody's; the row, if there is one, remembers a worker of this name that was removed.
    Stranger(Option<&'a Held>),
    /// What was seen does not tell: attributes have to be read.
    Unclear(&'a Held),
}

/// Classifies a worker by the rows that may belong to it.
#[must_use]
pub fn classify<'a>(rows: &'a Rows, seen: &Seen) -> Sight<'a> {
    if let Some(held) = rows.by_sid.get(seen.sid.as_str()) {
        return match held.standing {
            Standing::Moving => Sight::Pending(held),
            Standing::Unadopted => Sight::Unadopted(held),
            Standing::Settled if seen.attributes.is_none() => Sight::Unclear(held),
            Standing::Settled if actions(held, seen).is_empty() => Sight::InStep(held),
            Standing::Settled => Sight::Drifted(held),
        };
    }
    match rows.by_name.get(&fold(&seen.friendly_name)) {
        None => Sight::Stranger(None),
        Some(held) => match held.standing {
            Standing::Moving => Sight::Pending(held),
            Standing::Unadopted => Sight::Unadopted(held),
            Standing::Settled if held.sid.is_none() => Sight::Stranger(Some(held)),
            Standing::Settled => Sight::Successor(held),
        },
    }
}

/// The steps that would bring a worker into step; none if it is. A worker whose attributes are unknown needs a look.
#[must_use]
pub fn actions(held: &Held, seen: &Seen) -> Vec<&'static str> {
    let Some(attributes) = &seen.attributes else { return vec![Action::Look.as_str()] };
    let Some(desired) = &held.desired else {
        // It is kept, and must not get work.
        let gets_work = seen.available || attributes.contains_key(ROUTING);
        return if gets_work { vec![Action::TakeOut { attributes: None }.as_str()] } else { Vec::new() };
    };
    let state = WorkerState {
        sid: seen.sid.clone(),
        friendly_name: seen.friendly_name.clone(),
        attributes: attributes.clone(),
        available: seen.available,
        etag: None,
        channels: channels(held, desired, seen),
    };
    let planned = plan::plan(Some(desired), &held.footprint.applied, &Observed::Ours(state), &PlanPolicy::default());
    match planned {
        Ok(actions) => actions.iter().map(Action::as_str).collect(),
        // It differs, and cannot be written: the reconciler says why.
        Err(_) => vec!["refused"],
    }
}

/// The channels as far as they are ours: as read, else as recorded.
fn channels(held: &Held, desired: &DesiredWorker, seen: &Seen) -> BTreeMap<String, Channel> {
    let applied = &held.footprint.applied.channels;
    if let Some(read) = &seen.channels {
        let ours = |name: &String| desired.channels.contains_key(name) || applied.contains_key(name);
        return read.iter().filter(|(name, _)| ours(name)).map(|(name, channel)| (name.clone(), *channel)).collect();
    }
    let lost = applied.keys().filter(|name| !desired.channels.contains_key(*name));
    let wanted = desired.channels.iter().map(|(name, capacity)| (name.clone(), granted(*capacity)));
    wanted.chain(lost.map(|name| (name.clone(), LOST_CHANNEL))).collect()
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `name`, `available`, an attribute (`routing.skills`) or a channel (`channel.voice`).
    pub what: String,
    /// What we hold; null: it should not be there.
    pub held: Value,
    /// What TaskRouter has; null: nothing.
    pub found: Value,
}

/// What differs between a row and its worker, for people. Only what is ours counts.
#[must_use]
pub fn differences(held: &Held, seen: &Seen) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut differs = |what: String, held: Value, found: Value| all.push(Difference { what, held, found });
    let Some(attributes) = &seen.attributes else {
        differs("attributes".to_owned(), json!("a JSON object"), Value::Null);
        return all;
    };
    let Some(desired) = &held.desired else {
        if seen.available {
            differs("available".to_owned(), json!(false), json!(true));
        }
        if let Some(routing) = attributes.get(ROUTING) {
            differs(ROUTING.to_owned(), Value::Null, routing.clone());
        }
        return all;
    };
    if seen.friendly_name != desired.friendly_name {
        differs("name".to_owned(), json!(desired.friendly_name), json!(seen.friendly_name));
    }
    for (key, value) in desired.entries() {
        let found = OwnedKeys::value(attributes, &key);
        if !found.is_some_and(|found| same_value(found, value)) {
            differs(key, value.clone(), found.cloned().unwrap_or_default());
        }
    }
    for key in held.footprint.applied.keys.minus(&desired.owned_keys()) {
        if let Some(found) = OwnedKeys::value(attributes, key) {
            differs(key.to_owned(), Value::Null, found.clone());
        }
    }
    let known = channels(held, desired, seen);
    let wanted = desired.channels.iter().map(|(name, capacity)| (name, granted(*capacity)));
    let lost = held.footprint.applied.channels.keys().filter(|name| !desired.channels.contains_key(*name));
    for (name, channel) in wanted.chain(lost.map(|name| (name, LOST_CHANNEL))) {
        if known.get(name) != Some(&channel) {
            differs(format!("channel.{name}"), shown(channel), known.get(name).copied().map(shown).unwrap_or_default());
        }
    }
    all
}

fn shown(channel: Channel) -> Value {
    json!({"capacity": channel.capacity, "available": channel.available})
}

/// By what a person is known, in the form that Flex makes of an identity, case-folded: equal ones are one person's.
///
/// Flex names a worker of single sign-on as the identity provider names the person (`ana@acme.example`), and one of the Console
/// by the encoded form (`ana_40acme_2Eexample`); `contact_uri` has that form for both (doc: Flex user attributes).
#[must_use]
pub fn identities(name: &str, attributes: &Map<String, Value>) -> BTreeSet<String> {
    let text = |key: &str| attributes.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let encoded = |identity: &str| fold(contact_uri(&fold(identity)).trim_start_matches(CLIENT));
    let mut all = BTreeSet::from([encoded(name)]);
    if is_encoded(name) {
        all.insert(fold(name));
    }
    all.extend(text("email").map(encoded));
    all.extend(text("contact_uri").and_then(|uri| uri.strip_prefix(CLIENT)).map(fold));
    all.retain(|identity| !identity.is_empty());
    all
}

const CLIENT: &str = "client:";

/// Whether a name is an address in the form that Flex makes of it.
fn is_encoded(name: &str) -> bool {
    let folded = fold(name);
    folded.contains("_40") && !folded.contains('@')
}

/// The roles that Flex gives to people of the Console who only look.
const CONSOLE_ROLES: [&str; 2] = ["flex.readteams", "flex.readonlyadmin"];

/// Why a worker of nobody may not be taken over or removed, if so: a protected role, or an identity of the Console.
#[must_use]
pub fn protection(name: &str, attributes: &Map<String, Value>, protected: &BTreeSet<String>) -> Option<String> {
    if let Some(role) = plan::protected_role(attributes, protected) {
        return Some(format!("it has the protected role '{role}'"));
    }
    let console = CONSOLE_ROLES.iter().map(|role| (*role).to_owned()).collect();
    let by_role = plan::protected_role(attributes, &console).is_some();
    (by_role || is_encoded(name)).then(|| "it is an identity of the Twilio Console".to_owned())
}

/// The class of a worker of nobody. `person` is the row of ours that has one of its identities.
#[must_use]
pub const fn stranger(person: bool, protected: bool) -> Class {
    match (person, protected) {
        (true, _) => Class::Duplicate,
        (false, true) => Class::Unadopted,
        (false, false) => Class::Orphan,
    }
}
