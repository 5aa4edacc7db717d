//! Lists of users and groups by SCIM filter.
//!
//! A filter becomes SQL as far as columns and indexes carry it. What they cannot say is checked on the rows that are left,
//! of which at most [`MAX_CANDIDATES`] are looked at; a filter that would need more is answered with [`Matches::TooMany`].

mod condition;
mod groups;
#[cfg(test)]
mod plans;
mod rank;
mod users;
mod walk;

use serde_json::{Map, Value};

use crate::base::{AccountId, ConnectionId, Page};
use crate::scim::ResourceKind;
use crate::scim::document::{Meta, schemas_for};
use crate::scim::filter::Bound;

use super::error::StoreError;
use super::order::{Column, Order, PlaceKey, Spelling};
use super::row::RowExt as _;
use super::session::Session;
use super::sql::Sql;
use condition::{Condition, Entry};

pub(super) use rank::{by_ids, ranks};
pub use walk::Walked;
pub(super) use walk::{total, walk};

/// How many rows are looked at one by one for what SQL cannot decide.
pub const MAX_CANDIDATES: u64 = 20_000;
/// Up to how many matches a filtered total is exact; beyond, this number is answered.
pub const MAX_COUNTED: i64 = 100_000;
/// Rows that are read at a time while they are checked one by one.
const CHUNK: u64 = 1_000;

/// What is wanted of a list.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'f> {
    /// The account of the connection.
    pub account: AccountId,
    /// Only resources that match; none: all of them.
    pub filter: Option<&'f Bound>,
    /// Which part of the list.
    pub page: Page,
    /// In which order.
    pub order: Order,
    /// The SCIM base URL, which `meta.location` begins with.
    pub base_url: &'f str,
}

/// What a list holds.
#[derive(Clone, Debug)]
pub enum Matches<T> {
    /// The part that was asked for, and how many match in all.
    Found {
        /// How many match: exact up to [`MAX_COUNTED`].
        total: u64,
        /// The part that was asked for.
        rows: Vec<T>,
    },
    /// Too many rows would have to be looked at one by one.
    TooMany,
    /// What matches is only known by looking at it, and not in this order: it must be ranked.
    Unordered,
}

/// A resource type that is listed.
pub(super) trait Listed: Sized + Send {
    /// The resource type in `counter`.
    const KIND: &'static str;
    /// The table with its one-letter alias, and the condition of every list.
    const FROM: &'static str;
    /// The alias.
    const ALIAS: &'static str;

    /// What is selected to be [read](Self::read).
    fn columns(session: &Session) -> String;
    fn read(row: &sea_orm::QueryResult) -> Result<Self, StoreError>;
    /// The column by which rows are found fastest.
    fn pointer(session: &Session) -> &'static str;
    /// The resources that a subquery points to, in its order, which is also given.
    async fn pointed_to(
        session: &Session,
        connection: ConnectionId,
        pointers: Sql,
        order: &str,
    ) -> Result<Vec<Self>, StoreError>;
    fn id(&self) -> String;
    /// The column of an order, and whether it may be null.
    fn column(column: Column) -> (&'static str, bool);
    /// The value that a column has in this row.
    fn key(&self, column: Column) -> Result<Option<PlaceKey>, StoreError>;
    /// A condition that does not keep the index of an order from being used.
    fn hinted(condition: Condition, _order: Order) -> Condition {
        condition
    }
    /// The condition of a filter, as far as SQL carries it.
    async fn condition(session: &Session, connection: ConnectionId, filter: &Bound) -> Result<Condition, StoreError>;
    /// The resources as the filter of the listing sees them; none: they are too large to look at.
    async fn resources(
        session: &Session,
        rows: &[Self],
        listing: &Listing<'_>,
    ) -> Result<Option<Vec<Map<String, Value>>>, StoreError>;
}

pub(super) async fn list<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
) -> Result<Matches<T>, StoreError> {
    let Some(filter) = listing.filter else {
        let total = count_all(session, connection, T::KIND).await?;
        let rows = if listing.page.limit == 0 {
            Vec::new()
        } else {
            let from = base::<T>(session, listing, connection, T::hinted(Condition::all(), listing.order));
            if listing.page.offset > total / 2 && listing.order == Order::CREATED {
                from_end::<T>(session, connection, &from, listing).await?
            } else {
                page::<T>(session, connection, &from, false, listing).await?
            }
        };
        return Ok(Matches::Found { total, rows });
    };
    let condition = T::condition(session, connection, filter).await?;
    if reads_too_much::<T>(session, connection, &condition).await? {
        return Ok(Matches::TooMany);
    }
    let selective = condition.selective;
    let exact = condition.exact;
    if !exact && listing.order != Order::CREATED {
        return Ok(Matches::Unordered);
    }
    let from = base::<T>(session, listing, connection, T::hinted(condition, listing.order));
    if !exact {
        return checked::<T>(session, &from, filter, listing).await;
    }
    let rows = if listing.page.limit == 0 {
        Vec::new()
    } else {
        page::<T>(session, connection, &from, selective, listing).await?
    };
    let found = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    // The last page tells the total by itself.
    let total = if found < listing.page.limit && (found > 0 || listing.page.offset == 0) {
        listing.page.offset.saturating_add(found)
    } else {
        count(session, from).await?
    };
    Ok(Matches::Found { total, rows })
}

