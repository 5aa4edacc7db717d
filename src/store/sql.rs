//! Statements written once for both databases.

use sea_orm::{DbBackend, Statement, Value, Values};

/// A statement with `?` where values are bound. It must hold no other question mark.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Binds the next value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds text and the values that it binds.
    pub(super) fn push(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.values.extend(other.values);
    }

    /// Adds text.
    pub(super) fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds `LIMIT`.
    ///
    /// SQLite (3.51) looks at the value bound to a bare `LIMIT ?` when planning, and therefore prepares the statement anew
    /// each time another one is bound, which costs more than most statements do. It does not look into a sum.
    pub(super) fn push_limit(&mut self, rows: u64) {
        self.push(Self::new(" LIMIT ? + 0").bind(i64::try_from(rows).unwrap_or(i64::MAX)));
    }

    /// Adds `OFFSET`.
    pub(super) fn push_offset(&mut self, rows: u64) {
        self.push(Self::new(" OFFSET ? + 0").bind(i64::try_from(rows).unwrap_or(i64::MAX)));
    }

    pub(super) fn statement(self, backend: DbBackend) -> Statement {
        let text = if backend == DbBackend::Postgres { numbered(&self.text) } else { self.text };
        Statement { sql: text, values: Some(Values(self.values)), db_backend: backend }
    }
}

/// Changes that are sent to the database in one go.
///
/// The cost of a write on SQLite is the hop to the connection's thread for each statement, and on PostgreSQL the round
/// trip. SQLite takes the statements as one text; PostgreSQL as data-modifying CTEs of one statement, where none sees
/// what the others did and no row may be touched twice.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<Sql>);

impl Batch {
    pub(super) fn push(&mut self, sql: Sql) {
        self.0.push(sql);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One statement of PostgreSQL that makes all changes and answers what the last one returns.
    pub(super) fn returning(self, last: Sql) -> Sql {
        let mut all = Sql::new("WITH ");
        for (n, sql) in self.0.into_iter().enumerate() {
            all.push_str(&format!("w{n} AS ("));
            all.push(sql);
            all.push_str("), ");
        }
        all.push_str("last AS (");
        all.push(last);
        all.push_str(") SELECT * FROM last");
        all
    }

    pub(super) fn statement(mut self, backend: DbBackend) -> Option<Statement> {
        if self.0.len() < 2 {
            return self.0.pop().map(|sql| sql.statement(backend));
        }
        let mut all = Sql::new("");
        let postgres = backend == DbBackend::Postgres;
        for (n, sql) in self.0.into_iter().enumerate() {
            match (postgres, n) {
                (true, 0) => all.push_str("WITH w0 AS ("),
                (true, n) => all.push_str(&format!("), w{n} AS (")),
                (false, 0) => {}
                (false, _) => all.push_str("; "),
            }
            all.push(sql);
        }
        if postgres {
            all.push_str(") SELECT 1");
        }
        Some(all.statement(backend))
    }
}

/// Replaces each `?` by `$1`, `$2` …
fn numbered(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (n, piece) in text.split('?').enumerate() {
        if n > 0 {
            out.push('$');
            out.push_str(&n.to_string());
        }
        out.push_str(piece);
    }
    out
}

/// `?, ?, ?`
pub(super) fn marks(n: usize) -> String {
    let mut text = "?, ".repeat(n);
    text.truncate(text.len().saturating_sub(2));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_one_statement_on_both() {
        let batch = || {
            let mut batch = Batch::default();
            batch.push(Sql::new("INSERT INTO a VALUES (?, ?)").bind(1).bind("x"));
            batch.push(Sql::new("UPDATE b SET c = ?").bind(2));
            batch
        };
        let sqlite = batch().statement(DbBackend::Sqlite).unwrap();
        assert_eq!(sqlite.sql, "INSERT INTO a VALUES (?, ?); UPDATE b SET c = ?");
        let postgres = batch().statement(DbBackend::Postgres).unwrap();
        assert_eq!(postgres.sql, "WITH w0 AS (INSERT INTO a VALUES ($1, $2)), w1 AS (UPDATE b SET c = $3) SELECT 1");
        assert_eq!(postgres.values.map(|v| v.0.len()), Some(3));
        let returning =
            batch().returning(Sql::new("UPDATE d SET e = ? RETURNING f").bind(3)).statement(DbBackend::Postgres);
        assert_eq!(
            returning.sql,
            "WITH w0 AS (INSERT INTO a VALUES ($1, $2)), w1 AS (UPDATE b SET c = $3), last AS (UPDATE d SET e = $4 RETURNING f) SELECT * FROM last"
        );
        assert!(Batch::default().statement(DbBackend::Sqlite).is_none());
        assert_eq!(marks(3), "?, ?, ?");
    }
}
