//! What this server can do (RFC 7644 §4).

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::asked::Asked;
use super::{Answer, Failure, answer};
use crate::scim::error::excerpt;
use crate::scim::{ScimError, discovery};

pub(super) async fn service_provider_config(asked: Asked) -> Answer {
    refuse_filter(&asked)?;
    Ok(shown(&discovery::service_provider_config(asked.core().scim_url(), asked.state.body_limit)))
}

pub(super) async fn resource_types(asked: Asked) -> Answer {
    refuse_filter(&asked)?;
    Ok(shown(&discovery::resource_types(asked.core().scim_url())))
}

pub(super) async fn resource_type(asked: Asked, Path(name): Path<String>) -> Answer {
    refuse_filter(&asked)?;
    let found = discovery::resource_type(&name, asked.core().scim_url());
    let missing = || ScimError::not_found(format!("There is no resource type {}.", excerpt(&name)));
    Ok(shown(&asked.result(found.ok_or_else(missing))?))
}

pub(super) async fn schemas(asked: Asked) -> Answer {
    refuse_filter(&asked)?;
    Ok(shown(&discovery::schemas(asked.core().scim_url())))
}

pub(super) async fn schema(asked: Asked, Path(id): Path<String>) -> Answer {
    refuse_filter(&asked)?;
    let found = discovery::schema(&id, asked.core().scim_url());
    let missing = || ScimError::not_found(format!("There is no schema {}.", excerpt(&id)));
    Ok(shown(&asked.result(found.ok_or_else(missing))?))
}

/// RFC 7644 §4: a filter on these endpoints is answered with 403, so that nobody takes the whole list for a match.
fn refuse_filter(asked: &Asked) -> Result<(), Failure> {
    asked.result(match &asked.query.filter {
        Some(_) => {
            Err(ScimError::forbidden("This endpoint does not filter (RFC 7644, section 4). Leave the filter out."))
        }
        None => Ok(()),
    })
}

fn shown(value: &Value) -> Response {
    answer(StatusCode::OK, Body::from(value.to_string()))
}
