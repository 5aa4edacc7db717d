//! `/Workers`: list, create, fetch, update, delete.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::super::StandIn;
use super::super::error::ApiError;
use super::super::expression::Expression;
use super::super::model::Worker;
use super::super::options::Behaviour;
use super::super::state::{State as Rows, name_key};
use super::gate::AboutWorker;
use super::page::{List, Page};
use super::params::{Base, Params, invalid};
use super::worker_changes::{self as changes, WorkerInput};
use super::{App, seconds};

pub(super) async fn list(State(app): App, base: Base, params: Params) -> Result<Json<Value>, ApiError> {
    let page = Page::read(&params)?;
    let behaviour = app.behaviour();
    let filter = Filter::read(&app, &behaviour, &params)?;
    let order = Order::read(&params)?;
    let path = format!("/v1/Workspaces/{}/Workers", app.identity.workspace_sid);
    app.read(|rows| {
        let render = |worker: &Worker| {
            let mut body = render(&app, rows, &base, worker);
            if !behaviour.attributes_in_lists {
                body["attributes"] = Value::Null;
            }
            body
        };
        let (workers, next) = filter.select(rows, &page, order);
        let list = List { base: &base, path, key: "workers", params: &params };
        Ok(page.answer(&list, workers.into_iter().map(render), next))
    })
}

pub(super) async fn create(State(app): App, base: Base, params: Params) -> Result<Response, ApiError> {
    let input = WorkerInput::read(&params)?;
    let behaviour = app.behaviour();
    app.write(|tx| {
        let worker = changes::create(tx, &behaviour, input)?;
        let mut response = answer(&app, tx.state, &base, &worker);
        *response.status_mut() = StatusCode::CREATED;
        response.extensions_mut().insert(AboutWorker(worker.sid));
        Ok(response)
    })
}

pub(super) async fn fetch(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    app.read(|rows| Ok(answer(&app, rows, &base, find(rows, &sid)?)))
}

pub(super) async fn update(
    State(app): App,
    base: Base,
    Path((_, sid)): Path<(String, String)>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let input = WorkerInput::read(&params)?;
    let behaviour = app.behaviour();
    app.write(|tx| {
        let old = find(tx.state, &sid)?;
        check_version(&behaviour, &headers, old)?;
        let worker = changes::update(tx, &behaviour, old, input)?;
        Ok(answer(&app, tx.state, &base, &worker))
    })
}

pub(super) async fn delete(
    State(app): App,
    Path((_, sid)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let behaviour = app.behaviour();
    app.write(|tx| {
        let worker = find(tx.state, &sid)?;
        check_version(&behaviour, &headers, worker)?;
        changes::delete(tx, &behaviour, worker)?;
        Ok(StatusCode::NO_CONTENT)
    })
}

pub(super) fn find<'a>(rows: &'a Rows, sid: &str) -> Result<&'a Worker, ApiError> {
    rows.workers.get(sid).ok_or_else(|| ApiError::not_found(&format!("/Workers/{sid}")))
}

/// The `ETag` counts versions. Clients send it back with or without its quotes.
fn check_version(behaviour: &Behaviour, headers: &HeaderMap, worker: &Worker) -> Result<(), ApiError> {
    let Some(wanted) = headers.get(header::IF_MATCH).filter(|_| behaviour.etags) else { return Ok(()) };
    let wanted = wanted.to_str().unwrap_or_default().trim();
    if wanted == "*" || wanted.trim_matches('"') == worker.version.to_string() {
        Ok(())
    } else {
        Err(ApiError::stale())
    }
}

