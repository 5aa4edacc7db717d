//! Bearer tokens: made, listed, revoked, and checked at each request.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use serde_json::json;

use crate::base::{ConnectionId, SecretToken, TokenId, token_hash};
use crate::scim::ScimError;
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::connections::Connection;
use crate::store::tokens::{self, Token};

use super::cache::{Caller, KnownToken};
use super::core::Core;
use super::error::ServiceError;

/// What SCIM tokens begin with, so that they are recognised when they leak.
pub const PREFIX: &str = "rcs_";

impl Core {
    /// Makes a token for a connection. The secret is shown once, here.
    pub async fn create_token(
        &self,
        connection: &Connection,
        label: &str,
        lifetime: Option<Duration>,
    ) -> Result<(Token, SecretToken), ServiceError> {
        let secret = SecretToken::generate(&self.ambient, PREFIX);
        let now = self.ambient.now();
        let token = Token {
            id: self.ambient.id(),
            account: connection.account,
            connection: connection.id,
            label: label.to_owned(),
            hint: secret.hint(),
            created_at: now,
            expires_at: lifetime.map(|lifetime| now.after(lifetime)),
            last_used_at: None,
            revoked_at: None,
        };
        let event = AuditEvent {
            id: self.ambient.id(),
            at: now,
            account: connection.account,
            connection: Some(connection.id),
            actor: "command".to_owned(),
            request: String::new(),
            action: "token.create",
            target_kind: "token",
            target_id: token.id.to_string(),
            before: None,
            after: Some(json!({"label": label, "hint": token.hint, "expires": token.expires_at})),
        };
        let (made, hash) = (token.clone(), secret.hash());
        self.store
            .configure(move |tx| {
                let (made, hash, event) = (made.clone(), hash.clone(), event.clone());
                Box::pin(async move {
                    let mut change = tx.change();
                    change.insert_token(&made, &hash);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok((token, secret))
    }

    /// The tokens of an account, or of one of its connections.
    pub async fn list_tokens(
        &self,
        account: &Account,
        connection: Option<ConnectionId>,
    ) -> Result<Vec<Token>, ServiceError> {
        Ok(tokens::list(self.store.read(), account.id, connection).await?)
    }

    /// Revokes a token: it opens nothing from the next request on, in any process. Revoking twice changes nothing.
    pub async fn revoke_token(&self, account: &Account, id: &str) -> Result<Token, ServiceError> {
        let missing = || ServiceError::Missing {
            kind: "token",
            name: id.to_owned(),
            hint: format!("; see `rollcall token list --account {}`", account.name),
        };
        let token_id: TokenId = id.parse().map_err(|_| missing())?;
        let token = tokens::by_id(self.store.read(), account.id, token_id).await?.ok_or_else(missing)?;
        if token.revoked_at.is_some() {
            return Ok(token);
        }
        let now = self.ambient.now();
        let event = AuditEvent {
            id: self.ambient.id(),
            at: now,
            account: account.id,
            connection: Some(token.connection),
            actor: "command".to_owned(),
            request: String::new(),
            action: "token.revoke",
            target_kind: "token",
            target_id: token.id.to_string(),
            before: None,
            after: None,
        };
        let account_id = account.id;
        self.store
            .configure(move |tx| {
                let event = event.clone();
                Box::pin(async move {
                    let mut change = tx.change();
                    change.revoke_token(account_id, token_id, now);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok(Token { revoked_at: Some(now), ..token })
    }

    /// Who sends a request, by its `Authorization` header. Okta's header mode sends the token without the word Bearer
    /// (`fixtures/okta/header-mode.json`).
    pub async fn authenticate(&self, authorization: Option<&str>, request: Arc<str>) -> Result<Caller, ServiceError> {
        let header = authorization.map(str::trim).unwrap_or_default();
        let token = match header.split_once(char::is_whitespace) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) => "",
            None => header,
        };
        if !token.starts_with(PREFIX) || token.len() > 200 {
            return Err(unauthorized().into());
        }
        let hash = token_hash(token);
        let epoch = self.store.epoch().await?;
        let known = match self.caches.token(epoch, &hash) {
            Some(known) => known,
            None => self.load_token(epoch, hash).await?,
        };
        let now = self.ambient.now();
        if !known.token.is_good(now) || !known.connection.enabled {
            return Err(unauthorized().into());
        }
        if known.is_due_for_touch(now) {
            self.touch(known.token.id, now).await;
        }
        Ok(Caller {
            account: known.connection.account,
            connection: known.connection.id,
            name: Arc::from(known.connection.name.as_str()),
            dialect: known.dialect,
            token: known.token.id,
            request,
        })
    }

    async fn load_token(&self, epoch: i64, hash: String) -> Result<Arc<KnownToken>, ServiceError> {
        let (token, connection) = tokens::by_hash(self.store.read(), &hash).await?.ok_or_else(unauthorized)?;
        let dialect = connection.dialect.parse().map_err(|_| {
            ServiceError::Store(crate::store::StoreError::Damaged {
                table: "connection",
                what: format!("dialect is '{}'", connection.dialect),
            })
        })?;
        let touched = AtomicI64::new(token.last_used_at.map_or(0, crate::base::Timestamp::millis));
        let known = Arc::new(KnownToken { token, connection, dialect, touched });
        self.caches.keep_token(epoch, hash, Arc::clone(&known));
        Ok(known)
    }

    /// A failure here is logged and costs a date on a page, not the request.
    async fn touch(&self, token: TokenId, at: crate::base::Timestamp) {
        let touched = self.store.keep(move |tx| Box::pin(tokens::touch(tx, token, at))).await;
        if let Err(error) = touched {
            tracing::warn!(error = %crate::base::Causes(&error), "the last use of a token was not recorded");
        }
    }
}

/// The same answer for a missing, unknown, expired or revoked token and for a disabled connection: a stranger learns nothing.
fn unauthorized() -> ScimError {
    ScimError::unauthorized(
        "The request needs a valid token of an enabled connection in the Authorization header. Make one with `rollcall token create`, and set it as the identity provider's API token.",
    )
}
