//! `/_stand_in`: the knobs, the record of calls, and the things that only people or phones do at the real service.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::super::model::ReservationStatus;
use super::super::options::{Behaviour, Faults};
use super::super::{WorkerSnapshot, hold};
use super::params::{Base, JsonBody, Params};
use super::workers::find;
use super::{App, reservations, sso_login as sso};

/// How many of the latest calls are shown unless `limit` asks for more or fewer.
const CALLS_SHOWN: u32 = 100;

pub(super) async fn faults(State(app): App) -> Json<Faults> {
    Json(app.faults())
}

/// Replaces all faults: what is absent goes back to nothing.
pub(super) async fn set_faults(State(app): App, JsonBody(faults): JsonBody<Faults>) -> Result<Json<Faults>, ApiError> {
    app.set_faults(faults).map_err(|error| ApiError::bad(error.to_string()))?;
    Ok(Json(app.faults()))
}

pub(super) async fn behaviour(State(app): App) -> Json<Behaviour> {
    Json(app.behaviour())
}

/// Replaces all answers to open questions: what is absent goes back to the default.
pub(super) async fn set_behaviour(State(app): App, JsonBody(behaviour): JsonBody<Behaviour>) -> Json<Behaviour> {
    app.set_behaviour(behaviour);
    Json(app.behaviour())
}

pub(super) async fn calls(State(app): App, params: Params) -> Result<Json<Value>, ApiError> {
    let limit = params.number("limit")?.unwrap_or(CALLS_SHOWN) as usize;
    let log = hold(&app.calls);
    let hidden = log.latest.len().saturating_sub(limit);
    Ok(Json(json!({
        "total": log.total,
        "by_kind": log.by_kind,
        "by_status": log.by_status,
        "by_outcome": log.by_outcome,
        "latest": log.latest.iter().skip(hidden).collect::<Vec<_>>(),
    })))
}

pub(super) async fn clear_calls(State(app): App) -> StatusCode {
    app.clear_calls();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReservation {
    worker_sid: Option<String>,
    friendly_name: Option<String>,
    #[serde(default = "default_channel")]
    channel: String,
    #[serde(default = "pending")]
    status: ReservationStatus,
}

fn default_channel() -> String {
    "default".to_owned()
}

fn pending() -> ReservationStatus {
    ReservationStatus::Pending
}

/// Offers work to a worker, named by SID or by name.
pub(super) async fn add_reservation(
    State(app): App,
    base: Base,
    JsonBody(wanted): JsonBody<NewReservation>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    app.write(|tx| {
        let named = wanted.friendly_name.as_deref().and_then(|name| tx.state.worker_named(name));
        let sid = wanted.worker_sid.or_else(|| named.map(|worker| worker.sid.clone())).unwrap_or_default();
        let worker = find(tx.state, &sid)?;
        let made = reservations::make(tx, &sid, &wanted.channel, wanted.status)?;
        Ok((StatusCode::CREATED, Json(reservations::render(&app, &base, worker, &made))))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReservationChange {
    status: ReservationStatus,
}

pub(super) async fn set_reservation(
    State(app): App,
    base: Base,
    Path(sid): Path<String>,
    JsonBody(change): JsonBody<ReservationChange>,
) -> Result<Json<Value>, ApiError> {
    app.write(|tx| {
        let changed = reservations::set_status(tx, &sid, change.status)?;
        let worker = find(tx.state, &changed.worker_sid)?;
        Ok(Json(reservations::render(&app, &base, worker, &changed)))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SsoLogin {
    friendly_name: String,
    #[serde(default)]
    claims: Map<String, Value>,
}

pub(super) async fn sso_login(State(app): App, JsonBody(login): JsonBody<SsoLogin>) -> Result<Json<Value>, ApiError> {
    let behaviour = app.behaviour();
    app.write(|tx| {
        let worker = sso::sign_in(tx, &behaviour, &login.friendly_name, &login.claims)?;
        Ok(Json(json!({
            "worker_sid": worker.sid,
            "friendly_name": worker.friendly_name,
            "attributes": worker.attributes.read(),
        })))
    })
}

/// Everything at a glance, for people and scripts.
pub(super) async fn state(State(app): App) -> Json<Value> {
    app.read(|rows| {
        let workers: Vec<_> = rows.workers.values().map(|worker| WorkerSnapshot::of(rows, worker)).collect();
        let queues: Vec<_> = rows.queues.values().collect();
        let reservations: Vec<_> = rows.reservations.values().collect();
        let users: Vec<_> = rows.flex_users.values().collect();
        Json(json!({
            "account_sid": app.identity.account_sid,
            "workspace_sid": app.identity.workspace_sid,
            "instance_sid": app.identity.instance_sid,
            "workers": workers,
            "queues": queues,
            "reservations": reservations,
            "flex_users": users,
            "events": rows.events.len(),
        }))
    })
}
