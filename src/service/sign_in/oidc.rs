//! Sign-in by OpenID Connect.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::base::{Causes, token_hash};
use crate::domain::Means;
use crate::sso::oidc::{Ask, Callback, Client, Flow, LogoutNotice, SignedIn};
use crate::sso::{Check, SsoError};
use crate::store::StoreError;
use crate::store::connections::Connection;
use crate::store::sessions::IdpSession;

use super::super::core::Core;
use super::super::error::ServiceError;
use super::super::sign_ins::Origin;
use super::admit::Names;
use super::flow::{Answer, Begun, Browser, Ended, Pending, Purpose};
use super::parts::{OidcPart, Part, SignOnError};
use super::saml::Beginning;

/// How old the proof of a step-up may be: `prompt=login` asks for a new one anyway.
const NOW: Duration = Duration::from_secs(30);

impl Core {
    /// Begins a sign-in; the message is the address at the provider.
    pub async fn begin_oidc(
        &self,
        name: &str,
        purpose: &Purpose,
        browser: &Browser,
        origin: &Origin,
    ) -> Result<Beginning<String>, ServiceError> {
        let (connection, part) = match self.oidc(name).await {
            Ok(found) => found,
            Err(error) => return Ok(Beginning::Not(self.cannot(error, Means::Oidc, origin).await?)),
        };
        let step_up = self.stepping_up(&connection, Means::Oidc, purpose, browser).await?;
        let ask = Ask { login_hint: purpose.login_hint.clone(), max_age: step_up.map(|_| NOW) };
        let begun = match self.ask_provider(&part, &self.redirect_uri(name), &ask).await {
            Ok(begun) => begun,
            Err(error) => {
                return Ok(Beginning::Not(self.refuse_sign_on(Some(&connection), Means::Oidc, &error, origin).await?));
            }
        };
        let id = token_hash(&begun.flow.state);
        let pending = Pending {
            to: purpose.to.as_str().to_owned(),
            step_up,
            session: browser.session_hash(),
            begun_at: begun.flow.begun_at,
            oidc: Some(begun.flow),
        };
        let secret = self.remember_flow(&connection, id, &pending, browser).await?;
        Ok(Beginning::Begun(Begun { message: begun.url, secret }))
    }

    async fn ask_provider(
        &self,
        part: &OidcPart,
        redirect_uri: &str,
        ask: &Ask,
    ) -> Result<crate::sso::oidc::Begun, SsoError> {
        let credential = part.credential()?;
        let client = Client { settings: &part.settings, credential: &credential };
        self.sign_on_ports()?.relying_party.begin(client, redirect_uri, ask).await
    }

    /// Ends a sign-in with what the browser brought: the query of the request to our redirect URI.
    pub async fn complete_oidc(
        &self,
        name: &str,
        query: &str,
        browser: &Browser,
        origin: &Origin,
    ) -> Result<Ended, ServiceError> {
        let (connection, part) = match self.oidc(name).await {
            Ok(found) => found,
            Err(error) => return self.cannot(error, Means::Oidc, origin).await,
        };
        match self.answer_of_oidc(&connection, &part, query, browser).await? {
            Ok(answer) => self.finish(&connection, Means::Oidc, answer, browser, origin).await,
            Err(error) => self.refuse_sign_on(Some(&connection), Means::Oidc, &error, origin).await,
        }
    }

    async fn answer_of_oidc(
        &self,
        connection: &Connection,
        part: &OidcPart,
        query: &str,
        browser: &Browser,
    ) -> Result<Result<Answer, SsoError>, ServiceError> {
        let callback = match Callback::read(query) {
            Ok(callback) => callback,
            Err(error) => return Ok(Err(error)),
        };
        let pending = match callback.state() {
            Some(state) => self.take_flow(connection, &token_hash(state), browser).await?,
            None => None,
        };
        let Some((pending, flow)) = pending.and_then(|it| it.oidc.clone().map(|flow| (it, flow))) else {
            let text = "the answer's state is not that of a sign-in which this browser began lately";
            return Ok(Err(SsoError::new(Check::Request, text)));
        };
        let SignedIn { identity, sub, id_token } = match self.redeem(part, &callback, &flow).await {
            Ok(signed_in) => signed_in,
            Err(error) => return Ok(Err(error)),
        };
        let verified = identity.email.as_ref().filter(|email| email.verified);
        let names = Names { protocol: verified.map(|email| email.address.clone()), opaque: false };
        let idp = IdpSession {
            subject: Some(sub),
            session: identity.session.clone(),
            logout: Some(self.seal_hint(connection, &id_token)?),
        };
        Ok(Ok(Answer { identity, names, idp, pending: Some(pending), relay: None }))
    }

