//! `/TaskQueues`: an expression each; who is in a queue is computed when somebody asks.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Change, Queue, TargetWorkers};
use super::super::state::State as Rows;
use super::page::{List, Page};
use super::params::{Base, Params, invalid};
use super::worker_changes::{checked_attributes, duplicate};
use super::workers::find as find_worker;
use super::{App, seconds};

pub(super) async fn list(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    let attributes = match params.text("EvaluateWorkerAttributes") {
        None => None,
        Some(text) => {
            app.admit_expression_query()?;
            Some(checked_attributes(text.to_owned())?)
        }
    };
    let path = format!("/v1/Workspaces/{}/TaskQueues", app.identity.workspace_sid);
    app.read(|rows| {
        let worker = params.text("WorkerSid").map(|sid| find_worker(rows, sid)).transpose()?;
        let wanted = |queue: &&Queue| {
            queue.sid > page.after
                && params.text("FriendlyName").is_none_or(|name| queue.friendly_name == name)
                && worker.is_none_or(|worker| rows.is_member(&queue.sid, worker))
                && attributes.as_ref().is_none_or(|it| queue.target_workers.hold_for(it.read()))
        };
        let (found, next) = page.take(rows.queues.values().filter(wanted), |queue| queue.sid.clone());
        let list = List { base: &base, path, key: "task_queues", params: &params };
        Ok(page.answer(&list, found.into_iter().map(|queue| render(&app, &base, queue)), next))
    })
}

pub(super) async fn create(State(app): App, base: Base, params: Params) -> Result<(StatusCode, Json<Value>), ApiError> {
    let name = params.required("FriendlyName")?;
    let target_workers = params.text("TargetWorkers").filter(|it| !it.is_empty()).map(checked).transpose()?;
    let target_workers = target_workers.unwrap_or_else(TargetWorkers::everybody);
    app.write(|tx| {
        if tx.state.queues.values().any(|queue| queue.friendly_name == name) {
            return Err(duplicate(tx, "TaskQueue", name));
        }
        let queue = Queue {
            sid: tx.sid("WQ"),
            friendly_name: name.to_owned(),
            target_workers,
            created: tx.now,
            updated: tx.now,
        };
        let answer = render(&app, &base, &queue);
        tx.put(Change::Queue(queue));
        Ok((StatusCode::CREATED, Json(answer)))
    })
}

pub(super) async fn fetch(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    app.read(|rows| Ok(Json(render(&app, &base, find(rows, &sid)?))))
}

pub(super) async fn update(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let target_workers = params.text("TargetWorkers").map(checked).transpose()?;
    app.write(|tx| {
        let mut queue = find(tx.state, &sid)?.clone();
        if let Some(name) = params.text("FriendlyName") {
            if name.trim().is_empty() {
                return Err(invalid("FriendlyName"));
            }
            if tx.state.queues.values().any(|other| other.friendly_name == name && other.sid != sid) {
                return Err(duplicate(tx, "TaskQueue", name));
            }
            name.clone_into(&mut queue.friendly_name);
        }
        queue.target_workers = target_workers.unwrap_or(queue.target_workers);
        queue.updated = tx.now;
        let answer = render(&app, &base, &queue);
        tx.put(Change::Queue(queue));
        Ok(Json(answer))
    })
}

pub(super) async fn delete(State(app): App, Path((_, sid)): Path<(String, String)>) -> Result<StatusCode, ApiError> {
    app.write(|tx| {
        find(tx.state, &sid)?;
        tx.put(Change::QueueGone(sid));
        Ok(StatusCode::NO_CONTENT)
    })
}

fn checked(text: &str) -> Result<TargetWorkers, ApiError> {
    let read = TargetWorkers::try_from(text.to_owned());
    read.map_err(|error| ApiError::bad(format!("TargetWorkers is invalid: {error}")))
}

fn find<'a>(rows: &'a Rows, sid: &str) -> Result<&'a Queue, ApiError> {
    rows.queues.get(sid).ok_or_else(|| ApiError::not_found(&format!("/TaskQueues/{sid}")))
}

fn render(app: &StandIn, base: &Base, queue: &Queue) -> Value {
    let workspace = format!("{}/v1/Workspaces/{}", base.0, app.identity.workspace_sid);
    json!({
        "sid": queue.sid,
        "account_sid": app.identity.account_sid,
        "workspace_sid": app.identity.workspace_sid,
        "friendly_name": queue.friendly_name,
        "target_workers": queue.target_workers.text(),
        "task_order": "FIFO",
        "max_reserved_workers": 1,
        "reservation_activity_sid": null,
        "reservation_activity_name": null,
        "assignment_activity_sid": null,
        "assignment_activity_name": null,
        "date_created": seconds(queue.created),
        "date_updated": seconds(queue.updated),
        "url": format!("{workspace}/TaskQueues/{}", queue.sid),
        "links": {"workspace": workspace},
    })
}
