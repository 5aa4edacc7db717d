//! `/Users`.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::super::WebState;
use super::body::{if_match, if_none_match, read as read_body};
use super::query::Query;
use super::{Answer, For as _, answer, describe, no_content, not_modified};
use crate::scim::ResourceKind;
use crate::scim::document::read_resource;
use crate::scim::messages::list_response_text;
use crate::scim::patch::read_patch;
use crate::service::{Caller, Rendered};

pub(super) async fn create(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::User, caller.dialect).caused_by(&caller)?;
    let body = read_body(&headers, body, state.body_limit).await.caused_by(&caller)?;
    let incoming = read_resource(ResourceKind::User, body, caller.dialect).caused_by(&caller)?;
    let user = state.core.create_user(&caller, incoming, &projection).await.caused_by(&caller)?;
    Ok(shown(StatusCode::CREATED, user))
}

pub(super) async fn read(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::User, caller.dialect).caused_by(&caller)?;
    let known = if_none_match(&headers).caused_by(&caller)?;
    let user = state.core.read_user(&caller, &id, &projection).await.caused_by(&caller)?;
    if known.is_some_and(|versions| versions.contains(&user.version)) {
        return Ok(not_modified(user.version));
    }
    Ok(shown(StatusCode::OK, user))
}

pub(super) async fn list(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::User, caller.dialect).caused_by(&caller)?;
    let (start, page) = query.page().caused_by(&caller)?;
    let list = state.core.list_users(&caller, query.filter.as_deref(), page, &projection).await.caused_by(&caller)?;
    let resources = list.resources.into_iter().map(|user| user.body);
    Ok(answer(StatusCode::OK, Body::from(list_response_text(list.total, start, resources))))
}

pub(super) async fn replace(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::User, caller.dialect).caused_by(&caller)?;
    let wanted = if_match(&headers).caused_by(&caller)?;
    let body = read_body(&headers, body, state.body_limit).await.caused_by(&caller)?;
    let incoming = read_resource(ResourceKind::User, body, caller.dialect).caused_by(&caller)?;
    let user = state.core.replace_user(&caller, &id, incoming, wanted, &projection).await.caused_by(&caller)?;
    Ok(shown(StatusCode::OK, user))
}

pub(super) async fn patch(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::User, caller.dialect).caused_by(&caller)?;
    let wanted = if_match(&headers).caused_by(&caller)?;
    let body = read_body(&headers, body, state.body_limit).await.caused_by(&caller)?;
    let operations = read_patch(body, caller.dialect).caused_by(&caller)?;
    let user = state.core.patch_user(&caller, &id, operations, wanted, &projection).await.caused_by(&caller)?;
    Ok(shown(StatusCode::OK, user))
}

pub(super) async fn delete(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let wanted = if_match(&headers).caused_by(&caller)?;
    state.core.delete_user(&caller, &id, wanted).await.caused_by(&caller)?;
    Ok(no_content())
}

fn shown(status: StatusCode, user: Rendered) -> Response {
    let location = user.location;
    let mut response = answer(status, Body::from(user.body));
    describe(&mut response, user.version, Some(&location));
    response
}
