//! Several rows as one text, packed by the database.
//!
//! Each row and each column costs a hop between threads on SQLite and a conversion everywhere; a page of a hundred users in
//! one value costs a fraction of that. What is packed holds none of the separators: JSON text has its control characters
//! escaped, ids and numbers have none.

use std::sync::OnceLock;

use crate::base::{ConnectionId, Timestamp};

use super::error::StoreError;
use super::groups::Group;
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
    format!("concat_ws({chr}({GROUP_COLUMN}), {id}, {depth}, {name})")
}

/// The users that a subquery points to, as one value, in its order: without what the rules gave them.
pub(super) fn users(session: &Session, pointers: Sql, order: &str) -> Sql {
    static ROWS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    packed(session, &ROWS, &[], pointers, order)
}

/// The same with all that is kept.
pub(super) fn whole_users(session: &Session, pointers: Sql, order: &str) -> Sql {
    static ROWS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    packed(session, &ROWS, &WHOLE, pointers, order)
}

/// The same with their connections, and the digest of the worker that each should have.
pub(super) fn users_with_workers(session: &Session, pointers: Sql, order: &str) -> Sql {
    static ROWS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let digest =
        "COALESCE((SELECT w.digest FROM worker w WHERE w.user_id = u.id AND w.digest IS NOT NULL LIMIT 1), '')";
    let [role, access, hold, claims, by_sign_in, signed_in] = WHOLE;
    packed(
        session,
        &ROWS,
        &[role, access, hold, claims, by_sign_in, signed_in, "COALESCE(u.connection_id, '')", digest],
        pointers,
        order,
    )
}

const WHOLE: [&str; 6] = [
    "COALESCE(u.role, '')",
    "COALESCE(u.access, '')",
    "COALESCE(u.hold_id, '')",
    "COALESCE(u.claims, '')",
    "u.by_sign_in",
    "CASE WHEN u.last_sign_in_at IS NULL THEN 0 ELSE 1 END",
];

fn packed(session: &Session, rows: &[OnceLock<String>; 2], more: &[&str], pointers: Sql, order: &str) -> Sql {
    let (chr, join, _) = words(session);
    let row = rows[usize::from(session.is_postgres())].get_or_init(|| {
        let groups = groups(session, "u.id");
        let columns =
            ["u.id", "u.account_id", "u.status", "u.version", "u.created_at", "u.updated_at", "u.document", &groups];
        self::columns(session, &[&columns[..], more].concat())
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

/// Columns of one row that are never null, as one text.
pub(super) fn columns(session: &Session, columns: &[&str]) -> String {
    // One call: of `||` between all of them each would copy what stands before it.
    format!("concat_ws({}({COLUMN}), {})", words(session).0, columns.join(", "))
}

type Quote = fn(&str) -> String;

fn words(session: &Session) -> (&'static str, &'static str, Quote) {
    if session.is_postgres() {
        ("chr", "string_agg", |text| format!("to_json({text})::text"))
    } else {
        ("char", "group_concat", |text| format!("json_quote({text})"))
    }
}

/// Reads what [`users`] or [`whole_users`] packed.
pub(super) fn read_users(page: &str, connection: ConnectionId) -> Result<Vec<User>, StoreError> {
    rows(page).map(|row| Ok(read_user(row, Some(connection))?.0)).collect()
}

/// Reads what [`users_with_workers`] packed.
pub(super) fn read_users_with_workers(page: &str) -> Result<Vec<(User, Option<String>)>, StoreError> {
    rows(page).map(|row| read_user(row, None)).collect()
}

/// The parts between separators. A page has some hundred thousand bytes, which `memchr` reads several times as fast as `str::split`.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (part, after) = match memchr::memchr(separator, text.as_bytes()) {
            // A separator is a character of one byte.
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(part)
    })
}

fn rows(page: &str) -> impl Iterator<Item = &str> {
    split(page, ROW).filter(|row| !row.is_empty())
}

