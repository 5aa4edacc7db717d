//! `/api/v1/api-keys`

use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Asked, Problem, not_found, read_body, shown};
use crate::domain::Role;
use crate::service::api_keys::{ApiKey, NewApiKey};

/// The longest lifetime, in days.
const LONGEST: u32 = 3_650;

/// Keys of the account.
#[derive(Debug, Serialize, ToSchema)]
struct Keys {
    /// The keys that open something, the newest first.
    items: Vec<Key>,
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    name: String,
    /// Its first characters.
    hint: String,
    /// The most that it may do: owner, admin, supervisor or agent.
    role: String,
    /// Whose it is; null: the account's.
    user: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    /// To the minute.
    last_used_at: Option<String>,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Made {
    /// The key itself, shown this once.
    key: String,
    id: String,
    role: String,
    expires_at: Option<String>,
}

/// What a key is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    /// What it is for, in words.
    #[serde(default)]
    name: String,
    /// The most that it may do, and no more than the maker may: owner, admin, supervisor or agent.
    #[schema(value_type = String)]
    role: Role,
    /// Days until it expires, 1 to 3650; null: never.
    expires_in_days: Option<u32>,
}

fn described(key: ApiKey) -> Key {
    Key {
        id: key.id.to_string(),
        name: key.name,
        hint: key.hint,
        role: key.role.to_string(),
        user: key.user.map(|user| user.to_string()),
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
        last_used_at: key.last_used_at.map(|at| at.to_string()),
    }
}

/// Lists the keys of the account.
#[utoipa::path(
    get,
    path = "/api/v1/api-keys",
    responses(
        (status = 200, body = Keys),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(asked: Asked) -> Answer {
    let found = asked.core.list_api_keys(asked.principal.account, false).await;
    let found = found.map_err(|failure| asked.failed(failure))?;
    Ok(shown(StatusCode::OK, &Keys { items: found.into_iter().map(described).collect() }))
}

/// Makes a key. It is the maker's: it may do no more, and ends with the maker's access. Needs a fresh sign-in, not a key.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys",
    request_body = Wanted,
    responses(
        (status = 201, body = Made),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(asked: Asked, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Wanted = read_body(&headers, body).await?;
    let days = wanted.expires_in_days.map(|days| days.clamp(1, LONGEST));
    let lifetime = days.map(|days| Duration::from_hours(u64::from(days) * 24));
    let new = NewApiKey { name: wanted.name, role: wanted.role, lifetime };
    let principal = &asked.principal;
    let made = asked.core.create_api_key(principal.account, Some(principal), new, &asked.request).await;
    let (key, secret) = made.map_err(|failure| asked.failed(failure))?;
    let made = Made {
        key: secret.expose().to_owned(),
        id: key.id.to_string(),
        role: key.role.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
    };
    Ok(shown(StatusCode::CREATED, &made))
}

/// Revokes a key: the next request with it is refused. Needs a fresh sign-in.
#[utoipa::path(
    delete,
    path = "/api/v1/api-keys/{id}",
    params(("id" = String, Path, description = "The key's id")),
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke(asked: Asked, Path(id): Path<String>) -> Answer {
    let principal = &asked.principal;
    let revoked = asked.core.revoke_api_key(principal.account, Some(principal), &id, &asked.request).await;
    match revoked.map_err(|failure| asked.failed(failure))? {
        Some(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        None => Err(not_found("key")),
    }
}
