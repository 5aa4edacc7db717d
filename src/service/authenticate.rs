//! Who sends a request.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crate::base::{Timestamp, token_hash};
use crate::scim::{Dialect, ScimError};
use crate::store::connections::Connection;
use crate::store::{StoreError, clients, tokens, users};

use super::cache::{Caller, KnownToken};
use super::clients::ACCESS_PREFIX;
use super::core::Core;
use super::error::ServiceError;
use super::pushes::Sender;
use super::tokens::PREFIX;

/// Longer than any token that we make.
const LONGEST: usize = 200;

/// Nobody may come in by this header.
#[derive(Debug)]
pub struct Refused {
    /// What to answer.
    pub error: ServiceError,
    /// Whose token it is, if it was good once.
    pub whose: Option<Box<Sender>>,
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Self { error, whose: None }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<ScimError> for Refused {
    fn from(error: ScimError) -> Self {
        ServiceError::from(error).into()
    }
}

impl Core {
    /// Who sends a request, by its `Authorization` header. Okta's header mode sends the token without the word Bearer
    /// (`fixtures/okta/header-mode.json`).
    pub async fn authenticate(&self, authorization: Option<&str>, request: Arc<str>) -> Result<Caller, Refused> {
        let token = bearer(authorization.unwrap_or_default());
        if !(token.starts_with(PREFIX) || token.starts_with(ACCESS_PREFIX)) || token.len() > LONGEST {
            return Err(unauthorized().into());
        }
        let hash = token_hash(token);
        let epoch = self.store.epoch().await?;
        let known = match self.caches.token(epoch, &hash) {
            Some(known) => known,
            None => self.load_token(epoch, hash, token.starts_with(ACCESS_PREFIX)).await?,
        };
        let now = self.ambient.now();
        if !known.is_good(now) || !self.user_is_active(&known).await? {
            return Err(Refused { error: unauthorized().into(), whose: Some(Box::new(known.sender())) });
        }
        Ok(Caller {
            account: known.connection.account,
            connection: known.connection.id,
            name: Arc::from(known.connection.name.as_str()),
            dialect: known.dialect,
            bearer: known.bearer,
            scope: known.scope,
            user: known.user,
            allow_from: Arc::clone(&known.connection.allow_from),
            request,
            used: known.touches.filter(|_| known.is_due_for_touch(now)),
            trail: Arc::default(),
        })
    }

    async fn load_token(&self, epoch: i64, hash: String, of_client: bool) -> Result<Arc<KnownToken>, ServiceError> {
        let found = if of_client { self.access_token(&hash).await? } else { self.scim_token(&hash).await? };
        let known = Arc::new(found.ok_or_else(unauthorized)?);
        self.caches.keep_token(epoch, hash, Arc::clone(&known));
        Ok(known)
    }

    /// Whether the user that a token stands for is still there and active. Asked at each request: no cache may keep
    /// somebody in who has left.
    async fn user_is_active(&self, known: &KnownToken) -> Result<bool, ServiceError> {
        let Some(user) = known.user else { return Ok(true) };
        let user = users::by_id(self.store.read(), known.connection.id, user).await?;
        Ok(user.is_some_and(|user| user.status.may_have_access()))
    }

    async fn scim_token(&self, hash: &str) -> Result<Option<KnownToken>, ServiceError> {
        let Some((token, connection)) = tokens::by_hash(self.store.read(), hash).await? else { return Ok(None) };
        Ok(Some(KnownToken {
            bearer: token.id.into(),
            touches: Some(token.id),
            scope: token.scope,
            user: token.user,
            revoked: token.revoked_at.is_some(),
            expires_at: token.expires_at,
            dialect: dialect_of(&connection)?,
            connection,
            touched: AtomicI64::new(token.last_used_at.map_or(0, Timestamp::millis)),
        }))
    }

    async fn access_token(&self, hash: &str) -> Result<Option<KnownToken>, ServiceError> {
        let found = clients::access_token(self.store.read(), hash).await?;
        let Some((token, client, connection)) = found else { return Ok(None) };
        Ok(Some(KnownToken {
            bearer: client.id.into(),
            touches: None,
            scope: token.scope,
            user: None,
            revoked: client.revoked_at.is_some(),
            // The client may have been replaced since.
            expires_at: Some(client.expires_at.map_or(token.expires_at, |end| end.min(token.expires_at))),
            dialect: dialect_of(&connection)?,
            connection,
            touched: AtomicI64::default(),
        }))
    }
}

fn dialect_of(connection: &Connection) -> Result<Dialect, ServiceError> {
    connection.dialect.parse().map_err(|_| {
        let what = format!("dialect is '{}'", connection.dialect);
        ServiceError::Store(StoreError::Damaged { table: "connection", what })
    })
}

/// The token of an `Authorization` header, with or without the word Bearer in any case; empty for other schemes.
fn bearer(header: &str) -> &str {
    let header = header.trim();
    match header.split_once(char::is_whitespace) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) => "",
        None => header,
    }
}

/// The same answer for a missing, unknown, expired or revoked token and for a disabled connection: a stranger learns nothing.
fn unauthorized() -> ScimError {
    ScimError::unauthorized(
        "The request needs a valid token of an enabled connection in the Authorization header. Make one with `rollcall token create`, and set it as the identity provider's API token.",
    )
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn the_word_bearer_may_be_there_or_not() {
        for header in ["Bearer rcs_x", "bearer rcs_x", "BEARER \t rcs_x ", "rcs_x", "  rcs_x "] {
            assert_eq!(bearer(header), "rcs_x", "{header}");
        }
        for header in ["", "Basic rcs_x", "Token rcs_x"] {
            assert_eq!(bearer(header), "", "{header}");
        }
    }
}
