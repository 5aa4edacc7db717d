//! One text for both databases: what differs is written as a marker.

use sea_orm_migration::prelude::{DbErr, SchemaManager};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

/// Runs statements separated by a line `--` each, with the markers replaced by what the database calls them:
///
/// | marker | SQLite | PostgreSQL |
/// |---|---|---|
/// | `$text` | `TEXT` | `text COLLATE "C"`: compared by bytes, so that ranges and cursors mean the same on both |
/// | `$serial` | `INTEGER PRIMARY KEY` | an identity column that is the primary key |
/// | `$clustered` | `WITHOUT ROWID` | nothing |
/// | `$hot` | nothing | a fill factor that leaves room for updates in place |
///
/// A statement that begins with `[sqlite]` or `[postgres]` is for that database only.
pub async fn run(manager: &SchemaManager<'_>, script: &str) -> Result<(), DbErr> {
    let postgres = manager.get_database_backend() == DbBackend::Postgres;
    let markers = if postgres {
        [
            ("$text", "text COLLATE \"C\""),
            ("$serial", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
            ("$clustered", ""),
            ("$hot", "WITH (fillfactor = 70)"),
        ]
    } else {
        [("$text", "TEXT"), ("$serial", "INTEGER PRIMARY KEY"), ("$clustered", "WITHOUT ROWID"), ("$hot", "")]
    };
    for statement in script.split("\n--\n").map(str::trim).filter(|s| !s.is_empty()) {
        let (mine, other) = if postgres { ("[postgres]", "[sqlite]") } else { ("[sqlite]", "[postgres]") };
        if statement.starts_with(other) {
            continue;
        }
        let mut sql = statement.strip_prefix(mine).unwrap_or(statement).to_owned();
        for (marker, text) in markers {
            sql = sql.replace(marker, text);
        }
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}
