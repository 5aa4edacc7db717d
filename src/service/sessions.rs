//! Sessions: begun at sign-in, looked up with each request, renewed at step-up, ended.

use std::time::Duration;

use serde_json::json;

use crate::access::ConnectionGrants;
use crate::base::{AccountId, Causes, ConnectionId, SecretToken, SessionId, Timestamp, UserId, token_hash};
use crate::domain::{Means, Role, SessionLimits, SessionTimes};
use crate::store::accounts::{self, Account};
use crate::store::audit::AuditEvent;
use crate::store::sessions::{self, Standing};
pub use crate::store::sessions::{IdpSession, SignedIn};
use crate::store::{StoreError, connections, users};

use super::cache::load_rules;
use super::core::Core;
use super::entitle::{Entitled, SaidBefore, by_rules};
use super::error::ServiceError;
use super::principal::{By, Known, Principal, SessionFacts};
use super::sign_ins::{Attempt, Origin, Outcome};

/// What the secrets of sessions begin with, so that they are recognised when they leak.
pub const PREFIX: &str = "rco_";
/// Longer than any secret that we make.
const LONGEST: usize = 200;
/// The last request is noted this often at most.
const TOUCH_EVERY: Duration = Duration::from_mins(1);
/// Sessions that are deleted in one transaction.
const SWEPT: u32 = 500;
/// How long ended sessions are kept.
const KEPT: Duration = Duration::from_hours(24);
/// The most sessions of a person that are listed.
const LISTED: u64 = 200;

/// Somebody whose identity was proved and who has access.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The account.
    pub account: AccountId,
    /// The person, who belongs to that account and connection.
    pub user: UserId,
    /// The connection of the sign-in; none: a local account.
    pub connection: Option<ConnectionId>,
    /// By what.
    pub means: Means,
    /// What the identity provider knows the session by.
    pub idp: IdpSession,
    /// The end that the identity provider sets.
    pub ends_at: Option<Timestamp>,
    /// The hash of the secret of the session whose place it takes: browsers keep that to themselves when another site sends
    /// them.
    pub replaces: Option<String>,
    /// When the person proved who they are, if the identity provider says so; none: now.
    pub authenticated_at: Option<Timestamp>,
}

/// What the browser is given.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub id: SessionId,
    /// The value of its cookie, shown here only.
    pub secret: SecretToken,
}

/// A session with what sign-out needs.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// The session.
    pub session: SignedIn,
    /// What the identity provider knows it by.
    pub idp: IdpSession,
}

impl Core {
    /// Begins a session and records the sign-in, together. The session that the browser had before ends: a sign-in never goes
    /// on with a secret that was there before it.
    pub async fn open_session(
        &self,
        wanted: NewSession,
        before: Option<&str>,
        origin: &Origin,
        attempt: Attempt,
    ) -> Result<Opened, ServiceError> {
        let now = self.ambient.now();
        let limits = self.session_limits(wanted.account).await?;
        let end = now.after(limits.absolute);
        let session = SignedIn {
            id: self.ambient.id(),
            account: wanted.account,
            user: wanted.user,
            connection: wanted.connection,
            means: wanted.means,
            times: SessionTimes {
                created_at: now,
                authenticated_at: wanted.authenticated_at.map_or(now, |said| said.min(now)),
                last_seen_at: now,
                ends_at: wanted.ends_at.map_or(end, |said| said.min(end)),
            },
            address: origin.address_text(),
            user_agent: origin.short_agent(),
        };
        let (id, idp) = (session.id, wanted.idp);
        let secret = SecretToken::generate(&self.ambient, PREFIX);
        let before = before.and_then(plausible).map(token_hash);
        let (hash, before) = (secret.hash(), [before, wanted.replaces]);
        let row = attempt.at(self, origin);
        self.keep_change(move |change| {
            for before in before.iter().flatten() {
                change.end_session_of(before, now);
            }
            change.insert_session(&session, &idp, &hash);
            change.insert_sign_in(&row)
        })
        .await?;
        Ok(Opened { id, secret })
    }

    /// Who a session's secret stands for, if the session stands and the person has access now. Nothing of the answer is kept
    /// for the next request.
    pub async fn signed_in(&self, secret: &str) -> Result<Option<Principal>, ServiceError> {
        let Some(secret) = plausible(secret) else { return Ok(None) };
        let Some(standing) = sessions::by_hash(self.store.read(), &token_hash(secret)).await? else { return Ok(None) };
        let now = self.ambient.now();
        let Some(role) = self.role_in(&standing, now).await? else { return Ok(None) };
        let session = &standing.session;
        if now.since(session.times.last_seen_at) >= TOUCH_EVERY {
            self.touch_session(session.id, now).await;
        }
        let by = By::Session(SessionFacts {
            id: session.id,
            means: session.means,
            connection: session.connection,
            times: session.times,
        });
        let person = Known::read(session.user, standing.user_name, &standing.document)?;
        Ok(Some(Principal {
            account: session.account,
            account_name: standing.account_name,
            role,
            person: Some(person),
            connection: standing.connection.map(|(name, _)| name),
            by,
        }))
    }

