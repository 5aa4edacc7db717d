//! `/api/v1/users`

use axum::http::Uri;
use http::StatusCode;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::{Answer, Asked, Problem, shown};
use crate::service::ServiceError;
use crate::service::people::{Entry, MOST};

/// How many people are on a page if nothing is said.
const USUAL: u32 = 100;

/// A page of people.
#[derive(Debug, Serialize, ToSchema)]
struct Users {
    /// The people, in the order in which they were made.
    items: Vec<User>,
    /// What to send as cursor for the next page; null: this is the last one.
    next: Option<String>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
struct User {
    id: String,
    #[serde(rename = "userName")]
    name: String,
    email: Option<String>,
    /// owner, admin, supervisor or agent; null: no access.
    role: Option<String>,
    /// pending, active or inactive.
    status: String,
    /// The TaskRouter worker.
    worker: Worker,
}

/// The TaskRouter worker of a person.
#[derive(Debug, Serialize, ToSchema)]
struct Worker {
    /// The SID, once there is one.
    sid: Option<String>,
    /// How it is; null: there never was to be one.
    state: Option<String>,
}

impl From<Entry> for User {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.person.user.to_string(),
            name: entry.person.user_name,
            email: entry.person.email,
            role: entry.role.map(|role| role.to_string()),
            status: entry.status.to_string(),
            worker: Worker { sid: entry.sid, state: entry.state },
        }
    }
}

/// Lists the people of the account.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    params(
        ("limit" = Option<u32>, Query, description = "How many people, 1 to 500; 100 if nothing is said"),
        ("cursor" = Option<String>, Query, description = "next of the page before"),
    ),
    responses(
        (status = 200, body = Users),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(asked: Asked, uri: Uri) -> Answer {
    let (limit, cursor) = paging(&uri).map_err(|failure| asked.failed(failure))?;
    let page = asked.core.list_people(asked.principal.account, cursor.as_deref(), limit).await;
    let page = page.map_err(|failure| asked.failed(failure))?;
    let users = Users { items: page.items.into_iter().map(User::from).collect(), next: page.next };
    Ok(shown(StatusCode::OK, &users))
}

fn paging(uri: &Uri) -> Result<(u32, Option<String>), ServiceError> {
    let (mut limit, mut cursor) = (USUAL, None);
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "limit" => {
                let wrong = || ServiceError::Invalid(format!("limit is a number from 1 to {MOST}"));
                limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(wrong)?;
            }
            "cursor" if !value.is_empty() => cursor = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok((limit, cursor))
}
