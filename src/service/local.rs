//! Signing in to local accounts: name, password, and who may try how often.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{AccountId, Timestamp, fold, token_hash};
use crate::domain::Means;
use crate::store::StoreError;
use crate::store::connections::Connection;
use crate::store::local::{self, LocalUser};
use crate::store::sessions::IdpSession;

use super::core::Core;
use super::error::ServiceError;
use super::passwords::{Busy, Password};
use super::principal::Principal;
use super::sessions::{NewSession, Opened};
use super::sign_ins::{Attempt, Origin, Outcome};

/// Attempts at one name, and from one address, in a [`WINDOW`]; the right password counts too until it is found right.
const PER_NAME: i64 = 10;
const PER_ADDRESS: i64 = 60;
const WINDOW: Duration = Duration::from_mins(15);
/// Counts that are deleted in one transaction.
const SWEPT: u32 = 500;
/// The longest name that is looked up, in characters.
const LONGEST: usize = 256;

/// A way to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the password of a local account.
    Password,
    /// By a connection's identity provider.
    Connection {
        /// The connection's name, which stands in the path of its sign-in.
        name: String,
        /// By which protocol: [`Means::Saml`] or [`Means::Oidc`].
        means: Means,
    },
}

/// What came of a name and a password.
#[derive(Debug)]
pub enum Tried {
    /// The person is signed in, or has proved again who they are.
    Opened(Opened),
    /// Name or password are wrong, or the account may not sign in; which of them is for the log only.
    Wrong,
    /// There were too many attempts at the name or from the address.
    TooMany,
    /// Too many passwords are being checked.
    Busy,
}

impl Core {
    /// The ways by which somebody of that name or address may sign in, best first. There is one for every name, whoever asks:
    /// the answer does not tell which accounts exist.
    pub async fn sign_in_ways(&self, name: &str) -> Result<Vec<Way>, ServiceError> {
        let found = self.realm_of(name).await?;
        let way = |(connection, means): (Connection, _)| Way::Connection { name: connection.name.to_string(), means };
        Ok(if found.is_empty() { vec![Way::Password] } else { found.into_iter().map(way).collect() })
    }

    /// The way by which this person proves again who they are: the one of the sign-in.
    #[must_use]
    pub fn step_up_way(&self, principal: &Principal) -> Option<Way> {
        let session = principal.session()?;
        match (session.means, &principal.connection) {
            (Means::Password, _) => Some(Way::Password),
            (means, Some(name)) => Some(Way::Connection { name: name.clone(), means }),
            (_, None) => None,
        }
    }

    /// Signs in by name and password. `before` is the secret of the session that the browser had.
    pub async fn sign_in_by_password(
        &self,
        name: &str,
        password: &str,
        before: Option<&str>,
        origin: &Origin,
    ) -> Result<Tried, ServiceError> {
        let (found, name) = match self.prove(name, None, password, origin).await? {
            Ok(found) => found,
            Err(tried) => return Ok(tried),
        };
        let attempt = attempt_of(&found, Outcome::SignedIn);
        let wanted = NewSession {
            account: found.account,
            user: found.user,
            connection: None,
            means: Means::Password,
            idp: IdpSession::default(),
            ends_at: None,
            replaces: None,
            authenticated_at: None,
        };
        let opened = self.open_session(wanted, before, origin, attempt).await?;
        self.forget_attempts(name).await?;
        Ok(Tried::Opened(opened))
    }

    /// Proves again who somebody is by the password of the person whose session it is.
    pub async fn step_up_by_password(
        &self,
        principal: &Principal,
        secret: &str,
        password: &str,
        origin: &Origin,
    ) -> Result<Tried, ServiceError> {
        let by_password = principal.session().is_some_and(|session| session.means == Means::Password);
        let Some(person) = principal.person.as_ref().filter(|_| by_password) else { return Ok(Tried::Wrong) };
        let (found, name) = match self.prove(&person.user_name, Some(principal), password, origin).await? {
            Ok(found) => found,
            Err(tried) => return Ok(tried),
        };
        let attempt = attempt_of(&found, Outcome::SteppedUp);
        let Some(opened) = self.renew_session(secret, origin, attempt).await? else { return Ok(Tried::Wrong) };
        self.forget_attempts(name).await?;
        Ok(Tried::Opened(opened))
    }

