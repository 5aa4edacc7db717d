//! What may be changed on a worker, and what else happens then.

use axum::http::StatusCode;
use serde_json::json;

use super::super::error::ApiError;
use super::super::model::{Attributes, Change, ReservationStatus, Worker};
use super::super::options::Behaviour;
use super::super::store::Tx;
use super::params::{Params, invalid};
use super::reservations;

/// The parameters of a create or an update; what is absent stays as it is.
#[derive(Debug, Default)]
pub(super) struct WorkerInput {
    pub friendly_name: Option<String>,
    pub activity_sid: Option<String>,
    pub attributes: Option<String>,
    pub reject_pending: bool,
}

impl WorkerInput {
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        let text = |name| params.text(name).map(str::to_owned);
        Ok(Self {
            friendly_name: text("FriendlyName"),
            activity_sid: text("ActivitySid").filter(|sid| !sid.is_empty()),
            attributes: text("Attributes").filter(|attributes| !attributes.is_empty()),
            reject_pending: params.flag("RejectPendingReservations")?.unwrap_or(false),
        })
    }
}

/// Makes a worker.
pub(super) fn create(tx: &mut Tx<'_>, behaviour: &Behaviour, input: WorkerInput) -> Result<Worker, ApiError> {
    if behaviour.worker_limit.is_some_and(|limit| tx.state.workers.len() >= limit) {
        return Err(ApiError::bad("The workspace has reached its limit of workers"));
    }
    let name = input.friendly_name.as_deref().unwrap_or_default();
    let mut worker = tx.new_worker("");
    worker.friendly_name = checked_name(tx, behaviour, name, &worker.sid)?;
    if let Some(attributes) = input.attributes {
        worker.attributes = checked_attributes(attributes)?;
    }
    if let Some(sid) = input.activity_sid {
        worker.activity_sid = known_activity(tx, sid)?;
    }
    check_available_limit(tx, behaviour, &worker)?;
    tx.put(Change::Worker(Box::new(worker.clone())));
    tx.worker_event("worker.created", &worker, json!({}))?;
    Ok(worker)
}

/// Changes a worker.
pub(super) fn update(
    tx: &mut Tx<'_>,
    behaviour: &Behaviour,
    old: &Worker,
    input: WorkerInput,
) -> Result<Worker, ApiError> {
    let mut worker = old.clone();
    worker.version += 1;
    worker.updated = tx.now;
    if let Some(name) = input.friendly_name {
        worker.friendly_name = checked_name(tx, behaviour, &name, &worker.sid)?;
    }
    if let Some(attributes) = input.attributes {
        worker.attributes = checked_attributes(attributes)?;
    }
    if let Some(sid) = input.activity_sid {
        worker.activity_sid = known_activity(tx, sid)?;
    }
    if input.reject_pending && tx.state.is_available(&worker) {
        return Err(ApiError::bad("RejectPendingReservations is valid only with an activity that is not available"));
    }
    let moved = worker.activity_sid != old.activity_sid;
    let pending = tx.state.reservations_of(&old.sid).any(|it| it.status == ReservationStatus::Pending);
    if moved && pending && !input.reject_pending && behaviour.refuse_activity_change_with_pending {
        return Err(ApiError::bad("The activity cannot change while the worker has pending reservations"));
    }
    if moved {
        worker.status_changed = tx.now;
        check_available_limit(tx, behaviour, &worker)?;
    }
    tx.put(Change::Worker(Box::new(worker.clone())));
    record(tx, old, &worker)?;
    if input.reject_pending {
        reservations::reject_pending(tx, &worker)?;
    }
    Ok(worker)
}

fn record(tx: &mut Tx<'_>, old: &Worker, new: &Worker) -> Result<(), ApiError> {
    if new.attributes.text() != old.attributes.text() {
        tx.worker_event("worker.attributes.update", new, json!({}))?;
    }
    if new.activity_sid != old.activity_sid {
        let details = json!({
            "worker_previous_activity_sid": old.activity_sid,
            "worker_previous_activity_name": tx.state.activity_name(&old.activity_sid),
            "worker_time_in_previous_activity": tx.now.since(old.status_changed).as_secs().to_string(),
        });
        tx.worker_event("worker.activity.update", new, details)?;
    }
    Ok(())
}

/// Removes a worker, unless work in hand or its activity keeps it.
pub(super) fn delete(tx: &mut Tx<'_>, behaviour: &Behaviour, worker: &Worker) -> Result<(), ApiError> {
    if tx.state.reservations_of(&worker.sid).any(|reservation| reservation.status.is_open()) {
        return Err(ApiError::bad(format!("Worker {} has active reservations and cannot be deleted", worker.sid)));
    }
    if behaviour.offline_before_delete && tx.state.is_available(worker) {
        return Err(ApiError::bad(format!("Worker {} is available and cannot be deleted", worker.sid)));
    }
    // The parent stays, without its worker, as for a user who is deactivated.
    if let Some(user) = tx.state.flex_user_of(worker) {
        let mut user = user.clone();
        user.worker_sid = None;
        tx.put(Change::FlexUser(user));
    }
    tx.put(Change::WorkerGone(worker.sid.clone()));
    tx.worker_event("worker.deleted", worker, json!({}))
}

fn checked_name(tx: &Tx<'_>, behaviour: &Behaviour, name: &str, own_sid: &str) -> Result<String, ApiError> {
    if name.trim().is_empty() {
        return Err(ApiError::bad("Missing required parameter FriendlyName in the post body"));
    }
    if name.chars().count() > behaviour.friendly_name_limit {
        return Err(ApiError::bad(format!("FriendlyName is longer than {} characters", behaviour.friendly_name_limit)));
    }
    match tx.state.worker_named(name) {
        Some(other) if other.sid != own_sid => Err(duplicate(tx, "Worker", name)),
        _ => Ok(name.to_owned()),
    }
}

/// The message by which people know a duplicate; its code is the one of every other bad parameter.
pub(super) fn duplicate(tx: &Tx<'_>, thing: &str, name: &str) -> ApiError {
    let (workspace, account) = match &tx.state.identity {
        Some(identity) => (identity.workspace_sid.as_str(), identity.account_sid.as_str()),
        None => ("", ""),
    };
    ApiError::bad(format!("{thing} named {name} already exists for workspace {workspace} for account {account}"))
}

pub(super) fn checked_attributes(text: String) -> Result<Attributes, ApiError> {
    Attributes::try_from(text).map_err(|error| ApiError::bad(error.to_string()))
}

fn known_activity(tx: &Tx<'_>, sid: String) -> Result<String, ApiError> {
    if tx.state.activities.contains_key(&sid) { Ok(sid) } else { Err(invalid("ActivitySid")) }
}

fn check_available_limit(tx: &Tx<'_>, behaviour: &Behaviour, worker: &Worker) -> Result<(), ApiError> {
    let full = behaviour.available_worker_limit.is_some_and(|limit| tx.state.available_workers >= limit);
    let was_available = tx.state.workers.get(&worker.sid).is_some_and(|old| tx.state.is_available(old));
    if full && tx.state.is_available(worker) && !was_available {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, 14240, "The limit of concurrent workers is reached"));
    }
    Ok(())
}
