//! The userinfo endpoint (OpenID Connect Core 1.0 §5.3).

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::id_token::{Members, subject};
use super::json;
use super::jws::Purpose;
use super::kept::Asker;
use super::party::{Known, RelyingParty};
use super::provider::no_answer;
use super::words::{refuse, shown};
use crate::net::Request;
use crate::sso::{Check, SsoError};

/// Asks for the claims of the person whose ID token was verified. An answer about somebody else is refused (§5.3.2).
pub(super) async fn ask(
    party: &RelyingParty,
    known: &Known<'_>,
    endpoint: &Url,
    access_token: &SecretString,
    token: &Members,
) -> Result<Members, SsoError> {
    let address = shown(endpoint.as_str());
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access_token.expose_secret()))
        .map_err(|_| refuse(Check::Malformed, "the access token holds characters that no header can"))?;
    bearer.set_sensitive(true);
    let request = Request::to_identity_provider(Method::GET, endpoint.clone(), party.fetcher.destination)
        .header(AUTHORIZATION, bearer)
        .header(ACCEPT, HeaderValue::from_static("application/json, application/jwt"));
    let answer = party.fetcher.http.send(request).await.map_err(|error| no_answer("userinfo", &address, &error))?;
    if answer.status != 200 {
        let detail = format!(
            "the ID token lacks the address or the groups, and the provider's userinfo at {address} was answered with \
             status {}: let the provider put these claims into the ID token, or set no claim for groups",
            answer.status
        );
        return Err(refuse(Check::Unreachable, detail));
    }
    let kind = answer.header(&CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let claims = if kind == "application/jwt" {
        let text = std::str::from_utf8(&answer.body)
            .map_err(|_| refuse(Check::Malformed, "the signed userinfo answer is not text"))?;
        let opened = party.open(known, text.trim(), Purpose::UserInfo, Asker::SignIn).await?;
        let rules = known.rules();
        // A signed answer should say who made it and for whom (§5.3.2); the provider itself gave it in any case.
        if opened.claims.contains_key("iss") {
            rules.issuer(&opened.claims, &opened.signer)?;
        }
        if opened.claims.contains_key("aud") {
            rules.audience(&opened.claims)?;
        }
        opened.claims
    } else {
        json::object(&answer.body)
            .map_err(|error| refuse(Check::Malformed, format!("the userinfo answer cannot be read: {error}")))?
    };
    let (found, expected) = (subject(&claims)?, subject(token)?);
    if found != expected {
        let detail = format!("userinfo is about {}, and the ID token about {}", shown(found), shown(expected));
        return Err(refuse(Check::Subject, detail));
    }
    Ok(claims)
}
