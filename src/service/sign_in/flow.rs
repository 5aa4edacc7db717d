//! A sign-in from its beginning to its end, for both protocols.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{Causes, SecretToken, Timestamp, UserId, token_hash};
use crate::domain::session::FRESH;
use crate::domain::{Destination, Means};
use crate::sso::{Check, Identity, SsoError, oidc};
use crate::store::connections::Connection;
use crate::store::flows::{self, Flow};
use crate::store::sessions::{self, IdpSession};
use crate::store::{StoreError, sso_links};

use super::super::core::Core;
use super::super::error::ServiceError;
use super::super::sessions::{NewSession, Opened};
use super::super::sign_ins::{Attempt, Origin, Outcome};
use super::admit::{Admission, Names, NoAccess};
use super::parts::SignOnError;

/// How long somebody may take at the identity provider.
const PATIENCE: Duration = Duration::from_mins(10);
/// What the secrets of browsers begin with.
const PREFIX: &str = "rcb_";
/// Longer than any secret of a browser.
const LONGEST: usize = 100;

/// What a browser brings along.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// The secret by which it is recognised when it comes back.
    pub secret: Option<String>,
    /// The secret of its session.
    pub session: Option<String>,
}

impl Browser {
    /// The hash of the session's secret.
    pub(super) fn session_hash(&self) -> Option<String> {
        self.session.as_deref().map(token_hash)
    }

    fn hash(&self) -> Option<String> {
        self.secret.as_deref().filter(|secret| is_plausible(secret)).map(token_hash)
    }
}

/// When somebody proved who they are of whom the identity provider does not say when: not lately.
fn long_ago(now: Timestamp) -> Timestamp {
    now.before(FRESH)
}

fn is_plausible(secret: &str) -> bool {
    secret.starts_with(PREFIX) && secret.len() <= LONGEST
}

/// Why somebody signs in.
#[derive(Clone, Debug, Default)]
pub struct Purpose {
    /// Where to go afterwards.
    pub to: Destination,
    /// The person has to prove anew who they are.
    pub step_up: bool,
    /// Who is expected, as far as it is known.
    pub login_hint: Option<String>,
}

/// A sign-in that begins.
#[derive(Debug)]
pub struct Begun<T> {
    /// What to send the browser.
    pub message: T,
    /// The secret of the browser, to be kept by it.
    pub secret: String,
}

/// What is remembered of a sign-in that began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Where to go afterwards.
    pub(super) to: String,
    /// Who has to prove anew who they are.
    pub(super) step_up: Option<UserId>,
    /// The hash of the session that the browser had: it does not show it when the answer comes from another site.
    pub(super) session: Option<String>,
    /// When it began.
    pub(super) begun_at: Timestamp,
    /// What OpenID Connect compares with.
    pub(super) oidc: Option<oidc::Flow>,
}

/// How a sign-in ended.
#[derive(Debug)]
pub enum Ended {
    /// The person is in; the browser gets the session's secret.
    SignedIn {
        /// The session.
        opened: Opened,
        /// Where to go.
        to: Destination,
    },
    /// The person is who they say, and has no access.
    NoAccess(NoAccess),
    /// It was refused; the log says why.
    Refused,
    /// There is no such connection.
    Unknown,
}

/// A verified answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) identity: Identity,
    pub(super) names: Names,
    pub(super) idp: IdpSession,
    pub(super) pending: Option<Pending>,
    /// Where the identity provider wants people to go, if it began.
    pub(super) relay: Option<String>,
}

impl Core {
    /// Notes a sign-in that begins, under the name that its answer will have.
    pub(super) async fn remember_flow(
        &self,
        connection: &Connection,
        id: String,
        pending: &Pending,
        browser: &Browser,
    ) -> Result<String, ServiceError> {
        let secret = match &browser.secret {
            Some(secret) if is_plausible(secret) => secret.clone(),
            _ => SecretToken::generate(&self.ambient, PREFIX).expose().to_owned(),
        };
        let damaged = |what: String| StoreError::Damaged { table: "sign_in_flow", what };
        let text = serde_json::to_string(pending).map_err(|error| damaged(error.to_string()))?;
        let sealed = self
            .keyring
            .seal(&self.ambient, &format!("sign_in_flow/sealed/{id}"), &text)
            .map_err(|error| damaged(error.to_string()))?;
        let flow = Flow {
            id,
            connection: connection.id,
            browser: token_hash(&secret),
            sealed,
            expires_at: pending.begun_at.after(PATIENCE),
        };
        self.keep_change(move |change| {
            change.insert_flow(&flow);
            Ok(())
        })
        .await?;
        Ok(secret)
    }

