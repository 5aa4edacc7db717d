//! `/Events`: the log of the last 30 days, newest first.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::model::Event;
use super::page::{List, Page};
use super::params::{Base, Params, invalid};
use super::{App, seconds};
use crate::base::Timestamp;

/// The window that a question without dates looks at, in minutes.
const DEFAULT_MINUTES: u32 = 15;

pub(super) async fn list(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    let (from, to) = window(app.ambient.now(), &params)?;
    let path = format!("/v1/Workspaces/{}/Events", app.identity.workspace_sid);
    app.read(|rows| {
        let wanted = |event: &&Event| {
            params.text("EventType").is_none_or(|kind| event.kind == kind)
                && params.text("WorkerSid").is_none_or(|sid| event.worker_sid.as_deref() == Some(sid))
        };
        // Newest first is the order of arrival reversed, so the walk goes on behind the event it ended with.
        let mut passed = page.after.is_empty();
        let behind = |event: &&Event| {
            let now = passed;
            passed |= event.sid == page.after;
            now
        };
        let events = rows.events_between(from, to).filter(behind).filter(wanted);
        let (found, next) = page.take(events, |event| event.sid.clone());
        let list = List { base: &base, path, key: "events", params: &params };
        Ok(page.answer(&list, found.into_iter().map(|event| render(&app, &base, event)), next))
    })
}

pub(super) async fn fetch(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    app.read(|rows| {
        let found = rows.events.iter().find(|event| event.sid == sid);
        let found = found.ok_or_else(|| ApiError::not_found(&format!("/Events/{sid}")))?;
        Ok(Json(render(&app, &base, found)))
    })
}

/// The time that a question is about: `StartDate` and `EndDate`, or the last `Minutes`.
pub(super) fn window(now: Timestamp, params: &Params) -> Result<(Timestamp, Timestamp), ApiError> {
    let date = |name| params.text(name).map(|text| text.parse().map_err(|_| invalid(name))).transpose();
    let minutes = params.number("Minutes")?.unwrap_or(DEFAULT_MINUTES);
    let back = Duration::from_secs(u64::from(minutes) * 60);
    let start = Timestamp::from_millis(now.millis() - i64::try_from(back.as_millis()).unwrap_or(i64::MAX));
    Ok((date("StartDate")?.unwrap_or(start), date("EndDate")?.unwrap_or(now)))
}

fn render(app: &StandIn, base: &Base, event: &Event) -> Value {
    let workspace = format!("{}/v1/Workspaces/{}", base.0, app.identity.workspace_sid);
    json!({
        "sid": event.sid,
        "account_sid": app.identity.account_sid,
        "workspace_sid": app.identity.workspace_sid,
        "event_type": event.kind,
        "event_date": seconds(event.at),
        "event_date_ms": event.at.millis(),
        "description": format!("{} of {}", event.kind, event.resource_sid),
        "resource_type": event.kind.split('.').next(),
        "resource_sid": event.resource_sid,
        "source": "twilio",
        "event_data": event.data,
        "url": format!("{workspace}/Events/{}", event.sid),
    })
}
