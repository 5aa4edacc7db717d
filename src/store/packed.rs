//! Several rows as one text, packed by the database.
//!
//! Each row and each column costs a hop between threads on SQLite and a conversion everywhere; a page of a hundred users in
//! one value costs a fraction of that. What is packed holds none of the separators: JSON text has its control characters
//! escaped, ids and numbers have none.

use std::sync::OnceLock;

use crate::base::{ConnectionId, Timestamp};

use super::error::StoreError;
use super::memberships::{MAX_DEPTH, up};
use super::session::Session;
use super::sql::Sql;
use super::users::{User, UserGroup};

/// ASCII's own separators, as numbers for `char()`, from coarse to fine: rows, columns, groups, columns of a group.
const ROW: u8 = 30;
const COLUMN: u8 = 31;
const GROUP: u8 = 28;
const GROUP_COLUMN: u8 = 29;

/// The groups of a user as an expression; `user` is SQL for the id. Empty for somebody in no group.
///
/// Hardly anybody is in a group that is in another one, and walking upwards costs several times what the rest does; whether
/// there are such groups at all is asked once for all rows. On PostgreSQL the walk is a function, because an executor is made
/// ready for all of a statement, whatever of it runs.
pub(super) fn groups(session: &Session, user: &str) -> String {
    let (chr, join, quote) = words(session);
    let nested = if session.is_postgres() {
        format!("groups_above({user}, {MAX_DEPTH})")
    } else {
        // A subquery and not a join: it is looked up by the key whatever the planner thinks of the number of groups.
        let name = quote("(SELECT g.display_name FROM \"group\" g WHERE g.id = x.id)");
        format!(
            "(WITH RECURSIVE {up} SELECT {join}({one}, {chr}({GROUP})) \
             FROM (SELECT id, MIN(depth) AS depth FROM up GROUP BY id) x)",
            up = up(session, user),
            one = group(chr, "x.id", "x.depth", &name),
        )
    };
    format!(
        "COALESCE(CASE WHEN EXISTS (SELECT 1 FROM membership WHERE member_kind = 'Group') \
         AND EXISTS (SELECT 1 FROM membership m CROSS JOIN membership n \
         WHERE m.member_id = {user} AND n.member_id = m.group_id AND n.member_kind = 'Group') THEN {nested} \
         ELSE (SELECT {join}({one}, {chr}({GROUP})) FROM membership m CROSS JOIN \"group\" g \
         WHERE m.member_id = {user} AND g.id = m.group_id) END, '')",
        one = group(chr, "g.id", "1", &quote("g.display_name")),
    )
}

fn group(chr: &str, id: &str, depth: &str, name: &str) -> String {
    format!("{id} || {chr}({GROUP_COLUMN}) || {depth} || {chr}({GROUP_COLUMN}) || {name}")
}

/// The users that a subquery points to, as one value, in its order.
pub(super) fn users(session: &Session, pointers: Sql, order: &str) -> Sql {
    static ROWS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let (chr, join, _) = words(session);
    let row = ROWS[usize::from(session.is_postgres())].get_or_init(|| {
        let groups = groups(session, "u.id");
        let columns =
            ["u.id", "u.account_id", "u.status", "u.version", "u.created_at", "u.updated_at", "u.document", &groups];
        columns.join(&format!(" || {chr}({COLUMN}) || "))
    });
    // SQLite walks the subquery first, in its order, because of the cross join; sorting again would cost as much as the rest.
    let (sorted, by, column) = if session.is_postgres() {
        (format!(" ORDER BY {order}"), "JOIN", "id")
    } else {
        (String::new(), "CROSS JOIN", "seq")
    };
    let mut sql = Sql::new(format!("SELECT {join}({row}, {chr}({ROW}){sorted}) AS page FROM ("));
    sql.push(pointers);
    sql.push_str(&format!(") AS p {by} \"user\" u ON u.{column} = p.{column}"));
    sql
}

type Quote = fn(&str) -> String;

fn words(session: &Session) -> (&'static str, &'static str, Quote) {
    if session.is_postgres() {
        ("chr", "string_agg", |text| format!("to_json({text})::text"))
    } else {
        ("char", "group_concat", |text| format!("json_quote({text})"))
    }
}

/// Reads what [`users`] packed.
pub(super) fn read_users(page: &str, connection: ConnectionId) -> Result<Vec<User>, StoreError> {
    if page.is_empty() {
        return Ok(Vec::new());
    }
    page.split(char::from(ROW)).map(|row| read_user(row, connection)).collect()
}

fn read_user(row: &str, connection: ConnectionId) -> Result<User, StoreError> {
    let mut columns = row.split(char::from(COLUMN));
    let mut next = || columns.next().ok_or_else(|| damaged("a column is missing"));
    let user = User {
        id: parsed(next()?)?,
        account: parsed(next()?)?,
        connection: Some(connection),
        status: parsed(next()?)?,
        role: None,
        access: None,
        version: parsed(next()?)?,
        created_at: Timestamp::from_millis(parsed(next()?)?),
        updated_at: Timestamp::from_millis(parsed(next()?)?),
        document: next()?.to_owned(),
        groups: read_groups(next()?)?,
    };
    if columns.next().is_some() { Err(damaged("there is a column too many")) } else { Ok(user) }
}

/// Reads what [`groups`] packed, in the order of ids.
pub(super) fn read_groups(groups: &str) -> Result<Vec<UserGroup>, StoreError> {
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let group = |text: &str| {
        let mut parts = text.splitn(3, char::from(GROUP_COLUMN));
        let (Some(id), Some(depth), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(damaged("a group has too few columns"));
        };
        let display_name = serde_json::from_str(name).map_err(|error| damaged(&error.to_string()))?;
        Ok(UserGroup { group: id.to_owned(), display_name, direct: depth == "1" })
    };
    let mut groups: Vec<UserGroup> = groups.split(char::from(GROUP)).map(group).collect::<Result<_, _>>()?;
    groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
    Ok(groups)
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| damaged(text))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged { table: "user", what: format!("packed: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_packed() {
        let one = |group: &str, name: &str, direct| UserGroup {
            group: group.to_owned(),
            display_name: name.to_owned(),
            direct,
        };
        assert_eq!(read_groups("").unwrap(), []);
        let text = "b\u{1d}2\u{1d}\"B\"\u{1c}a\u{1d}1\u{1d}\"A \\u001c \\\"x\\\"\"";
        assert_eq!(read_groups(text).unwrap(), [one("a", "A \u{1c} \"x\"", true), one("b", "B", false)]);
        assert!(read_groups("a\u{1d}1").is_err());
        assert!(read_groups("a\u{1d}1\u{1d}not json").is_err());
    }

    #[test]
    fn a_row_with_too_few_or_too_many_columns_is_refused() {
        let id = "01a200bd-d609-79e4-ac8a-e88e60685700";
        let connection: ConnectionId = id.parse().unwrap();
        let row = [id, id, "active", "3", "5", "7", "{\"userName\":\"a\"}", ""].join("\u{1f}");
        let users = read_users(&format!("{row}\u{1e}{row}"), connection).unwrap();
        assert_eq!((users.len(), users[1].version, users[1].updated_at.millis()), (2, 3, 7));
        assert_eq!(users[0].document, "{\"userName\":\"a\"}");
        assert!(read_users("", connection).unwrap().is_empty());
        assert!(read_users(&row[..row.len() - 1], connection).is_err());
        assert!(read_users(&format!("{row}\u{1f}"), connection).is_err());
    }
}
