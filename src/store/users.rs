//! People: the SCIM document and the columns by which it is found.

use serde_json::{Map, Value, json};

use crate::base::{AccountId, ConnectionId, HoldId, Timestamp, UserId};
use crate::domain::{Role, UserStatus};
use crate::scim::sort::{Ranked, Sort};

use super::change::Change;
use super::error::StoreError;
use super::filter::{Listing, Matches, Walked};
use super::memberships::is_any;
use super::order::Place;
use super::packed;
use super::row::{RowExt as _, document_text, to_json};
use super::search::Derived;
use super::session::{Session, Tx};
use super::sql::Sql;

/// A user as it is stored.
#[derive(Clone, Debug)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The account.
    pub account: AccountId,
    /// The connection that provisioned it; none: a local account, which SCIM never sees.
    pub connection: Option<ConnectionId>,
    /// Where it is in its life.
    pub status: UserStatus,
    /// The SCIM attributes as JSON text, without id, meta and groups.
    pub document: String,
    /// The role that the rules give.
    pub role: Option<Role>,
    /// The outcome of the rules with its reasons, as JSON text; lists leave it out.
    pub access: Option<String>,
    /// The hold that keeps a loss of this person back; lists leave it out.
    pub hold: Option<HoldId>,
    /// What the identity provider said at the last sign-in, as JSON text; lists leave it out.
    pub claims: Option<String>,
    /// A sign-in made the user, and SCIM has not touched it since; lists leave it out.
    pub by_sign_in: bool,
    /// The person has signed in at least once; lists leave it out.
    pub has_signed_in: bool,
    /// Grows with each change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The groups that it is in, directly and through groups of groups, in the order of their ids.
    pub groups: Vec<UserGroup>,
}

impl User {
    /// The SCIM attributes.
    pub fn attributes(&self) -> Result<Map<String, Value>, StoreError> {
        serde_json::from_str(&self.document)
            .map_err(|error| StoreError::Damaged { table: "user", what: format!("document of {}: {error}", self.id) })
    }
}

/// A user with its attributes, to be written.
#[derive(Clone, Debug)]
pub struct UserState<'a> {
    /// The id.
    pub id: UserId,
    /// The account.
    pub account: AccountId,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// Where it is in its life.
    pub status: UserStatus,
    /// The SCIM attributes.
    pub attributes: &'a Map<String, Value>,
    /// The role that the rules give.
    pub role: Option<Role>,
    /// The outcome of the rules, as JSON text.
    pub access: Option<&'a str>,
    /// What a sign-in said, if it is one that makes or keeps the user; none: SCIM writes.
    pub signed_in: Option<&'a str>,
    /// The version after the change.
    pub version: i64,
    /// The time of the change.
    pub at: Timestamp,
}

/// The columns of a user.
pub(super) fn columns(session: &Session) -> String {
    format!(
        "u.id, u.account_id, u.connection_id, u.status, u.document, u.role, u.access, u.hold_id, u.claims, u.by_sign_in, u.last_sign_in_at, u.version, u.created_at, u.updated_at, \
         {} AS in_groups",
        packed::groups(session, "u.id")
    )
}

/// Counts that a person has no access any longer: sessions and keys from before open nothing, even if access comes back.
const LOSS: &str = ", access_losses = access_losses + 1";

