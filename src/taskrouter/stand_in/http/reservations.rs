//! `/Workers/{WK}/Reservations`, and how reservations come to be and change.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Change, Reservation, ReservationStatus, Worker};
use super::super::store::Tx;
use super::page::{List, Page};
use super::params::{Base, Params, invalid};
use super::workers::find;
use super::{App, seconds};

pub(super) async fn list(
    State(app): App,
    base: Base,
    Path((_, worker)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    let status = match params.text("ReservationStatus") {
        None => None,
        Some(text) => Some(ReservationStatus::parse(text).ok_or_else(|| invalid("ReservationStatus"))?),
    };
    app.read(|rows| {
        let worker = find(rows, &worker)?;
        let wanted = |it: &&Reservation| it.sid > page.after && status.is_none_or(|status| it.status == status);
        let (found, next) = page.take(rows.reservations_of(&worker.sid).filter(wanted), |it| it.sid.clone());
        let path = format!("/v1/Workspaces/{}/Workers/{}/Reservations", app.identity.workspace_sid, worker.sid);
        let list = List { base: &base, path, key: "reservations", params: &params };
        Ok(page.answer(&list, found.into_iter().map(|it| render(&app, &base, worker, it)), next))
    })
}

pub(super) async fn fetch(
    State(app): App,
    base: Base,
    Path((_, worker, sid)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    app.read(|rows| {
        let worker = find(rows, &worker)?;
        let found = rows.reservations.get(&sid).filter(|it| it.worker_sid == worker.sid);
        let found = found.ok_or_else(|| ApiError::not_found(&format!("/Workers/{}/Reservations/{sid}", worker.sid)))?;
        Ok(Json(render(&app, &base, worker, found)))
    })
}

/// Makes a reservation, as if a task had been routed to the worker.
pub(in super::super) fn make(
    tx: &mut Tx<'_>,
    worker: &str,
    channel: &str,
    status: ReservationStatus,
) -> Result<Reservation, ApiError> {
    let worker = find(tx.state, worker)?;
    if worker.channel(channel).is_none() {
        return Err(ApiError::bad(format!("There is no task channel {channel}")));
    }
    let reservation = Reservation {
        sid: tx.sid("WR"),
        worker_sid: worker.sid.clone(),
        task_sid: tx.sid("WT"),
        status,
        channel: channel.to_owned(),
        created: tx.now,
        updated: tx.now,
    };
    tx.put(Change::Reservation(reservation.clone()));
    tx.worker_event("reservation.created", worker, details(&reservation))?;
    Ok(reservation)
}

/// Moves a reservation on.
pub(in super::super) fn set_status(
    tx: &mut Tx<'_>,
    sid: &str,
    status: ReservationStatus,
) -> Result<Reservation, ApiError> {
    let old = tx.state.reservations.get(sid).ok_or_else(|| ApiError::not_found(&format!("/Reservations/{sid}")))?;
    let reservation = Reservation { status, updated: tx.now, ..old.clone() };
    let worker = find(tx.state, &old.worker_sid)?;
    tx.put(Change::Reservation(reservation.clone()));
    tx.worker_event(&format!("reservation.{}", status.as_str()), worker, details(&reservation))?;
    Ok(reservation)
}

/// Rejects what was offered to the worker; work in hand stays.
pub(super) fn reject_pending(tx: &mut Tx<'_>, worker: &Worker) -> Result<(), ApiError> {
    let pending = tx.state.reservations_of(&worker.sid).filter(|it| it.status == ReservationStatus::Pending);
    let pending: Vec<_> = pending.map(|it| it.sid.clone()).collect();
    pending.iter().try_for_each(|sid| set_status(tx, sid, ReservationStatus::Rejected).map(|_| ()))
}

fn details(reservation: &Reservation) -> Value {
    json!({
        "reservation_sid": reservation.sid,
        "reservation_status": reservation.status,
        "task_sid": reservation.task_sid,
        "task_channel_unique_name": reservation.channel,
    })
}

pub(super) fn render(app: &StandIn, base: &Base, worker: &Worker, reservation: &Reservation) -> Value {
    let workspace = format!("{}/v1/Workspaces/{}", base.0, app.identity.workspace_sid);
    json!({
        "sid": reservation.sid,
        "account_sid": app.identity.account_sid,
        "workspace_sid": app.identity.workspace_sid,
        "worker_sid": worker.sid,
        "worker_name": worker.friendly_name,
        "task_sid": reservation.task_sid,
        "reservation_status": reservation.status,
        "date_created": seconds(reservation.created),
        "date_updated": seconds(reservation.updated),
        "url": format!("{workspace}/Workers/{}/Reservations/{}", worker.sid, reservation.sid),
        "links": {
            "worker": format!("{workspace}/Workers/{}", worker.sid),
            "task": format!("{workspace}/Tasks/{}", reservation.task_sid),
            "workspace": workspace,
        },
    })
}
