//! Who is in which group: rows that are inserted and deleted, never a list that is read, changed and written back.

use crate::base::{AccountId, ConnectionId, EventId, GroupId, Timestamp, UserId};

use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::{Session, Tx};
use super::sql::Sql;

/// How deep groups may be nested.
pub const MAX_DEPTH: i64 = 8;

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// A user.
    User(UserId),
    /// Another group.
    Group(GroupId),
}

impl Member {
    /// The id as text.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::User(id) => id.to_string(),
            Self::Group(id) => id.to_string(),
        }
    }

    /// `User` or `Group`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "User",
            Self::Group(_) => "Group",
        }
    }
}

/// Which of these ids are users or groups of the connection (deleted users are not).
pub async fn known(session: &Session, connection: ConnectionId, ids: &[String]) -> Result<Vec<Member>, StoreError> {
    let list = is_any(session, "id", ids.len());
    let sql = Sql::new(format!(
        "SELECT 'User' AS kind, id FROM \"user\" WHERE connection_id = ? AND status <> 'deleted' AND {list} \
         UNION ALL SELECT 'Group', id FROM \"group\" WHERE connection_id = ? AND {list}"
    ))
    .bind(connection.to_string())
    .bind(to_json("membership", ids)?)
    .bind(connection.to_string())
    .bind(to_json("membership", ids)?);
    session.all(sql).await?.iter().map(|row| member(row, "kind", "id")).collect()
}

/// Adds those of these users and groups of the connection that are not members yet; says which were added. Ids of nobody are
/// passed over: [`known`] tells them from members that were there.
pub async fn add(
    tx: &Tx,
    connection: ConnectionId,
    group: GroupId,
    ids: &[String],
    event: EventId,
    at: Timestamp,
) -> Result<Vec<Member>, StoreError> {
    let (list, ids) = (is_any(tx, "id", ids.len()), to_json("membership", ids)?);
    if tx.is_postgres() {
        // Whoever is deleted at this moment is waited for, and then not found below. People first, as everywhere.
        let sql = format!(
            "SELECT id FROM (SELECT id FROM \"user\" WHERE {list} ORDER BY id FOR UPDATE) people \
             UNION ALL SELECT id FROM (SELECT id FROM \"group\" WHERE {list} ORDER BY id FOR SHARE) groups"
        );
        tx.all(Sql::new(sql).bind(ids.as_str()).bind(ids.as_str())).await?;
    }
    let sql = Sql::new(format!(
        "INSERT INTO membership (group_id, member_id, member_kind, event_id, created_at) \
         SELECT ?, found.id, found.kind, ?, ? FROM ( \
             SELECT id, 'User' AS kind FROM \"user\" WHERE connection_id = ? AND status <> 'deleted' AND {list} \
             UNION ALL SELECT id, 'Group' FROM \"group\" WHERE connection_id = ? AND {list}) AS found \
         WHERE true ON CONFLICT (group_id, member_id) DO NOTHING RETURNING member_kind, member_id"
    ))
    .bind(group.to_string())
    .bind(event.to_string())
    .bind(at.millis())
    .bind(connection.to_string())
    .bind(ids.as_str())
    .bind(connection.to_string())
    .bind(ids.as_str());
    changed(tx, sql).await
}

/// Removes those of these members that are there; says which were removed.
pub async fn remove(tx: &Tx, group: GroupId, ids: &[String]) -> Result<Vec<Member>, StoreError> {
    let sql = Sql::new(format!(
        "DELETE FROM membership WHERE group_id = ? AND {} RETURNING member_kind, member_id",
        is_any(tx, "member_id", ids.len())
    ))
    .bind(group.to_string())
    .bind(to_json("membership", ids)?);
    changed(tx, sql).await
}

/// Removes all members but these; says which were removed.
pub async fn keep_only(tx: &Tx, group: GroupId, ids: &[String]) -> Result<Vec<Member>, StoreError> {
    let sql = Sql::new(format!(
        "DELETE FROM membership WHERE group_id = ? AND {} RETURNING member_kind, member_id",
        is_none(tx, "member_id")
    ))
    .bind(group.to_string())
    .bind(to_json("membership", ids)?);
    changed(tx, sql).await
}

