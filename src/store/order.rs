//! The orders of lists that an index has, and places in them.
//!
//! A place is a value and an id; the next page begins behind it, wherever that is in the list. Resources without a value come
//! last, in descending order first (RFC 7644 §3.4.2.3). Neither database finds "behind this value, or without one" in one
//! walk of an index, so such an order is walked in two parts.

use serde::{Deserialize, Serialize};

use crate::scim::sort::Sort;

use super::sql::Sql;

/// What a list can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Ids, which are in the order of creation.
    Id,
    UserName,
    DisplayName,
    ExternalId,
    LastModified,
}

/// An order of a list that an index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub(super) column: Column,
    pub(super) descending: bool,
}

impl Order {
    /// The order of creation.
    pub const CREATED: Self = Self { column: Column::Id, descending: false };

    /// The order of users that sorting asks for, if there is an index.
    #[must_use]
    pub fn of_users(sort: &Sort) -> Option<Self> {
        Self::of(sort, true)
    }

    /// The same for groups.
    #[must_use]
    pub fn of_groups(sort: &Sort) -> Option<Self> {
        Self::of(sort, false)
    }

    fn of(sort: &Sort, users: bool) -> Option<Self> {
        let target = sort.target.filter(|target| target.extension.is_none())?;
        let column = match (target.attr.name, target.sub.map(|sub| sub.name)) {
            // An id begins with the time of its creation.
            ("id", None) | ("meta", Some("created")) => Column::Id,
            ("userName", None) if users => Column::UserName,
            ("displayName", None) => Column::DisplayName,
            ("externalId", None) => Column::ExternalId,
            // Every change of a member would have to write the index of a group.
            ("meta", Some("lastModified")) if users => Column::LastModified,
            _ => return None,
        };
        Some(Self { column, descending: sort.descending })
    }
}

/// A place in an order, behind which a page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The value that the order is by; none if the resource has none, or the order is that of ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<PlaceKey>,
    /// The id of the resource.
    pub(super) id: String,
}

/// The value at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum PlaceKey {
    Number(i64),
    Text(String),
}

/// How one order is written for one table.
#[derive(Clone, Debug)]
pub(super) struct Spelling {
    pub(super) order: Order,
    /// The column that the order is by, and whether it may be null.
    pub(super) column: (String, bool),
    /// The column of the id.
    pub(super) id: String,
}

/// A part of an order: a condition, and what it is ordered by.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) condition: Option<Sql>,
    pub(super) order_by: String,
}

impl Spelling {
    /// The whole order, for pages that begin after a number of rows.
    pub(super) fn order_by(&self) -> String {
        let (column, nullable) = (&self.column.0, self.column.1);
        let (way, nulls) = if self.order.descending { ("DESC", " NULLS FIRST") } else { ("ASC", " NULLS LAST") };
        match self.order.column {
            Column::Id => format!("{} {way}", self.id),
            _ => format!("{column} {way}{}, {} {way}", if nullable { nulls } else { "" }, self.id),
        }
    }

    /// The parts of the order behind a place, one after the other; without a place, all of it.
    pub(super) fn stretches(&self, after: Option<&Place>) -> Vec<Stretch> {
        let (column, nullable) = (&self.column.0, self.column.1);
        if self.order.column == Column::Id {
            return vec![self.without_value(None, after)];
        }
        let missing = format!("{column} IS NULL");
        let key = after.and_then(|place| place.key.as_ref());
        let values = match (after, key) {
            (Some(place), Some(key)) => Some(self.with_value(Some((place, key)))),
            // Without a value: they come after all values, or before.
            (Some(_), None) if !self.order.descending => None,
            _ => Some(self.with_value(None)),
        };
        if !nullable {
            return values.into_iter().collect();
        }
        let nulls = match (after, key) {
            (Some(place), None) => Some(self.without_value(Some(&missing), Some(place))),
            (Some(_), Some(_)) if self.order.descending => None,
            _ => Some(self.without_value(Some(&missing), None)),
        };
        let parts = if self.order.descending { [nulls, values] } else { [values, nulls] };
        parts.into_iter().flatten().collect()
    }

    fn with_value(&self, after: Option<(&Place, &PlaceKey)>) -> Stretch {
        let (column, nullable, id) = (&self.column.0, self.column.1, &self.id);
        let (than, way) = self.way();
        let order_by = format!("{column} {way}, {id} {way}");
        let condition = match after {
            // The first comparison is what an index is entered by.
            Some((place, key)) => Some(match key {
                PlaceKey::Number(number) => {
                    Sql::new(format!("{column} {than}= ? AND ({column} {than} ? OR {id} {than} ?)"))
                        .bind(*number)
                        .bind(*number)
                        .bind(place.id.as_str())
                }
                PlaceKey::Text(text) => {
                    Sql::new(format!("{column} {than}= ? AND ({column} {than} ? OR {id} {than} ?)"))
                        .bind(text.as_str())
                        .bind(text.as_str())
                        .bind(place.id.as_str())
                }
            }),
            None => nullable.then(|| Sql::new(format!("{column} IS NOT NULL"))),
        };
        Stretch { condition, order_by }
    }

    fn without_value(&self, missing: Option<&str>, after: Option<&Place>) -> Stretch {
        let (than, way) = self.way();
        let after = after.map(|place| Sql::new(format!("{} {than} ?", self.id)).bind(place.id.as_str()));
        let condition = match (missing, after) {
            (Some(missing), Some(after)) => {
                let mut both = Sql::new(format!("{missing} AND "));
                both.push(after);
                Some(both)
            }
            (Some(missing), None) => Some(Sql::new(missing)),
            (None, after) => after,
        };
        Stretch { condition, order_by: format!("{} {way}", self.id) }
    }

    const fn way(&self) -> (&'static str, &'static str) {
        if self.order.descending { ("<", "DESC") } else { (">", "ASC") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(descending: bool, nullable: bool, after: Option<&Place>) -> Vec<String> {
        let order = Order { column: Column::DisplayName, descending };
        let spelling = Spelling { order, column: ("n".to_owned(), nullable), id: "i".to_owned() };
        let text = |stretch: &Stretch| format!("{:?} {}", stretch.condition, stretch.order_by);
        spelling.stretches(after).iter().map(text).collect()
    }

    #[test]
    fn an_order_is_walked_in_the_parts_that_are_left() {
        let valued = Place { key: Some(PlaceKey::Text("x".to_owned())), id: "7".to_owned() };
        let missing = Place { key: None, id: "7".to_owned() };
        for (descending, nullable, after, count) in [
            (false, true, None, 2),
            (false, true, Some(&valued), 2),
            (false, true, Some(&missing), 1),
            (true, true, None, 2),
            (true, true, Some(&valued), 1),
            (true, true, Some(&missing), 2),
            (false, false, None, 1),
            (true, false, Some(&valued), 1),
        ] {
            assert_eq!(parts(descending, nullable, after).len(), count, "{descending} {nullable} {after:?}");
        }
        assert!(parts(false, true, None)[1].contains("IS NULL"));
        assert!(parts(true, true, None)[0].contains("IS NULL"));
    }

    #[test]
    fn places_survive_being_written_down() {
        for place in [
            Place { key: None, id: "7".to_owned() },
            Place { key: Some(PlaceKey::Number(5)), id: "7".to_owned() },
            Place { key: Some(PlaceKey::Text("5".to_owned())), id: "7".to_owned() },
        ] {
            let text = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&text).unwrap(), place, "{text}");
        }
    }
}
