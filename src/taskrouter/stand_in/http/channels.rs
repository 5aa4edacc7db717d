//! `/Workers/{WK}/Channels` and the task channels of the workspace.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Change, Channel, ReservationStatus, TASK_CHANNELS, Worker};
use super::super::state::State as Rows;
use super::page::{List, Page};
use super::params::{Base, Params, invalid};
use super::workers::find;
use super::{App, derived_sid, seconds};

/// The highest capacity of a worker's channel.
const MAX_CAPACITY: u32 = 50;

type ChannelPath = Path<(String, String, String)>;

pub(super) async fn list_task_channels(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    let path = format!("/v1/Workspaces/{}/TaskChannels", app.identity.workspace_sid);
    let mut channels: Vec<_> = TASK_CHANNELS.iter().map(|(name, _)| (task_channel_sid(&app, name), *name)).collect();
    channels.sort();
    let (channels, next) = page.take(channels.into_iter().filter(|(sid, _)| *sid > page.after), |(sid, _)| sid.clone());
    let render = |(sid, name): (String, &str)| {
        json!({
            "sid": sid,
            "account_sid": app.identity.account_sid,
            "workspace_sid": app.identity.workspace_sid,
            "friendly_name": name,
            "unique_name": name,
            "channel_optimized_routing": true,
            "url": format!("{}{path}/{sid}", base.0),
        })
    };
    let items: Vec<_> = channels.into_iter().map(render).collect();
    Ok(page.answer(&List { base: &base, path, key: "channels", params: &params }, items, next))
}

pub(super) async fn list(
    State(app): App,
    base: Base,
    Path((_, worker)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    app.read(|rows| {
        let worker = find(rows, &worker)?;
        let mut names: Vec<_> = TASK_CHANNELS.iter().map(|(name, _)| (channel_sid(worker, name), *name)).collect();
        names.sort();
        let after = names.into_iter().filter(|(sid, _)| *sid > page.after);
        let (names, next) = page.take(after, |(sid, _)| sid.clone());
        let path = format!("/v1/Workspaces/{}/Workers/{}/Channels", app.identity.workspace_sid, worker.sid);
        let channels = names.into_iter().filter_map(|(_, name)| Some((name, worker.channel(name)?)));
        let items: Vec<_> = channels.map(|(name, it)| render(&app, rows, &base, worker, name, &it)).collect();
        Ok(page.answer(&List { base: &base, path, key: "channels", params: &params }, items, next))
    })
}

pub(super) async fn fetch(
    State(app): App,
    base: Base,
    Path((_, worker, channel)): ChannelPath,
) -> Result<Json<Value>, ApiError> {
    app.read(|rows| {
        let worker = find(rows, &worker)?;
        let (name, channel) = find_channel(&app, worker, &channel)?;
        Ok(Json(render(&app, rows, &base, worker, name, &channel)))
    })
}

pub(super) async fn update(
    State(app): App,
    base: Base,
    Path((_, worker, channel)): ChannelPath,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let capacity = params.number("Capacity")?;
    let available = params.flag("Available")?;
    if capacity.is_some_and(|capacity| capacity > MAX_CAPACITY) {
        return Err(invalid("Capacity"));
    }
    app.write(|tx| {
        let mut worker = find(tx.state, &worker)?.clone();
        let (name, old) = find_channel(&app, &worker, &channel)?;
        let new = Channel {
            capacity: capacity.unwrap_or(old.capacity),
            available: available.unwrap_or(old.available),
            updated: tx.now,
        };
        worker.channels.insert(name.to_owned(), new.clone());
        let details = json!({
            "worker_channel_sid": channel_sid(&worker, name),
            "task_channel_unique_name": name,
            "configured_capacity": new.capacity,
            "channel_available": new.available,
        });
        if new.capacity != old.capacity {
            tx.worker_event("worker.capacity.update", &worker, details.clone())?;
        }
        if new.available != old.available {
            tx.worker_event("worker.channel.availability.update", &worker, details)?;
        }
        let answer = render(&app, tx.state, &base, &worker, name, &new);
        tx.put(Change::Worker(Box::new(worker)));
        Ok(Json(answer))
    })
}

/// By the SID of the worker's channel, the SID of the task channel, or the unique name.
fn find_channel(app: &StandIn, worker: &Worker, wanted: &str) -> Result<(&'static str, Channel), ApiError> {
    let is_it =
        |name: &str| name == wanted || channel_sid(worker, name) == wanted || task_channel_sid(app, name) == wanted;
    let found = TASK_CHANNELS.iter().find(|(name, _)| is_it(name));
    let found = found.and_then(|(name, _)| Some((*name, worker.channel(name)?)));
    found.ok_or_else(|| ApiError::not_found(&format!("/Workers/{}/Channels/{wanted}", worker.sid)))
}

fn channel_sid(worker: &Worker, name: &str) -> String {
    derived_sid("WC", &worker.sid, name)
}

fn task_channel_sid(app: &StandIn, name: &str) -> String {
    derived_sid("TC", &app.identity.workspace_sid, name)
}

fn render(app: &StandIn, rows: &Rows, base: &Base, worker: &Worker, name: &str, channel: &Channel) -> Value {
    let sid = channel_sid(worker, name);
    let in_hand = |status| matches!(status, ReservationStatus::Accepted | ReservationStatus::Wrapping);
    let tasks = rows.reservations_of(&worker.sid).filter(|it| it.channel == name && in_hand(it.status)).count();
    let free = f64::from(channel.capacity) - f64::from(u32::try_from(tasks).unwrap_or(u32::MAX));
    let share = if channel.capacity == 0 { 0.0 } else { (free * 100.0 / f64::from(channel.capacity)).max(0.0) };
    let workspace = &app.identity.workspace_sid;
    json!({
        "sid": sid,
        "account_sid": app.identity.account_sid,
        "workspace_sid": workspace,
        "worker_sid": worker.sid,
        "task_channel_sid": task_channel_sid(app, name),
        "task_channel_unique_name": name,
        "configured_capacity": channel.capacity,
        "available": channel.available,
        "assigned_tasks": tasks,
        "available_capacity_percentage": share.round(),
        "date_created": seconds(worker.created),
        "date_updated": seconds(channel.updated),
        "url": format!("{}/v1/Workspaces/{workspace}/Workers/{}/Channels/{sid}", base.0, worker.sid),
    })
}
