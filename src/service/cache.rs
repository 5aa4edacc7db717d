//! What is read for each request and changes rarely: rules, and what a token stands for. Kept for one configuration epoch.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::IpNet;
use uuid::Uuid;

use crate::access::{ConnectionGrants, Rule, RuleSet};
use crate::base::{AccountId, ConnectionId, Timestamp, TokenId, UserId};
use crate::domain::{Limits, Means, Scope, WorkerAt};
use crate::scim::Dialect;
use crate::store::connections::{Connection, OwnLimits};
use crate::store::{Session, StoreError, Tx, rules};

use super::error::ServiceError;
use super::pushes::Sender;
use super::sign_in::Part;
use super::trail::Trail;

/// Who sends a SCIM request: a token of one connection of one account.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The connection.
    pub connection: ConnectionId,
    /// The connection's name.
    pub name: Arc<str>,
    /// How the identity provider speaks.
    pub dialect: Dialect,
    /// The token, or the OAuth client that got it: what is counted and limited as one.
    pub bearer: Uuid,
    /// What the token may do.
    pub scope: Scope,
    /// The user that the token stands for.
    pub user: Option<UserId>,
    /// The networks that the connection takes requests from; empty: all.
    pub allow_from: Arc<[IpNet]>,
    /// The id of the request.
    pub request: Arc<str>,
    /// The token, if it is time to write down that it is in use.
    pub used: Option<TokenId>,
    /// Where the request's doings are noted, for the log of pushes.
    pub trail: Arc<Trail>,
}

impl Caller {
    /// How the log of pushes names the caller.
    #[must_use]
    pub fn sender(&self) -> Sender {
        let Self { account, connection, bearer, dialect, .. } = *self;
        Sender { account, connection, bearer, dialect }
    }

    /// How the audit trail names the caller.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("connection:{}", self.name)
    }
}

/// A token with its connection, as it was read.
#[derive(Debug)]
pub(super) struct KnownToken {
    pub(super) bearer: Uuid,
    /// The token whose last use is noted; access tokens have none, their client's is noted when it gets them.
    pub(super) touches: Option<TokenId>,
    pub(super) scope: Scope,
    pub(super) user: Option<UserId>,
    pub(super) revoked: bool,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) connection: Connection,
    pub(super) dialect: Dialect,
    /// When `last_used_at` was last brought up to date by this process.
    pub(super) touched: std::sync::atomic::AtomicI64,
}

#[derive(Debug, Default)]
struct Epoch<T> {
    epoch: i64,
    known: T,
}

/// The caches.
#[derive(Debug, Default)]
pub(super) struct Caches {
    rules: RwLock<Epoch<HashMap<AccountId, Arc<RuleSet>>>>,
    tokens: RwLock<Epoch<HashMap<String, Arc<KnownToken>>>>,
    grants: RwLock<Epoch<HashMap<ConnectionId, ConnectionGrants>>>,
    limits: RwLock<Epoch<HashMap<ConnectionId, OwnLimits>>>,
    parts: RwLock<Epoch<HashMap<(ConnectionId, Means), Part>>>,
    worker_at: RwLock<Epoch<HashMap<AccountId, WorkerAt>>>,
}

/// Entries of one cache; random tokens of strangers are never kept, so only real ones count.
const MOST: usize = 10_000;

fn get<K: std::hash::Hash + Eq, V: Clone>(cache: &RwLock<Epoch<HashMap<K, V>>>, epoch: i64, key: &K) -> Option<V> {
    let cache = cache.read().unwrap_or_else(PoisonError::into_inner);
    if cache.epoch == epoch { cache.known.get(key).cloned() } else { None }
}

fn put<K: std::hash::Hash + Eq, V>(cache: &RwLock<Epoch<HashMap<K, V>>>, epoch: i64, key: K, value: V) {
    let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
    if cache.epoch < epoch {
        cache.epoch = epoch;
        cache.known.clear();
    }
    if cache.known.len() >= MOST {
        // Most of it is access tokens that ended meanwhile; what is in use comes back with its next request.
        cache.known.clear();
    }
    if cache.epoch == epoch {
        cache.known.insert(key, value);
    }
}

impl Caches {
    /// The rules of an account as a transaction sees them.
    pub(super) async fn rules(&self, tx: &Tx, account: AccountId) -> Result<Arc<RuleSet>, ServiceError> {
        if let Some(rules) = get(&self.rules, tx.epoch(), &account) {
            return Ok(rules);
        }
        let rules = Arc::new(load_rules(tx, account).await?);
        put(&self.rules, tx.epoch(), account, Arc::clone(&rules));
        Ok(rules)
    }

