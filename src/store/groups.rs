//! Groups; their members are in [`super::memberships`].

use serde_json::{Map, Value, json};

use crate::base::{AccountId, ConnectionId, GroupId, Timestamp, fold};
use crate::scim::sort::{Ranked, Sort};

use super::change::Change;
use super::error::StoreError;
use super::filter::{Listing, Matches, Walked};
use super::memberships::{self, Member, is_any};
use super::order::Place;
use super::packed;
use super::row::{RowExt as _, document_text, to_json};
use super::session::{Session, Tx};
use super::sql::Sql;

/// A group as it is stored.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id.
    pub id: GroupId,
    /// The account.
    pub account: AccountId,
    /// The connection that it came from.
    pub connection: ConnectionId,
    /// The SCIM attributes as JSON text, without id, meta and members.
    pub document: String,
    /// Grows with each change of the group or its members.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or its members were last changed.
    pub updated_at: Timestamp,
}

impl Group {
    /// The SCIM attributes.
    pub fn attributes(&self) -> Result<Map<String, Value>, StoreError> {
        serde_json::from_str(&self.document)
            .map_err(|error| StoreError::Damaged { table: "group", what: format!("document of {}: {error}", self.id) })
    }
}

pub(super) const COLUMNS: &str =
    "g.id, g.account_id, g.connection_id, g.document, g.version, g.created_at, g.updated_at";
/// A filter on members other than by their id looks at this many of them at a time at most.
pub(super) const MEMBERS_FOR_FILTER: u64 = 20_000;

impl Change {
    /// Makes a group. The displayName may be taken, so this must be the first part of a change.
    pub fn insert_group(&mut self, group: &Group) -> Result<(), StoreError> {
        let (display_name, external_id) = names(&group.attributes()?);
        self.push(
            Sql::new("INSERT INTO \"group\" (id, account_id, connection_id, display_name, display_name_fold, external_id, document, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(group.id.to_string())
                .bind(group.account.to_string())
                .bind(group.connection.to_string())
                .bind(display_name.as_str())
                .bind(fold(&display_name))
                .bind(external_id)
                .bind(group.document.as_str())
                .bind(group.version)
                .bind(group.created_at.millis())
                .bind(group.updated_at.millis()),
        );
        self.count(group.connection, "Group", 1, group.id.into());
        Ok(())
    }

    /// Changes the attributes of a group. A new displayName may be taken, so this must be the first part of a change.
    pub fn update_group(
        &mut self,
        group: &Group,
        attributes: &Map<String, Value>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (display_name, external_id) = names(attributes);
        self.push(
            Sql::new("UPDATE \"group\" SET display_name = ?, display_name_fold = ?, external_id = ?, document = ?, version = ?, updated_at = ? WHERE connection_id = ? AND id = ?")
                .bind(display_name.as_str())
                .bind(fold(&display_name))
                .bind(external_id)
                .bind(document_text(attributes)?)
                .bind(group.version + 1)
                .bind(at.millis())
                .bind(group.connection.to_string())
                .bind(group.id.to_string()),
        );
        Ok(())
    }

    /// Notes that the members of a group changed.
    pub fn touch_group(&mut self, connection: ConnectionId, group: GroupId, at: Timestamp) {
        self.push(
            Sql::new("UPDATE \"group\" SET version = version + 1, updated_at = ? WHERE connection_id = ? AND id = ?")
                .bind(at.millis())
                .bind(connection.to_string())
                .bind(group.to_string()),
        );
    }

    /// Deletes a group that has no members any more.
    pub fn delete_group(&mut self, group: &Group) {
        self.push(
            Sql::new("DELETE FROM \"group\" WHERE connection_id = ? AND id = ?")
                .bind(group.connection.to_string())
                .bind(group.id.to_string()),
        );
        self.count(group.connection, "Group", -1, group.id.into());
    }
}

/// Writes a change together with the note that the members of a group changed; returns the group's version after it, none if
/// the group is gone.
pub async fn touch_with(tx: &Tx, mut change: Change, group: &Group, at: Timestamp) -> Result<Option<i64>, StoreError> {
    if !tx.is_postgres() && !tx.is_beside_others() {
        // SQLite has one writer: nobody has counted since this transaction read the group.
        change.touch_group(group.connection, group.id, at);
        tx.apply(change).await?;
        return Ok(Some(group.version + 1));
    }
    let touch = Sql::new(
        "UPDATE \"group\" SET version = version + 1, updated_at = ? WHERE connection_id = ? AND id = ? RETURNING version",
    )
    .bind(at.millis())
    .bind(group.connection.to_string())
    .bind(group.id.to_string());
    if tx.is_postgres() {
        return tx.apply_returning(change, touch).await?.map(|row| row.int("version")).transpose();
    }
    // Others beside this job count as well, and each has a version of its own.
    tx.apply(change).await?;
    tx.all_writing(touch).await?.first().map(|row| row.int("version")).transpose()
}

fn names(attributes: &Map<String, Value>) -> (String, Option<String>) {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).map(str::to_owned);
    (text("displayName").unwrap_or_default(), text("externalId"))
}

