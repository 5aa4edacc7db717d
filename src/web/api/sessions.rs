//! `/api/v1/sessions`

use axum::extract::Path;
use axum::response::IntoResponse as _;
use http::{StatusCode, Uri};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::{Answer, Asked, Problem, not_found, shown};
use crate::base::{SessionId, UserId};
use crate::domain::Action;
use crate::scim::ScimError;
use crate::service::ServiceError;
use crate::service::sessions::SignedIn;

/// Sessions of a person.
#[derive(Debug, Serialize, ToSchema)]
struct Sessions {
    /// The sessions that stand, the newest first.
    items: Vec<Session>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: String,
    /// The person.
    user: String,
    /// password, saml or oidc.
    means: String,
    created_at: String,
    /// When the person last proved who they are.
    authenticated_at: String,
    /// To the minute.
    last_seen_at: String,
    address: String,
    user_agent: String,
    /// Whether it is the one of this request.
    current: bool,
}

fn described(session: SignedIn, asked: &Asked) -> Session {
    Session {
        current: asked.principal.session().is_some_and(|current| current.id == session.id),
        id: session.id.to_string(),
        user: session.user.to_string(),
        means: session.means.to_string(),
        created_at: session.times.created_at.to_string(),
        authenticated_at: session.times.authenticated_at.to_string(),
        last_seen_at: session.times.last_seen_at.to_string(),
        address: session.address,
        user_agent: session.user_agent,
    }
}

/// Whether the caller may see and end sessions of that person.
fn may(asked: &Asked, user: UserId) -> bool {
    let own = asked.principal.person.as_ref().is_some_and(|person| person.user == user);
    own || Action::OthersSessions.is_allowed_to(asked.principal.role)
}

/// The person whose sessions are meant: the one that the query names, or the caller.
fn whose(asked: &Asked, uri: &Uri) -> Result<UserId, ServiceError> {
    let query = uri.query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "user").map(|(_, value)| value);
    if let Some(text) = named {
        let user = text.parse().ok().filter(|user| may(asked, *user));
        return user.ok_or_else(|| ScimError::not_found("There is no such user.").into());
    }
    let own = asked.principal.person.as_ref().map(|person| person.user);
    let nobody = "This key belongs to nobody: say whose sessions are meant (?user=ID).";
    own.ok_or_else(|| ServiceError::Invalid(nobody.to_owned()))
}

/// Lists sessions: one's own, or for administrators those of anybody.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    params(("user" = Option<String>, Query, description = "A person's id, for administrators; one's own sessions if nothing is said")),
    responses(
        (status = 200, body = Sessions),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(asked: Asked, uri: Uri) -> Answer {
    let user = whose(&asked, &uri).map_err(|failure| asked.failed(failure))?;
    let found = asked.core.sessions_of(asked.principal.account, user).await;
    let found = found.map_err(|failure| asked.failed(failure))?;
    let items = found.into_iter().map(|session| described(session, &asked)).collect();
    Ok(shown(StatusCode::OK, &Sessions { items }))
}

/// Ends all sessions of a person: signs out everywhere.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions",
    params(("user" = Option<String>, Query, description = "A person's id, for administrators; one's own sessions if nothing is said")),
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end_all(asked: Asked, uri: Uri) -> Answer {
    let user = whose(&asked, &uri).map_err(|failure| asked.failed(failure))?;
    let ended = asked.core.end_sessions_of(&asked.principal, user, &asked.request).await;
    ended.map_err(|failure| asked.failed(failure))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends one session.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    params(("id" = String, Path, description = "The session's id")),
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end(asked: Asked, Path(id): Path<String>) -> Answer {
    let id: SessionId = id.parse().map_err(|_| not_found("session"))?;
    let found = asked.core.session(asked.principal.account, id).await.map_err(|failure| asked.failed(failure))?;
    if found.is_none_or(|session| !may(&asked, session.user)) {
        return Err(not_found("session"));
    }
    let ended = asked.core.end_session(&asked.principal, id, &asked.request).await;
    ended.map_err(|failure| asked.failed(failure))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
