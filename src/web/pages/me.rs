//! The person's own page: who one is, and one's sessions.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use super::failed;
use super::sign_in::said_goodbye;
use super::texts::{Texts, fill};
use super::view::{Page, show};
use crate::base::{SessionId, Timestamp};
use crate::domain::{Means, Role};
use crate::service::Principal;
use crate::service::sessions::SignedIn;
use crate::web::WebState;
use crate::web::form::Form;
use crate::web::visitor::Visitor;

#[derive(Template)]
#[template(path = "me.html")]
struct Me<'a> {
    p: Page,
    title: &'a str,
    user_name: &'a str,
    email: Option<&'a str>,
    role: &'a str,
    account: &'a str,
    by: String,
    sessions: Vec<Row>,
}

/// A session in the list.
struct Row {
    id: SessionId,
    since: String,
    seen: String,
    address: String,
    browser: String,
    this: bool,
}

/// `GET /`
pub(super) async fn page(
    State(state): State<WebState>,
    visitor: Visitor,
    Extension(principal): Extension<Arc<Principal>>,
) -> Response {
    let Some(person) = &principal.person else { return super::not_permitted(&visitor) };
    let sessions = match state.core.sessions_of(principal.account, person.user).await {
        Ok(sessions) => sessions,
        Err(failure) => return failed(&visitor, &failure),
    };
    let p = Page::of(&visitor);
    let this = principal.session().map(|session| session.id);
    let title = fill(p.t.you, &[("name", person.name())]);
    let by = match (&principal.connection, principal.session().map(|session| session.means)) {
        (Some(connection), Some(Means::Saml | Means::Oidc)) => connection.clone(),
        _ => p.t.a_password.to_owned(),
    };
    let page = Me {
        title: &title,
        user_name: &person.user_name,
        email: person.email.as_deref(),
        role: role(p.t, principal.role),
        account: &principal.account_name,
        by,
        sessions: sessions.into_iter().map(|session| row(session, this)).collect(),
        p,
    };
    show(&visitor, StatusCode::OK, &page)
}

fn row(session: SignedIn, this: Option<SessionId>) -> Row {
    Row {
        id: session.id,
        since: minutes(session.times.created_at),
        seen: minutes(session.times.last_seen_at),
        address: session.address,
        browser: session.user_agent,
        this: this == Some(session.id),
    }
}

/// As in `2026-01-31 08:30 UTC`.
fn minutes(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..16).map_or_else(|| text.clone(), |text| format!("{} UTC", text.replace('T', " ")))
}

fn role(t: &'static Texts, role: Role) -> &'static str {
    match role {
        Role::Owner => t.role_owner,
        Role::Admin => t.role_admin,
        Role::Supervisor => t.role_supervisor,
        Role::Agent => t.role_agent,
    }
}

/// `POST /sign-out/everywhere`
pub(super) async fn out_everywhere(
    State(state): State<WebState>,
    visitor: Visitor,
    Extension(principal): Extension<Arc<Principal>>,
    _form: Form,
) -> Response {
    if let Some(person) = &principal.person
        && let Err(failure) = state.core.end_sessions_of(&principal, person.user, &visitor.origin.reference).await
    {
        return failed(&visitor, &failure);
    }
    let mut response = said_goodbye(&visitor, Page::of(&visitor).t.signed_out_everywhere_text);
    visitor.forget_session(&mut response);
    response
}

/// `POST /sessions/{id}/end`: one of the person's own. Another's is as good as none.
pub(super) async fn end_session(
    State(state): State<WebState>,
    visitor: Visitor,
    Extension(principal): Extension<Arc<Principal>>,
    Path(id): Path<String>,
    _form: Form,
) -> Response {
    let user = principal.person.as_ref().map(|person| person.user);
    let id: Option<SessionId> = id.parse().ok();
    let ended = async {
        let Some(id) = id else { return Ok(()) };
        let found = state.core.session(principal.account, id).await?;
        if found.is_some_and(|session| Some(session.user) == user) {
            state.core.end_session(&principal, id, &visitor.origin.reference).await?;
        }
        Ok(())
    };
    match ended.await {
        Ok(()) => Visitor::go("/"),
        Err(failure) => failed(&visitor, &failure),
    }
}
