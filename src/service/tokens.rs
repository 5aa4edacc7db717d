//! Bearer tokens: made, listed, replaced and revoked.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{SecretToken, TokenId, UserId, fold};
use crate::domain::Scope;
use crate::store::accounts::Account;
use crate::store::connections::Connection;
use crate::store::credentials::{Expiring, Selection};
use crate::store::tokens::{self, Token};

use super::core::Core;
use super::credentials::{WARNED_BEFORE, missing, replaced, still_there};
use super::error::ServiceError;

/// What SCIM tokens begin with, so that they are recognised when they leak.
pub const PREFIX: &str = "rcs_";

/// What a token is to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// What it is for, in words.
    pub label: String,
    /// How long it opens anything; none: until it is revoked.
    pub lifetime: Option<Duration>,
    /// What it may do.
    pub scope: Scope,
    /// The user that it stands for; then it reads `/Me` and discovery, and nothing else.
    pub user: Option<UserId>,
}

impl Core {
    /// Makes a token for a connection that may read and write. The secret is shown once, here.
    pub async fn create_token(
        &self,
        connection: &Connection,
        label: &str,
        lifetime: Option<Duration>,
    ) -> Result<(Token, SecretToken), ServiceError> {
        let wanted = NewToken { label: label.to_owned(), lifetime, ..NewToken::default() };
        self.create_token_with(connection, wanted).await
    }

    /// Makes a token for a connection. The secret is shown once, here.
    pub async fn create_token_with(
        &self,
        connection: &Connection,
        wanted: NewToken,
    ) -> Result<(Token, SecretToken), ServiceError> {
        let secret = SecretToken::generate(&self.ambient, PREFIX);
        let now = self.ambient.now();
        let token = Token {
            id: self.ambient.id(),
            account: connection.account,
            connection: connection.id,
            label: wanted.label,
            hint: secret.hint(),
            // Who stands for one user changes nothing.
            scope: if wanted.user.is_some() { Scope::Read } else { wanted.scope },
            user: wanted.user,
            replaced_by: None,
            created_at: now,
            expires_at: wanted.lifetime.map(|lifetime| now.after(lifetime)),
            last_used_at: None,
            revoked_at: None,
        };
        let event = self.commanded("token.create", &token, None, Some(described(&token)));
        let (made, hash) = (token.clone(), secret.hash());
        self.configure(move |change| {
            change.insert_token(&made, &hash);
            change.audit(&event)
        })
        .await?;
        Ok((token, secret))
    }

    /// Makes a token like another one, which ends after `overlap` or earlier. Without a lifetime the new one lives as long as
    /// the old one was to.
    ///
    /// # Errors
    /// When there is no such token, or it has ended or been replaced already.
    pub async fn rotate_token(
        &self,
        account: &Account,
        id: &str,
        overlap: Duration,
        lifetime: Option<Duration>,
    ) -> Result<(Token, SecretToken), ServiceError> {
        let old = self.token(account, id).await?;
        let now = self.ambient.now();
        let (end, expires_at) = replaced(&old, now, overlap, lifetime)?;
        let secret = SecretToken::generate(&self.ambient, PREFIX);
        let new = Token {
            id: self.ambient.id(),
            hint: secret.hint(),
            created_at: now,
            expires_at,
            last_used_at: None,
            ..old.clone()
        };
        let after = json!({"expires": end, "replaced_by": new.id});
        let events = [
            self.commanded("token.create", &new, None, Some(described(&new))),
            self.commanded("token.rotate", &old, Some(json!({"expires": old.expires_at})), Some(after)),
        ];
        let (made, hash) = (new.clone(), secret.hash());
        self.store
            .configure(move |tx| {
                let (made, hash, events, old) = (made.clone(), hash.clone(), events.clone(), old.id);
                Box::pin(async move {
                    still_there(tokens::by_id(tx, made.account, old).await?.as_ref())?;
                    let mut change = tx.change();
                    change.insert_token(&made, &hash);
                    change.replace_token(made.account, old, made.id, end);
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

    /// The id of an active user of a connection by its `userName`, in any case.
    ///
    /// # Errors
    /// When there is none.
    pub async fn active_user(&self, connection: &Connection, user_name: &str) -> Result<UserId, ServiceError> {
        let found = tokens::active_user(self.store.read(), connection.account, connection.id, &fold(user_name)).await?;
        found.ok_or_else(|| ServiceError::Missing {
            kind: "active user",
            name: user_name.to_owned(),
            hint: format!(" among those that connection '{}' provisioned", connection.name),
        })
    }

    /// Tokens of all accounts that end within [`WARNED_BEFORE`].
    pub async fn expiring_tokens(&self) -> Result<Vec<Expiring<Token>>, ServiceError> {
        let now = self.ambient.now();
        Ok(tokens::expiring(self.store.read(), now, now.after(WARNED_BEFORE)).await?)
    }

    /// The tokens of an account that are wanted, oldest first.
    pub async fn list_tokens(&self, account: &Account, selection: &Selection) -> Result<Vec<Token>, ServiceError> {
        Ok(tokens::list(self.store.read(), account.id, selection).await?)
    }

    /// Revokes a token: it opens nothing from the next request on, in any process. Revoking twice changes nothing.
    pub async fn revoke_token(&self, account: &Account, id: &str) -> Result<Token, ServiceError> {
        let token = self.token(account, id).await?;
        if token.revoked_at.is_some() {
            return Ok(token);
        }
        let now = self.ambient.now();
        let event = self.commanded("token.revoke", &token, None, None);
        let (account, id) = (account.id, token.id);
        self.configure(move |change| {
            change.revoke_token(account, id, now);
            change.audit(&event)
        })
        .await?;
        Ok(Token { revoked_at: Some(now), ..token })
    }

    async fn token(&self, account: &Account, id: &str) -> Result<Token, ServiceError> {
        let missing = || missing::<Token>(account, id);
        let token: TokenId = id.parse().map_err(|_| missing())?;
        tokens::by_id(self.store.read(), account.id, token).await?.ok_or_else(missing)
    }
}

fn described(token: &Token) -> Value {
    json!({"label": token.label, "hint": token.hint, "scope": token.scope, "user": token.user, "expires": token.expires_at})
}
