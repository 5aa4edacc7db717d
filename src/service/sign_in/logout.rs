//! Signing out, here and at the identity provider.

use std::sync::Arc;

use crate::base::Causes;
use crate::domain::Means;
use crate::sso::saml::{Binding, Incoming, Logout, LogoutAsked, LogoutDone, Outgoing, Service};
use crate::sso::{Check, NameId, SsoError};
use crate::store::connections::Connection;
use crate::store::sso;

use super::super::core::Core;
use super::super::error::ServiceError;
use super::super::sessions::Leaving;
use super::super::sign_ins::{Attempt, Origin, Outcome};
use super::flow::{Browser, Pending};
use super::parts::{Part, SamlPart, SignOnError};
use super::saml::blocking;

/// A message of single logout as the browser brought it.
#[derive(Clone, Debug)]
pub enum LogoutMessage {
    /// The query of a redirect, as it came.
    Query(String),
    /// The fields of a form.
    Form {
        /// `SAMLRequest` or `SAMLResponse`.
        message: String,
        /// `RelayState`.
        relay_state: Option<String>,
    },
}

impl LogoutMessage {
    pub(in crate::service) fn incoming(&self) -> Incoming<'_> {
        match self {
            Self::Query(query) => Incoming::Query(query),
            Self::Form { message, relay_state } => Incoming::Form { message, relay_state: relay_state.as_deref() },
        }
    }

    const fn binding(&self) -> Binding {
        match self {
            Self::Query(_) => Binding::Redirect,
            Self::Form { .. } => Binding::Post,
        }
    }
}

/// Where a person who signs out goes on.
#[derive(Debug)]
pub enum Onward {
    /// Nowhere: the identity provider is not told.
    Here,
    /// To the identity provider, with this.
    To {
        /// What to send the browser.
        message: Outgoing,
        /// The secret of the browser, to be kept by it.
        secret: Option<String>,
    },
}

/// What came of a message of single logout.
#[derive(Debug)]
pub enum LoggedOut {
    /// Sessions were ended; this is the answer.
    Answer(Outgoing),
    /// The answer to our own request came: the person is signed out.
    Done,
    /// The message is refused, and nothing ended.
    Refused,
    /// There is no such connection.
    Unknown,
}

/// Our side and the other of one connection, owned.
#[derive(Clone)]
struct Sides {
    service: Service,
    part: Arc<SamlPart>,
}

impl Sides {
    fn logout(&self) -> Logout<'_> {
        let SamlPart { idp, options, keys, .. } = &*self.part;
        Logout { service: &self.service, idp, options, keys }
    }
}

impl Core {
    /// Where somebody who signed out here goes to end the session at the identity provider, too. That it cannot be told is
    /// logged: the session here has ended.
    pub async fn sign_out_onward(&self, leaving: &Leaving, browser: &Browser) -> Result<Onward, ServiceError> {
        let Some(id) = leaving.session.connection else { return Ok(Onward::Here) };
        let Some(connection) = sso::connection(self.store.read(), id).await?.filter(|it| it.enabled) else {
            return Ok(Onward::Here);
        };
        match leaving.session.means {
            Means::Saml => self.tell_saml(&connection, leaving, browser).await,
            Means::Oidc => {
                let back_to = format!("{}/signed-out", self.public_url());
                let hint = leaving.idp.logout.as_deref();
                let url = self.oidc_logout_url(connection.name.as_str(), hint, &back_to).await;
                Ok(url.map_or(Onward::Here, |url| Onward::To { message: Outgoing::Redirect(url), secret: None }))
            }
            Means::Password => Ok(Onward::Here),
        }
    }