/// Whether more texts would have to be looked into than rows may be looked at. Other conditions without an index compare
/// what is small and stands in the row, or match most of what they are asked about.
async fn reads_too_much<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    condition: &Condition,
) -> Result<bool, StoreError> {
    Ok(condition.reads_everything() && count_all(session, connection, T::KIND).await? > MAX_CANDIDATES)
}

/// `FROM … WHERE …`
fn base<T: Listed>(session: &Session, listing: &Listing<'_>, connection: ConnectionId, condition: Condition) -> Sql {
    let (from, alias) = (T::FROM, T::ALIAS);
    // SQLite leaves an index alone for a column that stands behind a plus.
    let named = matches!(condition.entry, Entry::Connection | Entry::Both);
    let plus = if session.is_postgres() || named { "" } else { "+" };
    let mut sql = Sql::new(format!("{from} AND {plus}{alias}.connection_id = ?")).bind(connection.to_string());
    if matches!(condition.entry, Entry::Account | Entry::Both) {
        sql.push(Sql::new(format!(" AND {alias}.account_id = ?")).bind(listing.account.to_string()));
    }
    if let Some(condition) = condition.sql {
        sql.push_str(" AND ");
        sql.push(condition);
    }
    sql
}

/// How an order is written for a resource type. SQLite leaves an index alone for a column that stands behind a plus, so that
/// a selective condition keeps the index of its own.
fn spelling<T: Listed>(session: &Session, order: Order, selective: bool) -> Spelling {
    let plus = if selective && !session.is_postgres() { "+" } else { "" };
    let (column, nullable) = T::column(order.column);
    Spelling { order, column: (format!("{plus}{column}"), nullable), id: format!("{plus}{}.id", T::ALIAS) }
}

/// What points to the page comes first, from an index alone: what is passed over costs little then.
async fn page<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    from: &Sql,
    selective: bool,
    listing: &Listing<'_>,
) -> Result<Vec<T>, StoreError> {
    let order_by = spelling::<T>(session, listing.order, false).order_by();
    T::pointed_to(session, connection, pointers::<T>(session, from, selective, listing), &order_by).await
}

/// The same page of all there is, in the order of creation, counted from the end, which is nearer.
async fn from_end<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    from: &Sql,
    listing: &Listing<'_>,
) -> Result<Vec<T>, StoreError> {
    let order_by = spelling::<T>(session, listing.order, false).order_by();
    T::pointed_to(session, connection, pointers_from_end::<T>(session, connection, from, listing.page), &order_by).await
}

/// How many there are is read by the same statement: whoever comes meanwhile moves no page of those that were there before.
fn pointers_from_end<T: Listed>(session: &Session, connection: ConnectionId, from: &Sql, page: Page) -> Sql {
    let (pointer, id) = (T::pointer(session), format!("{}.id", T::ALIAS));
    let (greater, less) = if session.is_postgres() { ("GREATEST", "LEAST") } else { ("max", "min") };
    let number = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX / 2);
    let total = || {
        Sql::new("(SELECT CAST(COALESCE(SUM(total), 0) AS bigint) FROM counter WHERE connection_id = ? AND kind = ?)")
            .bind(connection.to_string())
            .bind(T::KIND)
    };
    let columns = if pointer == id { id.clone() } else { format!("{pointer}, {id}") };
    let mut sql = Sql::new(format!("SELECT {pointer} FROM (SELECT {columns} "));
    sql.push(from.clone());
    sql.push(Sql::new(format!(" ORDER BY {id} DESC LIMIT {greater}(0, {less}(?, ")).bind(number(page.limit)));
    sql.push(total());
    sql.push(Sql::new(format!(" - ?)) OFFSET {greater}(0, ")).bind(number(page.offset)));
    sql.push(total());
    sql.push(
        Sql::new(format!(" - ?)) AS {} ORDER BY {id} ASC", T::ALIAS))
            .bind(number(page.offset.saturating_add(page.limit))),
    );
    sql
}

