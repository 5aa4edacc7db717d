//! The end of a session: at the provider's word (OpenID Connect Back-Channel Logout 1.0), and at ours (RP-Initiated Logout
//! 1.0). Front-channel logout is not offered: browsers no longer send cookies into frames of other sites.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::id_token::{Members, Rules, seconds, subject};
use super::jws::Purpose;
use super::kept::Asker;
use super::party::{Opened, RelyingParty};
use super::settings::OidcSettings;
use super::words::refuse;
use crate::base::Timestamp;
use crate::sso::{Check, SsoError};

/// The event that makes a token a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A logout token older than this is refused, so that used ones need not be remembered for ever.
const OLDEST: Duration = Duration::from_mins(10);

/// A verified logout token. The caller refuses it if this connection had one with the same `jti` before
/// ([`Check::Replay`]), and otherwise ends the sessions that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The provider.
    pub issuer: String,
    /// Whose sessions end: the claim `sub`, as in [`SignedIn::sub`](super::SignedIn::sub). All of them if there is no
    /// [`session`](Self::session).
    pub sub: Option<String>,
    /// Which session ends: `sid`, as in [`Identity::session`](crate::sso::Identity::session).
    pub session: Option<String>,
    /// The token's own id.
    pub jti: String,
    /// Until when the id has to be remembered; later the token is refused as too old.
    pub remember_until: Timestamp,
}

impl RelyingParty {
    /// Checks a logout token (§2.6), the form field `logout_token` of a request to our back-channel endpoint.
    ///
    /// Anybody can send one: a key that is not known is looked up at a limited rate of its own.
    ///
    /// # Errors
    /// With the check that failed.
    pub async fn logout_notice(&self, settings: &OidcSettings, token: &str) -> Result<LogoutNotice, SsoError> {
        let known = self.known(settings).await?;
        let opened = self.open(&known, token, Purpose::Logout, Asker::Stranger).await?;
        notice(&known.rules(), &opened)
    }

    /// The address at the provider that ends the person's session there, if the provider has one. The person comes back to
    /// `back_to`, which the provider has to know.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    pub async fn logout_url(
        &self,
        settings: &OidcSettings,
        id_token: Option<&SecretString>,
        back_to: &str,
        state: &str,
    ) -> Result<Option<String>, SsoError> {
        let known = self.known(settings).await?;
        let Some(mut url) = known.metadata.end_session_endpoint.clone() else { return Ok(None) };
        let mut query = url.query_pairs_mut();
        if let Some(id_token) = id_token {
            query.append_pair("id_token_hint", id_token.expose_secret());
        }
        query
            .append_pair("client_id", &settings.client_id)
            .append_pair("post_logout_redirect_uri", back_to)
            .append_pair("state", state);
        drop(query);
        Ok(Some(url.into()))
    }
}

fn notice(rules: &Rules<'_>, opened: &Opened) -> Result<LogoutNotice, SsoError> {
    let claims = &opened.claims;
    let issuer = rules.issuer(claims, &opened.signer)?;
    rules.audience(claims)?;
    rules.times(claims, true)?;
    let skew = rules.settings.skew();
    let (Some(made_at), Some(ends)) = (seconds(claims, "iat")?, seconds(claims, "exp")?) else {
        return Err(refuse(Check::Time, "the logout token does not say when it was issued and when it expires"));
    };
    let too_old = made_at.after(OLDEST).after(skew);
    if too_old <= rules.now {
        return Err(refuse(
            Check::Time,
            format!("the logout token was issued (iat) at {made_at}, and it is {}", rules.now),
        ));
    }
    is_logout(claims)?;
    if claims.contains_key("nonce") {
        return Err(refuse(Check::Malformed, "a logout token must not have a nonce"));
    }
    let sub = claims.contains_key("sub").then(|| subject(claims)).transpose()?.map(str::to_owned);
    let session = text(claims, "sid")?;
    if sub.is_none() && session.is_none() {
        return Err(refuse(Check::Subject, "the logout token names neither a person (sub) nor a session (sid)"));
    }
    let jti = text(claims, "jti")?.ok_or_else(|| refuse(Check::Replay, "the logout token has no id (jti)"))?;
    Ok(LogoutNotice { issuer, sub, session, jti, remember_until: ends.after(skew).min(too_old) })
}

fn is_logout(claims: &Members) -> Result<(), SsoError> {
    let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(EVENT));
    match event {
        Some(Value::Object(_)) => Ok(()),
        _ => Err(refuse(Check::Malformed, "the token is no logout token: it has no event of logout (events)")),
    }
}

fn text(claims: &Members, name: &str) -> Result<Option<String>, SsoError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(value)) if !value.trim().is_empty() && value.len() <= 255 => Ok(Some(value.clone())),
        Some(_) => Err(refuse(Check::Malformed, format!("the claim {name} of the logout token is not a short text"))),
    }
}