fn answer(app: &StandIn, rows: &Rows, base: &Base, worker: &Worker) -> Response {
    let mut response = Json(render(app, rows, base, worker)).into_response();
    let etag = HeaderValue::from_str(&format!("\"{}\"", worker.version));
    if let Some(etag) = etag.ok().filter(|_| app.behaviour().etags) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn render(app: &StandIn, rows: &Rows, base: &Base, worker: &Worker) -> Value {
    let workspace = format!("{}/v1/Workspaces/{}", base.0, app.identity.workspace_sid);
    let url = format!("{workspace}/Workers/{}", worker.sid);
    json!({
        "sid": worker.sid,
        "account_sid": app.identity.account_sid,
        "workspace_sid": app.identity.workspace_sid,
        "friendly_name": worker.friendly_name,
        "attributes": worker.attributes.text(),
        "activity_sid": worker.activity_sid,
        "activity_name": rows.activity_name(&worker.activity_sid),
        "available": rows.is_available(worker),
        "date_created": seconds(worker.created),
        "date_updated": seconds(worker.updated),
        "date_status_changed": seconds(worker.status_changed),
        "url": url,
        "links": {
            "channels": format!("{url}/Channels"),
            "activity": format!("{workspace}/Activities/{}", worker.activity_sid),
            "workspace": workspace,
            "cumulative_statistics": format!("{workspace}/Workers/CumulativeStatistics"),
            "real_time_statistics": format!("{workspace}/Workers/RealTimeStatistics"),
            "worker_statistics": format!("{url}/Statistics"),
            "reservations": format!("{url}/Reservations"),
        },
    })
}

/// The filters of the list; a worker must pass all of them.
struct Filter {
    friendly_name: Option<String>,
    minds_case: bool,
    activity_name: Option<String>,
    activity_sid: Option<String>,
    available: Option<bool>,
    queue_sid: Option<String>,
    queue_name: Option<String>,
    expression: Option<Expression>,
}

impl Filter {
    fn read(app: &StandIn, behaviour: &Behaviour, params: &Params) -> Result<Self, ApiError> {
        let text = |name| params.text(name).map(str::to_owned);
        let expression = match params.text("TargetWorkersExpression") {
            None => None,
            Some(text) => {
                app.admit_expression_query()?;
                let read = Expression::parse(text);
                Some(read.map_err(|error| ApiError::bad(format!("TargetWorkersExpression is invalid: {error}")))?)
            }
        };
        Ok(Self {
            friendly_name: text("FriendlyName"),
            minds_case: behaviour.name_filter_minds_case,
            activity_name: text("ActivityName"),
            activity_sid: text("ActivitySid"),
            available: params.flag("Available")?,
            queue_sid: text("TaskQueueSid"),
            queue_name: text("TaskQueueName"),
            expression,
        })
    }

    fn select<'a>(&self, rows: &'a Rows, page: &Page, order: Order) -> (Vec<&'a Worker>, Option<String>) {
        let queue = self.queue(rows);
        let passes = |worker: &&Worker| self.passes(rows, queue.as_deref(), worker);
        if let Some(name) = &self.friendly_name {
            let found = rows.worker_named(name).filter(|worker| worker.sid > page.after);
            return page.take(found.into_iter().filter(passes), |worker| worker.sid.clone());
        }
        if order == Order::BySid {
            let after = (std::ops::Bound::Excluded(page.after.clone()), std::ops::Bound::Unbounded);
            let workers = rows.workers.range(after).map(|(_, worker)| worker).filter(passes);
            return page.take(workers, |worker| worker.sid.clone());
        }
        let mut workers: Vec<_> =
            rows.workers.values().filter(passes).map(|worker| (order.key(worker), worker)).collect();
        workers.sort_by(|(left, _), (right, _)| left.cmp(right));
        let from = workers.partition_point(|(key, _)| *key <= page.after);
        let (taken, next) = page.take(workers.into_iter().skip(from), |(key, _)| key.clone());
        (taken.into_iter().map(|(_, worker)| worker).collect(), next)
    }

    /// The queue that is asked for; one that does not exist has no members.
    fn queue(&self, rows: &Rows) -> Option<String> {
        let by_name = |name: &String| {
            let found = rows.queues.values().find(|queue| queue.friendly_name == *name);
            found.map_or_else(String::new, |queue| queue.sid.clone())
        };
        self.queue_sid.clone().or_else(|| self.queue_name.as_ref().map(by_name))
    }

    fn passes(&self, rows: &Rows, queue: Option<&str>, worker: &Worker) -> bool {
        let named = |name: &String| {
            if self.minds_case {
                worker.friendly_name == *name
            } else {
                name_key(&worker.friendly_name) == name_key(name)
            }
        };
        self.friendly_name.as_ref().is_none_or(named)
            && self.activity_sid.as_ref().is_none_or(|sid| worker.activity_sid == *sid)
            && self.activity_name.as_ref().is_none_or(|name| rows.activity_name(&worker.activity_sid) == name)
            && self.available.is_none_or(|available| rows.is_available(worker) == available)
            && queue.is_none_or(|sid| rows.is_member(sid, worker))
            && self.expression.as_ref().is_none_or(|it| it.matches(worker.attributes.read(), &rows.fields(worker)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    BySid,
    OldestStatusFirst,
    NewestStatusFirst,
}

impl Order {
    fn read(params: &Params) -> Result<Self, ApiError> {
        match params.text("Ordering") {
            None => Ok(Self::BySid),
            Some("DateStatusChanged:asc" | "DateStatusChanged") => Ok(Self::OldestStatusFirst),
            Some("DateStatusChanged:desc") => Ok(Self::NewestStatusFirst),
            Some(_) => Err(invalid("Ordering")),
        }
    }

    /// A key whose alphabetical order is the wanted one, unique through the SID.
    fn key(self, worker: &Worker) -> String {
        let millis = u64::try_from(worker.status_changed.millis()).unwrap_or(0);
        let millis = if self == Self::NewestStatusFirst { u64::MAX - millis } else { millis };
        format!("{millis:020}{}", worker.sid)
    }
}