/// A group of a connection.
pub async fn by_id(session: &Session, connection: ConnectionId, id: GroupId) -> Result<Option<Group>, StoreError> {
    one(session, connection, id, "").await
}

/// The same, and nobody else changes its attributes until the transaction ends. Members may come and go meanwhile.
pub async fn by_id_locked(tx: &Tx, connection: ConnectionId, id: GroupId) -> Result<Option<Group>, StoreError> {
    one(tx, connection, id, if tx.is_postgres() { " FOR UPDATE" } else { "" }).await
}

/// The class of the advisory locks of [`lock_members`]; [`super::writer`] has one without a class.
const MEMBERS_LOCK: i32 = 1;

/// Orders changes that say which members a group keeps; what the group holds is read by later statements.
///
/// Not a lock on the group's row: whoever adds or removes some members by name waits for that only at its very end, holding
/// the people, and whoever replaces them would wait for those people holding the row.
pub async fn lock_members(tx: &Tx, group: GroupId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        let sql = Sql::new("SELECT pg_advisory_xact_lock(?, hashtext(?))").bind(MEMBERS_LOCK).bind(group.to_string());
        tx.one(sql).await?;
    }
    Ok(())
}

async fn one(
    session: &Session,
    connection: ConnectionId,
    id: GroupId,
    lock: &str,
) -> Result<Option<Group>, StoreError> {
    let sql = format!(
        "SELECT {} FROM \"group\" g WHERE g.id = ? AND g.connection_id = ?{lock}",
        packed::columns(session, &COLUMNS.split(", ").collect::<Vec<_>>())
    );
    let sql = Sql::new(sql).bind(id.to_string()).bind(connection.to_string());
    session.text(sql).await?.as_deref().map(packed::read_group).transpose()
}

/// Which of these folded names are names of groups that the connection has.
pub async fn known_names(
    session: &Session,
    connection: ConnectionId,
    folded: &[String],
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT display_name_fold FROM \"group\" WHERE connection_id = ? AND {}",
        is_any(session, "display_name_fold", folded.len())
    );
    let rows = session.all(Sql::new(sql).bind(connection.to_string()).bind(to_json("group", folded)?)).await?;
    rows.iter().map(|row| row.text("display_name_fold")).collect()
}

/// Whether the connection has any group.
pub async fn any(session: &Session, connection: ConnectionId) -> Result<bool, StoreError> {
    let sql = Sql::new("SELECT 1 AS one FROM \"group\" WHERE connection_id = ? LIMIT 1").bind(connection.to_string());
    Ok(session.one(sql).await?.is_some())
}

/// The groups of a connection that match, in the order of their creation.
pub async fn list(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
) -> Result<Matches<Group>, StoreError> {
    super::filter::list(session, connection, listing).await
}

/// The next page of a walk behind a place, or the first one; none: what would have to be looked at is too much.
pub async fn walk(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
    after: Option<&Place>,
) -> Result<Option<Walked<Group>>, StoreError> {
    super::filter::walk(session, connection, listing, after).await
}

/// How many match; none where that is only known by looking at each.
pub async fn total(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
) -> Result<Option<u64>, StoreError> {
    super::filter::total::<Group>(session, connection, listing).await
}

/// What matches, with the value that each is sorted by; none: more than may be looked at.
pub async fn ranks(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
    sort: &Sort,
) -> Result<Option<Vec<Ranked>>, StoreError> {
    super::filter::ranks::<Group>(session, connection, listing, sort).await
}

/// The groups of a connection with these ids, in no order; those that are gone are left out.
pub async fn by_ids(session: &Session, connection: ConnectionId, ids: &[String]) -> Result<Vec<Group>, StoreError> {
    super::filter::by_ids(session, connection, ids).await
}

/// A member as the attribute `members` shows it (RFC 7643 §4.2), below the SCIM base URL.
#[must_use]
pub fn member_value(base_url: &str, member: Member, display: Option<&str>) -> Value {
    let (id, kind) = (member.id(), member.kind());
    let mut value = json!({"value": id, "$ref": format!("{base_url}/{kind}s/{id}"), "type": kind});
    if let Some(display) = display {
        value["display"] = display.into();
    }
    value
}

/// The members of a group as a filter sees them: one more than `most` if there are more.
pub(super) async fn members_for_filter(
    session: &Session,
    group: GroupId,
    base_url: &str,
    most: u64,
) -> Result<Vec<Value>, StoreError> {
    let members = memberships::page(session, group, "", most.saturating_add(1)).await?;
    Ok(members.into_iter().map(|(member, display)| member_value(base_url, member, display.as_deref())).collect())
}

pub(super) fn read(row: &sea_orm::QueryResult) -> Result<Group, StoreError> {
    Ok(Group {
        id: row.parsed("group", "id")?,
        account: row.parsed("group", "account_id")?,
        connection: row.parsed("group", "connection_id")?,
        document: row.text("document")?,
        version: row.int("version")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        updated_at: Timestamp::from_millis(row.int("updated_at")?),
    })
}