    /// The role of the person now, if everything that a session stands on still holds.
    async fn role_in(&self, standing: &Standing, now: Timestamp) -> Result<Option<Role>, ServiceError> {
        let session = &standing.session;
        let connection_holds = match (session.connection, &standing.connection) {
            (None, _) => true,
            (Some(_), connection) => connection.as_ref().is_some_and(|(_, enabled)| *enabled),
        };
        let holds = session.times.stands(standing.limits, now)
            && connection_holds
            && standing.home == session.connection
            && standing.status.may_have_access();
        match (holds, standing.unsettled, standing.home) {
            (false, ..) => Ok(None),
            (true, true, Some(home)) => self.role_by_rules_now(session.account, home, session.user).await,
            // Local accounts have the role that a person gave them.
            (true, ..) => Ok(standing.role),
        }
    }

    /// What the rules give now: asked while a recomputation waits, so that nobody uses what is being taken.
    pub(super) async fn role_by_rules_now(
        &self,
        account: AccountId,
        home: ConnectionId,
        user: UserId,
    ) -> Result<Option<Role>, ServiceError> {
        Ok(self.by_rules_now(account, home, user).await?.and_then(|entitled| entitled.role))
    }

    /// All that the rules give now.
    pub(super) async fn by_rules_now(
        &self,
        account: AccountId,
        home: ConnectionId,
        user: UserId,
    ) -> Result<Option<Entitled>, ServiceError> {
        let (read, epoch) = (self.store.read(), self.store.epoch().await?);
        let rules = match self.caches.known_rules(epoch, account) {
            Some(rules) => rules,
            None => std::sync::Arc::new(load_rules(read, account).await?),
        };
        let connections = connections::of_account(read, account).await?;
        let Some(connection) = connections.iter().find(|connection| connection.id == home) else { return Ok(None) };
        let grants = ConnectionGrants { may_grant: connection.may_grant.iter().copied().collect() };
        let Some(user) = users::by_id(read, home, user).await? else { return Ok(None) };
        by_rules(&rules, grants, &user, &SaidBefore::of(read, &user).await?)
    }

    async fn touch_session(&self, id: SessionId, now: Timestamp) {
        let touched: Result<(), StoreError> = self.store.keep(move |tx| Box::pin(sessions::touch(tx, id, now))).await;
        if let Err(error) = touched {
            // The request itself can be answered.
            tracing::warn!(error = %Causes(&error), "the last use of a session was not noted");
        }
    }

    /// Gives the session another secret after the person proved again who they are, and records it; none: it does not stand
    /// any longer.
    pub async fn renew_session(
        &self,
        secret: &str,
        origin: &Origin,
        attempt: Attempt,
    ) -> Result<Option<Opened>, ServiceError> {
        let Some(principal) = self.signed_in(secret).await? else { return Ok(None) };
        let Some(id) = principal.session().map(|session| session.id) else { return Ok(None) };
        let (now, fresh) = (self.ambient.now(), SecretToken::generate(&self.ambient, PREFIX));
        let (old, new, row) = (token_hash(secret), fresh.hash(), attempt.at(self, origin));
        let renewed = self
            .store
            .keep(move |tx| {
                let (old, new, row) = (old.clone(), new.clone(), row.clone());
                Box::pin(async move {
                    if !sessions::renew(tx, id, &old, &new, now).await? {
                        return Ok(false);
                    }
                    let mut change = tx.change();
                    change.insert_sign_in(&row)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(true)
                })
            })
            .await?;
        Ok(renewed.then_some(Opened { id, secret: fresh }))
    }

    /// Signs out: ends the session and records it. Says which one it was, for the identity provider to be told; none: there
    /// was none.
    pub async fn sign_out(&self, secret: &str, origin: &Origin) -> Result<Option<Leaving>, ServiceError> {
        let Some(secret) = plausible(secret) else { return Ok(None) };
        let hash = token_hash(secret);
        let Some(standing) = sessions::by_hash(self.store.read(), &hash).await? else { return Ok(None) };
        let (now, session) = (self.ambient.now(), standing.session);
        let attempt = Attempt {
            account: Some(session.account),
            connection: session.connection,
            user: Some(session.user),
            ..Attempt::new(session.means.as_str(), Outcome::SignedOut)
        };
        let row = attempt.at(self, origin);
        self.keep_change(move |change| {
            change.end_session_of(&hash, now);
            change.insert_sign_in(&row)
        })
        .await?;
        Ok(Some(Leaving { session, idp: standing.idp }))
    }

