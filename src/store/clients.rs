//! OAuth clients of connections, and the access tokens that they got.

use crate::base::{AccountId, ClientId, ConnectionId, Timestamp};
use crate::domain::Scope;

use super::change::Change;
use super::connections::{self, Connection};
use super::credentials::{self, Expiring, Selection};
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// A client, without its secret: only the hash is kept.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id, which is the `client_id` on the wire.
    pub id: ClientId,
    /// The account of its connection.
    pub account: AccountId,
    /// The one connection that it speaks for.
    pub connection: ConnectionId,
    /// What it is for, in words.
    pub label: String,
    /// The first characters of its secret.
    pub hint: String,
    /// The most that its access tokens may do.
    pub scope: Scope,
    /// The client that took its place.
    pub replaced_by: Option<ClientId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; none: never.
    pub expires_at: Option<Timestamp>,
    /// When it last got an access token.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Client {
    /// Whether it opens anything at that time.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// An access token as it is stored.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Who got it.
    pub client: ClientId,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

const COLUMNS: &str = "id, account_id, connection_id, label, hint, secret_hash, scope, replaced_by, created_at, expires_at, last_used_at, revoked_at";

impl Change {
    /// Records a client.
    pub fn insert_client(&mut self, client: &Client, secret_hash: &str) {
        self.push(
            Sql::new("INSERT INTO oauth_client (id, account_id, connection_id, label, hint, secret_hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(client.id.to_string())
                .bind(client.account.to_string())
                .bind(client.connection.to_string())
                .bind(client.label.as_str())
                .bind(client.hint.as_str())
                .bind(secret_hash)
                .bind(client.scope.as_str())
                .bind(client.created_at.millis())
                .bind(client.expires_at.map(Timestamp::millis)),
        );
    }

    /// Lets a client end in favour of another one.
    pub fn replace_client(&mut self, account: AccountId, client: ClientId, by: ClientId, end: Timestamp) {
        self.push(
            Sql::new(
                "UPDATE oauth_client SET replaced_by = ?, expires_at = ? WHERE account_id = ? AND id = ? AND revoked_at IS NULL",
            )
            .bind(by.to_string())
            .bind(end.millis())
            .bind(account.to_string())
            .bind(client.to_string()),
        );
    }

    /// Revokes a client and with it its access tokens.
    pub fn revoke_client(&mut self, account: AccountId, client: ClientId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE oauth_client SET revoked_at = ? WHERE account_id = ? AND id = ? AND revoked_at IS NULL")
                .bind(at.millis())
                .bind(account.to_string())
                .bind(client.to_string()),
        );
    }

    /// Records an access token, and that its client was used.
    pub fn insert_access_token(&mut self, token: &AccessToken, hash: &str) {
        self.push(
            Sql::new(
                "INSERT INTO access_token (hash, client_id, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(hash)
            .bind(token.client.to_string())
            .bind(token.scope.as_str())
            .bind(token.created_at.millis())
            .bind(token.expires_at.millis()),
        );
        self.push(
            Sql::new("UPDATE oauth_client SET last_used_at = ? WHERE id = ?")
                .bind(token.created_at.millis())
                .bind(token.client.to_string()),
        );
    }
}

/// Good clients of enabled connections that end after `now` and not after `until`, the first to end first.
pub async fn expiring(
    session: &Session,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Expiring<Client>>, StoreError> {
    credentials::expiring(session, ("oauth_client", COLUMNS), now, until, read).await
}

/// The clients of an account, oldest first.
pub async fn list(session: &Session, account: AccountId, selection: &Selection) -> Result<Vec<Client>, StoreError> {
    credentials::list(session, ("oauth_client", COLUMNS), account, selection, read).await
}

/// One client of an account.
pub async fn by_id(session: &Session, account: AccountId, id: ClientId) -> Result<Option<Client>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM oauth_client WHERE account_id = ? AND id = ?"))
        .bind(account.to_string())
        .bind(id.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// A client of any account with the hash of its secret and its connection, whatever the state of both.
pub async fn with_secret(session: &Session, id: ClientId) -> Result<Option<(Client, String, Connection)>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM oauth_client WHERE id = ?")).bind(id.to_string());
    let Some(row) = session.one(sql).await? else { return Ok(None) };
    let (client, hash) = (read(&row)?, row.text("secret_hash")?);
    let connection = connections::by_id(session, client.connection).await?;
    Ok(connection.map(|connection| (client, hash, connection)))
}

/// The access token with that hash with its client and connection, whatever their states.
pub async fn access_token(
    session: &Session,
    hash: &str,
) -> Result<Option<(AccessToken, Client, Connection)>, StoreError> {
    let sql = Sql::new("SELECT client_id, scope, created_at, expires_at FROM access_token WHERE hash = ?").bind(hash);
    let Some(row) = session.one(sql).await? else { return Ok(None) };
    let token = AccessToken {
        client: row.parsed("access_token", "client_id")?,
        scope: row.parsed("access_token", "scope")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        expires_at: Timestamp::from_millis(row.int("expires_at")?),
    };
    let found = with_secret(session, token.client).await?;
    Ok(found.map(|(client, _, connection)| (token, client, connection)))
}

/// Deletes access tokens that ended before a time, at most `limit`; says how many.
pub async fn sweep_access_tokens(tx: &Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    tx.run(
        Sql::new("DELETE FROM access_token WHERE hash IN (SELECT hash FROM access_token WHERE expires_at < ? ORDER BY expires_at LIMIT ? + 0)")
            .bind(before.millis())
            .bind(i64::from(limit)),
    )
    .await
}

fn read(row: &sea_orm::QueryResult) -> Result<Client, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    Ok(Client {
        id: row.parsed("oauth_client", "id")?,
        account: row.parsed("oauth_client", "account_id")?,
        connection: row.parsed("oauth_client", "connection_id")?,
        label: row.text("label")?,
        hint: row.text("hint")?,
        scope: row.parsed("oauth_client", "scope")?,
        replaced_by: row.parsed_opt("oauth_client", "replaced_by")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
        revoked_at: time("revoked_at")?,
    })
}