fn pointers<T: Listed>(session: &Session, from: &Sql, selective: bool, listing: &Listing<'_>) -> Sql {
    let mut pointers = Sql::new(format!("SELECT {} ", T::pointer(session)));
    pointers.push(from.clone());
    pointers.push_str(&format!(" ORDER BY {}", spelling::<T>(session, listing.order, selective).order_by()));
    pointers.push_limit(listing.page.limit);
    pointers.push_offset(listing.page.offset);
    pointers
}

async fn count(session: &Session, from: Sql) -> Result<u64, StoreError> {
    let row = session.one(counted(from)).await?;
    Ok(row.map_or(Ok(0), |row| row.int("n"))?.unsigned_abs())
}

fn counted(from: Sql) -> Sql {
    let mut sql = Sql::new("SELECT COUNT(*) AS n FROM (SELECT 1 AS one ");
    sql.push(from);
    sql.push_limit(MAX_COUNTED.unsigned_abs());
    sql.push_str(") AS counted");
    sql
}

async fn count_all(session: &Session, connection: ConnectionId, kind: &str) -> Result<u64, StoreError> {
    let sql =
        Sql::new("SELECT CAST(COALESCE(SUM(total), 0) AS TEXT) FROM counter WHERE connection_id = ? AND kind = ?")
            .bind(connection.to_string())
            .bind(kind);
    let total = session.text(sql).await?.unwrap_or_default();
    let damaged = || StoreError::Damaged { table: "counter", what: format!("{kind}: {total}") };
    Ok(u64::try_from(total.parse::<i64>().map_err(|_| damaged())?).unwrap_or(0))
}

/// The next rows behind an id, in the order of ids.
async fn chunk<T: Listed>(session: &Session, from: &Sql, after: &str) -> Result<Vec<T>, StoreError> {
    let mut sql = Sql::new(format!("SELECT {} ", T::columns(session)));
    sql.push(from.clone());
    sql.push(Sql::new(format!(" AND {0}.id > ? ORDER BY {0}.id", T::ALIAS)).bind(after));
    sql.push_limit(CHUNK);
    session.all(sql).await?.iter().map(T::read).collect()
}

/// Looks at the candidates one by one.
async fn checked<T: Listed>(
    session: &Session,
    from: &Sql,
    filter: &Bound,
    listing: &Listing<'_>,
) -> Result<Matches<T>, StoreError> {
    let page = listing.page;
    let (mut total, mut looked_at, mut rows) = (0_u64, 0_u64, Vec::new());
    let mut after = String::new();
    loop {
        let chunk: Vec<T> = chunk(session, from, &after).await?;
        let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        let Some(last) = chunk.last().map(T::id) else { break };
        after = last;
        let Some(resources) = T::resources(session, &chunk, listing).await? else {
            return Ok(Matches::TooMany);
        };
        for (row, resource) in chunk.into_iter().zip(resources) {
            if filter.matches(&resource) {
                if total >= page.offset && total - page.offset < page.limit {
                    rows.push(row);
                }
                total += 1;
            }
        }
        looked_at += size;
        if size < CHUNK {
            break;
        }
        if looked_at >= MAX_CANDIDATES {
            return Ok(Matches::TooMany);
        }
    }
    Ok(Matches::Found { total, rows })
}

/// The resource as the filter sees it: all that is shown, but for what a resource type adds.
fn with_common(mut document: Map<String, Value>, kind: ResourceKind, meta: &Meta<'_>) -> Map<String, Value> {
    document.insert("schemas".to_owned(), schemas_for(kind, &document).into());
    document.insert("id".to_owned(), Value::from(meta.id));
    document.insert("meta".to_owned(), meta.to_value(kind));
    document
}