    /// What a connection may give, as a transaction sees it. Local accounts may be given everything.
    pub(super) async fn grants(
        &self,
        tx: &Tx,
        account: AccountId,
        connection: Option<ConnectionId>,
    ) -> Result<ConnectionGrants, ServiceError> {
        let Some(connection) = connection else { return Ok(ConnectionGrants::all()) };
        if let Some(grants) = get(&self.grants, tx.epoch(), &connection) {
            return Ok(grants);
        }
        let mut found = ConnectionGrants { may_grant: [].into_iter().collect() };
        for row in crate::store::connections::of_account(tx, account).await? {
            let grants = ConnectionGrants { may_grant: row.may_grant.iter().copied().collect() };
            if row.id == connection {
                found = grants;
            }
            put(&self.grants, tx.epoch(), row.id, grants);
        }
        Ok(found)
    }

    /// The limits of the guard for a connection, as a transaction sees them, where it has none of its own the configured ones.
    pub(super) async fn limits(
        &self,
        tx: &Tx,
        account: AccountId,
        connection: ConnectionId,
        configured: Limits,
    ) -> Result<Limits, ServiceError> {
        if let Some(own) = get(&self.limits, tx.epoch(), &connection) {
            return Ok(own.over(configured));
        }
        let mut found = OwnLimits::default();
        for row in crate::store::connections::of_account(tx, account).await? {
            if row.id == connection {
                found = row.guard;
            }
            put(&self.limits, tx.epoch(), row.id, row.guard);
        }
        Ok(found.over(configured))
    }

    /// The rules of an account, if they are known for this epoch.
    pub(super) fn known_rules(&self, epoch: i64, account: AccountId) -> Option<Arc<RuleSet>> {
        get(&self.rules, epoch, &account)
    }

    /// When workers of an account are made, as a transaction sees it.
    pub(super) async fn worker_at(&self, tx: &Tx, account: AccountId) -> Result<WorkerAt, ServiceError> {
        if let Some(known) = get(&self.worker_at, tx.epoch(), &account) {
            return Ok(known);
        }
        let found = crate::store::accounts::by_id(tx, account).await?.map(|found| found.worker_at).unwrap_or_default();
        put(&self.worker_at, tx.epoch(), account, found);
        Ok(found)
    }

    pub(super) fn part(&self, epoch: i64, connection: ConnectionId, means: Means) -> Option<Part> {
        get(&self.parts, epoch, &(connection, means))
    }

    pub(super) fn keep_part(&self, epoch: i64, connection: ConnectionId, means: Means, part: Part) {
        put(&self.parts, epoch, (connection, means), part);
    }

    pub(super) fn token(&self, epoch: i64, hash: &String) -> Option<Arc<KnownToken>> {
        get(&self.tokens, epoch, hash)
    }

    pub(super) fn keep_token(&self, epoch: i64, hash: String, known: Arc<KnownToken>) {
        put(&self.tokens, epoch, hash, known);
    }
}

/// The rules of an account. Stored rules were valid when they were imported.
pub(super) async fn load_rules(session: &Session, account: AccountId) -> Result<RuleSet, ServiceError> {
    let (_, stored) = rules::of_account(session, account).await?;
    let damaged = |name: &str, why: String| {
        ServiceError::Store(StoreError::Damaged { table: "rule", what: format!("rule '{name}': {why}") })
    };
    let mut compiled = Vec::with_capacity(stored.len());
    for rule in stored {
        let definition = serde_json::from_value(rule.body).map_err(|error| damaged(&rule.name, error.to_string()))?;
        compiled.push(Rule::compile(rule.id, definition).map_err(|problems| {
            damaged(&rule.name, problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?);
    }
    RuleSet::new(compiled).map_err(|error| damaged("", error.to_string()))
}

/// When a token was last used is written once a minute at most.
pub(super) const TOUCH_EVERY: i64 = 60_000;

impl KnownToken {
    pub(super) fn sender(&self) -> Sender {
        let Connection { account, id: connection, .. } = self.connection;
        Sender { account, connection, bearer: self.bearer, dialect: self.dialect }
    }

    /// Whether it opens anything at that time.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        !self.revoked && self.connection.enabled && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it is time to write down that the token is in use; true for one caller only.
    pub(super) fn is_due_for_touch(&self, now: Timestamp) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        let last = self.touched.load(Relaxed);
        now.millis() - last >= TOUCH_EVERY
            && self.touched.compare_exchange(last, now.millis(), Relaxed, Relaxed).is_ok()
    }
}