    /// Ends the sessions of a connection that its identity provider means by the subject, the session, or both; says how
    /// many. The message was verified before.
    pub async fn end_sessions_by_idp(
        &self,
        connection: ConnectionId,
        subject: Option<&str>,
        session: Option<&str>,
    ) -> Result<usize, ServiceError> {
        let (now, subject, session) = (self.ambient.now(), subject.map(str::to_owned), session.map(str::to_owned));
        let ended: Result<Vec<SessionId>, StoreError> = self
            .store
            .keep(move |tx| {
                let (subject, session) = (subject.clone(), session.clone());
                Box::pin(async move {
                    sessions::end_by_idp(tx, connection, subject.as_deref(), session.as_deref(), now).await
                })
            })
            .await;
        Ok(ended?.len())
    }

    /// Ends all sessions of a person ("sign out everywhere").
    pub async fn end_sessions_of(
        &self,
        principal: &Principal,
        user: UserId,
        request: &str,
    ) -> Result<(), ServiceError> {
        let (now, account) = (self.ambient.now(), principal.account);
        let event = self.session_event(principal, request, "session.end_all", "user", user.to_string());
        self.keep_change(move |change| {
            change.end_sessions_of_user(account, user, now);
            change.audit(&event)
        })
        .await
    }

    /// Ends one session of the account; says whether there was one. Whose it may be is for the caller to judge.
    pub async fn end_session(&self, principal: &Principal, id: SessionId, request: &str) -> Result<(), ServiceError> {
        let (now, account) = (self.ambient.now(), principal.account);
        let event = self.session_event(principal, request, "session.end", "session", id.to_string());
        self.keep_change(move |change| {
            change.end_session(account, id, now);
            change.audit(&event)
        })
        .await
    }

    /// A session of the account, if it stands.
    pub async fn session(&self, account: AccountId, id: SessionId) -> Result<Option<SignedIn>, ServiceError> {
        let found = sessions::by_id(self.store.read(), account, id).await?;
        let (now, limits) = (self.ambient.now(), self.session_limits(account).await?);
        Ok(found.filter(|session| session.times.stands(limits, now)))
    }

    /// The sessions of a person that stand, the newest first.
    pub async fn sessions_of(&self, account: AccountId, user: UserId) -> Result<Vec<SignedIn>, ServiceError> {
        let mut found = sessions::of_user(self.store.read(), account, user, LISTED).await?;
        let (now, limits) = (self.ambient.now(), self.session_limits(account).await?);
        found.retain(|session| session.times.stands(limits, now));
        Ok(found)
    }

    /// How long sessions of an account last.
    pub async fn session_limits(&self, account: AccountId) -> Result<SessionLimits, ServiceError> {
        let found: Option<Account> = accounts::by_id(self.store.read(), account).await?;
        let missing = || StoreError::Damaged { table: "account", what: format!("{account} is missing") };
        Ok(found.ok_or_else(missing)?.sessions)
    }

    /// Deletes sessions that ended long ago; says how many.
    pub async fn sweep_sessions(&self) -> Result<u64, ServiceError> {
        let (before, mut swept) = (self.ambient.now().before(KEPT), 0);
        loop {
            let some: Result<u64, StoreError> =
                self.store.keep(move |tx| Box::pin(sessions::sweep(tx, before, SWEPT))).await;
            let some = some?;
            swept += some;
            if some < u64::from(SWEPT) {
                return Ok(swept);
            }
        }
    }

    fn session_event(
        &self,
        principal: &Principal,
        request: &str,
        action: &'static str,
        target_kind: &'static str,
        target_id: String,
    ) -> AuditEvent {
        AuditEvent {
            id: self.ambient.id(),
            at: self.ambient.now(),
            account: principal.account,
            connection: None,
            actor: principal.actor(),
            request: request.to_owned(),
            action,
            target_kind,
            target_id,
            before: None,
            after: Some(json!({"ended": true})),
        }
    }
}

/// A text that may be a secret of ours.
fn plausible(secret: &str) -> Option<&str> {
    (secret.starts_with(PREFIX) && secret.len() <= LONGEST).then_some(secret)
}