impl Change {
    /// Makes a user. The userName may be taken, so this must be the first part of a change.
    pub fn insert_user(&mut self, user: &UserState<'_>) -> Result<(), StoreError> {
        let derived = Derived::of(user.attributes);
        self.push(
            Sql::new(
                "INSERT INTO \"user\" (id, account_id, connection_id, status, user_name, user_name_fold, external_id, display_name, \
                 display_name_fold, search_text, document, role, access, claims, by_sign_in, version, created_at, updated_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(user.id.to_string())
            .bind(user.account.to_string())
            .bind(user.connection.map(|id| id.to_string()))
            .bind(user.status.as_str())
            .bind(derived.user_name.as_str())
            .bind(derived.user_name_fold.as_str())
            .bind(derived.external_id.clone())
            .bind(derived.display_name.clone())
            .bind(derived.display_name_fold.clone())
            .bind(derived.search_text.as_str())
            .bind(document_text(user.attributes)?)
            .bind(user.role.map(Role::as_str))
            .bind(user.access)
            .bind(user.signed_in)
            .bind(i64::from(user.signed_in.is_some()))
            .bind(user.version)
            .bind(user.at.millis())
            .bind(user.at.millis()),
        );
        self.index_user(user.id, &derived.search_text);
        self.insert_keys(user, &derived)?;
        if let Some(connection) = user.connection {
            self.count(connection, "User", 1, user.id.into());
        }
        Ok(())
    }

    /// Changes a user from what it was. A new userName may be taken, so this must be the first part of a change.
    pub fn update_user(&mut self, before: &Map<String, Value>, user: &UserState<'_>) -> Result<(), StoreError> {
        let (old, new) = (Derived::of(before), Derived::of(user.attributes));
        let mut sql =
            Sql::new("UPDATE \"user\" SET status = ?, document = ?, role = ?, access = ?, version = ?, updated_at = ?")
                .bind(user.status.as_str())
                .bind(document_text(user.attributes)?)
                .bind(user.role.map(Role::as_str))
                .bind(user.access)
                .bind(user.version)
                .bind(user.at.millis());
        match user.signed_in {
            Some(claims) => sql.push(Sql::new(", claims = ?").bind(claims)),
            None => sql.push_str(", by_sign_in = 0"),
        }
        if !user.status.may_have_access() || user.role.is_none() {
            sql.push_str(LOSS);
        }
        // A column that is not named is not written to its index either.
        if old.user_name != new.user_name {
            sql.push(
                Sql::new(", user_name = ?, user_name_fold = ?")
                    .bind(new.user_name.as_str())
                    .bind(new.user_name_fold.as_str()),
            );
        }
        if old.external_id != new.external_id {
            sql.push(Sql::new(", external_id = ?").bind(new.external_id.clone()));
        }
        if old.display_name != new.display_name {
            sql.push(
                Sql::new(", display_name = ?, display_name_fold = ?")
                    .bind(new.display_name.clone())
                    .bind(new.display_name_fold.clone()),
            );
        }
        let search = old.search_text != new.search_text;
        if search {
            sql.push(Sql::new(", search_text = ?").bind(new.search_text.as_str()));
        }
        sql.push(Sql::new(" WHERE account_id = ? AND id = ?").bind(user.account.to_string()).bind(user.id.to_string()));
        self.push(sql);
        if search {
            self.unindex_user(user.id);
            self.index_user(user.id, &new.search_text);
        }
        if old.keys != new.keys {
            self.replace_keys(user, &old, &new)?;
        }
        Ok(())
    }

    /// Sets what the rules give to a user, and nothing that an identity provider can see.
    pub fn set_access(&mut self, account: AccountId, user: UserId, role: Option<Role>, access: Option<&str>) {
        let mut sql = Sql::new("UPDATE \"user\" SET role = ?, access = ?").bind(role.map(Role::as_str)).bind(access);
        if role.is_none() {
            sql.push_str(LOSS);
        }
        sql.push(Sql::new(" WHERE account_id = ? AND id = ?").bind(account.to_string()).bind(user.to_string()));
        self.push(sql);
    }

    /// Marks a user as deleted: it is gone for SCIM, and its userName and keys are free.
    pub fn delete_user(&mut self, user: &User, at: Timestamp) {
        self.push(
            Sql::new("UPDATE \"user\" SET status = 'deleted', role = NULL, access = NULL, version = ?, updated_at = ?, deleted_at = ?, access_losses = access_losses + 1 WHERE account_id = ? AND id = ?")
                .bind(user.version + 1)
                .bind(at.millis())
                .bind(at.millis())
                .bind(user.account.to_string())
                .bind(user.id.to_string()),
        );
        self.push(Sql::new("DELETE FROM user_key WHERE user_id = ?").bind(user.id.to_string()));
        self.unindex_user(user.id);
        if let Some(connection) = user.connection {
            self.count(connection, "User", -1, user.id.into());
        }
    }

    fn index_user(&mut self, id: UserId, text: &str) {
        if !self.is_postgres() {
            self.push(
                Sql::new("INSERT INTO user_search (rowid, text) VALUES ((SELECT seq FROM \"user\" WHERE id = ?), ?)")
                    .bind(id.to_string())
                    .bind(text),
            );
        }
    }

    fn unindex_user(&mut self, id: UserId) {
        if !self.is_postgres() {
            self.push(
                Sql::new("DELETE FROM user_search WHERE rowid = (SELECT seq FROM \"user\" WHERE id = ?)")
                    .bind(id.to_string()),
            );
        }
    }

    fn insert_keys(&mut self, user: &UserState<'_>, derived: &Derived) -> Result<(), StoreError> {
        let Some(connection) = user.connection else { return Ok(()) };
        if derived.keys.len() > 1_500 {
            return Err(StoreError::Damaged { table: "user_key", what: format!("user {} has too many keys", user.id) });
        }
        for (attribute, value) in &derived.keys {
            self.push(
                Sql::new("INSERT INTO user_key (connection_id, attribute, value, user_id) VALUES (?, ?, ?, ?)")
                    .bind(connection.to_string())
                    .bind(*attribute)
                    .bind(value.as_str())
                    .bind(user.id.to_string()),
            );
        }
        Ok(())
    }

    /// Deletes the keys that went and inserts those that came: no row is touched twice.
    fn replace_keys(&mut self, user: &UserState<'_>, old: &Derived, new: &Derived) -> Result<(), StoreError> {
        for (attribute, value) in old.keys.iter().filter(|key| !new.keys.contains(key)) {
            self.push(
                Sql::new("DELETE FROM user_key WHERE user_id = ? AND attribute = ? AND value = ?")
                    .bind(user.id.to_string())
                    .bind(*attribute)
                    .bind(value.as_str()),
            );
        }
        let mut come = new.clone();
        come.keys.retain(|key| !old.keys.contains(key));
        self.insert_keys(user, &come)
    }
}

/// A user of a connection, unless it is deleted.
pub async fn by_id(session: &Session, connection: ConnectionId, id: UserId) -> Result<Option<User>, StoreError> {
    let page = session.text(packed::whole_users(session, pointer(connection, id), "u.id")).await?;
    Ok(packed::read_users(page.as_deref().unwrap_or_default(), connection)?.pop())
}

fn pointer(connection: ConnectionId, id: UserId) -> Sql {
    Sql::new("SELECT u.seq, u.id FROM \"user\" u WHERE u.id = ? AND u.connection_id = ? AND u.status <> 'deleted'")
        .bind(id.to_string())
        .bind(connection.to_string())
}

/// A user of a connection as it is shown, unless it is deleted: without what the rules gave it.
pub async fn shown_by_id(session: &Session, connection: ConnectionId, id: UserId) -> Result<Option<User>, StoreError> {
    let page = session.text(packed::users(session, pointer(connection, id), "u.id")).await?;
    Ok(packed::read_users(page.as_deref().unwrap_or_default(), connection)?.pop())
}

/// The same with all that is kept, and nobody else changes it until the transaction ends.
pub async fn by_id_locked(tx: &Tx, connection: ConnectionId, id: UserId) -> Result<Option<User>, StoreError> {
    lock(tx, &[id.to_string()]).await?;
    by_id(tx, connection, id).await
}

/// Locks users on PostgreSQL, in the order of ids. What belongs to them is read by a later statement: one that waits for a
/// lock sees the row as it became, but everything else as it was before the wait.
pub(super) async fn lock(tx: &Tx, ids: &[String]) -> Result<(), StoreError> {
    if tx.is_postgres() {
        let sql = format!("SELECT id FROM \"user\" WHERE {} ORDER BY id FOR UPDATE", is_any(tx, "id", ids.len()));
        tx.all(Sql::new(sql).bind(to_json("user", ids)?)).await?;
    }
    Ok(())
}

/// Like [`many`], and nobody else changes them until the transaction ends.
pub async fn many_locked(
    tx: &Tx,
    account: AccountId,
    ids: &[UserId],
) -> Result<Vec<(User, Option<String>)>, StoreError> {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    lock(tx, &texts).await?;
    many(tx, account, ids).await
}

/// Users of an account by id, deleted ones too, in the order of ids, each with the digest of the worker that it should have.
pub async fn many(
    session: &Session,
    account: AccountId,
    ids: &[UserId],
) -> Result<Vec<(User, Option<String>)>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let sql = format!(
        "SELECT u.seq, u.id FROM \"user\" u WHERE u.account_id = ? AND {} ORDER BY u.id",
        is_any(session, "u.id", ids.len())
    );
    let pointers = Sql::new(sql).bind(account.to_string()).bind(to_json("user", &ids)?);
    let people = session.text(packed::users_with_workers(session, pointers, "u.id")).await?;
    packed::read_users_with_workers(people.as_deref().unwrap_or_default())
}

