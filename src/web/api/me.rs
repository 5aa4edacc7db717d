//! `/api/v1/me`

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Asked, Problem, shown};

/// Who is signed in, or whose the key is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Me {
    /// The person; null: a key that belongs to nobody.
    id: Option<String>,
    /// The person's userName.
    user_name: Option<String>,
    /// The person's e-mail address.
    email: Option<String>,
    /// owner, admin, supervisor or agent.
    role: String,
    /// The account's name.
    account: String,
    /// The connection that the person belongs to; null: a local account.
    connection: Option<String>,
}

/// Says who is signed in, or whose the key is.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    responses((status = 200, body = Me), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
pub(super) async fn read(asked: Asked) -> Response {
    let principal = &asked.principal;
    let person = principal.person.as_ref();
    let me = Me {
        id: person.map(|person| person.user.to_string()),
        user_name: person.map(|person| person.user_name.clone()),
        email: person.and_then(|person| person.email.clone()),
        role: principal.role.to_string(),
        account: principal.account_name.clone(),
        connection: principal.connection.clone(),
    };
    shown(StatusCode::OK, &me)
}
