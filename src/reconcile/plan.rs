//! What has to be done so that the worker at TaskRouter becomes the desired one.
//!
//! [`plan`] is total and deterministic: it looks at the desired worker, at what we have written before and at what was
//! observed, and names the steps. Planning again after those steps gives nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::worker::{Applied, DesiredWorker, OwnedKeys, ROUTING, same_value};
use crate::taskrouter::{ATTRIBUTES_LIMIT, Channel, ETag, Worker, WorkerSid};

#[cfg(test)]
mod tests;

/// What is known of the worker at TaskRouter when planning.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// Nothing: it has to be looked at first.
    Unknown,
    /// There is none.
    Absent,
    /// The worker that we made or adopted.
    Ours(WorkerState),
    /// A worker that carries the name, and that we have no record of.
    Namesake(WorkerState),
}

/// A worker as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerState {
    /// Its SID.
    pub sid: WorkerSid,
    /// Its name.
    pub friendly_name: String,
    /// All its attributes, those of others included.
    pub attributes: Map<String, Value>,
    /// Whether it gets work now.
    pub available: bool,
    /// Its version, if TaskRouter told it.
    pub etag: Option<ETag>,
    /// The channels that are known; one that is not here may have any setting.
    pub channels: BTreeMap<String, Channel>,
}

impl WorkerState {
    /// From an answer of TaskRouter; `attributes` stand in where the answer does not show any.
    #[must_use]
    pub fn from_worker(worker: Worker, attributes: &Map<String, Value>) -> Self {
        Self {
            sid: worker.sid,
            friendly_name: worker.friendly_name,
            attributes: worker.attributes.unwrap_or_else(|| attributes.clone()),
            available: worker.available,
            etag: worker.etag,
            channels: BTreeMap::new(),
        }
    }
}

/// What the operator decided, and what is known of the workspace.
#[derive(Clone, Debug, Default)]
pub struct PlanPolicy {
    /// Workers with one of these values in `roles` are never adopted, and never removed.
    pub protected_roles: BTreeSet<String>,
    /// Whoever leaves keeps the worker, unavailable and without routing.
    pub keep_offline: bool,
    /// The end of work in hand is waited for before a worker is removed.
    pub drain: bool,
    /// The channels of a worker that was just created, as far as known.
    pub new_worker_channels: BTreeMap<String, Channel>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the worker.
    Look,
    /// Create it as desired.
    Create,
    /// Take the worker that carries the name for ours.
    Adopt,
    /// Write the name and all attributes.
    Update {
        /// The new name, if it differs.
        friendly_name: Option<String>,
        /// All attributes, those of others as found.
        attributes: Map<String, Value>,
    },
    /// Set a channel.
    SetChannel {
        /// The unique name of the task channel.
        name: String,
        /// Capacity and availability.
        channel: Channel,
    },
    /// Stop new work: an activity that is not available, pending reservations rejected, no routing left.
    TakeOut {
        /// All attributes without `routing`, if there was one.
        attributes: Option<Map<String, Value>>,
    },
    /// Go on only if the worker has no work in hand.
    AwaitWork,
    /// Delete it.
    Remove,
    /// Read back that it is gone.
    VerifyRemoved,
}

impl Action {
    /// A stable name for logs and counters.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update { .. } => "update",
            Self::SetChannel { .. } => "set_channel",
            Self::TakeOut { .. } => "take_out",
            Self::AwaitWork => "await_work",
            Self::Remove => "remove",
            Self::VerifyRemoved => "verify_removed",
        }
    }
}

/// Why nothing may be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The worker that carries the name is not ours and has a protected role.
    #[error("a worker of this name exists, was not made by us and has the protected role '{role}'")]
    Unadopted {
        /// The protected role.
        role: String,
    },
    /// The worker is ours, and others gave it a protected role: people remove it.
    #[error("the worker is out of the queues and has the protected role '{role}': remove it at Twilio")]
    Protected {
        /// The protected role.
        role: String,
    },
    /// More attributes than TaskRouter stores.
    #[error("the worker's attributes need {chars} characters of JSON, TaskRouter stores {ATTRIBUTES_LIMIT}")]
    AttributesTooLong {
        /// Characters of minified JSON.
        chars: usize,
    },
}

/// Names the steps from what is observed to what is desired; none if nothing is to do.
///
/// # Errors
/// A [`Refusal`] if the desired worker may not, or cannot, be brought about.
pub fn plan(
    desired: Option<&DesiredWorker>,
    applied: &Applied,
    observed: &Observed,
    policy: &PlanPolicy,
) -> Result<Vec<Action>, Refusal> {
    match (desired, observed) {
        (_, Observed::Unknown) => Ok(vec![Action::Look]),
        (None, Observed::Ours(state)) => leaving(state, applied, policy),
        // Without a record that it is ours it is not ours to remove.
        (None, Observed::Absent | Observed::Namesake(_)) => Ok(Vec::new()),
        (Some(desired), Observed::Absent) => {
            check_size(&desired.attributes)?;
            let mut actions = vec![Action::Create];
            actions.extend(granted_channels(desired, &policy.new_worker_channels));
            Ok(actions)
        }
        (Some(desired), Observed::Namesake(state)) => {
            if let Some(role) = protected_role(&state.attributes, &policy.protected_roles) {
                return Err(Refusal::Unadopted { role: role.to_owned() });
            }
            let mut actions = vec![Action::Adopt];
            actions.extend(alignment(desired, applied, state)?);
            Ok(actions)
        }
        (Some(desired), Observed::Ours(state)) => alignment(desired, applied, state),
    }
}

