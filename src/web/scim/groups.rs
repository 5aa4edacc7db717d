//! `/Groups`. Members are written to the client page by page as they are read.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, StatusCode};

use super::super::WebState;
use super::body::{if_match, if_none_match, read as read_body};
use super::query::Query;
use super::{Answer, For as _, answer, describe, no_content, not_modified};
use crate::scim::document::read_resource;
use crate::scim::messages::{list_head, list_tail};
use crate::scim::patch::read_patch;
use crate::scim::{Projection, ResourceKind};
use crate::service::{Caller, Core, GroupBody, ServiceError};

pub(super) async fn create(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::Group, caller.dialect).caused_by(&caller)?;
    let body = read_body(&headers, body, state.body_limit).await.caused_by(&caller)?;
    let incoming = read_resource(ResourceKind::Group, body, caller.dialect).caused_by(&caller)?;
    let group = state.core.create_group(&caller, incoming, &projection).await.caused_by(&caller)?;
    Ok(shown(StatusCode::CREATED, &state, group, projection))
}

pub(super) async fn read(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::Group, caller.dialect).caused_by(&caller)?;
    let known = if_none_match(&headers).caused_by(&caller)?;
    let group = state.core.read_group(&caller, &id, &projection).await.caused_by(&caller)?;
    if known.is_some_and(|versions| versions.contains(&group.version)) {
        return Ok(not_modified(group.version));
    }
    Ok(shown(StatusCode::OK, &state, group, projection))
}

pub(super) async fn list(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::Group, caller.dialect).caused_by(&caller)?;
    let (start, page) = query.page().caused_by(&caller)?;
    let list = state.core.list_groups(&caller, query.filter.as_deref(), page, &projection).await.caused_by(&caller)?;
    let head = list_head(list.total, start, list.resources.len());
    let (core, projection) = (Arc::clone(&state.core), Arc::new(projection));
    let groups = stream::iter(list.resources.into_iter().enumerate()).flat_map(move |(n, group)| {
        let comma = if n == 0 { "" } else { "," };
        text(comma.to_owned()).chain(group_text(Arc::clone(&core), group, Arc::clone(&projection)))
    });
    let body = text(head).chain(groups).chain(text(list_tail().to_owned()));
    Ok(answer(StatusCode::OK, Body::from_stream(body)))
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
    let projection = query.projection(ResourceKind::Group, caller.dialect).caused_by(&caller)?;
    let wanted = if_match(&headers).caused_by(&caller)?;
    let body = read_body(&headers, body, state.body_limit).await.caused_by(&caller)?;
    let incoming = read_resource(ResourceKind::Group, body, caller.dialect).caused_by(&caller)?;
    let group = state.core.replace_group(&caller, &id, incoming, wanted, &projection).await.caused_by(&caller)?;
    Ok(shown(StatusCode::OK, &state, group, projection))
}

/// Answers 204 except in the strict dialect: Microsoft advises against returning member lists, and others read what they
/// want to compare.
pub(super) async fn patch(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = Query::parse(query.as_deref()).caused_by(&caller)?;
    let projection = query.projection(ResourceKind::Group, caller.dialect).caused_by(&caller)?;
    let wanted = if_match(&headers).caused_by(&caller)?;
    let body = read_body(&headers, body, state.body_limit).await.caused_by(&caller)?;
    let operations = read_patch(body, caller.dialect).caused_by(&caller)?;
    let group = state.core.patch_group(&caller, &id, operations, wanted, &projection).await.caused_by(&caller)?;
    if query.chooses_attributes() || !caller.dialect.group_patch_without_body() {
        return Ok(shown(StatusCode::OK, &state, group, projection));
    }
    let mut response = no_content();
    describe(&mut response, group.version, Some(&group.location));
    Ok(response)
}

pub(super) async fn delete(
    State(state): State<WebState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let wanted = if_match(&headers).caused_by(&caller)?;
    state.core.delete_group(&caller, &id, wanted).await.caused_by(&caller)?;
    Ok(no_content())
}

fn shown(status: StatusCode, state: &WebState, group: GroupBody, projection: Projection) -> Response {
    let (version, location) = (group.version, group.location.clone());
    let body = group_text(Arc::clone(&state.core), group, Arc::new(projection));
    let mut response = answer(status, Body::from_stream(body));
    describe(&mut response, version, Some(&location));
    response
}

type Piece = Result<Bytes, ServiceError>;

fn text(text: String) -> impl Stream<Item = Piece> + Send {
    stream::once(async move { Ok(Bytes::from(text)) })
}

/// The group as JSON. A failure on the way breaks the connection off, so that nobody takes a part for the whole.
fn group_text(core: Arc<Core>, group: GroupBody, projection: Arc<Projection>) -> stream::BoxStream<'static, Piece> {
    if !group.with_members {
        return text(group.head).boxed();
    }
    let id = group.id;
    let pages = stream::try_unfold(Some((String::new(), true)), move |state| {
        let (core, projection) = (Arc::clone(&core), Arc::clone(&projection));
        async move {
            let Some((after, first)) = state else { return Ok(None) };
            let (members, next) = core.members_after(id, &after, &projection).await?;
            let mut json = String::new();
            for (n, member) in members.iter().enumerate() {
                if !first || n > 0 {
                    json.push(',');
                }
                json.push_str(&member.to_string());
            }
            Ok::<_, ServiceError>(Some((Bytes::from(json), next.map(|next| (next, false)))))
        }
    });
    // `head` is an object left open.
    let opening = if group.head.ends_with('{') { "\"members\":[" } else { ",\"members\":[" };
    let body = text(group.head + opening).chain(pages).chain(text(format!("]{}", group.tail)));
    body.inspect_err(|error| {
        tracing::error!(error = %crate::base::Causes(error), "the members of a group could not be read");
    })
    .boxed()
}
