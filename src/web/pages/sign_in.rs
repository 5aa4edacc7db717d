//! Signing in, out, and proving again who one is.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};
use url::form_urlencoded;

use super::texts::{Texts, fill};
use super::view::{Message, Page, show};
use super::{error, failed, forward, post_elsewhere};
use crate::domain::{Destination, Means};
use crate::service::local::{Tried, Way};
use crate::service::sign_in::Onward;
use crate::service::{Principal, ServiceError};
use crate::sso::saml::Outgoing;
use crate::web::WebState;
use crate::web::auth;
use crate::web::form::Form;
use crate::web::visitor::Visitor;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    p: Page,
    title: &'a str,
    problem: Option<&'a str>,
    name: &'a str,
    to: &'a str,
    /// Whether the password was chosen, whatever way the name has.
    by_password: bool,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordForm<'a> {
    p: Page,
    title: &'a str,
    problem: Option<&'a str>,
    intro: Option<&'a str>,
    action: &'a str,
    button: &'a str,
    name: &'a str,
    to: &'a str,
}

#[derive(Template)]
#[template(path = "choose.html")]
struct Choose<'a> {
    p: Page,
    title: &'a str,
    ways: Vec<(String, String)>,
}

/// `GET /sign-in`: asks for the name, from which the way follows.
pub(super) async fn page(State(state): State<WebState>, visitor: Visitor, uri: Uri) -> Response {
    let to = destination(&uri);
    if let Some(secret) = &visitor.session {
        match state.core.signed_in(secret).await {
            Ok(Some(_)) => return Visitor::go(to.as_str()),
            Ok(None) => {}
            Err(failure) => return failed(&visitor, &failure),
        }
    }
    let p = Page::of(&visitor);
    let title = p.t.sign_in;
    show(
        &visitor,
        StatusCode::OK,
        &SignIn { p, title, problem: None, name: "", to: to.as_str(), by_password: asks_for_password(&uri) },
    )
}

/// `POST /sign-in`: leads to the way that the name has.
pub(super) async fn name(State(state): State<WebState>, visitor: Visitor, form: Form) -> Response {
    let (name, to) = (form.get("name").trim(), Destination::read_or_home(Some(form.get("to"))));
    if form.get("way") == BY_PASSWORD {
        return password_form(&visitor, StatusCode::OK, None, name, &to);
    }
    let ways = match state.core.sign_in_ways(name).await {
        Ok(ways) => ways,
        Err(failure) => return failed(&visitor, &failure),
    };
    match ways.as_slice() {
        [] | [Way::Password] => password_form(&visitor, StatusCode::OK, None, name, &to),
        // A redirect that answers a form may not lead to another site, which is where the sign-in goes on.
        [Way::Connection { name, means }] => forward(&visitor, &login_path(name, *means, &to, false)),
        several => choose(&visitor, several, &to),
    }
}

fn choose(visitor: &Visitor, ways: &[Way], to: &Destination) -> Response {
    let p = Page::of(visitor);
    let one = |way: &Way| match way {
        Way::Connection { name, means } => {
            (fill(p.t.with_connection, &[("name", name)]), login_path(name, *means, to, false))
        }
        Way::Password => (p.t.with_password.to_owned(), format!("/sign-in?way={BY_PASSWORD}")),
    };
    let (title, ways) = (p.t.sign_in, ways.iter().map(one).collect());
    show(visitor, StatusCode::OK, &Choose { p, title, ways })
}

/// Where the sign-in of a connection begins.
fn login_path(name: &str, means: Means, to: &Destination, again: bool) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("to", to.as_str());
    if again {
        query.append_pair("step_up", "1");
    }
    format!("/sso/{means}/{name}/login?{}", query.finish())
}

fn password_form(
    visitor: &Visitor,
    status: StatusCode,
    problem: Option<fn(&Texts) -> &'static str>,
    name: &str,
    to: &Destination,
) -> Response {
    let p = Page::of(visitor);
    let (title, button, problem) = (p.t.sign_in, p.t.sign_in, problem.map(|text| text(p.t)));
    let action = "/sign-in/password";
    show(visitor, status, &PasswordForm { p, title, problem, intro: None, action, button, name, to: to.as_str() })
}

/// `POST /sign-in/password`: signs in to a local account.
pub(super) async fn password(State(state): State<WebState>, visitor: Visitor, form: Form) -> Response {
    let (name, to) = (form.get("name").trim(), Destination::read_or_home(Some(form.get("to"))));
    let before = visitor.session.as_deref();
    match state.core.sign_in_by_password(name, form.get("password"), before, &visitor.origin).await {
        Ok(Tried::Opened(opened)) => visitor.go_signed_in(opened.secret.expose(), to.as_str()),
        Ok(tried) => {
            let (status, problem) = problem_of(&tried);
            password_form(&visitor, status, Some(problem), name, &to)
        }
        Err(failure) => failed(&visitor, &failure),
    }
}

