//! Lists and searches: `GET` on a type of resources, `POST` on `.search` (RFC 7644 §3.4.2, §3.4.3).

use std::sync::Arc;

use axum::body::Body;
use futures::stream::{self, StreamExt as _};
use http::StatusCode;

use super::asked::Asked;
use super::groups::{group_text, text};
use super::query::Query;
use super::{Answer, answer};
use crate::scim::messages::{Frame, list_tail};
use crate::scim::search::read_search;
use crate::scim::{Projection, ResourceKind};
use crate::service::{Found, Paging, Shown};

const USERS: &[ResourceKind] = &[ResourceKind::User];
const GROUPS: &[ResourceKind] = &[ResourceKind::Group];
const ALL: &[ResourceKind] = &[ResourceKind::User, ResourceKind::Group];

pub(super) async fn users(asked: Asked) -> Answer {
    list(&asked, &asked.query, USERS).await
}

pub(super) async fn groups(asked: Asked) -> Answer {
    list(&asked, &asked.query, GROUPS).await
}

pub(super) async fn search_users(asked: Asked, body: Body) -> Answer {
    search(&asked, body, USERS).await
}

pub(super) async fn search_groups(asked: Asked, body: Body) -> Answer {
    search(&asked, body, GROUPS).await
}

pub(super) async fn search_all(asked: Asked, body: Body) -> Answer {
    search(&asked, body, ALL).await
}

async fn search(asked: &Asked, body: Body, kinds: &[ResourceKind]) -> Answer {
    let body = asked.json(body).await?;
    let query = Query::from(asked.result(read_search(body))?);
    list(asked, &query, kinds).await
}

async fn list(asked: &Asked, query: &Query, kinds: &[ResourceKind]) -> Answer {
    let projections: Result<Vec<Projection>, _> =
        kinds.iter().map(|kind| query.projection(*kind, asked.caller.dialect)).collect();
    let projections = asked.result(projections)?;
    let search = asked.result(query.search())?;
    let found = asked.result(asked.core().search(&asked.caller, &projections, &search).await)?;
    let start_index = match search.paging {
        Paging::Index(page) => Some(page.offset.saturating_add(1)),
        Paging::Cursor { .. } => None,
    };
    Ok(answer(StatusCode::OK, page(asked, found, start_index, projections)))
}

/// A page of users is written at once; members of groups are written as they are read.
fn page(asked: &Asked, found: Found, start_index: Option<u64>, projections: Vec<Projection>) -> Body {
    let (count, next_cursor) = (found.resources.len(), found.next_cursor.as_deref());
    let frame = Frame { total: found.total, start_index, count, next_cursor };
    if found.resources.iter().all(|shown| matches!(shown, Shown::User(_))) {
        let users = found.resources.into_iter().filter_map(|shown| match shown {
            Shown::User(user) => Some(user.body),
            Shown::Group(_) => None,
        });
        return Body::from(frame.page(users));
    }
    let of_groups = projections.into_iter().find(|projection| projection.kind() == ResourceKind::Group);
    let projection = Arc::new(of_groups.unwrap_or_else(|| Projection::full(ResourceKind::Group)));
    let core = Arc::clone(&asked.state.core);
    let head = text(frame.head());
    let resources = stream::iter(found.resources.into_iter().enumerate()).flat_map(move |(n, shown)| {
        let comma = text(if n == 0 { String::new() } else { ",".to_owned() });
        match shown {
            Shown::User(user) => comma.chain(text(user.body)).boxed(),
            Shown::Group(group) => comma.chain(group_text(Arc::clone(&core), group, Arc::clone(&projection))).boxed(),
        }
    });
    Body::from_stream(head.chain(resources).chain(text(list_tail().to_owned())))
}
