//! Lists of users and groups (RFC 7644 §3.4.2): filtered, sorted, and in pages by index or by cursor (RFC 9865).

use std::collections::HashMap;

use serde_json::json;

use crate::base::Page;
use crate::scim::filter::{Bound, Filter, Limits};
use crate::scim::sort::Ranked;
use crate::scim::{Projection, ResourceKind, ScimError, Sort, schema_of};
use crate::store::{Listing, Matches, Order, Place, groups, users};

use super::cache::Caller;
use super::core::Core;
use super::cursor::{Binding, Cursor};
use super::error::ServiceError;
use super::render::{GroupBody, Rendered, render_group, render_user};

/// How many resources are sorted by an attribute without an index.
const MOST_RANKED: usize = 20_000;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'q> {
    /// Only resources that match.
    pub filter: Option<&'q str>,
    /// The attribute to sort by.
    pub sort_by: Option<&'q str>,
    /// `ascending` or `descending`.
    pub sort_order: Option<&'q str>,
    /// Which part of the list.
    pub paging: Paging<'q>,
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Paging<'q> {
    /// By index (RFC 7644 §3.4.2.4).
    Index(Page),
    /// By cursor (RFC 9865).
    Cursor {
        /// The cursor; empty for the first page.
        cursor: &'q str,
        /// How many resources at most; not 0.
        limit: u64,
    },
}

/// A page of a list.
#[derive(Debug)]
pub struct Found {
    /// How many match; none where only looking at each would tell (RFC 9865 §2 lets a page by cursor leave it out).
    pub total: Option<u64>,
    /// The part that was asked for.
    pub resources: Vec<Shown>,
    /// Where the next page begins; none: there is none, or the page was asked for by index.
    pub next_cursor: Option<String>,
}

/// A resource of a list.
#[derive(Debug)]
pub enum Shown {
    /// A user.
    User(Rendered),
    /// A group.
    Group(GroupBody),
}

/// One type of resources in a search.
struct Part<'p> {
    projection: &'p Projection,
    filter: Option<Bound>,
    sort: Option<Sort>,
}

impl Part<'_> {
    fn kind(&self) -> ResourceKind {
        self.projection.kind()
    }

    /// The order of an index, unless sorting asks for one that none has.
    fn order(&self) -> Option<Order> {
        match (&self.sort, self.kind()) {
            (None, _) => Some(Order::CREATED),
            (Some(sort), ResourceKind::User) => Order::of_users(sort),
            (Some(sort), ResourceKind::Group) => Order::of_groups(sort),
        }
    }

    fn listing<'l>(&'l self, core: &'l Core, caller: &Caller, page: Page) -> Listing<'l> {
        let order = self.order().unwrap_or(Order::CREATED);
        Listing { account: caller.account, filter: self.filter.as_ref(), page, order, base_url: &core.scim_url }
    }
}

impl Core {
    /// Searches the types of resources that the projections are for, one after the other. With more than one type, an
    /// attribute that only one of them has is without a value in the others (RFC 7644 §3.4.2.1).
    pub async fn search(
        &self,
        caller: &Caller,
        projections: &[Projection],
        search: &Search<'_>,
    ) -> Result<Found, ServiceError> {
        let parts = parts(caller, projections, search)?;
        let indexed = search.sort_by.is_none() || (parts.len() == 1 && parts[0].order().is_some());
        match search.paging {
            Paging::Index(page) if indexed => match self.by_index(caller, &parts, page).await? {
                Some(found) => Ok(found),
                None => self.ranked(caller, &parts, page).await,
            },
            Paging::Index(page) => self.ranked(caller, &parts, page).await,
            Paging::Cursor { cursor, limit } => {
                let binding = binding(caller, projections, search);
                let cursor = if cursor.is_empty() {
                    Cursor {
                        total: if indexed { self.total(caller, &parts).await? } else { None },
                        ..Cursor::default()
                    }
                } else {
                    Cursor::open(cursor, &self.keyring, self.ambient.now(), &binding)?
                };
                let (mut found, next) = if indexed {
                    self.walk(caller, &parts, cursor, limit).await?
                } else {
                    self.ranked_from(caller, &parts, cursor, limit).await?
                };
                found.next_cursor = next.map(|next| next.seal(&self.keyring, &self.ambient, &binding)).transpose()?;
                Ok(found)
            }
        }
    }

