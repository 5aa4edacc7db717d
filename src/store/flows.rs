//! Sign-ins that were begun, and what was used once: both hold for all copies.

use crate::base::{ConnectionId, Timestamp};

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::{Session, Tx};
use super::sql::Sql;

/// A sign-in that was begun.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What the answer names.
    pub id: String,
    /// The connection that was asked.
    pub connection: ConnectionId,
    /// The hash of what the browser was given.
    pub browser: String,
    /// What the answer is compared with, sealed.
    pub sealed: String,
    /// When it is too late.
    pub expires_at: Timestamp,
}

impl Change {
    /// Notes a sign-in that begins.
    pub fn insert_flow(&mut self, flow: &Flow) {
        self.push(
            Sql::new(
                "INSERT INTO sign_in_flow (id, connection_id, browser, sealed, expires_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(flow.id.as_str())
            .bind(flow.connection.to_string())
            .bind(flow.browser.as_str())
            .bind(flow.sealed.as_str())
            .bind(flow.expires_at.millis()),
        );
    }
}

/// Takes a sign-in that was begun by this browser, if it is not too late: nobody gets it a second time.
pub async fn take(
    tx: &Tx,
    id: &str,
    connection: ConnectionId,
    browser: &str,
    now: Timestamp,
) -> Result<Option<Flow>, StoreError> {
    let sql = Sql::new(
        "DELETE FROM sign_in_flow WHERE id = ? AND connection_id = ? AND browser = ? AND expires_at > ? \
         RETURNING id, connection_id, browser, sealed, expires_at",
    )
    .bind(id)
    .bind(connection.to_string())
    .bind(browser)
    .bind(now.millis());
    let rows = tx.all_writing(sql).await?;
    rows.first()
        .map(|row| {
            Ok(Flow {
                id: row.text("id")?,
                connection: row.parsed("sign_in_flow", "connection_id")?,
                browser: row.text("browser")?,
                sealed: row.text("sealed")?,
                expires_at: Timestamp::from_millis(row.int("expires_at")?),
            })
        })
        .transpose()
}

/// The ids of the sign-ins that this browser began by this connection and that are still open, at most `limit`.
pub async fn open_of(
    session: &Session,
    connection: ConnectionId,
    browser: &str,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<String>, StoreError> {
    let mut sql = Sql::new(
        "SELECT id FROM sign_in_flow WHERE browser = ? AND connection_id = ? AND expires_at > ? ORDER BY expires_at DESC",
    )
    .bind(browser)
    .bind(connection.to_string())
    .bind(now.millis());
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(|row| row.text("id")).collect()
}

/// Uses something that may be used once; whether it was the first time.
pub async fn use_once(
    tx: &Tx,
    connection: ConnectionId,
    assertion: &str,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = Sql::new(
        "INSERT INTO used_assertion (connection_id, assertion_id, expires_at) VALUES (?, ?, ?) \
         ON CONFLICT (connection_id, assertion_id) DO NOTHING",
    )
    .bind(connection.to_string())
    .bind(assertion)
    .bind(expires_at.millis());
    Ok(tx.run(sql).await? == 1)
}

/// Deletes at most `limit` of each that are over; says how many.
pub async fn sweep(tx: &Tx, now: Timestamp, limit: u64) -> Result<u64, StoreError> {
    let mut swept = 0;
    for (table, key) in [("sign_in_flow", "id"), ("used_assertion", "(connection_id, assertion_id)")] {
        let columns = key.trim_matches(['(', ')']);
        let mut sql = Sql::new(format!(
            "DELETE FROM {table} WHERE {key} IN (SELECT {columns} FROM {table} WHERE expires_at <= ? ORDER BY expires_at"
        ))
        .bind(now.millis());
        sql.push_limit(limit);
        sql.push_str(")");
        swept += tx.run(sql).await?;
    }
    Ok(swept)
}
