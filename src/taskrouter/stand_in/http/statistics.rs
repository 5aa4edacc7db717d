//! Statistics of workers, as much as a page of people needs; switched off in large workspaces, as at Twilio.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Reservation, ReservationStatus, Worker};
use super::super::state::State as Rows;
use super::events::window;
use super::params::{Base, Params};
use super::workers::find;
use super::{App, seconds};
use crate::base::Timestamp;

pub(super) async fn of_worker(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let (from, to) = window(app.ambient.now(), &params)?;
    app.read(|rows| {
        allowed(&app, rows)?;
        let worker = find(rows, &sid)?;
        let mut body = head(&app, &base, &format!("Workers/{sid}/Statistics"));
        body.insert("worker_sid".to_owned(), json!(sid));
        body.insert("cumulative".to_owned(), cumulative_of(rows, &[worker], from, to).into());
        Ok(Json(body.into()))
    })
}

pub(super) async fn of_workspace(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let (from, to) = window(app.ambient.now(), &params)?;
    app.read(|rows| {
        allowed(&app, rows)?;
        let mut body = head(&app, &base, "Workers/Statistics");
        body.insert("cumulative".to_owned(), cumulative_of(rows, &everyone(rows), from, to).into());
        body.insert("realtime".to_owned(), by_activity(rows).into());
        Ok(Json(body.into()))
    })
}

pub(super) async fn cumulative(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let (from, to) = window(app.ambient.now(), &params)?;
    app.read(|rows| {
        allowed(&app, rows)?;
        let mut body = head(&app, &base, "Workers/CumulativeStatistics");
        body.extend(cumulative_of(rows, &everyone(rows), from, to));
        Ok(Json(body.into()))
    })
}

pub(super) async fn real_time(State(app): App, base: Base) -> Result<Json<Value>, ApiError> {
    app.read(|rows| {
        allowed(&app, rows)?;
        let mut body = head(&app, &base, "Workers/RealTimeStatistics");
        body.extend(by_activity(rows));
        Ok(Json(body.into()))
    })
}

fn everyone(rows: &Rows) -> Vec<&Worker> {
    rows.workers.values().collect()
}

fn allowed(app: &StandIn, rows: &Rows) -> Result<(), ApiError> {
    let limit = app.behaviour().statistics_worker_limit;
    if rows.workers.len() <= limit {
        return Ok(());
    }
    Err(ApiError::bad(format!("Worker statistics are not available for workspaces with more than {limit} workers")))
}

fn head(app: &StandIn, base: &Base, path: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("account_sid".to_owned(), json!(app.identity.account_sid));
    body.insert("workspace_sid".to_owned(), json!(app.identity.workspace_sid));
    let url = format!("{}/v1/Workspaces/{}/{path}", base.0, app.identity.workspace_sid);
    body.insert("url".to_owned(), json!(url));
    body
}

fn by_activity(rows: &Rows) -> Map<String, Value> {
    let count = |sid: &String| rows.workers.values().filter(|worker| worker.activity_sid == *sid).count();
    let counts = rows.activities.values().map(|activity| {
        json!({"sid": activity.sid, "friendly_name": activity.friendly_name, "workers": count(&activity.sid)})
    });
    let mut body = Map::new();
    body.insert("activity_statistics".to_owned(), counts.collect());
    body.insert("total_workers".to_owned(), json!(rows.workers.len()));
    body
}

/// Counts reservations made in the window, and the time in the present activity as far as it lies in the window.
fn cumulative_of(rows: &Rows, workers: &[&Worker], from: Timestamp, to: Timestamp) -> Map<String, Value> {
    let in_window = |it: &&Reservation| it.created >= from && it.created <= to;
    let made: Vec<_> = workers.iter().flat_map(|it| rows.reservations_of(&it.sid)).filter(in_window).collect();
    let mut body = Map::new();
    body.insert("start_time".to_owned(), json!(seconds(from)));
    body.insert("end_time".to_owned(), json!(seconds(to)));
    body.insert("reservations_created".to_owned(), json!(made.len()));
    for (key, status) in [
        ("reservations_accepted", ReservationStatus::Accepted),
        ("reservations_rejected", ReservationStatus::Rejected),
        ("reservations_timed_out", ReservationStatus::Timeout),
        ("reservations_canceled", ReservationStatus::Canceled),
        ("reservations_rescinded", ReservationStatus::Rescinded),
        ("reservations_wrapup", ReservationStatus::Wrapping),
        ("reservations_completed", ReservationStatus::Completed),
    ] {
        body.insert(key.to_owned(), json!(made.iter().filter(|it| it.status == status).count()));
    }
    let durations = rows.activities.values().map(|activity| {
        let present = workers.iter().filter(|worker| worker.activity_sid == activity.sid);
        let times: Vec<u64> = present.map(|worker| to.since(worker.status_changed.max(from)).as_secs()).collect();
        let total: u64 = times.iter().sum();
        json!({
            "sid": activity.sid,
            "friendly_name": activity.friendly_name,
            "min": times.iter().min().unwrap_or(&0),
            "max": times.iter().max().unwrap_or(&0),
            "avg": total.checked_div(times.len() as u64).unwrap_or(0),
            "total": total,
        })
    });
    body.insert("activity_durations".to_owned(), durations.collect());
    body
}
