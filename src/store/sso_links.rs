//! Which subject of an identity provider is which user.

use crate::base::{AccountId, ConnectionId, Timestamp, UserId};

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The connection.
    pub connection: ConnectionId,
    /// The identity provider.
    pub issuer: String,
    /// Whom it means.
    pub subject: String,
    /// The user.
    pub user: UserId,
}

impl Change {
    /// Makes a link, in place of an older one of the same subject: that one's user is gone.
    pub fn link(&mut self, link: &Link, at: Timestamp) {
        self.push(
            Sql::new(
                "INSERT INTO sso_link (connection_id, issuer, subject, user_id, linked_at) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (connection_id, issuer, subject) DO UPDATE SET user_id = excluded.user_id, linked_at = excluded.linked_at",
            )
            .bind(link.connection.to_string())
            .bind(link.issuer.as_str())
            .bind(link.subject.as_str())
            .bind(link.user.to_string())
            .bind(at.millis()),
        );
    }

    /// Notes when somebody signed in.
    pub fn note_sign_in(&mut self, account: AccountId, user: UserId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE \"user\" SET last_sign_in_at = ? WHERE account_id = ? AND id = ?")
                .bind(at.millis())
                .bind(account.to_string())
                .bind(user.to_string()),
        );
    }
}

/// The user that a subject is linked to, whatever became of it.
pub async fn user_of(
    session: &Session,
    connection: ConnectionId,
    issuer: &str,
    subject: &str,
) -> Result<Option<UserId>, StoreError> {
    let sql = Sql::new("SELECT user_id FROM sso_link WHERE connection_id = ? AND issuer = ? AND subject = ?")
        .bind(connection.to_string())
        .bind(issuer)
        .bind(subject);
    session.one(sql).await?.map(|row| row.parsed("sso_link", "user_id")).transpose()
}

/// The issuer and the subject that a user is linked to in a connection.
pub async fn link_of(
    session: &Session,
    connection: ConnectionId,
    user: UserId,
) -> Result<Option<(String, String)>, StoreError> {
    let sql = Sql::new(
        "SELECT issuer, subject FROM sso_link WHERE user_id = ? AND connection_id = ? ORDER BY issuer LIMIT 1",
    )
    .bind(user.to_string())
    .bind(connection.to_string());
    session.one(sql).await?.map(|row| Ok((row.text("issuer")?, row.text("subject")?))).transpose()
}

/// Forgets the links of a user; says how many.
pub async fn forget(tx: &super::Tx, user: UserId) -> Result<u64, StoreError> {
    tx.run(Sql::new("DELETE FROM sso_link WHERE user_id = ?").bind(user.to_string())).await
}

/// The users of a connection with that `externalId`, at most two: one more is no answer.
pub async fn by_external_id(
    session: &Session,
    connection: ConnectionId,
    external_id: &str,
) -> Result<Vec<UserId>, StoreError> {
    let sql = Sql::new(
        "SELECT id FROM \"user\" WHERE connection_id = ? AND external_id = ? AND status <> 'deleted' ORDER BY id LIMIT 2",
    )
    .bind(connection.to_string())
    .bind(external_id);
    session.all(sql).await?.iter().map(|row| row.parsed("user", "id")).collect()
}

/// Who has a folded userName in the account, and through which connection.
pub async fn by_user_name(
    session: &Session,
    account: AccountId,
    folded: &str,
) -> Result<Option<(UserId, Option<ConnectionId>)>, StoreError> {
    let sql = Sql::new(
        "SELECT id, connection_id FROM \"user\" WHERE account_id = ? AND user_name_fold = ? AND status <> 'deleted'",
    )
    .bind(account.to_string())
    .bind(folded);
    let read = |row: &sea_orm::QueryResult| Ok((row.parsed("user", "id")?, row.parsed_opt("user", "connection_id")?));
    session.one(sql).await?.as_ref().map(read).transpose()
}

/// Whether SCIM pushes to the connection: it has, or had, a token or a client. Revoking a leaked one opens nothing.
pub async fn has_scim(session: &Session, connection: ConnectionId) -> Result<bool, StoreError> {
    let sql = Sql::new(
        "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM scim_token WHERE connection_id = ?) \
         OR EXISTS (SELECT 1 FROM oauth_client WHERE connection_id = ?)",
    )
    .bind(connection.to_string())
    .bind(connection.to_string());
    Ok(session.one(sql).await?.is_some())
}
