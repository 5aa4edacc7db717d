//! What can go wrong in the database.

use sea_orm::{DbErr, SqlErr};

/// A failure of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with these values exists already.
    #[error("{0} is already taken")]
    Conflict(Taken),
    /// The database cannot be reached or is overloaded; the same call may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] DbErr),
    /// The database refused what we asked, or gave what we did not expect: a fault of ours.
    #[error("the database refused a statement")]
    Bug(#[source] DbErr),
    /// A row holds what it never should.
    #[error("a row of {table} is damaged: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A job cannot go on beside others: the writer runs it again by itself, so that nobody sees this.
    #[error("the change has to run by itself")]
    RunAlone,
    /// A stored secret could not be sealed or opened.
    #[error("a stored secret could not be used")]
    Sealed(#[from] crate::base::SealError),
}

/// What a conflict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The userName of another user of the account.
    UserName,
    /// The displayName of another group of the connection.
    GroupName,
    /// The name of another account.
    AccountName,
    /// The name of another connection of the installation.
    ConnectionName,
    /// Something that only a fault of ours can make equal.
    Other,
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UserName => "the userName",
            Self::GroupName => "the displayName",
            Self::AccountName => "the account's name",
            Self::ConnectionName => "the connection's name",
            Self::Other => "a unique value",
        })
    }
}

/// PostgreSQL names the constraint in its message, SQLite the columns.
const CONSTRAINTS: [(&str, &str, Taken); 4] = [
    ("user_name_unique", "user.user_name_fold", Taken::UserName),
    ("group_name_unique", "group.display_name_fold", Taken::GroupName),
    ("account_name_key", "account.name", Taken::AccountName),
    ("connection_name_key", "connection.name", Taken::ConnectionName),
];

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(message)) => {
                let taken = CONSTRAINTS
                    .iter()
                    .find(|(postgres, sqlite, _)| message.contains(postgres) || message.contains(sqlite))
                    .map_or(Taken::Other, |(_, _, taken)| *taken);
                Self::Conflict(taken)
            }
            _ if is_passing(&error) => Self::Unavailable(error),
            _ => Self::Bug(error),
        }
    }
}

impl StoreError {
    /// Whether a statement failed because its table does not exist.
    pub(super) fn is_missing_table(&self) -> bool {
        matches!(self, Self::Bug(error) if is_missing_table(error))
    }

    /// Whether the same transaction may succeed if it runs again at once: deadlocks and serialization failures of
    /// PostgreSQL (SQLSTATE 40P01, 40001), rows that others deleted meanwhile (23503), and a SQLite file that another process was writing.
    pub(super) fn is_worth_repeating(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        ["40P01", "40001", "23503", "5", "261", "517", "6", "262"].contains(&code(error).as_str())
    }
}

fn is_missing_table(error: &DbErr) -> bool {
    // SQLite has no code of its own for that.
    code(error) == "42P01" || database_error(error).is_some_and(|error| error.message().starts_with("no such table"))
}

fn is_passing(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    let code = code(error);
    // A foreign key that broke under a transaction: somebody deleted what it refers to, and a second look sees that.
    if code == "23503" {
        return true;
    }
    // PostgreSQL classes: connection, resources, operator intervention, system; SQLite: busy, locked, I/O, full, cannot open.
    ["08", "40", "53", "57", "58"].iter().any(|class| code.len() == 5 && code.starts_with(class))
        || (code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14)))
        || is_io(error)
}

fn code(error: &DbErr) -> String {
    database_error(error).and_then(|e| e.code().map(std::borrow::Cow::into_owned)).unwrap_or_default()
}

fn database_error(error: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    sqlx_error(error).and_then(sqlx::Error::as_database_error)
}

fn is_io(error: &DbErr) -> bool {
    matches!(
        sqlx_error(error),
        Some(
            sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Tls(_)
        )
    )
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    use sea_orm::RuntimeErr::SqlxError;
    match error {
        DbErr::Exec(SqlxError(e)) | DbErr::Query(SqlxError(e)) | DbErr::Conn(SqlxError(e)) => Some(e),
        _ => None,
    }
}