/// The users of an account after one of them, in the order of ids, at most `limit`; deleted ones are left out.
pub async fn ids_after(
    session: &Session,
    account: AccountId,
    after: &str,
    limit: u64,
) -> Result<Vec<UserId>, StoreError> {
    let mut sql =
        Sql::new("SELECT id FROM \"user\" WHERE account_id = ? AND id > ? AND status <> 'deleted' ORDER BY id")
            .bind(account.to_string())
            .bind(after);
    sql.push_limit(limit);
    session.all(sql).await?.iter().map(|row| row.parsed("user", "id")).collect()
}

/// The users of a connection that match, in the order of their creation.
pub async fn list(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
) -> Result<Matches<User>, StoreError> {
    super::filter::list(session, connection, listing).await
}

/// The next page of a walk behind a place, or the first one; none: what would have to be looked at is too much.
pub async fn walk(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
    after: Option<&Place>,
) -> Result<Option<Walked<User>>, StoreError> {
    super::filter::walk(session, connection, listing, after).await
}

/// How many match; none where that is only known by looking at each.
pub async fn total(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
) -> Result<Option<u64>, StoreError> {
    super::filter::total::<User>(session, connection, listing).await
}

/// What matches, with the value that each is sorted by; none: more than may be looked at.
pub async fn ranks(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
    sort: &Sort,
) -> Result<Option<Vec<Ranked>>, StoreError> {
    super::filter::ranks::<User>(session, connection, listing, sort).await
}

