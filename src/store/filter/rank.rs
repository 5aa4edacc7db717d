//! Lists in an order that no index has: what matches is looked at one by one and sorted here.
//!
//! Only values and ids are kept while it is, so that memory is bounded by [`MAX_CANDIDATES`]; the rows of a page are
//! read once it is known which they are.

use crate::base::ConnectionId;
use crate::scim::sort::{Ranked, Sort};

use super::super::error::StoreError;
use super::super::memberships::is_any;
use super::super::row::to_json;
use super::super::session::Session;
use super::super::sql::Sql;
use super::condition::Condition;
use super::{Listed, Listing, MAX_CANDIDATES, base, chunk, reads_too_much};

/// What matches, with the value that each is sorted by; none: more than may be looked at.
pub(in crate::store) async fn ranks<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
    sort: &Sort,
) -> Result<Option<Vec<Ranked>>, StoreError> {
    let condition = match listing.filter {
        Some(filter) => T::condition(session, connection, filter).await?,
        None => Condition::all(),
    };
    if reads_too_much::<T>(session, connection, &condition).await? {
        return Ok(None);
    }
    let from = base::<T>(session, listing, connection, condition);
    let (mut found, mut after, mut looked_at) = (Vec::new(), String::new(), 0_u64);
    loop {
        let rows: Vec<T> = chunk(session, &from, &after).await?;
        let Some(last) = rows.last().map(T::id) else { return Ok(Some(found)) };
        looked_at = looked_at.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        if looked_at > MAX_CANDIDATES {
            return Ok(None);
        }
        after = last;
        let Some(resources) = T::resources(session, &rows, listing).await? else { return Ok(None) };
        for (row, resource) in rows.iter().zip(resources) {
            if listing.filter.is_none_or(|filter| filter.matches(&resource)) {
                found.push(sort.rank(&resource, row.id()));
            }
        }
    }
}

/// The resources with these ids, in no order; those that are gone meanwhile are left out.
pub(in crate::store) async fn by_ids<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    ids: &[String],
) -> Result<Vec<T>, StoreError> {
    let alias = T::ALIAS;
    let sql = Sql::new(format!(
        "SELECT {} {} AND {alias}.connection_id = ? AND {}",
        T::columns(session),
        T::FROM,
        is_any(session, &format!("{alias}.id"), ids.len())
    ))
    .bind(connection.to_string())
    .bind(to_json("user", ids)?);
    session.all(sql).await?.iter().map(T::read).collect()
}
