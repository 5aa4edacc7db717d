//! From a verified identity to a user: found by its link, linked once, or made; and whether that user has access now.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::access::{ClaimMapping, Said, SignInClaims};
use crate::base::{AccountId, ConnectionId, EventId, Timestamp, UserId, fold};
use crate::domain::{Jit, Role, Scope, UserStatus};
use crate::scim::{Dialect, ScimType};
use crate::sso::Identity;
use crate::store::connections::Connection;
use crate::store::sso_links::{self as links, Link};
use crate::store::users::{self, User, UserState};
use crate::store::workers::Wanted;
use crate::store::{StoreError, Tx, sso};

use super::super::cache::Caller;
use super::super::core::{Core, Parts};
use super::super::entitle::{Entitling, SaidBefore};
use super::super::error::ServiceError;
use super::super::guard::Notices;
use super::super::users::{UserChange, by};

/// What came of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The person may come in.
    Admitted {
        /// The user.
        user: UserId,
        /// The role now.
        role: Role,
    },
    /// The person is who they say, and may not come in.
    NoAccess {
        /// The user, if there is one.
        user: Option<UserId>,
        /// Why, for the person.
        kind: NoAccess,
        /// Why, for administrators.
        why: String,
    },
}

/// Why somebody whose identity is proved gets no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAccess {
    /// The rules give no role.
    NoRole,
    /// The person was deactivated or deleted.
    Inactive,
    /// Nobody here is the person, and nobody is made.
    Unknown,
}

/// What may be a userName beside the claims.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// A SAML `NameID` that is not transient, or an e-mail address that OpenID Connect calls verified.
    pub protocol: Option<String>,
    /// It is made for machines: nobody new is called so.
    pub opaque: bool,
}

impl Core {
    /// Lets somebody in whom the connection's identity provider vouches for, or says why not.
    ///
    /// The user is found by the link of connection, issuer and subject. Without one, a user of this connection is linked whose
    /// externalId is the subject or whose userName is said; an e-mail address by itself never links. Without a user, one is
    /// made if the connection says so. Nobody of another connection or account is ever found.
    pub async fn admit_identity(
        &self,
        connection: &Connection,
        identity: &Identity,
        names: &Names,
        request: &str,
    ) -> Result<Admission, ServiceError> {
        let core = self.parts();
        let notices: Notices = core.notices.clone();
        let job = Arc::new((core, caller(connection, request), identity.clone(), names.clone(), self.ambient.now()));
        let (admission, wakes) = match self.admit_once(Arc::clone(&job)).await {
            // Somebody made a user of that name at the same moment; now it is there.
            Err(ServiceError::Scim(error)) if error.scim_type == Some(ScimType::Uniqueness) => {
                self.admit_once(job).await?
            }
            done => done?,
        };
        notices.tell();
        self.wake_if(wakes);
        Ok(admission)
    }
}

/// What a sign-in's transaction takes along.
type Job = (Parts, Caller, Identity, Names, Timestamp);

impl Core {
    async fn admit_once(&self, job: Arc<Job>) -> Result<(Admission, bool), ServiceError> {
        self.store
            .write(move |tx| {
                let job = Arc::clone(&job);
                Box::pin(async move {
                    let (core, caller, identity, names, at) = &*job;
                    Admitting { tx, core, caller, identity, names, at: *at }.admit().await
                })
            })
            .await
    }
}

/// The identity provider of a connection as the one who changes a user.
fn caller(connection: &Connection, request: &str) -> Caller {
    Caller {
        account: connection.account,
        connection: connection.id,
        name: connection.name.as_str().into(),
        dialect: Dialect::Auto,
        bearer: Uuid::nil(),
        scope: Scope::Write,
        user: None,
        allow_from: Arc::default(),
        request: request.into(),
        used: None,
        trail: Arc::default(),
    }
}

/// One sign-in, inside its transaction.
struct Admitting<'a> {
    tx: &'a Tx,
    core: &'a Parts,
    caller: &'a Caller,
    identity: &'a Identity,
    names: &'a Names,
    at: Timestamp,
}

/// Who somebody turned out to be.
enum Found {
    User(Box<User>),
    /// To be linked.
    Match(Box<User>),
    Nobody,
    /// The user that the subject was linked to was deleted.
    Gone(UserId),
    /// The reason why not.
    Refused(Option<UserId>, String),
}