fn read_user(row: &str, connection: Option<ConnectionId>) -> Result<(User, Option<String>), StoreError> {
    let mut columns = split(row, COLUMN);
    let mut next = || columns.next().ok_or_else(|| damaged("a column is missing"));
    let mut user = User {
        id: parsed(next()?)?,
        account: parsed(next()?)?,
        connection,
        status: parsed(next()?)?,
        role: None,
        access: None,
        hold: None,
        claims: None,
        by_sign_in: false,
        has_signed_in: false,
        version: parsed(next()?)?,
        created_at: Timestamp::from_millis(parsed(next()?)?),
        updated_at: Timestamp::from_millis(parsed(next()?)?),
        document: next()?.to_owned(),
        groups: read_groups(next()?)?,
    };
    let some = |text: &&str| !text.is_empty();
    if let Some(role) = columns.next() {
        user.role = Some(role).filter(some).map(parsed).transpose()?;
        let missing = || damaged("a column is missing");
        user.access = columns.next().map(Some).ok_or_else(missing)?.filter(some).map(str::to_owned);
        user.hold = columns.next().map(Some).ok_or_else(missing)?.filter(some).map(parsed).transpose()?;
        user.claims = columns.next().map(Some).ok_or_else(missing)?.filter(some).map(str::to_owned);
        user.by_sign_in = columns.next().ok_or_else(missing)? == "1";
        user.has_signed_in = columns.next().ok_or_else(missing)? == "1";
    }
    let mut digest = None;
    if let Some(connection) = columns.next() {
        user.connection = Some(connection).filter(some).map(parsed).transpose()?;
        digest = columns.next().ok_or_else(|| damaged("a column is missing"))?.into();
    }
    if columns.next().is_some() {
        return Err(damaged("there is a column too many"));
    }
    Ok((user, digest.filter(some).map(str::to_owned)))
}

/// Reads a group whose columns were packed in the order of [`super::groups::COLUMNS`].
pub(super) fn read_group(row: &str) -> Result<Group, StoreError> {
    let parts: Vec<&str> = row.split(char::from(COLUMN)).collect();
    let [id, account, connection, document, version, created_at, updated_at] = parts[..] else {
        return Err(damaged("a group has too few or too many columns"));
    };
    Ok(Group {
        id: parsed(id)?,
        account: parsed(account)?,
        connection: parsed(connection)?,
        document: document.to_owned(),
        version: parsed(version)?,
        created_at: Timestamp::from_millis(parsed(created_at)?),
        updated_at: Timestamp::from_millis(parsed(updated_at)?),
    })
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

pub(super) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
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
        let local =
            read_users_with_workers(&format!("{row}\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}0\u{1f}0\u{1f}\u{1f}x")).unwrap();
        assert_eq!((local[0].0.connection, local[0].1.as_deref()), (None, Some("x")));
        let whole = read_users(
            &format!(
                "{row}\u{1f}agent\u{1f}{{}}\u{1f}\u{1f}C\u{1f}1\u{1f}1\u{1e}{row}\u{1f}\u{1f}\u{1f}\u{1f}\u{1f}0\u{1f}0"
            ),
            connection,
        )
        .unwrap();
        let roles: Vec<_> = whole.iter().map(|user| (user.role, user.access.as_deref())).collect();
        assert_eq!(roles, [(Some(crate::domain::Role::Agent), Some("{}")), (None, None)]);
        assert_eq!((whole[0].claims.as_deref(), whole[0].by_sign_in, whole[1].by_sign_in), (Some("C"), true, false));
        assert!(read_users(&format!("{row}\u{1f}\u{1f}\u{1f}\u{1f}"), connection).is_err());
        assert!(read_users(&format!("{row}\u{1f}boss\u{1f}\u{1f}\u{1f}\u{1f}0\u{1f}0"), connection).is_err());
    }
}
