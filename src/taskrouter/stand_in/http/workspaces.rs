//! `/Workspaces`: there is exactly one.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Change, Workspace};
use super::super::state::State as Rows;
use super::page::{List, Page};
use super::params::{Base, Params, invalid};
use super::{App, seconds};

pub(super) async fn list(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    app.read(|rows| {
        let workspace = found(&app, rows)?;
        let named = params.text("FriendlyName").is_none_or(|name| name == workspace.friendly_name);
        let item = (page.after.is_empty() && named).then(|| render(&app, rows, &base, workspace));
        let list = List { base: &base, path: "/v1/Workspaces".to_owned(), key: "workspaces", params: &params };
        Ok(page.answer(&list, item, None))
    })
}

pub(super) async fn fetch(State(app): App, base: Base) -> Result<Json<Value>, ApiError> {
    app.read(|rows| Ok(Json(render(&app, rows, &base, found(&app, rows)?))))
}

pub(super) async fn update(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    app.write(|tx| {
        let mut workspace = found(&app, tx.state)?.clone();
        if let Some(name) = params.text("FriendlyName") {
            name.clone_into(&mut workspace.friendly_name);
        }
        if let Some(sid) = params.text("DefaultActivitySid") {
            if !tx.state.activities.contains_key(sid) {
                return Err(invalid("DefaultActivitySid"));
            }
            sid.clone_into(&mut workspace.default_activity_sid);
        }
        workspace.updated = tx.now;
        let answer = render(&app, tx.state, &base, &workspace);
        tx.put(Change::Workspace(workspace));
        Ok(Json(answer))
    })
}

fn found<'a>(app: &StandIn, rows: &'a Rows) -> Result<&'a Workspace, ApiError> {
    let path = format!("/v1/Workspaces/{}", app.identity.workspace_sid);
    rows.workspace.as_ref().ok_or_else(|| ApiError::not_found(&path))
}

fn render(app: &StandIn, rows: &Rows, base: &Base, workspace: &Workspace) -> Value {
    let url = format!("{}/v1/Workspaces/{}", base.0, app.identity.workspace_sid);
    let default = &workspace.default_activity_sid;
    json!({
        "sid": app.identity.workspace_sid,
        "account_sid": app.identity.account_sid,
        "friendly_name": workspace.friendly_name,
        "default_activity_sid": default,
        "default_activity_name": rows.activity_name(default),
        "timeout_activity_sid": default,
        "timeout_activity_name": rows.activity_name(default),
        "event_callback_url": null,
        "events_filter": null,
        "multi_task_enabled": true,
        "prioritize_queue_order": "FIFO",
        "date_created": seconds(workspace.created),
        "date_updated": seconds(workspace.updated),
        "url": url,
        "links": {
            "activities": format!("{url}/Activities"),
            "events": format!("{url}/Events"),
            "task_channels": format!("{url}/TaskChannels"),
            "task_queues": format!("{url}/TaskQueues"),
            "workers": format!("{url}/Workers"),
        },
    })
}