impl Admitting<'_> {
    async fn admit(&self) -> Result<(Admission, bool), ServiceError> {
        let no = |user, why: String| Ok((Admission::NoAccess { user, kind: NoAccess::Unknown, why }, false));
        // Read where nobody can change it: a connection may have been disabled since the sign-in began.
        let connection =
            sso::connection(self.tx, self.caller.connection).await?.filter(|connection| connection.enabled);
        let Some(connection) = connection else { return no(None, "the connection is disabled".to_owned()) };
        let said = self.said(&connection)?;
        let jit = match connection.jit {
            Some(jit) => jit,
            None if links::has_scim(self.tx, connection.id).await? => Jit::Provisioned,
            None => Jit::On,
        };
        match self.find(&said).await? {
            Found::Refused(user, why) => no(user, why),
            Found::Gone(user) => {
                let why = "the user was deleted".to_owned();
                Ok((Admission::NoAccess { user: Some(user), kind: NoAccess::Inactive, why }, false))
            }
            Found::Nobody if jit == Jit::On => self.create(&said).await,
            Found::Nobody => no(
                None,
                format!(
                    "nobody of this connection has the externalId {:?}{}, and people are not made at sign-in (jit is {jit}): assign the \
                     person to the provisioning app, or set --jit on",
                    self.identity.subject,
                    self.user_names(&said)
                        .iter()
                        .map(|name| format!(" or the userName {name:?}"))
                        .collect::<Vec<_>>()
                        .concat(),
                ),
            ),
            Found::User(user) | Found::Match(user) if jit == Jit::Provisioned && user.by_sign_in => {
                no(Some(user.id), "SCIM has not provisioned this person (jit is provisioned)".to_owned())
            }
            Found::Match(user) => self.enter(*user, &said, true).await,
            Found::User(user) => self.enter(*user, &said, false).await,
        }
    }

    fn said(&self, connection: &Connection) -> Result<Said, ServiceError> {
        let damaged =
            |error: serde_json::Error| StoreError::Damaged { table: "connection", what: format!("claims: {error}") };
        let mapping: ClaimMapping = serde_json::from_value(connection.claims.clone()).map_err(damaged)?;
        let mut said = Said::read(&self.identity.claims, &mapping);
        let address = self.identity.email.as_ref();
        if self.identity.name_id.is_some() {
            said.email = address.map(|email| email.address.clone()).or(said.email);
        } else {
            // An address that the provider does not vouch for is none (OpenID Connect Core §5.7), in the place of a userName too.
            let is_doubtful = |name: &String| address.is_some_and(|it| !it.verified && fold(&it.address) == fold(name));
            said.user_name = said.user_name.filter(|name| !is_doubtful(name));
            said.email = address.filter(|email| email.verified).map(|email| email.address.clone());
        }
        Ok(said)
    }

    /// The userNames that the person may have, the likeliest first.
    fn user_names(&self, said: &Said) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in [&said.user_name, &self.names.protocol].into_iter().flatten() {
            if !names.iter().any(|known| fold(known) == fold(name)) {
                names.push(name.clone());
            }
        }
        names
    }

    async fn find(&self, said: &Said) -> Result<Found, ServiceError> {
        let Identity { issuer, subject, .. } = self.identity;
        let connection = self.caller.connection;
        let linked = links::user_of(self.tx, connection, issuer, subject).await?;
        if let Some(id) = linked
            && let Some(user) = users::by_id_locked(self.tx, connection, id).await?
        {
            return Ok(Found::User(Box::new(user)));
        }
        if let [id] = links::by_external_id(self.tx, connection, subject).await?[..] {
            return self.matched(id).await;
        }
        for name in self.user_names(said) {
            match links::by_user_name(self.tx, self.caller.account, &fold(&name)).await? {
                Some((id, Some(of))) if of == connection => return self.matched(id).await,
                Some((_, holder)) => return Ok(Found::Refused(None, self.taken(&name, holder).await?)),
                None => {}
            }
        }
        // Whose user was deleted comes back by SCIM or by an administrator, and not by signing in.
        Ok(linked.map_or(Found::Nobody, Found::Gone))
    }

    /// Whose a userName is.
    async fn taken(&self, name: &str, holder: Option<ConnectionId>) -> Result<String, ServiceError> {
        let Some(holder) = holder else { return Ok(format!("the userName {name:?} belongs to a local account")) };
        if holder == self.caller.connection {
            return Ok(format!(
                "the userName {name:?} belongs to another user of this connection; an e-mail address by itself links nobody: let the \
                 identity provider send the userName in a claim or the NameID"
            ));
        }
        let other = sso::connection(self.tx, holder).await?.map(|other| other.name.to_string()).unwrap_or_default();
        Ok(format!("the userName {name:?} belongs to connection {other}"))
    }

    async fn matched(&self, id: UserId) -> Result<Found, ServiceError> {
        let Some(user) = users::by_id_locked(self.tx, self.caller.connection, id).await? else {
            return Ok(Found::Nobody);
        };
        // One link in a connection, whatever the issuer: the names of one directory prove nothing in another.
        let other = links::link_of(self.tx, self.caller.connection, id).await?;
        Ok(match other {
            Some((issuer, other)) if (&issuer, &other) != (&self.identity.issuer, &self.identity.subject) => {
                Found::Refused(
                    Some(id),
                    format!(
                        "the user is linked to another subject of this identity provider ({other:?}): if the account there was made anew, \
                     unlink it with: rollcall connection unlink"
                    ),
                )
            }
            _ => Found::Match(Box::new(user)),
        })
    }

    fn link(&self, user: UserId) -> Link {
        let Identity { issuer, subject, .. } = self.identity;
        Link { connection: self.caller.connection, issuer: issuer.clone(), subject: subject.clone(), user }
    }

    fn claims(&self, said: &Said) -> SignInClaims {
        SignInClaims::new(&self.identity.claims, said.groups.clone())
    }

    /// Somebody who is a user already.
    async fn enter(&self, user: User, said: &Said, new_link: bool) -> Result<(Admission, bool), ServiceError> {
        let id = user.id;
        if user.status != UserStatus::Active {
            let why = format!("the user is {}", user.status.as_str());
            return Ok((Admission::NoAccess { user: Some(id), kind: NoAccess::Inactive, why }, false));
        }
        let mut change = self.tx.change();
        if new_link {
            change.link(&self.link(id), self.at);
            let linked = json!({"issuer": self.identity.issuer, "subject": self.identity.subject});
            change.audit(&by(self.caller, self.core.ambient.id(), self.at, "user.link", id, None, Some(linked)))?;
        }
        change.note_sign_in(user.account, id, self.at);
        self.tx.apply(change).await?;
        let (user, wakes) = self.keep(user, said).await?;
        Ok((admission(&user), wakes))
    }

    /// Keeps what was said, and carries out what follows from it.
    async fn keep(&self, user: User, said: &Said) -> Result<(User, bool), ServiceError> {
        let claims = to_text(&self.claims(said))?;
        let before = user.attributes()?;
        let after = if user.by_sign_in { self.renewed(&user, &before, said).await? } else { before.clone() };
        if after == before && user.claims.as_deref() == Some(&claims) && !self.is_stale(&user).await? {
            return Ok((user, false));
        }
        let Self { tx, core, caller, at, .. } = *self;
        let change = UserChange { tx, core, caller, action: "user.sign_in", signed_in: Some(&claims), at };
        change.write(user, &before, after).await
    }

    /// Whether the rules give something else than is stored: a recomputation has not come to the person yet, or the worker
    /// waited for the first sign-in.
    async fn is_stale(&self, user: &User) -> Result<bool, ServiceError> {
        let said = SaidBefore::of(self.tx, user).await?;
        let attributes = user.attributes()?;
        let person = Entitling {
            account: user.account,
            connection: user.connection,
            status: user.status,
            user: user.id,
            attributes: &attributes,
            groups: &user.groups,
            said: &said,
            expected: true,
        };
        let entitled = self.core.entitle(self.tx, &person).await?;
        Ok(entitled.role != user.role || entitled.access != user.access)
    }

    /// The document of somebody whom SCIM does not know, as it is said now. A userName that is taken stays as it was.
    async fn renewed(
        &self,
        user: &User,
        before: &Map<String, Value>,
        said: &Said,
    ) -> Result<Map<String, Value>, ServiceError> {
        let old = before.get("userName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let protocol = self.names.protocol.clone().filter(|_| !self.names.opaque);
        let mut name = said.user_name.clone().or(protocol).unwrap_or_else(|| old.clone());
        if !is_usable(&name) {
            name.clone_from(&old);
        }
        if fold(&name) != fold(&old) {
            let holder = links::by_user_name(self.tx, self.caller.account, &fold(&name)).await?;
            if holder.is_some_and(|(holder, _)| holder != user.id) {
                tracing::warn!(user = %user.id, "the userName of a sign-in is another user's, so the old one stays");
                name = old;
            }
        }
        let mut after = before.clone();
        for (key, value) in said.document(&name) {
            if key != "active" {
                after.insert(key, value);
            }
        }
        Ok(after)
    }

    /// Somebody new.
    async fn create(&self, said: &Said) -> Result<(Admission, bool), ServiceError> {
        let Names { protocol, opaque } = self.names;
        let protocol = protocol.clone().filter(|_| !opaque);
        let said_name = said.user_name.clone().or(protocol).or_else(|| said.email.clone());
        let name = said_name.unwrap_or_else(|| self.identity.subject.clone());
        if !is_usable(&name) {
            let why = format!(
                "the userName {name:?} is longer than {LONGEST_NAME} characters, or has characters that nobody sees"
            );
            return Ok((Admission::NoAccess { user: None, kind: NoAccess::Unknown, why }, false));
        }
        if let Some((_, holder)) = links::by_user_name(self.tx, self.caller.account, &fold(&name)).await? {
            let why = self.taken(&name, holder).await?;
            return Ok((Admission::NoAccess { user: None, kind: NoAccess::Unknown, why }, false));
        }
        let (id, event): (UserId, EventId) = (self.core.ambient.id_at(self.at), self.core.ambient.id());
        let (account, connection): (AccountId, ConnectionId) = (self.caller.account, self.caller.connection);
        let document = said.document(&name);
        let claims = self.claims(said);
        let text = to_text(&claims)?;
        let person = Entitling {
            account,
            connection: Some(connection),
            status: UserStatus::Active,
            user: id,
            attributes: &document,
            groups: &[],
            said: &SaidBefore::counted(self.tx, Some(connection), claims, true).await?,
            expected: true,
        };
        let entitled = self.core.entitle(self.tx, &person).await?;
        let mut change = self.tx.change();
        change.insert_user(&UserState {
            id,
            account,
            connection: Some(connection),
            status: UserStatus::Active,
            attributes: &document,
            role: entitled.role,
            access: entitled.access.as_deref(),
            signed_in: Some(&text),
            version: 1,
            at: self.at,
        })?;
        if let Some(desired) = &entitled.desired {
            let worker = self.core.ambient.id();
            change.want_worker(&Wanted {
                id: worker,
                account,
                connection: Some(connection),
                user: id,
                desired,
                event,
            })?;
        }
        change.link(&self.link(id), self.at);
        change.note_sign_in(account, id, self.at);
        change.audit(&by(
            self.caller,
            event,
            self.at,
            "user.create",
            id,
            None,
            Some(Value::Object(document.clone())),
        ))?;
        self.tx.apply_unless_taken(change).await?;
        let admission = match entitled.role {
            Some(role) => Admission::Admitted { user: id, role },
            None => Admission::NoAccess { user: Some(id), kind: NoAccess::NoRole, why: NO_ROLE.to_owned() },
        };
        Ok((admission, entitled.desired.is_some()))
    }
}

/// The longest userName of somebody whom a sign-in makes, in characters.
const LONGEST_NAME: usize = 256;

/// Whether people can tell a name from others: no control characters, and none that nobody sees.
fn is_usable(name: &str) -> bool {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    name.chars().count() <= LONGEST_NAME && !name.chars().any(unseen)
}

const NO_ROLE: &str = "no mapping rule gives this person a role";

fn admission(user: &User) -> Admission {
    match user.role {
        Some(role) => Admission::Admitted { user: user.id, role },
        None => Admission::NoAccess { user: Some(user.id), kind: NoAccess::NoRole, why: NO_ROLE.to_owned() },
    }
}

fn to_text(claims: &SignInClaims) -> Result<String, ServiceError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged { table: "user", what: format!("claims: {error}") };
    Ok(serde_json::to_string(claims).map_err(damaged)?)
}