    async fn tell_saml(
        &self,
        connection: &Connection,
        leaving: &Leaving,
        browser: &Browser,
    ) -> Result<Onward, ServiceError> {
        let Some(Part::Saml(part)) = self.part(connection.id, Means::Saml).await? else { return Ok(Onward::Here) };
        let name = leaving.idp.logout.as_deref().and_then(|text| serde_json::from_str::<NameId>(text).ok());
        let sides = Sides { service: self.saml_service(connection.name.as_str()), part };
        let Some(name) = name.filter(|_| sides.logout().is_possible()) else { return Ok(Onward::Here) };
        let (session, ambient) = (leaving.idp.session.clone(), self.ambient.clone());
        let sent = blocking(move || sides.logout().ask(&name, session.as_deref(), None, &ambient)).await?;
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                tracing::warn!(connection = %connection.name, error = %Causes(&error), "the identity provider cannot be told of a sign-out");
                return Ok(Onward::Here);
            }
        };
        let pending =
            Pending { to: "/signed-out".to_owned(), step_up: None, session: None, begun_at: sent.sent_at, oidc: None };
        let secret = self.remember_flow(connection, sent.id, &pending, browser).await?;
        Ok(Onward::To { message: sent.message, secret: Some(secret) })
    }

    /// A request of the identity provider to end sessions.
    pub async fn saml_logout_request(
        &self,
        name: &str,
        message: LogoutMessage,
        origin: &Origin,
    ) -> Result<LoggedOut, ServiceError> {
        let Some((connection, sides)) = self.sides(name).await? else { return Ok(LoggedOut::Unknown) };
        let (now, binding, reader) = (self.ambient.now(), message.binding(), sides.clone());
        let read = blocking(move || reader.logout().read_request(&message.incoming(), now)).await?;
        let asked = match read {
            Ok(asked) => asked,
            Err(error) => return self.refuse_logout(&connection, &error, origin).await,
        };
        let message = (format!("logout:{}", asked.id), asked.expires_at);
        let named = match &asked.sessions[..] {
            [] => vec![None],
            sessions => sessions.iter().cloned().map(Some).collect(),
        };
        let Some(ended) = self.end_once(&connection, message, Some(&asked.name_id.value), named).await? else {
            let error = SsoError::new(Check::Replay, "the logout was asked for before");
            return self.refuse_logout(&connection, &error, origin).await;
        };
        self.record_logout(&connection, &asked, ended, origin).await?;
        let ambient = self.ambient.clone();
        match blocking(move || sides.logout().answer(&asked, true, binding, &ambient)).await? {
            Ok(answer) => Ok(LoggedOut::Answer(answer)),
            Err(error) => {
                tracing::warn!(connection = name, error = %Causes(&error), "a logout was carried out and cannot be answered");
                Ok(LoggedOut::Done)
            }
        }
    }

    async fn record_logout(
        &self,
        connection: &Connection,
        asked: &LogoutAsked,
        ended: usize,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        let attempt = Attempt {
            account: Some(connection.account),
            connection: Some(connection.id),
            who: Some(asked.name_id.value.clone()),
            ..Attempt::new(Means::Saml.as_str(), Outcome::SignedOut)
        };
        tracing::info!(connection = %connection.name, sessions = ended, "the identity provider signed somebody out");
        self.record_sign_in(attempt, origin).await
    }

    /// The identity provider's answer to a logout of ours. The session here has ended before.
    pub async fn saml_logout_response(
        &self,
        name: &str,
        message: LogoutMessage,
        browser: &Browser,
        origin: &Origin,
    ) -> Result<LoggedOut, ServiceError> {
        let Some((connection, sides)) = self.sides(name).await? else { return Ok(LoggedOut::Unknown) };
        let open = self.open_flows(&connection, browser).await?;
        let now = self.ambient.now();
        let read = blocking(move || sides.logout().read_response(&message.incoming(), &open, now)).await?;
        let LogoutDone { in_response_to, failure, .. } = match read {
            Ok(done) => done,
            Err(error) => return self.refuse_logout(&connection, &error, origin).await,
        };
        self.take_flow(&connection, &in_response_to, browser).await?;
        if let Some(failure) = failure {
            tracing::warn!(connection = name, failure, "the identity provider could not end everything");
        }
        Ok(LoggedOut::Done)
    }

    async fn refuse_logout(
        &self,
        connection: &Connection,
        error: &SsoError,
        origin: &Origin,
    ) -> Result<LoggedOut, ServiceError> {
        self.refuse_sign_on(Some(connection), Means::Saml, error, origin).await?;
        Ok(LoggedOut::Refused)
    }

    async fn sides(&self, name: &str) -> Result<Option<(Connection, Sides)>, ServiceError> {
        match self.saml(name).await {
            Ok((connection, part)) => Ok(Some((connection, Sides { service: self.saml_service(name), part }))),
            Err(SignOnError::Failed(error)) => Err(error),
            Err(SignOnError::Unknown | SignOnError::Refused(..)) => Ok(None),
        }
    }
}
