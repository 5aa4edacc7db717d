//! What accounts tell Flex at sign-in.

use crate::base::{AccountId, Timestamp};

use super::change::Change;
use super::error::StoreError;
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;

impl Change {
    /// Sets what an account tells Flex; the text is sealed.
    pub fn set_broker(&mut self, account: AccountId, sealed: &str, at: Timestamp) {
        self.push(
            Sql::new(
                "INSERT INTO broker (account_id, settings, updated_at) VALUES (?, ?, ?) \
                 ON CONFLICT (account_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at",
            )
            .bind(account.to_string())
            .bind(sealed)
            .bind(at.millis()),
        );
    }

    /// Tells Flex nothing any longer.
    pub fn delete_broker(&mut self, account: AccountId) {
        self.push(Sql::new("DELETE FROM broker WHERE account_id = ?").bind(account.to_string()));
    }
}

/// What an account tells Flex, sealed.
pub async fn of_account(session: &Session, account: AccountId) -> Result<Option<String>, StoreError> {
    let sql = Sql::new("SELECT settings FROM broker WHERE account_id = ?").bind(account.to_string());
    session.one(sql).await?.map(|row| row.text("settings")).transpose()
}
