//! The door of pages and API: what the table of routes asks of a request is asked here, before any handler sees it.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, header};

use super::WebState;
use super::error;
use super::origin::{Caused, caused};
use super::pages;
use super::routes::{Forgery, Kind, Row, Who, row};
use super::visitor::Visitor;
use crate::domain::Action;
use crate::service::{Principal, ServiceError};

/// Why a request gets no further.
#[derive(Debug)]
enum Refused {
    /// The request was caused by another site, or hides by which.
    Forged,
    /// Nobody is signed in, and there is no good key.
    Unknown,
    /// The role may not.
    Forbidden,
    /// The sign-in is too long ago.
    Stale,
    /// We failed.
    Failed(ServiceError),
}

pub(in crate::web) async fn check(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let Some(row) = row(&method, &path) else { return error::wrong_method(&path) };
    let (parts, body) = request.into_parts();
    let (visitor, headers) = (Visitor::read(&state, &parts), parts.headers.clone());
    request = Request::from_parts(parts, body);
    let until = tokio::time::Instant::now() + state.request_timeout;
    let answered = tokio::time::timeout_at(until, async {
        match admitted(&state, row, &visitor, &headers).await {
            Ok(principal) => {
                if let Some(principal) = principal {
                    request.extensions_mut().insert(Arc::new(principal));
                }
                next.run(request).await
            }
            Err(refused) => refused.answer(&state, row, &visitor, &method, &uri),
        }
    });
    answered.await.unwrap_or_else(|_| {
        tracing::error!("a request took too long");
        unavailable(row, &visitor)
    })
}

async fn admitted(
    state: &WebState,
    row: &Row,
    visitor: &Visitor,
    headers: &HeaderMap,
) -> Result<Option<Principal>, Refused> {
    let key = headers.get(header::AUTHORIZATION).filter(|_| matches!(row.who, Who::PersonOrKey(_)));
    let here = caused(headers, state.core.public_url());
    let forged = match row.forgery {
        Forgery::Reads | Forgery::Protocol => false,
        // The hidden field is looked at when the form is read.
        Forgery::Form => here == Caused::Elsewhere,
        Forgery::Origin => key.is_none() && here != Caused::Here,
    };
    if forged {
        return Err(Refused::Forged);
    }
    let action = match row.who {
        Who::Anyone => return Ok(None),
        Who::Person(action) | Who::PersonOrKey(action) => action,
    };
    let found = match (key, &visitor.session) {
        (Some(key), _) => state.core.api_caller(key.to_str().unwrap_or_default()).await,
        (None, Some(secret)) => state.core.signed_in(secret).await,
        (None, None) => Ok(None),
    };
    let principal = found.map_err(Refused::Failed)?.ok_or(Refused::Unknown)?;
    permitted(state, action, &principal)?;
    Ok(Some(principal))
}

/// Asks the table of permissions, and whether the sign-in is fresh where that is asked for.
fn permitted(state: &WebState, action: Action, principal: &Principal) -> Result<(), Refused> {
    if !action.is_allowed_to(principal.role) {
        return Err(Refused::Forbidden);
    }
    if action.is_sensitive() && !principal.is_fresh(state.core.ambient().now()) {
        return Err(Refused::Stale);
    }
    Ok(())
}

impl Refused {
    fn answer(self, state: &WebState, row: &Row, visitor: &Visitor, method: &Method, uri: &http::Uri) -> Response {
        match (row.kind, self) {
            (_, Self::Failed(error)) => failed(row.kind, visitor, error),
            (Kind::Api, refused) => refused.as_problem(),
            (Kind::Page, Self::Forged) => pages::forged(visitor),
            (Kind::Page, Self::Unknown) => {
                let to = if *method == Method::GET {
                    uri.path_and_query().map(http::uri::PathAndQuery::as_str)
                } else {
                    None
                };
                let mut response = Visitor::go(&pages::sign_in_path(to));
                if visitor.session.is_some() {
                    visitor.forget_session(&mut response);
                }
                response
            }
            (Kind::Page, Self::Forbidden) => pages::not_permitted(visitor),
            (Kind::Page, Self::Stale) => {
                tracing::debug!(url = state.core.public_url(), "a fresh sign-in is asked for");
                Visitor::go(&pages::step_up_path(uri.path()))
            }
        }
    }

    fn as_problem(&self) -> Response {
        match self {
            Self::Forged => error::problem(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "The request was not caused by a page of this server. Browsers say where a request comes from in Sec-Fetch-Site or Origin; scripts send an API key.",
            ),
            Self::Unknown => error::unauthorized(),
            Self::Forbidden => error::problem(StatusCode::FORBIDDEN, "Forbidden", "Your role may not do this."),
            Self::Stale => error::fresh_sign_in_required(),
            Self::Failed(_) => error::problem(StatusCode::INTERNAL_SERVER_ERROR, "Error", "The request failed."),
        }
    }
}

/// What the caller cannot mend is logged here, once.
pub(in crate::web) fn failed(kind: Kind, visitor: &Visitor, error: ServiceError) -> Response {
    let reference = &visitor.origin.reference;
    match kind {
        Kind::Page => pages::failed(visitor, &error),
        Kind::Api => error::api(error, reference),
    }
}

fn unavailable(row: &Row, visitor: &Visitor) -> Response {
    match row.kind {
        Kind::Page => pages::unavailable(visitor),
        Kind::Api => {
            error::problem(StatusCode::SERVICE_UNAVAILABLE, "Not available", "The request took too long. Try again.")
        }
    }
}
