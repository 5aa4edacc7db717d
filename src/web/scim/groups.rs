//! `/Groups`. Members are written to the client page by page as they are read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http::StatusCode;

use super::super::WebState;
use super::asked::Asked;
use super::{Answer, answer, describe, no_content, not_modified};
use crate::scim::{Projection, ResourceKind};
use crate::service::{Core, GroupBody, ServiceError};

const KIND: ResourceKind = ResourceKind::Group;

pub(super) async fn create(asked: Asked, body: Body) -> Answer {
    let projection = asked.projection(KIND)?;
    let incoming = asked.resource(KIND, body).await?;
    let group = asked.core().create_group(&asked.caller, incoming, &projection).await;
    Ok(shown(StatusCode::CREATED, &asked.state, asked.result(group)?, projection))
}

pub(super) async fn read(asked: Asked, Path(id): Path<String>) -> Answer {
    let (projection, known) = (asked.projection(KIND)?, asked.known()?);
    let group = asked.result(asked.core().read_group(&asked.caller, &id, &projection).await)?;
    if known.is_some_and(|versions| versions.include(group.version)) {
        return Ok(not_modified(group.version));
    }
    Ok(shown(StatusCode::OK, &asked.state, group, projection))
}

pub(super) async fn replace(asked: Asked, Path(id): Path<String>, body: Body) -> Answer {
    let (projection, wanted) = (asked.projection(KIND)?, asked.if_match()?);
    let incoming = asked.resource(KIND, body).await?;
    let group = asked.core().replace_group(&asked.caller, &id, incoming, wanted, &projection).await;
    Ok(shown(StatusCode::OK, &asked.state, asked.result(group)?, projection))
}

/// Answers 204 except in the strict dialect: Microsoft advises against returning member lists, and others read what they
/// want to compare.
pub(super) async fn patch(asked: Asked, Path(id): Path<String>, body: Body) -> Answer {
    let (projection, wanted) = (asked.projection(KIND)?, asked.if_match()?);
    let operations = asked.operations(body).await?;
    let group = asked.core().patch_group(&asked.caller, &id, operations, wanted, &projection).await;
    let group = asked.result(group)?;
    if asked.query.chooses_attributes() || !asked.caller.dialect.group_patch_without_body() {
        return Ok(shown(StatusCode::OK, &asked.state, group, projection));
    }
    let mut response = no_content();
    describe(&mut response, group.version, Some(&group.location));
    Ok(response)
}

pub(super) async fn delete(asked: Asked, Path(id): Path<String>) -> Answer {
    let wanted = asked.if_match()?;
    asked.result(asked.core().delete_group(&asked.caller, &id, wanted).await)?;
    Ok(no_content())
}

fn shown(status: StatusCode, state: &WebState, group: GroupBody, projection: Projection) -> Response {
    let (version, location) = (group.version, group.location.clone());
    let body = group_text(Arc::clone(&state.core), group, Arc::new(projection));
    let mut response = answer(status, Body::from_stream(body));
    describe(&mut response, version, Some(&location));
    response
}

pub(super) type Piece = Result<Bytes, ServiceError>;

pub(super) fn text(text: String) -> impl Stream<Item = Piece> + Send {
    stream::once(async move { Ok(Bytes::from(text)) })
}

/// The group as JSON. A failure on the way breaks the connection off, so that nobody takes a part for the whole.
pub(super) fn group_text(
    core: Arc<Core>,
    group: GroupBody,
    projection: Arc<Projection>,
) -> stream::BoxStream<'static, Piece> {
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
