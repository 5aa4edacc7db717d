//! Lists walked from place to place (keyset): a page far behind costs what the first one does.

use crate::base::ConnectionId;

use super::super::error::StoreError;
use super::super::order::{Column, Order, Place};
use super::super::session::Session;
use super::super::sql::Sql;
use super::condition::Condition;
use super::{CHUNK, Listed, Listing, MAX_CANDIDATES, base, count, count_all, reads_too_much, spelling};

/// A page of a walk.
#[derive(Clone, Debug)]
pub struct Walked<T> {
    /// The resources; fewer than asked for where too much had to be looked at for more.
    pub rows: Vec<T>,
    /// The place behind which the next page begins; none: this is the last one.
    pub next: Option<Place>,
}

/// How many match; none where that is only known by looking at each.
pub(in crate::store) async fn total<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
) -> Result<Option<u64>, StoreError> {
    let Some(filter) = listing.filter else { return count_all(session, connection, T::KIND).await.map(Some) };
    let condition = T::condition(session, connection, filter).await?;
    if !condition.exact || reads_too_much::<T>(session, connection, &condition).await? {
        return Ok(None);
    }
    count(session, base::<T>(session, listing, connection, condition)).await.map(Some)
}

/// The next page behind a place, or the first one; none: what would have to be looked at is too much. The offset of the
/// listing has no meaning here.
pub(in crate::store) async fn walk<T: Listed>(
    session: &Session,
    connection: ConnectionId,
    listing: &Listing<'_>,
    after: Option<&Place>,
) -> Result<Option<Walked<T>>, StoreError> {
    let condition = match listing.filter {
        Some(filter) => T::condition(session, connection, filter).await?,
        None => Condition::all(),
    };
    if reads_too_much::<T>(session, connection, &condition).await? {
        return Ok(None);
    }
    let (selective, exact) = (condition.selective, condition.exact);
    let from = base::<T>(session, listing, connection, T::hinted(condition, listing.order));
    let path = Path { session, connection, from, order: listing.order, selective };
    let limit = usize::try_from(listing.page.limit).unwrap_or(usize::MAX);
    let size = if exact { listing.page.limit.saturating_add(1) } else { CHUNK };
    let (mut rows, mut looked_at, mut at) = (Vec::new(), 0_u64, after.cloned());
    loop {
        let (candidates, more) = path.behind::<T>(at.as_ref(), size).await?;
        looked_at = looked_at.saturating_add(u64::try_from(candidates.len()).unwrap_or(u64::MAX));
        at = match candidates.last() {
            Some(last) => Some(place(last, listing.order)?),
            None => at,
        };
        match listing.filter {
            Some(filter) if !exact => {
                let Some(resources) = T::resources(session, &candidates, listing).await? else { return Ok(None) };
                let found = candidates.into_iter().zip(resources).filter(|(_, resource)| filter.matches(resource));
                rows.extend(found.map(|(row, _)| row));
            }
            Some(_) | None => rows.extend(candidates),
        }
        if rows.len() > limit {
            rows.truncate(limit);
            let next = rows.last().map(|last| place(last, listing.order)).transpose()?;
            return Ok(Some(Walked { rows, next }));
        }
        if !more {
            return Ok(Some(Walked { rows, next: None }));
        }
        if looked_at >= MAX_CANDIDATES {
            return Ok(Some(Walked { rows, next: at }));
        }
    }
}

fn place<T: Listed>(row: &T, order: Order) -> Result<Place, StoreError> {
    let key = if order.column == Column::Id { None } else { row.key(order.column)? };
    Ok(Place { key, id: row.id() })
}

/// What is walked, and how.
struct Path<'s> {
    session: &'s Session,
    connection: ConnectionId,
    from: Sql,
    order: Order,
    selective: bool,
}

impl Path<'_> {
    /// At most `limit` rows behind a place, and whether there may be more.
    async fn behind<T: Listed>(&self, after: Option<&Place>, limit: u64) -> Result<(Vec<T>, bool), StoreError> {
        let spelling = spelling::<T>(self.session, self.order, self.selective);
        let mut rows = Vec::new();
        for stretch in spelling.stretches(after) {
            let left = limit.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX));
            if left == 0 {
                return Ok((rows, true));
            }
            let mut pointers = Sql::new(format!("SELECT {} ", T::pointer(self.session)));
            pointers.push(self.from.clone());
            if let Some(condition) = stretch.condition {
                pointers.push_str(" AND ");
                pointers.push(condition);
            }
            pointers.push_str(&format!(" ORDER BY {}", stretch.order_by));
            pointers.push_limit(left);
            rows.extend(T::pointed_to(self.session, self.connection, pointers, &stretch.order_by).await?);
        }
        let full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= limit;
        Ok((rows, full))
    }
}