/// The users of a connection with these ids, in no order; those that are gone are left out.
pub async fn by_ids(session: &Session, connection: ConnectionId, ids: &[String]) -> Result<Vec<User>, StoreError> {
    super::filter::by_ids(session, connection, ids).await
}

/// A group of a user, as the attribute `groups` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGroup {
    /// The group's id.
    pub group: String,
    /// The group's displayName.
    pub display_name: String,
    /// Whether the membership is the person's own.
    pub direct: bool,
}

/// The attribute `groups` (RFC 7643 §4.1.2), with `$ref` below the SCIM base URL; without one, for rules, without it.
#[must_use]
pub fn groups_value(groups: &[UserGroup], base_url: Option<&str>) -> Value {
    let one = |group: &UserGroup| {
        let kind = if group.direct { "direct" } else { "indirect" };
        match base_url.map(|base| format!("{base}/Groups/{}", group.group)) {
            Some(url) => json!({"value": group.group, "$ref": url, "display": group.display_name, "type": kind}),
            None => json!({"value": group.group, "display": group.display_name, "type": kind}),
        }
    };
    Value::Array(groups.iter().map(one).collect())
}

pub(super) fn read(row: &sea_orm::QueryResult) -> Result<User, StoreError> {
    Ok(User {
        id: row.parsed("user", "id")?,
        account: row.parsed("user", "account_id")?,
        connection: row.parsed_opt("user", "connection_id")?,
        status: row.parsed("user", "status")?,
        document: row.text("document")?,
        role: row.parsed_opt("user", "role")?,
        access: row.text_opt("access")?,
        hold: row.parsed_opt("user", "hold_id")?,
        claims: row.text_opt("claims")?,
        by_sign_in: row.int("by_sign_in")? == 1,
        has_signed_in: row.int_opt("last_sign_in_at")?.is_some(),
        version: row.int("version")?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        updated_at: Timestamp::from_millis(row.int("updated_at")?),
        groups: packed::read_groups(&row.text("in_groups")?)?,
    })
}
