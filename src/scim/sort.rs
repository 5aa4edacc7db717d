//! Sorting (RFC 7644 §3.4.2.3): what a resource is sorted by, and which of two comes first.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::base::{Timestamp, fold};

use super::error::excerpt;
use super::schema::{AttrName, AttrRef, AttributeType, ResourceSchema, Returned};
use super::{Dialect, ScimError};

/// An attribute to sort by, and the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The attribute; none where the type of resource does not have it, so that all its resources lack a value.
    pub target: Option<AttrRef>,
    /// From the greatest to the least.
    pub descending: bool,
}

/// A value to sort by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortKey {
    /// False before true.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A date, compared as an instant.
    Instant(Timestamp),
    /// Text, folded unless case matters to the attribute.
    Text(String),
}

/// A resource's place in an order: its value, if it has one, then its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The value.
    pub key: Option<SortKey>,
    /// The id of the resource.
    pub id: String,
}

impl Sort {
    /// Reads `sortBy` and `sortOrder` for several types of resources; gives one for each of them.
    ///
    /// # Errors
    /// 400 `invalidValue` if none of the types has the attribute, if it cannot be sorted by (a complex attribute without
    /// `value`; members and groups, which are not kept with the resource; a password), or if the order is unknown.
    pub fn parse(
        schemas: &[&'static ResourceSchema],
        sort_by: &str,
        sort_order: Option<&str>,
        dialect: Dialect,
    ) -> Result<Vec<Self>, ScimError> {
        let descending = match sort_order.map(str::trim).unwrap_or_default() {
            order if order.is_empty() || order.eq_ignore_ascii_case("ascending") => false,
            order if order.eq_ignore_ascii_case("descending") => true,
            order => {
                return Err(ScimError::invalid_value(format!(
                    "'sortOrder' is \"{}\": use ascending or descending.",
                    excerpt(order)
                )));
            }
        };
        let name = AttrName::parse(sort_by.trim()).map_err(|_| unknown(sort_by))?;
        let targets: Vec<_> = schemas.iter().map(|schema| schema.resolve_attribute(&name, dialect)).collect();
        if targets.iter().all(Option::is_none) {
            return Err(unknown(sort_by));
        }
        if targets.iter().flatten().any(|target| !is_sortable(*target)) {
            return Err(ScimError::invalid_value(format!(
                "Resources cannot be sorted by '{}'. Name an attribute or sub-attribute with one value of its own.",
                excerpt(sort_by)
            )));
        }
        Ok(targets.into_iter().map(|target| Self { target, descending }).collect())
    }

    /// What a resource is sorted by: of several values the primary one, else the first.
    #[must_use]
    pub fn rank(&self, resource: &Map<String, Value>, id: String) -> Ranked {
        Ranked { key: self.target.and_then(|target| key(target, resource)), id }
    }

    /// Which of two comes first. Resources without a value come last, in descending order first; equal ones are ordered by
    /// their ids, so that every page knows the same order.
    #[must_use]
    pub fn compare(&self, one: &Ranked, other: &Ranked) -> Ordering {
        let keys = match (&one.key, &other.key) {
            (Some(one), Some(other)) => one.compare(other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        };
        let order = keys.then_with(|| one.id.cmp(&other.id));
        if self.descending { order.reverse() } else { order }
    }
}

impl SortKey {
    /// Values of different kinds come only from different types of resources; any order does, if it is always the same.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Instant(one), Self::Instant(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

fn unknown(name: &str) -> ScimError {
    ScimError::invalid_value(format!("'sortBy' names no attribute: \"{}\".", excerpt(name)))
}

fn is_sortable(target: AttrRef) -> bool {
    let apart = ["members", "groups"].contains(&target.attr.name);
    let secret = target.attr.returned == Returned::Never || target.leaf().returned == Returned::Never;
    !apart && !secret && target.leaf().kind != AttributeType::Complex
}

fn key(target: AttrRef, resource: &Map<String, Value>) -> Option<SortKey> {
    let container = match target.extension {
        None => resource,
        Some(urn) => resource.get(urn)?.as_object()?,
    };
    let element = match container.get(target.attr.name)? {
        Value::Array(elements) => {
            let primary = elements.iter().find(|element| element["primary"] == Value::Bool(true));
            primary.or_else(|| elements.first())?
        }
        single => single,
    };
    let value = match target.compared() {
        Some(sub) => element.get(sub.name)?,
        None => element,
    };
    let leaf = target.leaf();
    match (leaf.kind, value) {
        (AttributeType::Boolean, Value::Bool(value)) => Some(SortKey::Bool(*value)),
        (AttributeType::Integer | AttributeType::Decimal, Value::Number(value)) => value.as_f64().map(SortKey::Number),
        (AttributeType::DateTime, Value::String(text)) => text.parse().ok().map(SortKey::Instant),
        (AttributeType::String, Value::String(text)) if !leaf.case_exact => Some(SortKey::Text(fold(text))),
        (_, Value::String(text)) => Some(SortKey::Text(text.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{ResourceKind, schema_of};
    use serde_json::json;

    fn sorted(sort_by: &str, order: Option<&str>, resources: &[Value]) -> Vec<String> {
        let sort = Sort::parse(&[schema_of(ResourceKind::User)], sort_by, order, Dialect::Auto).unwrap()[0];
        let mut ranked: Vec<Ranked> = resources
            .iter()
            .enumerate()
            .map(|(n, resource)| sort.rank(resource.as_object().unwrap(), n.to_string()))
            .collect();
        ranked.sort_by(|one, other| sort.compare(one, other));
        ranked.into_iter().map(|ranked| ranked.id).collect()
    }

    #[test]
    fn case_is_by_schema_and_missing_values_come_last() {
        let people = [json!({"title": "b"}), json!({"title": "A"}), json!({}), json!({"title": "C"})];
        assert_eq!(sorted("title", None, &people), ["1", "0", "3", "2"]);
        assert_eq!(sorted("TITLE", Some("Descending"), &people), ["2", "3", "0", "1"]);
        let exact = [json!({"externalId": "b"}), json!({"externalId": "A"}), json!({"externalId": "B"})];
        assert_eq!(sorted("externalId", None, &exact), ["1", "2", "0"]);
    }

    #[test]
    fn of_several_values_the_primary_one_counts() {
        let people = [
            json!({"emails": [{"value": "a@x"}, {"value": "z@x", "primary": true}]}),
            json!({"emails": [{"value": "m@x"}, {"value": "b@x"}]}),
        ];
        assert_eq!(sorted("emails", None, &people), ["1", "0"]);
        assert_eq!(sorted("emails.value", Some("descending"), &people), ["0", "1"]);
    }

    #[test]
    fn booleans_dates_and_equal_values_have_an_order() {
        let people = [json!({"active": true}), json!({"active": false}), json!({"active": true})];
        assert_eq!(sorted("active", None, &people), ["1", "0", "2"]);
        assert_eq!(sorted("active", Some("descending"), &people), ["2", "0", "1"]);
        let dated = [
            json!({"meta": {"created": "2026-01-01T01:00:00+02:00"}}),
            json!({"meta": {"created": "2026-01-01T00:00:00Z"}}),
        ];
        assert_eq!(sorted("meta.created", None, &dated), ["0", "1"]);
    }

    #[test]
    fn what_has_no_order_is_refused() {
        let both = [schema_of(ResourceKind::User), schema_of(ResourceKind::Group)];
        for name in ["", "noSuch", "name", "meta", "members", "groups.display", "password", "a b"] {
            let refused = Sort::parse(&both, name, None, Dialect::Auto).unwrap_err();
            assert_eq!(refused.status, 400, "{name}");
        }
        assert!(Sort::parse(&both, "id", Some("upwards"), Dialect::Auto).is_err());
        let sorts = Sort::parse(&both, "userName", None, Dialect::Auto).unwrap();
        assert!(sorts[0].target.is_some() && sorts[1].target.is_none());
    }
}