    /// Takes a sign-in that this browser began; none: it did not, or it is too late, or it was answered before.
    pub(super) async fn take_flow(
        &self,
        connection: &Connection,
        id: &str,
        browser: &Browser,
    ) -> Result<Option<Pending>, ServiceError> {
        let Some(hash) = browser.hash() else { return Ok(None) };
        let (id, connection, now) = (id.to_owned(), connection.id, self.ambient.now());
        let taken: Option<Flow> = self
            .store
            .keep(move |tx| {
                let (id, hash) = (id.clone(), hash.clone());
                Box::pin(async move { flows::take(tx, &id, connection, &hash, now).await })
            })
            .await
            .map_err(|error: StoreError| ServiceError::from(error))?;
        let Some(flow) = taken else { return Ok(None) };
        let damaged = |what: String| StoreError::Damaged { table: "sign_in_flow", what };
        let text = self
            .keyring
            .open(&format!("sign_in_flow/sealed/{}", flow.id), &flow.sealed)
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Some(serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?))
    }

    /// The sign-ins that this browser began by the connection and that wait for their answers.
    pub(super) async fn open_flows(
        &self,
        connection: &Connection,
        browser: &Browser,
    ) -> Result<Vec<String>, ServiceError> {
        let Some(hash) = browser.hash() else { return Ok(Vec::new()) };
        Ok(flows::open_of(self.store.read(), connection.id, &hash, self.ambient.now(), 20).await?)
    }

    /// Uses up what may be used once; whether it was the first time, on any copy.
    pub(super) async fn use_once(
        &self,
        connection: &Connection,
        id: &str,
        until: Timestamp,
    ) -> Result<bool, ServiceError> {
        let (id, connection) = (id.to_owned(), connection.id);
        let first: Result<bool, StoreError> = self
            .store
            .keep(move |tx| {
                let id = id.clone();
                Box::pin(async move { flows::use_once(tx, connection, &id, until).await })
            })
            .await;
        Ok(first?)
    }

    /// Ends sessions that the identity provider means, and uses up its message, together: what could not be carried out may be
    /// sent again. Says how many ended; none: the message was used before.
    pub(super) async fn end_once(
        &self,
        connection: &Connection,
        message: (String, Timestamp),
        subject: Option<&str>,
        named: Vec<Option<String>>,
    ) -> Result<Option<usize>, ServiceError> {
        let (connection, now) = (connection.id, self.ambient.now());
        let job = std::sync::Arc::new((message, subject.map(str::to_owned), named));
        let ended: Result<Option<usize>, StoreError> = self
            .store
            .keep(move |tx| {
                let job = std::sync::Arc::clone(&job);
                Box::pin(async move {
                    let ((id, until), subject, named) = &*job;
                    if !flows::use_once(tx, connection, id, *until).await? {
                        return Ok(None);
                    }
                    let mut ended = 0;
                    for session in named {
                        let subject = subject.as_deref();
                        ended += sessions::end_by_idp(tx, connection, subject, session.as_deref(), now).await?.len();
                    }
                    Ok(Some(ended))
                })
            })
            .await;
        Ok(ended?)
    }

    /// Who has to prove anew who they are.
    pub(super) async fn stepping_up(
        &self,
        connection: &Connection,
        means: Means,
        purpose: &Purpose,
        browser: &Browser,
    ) -> Result<Option<UserId>, ServiceError> {
        if !purpose.step_up {
            return Ok(None);
        }
        let Some(secret) = &browser.session else { return Ok(None) };
        let Some(principal) = self.signed_in(secret).await? else { return Ok(None) };
        let same = principal.session().is_some_and(|it| it.means == means && it.connection == Some(connection.id));
        Ok(principal.person.filter(|_| same).map(|person| person.user))
    }

    /// Turns a verified answer into a session, and records what came of it.
    pub(super) async fn finish(
        &self,
        connection: &Connection,
        means: Means,
        answer: Answer,
        browser: &Browser,
        origin: &Origin,
    ) -> Result<Ended, ServiceError> {
        let Answer { identity, names, idp, pending, relay } = answer;
        let attempt = |outcome, user| Attempt {
            account: Some(connection.account),
            connection: Some(connection.id),
            user,
            who: Some(identity.subject.clone()),
            ..Attempt::new(means.as_str(), outcome).with_claims(&identity.claims)
        };
        let now = self.ambient.now();
        if identity.session_ends_at.is_some_and(|end| end <= now) {
            let error = SsoError::new(Check::Time, "the session at the identity provider has ended");
            return self.refuse_sign_on(Some(connection), means, &error, origin).await;
        }
        if let Some(expected) = pending.as_ref().and_then(|pending| pending.step_up) {
            // Before anything is written: who steps up is linked already.
            let linked =
                sso_links::user_of(self.store.read(), connection.id, &identity.issuer, &identity.subject).await?;
            if linked != Some(expected) {
                let error = SsoError::new(Check::Subject, "another person answered than the one who was asked");
                return self.refuse_sign_on(Some(connection), means, &error, origin).await;
            }
        }
        let admission = self.admit_identity(connection, &identity, &names, &origin.reference).await?;
        let user = match admission {
            Admission::Admitted { user, .. } => user,
            Admission::NoAccess { user, kind, why } => {
                self.record_sign_in(attempt(Outcome::NoAccess, user).refused("access", &why), origin).await?;
                return Ok(Ended::NoAccess(kind));
            }
        };
        let to = match &pending {
            Some(pending) => Destination::read_or_home(Some(&pending.to)),
            None => Destination::read_or_home(relay.as_deref()),
        };
        let stepped_up = pending.as_ref().and_then(|pending| pending.step_up);
        if stepped_up.is_some_and(|expected| expected != user) {
            let error = SsoError::new(Check::Subject, "another person answered than the one who was asked");
            return self.refuse_sign_on(Some(connection), means, &error, origin).await;
        }
        let session = NewSession {
            account: connection.account,
            user,
            connection: Some(connection.id),
            means,
            idp,
            ends_at: identity.session_ends_at,
            authenticated_at: identity.authenticated_at.or_else(|| stepped_up.is_none().then(|| long_ago(now))),
            replaces: pending.and_then(|pending| pending.session),
        };
        let outcome = if stepped_up.is_some() { Outcome::SteppedUp } else { Outcome::SignedIn };
        let attempt = attempt(outcome, Some(user));
        let opened = self.open_session(session, browser.session.as_deref(), origin, attempt).await?;
        Ok(Ended::SignedIn { opened, to })
    }

    /// Records a refusal.
    pub(super) async fn refuse_sign_on(
        &self,
        connection: Option<&Connection>,
        means: Means,
        error: &SsoError,
        origin: &Origin,
    ) -> Result<Ended, ServiceError> {
        let name = connection.map_or("-", |connection| connection.name.as_str());
        tracing::info!(
            connection = name, means = %means, check = %error.check, reference = %origin.reference, error = %Causes(error),
            "a sign-in was refused"
        );
        let attempt = Attempt {
            account: connection.map(|connection| connection.account),
            connection: connection.map(|connection| connection.id),
            ..Attempt::new(means.as_str(), Outcome::Refused).refused_by(error)
        };
        self.record_sign_in(attempt, origin).await?;
        Ok(Ended::Refused)
    }

    /// What a connection that cannot be signed in by is answered with.
    pub(super) async fn cannot(
        &self,
        error: SignOnError,
        means: Means,
        origin: &Origin,
    ) -> Result<Ended, ServiceError> {
        match error {
            SignOnError::Unknown => Ok(Ended::Unknown),
            SignOnError::Refused(connection, error) => {
                self.refuse_sign_on(Some(&connection), means, &error, origin).await
            }
            SignOnError::Failed(error) => Err(error),
        }
    }

    /// Deletes sign-ins that nobody finished, and what need not be remembered any longer; says how many.
    pub async fn sweep_flows(&self) -> Result<u64, ServiceError> {
        const AT_ONCE: u64 = 500;
        let (now, mut swept) = (self.ambient.now(), 0);
        loop {
            let some: Result<u64, StoreError> =
                self.store.keep(move |tx| Box::pin(flows::sweep(tx, now, AT_ONCE))).await;
            let some = some?;
            swept += some;
            if some < AT_ONCE {
                return Ok(swept);
            }
        }
    }
}
