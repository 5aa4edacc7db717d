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

    /// Whether only what is bound differs.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Roughly how many bytes it has, with what it binds.
    pub(super) fn size(&self) -> usize {
        let bound = |value: &Value| if let Value::String(Some(text)) = value { text.len() } else { 8 };
        self.text.len() + self.values.iter().map(bound).sum::<usize>()
    }

    /// One statement whose columns are the only values of these.
    pub(super) fn side_by_side(mut many: Vec<Self>) -> Self {
        if many.len() == 1
            && let Some(single) = many.pop()
        {
            return single;
        }
        let mut all = Self::new("");
        for (n, sql) in many.into_iter().enumerate() {
            all.push_str(if n == 0 { "SELECT (" } else { "), (" });
            all.push(sql);
        }
        all.push_str(")");
        all
    }

    /// Adds text.
    pub(super) fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds `LIMIT`.
    ///
    /// SQLite (3.51) looks at the value bound to a bare `LIMIT ?` when planning, and therefore prepares the statement anew
    /// each time another one is bound, which costs more than most statements do. It does not look into a sum.
    ///
    /// PostgreSQL takes a limit that it does not know for a tenth of all rows, finds every plan that knows it cheaper, and
    /// therefore plans anew each time. It gets the number itself; there are few different ones.
    pub(super) fn push_limit(&mut self, rows: u64) {
        self.push(Self::new(format!(" LIMIT {KNOWN}")).bind(i64::try_from(rows).unwrap_or(i64::MAX)));
    }

    /// Adds `OFFSET`, unless nothing is passed over.
    pub(super) fn push_offset(&mut self, rows: u64) {
        if rows > 0 {
            self.push(Self::new(" OFFSET ? + 0").bind(i64::try_from(rows).unwrap_or(i64::MAX)));
        }
    }

    pub(super) fn statement(self, backend: DbBackend) -> Statement {
        let (sql, values) = if backend == DbBackend::Postgres {
            numbered(&self.text, self.values)
        } else {
            (self.text.replace(KNOWN, "? + 0"), self.values)
        };
        Statement { sql, values: Some(Values(values)), db_backend: backend }
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
        if backend != DbBackend::Postgres {
            return Some(self.joined().statement(backend));
        }
        let mut all = Sql::new("");
        for (n, sql) in self.0.into_iter().enumerate() {
            if n == 0 {
                all.push_str("WITH w0 AS (");
            } else {
                all.push_str(&format!("), w{n} AS ("));
            }
            all.push(sql);
        }
        all.push_str(") SELECT 1");
        Some(all.statement(backend))
    }

    /// All changes one after the other as one text, which SQLite takes.
    pub(super) fn joined(self) -> Sql {
        let mut statements = self.0.into_iter();
        let mut all = statements.next().unwrap_or_else(|| Sql::new(""));
        for sql in statements {
            all.push_str("; ");
            all.push(sql);
        }
        all
    }
}

/// Stands for a `?` whose value belongs into the text on PostgreSQL.
const KNOWN: &str = "?\u{1}";

/// Replaces each `?` by `$1`, `$2` …, or by its value.
fn numbered(text: &str, values: Vec<Value>) -> (String, Vec<Value>) {
    let (mut out, mut bound) = (String::with_capacity(text.len() + 16), Vec::with_capacity(values.len()));
    let mut pieces = text.split('?');
    out.push_str(pieces.next().unwrap_or_default());
    let mut values = values.into_iter();
    for piece in pieces {
        match (piece.strip_prefix('\u{1}'), values.next()) {
            (Some(rest), Some(Value::BigInt(Some(number)))) => {
                out.push_str(&number.to_string());
                out.push_str(rest);
            }
            (known, value) => {
                bound.extend(value);
                out.push('$');
                out.push_str(&bound.len().to_string());
                out.push_str(known.unwrap_or(piece));
            }
        }
    }
    (out, bound)
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

    #[test]
    fn postgres_knows_the_limit() {
        let page = |offset| {
            let mut sql = Sql::new("SELECT a FROM b WHERE c = ?").bind("x");
            sql.push_limit(100);
            sql.push_offset(offset);
            sql.push(Sql::new(" -- ?").bind("y"));
            sql
        };
        let read = |statement: Statement| (statement.sql, statement.values.map_or(0, |values| values.0.len()));
        assert_eq!(
            read(page(7).statement(DbBackend::Postgres)),
            ("SELECT a FROM b WHERE c = $1 LIMIT 100 OFFSET $2 + 0 -- $3".to_owned(), 3)
        );
        assert_eq!(
            read(page(0).statement(DbBackend::Sqlite)),
            ("SELECT a FROM b WHERE c = ? LIMIT ? + 0 -- ?".to_owned(), 3)
        );
    }
}