    /// Finds the local account that has this name and password, of a certain person if one is given. Whether there is such a
    /// name makes no difference in time or answer.
    async fn prove(
        &self,
        name: &str,
        person: Option<&Principal>,
        password: &str,
        origin: &Origin,
    ) -> Result<Result<(LocalUser, String), Tried>, ServiceError> {
        let folded: String = fold(name.trim()).chars().take(LONGEST).collect();
        let counted = counted_name(name);
        let mut found = local::by_name(self.store.read(), &folded).await?;
        if let Some(person) = person {
            let user = person.person.as_ref().map(|known| known.user);
            found.retain(|it| it.account == person.account && Some(it.user) == user);
        }
        if !self.may_try(&counted, origin.address).await? {
            self.refuse(found.first(), "throttle", "there were too many attempts", origin).await?;
            return Ok(Err(Tried::TooMany));
        }
        let password = Arc::new(Password::typed(password));
        let mut hashes: Vec<Option<LocalUser>> = found.iter().cloned().map(Some).collect();
        if hashes.is_empty() {
            hashes.push(None);
        }
        for candidate in hashes {
            let stored = candidate.as_ref().and_then(|it| it.password_hash.as_deref());
            match self.hasher.verify(Arc::clone(&password), stored).await? {
                Err(Busy) => return Ok(Err(Tried::Busy)),
                Ok(false) => {}
                Ok(true) => return self.admit(candidate, counted, origin).await,
            }
        }
        let why = if found.is_empty() { "there is no local account of that name" } else { "the password is wrong" };
        self.refuse(found.first(), "password", why, origin).await?;
        Ok(Err(Tried::Wrong))
    }

    /// The password is right: whether the account may sign in is looked at only now.
    async fn admit(
        &self,
        candidate: Option<LocalUser>,
        counted: String,
        origin: &Origin,
    ) -> Result<Result<(LocalUser, String), Tried>, ServiceError> {
        match candidate {
            Some(it) if it.status.may_have_access() && it.role.is_some() => Ok(Ok((it, counted))),
            other => {
                self.refuse(other.as_ref(), "status", "the account is not active, or has no role", origin).await?;
                Ok(Err(Tried::Wrong))
            }
        }
    }

    async fn refuse(
        &self,
        found: Option<&LocalUser>,
        check: &str,
        detail: &str,
        origin: &Origin,
    ) -> Result<(), ServiceError> {
        let attempt = found.map_or_else(
            || Attempt::new(Means::Password.as_str(), Outcome::Refused),
            |it| attempt_of(it, Outcome::Refused),
        );
        self.record_sign_in(attempt.refused(check, detail), origin).await
    }

    /// Counts an attempt before it is made, so that many at once count as many, and says whether it may be made. An address
    /// that has used up its attempts adds nothing to the counts of names.
    async fn may_try(&self, name: &str, address: Option<IpAddr>) -> Result<bool, ServiceError> {
        let (name, address, now) = (name.to_owned(), address.map(bucket), self.ambient.now());
        self.store
            .keep(move |tx| {
                let (name, address) = (name.clone(), address.clone());
                Box::pin(async move {
                    let end = now.after(WINDOW);
                    if let Some(address) = address
                        && local::count_attempt(tx, &address, now, end).await? > PER_ADDRESS
                    {
                        return Ok(false);
                    }
                    Ok::<_, ServiceError>(local::count_attempt(tx, &name, now, end).await? <= PER_NAME)
                })
            })
            .await
    }

    pub(super) async fn forget_attempts(&self, name: String) -> Result<(), ServiceError> {
        let forgotten: Result<(), StoreError> = self
            .store
            .keep(move |tx| {
                let name = name.clone();
                Box::pin(async move { local::forget_attempts(tx, &name).await })
            })
            .await;
        Ok(forgotten?)
    }

    /// Deletes counts of attempts that are over; says how many.
    pub async fn sweep_attempts(&self) -> Result<u64, ServiceError> {
        let now: Timestamp = self.ambient.now();
        let swept: Result<u64, StoreError> =
            self.store.keep(move |tx| Box::pin(local::sweep_attempts(tx, now, SWEPT))).await;
        Ok(swept?)
    }

    /// Whether an account has an owner who can always sign in.
    pub async fn has_local_owner(&self, account: AccountId) -> Result<bool, ServiceError> {
        Ok(local::has_owner(self.store.read(), account).await?)
    }
}

/// The subject of the count of attempts at a name.
pub(super) fn counted_name(name: &str) -> String {
    let folded: String = fold(name.trim()).chars().take(LONGEST).collect();
    format!("name:{}", token_hash(&folded))
}

fn attempt_of(found: &LocalUser, outcome: Outcome) -> Attempt {
    Attempt {
        account: Some(found.account),
        user: Some(found.user),
        who: Some(found.user_name.clone()),
        ..Attempt::new(Means::Password.as_str(), outcome)
    }
}

/// An address as it is counted: of IPv6 the network that one household has.
fn bucket(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("address:{v4}"),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("address:{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s58_an_ipv6_network_counts_as_one() {
        let bucket = |text: &str| bucket(text.parse().unwrap());
        assert_eq!(bucket("2001:db8:1:2:3:4:5:6"), bucket("2001:db8:1:2:ffff::1"));
        assert_ne!(bucket("2001:db8:1:2::1"), bucket("2001:db8:1:3::1"));
        assert_ne!(bucket("203.0.113.1"), bucket("203.0.113.2"));
        assert_eq!(bucket("::ffff:203.0.113.1"), bucket("203.0.113.1"));
    }
}