/// Takes a user or group out of every group; says which groups it was in.
pub async fn leave_all(tx: &Tx, member: Member) -> Result<Vec<GroupId>, StoreError> {
    let sql = Sql::new("DELETE FROM membership WHERE member_id = ? RETURNING group_id").bind(member.id());
    let rows = tx.all_writing(sql).await?;
    let mut groups: Vec<GroupId> =
        rows.iter().map(|row| row.parsed("membership", "group_id")).collect::<Result<_, _>>()?;
    // Whoever changes several groups does so in the order of ids, so that nobody waits in a circle.
    groups.sort();
    Ok(groups)
}

/// The members of a group in the order of their ids, after one of them, at most `limit`.
pub async fn page(
    session: &Session,
    group: GroupId,
    after: &str,
    limit: u64,
) -> Result<Vec<(Member, Option<String>)>, StoreError> {
    let mut sql = Sql::new(
        "SELECT m.member_kind, m.member_id, COALESCE(u.display_name, u.user_name, g.display_name) AS display \
         FROM membership m LEFT JOIN \"user\" u ON u.id = m.member_id LEFT JOIN \"group\" g ON g.id = m.member_id \
         WHERE m.group_id = ? AND m.member_id > ? ORDER BY m.member_id",
    )
    .bind(group.to_string())
    .bind(after);
    sql.push_limit(limit);
    let rows = session.all(sql).await?;
    rows.iter().map(|row| Ok((member(row, "member_kind", "member_id")?, row.text_opt("display")?))).collect()
}

/// The users in a group, directly or through groups of groups, after one of them, at most `limit`, in the order of ids.
pub async fn users_below(
    session: &Session,
    account: AccountId,
    groups: &[GroupId],
    after: &str,
    limit: u64,
) -> Result<Vec<UserId>, StoreError> {
    let ids: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let seed = format!("SELECT id, 0 FROM \"group\" WHERE account_id = ? AND {}", is_any(session, "id", ids.len()));
    let mut sql = Sql::new(format!(
        "WITH RECURSIVE {} SELECT DISTINCT m.member_id FROM down ",
        down(session.is_postgres(), &seed)
    ))
    .bind(account.to_string())
    .bind(to_json("membership", &ids)?);
    if session.is_postgres() {
        // Of each group no more than can be wanted, from its index.
        let of_one = "CROSS JOIN LATERAL (SELECT member_id FROM membership WHERE group_id = down.id AND member_kind = 'User' \
            AND member_id > ? ORDER BY member_id";
        sql.push(Sql::new(of_one).bind(after));
        sql.push_limit(limit);
        sql.push_str(") m");
    } else {
        // `CROSS JOIN` makes SQLite begin with the groups; by itself it would walk everybody's memberships in their order.
        let of_all =
            "CROSS JOIN membership m WHERE m.group_id = down.id AND m.member_kind = 'User' AND m.member_id > ?";
        sql.push(Sql::new(of_all).bind(after));
    }
    sql.push_str(" ORDER BY m.member_id");
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(|row| row.parsed("membership", "member_id")).collect()
}

/// Orders changes of how groups are nested, so that two of them cannot make a cycle together.
pub async fn lock_nesting(tx: &Tx, connection: ConnectionId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        tx.one(Sql::new("SELECT id FROM connection WHERE id = ? FOR NO KEY UPDATE").bind(connection.to_string()))
            .await?;
    }
    Ok(())
}

/// How deep groups are nested below this one, and whether any of `sought` is among them or is the group itself.
pub async fn below(session: &Session, group: GroupId, sought: GroupId) -> Result<(i64, bool), StoreError> {
    let sql = Sql::new(format!(
        "WITH RECURSIVE {} \
         SELECT COALESCE(MAX(depth), 0) AS depth, COALESCE(MAX(CASE WHEN id = ? THEN 1 ELSE 0 END), 0) AS found FROM down",
        down(session.is_postgres(), "SELECT id, 0 FROM \"group\" WHERE id = ?")
    ))
    .bind(group.to_string())
    .bind(sought.to_string());
    let Some(row) = session.one(sql).await? else { return Ok((0, false)) };
    Ok((int_of_any_width(&row, "depth")?, int_of_any_width(&row, "found")? == 1))
}

