//! `/Activities`: the states a worker can be in. Whether one is available never changes.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Activity, Change};
use super::super::state::State as Rows;
use super::page::{List, Page};
use super::params::{Base, Params};
use super::worker_changes::duplicate;
use super::{App, seconds};

/// How many activities a workspace holds.
const MAX_ACTIVITIES: usize = 100;

pub(super) async fn list(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    let available = params.flag("Available")?;
    let path = format!("/v1/Workspaces/{}/Activities", app.identity.workspace_sid);
    app.read(|rows| {
        let wanted = |it: &&Activity| {
            it.sid > page.after
                && params.text("FriendlyName").is_none_or(|name| it.friendly_name == name)
                && available.is_none_or(|available| it.available == available)
        };
        let (found, next) = page.take(rows.activities.values().filter(wanted), |it| it.sid.clone());
        let list = List { base: &base, path, key: "activities", params: &params };
        Ok(page.answer(&list, found.into_iter().map(|it| render(&app, &base, it)), next))
    })
}

pub(super) async fn create(State(app): App, base: Base, params: Params) -> Result<(StatusCode, Json<Value>), ApiError> {
    let name = params.required("FriendlyName")?;
    let available = params.flag("Available")?.unwrap_or(false);
    app.write(|tx| {
        if tx.state.activities.values().any(|it| it.friendly_name == name) {
            return Err(duplicate(tx, "Activity", name));
        }
        if tx.state.activities.len() >= MAX_ACTIVITIES {
            return Err(ApiError::bad("The workspace has reached its limit of activities"));
        }
        let activity =
            Activity { sid: tx.sid("WA"), friendly_name: name.to_owned(), available, created: tx.now, updated: tx.now };
        let answer = render(&app, &base, &activity);
        tx.put(Change::Activity(activity));
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
    let name = params.required("FriendlyName")?;
    app.write(|tx| {
        let mut activity = find(tx.state, &sid)?.clone();
        if tx.state.activities.values().any(|it| it.friendly_name == name && it.sid != sid) {
            return Err(duplicate(tx, "Activity", name));
        }
        name.clone_into(&mut activity.friendly_name);
        activity.updated = tx.now;
        let answer = render(&app, &base, &activity);
        tx.put(Change::Activity(activity));
        Ok(Json(answer))
    })
}

pub(super) async fn delete(State(app): App, Path((_, sid)): Path<(String, String)>) -> Result<StatusCode, ApiError> {
    app.write(|tx| {
        find(tx.state, &sid)?;
        let is_default = tx.state.workspace.as_ref().is_some_and(|it| it.default_activity_sid == sid);
        if is_default || tx.state.workers.values().any(|worker| worker.activity_sid == sid) {
            return Err(ApiError::bad(format!("Activity {sid} is in use and cannot be deleted")));
        }
        tx.put(Change::ActivityGone(sid));
        Ok(StatusCode::NO_CONTENT)
    })
}

fn find<'a>(rows: &'a Rows, sid: &str) -> Result<&'a Activity, ApiError> {
    rows.activities.get(sid).ok_or_else(|| ApiError::not_found(&format!("/Activities/{sid}")))
}

fn render(app: &StandIn, base: &Base, activity: &Activity) -> Value {
    let workspace = format!("{}/v1/Workspaces/{}", base.0, app.identity.workspace_sid);
    json!({
        "sid": activity.sid,
        "account_sid": app.identity.account_sid,
        "workspace_sid": app.identity.workspace_sid,
        "friendly_name": activity.friendly_name,
        "available": activity.available,
        "date_created": seconds(activity.created),
        "date_updated": seconds(activity.updated),
        "url": format!("{workspace}/Activities/{}", activity.sid),
        "links": {"workspace": workspace},
    })
}
