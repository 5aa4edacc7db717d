//! What this server can do (RFC 7644 §4).

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::super::WebState;
use super::query::Query;
use super::{Answer, For as _, answer};
use crate::scim::error::excerpt;
use crate::scim::{ScimError, discovery};
use crate::service::Caller;

pub(super) async fn service_provider_config(State(state): State<WebState>) -> Response {
    shown(&discovery::service_provider_config(state.core.scim_url()))
}

pub(super) async fn resource_types(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Answer {
    refuse_filter(query.as_deref()).caused_by(&caller)?;
    Ok(shown(&discovery::resource_types(state.core.scim_url())))
}

pub(super) async fn resource_type(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer {
    let found = discovery::resource_type(&name, state.core.scim_url());
    let missing = || ScimError::not_found(format!("There is no resource type {}.", excerpt(&name)));
    Ok(shown(&found.ok_or_else(missing).caused_by(&caller)?))
}

pub(super) async fn schemas(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Answer {
    refuse_filter(query.as_deref()).caused_by(&caller)?;
    Ok(shown(&discovery::schemas(state.core.scim_url())))
}

pub(super) async fn schema(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answer {
    let found = discovery::schema(&id, state.core.scim_url());
    let missing = || ScimError::not_found(format!("There is no schema {}.", excerpt(&id)));
    Ok(shown(&found.ok_or_else(missing).caused_by(&caller)?))
}

/// RFC 7644 §4: a filter on these endpoints is answered with 403, so that nobody takes the whole list for a match.
fn refuse_filter(query: Option<&str>) -> Result<(), ScimError> {
    match Query::parse(query)?.filter {
        Some(_) => {
            Err(ScimError::forbidden("This endpoint does not filter (RFC 7644, section 4). Leave the filter out."))
        }
        None => Ok(()),
    }
}

fn shown(value: &Value) -> Response {
    answer(StatusCode::OK, Body::from(value.to_string()))
}