/// How many groups this one lies below, counted along the longest way up.
pub async fn height_above(session: &Session, group: GroupId) -> Result<i64, StoreError> {
    let sql = Sql::new(format!("WITH RECURSIVE {} SELECT COALESCE(MAX(depth), 0) AS depth FROM up", up(session, "?")))
        .bind(group.to_string());
    session.one(sql).await?.map_or(Ok(0), |row| int_of_any_width(&row, "depth"))
}

async fn changed(tx: &Tx, sql: Sql) -> Result<Vec<Member>, StoreError> {
    tx.all_writing(sql).await?.iter().map(|row| member(row, "member_kind", "member_id")).collect()
}

fn member(row: &sea_orm::QueryResult, kind: &str, id: &str) -> Result<Member, StoreError> {
    match row.text(kind)?.as_str() {
        "User" => Ok(Member::User(row.parsed("membership", id)?)),
        "Group" => Ok(Member::Group(row.parsed("membership", id)?)),
        other => Err(StoreError::Damaged { table: "membership", what: format!("kind is '{other}'") }),
    }
}

/// PostgreSQL counts in a recursive query with 32 bits, SQLite with 64.
fn int_of_any_width(row: &sea_orm::QueryResult, column: &str) -> Result<i64, StoreError> {
    match row.try_get::<i64>("", column) {
        Ok(value) => Ok(value),
        Err(_) => Ok(i64::from(row.try_get::<i32>("", column)?)),
    }
}

/// Whether a column has one of the texts of a bound JSON array of that many.
///
/// PostgreSQL looks up a few as an array in the index; as a subquery they would be joined, and how is a matter of statistics.
/// Many are joined all the same: an array is searched from its beginning for each row.
pub(super) fn is_any(session: &Session, column: &str, count: usize) -> String {
    match (session.is_postgres(), count <= FEW) {
        (true, true) => format!("{column} = ANY(ARRAY({TEXTS}))"),
        (true, false) => format!("{column} IN ({TEXTS})"),
        (false, _) => format!("{column} IN (SELECT value FROM json_each(?))"),
    }
}

/// As many as are looked up one by one.
const FEW: usize = 200;

/// Whether a column has none of the texts of a bound JSON array. Read as a set on both: there may be ten thousand.
pub(super) fn is_none(session: &Session, column: &str) -> String {
    let texts = if session.is_postgres() { TEXTS } else { "SELECT value FROM json_each(?)" };
    format!("{column} NOT IN ({texts})")
}

const TEXTS: &str = "SELECT value FROM json_array_elements_text(?::json) AS t (value)";

/// The groups above a member: a recursive query `up (id, depth)`, to be put after `WITH RECURSIVE`.
///
/// `member` is SQL for the member's id. On PostgreSQL the step is a lateral subquery that is not merged into the rest:
/// otherwise it reads the whole table once there are more than a few groups, because nothing tells it how few rows come.
pub(super) fn up(session: &Session, member: &str) -> String {
    let step = if session.is_postgres() {
        "up CROSS JOIN LATERAL (SELECT group_id FROM membership WHERE member_id = up.id OFFSET 0) m"
    } else {
        "up JOIN membership m ON m.member_id = up.id"
    };
    format!(
        "up (id, depth) AS (SELECT group_id, 1 FROM membership WHERE member_id = {member} \
         UNION SELECT m.group_id, up.depth + 1 FROM {step} WHERE up.depth <= {MAX_DEPTH})"
    )
}

/// The groups below some, themselves included: a recursive query `down (id, depth)`, likewise. `seed` is SQL that selects
/// their ids and 0.
pub(super) fn down(postgres: bool, seed: &str) -> String {
    let step = if postgres {
        "down CROSS JOIN LATERAL (SELECT member_id FROM membership \
         WHERE group_id = down.id AND member_kind = 'Group' OFFSET 0) m WHERE"
    } else {
        "down JOIN membership m ON m.group_id = down.id WHERE m.member_kind = 'Group' AND"
    };
    format!(
        "down (id, depth) AS ({seed} UNION SELECT m.member_id, down.depth + 1 FROM {step} down.depth <= {MAX_DEPTH})"
    )
}