    /// A page by index in the order of an index, one type after the other; none: what matches must be ranked.
    async fn by_index(&self, caller: &Caller, parts: &[Part<'_>], page: Page) -> Result<Option<Found>, ServiceError> {
        let (mut total, mut resources, mut left) = (0_u64, Vec::new(), page);
        for part in parts {
            let listing = part.listing(self, caller, left);
            let matching = match part.kind() {
                ResourceKind::User => match users::list(self.store.read(), caller.connection, &listing).await? {
                    Matches::TooMany => return Err(too_many(part.kind()).into()),
                    Matches::Unordered => return Ok(None),
                    Matches::Found { total, rows } => {
                        resources.extend(self.show_users(&rows, part.projection)?);
                        total
                    }
                },
                ResourceKind::Group => match groups::list(self.store.read(), caller.connection, &listing).await? {
                    Matches::TooMany => return Err(too_many(part.kind()).into()),
                    Matches::Unordered => return Ok(None),
                    Matches::Found { total, rows } => {
                        resources.extend(self.show_groups(&rows, part.projection)?);
                        total
                    }
                },
            };
            total = total.saturating_add(matching);
            left.offset = left.offset.saturating_sub(matching);
            left.limit = page.limit.saturating_sub(u64::try_from(resources.len()).unwrap_or(u64::MAX));
        }
        Ok(Some(Found { total: Some(total), resources, next_cursor: None }))
    }

    /// A page by cursor in the order of an index, one type after the other.
    async fn walk(
        &self,
        caller: &Caller,
        parts: &[Part<'_>],
        from: Cursor,
        limit: u64,
    ) -> Result<(Found, Option<Cursor>), ServiceError> {
        let (mut resources, mut after, mut next) = (Vec::new(), from.place, None);
        for (n, part) in parts.iter().enumerate().skip(from.part) {
            let left = limit.saturating_sub(u64::try_from(resources.len()).unwrap_or(u64::MAX));
            let cursor = Cursor { total: from.total, part: n, ..Cursor::default() };
            if left == 0 {
                next = Some(cursor);
                break;
            }
            let listing = part.listing(self, caller, Page { offset: 0, limit: left });
            let place: Option<Place> = match part.kind() {
                ResourceKind::User => {
                    let page = users::walk(self.store.read(), caller.connection, &listing, after.as_ref()).await?;
                    let page = page.ok_or_else(|| too_many(part.kind()))?;
                    resources.extend(self.show_users(&page.rows, part.projection)?);
                    page.next
                }
                ResourceKind::Group => {
                    let page = groups::walk(self.store.read(), caller.connection, &listing, after.as_ref()).await?;
                    let page = page.ok_or_else(|| too_many(part.kind()))?;
                    resources.extend(self.show_groups(&page.rows, part.projection)?);
                    page.next
                }
            };
            if place.is_some() {
                next = Some(Cursor { place, ..cursor });
                break;
            }
            after = None;
        }
        Ok((Found { total: from.total, resources, next_cursor: None }, next))
    }

    /// How many match in all types, where the database can count them.
    async fn total(&self, caller: &Caller, parts: &[Part<'_>]) -> Result<Option<u64>, ServiceError> {
        let mut all = Some(0_u64);
        for part in parts {
            let listing = part.listing(self, caller, Page { offset: 0, limit: 0 });
            let total = match part.kind() {
                ResourceKind::User => users::total(self.store.read(), caller.connection, &listing).await?,
                ResourceKind::Group => groups::total(self.store.read(), caller.connection, &listing).await?,
            };
            all = all.zip(total).map(|(all, total)| all.saturating_add(total));
        }
        Ok(all)
    }

    /// A page by cursor in an order that is made for each page.
    async fn ranked_from(
        &self,
        caller: &Caller,
        parts: &[Part<'_>],
        from: Cursor,
        limit: u64,
    ) -> Result<(Found, Option<Cursor>), ServiceError> {
        let found = self.ranked(caller, parts, Page { offset: from.offset, limit }).await?;
        let end = from.offset.saturating_add(limit);
        let more = found.total.is_some_and(|total| total > end);
        Ok((found, more.then(|| Cursor { offset: end, ..Cursor::default() })))
    }

    /// A page in an order that no index has: all that matches is sorted.
    async fn ranked(&self, caller: &Caller, parts: &[Part<'_>], page: Page) -> Result<Found, ServiceError> {
        let all = Page { offset: 0, limit: 0 };
        let mut ranked: Vec<(usize, Ranked)> = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            let (Some(sort), listing) = (&part.sort, part.listing(self, caller, all)) else { continue };
            let found = match part.kind() {
                ResourceKind::User => users::ranks(self.store.read(), caller.connection, &listing, sort).await?,
                ResourceKind::Group => groups::ranks(self.store.read(), caller.connection, &listing, sort).await?,
            };
            ranked.extend(found.ok_or_else(too_many_to_sort)?.into_iter().map(|rank| (n, rank)));
        }
        if ranked.len() > MOST_RANKED {
            return Err(too_many_to_sort().into());
        }
        if let Some(sort) = parts.iter().find_map(|part| part.sort) {
            ranked.sort_by(|(_, one), (_, other)| sort.compare(one, other));
        }
        let total = u64::try_from(ranked.len()).unwrap_or(u64::MAX);
        let (skip, take) = (usize::try_from(page.offset), usize::try_from(page.limit));
        let (skip, take) = (skip.unwrap_or(usize::MAX), take.unwrap_or(usize::MAX));
        let wanted: Vec<(usize, Ranked)> = ranked.into_iter().skip(skip).take(take).collect();
        let mut shown: HashMap<String, Shown> = HashMap::new();
        for (n, part) in parts.iter().enumerate() {
            let ids: Vec<String> = wanted.iter().filter(|(of, _)| *of == n).map(|(_, rank)| rank.id.clone()).collect();
            shown.extend(self.by_ids(caller, part, &ids).await?);
        }
        let resources = wanted.iter().filter_map(|(_, rank)| shown.remove(&rank.id)).collect();
        Ok(Found { total: Some(total), resources, next_cursor: None })
    }

    async fn by_ids(
        &self,
        caller: &Caller,
        part: &Part<'_>,
        ids: &[String],
    ) -> Result<Vec<(String, Shown)>, ServiceError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, shown): (Vec<String>, Vec<Shown>) = match part.kind() {
            ResourceKind::User => {
                let rows = users::by_ids(self.store.read(), caller.connection, ids).await?;
                (rows.iter().map(|user| user.id.to_string()).collect(), self.show_users(&rows, part.projection)?)
            }
            ResourceKind::Group => {
                let rows = groups::by_ids(self.store.read(), caller.connection, ids).await?;
                (rows.iter().map(|group| group.id.to_string()).collect(), self.show_groups(&rows, part.projection)?)
            }
        };
        Ok(keys.into_iter().zip(shown).collect())
    }

    fn show_users(&self, rows: &[users::User], projection: &Projection) -> Result<Vec<Shown>, ServiceError> {
        rows.iter().map(|user| Ok(Shown::User(render_user(&self.scim_url, user, projection)?))).collect()
    }

    fn show_groups(&self, rows: &[groups::Group], projection: &Projection) -> Result<Vec<Shown>, ServiceError> {
        rows.iter().map(|group| render_group(&self.scim_url, group, projection).map(Shown::Group)).collect()
    }
}

/// Binds filter and order to each type.
fn parts<'p>(caller: &Caller, projections: &'p [Projection], search: &Search<'_>) -> Result<Vec<Part<'p>>, ScimError> {
    let schemas: Vec<_> = projections.iter().map(|projection| schema_of(projection.kind())).collect();
    let filter = search.filter.map(|text| Filter::parse_as(text, &Limits::default(), caller.dialect)).transpose()?;
    let sorts = match search.sort_by {
        Some(sort_by) => Sort::parse(&schemas, sort_by, search.sort_order, caller.dialect)?,
        None => Vec::new(),
    };
    projections
        .iter()
        .zip(&schemas)
        .enumerate()
        .map(|(n, (projection, schema))| {
            let filter =
                filter.as_ref().map(|filter| filter.bind_among(schema, &schemas, caller.dialect)).transpose()?;
            Ok(Part { projection, filter, sort: sorts.get(n).copied() })
        })
        .collect()
}

/// A cursor belongs to one connection and to one way of asking; the size of pages and the attributes may change.
fn binding(caller: &Caller, projections: &[Projection], search: &Search<'_>) -> Binding {
    let kinds: Vec<&str> = projections.iter().map(|projection| projection.kind().name()).collect();
    let (account, connection) = (caller.account.to_string(), caller.connection.to_string());
    let order = search.sort_order.unwrap_or_default();
    Binding(json!(["scim_cursor", account, connection, kinds, search.filter, search.sort_by, order]).to_string())
}

fn too_many(kind: ResourceKind) -> ScimError {
    let (equal, contains) = match kind {
        ResourceKind::User => (
            "userName, externalId, emails.value, displayName or id",
            ", or that its userName, emails.value or displayName contains three",
        ),
        ResourceKind::Group => ("displayName, externalId, members.value or id", ""),
    };
    ScimError::too_many(format!(
        "The filter has no condition that an index serves, and there are too many {}s to look at each. Add one: that {equal} is equal to a value or begins with three characters of it{contains}.",
        kind.name().to_lowercase()
    ))
}

fn too_many_to_sort() -> ScimError {
    ScimError::too_many(
        "There are too many resources to sort them by an attribute without an index. Sort one type of resources by userName, displayName, externalId, id or meta.created, or filter for fewer.",
    )
}