/// Whether all of these values are there; for `routing` it is enough that its members are.
#[must_use]
pub fn carries(attributes: &Map<String, Value>, values: &Map<String, Value>) -> bool {
    values.iter().all(|(key, value)| match (value, attributes.get(key)) {
        (Value::Object(members), Some(Value::Object(found))) if key == ROUTING => carries(found, members),
        (value, found) => found.is_some_and(|found| same_value(found, value)),
    })
}

/// The first protected value in a worker's `roles`.
#[must_use]
pub fn protected_role<'a>(attributes: &'a Map<String, Value>, protected: &BTreeSet<String>) -> Option<&'a str> {
    let roles = match attributes.get("roles") {
        Some(Value::Array(roles)) => roles.as_slice(),
        Some(role) => std::slice::from_ref(role),
        None => &[],
    };
    roles.iter().filter_map(Value::as_str).find(|role| protected.contains(*role))
}

/// Whether the worker gets no work: it is offline and no queue counts on it.
#[must_use]
pub fn is_out(state: &WorkerState) -> bool {
    !state.available && !state.attributes.contains_key(ROUTING)
}

fn leaving(state: &WorkerState, applied: &Applied, policy: &PlanPolicy) -> Result<Vec<Action>, Refusal> {
    let mut actions = Vec::new();
    if !is_out(state) {
        let attributes = state.attributes.contains_key(ROUTING).then(|| {
            let mut stripped = state.attributes.clone();
            stripped.shift_remove(ROUTING);
            stripped
        });
        actions.push(Action::TakeOut { attributes });
    }
    // A role that we gave protects nobody: it ends with the access.
    let by_others = policy.protected_roles.difference(&applied.roles).cloned().collect();
    let protected = protected_role(&state.attributes, &by_others);
    if policy.keep_offline || protected.is_some() {
        // Taken out it is all the same, and that has to be read back like a removal.
        return match (actions.is_empty(), protected) {
            (true, Some(role)) if !policy.keep_offline => Err(Refusal::Protected { role: role.to_owned() }),
            (true, _) => Ok(actions),
            (false, _) => {
                actions.push(Action::Look);
                Ok(actions)
            }
        };
    }
    if policy.drain {
        actions.push(Action::AwaitWork);
    }
    actions.extend([Action::Remove, Action::VerifyRemoved]);
    Ok(actions)
}

fn alignment(desired: &DesiredWorker, applied: &Applied, state: &WorkerState) -> Result<Vec<Action>, Refusal> {
    let mut actions = Vec::new();
    let attributes = merged(&state.attributes, desired, applied);
    let friendly_name = (state.friendly_name != desired.friendly_name).then(|| desired.friendly_name.clone());
    if friendly_name.is_some() || !same_object(&attributes, &state.attributes) {
        check_size(&attributes)?;
        actions.push(Action::Update { friendly_name, attributes });
    }
    actions.extend(lost_channels(desired, applied, &state.channels));
    actions.extend(granted_channels(desired, &state.channels));
    Ok(actions)
}

/// The worker's attributes with ours set, ours that lost their value removed, and all others as found.
fn merged(found: &Map<String, Value>, desired: &DesiredWorker, applied: &Applied) -> Map<String, Value> {
    let mut attributes = found.clone();
    for key in applied.keys.minus(&desired.owned_keys()) {
        OwnedKeys::set(&mut attributes, key, None);
    }
    for (key, value) in desired.entries() {
        if !OwnedKeys::value(&attributes, &key).is_some_and(|there| same_value(there, value)) {
            OwnedKeys::set(&mut attributes, &key, Some(value.clone()));
        }
    }
    attributes
}

fn granted_channels(desired: &DesiredWorker, known: &BTreeMap<String, Channel>) -> Vec<Action> {
    let wanted = desired.channels.iter().map(|(name, capacity)| (name, granted(*capacity)));
    set_where_different(wanted, known)
}

fn lost_channels(desired: &DesiredWorker, applied: &Applied, known: &BTreeMap<String, Channel>) -> Vec<Action> {
    let lost = applied.channels.keys().filter(|name| !desired.channels.contains_key(*name));
    set_where_different(lost.map(|name| (name, LOST_CHANNEL)), known)
}

fn set_where_different<'a>(
    wanted: impl Iterator<Item = (&'a String, Channel)>,
    known: &BTreeMap<String, Channel>,
) -> Vec<Action> {
    wanted
        .filter(|(name, channel)| known.get(*name) != Some(channel))
        .map(|(name, channel)| Action::SetChannel { name: name.clone(), channel })
        .collect()
}

/// A channel that no rule grants any longer.
pub const LOST_CHANNEL: Channel = Channel { capacity: 0, available: false };

/// A channel with a granted capacity; with capacity 0 it is there and takes nothing.
#[must_use]
pub const fn granted(capacity: u32) -> Channel {
    Channel { capacity, available: true }
}

fn check_size(attributes: &Map<String, Value>) -> Result<(), Refusal> {
    // Whether TaskRouter counts characters or UTF-16 units is not documented: the larger number is the safe one.
    let chars = Value::Object(attributes.clone()).to_string().encode_utf16().count();
    if chars > ATTRIBUTES_LIMIT { Err(Refusal::AttributesTooLong { chars }) } else { Ok(()) }
}

fn same_object(left: &Map<String, Value>, right: &Map<String, Value>) -> bool {
    left.len() == right.len()
        && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same_value(value, other)))
}
