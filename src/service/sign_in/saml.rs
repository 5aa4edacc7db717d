//! Sign-in by SAML 2.0.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Timestamp;
use crate::domain::Means;
use crate::sso::saml::{Ask, Expected, Outgoing, Verified, authn_request, service_metadata, verify_response};
use crate::sso::{Check, Identity, SsoError};
use crate::store::StoreError;
use crate::store::connections::Connection;
use crate::store::sessions::IdpSession;

use super::super::core::Core;
use super::super::error::ServiceError;
use super::super::sign_ins::Origin;
use super::admit::Names;
use super::flow::{Answer, Begun, Browser, Ended, Pending, Purpose};
use super::parts::{Part, SamlPart, SignOnError};

/// A `NameID` that is another one each time.
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
/// A `NameID` that stays, and need not tell people anything.
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

/// How a sign-in begins.
#[derive(Debug)]
pub enum Beginning<T> {
    /// Send this.
    Begun(Begun<T>),
    /// It cannot: see [`Ended`].
    Not(Ended),
}

impl Core {
    /// Our metadata for a connection; none: it has no SAML.
    pub async fn saml_metadata(&self, name: &str) -> Result<Option<String>, ServiceError> {
        let part = match self.sign_on(name, Means::Saml).await {
            Ok((_, Part::Saml(part))) => part,
            // What a disabled connection publishes is no secret, and the identity provider may read it again and again.
            Err(SignOnError::Refused(connection, _)) => match self.part(connection.id, Means::Saml).await? {
                Some(Part::Saml(part)) => part,
                _ => return Ok(None),
            },
            Ok(_) | Err(SignOnError::Unknown) => return Ok(None),
            Err(SignOnError::Failed(error)) => return Err(error),
        };
        Ok(Some(service_metadata(&self.saml_service(name), &part.keys, &part.options)))
    }

    /// Begins a sign-in.
    pub async fn begin_saml(
        &self,
        name: &str,
        purpose: &Purpose,
        browser: &Browser,
        origin: &Origin,
    ) -> Result<Beginning<Outgoing>, ServiceError> {
        let (connection, part) = match self.saml(name).await {
            Ok(found) => found,
            Err(error) => return Ok(Beginning::Not(self.cannot(error, Means::Saml, origin).await?)),
        };
        let step_up = self.stepping_up(&connection, Means::Saml, purpose, browser).await?;
        let service = self.saml_service(name);
        let ambient = self.ambient.clone();
        let sent = blocking(move || {
            let ask = Ask { force_authn: step_up.is_some(), relay_state: None };
            authn_request(&service, &part.idp, &part.options, &part.keys, &ask, &ambient)
        })
        .await?;
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                return Ok(Beginning::Not(self.refuse_sign_on(Some(&connection), Means::Saml, &error, origin).await?));
            }
        };
        let pending = Pending {
            to: purpose.to.as_str().to_owned(),
            step_up,
            session: browser.session_hash(),
            begun_at: sent.sent_at,
            oidc: None,
        };
        let secret = self.remember_flow(&connection, sent.id, &pending, browser).await?;
        Ok(Beginning::Begun(Begun { message: sent.message, secret }))
    }

    /// Ends a sign-in with what the browser posted.
    pub async fn complete_saml(
        &self,
        name: &str,
        response: String,
        relay: Option<String>,
        browser: &Browser,
        origin: &Origin,
    ) -> Result<Ended, ServiceError> {
        let (connection, part) = match self.saml(name).await {
            Ok(found) => found,
            Err(error) => return self.cannot(error, Means::Saml, origin).await,
        };
        match self.answer_of_saml(name, &connection, part, response, relay, browser).await? {
            Ok(answer) => self.finish(&connection, Means::Saml, answer, browser, origin).await,
            Err(error) => self.refuse_sign_on(Some(&connection), Means::Saml, &error, origin).await,
        }
    }

    async fn answer_of_saml(
        &self,
        name: &str,
        connection: &Connection,
        part: Arc<SamlPart>,
        response: String,
        relay: Option<String>,
        browser: &Browser,
    ) -> Result<Result<Answer, SsoError>, ServiceError> {
        let outstanding = self.open_flows(connection, browser).await?;
        let judged = Judged { service: self.saml_service(name), part: Arc::clone(&part), response, outstanding };
        let now = self.ambient.now();
        let judging = Arc::new(judged);
        let first = Arc::clone(&judging);
        let verified = match blocking(move || first.judge(None, now)).await? {
            Ok(verified) => verified,
            Err(error) => return Ok(Err(error)),
        };
        let mut pending = None;
        if let Some(id) = &verified.in_response_to {
            pending = self.take_flow(connection, id, browser).await?;
            if pending.is_none() {
                return Ok(Err(SsoError::new(Check::Request, "the request that it answers was answered before")));
            }
        }
        if let Some(since) = pending.as_ref().and_then(|it| it.step_up.map(|_| it.begun_at)) {
            // The sign-in has to be newer than the request, which is known only now.
            let again = Arc::clone(&judging);
            if let Err(error) = blocking(move || again.judge(Some(since), now)).await? {
                return Ok(Err(error));
            }
        }
        let until = verified.expires_at.after(Duration::from_mins(5));
        if !self.use_once(connection, &verified.assertion_id, until).await? {
            return Ok(Err(SsoError::new(Check::Replay, "the assertion was used before")));
        }
        let Verified { identity, .. } = verified;
        Ok(Ok(Answer { names: names(&identity), idp: idp_session(&identity), identity, pending, relay }))
    }

    pub(super) async fn saml(&self, name: &str) -> Result<(Connection, Arc<SamlPart>), SignOnError> {
        match self.sign_on(name, Means::Saml).await? {
            (connection, Part::Saml(part)) => Ok((connection, part)),
            _ => Err(SignOnError::Unknown),
        }
    }
}

/// A response with what it is judged by.
struct Judged {
    service: crate::sso::saml::Service,
    part: Arc<SamlPart>,
    response: String,
    outstanding: Vec<String>,
}

impl Judged {
    fn judge(&self, fresh_since: Option<Timestamp>, now: Timestamp) -> Result<Verified, SsoError> {
        let expected = Expected {
            service: &self.service,
            idp: &self.part.idp,
            options: &self.part.options,
            keys: &self.part.keys,
            outstanding: &self.outstanding,
            fresh_since,
        };
        verify_response(&self.response, &expected, now)
    }
}

/// Runs what takes milliseconds of a processor where nobody waits for it.
pub(in crate::service) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(job).await.map_err(|error| {
        StoreError::Damaged { table: "sign_in_flow", what: format!("a sign-in broke off: {error}") }.into()
    })
}

fn names(identity: &Identity) -> Names {
    let Some(name) = &identity.name_id else { return Names::default() };
    let format = name.format.as_deref().unwrap_or_default();
    if format == TRANSIENT {
        return Names::default();
    }
    Names { protocol: Some(name.value.clone()), opaque: format == PERSISTENT && !name.value.contains('@') }
}

fn idp_session(identity: &Identity) -> IdpSession {
    let name = identity.name_id.as_ref();
    IdpSession {
        subject: name.map(|name| name.value.clone()),
        session: identity.session.clone(),
        logout: name.and_then(|name| serde_json::to_string(name).ok()),
    }
}
