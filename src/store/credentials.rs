//! What tokens and OAuth clients have in common: they belong to a connection, end, and are revoked.

use crate::base::{AccountId, ConnectionId, Timestamp};

use super::error::StoreError;
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;

/// Which of an account's tokens or clients are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection {
    /// Those of one connection.
    pub connection: Option<ConnectionId>,
    /// Those that open something at that time.
    pub good_at: Option<Timestamp>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

/// One that ends soon, with what it belongs to.
#[derive(Clone, Debug)]
pub struct Expiring<T> {
    /// The token or client.
    pub it: T,
    /// The name of its connection.
    pub connection: String,
    /// The name of its account.
    pub account: String,
}

/// A row of one of the two tables as its module reads it.
type Read<T> = fn(&sea_orm::QueryResult) -> Result<T, StoreError>;

/// Those of an account that are wanted, oldest first.
pub(super) async fn list<T>(
    session: &Session,
    (table, columns): (&str, &str),
    account: AccountId,
    selection: &Selection,
    read: Read<T>,
) -> Result<Vec<T>, StoreError> {
    let mut sql = Sql::new(format!("SELECT {columns} FROM {table} WHERE account_id = ?")).bind(account.to_string());
    if let Some(connection) = selection.connection {
        sql.push(Sql::new(" AND connection_id = ?").bind(connection.to_string()));
    }
    if let Some(now) = selection.good_at {
        let good = " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)";
        sql.push(Sql::new(good).bind(now.millis()));
    }
    sql.push_str(" ORDER BY id DESC");
    sql.push_limit(selection.limit.unwrap_or(u32::MAX).into());
    session.all(sql).await?.iter().rev().map(read).collect()
}

/// Good ones of enabled connections that end after `now` and not after `until`, the first to end first.
pub(super) async fn expiring<T>(
    session: &Session,
    (table, columns): (&str, &str),
    now: Timestamp,
    until: Timestamp,
    read: Read<T>,
) -> Result<Vec<Expiring<T>>, StoreError> {
    let sql = Sql::new(format!(
        "SELECT {columns}, (SELECT name FROM connection WHERE connection.id = {table}.connection_id) AS connection_name, \
         (SELECT name FROM account WHERE account.id = {table}.account_id) AS account_name FROM {table} \
         WHERE expires_at > ? AND expires_at <= ? AND expires_at IS NOT NULL AND revoked_at IS NULL \
         AND EXISTS (SELECT 1 FROM connection WHERE connection.id = {table}.connection_id AND connection.state = 'enabled') \
         ORDER BY expires_at"
    ))
    .bind(now.millis())
    .bind(until.millis());
    let row = |row: &sea_orm::QueryResult| {
        Ok(Expiring { it: read(row)?, connection: row.text("connection_name")?, account: row.text("account_name")? })
    };
    session.all(sql).await?.iter().map(row).collect()
}