    async fn redeem(&self, part: &OidcPart, callback: &Callback, flow: &Flow) -> Result<SignedIn, SsoError> {
        let credential = part.credential()?;
        let client = Client { settings: &part.settings, credential: &credential };
        self.sign_on_ports()?.relying_party.complete(client, callback, flow).await
    }

    async fn read_notice(&self, part: &OidcPart, token: &str) -> Result<LogoutNotice, SsoError> {
        self.sign_on_ports()?.relying_party.logout_notice(&part.settings, token).await
    }

    /// Ends the sessions that a logout token names (OpenID Connect Back-Channel Logout 1.0); says how many.
    ///
    /// # Errors
    /// Inside: why the token is refused.
    pub async fn back_channel_logout(
        &self,
        name: &str,
        token: &str,
        origin: &Origin,
    ) -> Result<Result<usize, SsoError>, ServiceError> {
        let (connection, part) = match self.oidc(name).await {
            Ok(found) => found,
            Err(SignOnError::Failed(error)) => return Err(error),
            Err(_) => return Ok(Err(SsoError::new(Check::Configuration, "there is no such connection"))),
        };
        let notice = match self.read_notice(&part, token).await {
            Ok(notice) => notice,
            Err(error) => {
                self.refuse_sign_on(Some(&connection), Means::Oidc, &error, origin).await?;
                return Ok(Err(error));
            }
        };
        let message = (format!("jti:{}", notice.jti), notice.remember_until);
        let ended = self.end_once(&connection, message, notice.sub.as_deref(), vec![notice.session]).await?;
        let Some(ended) = ended else {
            let error = SsoError::new(Check::Replay, "the logout token was used before");
            self.refuse_sign_on(Some(&connection), Means::Oidc, &error, origin).await?;
            return Ok(Err(error));
        };
        Ok(Ok(ended))
    }

    /// Where the person's session at the provider ends, if the provider has such a place.
    pub async fn oidc_logout_url(&self, name: &str, hint: Option<&str>, back_to: &str) -> Option<String> {
        let (connection, part) = self.oidc(name).await.ok()?;
        let token = hint.and_then(|hint| self.keyring.open(&place(&connection), hint).ok());
        let token = token.map(|token| SecretString::from(token.as_str()));
        let ports = self.sign_on_ports().ok()?;
        match ports.relying_party.logout_url(&part.settings, token.as_ref(), back_to, "").await {
            Ok(url) => url,
            Err(error) => {
                // The session here has ended, whatever becomes of the one there.
                tracing::warn!(connection = name, error = %Causes(&error), "the provider cannot be told of a sign-out");
                None
            }
        }
    }

    fn seal_hint(&self, connection: &Connection, id_token: &SecretString) -> Result<String, ServiceError> {
        let sealed = self.keyring.seal(&self.ambient, &place(connection), id_token.expose_secret());
        Ok(sealed.map_err(|error| StoreError::Damaged { table: "session", what: error.to_string() })?)
    }

    async fn oidc(&self, name: &str) -> Result<(Connection, Arc<OidcPart>), SignOnError> {
        match self.sign_on(name, Means::Oidc).await? {
            (connection, Part::Oidc(part)) => Ok((connection, part)),
            _ => Err(SignOnError::Unknown),
        }
    }
}

fn place(connection: &Connection) -> String {
    format!("session/logout/{}", connection.id)
}