fn problem_of(tried: &Tried) -> (StatusCode, fn(&Texts) -> &'static str) {
    match tried {
        Tried::TooMany => (StatusCode::TOO_MANY_REQUESTS, |t| t.too_many_attempts),
        Tried::Busy => (StatusCode::SERVICE_UNAVAILABLE, |t| t.busy),
        Tried::Wrong | Tried::Opened(_) => (StatusCode::FORBIDDEN, |t| t.wrong_password),
    }
}

/// `POST /sign-out`: ends the session, here and at the identity provider if it takes part.
pub(super) async fn out(State(state): State<WebState>, visitor: Visitor, headers: HeaderMap, _form: Form) -> Response {
    let mut response = match leave(&state, &visitor, &headers).await {
        Ok(response) => response,
        Err(failure) => return failed(&visitor, &failure),
    };
    visitor.forget_session(&mut response);
    response
}

async fn leave(state: &WebState, visitor: &Visitor, headers: &HeaderMap) -> Result<Response, ServiceError> {
    let Some(secret) = &visitor.session else { return Ok(Visitor::go("/signed-out")) };
    let Some(leaving) = state.core.sign_out(secret, &visitor.origin).await? else {
        return Ok(Visitor::go("/signed-out"));
    };
    let browser = auth::browser(visitor, headers);
    let Onward::To { message, secret } = state.core.sign_out_onward(&leaving, &browser).await? else {
        return Ok(Visitor::go("/signed-out"));
    };
    let onward = match message {
        // A redirect that answers a form may not lead to another site.
        Outgoing::Redirect(url) => Some(forward(visitor, &url)),
        Outgoing::Post { action, fields } => post_elsewhere(visitor, &action, &fields),
    };
    let mut response = onward.unwrap_or_else(|| Visitor::go("/signed-out"));
    if let Some(secret) = secret {
        auth::remember(visitor, &secret, &mut response);
    }
    Ok(response)
}

/// `GET /signed-out`
pub(super) async fn signed_out(visitor: Visitor) -> Response {
    let text = Page::of(&visitor).t.signed_out_text;
    said_goodbye(&visitor, text)
}

pub(super) fn said_goodbye(visitor: &Visitor, text: &str) -> Response {
    let p = Page::of(visitor);
    let (title, lines, link) = (p.t.signed_out, vec![text.to_owned()], Some((p.t.sign_in_again, "/sign-in")));
    show(visitor, StatusCode::OK, &Message { p, title, lines, reference: None, link })
}

/// `GET /step-up`: asks for the means of the sign-in once more.
pub(super) async fn step_up(
    State(state): State<WebState>,
    visitor: Visitor,
    Extension(principal): Extension<Arc<Principal>>,
    uri: Uri,
) -> Response {
    let to = destination(&uri);
    match state.core.step_up_way(&principal) {
        Some(Way::Password) => step_up_form(&visitor, StatusCode::OK, None, &principal, &to),
        Some(Way::Connection { name, means }) => Visitor::go(&login_path(&name, means, &to, true)),
        None => error(&visitor, StatusCode::FORBIDDEN),
    }
}

fn step_up_form(
    visitor: &Visitor,
    status: StatusCode,
    problem: Option<fn(&Texts) -> &'static str>,
    principal: &Principal,
    to: &Destination,
) -> Response {
    let p = Page::of(visitor);
    let name = principal.person.as_ref().map_or("", |person| person.user_name.as_str());
    let (title, button, intro) = (p.t.step_up, p.t.confirm, Some(p.t.step_up_text));
    let problem = problem.map(|text| text(p.t));
    let page = PasswordForm { p, title, problem, intro, action: "/step-up", button, name, to: to.as_str() };
    show(visitor, status, &page)
}

/// `POST /step-up`: the password again; then back to where it was asked for.
pub(super) async fn stepped_up(
    State(state): State<WebState>,
    visitor: Visitor,
    Extension(principal): Extension<Arc<Principal>>,
    form: Form,
) -> Response {
    let to = Destination::read_or_home(Some(form.get("to")));
    let secret = visitor.session.as_deref().unwrap_or_default();
    match state.core.step_up_by_password(&principal, secret, form.get("password"), &visitor.origin).await {
        Ok(Tried::Opened(opened)) => visitor.go_signed_in(opened.secret.expose(), to.as_str()),
        Ok(tried) => {
            let (status, problem) = problem_of(&tried);
            step_up_form(&visitor, status, Some(problem), &principal, &to)
        }
        Err(failure) => failed(&visitor, &failure),
    }
}

/// The way of local accounts, in queries and forms.
const BY_PASSWORD: &str = "password";

fn asks_for_password(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "way" && value == BY_PASSWORD)
}

/// Where a request wants to go afterwards.
fn destination(uri: &Uri) -> Destination {
    let query = uri.query().unwrap_or_default();
    let to = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "to").map(|(_, value)| value);
    Destination::read_or_home(to.as_deref())
}
