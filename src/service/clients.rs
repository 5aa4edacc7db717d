//! OAuth 2.0 clients, and the access tokens that they get for their credentials (RFC 6749 §4.4).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::base::{ClientId, SecretToken, Timestamp, contains, token_hash};
use crate::domain::Scope;
use crate::store::StoreError;
use crate::store::accounts::Account;
use crate::store::clients::{self, AccessToken, Client};
use crate::store::connections::Connection;
use crate::store::credentials::{Expiring, Selection};

use super::core::Core;
use super::credentials::{WARNED_BEFORE, missing, replaced, still_there};
use super::error::ServiceError;

/// What client secrets begin with, so that they are recognised when they leak.
pub const SECRET_PREFIX: &str = "rcc_";
/// What access tokens begin with.
pub const ACCESS_PREFIX: &str = "rca_";

/// How many wrong secrets, and how many tokens, one client may have in a [`WINDOW`].
const WRONG: u32 = 10;
const ISSUED: u32 = 60;
const WINDOW: Duration = Duration::from_mins(1);
/// The most client ids that are counted: anybody may make them up.
const MOST: usize = 10_000;
/// Ended access tokens that are deleted in one transaction.
const SWEPT: u32 = 500;
/// Stands in for the hash of a client that does not exist: no text has it.
const NOBODY: &str = "----------------------------------------------------------------";

/// What a client is to be.
#[derive(Clone, Debug, Default)]
pub struct NewClient {
    /// What it is for, in words.
    pub label: String,
    /// The most that its access tokens may do.
    pub scope: Scope,
    /// How long it is good; none: until it is revoked.
    pub lifetime: Option<Duration>,
}

