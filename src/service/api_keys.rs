//! Keys of scripts for the JSON API: made, listed, revoked, and looked up with each request.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{AccountId, ApiKeyId, Causes, SecretToken, Timestamp, token_hash};
use crate::domain::Role;
use crate::scim::ScimError;
use crate::store::StoreError;
pub use crate::store::api_keys::ApiKey;
use crate::store::api_keys::{self, Bearer, KeyOwner};
use crate::store::audit::AuditEvent;

use super::core::Core;
use super::error::ServiceError;
use super::principal::{By, Known, Principal};

/// What keys begin with, so that they are recognised when they leak.
pub const PREFIX: &str = "rck_";
/// Longer than any key that we make.
const LONGEST: usize = 200;
/// The last use is noted this often at most.
const TOUCH_EVERY: Duration = Duration::from_mins(1);
/// The most keys that are listed.
const LISTED: u64 = 1_000;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What it is for, in words.
    pub name: String,
    /// The most that it may do.
    pub role: Role,
    /// How long it is good; none: until it is revoked.
    pub lifetime: Option<Duration>,
}

impl Core {
    /// Makes a key. The key itself is shown once, here. Made by a person it is that person's, may do no more than they, and ends
    /// with their access; made by a command it is the account's.
    ///
    /// # Errors
    /// When the name is too long, or the role is more than the maker has; and when a key is to make a key.
    pub async fn create_api_key(
        &self,
        account: AccountId,
        maker: Option<&Principal>,
        wanted: NewApiKey,
        request: &str,
    ) -> Result<(ApiKey, SecretToken), ServiceError> {
        if wanted.name.chars().count() > LONGEST_NAME || wanted.name.chars().any(char::is_control) {
            let text = format!("the name may have {LONGEST_NAME} characters, and no control characters");
            return Err(ServiceError::Invalid(text));
        }
        if let Some(maker) = maker {
            if maker.session().is_none() {
                return Err(ScimError::forbidden("A key cannot make keys: sign in for that.").into());
            }
            if wanted.role > maker.role {
                return Err(ScimError::forbidden("A key may do no more than who makes it.").into());
            }
        }
        let (secret, now) = (SecretToken::generate(&self.ambient, PREFIX), self.ambient.now());
        let key = ApiKey {
            id: self.ambient.id(),
            account,
            user: maker.and_then(|maker| maker.person.as_ref()).map(|person| person.user),
            name: wanted.name,
            hint: secret.hint(),
            role: wanted.role,
            created_at: now,
            expires_at: wanted.lifetime.map(|lifetime| now.after(lifetime)),
            last_used_at: None,
            revoked_at: None,
        };
        let after =
            json!({"name": key.name, "hint": key.hint, "role": key.role, "user": key.user, "expires": key.expires_at});
        let event = self.key_event(&key, maker, request, "api-key.create", Some(after));
        let (made, hash) = (key.clone(), secret.hash());
        self.keep_change(move |change| {
            change.insert_api_key(&made, &hash);
            change.audit(&event)
        })
        .await?;
        Ok((key, secret))
    }

    /// The keys of an account that open something, or all, the newest first.
    pub async fn list_api_keys(&self, account: AccountId, all: bool) -> Result<Vec<ApiKey>, ServiceError> {
        let good_at = (!all).then(|| self.ambient.now());
        Ok(api_keys::list(self.store.read(), account, good_at, LISTED).await?)
    }

    /// Revokes a key: it opens nothing from the next request on, in any process. Revoking twice changes nothing. None: the
    /// account has no such key.
    pub async fn revoke_api_key(
        &self,
        account: AccountId,
        revoker: Option<&Principal>,
        id: &str,
        request: &str,
    ) -> Result<Option<ApiKey>, ServiceError> {
        let Ok(id) = id.parse::<ApiKeyId>() else { return Ok(None) };
        let Some(key) = api_keys::by_id(self.store.read(), account, id).await? else { return Ok(None) };
        if key.revoked_at.is_none() {
            let now = self.ambient.now();
            let event = self.key_event(&key, revoker, request, "api-key.revoke", None);
            self.keep_change(move |change| {
                change.revoke_api_key(account, id, now);
                change.audit(&event)
            })
            .await?;
        }
        Ok(Some(key))
    }

    /// Who an `Authorization` header stands for, if it has a good key of somebody who has access now. Nothing of the answer is
    /// kept for the next request.
    pub async fn api_caller(&self, authorization: &str) -> Result<Option<Principal>, ServiceError> {
        let Some((scheme, key)) = authorization.trim().split_once(' ') else { return Ok(None) };
        let key = key.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || !key.starts_with(PREFIX) || key.len() > LONGEST {
            return Ok(None);
        }
        let Some(bearer) = api_keys::by_hash(self.store.read(), &token_hash(key)).await? else { return Ok(None) };
        let now = self.ambient.now();
        if !bearer.key.is_good(now) {
            return Ok(None);
        }
        let Some(role) = self.role_of_key(&bearer).await? else { return Ok(None) };
        let Bearer { key, account_name, owner } = bearer;
        if key.last_used_at.is_none_or(|last| now.since(last) >= TOUCH_EVERY) {
            self.touch_api_key(key.id, now).await;
        }
        let connection = owner.as_ref().and_then(|owner| owner.connection.as_ref()).map(|(_, name, _)| name.clone());
        let person = match (key.user, owner) {
            (Some(user), Some(owner)) => Some(Known::read(user, owner.user_name, &owner.document)?),
            _ => None,
        };
        let by = By::Key(key.id);
        Ok(Some(Principal { account: key.account, account_name, role, person, connection, by }))
    }

    /// What a key may do now: never more than the person whose it is.
    async fn role_of_key(&self, bearer: &Bearer) -> Result<Option<Role>, ServiceError> {
        let key = &bearer.key;
        let (Some(user), Some(owner)) = (key.user, &bearer.owner) else { return Ok(Some(key.role)) };
        let KeyOwner { status, role, connection, unsettled, .. } = owner;
        let connection_holds = connection.as_ref().is_none_or(|(_, _, enabled)| *enabled);
        if !status.may_have_access() || !connection_holds {
            return Ok(None);
        }
        let now = match (unsettled, connection) {
            (true, Some((home, ..))) => self.role_by_rules_now(key.account, *home, user).await?,
            _ => *role,
        };
        Ok(now.map(|now| now.min(key.role)))
    }

    async fn touch_api_key(&self, id: ApiKeyId, now: Timestamp) {
        let touched: Result<(), StoreError> = self.store.keep(move |tx| Box::pin(api_keys::touch(tx, id, now))).await;
        if let Err(error) = touched {
            // The request itself can be answered.
            tracing::warn!(error = %Causes(&error), "the last use of an API key was not noted");
        }
    }

    fn key_event(
        &self,
        key: &ApiKey,
        by: Option<&Principal>,
        request: &str,
        action: &'static str,
        after: Option<Value>,
    ) -> AuditEvent {
        AuditEvent {
            id: self.ambient.id(),
            at: self.ambient.now(),
            account: key.account,
            connection: None,
            actor: by.map_or_else(|| "command".to_owned(), Principal::actor),
            request: request.to_owned(),
            action,
            target_kind: "api-key",
            target_id: key.id.to_string(),
            before: None,
            after,
        }
    }
}
