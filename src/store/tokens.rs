//! Bearer tokens of connections.

use crate::base::{AccountId, ConnectionId, Timestamp, TokenId, UserId};
use crate::domain::Scope;

use super::change::Change;
use super::connections::{self, Connection};
use super::credentials::{self, Expiring, Selection};
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// A token, without its secret: only the hash is kept.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The account of its connection.
    pub account: AccountId,
    /// The one connection that it speaks for.
    pub connection: ConnectionId,
    /// What it is for, in words.
    pub label: String,
    /// Its first characters.
    pub hint: String,
    /// What it may do.
    pub scope: Scope,
    /// The user that it stands for.
    pub user: Option<UserId>,
    /// The token that took its place.
    pub replaced_by: Option<TokenId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; none: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Token {
    /// Whether it opens anything at that time.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

const COLUMNS: &str = "id, account_id, connection_id, label, hint, scope, user_id, replaced_by, created_at, expires_at, last_used_at, revoked_at";

impl Change {
    /// Records a token.
    pub fn insert_token(&mut self, token: &Token, hash: &str) {
        self.push(
            Sql::new("INSERT INTO scim_token (id, account_id, connection_id, label, hint, hash, scope, user_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(token.id.to_string())
                .bind(token.account.to_string())
                .bind(token.connection.to_string())
                .bind(token.label.as_str())
                .bind(token.hint.as_str())
                .bind(hash)
                .bind(token.scope.as_str())
                .bind(token.user.map(|user| user.to_string()))
                .bind(token.created_at.millis())
                .bind(token.expires_at.map(Timestamp::millis)),
        );
    }

    /// Lets a token end in favour of another one.
    pub fn replace_token(&mut self, account: AccountId, token: TokenId, by: TokenId, end: Timestamp) {
        self.push(
            Sql::new(
                "UPDATE scim_token SET replaced_by = ?, expires_at = ? WHERE account_id = ? AND id = ? AND revoked_at IS NULL",
            )
            .bind(by.to_string())
            .bind(end.millis())
            .bind(account.to_string())
            .bind(token.to_string()),
        );
    }

    /// Revokes a token.
    pub fn revoke_token(&mut self, account: AccountId, token: TokenId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE scim_token SET revoked_at = ? WHERE account_id = ? AND id = ? AND revoked_at IS NULL")
                .bind(at.millis())
                .bind(account.to_string())
                .bind(token.to_string()),
        );
    }
}

/// Good tokens of enabled connections that end after `now` and not after `until`, the first to end first.
pub async fn expiring(session: &Session, now: Timestamp, until: Timestamp) -> Result<Vec<Expiring<Token>>, StoreError> {
    credentials::expiring(session, ("scim_token", COLUMNS), now, until, read).await
}

/// The token with that hash, whatever its state, and its connection.
pub async fn by_hash(session: &Session, hash: &str) -> Result<Option<(Token, Connection)>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM scim_token WHERE hash = ?")).bind(hash);
    let Some(row) = session.one(sql).await? else { return Ok(None) };
    let token = read(&row)?;
    let connection = connections::by_id(session, token.connection).await?;
    Ok(connection.map(|connection| (token, connection)))
}

/// The tokens of an account, oldest first.
pub async fn list(session: &Session, account: AccountId, selection: &Selection) -> Result<Vec<Token>, StoreError> {
    credentials::list(session, ("scim_token", COLUMNS), account, selection, read).await
}

/// One token of an account.
pub async fn by_id(session: &Session, account: AccountId, id: TokenId) -> Result<Option<Token>, StoreError> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM scim_token WHERE account_id = ? AND id = ?"))
        .bind(account.to_string())
        .bind(id.to_string());
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// The active user of a connection with that `userName`, folded.
pub async fn active_user(
    session: &Session,
    account: AccountId,
    connection: ConnectionId,
    user_name_fold: &str,
) -> Result<Option<UserId>, StoreError> {
    let sql = Sql::new(
        "SELECT id FROM \"user\" WHERE account_id = ? AND user_name_fold = ? AND connection_id = ? \
         AND status <> 'deleted' AND status = 'active'",
    );
    let sql = sql.bind(account.to_string()).bind(user_name_fold).bind(connection.to_string());
    session.one(sql).await?.map(|row| row.parsed("user", "id")).transpose()
}

/// Notes that a token was used. It ends no epoch: nobody's cache depends on it.
pub async fn touch(tx: &Tx, token: TokenId, at: Timestamp) -> Result<(), StoreError> {
    tx.run(
        Sql::new("UPDATE scim_token SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)")
            .bind(at.millis())
            .bind(token.to_string())
            .bind(at.millis()),
    )
    .await?;
    Ok(())
}

fn read(row: &sea_orm::QueryResult) -> Result<Token, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.int_opt(column)?.map(Timestamp::from_millis));
    Ok(Token {
        id: row.parsed("scim_token", "id")?,
        account: row.parsed("scim_token", "account_id")?,
        connection: row.parsed("scim_token", "connection_id")?,
        label: row.text("label")?,
        hint: row.text("hint")?,
        scope: row.parsed("scim_token", "scope")?,
        user: row.parsed_opt("scim_token", "user_id")?,
        replaced_by: row.parsed_opt("scim_token", "replaced_by")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        expires_at: time("expires_at")?,
        last_used_at: time("last_used_at")?,
        revoked_at: time("revoked_at")?,
    })
}
