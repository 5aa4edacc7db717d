//! The page behind an owner's link.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use super::failed;
use super::texts::{Texts, fill};
use super::view::{Message, Page, show};
use crate::service::owner::Became;
use crate::service::passwords::Weak;
use crate::web::WebState;
use crate::web::form::Form;
use crate::web::visitor::Visitor;

#[derive(Template)]
#[template(path = "owner.html")]
struct Owner<'a> {
    p: Page,
    title: &'a str,
    problem: Option<&'a str>,
    intro: String,
    name: &'a str,
}

/// `GET /owner/{secret}`: looking at it does not use it up.
pub(super) async fn page(State(state): State<WebState>, visitor: Visitor, Path(secret): Path<String>) -> Response {
    form(&state, &visitor, &secret, StatusCode::OK, None, "").await
}

async fn form(
    state: &WebState,
    visitor: &Visitor,
    secret: &str,
    status: StatusCode,
    problem: Option<fn(&Texts) -> &'static str>,
    name: &str,
) -> Response {
    let account = match state.core.owner_link(secret).await {
        Ok(Some(account)) => account,
        Ok(None) => return gone(visitor),
        Err(failure) => return failed(visitor, &failure),
    };
    let p = Page::of(visitor);
    let (title, problem) = (p.t.owner, problem.map(|text| text(p.t)));
    let intro = fill(p.t.owner_text, &[("account", account.name.as_str())]);
    show(visitor, status, &Owner { p, title, problem, intro, name })
}

fn gone(visitor: &Visitor) -> Response {
    let p = Page::of(visitor);
    let (title, lines, link) = (p.t.link_gone, vec![p.t.link_gone_text.to_owned()], Some((p.t.sign_in, "/sign-in")));
    show(visitor, StatusCode::NOT_FOUND, &Message { p, title, lines, reference: None, link })
}

/// `POST /owner/{secret}`: uses the link up.
pub(super) async fn become_owner(
    State(state): State<WebState>,
    visitor: Visitor,
    Path(secret): Path<String>,
    sent: Form,
) -> Response {
    let (name, password) = (sent.get("name").trim(), sent.get("password"));
    let again = |status, text| form(&state, &visitor, &secret, status, Some(text), name);
    if password != sent.get("again") {
        return again(StatusCode::BAD_REQUEST, |t: &Texts| t.passwords_differ).await;
    }
    let before = visitor.session.as_deref();
    let problem: (StatusCode, fn(&Texts) -> &'static str) =
        match state.core.become_owner(&secret, name, password, before, &visitor.origin).await {
            Ok(Became::Owner(opened)) => return visitor.go_signed_in(opened.secret.expose(), "/"),
            Ok(Became::Gone) => return gone(&visitor),
            Err(failure) => return failed(&visitor, &failure),
            Ok(Became::BadName) => (StatusCode::BAD_REQUEST, |t| t.name_bad),
            Ok(Became::NameTaken) => (StatusCode::CONFLICT, |t| t.name_taken),
            Ok(Became::Weak(Weak::Short)) => (StatusCode::BAD_REQUEST, |t| t.password_short),
            Ok(Became::Weak(Weak::Long)) => (StatusCode::BAD_REQUEST, |t| t.password_long),
            Ok(Became::Weak(Weak::Common)) => (StatusCode::BAD_REQUEST, |t| t.password_common),
            Ok(Became::Busy) => (StatusCode::SERVICE_UNAVAILABLE, |t| t.busy),
        };
    again(problem.0, problem.1).await
}
