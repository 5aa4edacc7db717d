//! What one change writes, collected so that it is sent in one go.

use sea_orm::QueryResult;

use crate::base::ConnectionId;

use super::error::StoreError;
use super::session::Tx;
use super::sql::{Batch, Sql};

/// Statements are sent in groups of this many at most, to stay below the limits on bound values.
const GROUP: usize = 200;

/// The rows that one change writes. Each table's module adds its own methods.
///
/// The parts of one change must not touch the same row twice, and must not depend on what another part wrote.
#[derive(Debug)]
pub struct Change {
    statements: Vec<Sql>,
    postgres: bool,
}

/// PostgreSQL spreads the writers of one counter over this many rows: each is locked until its writer has committed.
const STRIPES: u128 = 64;

impl Change {
    pub(super) fn is_postgres(&self) -> bool {
        self.postgres
    }

    /// Counts resources up or down. `id` spreads the writers.
    pub(super) fn count(&mut self, connection: ConnectionId, kind: &str, by: i64, id: uuid::Uuid) {
        let stripe = if self.postgres { i64::try_from(id.as_u128() % STRIPES).unwrap_or(0) } else { 0 };
        self.push(
            Sql::new(
                "INSERT INTO counter (connection_id, kind, stripe, total) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (connection_id, kind, stripe) DO UPDATE SET total = counter.total + excluded.total",
            )
            .bind(connection.to_string())
            .bind(kind)
            .bind(stripe)
            .bind(by),
        );
    }

    pub(super) fn push(&mut self, sql: Sql) {
        self.statements.push(sql);
    }

    /// Adds all that another change writes.
    pub fn append(&mut self, other: Self) {
        self.statements.extend(other.statements);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

impl Tx {
    /// An empty change.
    #[must_use]
    pub fn change(&self) -> Change {
        Change { statements: Vec::new(), postgres: self.is_postgres() }
    }

    /// Writes all of a change.
    pub async fn apply(&self, change: Change) -> Result<(), StoreError> {
        let mut statements = change.statements.into_iter().peekable();
        while statements.peek().is_some() {
            let mut batch = Batch::default();
            for sql in statements.by_ref().take(GROUP) {
                batch.push(sql);
            }
            self.run_all(batch).await?;
        }
        Ok(())
    }

    /// Writes all of a change together with one more statement, which returns a row (`RETURNING`): on PostgreSQL, where
    /// they share a round trip.
    pub(super) async fn apply_returning(&self, change: Change, last: Sql) -> Result<Option<QueryResult>, StoreError> {
        if change.statements.len() >= GROUP {
            self.apply(change).await?;
            return Ok(self.all_writing(last).await?.pop());
        }
        let mut batch = Batch::default();
        for sql in change.statements {
            batch.push(sql);
        }
        Ok(self.all_writing(batch.returning(last)).await?.pop())
    }

    /// Writes all of a change of which only the first part can meet a unique index.
    pub async fn apply_unless_taken(&self, change: Change) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for sql in change.statements {
            batch.push(sql);
        }
        if batch.is_empty() { Ok(()) } else { self.run_all_unless_taken(batch).await }
    }
}
