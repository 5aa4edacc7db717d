//! Sign-on by identity providers: the way there and the way back.

mod flex;
mod logout;
mod oidc;
mod saml;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use url::form_urlencoded;

use super::WebState;
use super::cookie::SameSite;
use super::guard;
use super::pages;
use super::visitor::Visitor;
use crate::domain::Destination;
use crate::service::ServiceError;
use crate::service::sign_in::{Browser, Ended, Purpose};

/// The cookie by which a browser is recognised when it comes back from the identity provider.
const BROWSER: &str = "rollcall-browser";
/// How long it is kept, in seconds: longer than a sign-in may take.
const BROWSER_LASTS: u32 = 3_600;
/// The longest expected name of a person, in characters.
const LONGEST_HINT: usize = 254;

pub(super) fn routes(state: &WebState) -> Router<WebState> {
    Router::new()
        .route("/sso/saml/{connection}/login", get(saml::login))
        .route("/sso/saml/{connection}/metadata", get(saml::metadata))
        .route("/sso/saml/{connection}/acs", post(saml::acs))
        .route("/sso/saml/{connection}/slo", get(logout::redirected).post(logout::posted))
        .route("/sso/flex/{account}/metadata", get(flex::metadata))
        .route("/sso/flex/{account}/login", get(flex::redirected).post(flex::posted))
        .route("/flex", get(flex::go))
        .route("/sso/oidc/{connection}/login", get(oidc::login))
        .route("/sso/oidc/{connection}/callback", get(oidc::callback))
        .route("/sso/oidc/{connection}/backchannel-logout", post(oidc::back_channel_logout))
        .route_layer(from_fn_with_state(state.clone(), guard::check))
}

/// What a browser brings along.
pub(in crate::web) fn browser(visitor: &Visitor, headers: &HeaderMap) -> Browser {
    Browser { secret: visitor.jar.named(headers, BROWSER), session: visitor.session.clone() }
}

/// Why somebody signs in, from the query: `to`, `step_up`, `login_hint`.
fn purpose(uri: &Uri) -> Purpose {
    let query = uri.query().unwrap_or_default();
    let find = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    Purpose {
        to: Destination::read_or_home(find("to").as_deref()),
        step_up: find("step_up").as_deref() == Some("1"),
        login_hint: find("login_hint").filter(|hint| !hint.is_empty() && hint.chars().count() <= LONGEST_HINT),
    }
}

/// Lets the browser be recognised when it comes back: other sites send it back, too, so the cookie goes along then.
pub(in crate::web) fn remember(visitor: &Visitor, secret: &str, response: &mut Response) {
    if let Some(cookie) = visitor.jar.set_named(BROWSER, secret, SameSite::None, Some(BROWSER_LASTS)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Leads to another site.
fn leave(url: &str) -> Option<Response> {
    let location = HeaderValue::from_str(url).ok()?;
    let mut response = Visitor::go("/");
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(response)
}

/// Shows how a sign-in ended.
fn show(visitor: &Visitor, ended: Result<Ended, ServiceError>) -> Response {
    match ended {
        Ok(Ended::SignedIn { opened, to }) => visitor.go_signed_in(opened.secret.expose(), to.as_str()),
        Ok(Ended::NoAccess(why)) => pages::no_access(visitor, why),
        Ok(Ended::Refused) => pages::error(visitor, StatusCode::FORBIDDEN),
        Ok(Ended::Unknown) => pages::error(visitor, StatusCode::NOT_FOUND),
        Err(failure) => pages::failed(visitor, &failure),
    }
}
