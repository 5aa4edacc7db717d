//! `/Users`.

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;

use super::asked::Asked;
use super::{Answer, answer, describe, no_content, not_modified};
use crate::scim::ResourceKind;
use crate::service::Rendered;

const KIND: ResourceKind = ResourceKind::User;

pub(super) async fn create(asked: Asked, body: Body) -> Answer {
    let projection = asked.projection(KIND)?;
    let incoming = asked.resource(KIND, body).await?;
    let user = asked.core().create_user(&asked.caller, incoming, &projection).await;
    Ok(shown(StatusCode::CREATED, asked.result(user)?))
}

pub(super) async fn read(asked: Asked, Path(id): Path<String>) -> Answer {
    let (projection, known) = (asked.projection(KIND)?, asked.known()?);
    let user = asked.result(asked.core().read_user(&asked.caller, &id, &projection).await)?;
    if known.is_some_and(|versions| versions.include(user.version)) {
        return Ok(not_modified(user.version));
    }
    Ok(shown(StatusCode::OK, user))
}

pub(super) async fn replace(asked: Asked, Path(id): Path<String>, body: Body) -> Answer {
    let (projection, wanted) = (asked.projection(KIND)?, asked.if_match()?);
    let incoming = asked.resource(KIND, body).await?;
    let user = asked.core().replace_user(&asked.caller, &id, incoming, wanted, &projection).await;
    Ok(shown(StatusCode::OK, asked.result(user)?))
}

pub(super) async fn patch(asked: Asked, Path(id): Path<String>, body: Body) -> Answer {
    let (projection, wanted) = (asked.projection(KIND)?, asked.if_match()?);
    let operations = asked.operations(body).await?;
    let user = asked.core().patch_user(&asked.caller, &id, operations, wanted, &projection).await;
    Ok(shown(StatusCode::OK, asked.result(user)?))
}

pub(super) async fn delete(asked: Asked, Path(id): Path<String>) -> Answer {
    let wanted = asked.if_match()?;
    asked.result(asked.core().delete_user(&asked.caller, &id, wanted).await)?;
    Ok(no_content())
}

fn shown(status: StatusCode, user: Rendered) -> Response {
    let location = user.location;
    let mut response = answer(status, Body::from(user.body));
    describe(&mut response, user.version, Some(&location));
    response
}
