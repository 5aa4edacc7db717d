//! The Flex side: the configuration, and the users that are the parents of workers. Flex takes JSON where `TaskRouter` takes forms.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::{Change, FlexUser};
use super::super::state::State as Rows;
use super::page::{List, Page};
use super::params::{Base, JsonBody, Params};
use super::sso_login::{Profile, put_user, put_worker};
use super::worker_changes::{self as changes, checked_attributes};
use super::{App, seconds};

pub(super) async fn configuration(State(app): App, base: Base) -> Json<Value> {
    Json(json!({
        "account_sid": app.identity.account_sid,
        "instance_sid": app.identity.instance_sid,
        "flex_service_instance_sid": app.identity.instance_sid,
        "taskrouter_workspace_sid": app.identity.workspace_sid,
        "status": "ok",
        "url": format!("{}/v1/Configuration", base.0),
    }))
}

pub(super) async fn list(State(app): App, base: Base, uri: Uri, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    app.read(|rows| {
        let users: Vec<_> = match params.text("Username") {
            Some(name) => rows.flex_user_named(name).into_iter().collect(),
            None => rows.flex_users.values().collect(),
        };
        let after = users.into_iter().filter(|user| user.sid > page.after);
        let (users, next) = page.take(after, |user| user.sid.clone());
        let list = List { base: &base, path: uri.path().to_owned(), key: "users", params: &params };
        Ok(page.answer(&list, users.into_iter().map(|user| render(&app, &base, user)), next))
    })
}

pub(super) async fn fetch(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    app.read(|rows| Ok(Json(render(&app, &base, find(rows, &sid)?))))
}

#[derive(Debug, Deserialize)]
pub(super) struct Provision {
    username: String,
    email: String,
    full_name: String,
    roles: Vec<String>,
    worker: ProvisionedWorker,
}

#[derive(Debug, Deserialize)]
struct ProvisionedWorker {
    attributes: Value,
}

pub(super) async fn provision(
    State(app): App,
    base: Base,
    JsonBody(wanted): JsonBody<Provision>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut attributes = match wanted.worker.attributes {
        Value::Object(attributes) => attributes,
        Value::String(text) => checked_attributes(text)?.read().clone(),
        _ => return Err(ApiError::bad("worker.attributes is not a JSON object")),
    };
    attributes.extend(Map::from_iter([
        ("full_name".to_owned(), json!(wanted.full_name)),
        ("email".to_owned(), json!(wanted.email)),
        ("roles".to_owned(), json!(wanted.roles)),
    ]));
    let behaviour = app.behaviour();
    app.write(|tx| {
        let worker = put_worker(tx, &behaviour, &wanted.username, attributes)?;
        let profile =
            Profile { email: Some(wanted.email), full_name: Some(wanted.full_name), roles: Some(wanted.roles) };
        let (user, is_new) = put_user(tx, &wanted.username, profile, &worker.sid);
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, Json(render(&app, &base, &user))))
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct Deprovision {
    flex_user_sid: String,
}

/// Deactivates the user and removes the worker.
pub(super) async fn deprovision(
    State(app): App,
    JsonBody(wanted): JsonBody<Deprovision>,
) -> Result<StatusCode, ApiError> {
    let behaviour = app.behaviour();
    app.write(|tx| {
        let mut user = find(tx.state, &wanted.flex_user_sid)?.clone();
        if let Some(worker) = user.worker_sid.take().and_then(|sid| tx.state.workers.get(&sid)) {
            changes::delete(tx, &behaviour, worker)?;
        }
        user.deactivated = true;
        user.updated = tx.now;
        tx.put(Change::FlexUser(user));
        Ok(StatusCode::NO_CONTENT)
    })
}

fn find<'a>(rows: &'a Rows, sid: &str) -> Result<&'a FlexUser, ApiError> {
    rows.flex_users.get(sid).ok_or_else(|| ApiError::not_found(&format!("/Users/{sid}")))
}

fn render(app: &StandIn, base: &Base, user: &FlexUser) -> Value {
    let instance = &app.identity.instance_sid;
    json!({
        "flex_user_sid": user.sid,
        "instance_sid": instance,
        "account_sid": app.identity.account_sid,
        "username": user.username,
        "email": user.email,
        "full_name": user.full_name,
        "roles": user.roles,
        "deactivated": user.deactivated,
        "worker_sid": user.worker_sid,
        "workspace_sid": app.identity.workspace_sid,
        "created_date": seconds(user.created),
        "updated_date": seconds(user.updated),
        "url": format!("{}/v4/Instances/{instance}/Users/{}", base.0, user.sid),
    })
}
