//! What a caller who is known may ask for at all, before its request is looked at.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, header};

use super::super::WebState;
use super::super::error;
use super::super::normalise::SCIM;
use crate::base::{client_address, contains};
use crate::domain::Scope;
use crate::scim::ScimError;
use crate::service::Caller;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Peer(pub(in crate::web) SocketAddr);

/// Why a request was turned away at the door, before anybody looked at it: requests of one bearer with one reason are
/// alike, and the log of pushes counts them.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnedAway(pub(super) &'static str);

/// What is told to who is turned away.
#[derive(Debug)]
pub(super) struct Refusal {
    reason: &'static str,
    error: ScimError,
    wait: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(reason: &'static str, error: ScimError) -> Self {
        Self { reason, error, wait: None }
    }

    pub(super) fn answer(self) -> Response {
        let mut response = error::scim(&self.error);
        response.extensions_mut().insert(TurnedAway(self.reason));
        if let Some(wait) = self.wait {
            // In whole seconds: it shall not come too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Refuses what the caller's token is not for. The address is judged after the token: to a stranger every address looks
/// alike. And after its pace: whoever is refused for the address has asked as well.
pub(super) fn check(state: &WebState, caller: &Caller, request: &Request) -> Result<(), Refusal> {
    if let Err(wait) = state.pace.take(caller.bearer, state.core.ambient().now()) {
        let error = ScimError::too_many_requests(
            "This token sends more requests a second than the operator allows (scim.rate_per_token); a bulk request counts by its operations. Send it again after the time in Retry-After.",
        );
        return Err(Refusal { wait: Some(wait), ..Refusal::new("pace", error) });
    }
    if !caller.allow_from.is_empty() {
        let address = client(state, request.extensions().get(), request.headers());
        if !address.is_some_and(|address| contains(&caller.allow_from, address)) {
            return Err(Refusal::new("address", elsewhere(address)));
        }
    }
    let (method, path) = (request.method(), request.uri().path());
    if caller.user.is_some() && !is_for_people(method, path) {
        let error = ScimError::forbidden(
            "This token stands for a user: it may read /Me and the discovery endpoints, and nothing else.",
        );
        return Err(Refusal::new("user", error));
    }
    if !caller.scope.includes(needed(method, path)) {
        let error = ScimError::forbidden(
            "This token may only read. Use a token with the scope write: `rollcall token create --scope write`.",
        );
        return Err(Refusal::new("scope", error));
    }
    Ok(())
}

/// The address of the client, if it can be told.
pub(in crate::web) fn client(state: &WebState, peer: Option<&Peer>, headers: &HeaderMap) -> Option<IpAddr> {
    let forwarded: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default()).collect();
    client_address(peer?.0.ip(), &forwarded, &state.trusted_proxies)
}

fn elsewhere(address: Option<IpAddr>) -> ScimError {
    let from = address.map_or_else(|| "an unknown address".to_owned(), |address| format!("the address {address}"));
    ScimError::forbidden(format!(
        "The connection does not take requests from {from}. Its operator allows addresses with `rollcall connection set NAME --allow-ip`."
    ))
}

/// What a token that stands for a user may ask for.
fn is_for_people(method: &Method, path: &str) -> bool {
    let Some(endpoint) = path.strip_prefix(SCIM) else { return false };
    let mut parts = endpoint.split('/').skip(1);
    let first = parts.next().unwrap_or_default();
    let discovery = ["ServiceProviderConfig", "ResourceTypes", "Schemas"].contains(&first);
    matches!(*method, Method::GET | Method::HEAD) && (discovery || first == "Me" && parts.next().is_none())
}

/// The scope that a request needs. A search by POST (RFC 7644 §3.4.3) changes nothing; a method that is not known may.
pub(super) fn needed(method: &Method, path: &str) -> Scope {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || (*method == Method::POST && path.ends_with("/.search"));
    if reads { Scope::Read } else { Scope::Write }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_read_and_the_unknown_writes() {
        for (method, path, scope) in [
            ("GET", "/scim/v2/Users", Scope::Read),
            ("HEAD", "/scim/v2/Users", Scope::Read),
            ("POST", "/scim/v2/.search", Scope::Read),
            ("POST", "/scim/v2/Users/.search", Scope::Read),
            ("POST", "/scim/v2/Users", Scope::Write),
            ("POST", "/scim/v2/Bulk", Scope::Write),
            ("POST", "/scim/v2/Users/x.search", Scope::Write),
            ("PUT", "/scim/v2/Users/.search", Scope::Write),
            ("PATCH", "/scim/v2/Groups/1", Scope::Write),
            ("DELETE", "/scim/v2/Users/1", Scope::Write),
            ("PURGE", "/scim/v2/Users/1", Scope::Write),
        ] {
            assert_eq!(needed(&method.parse().unwrap(), path), scope, "{method} {path}");
        }
    }

    #[test]
    fn people_read_themselves_and_what_the_server_can_do() {
        for (method, path, may) in [
            ("GET", "/scim/v2/Me", true),
            ("HEAD", "/scim/v2/Me", true),
            ("GET", "/scim/v2/Schemas", true),
            ("GET", "/scim/v2/Schemas/urn:x", true),
            ("GET", "/scim/v2/ServiceProviderConfig", true),
            ("PATCH", "/scim/v2/Me", false),
            ("GET", "/scim/v2/Me/x", false),
            ("GET", "/scim/v2/Users", false),
            ("GET", "/scim/v2/Users/Me", false),
            ("POST", "/scim/v2/.search", false),
            ("GET", "/scim/v2", false),
            ("GET", "/scim/v1/Me", false),
        ] {
            assert_eq!(is_for_people(&method.parse().unwrap(), path), may, "{method} {path}");
        }
    }
}