/// An access token, fresh.
#[derive(Debug)]
pub struct Issued {
    /// The token itself.
    pub token: SecretToken,
    /// What it may do.
    pub scope: Scope,
    /// How long it is good.
    pub lifetime: Duration,
}

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is no such client, its secret is wrong, or it or its connection is out of use.
    #[error("the client is not known, or its secret is wrong")]
    InvalidClient,
    /// Wrong secrets came too often for this id, whether there is such a client or not; again after this time.
    #[error("too many wrong secrets for this client")]
    TooManyWrong(Duration),
    /// The client had too many tokens; again after this time.
    #[error("too many access tokens for this client")]
    TooManyTokens(Duration),
    /// The connection does not take requests from this address.
    #[error("the connection does not take requests from this address")]
    Elsewhere,
    /// The scope is not known, or more than the client has.
    #[error("the scope is not known, or more than the client has")]
    InvalidScope,
    /// We failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl Core {
    /// Makes a client for a connection. The secret is shown once, here.
    pub async fn create_client(
        &self,
        connection: &Connection,
        wanted: NewClient,
    ) -> Result<(Client, SecretToken), ServiceError> {
        let secret = SecretToken::generate(&self.ambient, SECRET_PREFIX);
        let now = self.ambient.now();
        let client = Client {
            id: self.ambient.id(),
            account: connection.account,
            connection: connection.id,
            label: wanted.label,
            hint: secret.hint(),
            scope: wanted.scope,
            replaced_by: None,
            created_at: now,
            expires_at: wanted.lifetime.map(|lifetime| now.after(lifetime)),
            last_used_at: None,
            revoked_at: None,
        };
        let event = self.commanded("client.create", &client, None, Some(described(&client)));
        let (made, hash) = (client.clone(), secret.hash());
        self.configure(move |change| {
            change.insert_client(&made, &hash);
            change.audit(&event)
        })
        .await?;
        Ok((client, secret))
    }

    /// Makes a client like another one, which ends after `overlap` or earlier, with its access tokens. Without a lifetime the
    /// new one lives as long as the old one was to.
    ///
    /// # Errors
    /// When there is no such client, or it has ended or been replaced already.
    pub async fn rotate_client(
        &self,
        account: &Account,
        id: &str,
        overlap: Duration,
        lifetime: Option<Duration>,
    ) -> Result<(Client, SecretToken), ServiceError> {
        let (old, now) = (self.client(account, id).await?, self.ambient.now());
        let (end, expires_at) = replaced(&old, now, overlap, lifetime)?;
        let secret = SecretToken::generate(&self.ambient, SECRET_PREFIX);
        let new = Client {
            id: self.ambient.id(),
            hint: secret.hint(),
            created_at: now,
            expires_at,
            last_used_at: None,
            ..old.clone()
        };
        let after = json!({"expires": end, "replaced_by": new.id});
        let events = [
            self.commanded("client.create", &new, None, Some(described(&new))),
            self.commanded("client.rotate", &old, Some(json!({"expires": old.expires_at})), Some(after)),
        ];
        let (made, hash) = (new.clone(), secret.hash());
        self.store
            .configure(move |tx| {
                let (made, hash, events, old) = (made.clone(), hash.clone(), events.clone(), old.id);
                Box::pin(async move {
                    still_there(clients::by_id(tx, made.account, old).await?.as_ref())?;
                    let mut change = tx.change();
                    change.insert_client(&made, &hash);
                    change.replace_client(made.account, old, made.id, end);
                    for event in &events {
                        change.audit(event)?;
                    }
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok((new, secret))
    }

    /// Clients of all accounts that end within [`WARNED_BEFORE`].
    pub async fn expiring_clients(&self) -> Result<Vec<Expiring<Client>>, ServiceError> {
        let now = self.ambient.now();
        Ok(clients::expiring(self.store.read(), now, now.after(WARNED_BEFORE)).await?)
    }

    /// The clients of an account that are wanted, oldest first.
    pub async fn list_clients(&self, account: &Account, selection: &Selection) -> Result<Vec<Client>, ServiceError> {
        Ok(clients::list(self.store.read(), account.id, selection).await?)
    }

    async fn client(&self, account: &Account, id: &str) -> Result<Client, ServiceError> {
        let missing = || missing::<Client>(account, id);
        let client: ClientId = id.parse().map_err(|_| missing())?;
        clients::by_id(self.store.read(), account.id, client).await?.ok_or_else(missing)
    }

    /// Revokes a client: neither it nor an access token of it opens anything from the next request on.
    pub async fn revoke_client(&self, account: &Account, id: &str) -> Result<Client, ServiceError> {
        let client = self.client(account, id).await?;
        if client.revoked_at.is_some() {
            return Ok(client);
        }
        let (account, id, now) = (account.id, client.id, self.ambient.now());
        let event = self.commanded("client.revoke", &client, None, None);
        self.configure(move |change| {
            change.revoke_client(account, id, now);
            change.audit(&event)
        })
        .await?;
        Ok(Client { revoked_at: Some(now), ..client })
    }

    /// An access token for a client's credentials; `wanted` is the scope that it asks for, if it asks for one, and `from` is
    /// where it asks from.
    ///
    /// Wrong secrets are counted for each client and refused faster than they can be tried. The right one is always let in:
    /// with 256 random bits guessing is no danger, and nobody shall lock a client out who only knows its id.
    pub async fn grant(
        &self,
        client: &str,
        secret: &str,
        wanted: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Issued, GrantError> {
        let now = self.ambient.now();
        let id: Option<ClientId> = client.parse().ok();
        let found = match id {
            Some(id) => clients::with_secret(self.store.read(), id).await?,
            None => None,
        };
        // Compared in every case and in constant time, so that how long it takes says nothing of the secret. A client that
        // exists costs a query more: who measures that learns of an id, which is no secret and opens nothing.
        let stored = found.as_ref().map_or(NOBODY, |(_, hash, _)| hash.as_str());
        let right = bool::from(token_hash(secret).as_bytes().ct_eq(stored.as_bytes()));
        let Some((client, _, connection)) = found.filter(|_| right) else {
            // What is no id at all cannot be mistaken for one of ours; everything else is counted, so that the answers to
            // those that exist and those that do not are alike.
            if let Some(id) = id {
                self.grants.wrong.note(id, now, WRONG).map_err(GrantError::TooManyWrong)?;
            }
            return Err(GrantError::InvalidClient);
        };
        if !client.is_good(now) || !connection.enabled {
            return Err(GrantError::InvalidClient);
        }
        let allowed = &connection.allow_from;
        if !allowed.is_empty() && !from.is_some_and(|from| contains(allowed, from)) {
            return Err(GrantError::Elsewhere);
        }
        let scope = scope_of(wanted, client.scope).ok_or(GrantError::InvalidScope)?;
        self.grants.issued.note(client.id, now, ISSUED).map_err(GrantError::TooManyTokens)?;
        self.issue(&client, scope, now).await
    }

    async fn issue(&self, client: &Client, scope: Scope, now: Timestamp) -> Result<Issued, GrantError> {
        let token = SecretToken::generate(&self.ambient, ACCESS_PREFIX);
        // A token ends with its client; saying so earlier spares the identity provider a refusal.
        let left = client.expires_at.map_or(Duration::MAX, |end| end.since(now));
        let lifetime = self.access_token_lifetime.min(left);
        let row = AccessToken { client: client.id, scope, created_at: now, expires_at: now.after(lifetime) };
        let hash = token.hash();
        // It ends no epoch: no cache holds what is not there yet.
        self.store
            .keep(move |tx| {
                let (row, hash) = (row.clone(), hash.clone());
                Box::pin(async move {
                    let mut change = tx.change();
                    change.insert_access_token(&row, &hash);
                    tx.apply(change).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(Issued { token, scope, lifetime })
    }

    /// Deletes access tokens that have ended, in small transactions; says how many.
    pub async fn sweep_access_tokens(&self) -> Result<u64, ServiceError> {
        let (now, mut swept) = (self.ambient.now(), 0);
        loop {
            let some: Result<u64, StoreError> =
                self.store.keep(move |tx| Box::pin(clients::sweep_access_tokens(tx, now, SWEPT))).await;
            let some = some?;
            swept += some;
            if some < u64::from(SWEPT) {
                return Ok(swept);
            }
        }
    }
}

fn described(client: &Client) -> Value {
    json!({"label": client.label, "hint": client.hint, "scope": client.scope, "expires": client.expires_at})
}

/// The scope of a token: what is asked for (RFC 6749 §3.3), or all that the client has; none if that is not to be had.
fn scope_of(wanted: Option<&str>, has: Scope) -> Option<Scope> {
    let Some(wanted) = wanted else { return Some(has) };
    let mut greatest = None;
    // PingFederate separates them by commas as well (docs/idp/ping.md).
    for word in wanted.split([' ', ',']).filter(|word| !word.is_empty()) {
        greatest = greatest.max(Some(word.parse::<Scope>().ok()?));
    }
    let scope = greatest.unwrap_or(has);
    has.includes(scope).then_some(scope)
}

/// What clients did lately.
#[derive(Debug, Default)]
pub(super) struct Grants {
    wrong: Tally,
    issued: Tally,
}

/// Counts for each client id within a window that begins with the first.
#[derive(Debug, Default)]
struct Tally(Mutex<HashMap<ClientId, (u32, Timestamp)>>);

impl Tally {
    /// Counts one more; `Err` with the time until the window ends if that is more than `most`.
    fn note(&self, client: ClientId, now: Timestamp, most: u32) -> Result<(), Duration> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(&client) {
            counts.retain(|_, (_, since)| now.since(*since) < WINDOW);
            if counts.len() >= MOST {
                // Somebody makes up ids. Counting from the start lets nobody in: no secret can be guessed.
                counts.clear();
            }
        }
        let (count, since) = counts.entry(client).or_insert((0, now));
        if now.since(*since) >= WINDOW {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        if *count > most { Err(WINDOW.saturating_sub(now.since(*since))) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_never_more_than_the_client_has() {
        use Scope::{Read, Write};
        for (wanted, has, scope) in [
            (None, Read, Some(Read)),
            (None, Write, Some(Write)),
            (Some("read"), Write, Some(Read)),
            (Some("read write"), Write, Some(Write)),
            (Some("write"), Read, None),
            (Some("read write"), Read, None),
            (Some(" "), Read, Some(Read)),
            (Some("admin"), Write, None),
            (Some("read admin"), Write, None),
            (Some("READ"), Write, None),
            (Some("read,write"), Write, Some(Write)),
            (Some("read, write"), Read, None),
            (Some("read,admin"), Write, None),
        ] {
            assert_eq!(scope_of(wanted, has), scope, "{wanted:?} of {has}");
        }
    }

    #[test]
    fn s42_what_one_client_does_wrong_counts_for_it_alone() {
        let (tally, one, two) =
            (Tally::default(), ClientId::from(uuid::Uuid::nil()), ClientId::from(uuid::Uuid::max()));
        let start = Timestamp::from_millis(1_000);
        let at = |seconds| start.after(Duration::from_secs(seconds));
        assert!((0..3).all(|second| tally.note(one, at(second), 3).is_ok()));
        assert_eq!(tally.note(one, at(20), 3), Err(Duration::from_secs(40)));
        assert_eq!(tally.note(two, at(20), 3), Ok(()));
        assert_eq!(tally.note(one, at(60), 3), Ok(()), "the next window");
        for n in 0..30_000_u32 {
            assert_eq!(tally.note(uuid::Uuid::from_u128(n.into()).into(), at(61), 3), Ok(()));
        }
        assert!(tally.0.lock().unwrap().len() <= MOST, "made-up ids fill no memory");
    }
}
