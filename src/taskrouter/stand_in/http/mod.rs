//! The routes, and what every request passes through.

mod activities;
mod channels;
mod control;
mod events;
mod flex;
mod gate;
mod page;
mod params;
mod queues;
pub(super) mod reservations;
pub(super) mod sso_login;
mod statistics;
mod worker_changes;
mod workers;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use chrono::{DateTime, SecondsFormat};
use sha2::{Digest as _, Sha256};

use super::StandIn;
use super::error::ApiError;
use crate::base::Timestamp;

type App = axum::extract::State<Arc<StandIn>>;

pub(super) fn router(stand_in: &Arc<StandIn>) -> Router {
    Router::new()
        .route("/v1/Workspaces", get(workspaces::list))
        .nest("/v1/Workspaces/{workspace}", in_workspace())
        .route("/v1/Configuration", get(flex::configuration))
        .route("/v1/Instances/{instance}/Users", get(flex::list))
        .route("/v4/Instances/{instance}/Users", get(flex::list))
        .route("/v4/Instances/{instance}/Users/Provision", post(flex::provision))
        .route("/v4/Instances/{instance}/Users/Deprovision", post(flex::deprovision))
        .route("/v4/Instances/{instance}/Users/{user}", get(flex::fetch))
        .nest("/_stand_in", control_routes())
        .fallback(|request: Request| async move { ApiError::not_found(request.uri().path()) })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, 20004, "Method not allowed")
        })
        .layer(from_fn_with_state(stand_in.clone(), gate::gate))
        .with_state(stand_in.clone())
}

fn in_workspace() -> Router<Arc<StandIn>> {
    Router::new()
        .route("/", get(workspaces::fetch).post(workspaces::update))
        .route("/Activities", get(activities::list).post(activities::create))
        .route("/Activities/{activity}", get(activities::fetch).post(activities::update).delete(activities::delete))
        .route("/Events", get(events::list))
        .route("/Events/{event}", get(events::fetch))
        .route("/TaskChannels", get(channels::list_task_channels))
        .route("/TaskQueues", get(queues::list).post(queues::create))
        .route("/TaskQueues/{queue}", get(queues::fetch).post(queues::update).delete(queues::delete))
        .route("/Workers", get(workers::list).post(workers::create))
        .route("/Workers/Statistics", get(statistics::of_workspace))
        .route("/Workers/CumulativeStatistics", get(statistics::cumulative))
        .route("/Workers/RealTimeStatistics", get(statistics::real_time))
        .route("/Workers/{worker}", get(workers::fetch).post(workers::update).delete(workers::delete))
        .route("/Workers/{worker}/Statistics", get(statistics::of_worker))
        .route("/Workers/{worker}/Channels", get(channels::list))
        .route("/Workers/{worker}/Channels/{channel}", get(channels::fetch).post(channels::update))
        .route("/Workers/{worker}/Reservations", get(reservations::list))
        .route("/Workers/{worker}/Reservations/{reservation}", get(reservations::fetch))
}

fn control_routes() -> Router<Arc<StandIn>> {
    Router::new()
        .route("/faults", get(control::faults).post(control::set_faults))
        .route("/behaviour", get(control::behaviour).post(control::set_behaviour))
        .route("/calls", get(control::calls).delete(control::clear_calls))
        .route("/reservations", post(control::add_reservation))
        .route("/reservations/{reservation}", post(control::set_reservation))
        .route("/sso-login", post(control::sso_login))
        .route("/state", get(control::state))
}

/// Times go out in whole seconds.
fn seconds(time: Timestamp) -> Option<String> {
    DateTime::from_timestamp_millis(time.millis()).map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The SID of something that is derived from others, such as a worker's channel, and so needs no row of its own.
fn derived_sid(prefix: &str, owner: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{owner}/{name}").as_bytes());
    format!("{prefix}{}", hex::encode(&digest[..16]))
}
