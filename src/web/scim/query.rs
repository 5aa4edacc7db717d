//! Query parameters of SCIM requests (RFC 7644 §3.4.2).

use percent_encoding::percent_decode;

use crate::base::Page;
use crate::scim::discovery::{DEFAULT_RESULTS, MAX_RESULTS};
use crate::scim::search::SearchRequest;
use crate::scim::{Dialect, Projection, ResourceKind, ScimError};
use crate::service::{Paging, Search};

/// The parameters of a request. Unknown ones are ignored: Entra marks its tenant URL with one that has no value
/// (`fixtures/entra/flag-in-query.json`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    attributes: Option<String>,
    excluded: Option<String>,
    pub(super) filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    cursor: Option<String>,
}

impl Query {
    /// Reads a query string: `+` is a space, as Entra writes it, and `%2B` a plus.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, ScimError> {
        let mut read = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = known(name) else { continue };
            let place = match name {
                "attributes" => &mut read.attributes,
                "excludedAttributes" => &mut read.excluded,
                "filter" => &mut read.filter,
                "sortBy" => &mut read.sort_by,
                "sortOrder" => &mut read.sort_order,
                "cursor" => &mut read.cursor,
                "startIndex" => &mut read.start_index,
                _ => &mut read.count,
            };
            if place.is_some() {
                return Err(ScimError::invalid_value(format!("The query parameter '{name}' is given twice.")));
            }
            *place = Some(decoded(name, value)?);
        }
        Ok(read)
    }

    pub(super) fn projection(&self, kind: ResourceKind, dialect: Dialect) -> Result<Projection, ScimError> {
        Projection::parse(kind, self.attributes.as_deref(), self.excluded.as_deref(), dialect)
    }

    /// Whether the client chose attributes: then a PATCH must answer with them (RFC 7644 §3.5.2).
    pub(super) fn chooses_attributes(&self) -> bool {
        [&self.attributes, &self.excluded].into_iter().flatten().any(|names| !names.trim().is_empty())
    }

    /// What is looked for. A count above the maximum is lowered to it.
    ///
    /// # Errors
    /// 400 `invalidValue` for what is no number and for two ways of paging at once; 400 `invalidCount` for a page by cursor
    /// without a positive size (RFC 9865 §2.1).
    pub(super) fn search(&self) -> Result<Search<'_>, ScimError> {
        let sort_by = self.sort_by.as_deref().filter(|name| !name.trim().is_empty());
        Ok(Search {
            filter: self.filter.as_deref(),
            sort_by,
            sort_order: self.sort_order.as_deref(),
            paging: self.paging()?,
        })
    }

    fn paging(&self) -> Result<Paging<'_>, ScimError> {
        let start = number("startIndex", self.start_index.as_deref())?;
        let Some(cursor) = self.cursor.as_deref() else {
            let count = number("count", self.count.as_deref())?;
            let count = count.map_or(DEFAULT_RESULTS, |count| count.max(0).unsigned_abs());
            let offset = start.unwrap_or(1).max(1).unsigned_abs() - 1;
            return Ok(Paging::Index(Page { offset, limit: count.min(MAX_RESULTS) }));
        };
        if start.is_some() {
            return Err(ScimError::invalid_value("Give either 'startIndex' or 'cursor', not both."));
        }
        let wrong = || ScimError::invalid_count(format!("With a cursor, 'count' must be from 1 to {MAX_RESULTS}."));
        let limit = match number("count", self.count.as_deref()).map_err(|_| wrong())? {
            None => DEFAULT_RESULTS,
            Some(count) if count > 0 => count.unsigned_abs().min(MAX_RESULTS),
            Some(_) => return Err(wrong()),
        };
        Ok(Paging::Cursor { cursor, limit })
    }
}

/// A search by POST has the parameters in its body (RFC 7644 §3.4.3).
impl From<SearchRequest> for Query {
    fn from(request: SearchRequest) -> Self {
        Self {
            attributes: request.attributes,
            excluded: request.excluded_attributes,
            filter: request.filter,
            sort_by: request.sort_by,
            sort_order: request.sort_order,
            start_index: request.start_index.map(|number| number.to_string()),
            count: request.count.map(|number| number.to_string()),
            cursor: request.cursor,
        }
    }
}

/// The parameter that a name means, however it is encoded and whatever its case: a filter that is overlooked answers
/// everybody.
fn known(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 8] =
        ["attributes", "excludedAttributes", "filter", "sortBy", "sortOrder", "cursor", "startIndex", "count"];
    let spaced = name.replace('+', " ");
    let name = percent_decode(spaced.as_bytes()).decode_utf8_lossy();
    NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name.trim()))
}

fn decoded(name: &str, value: &str) -> Result<String, ScimError> {
    let spaced: Vec<u8> = value.bytes().map(|b| if b == b'+' { b' ' } else { b }).collect();
    let text = percent_decode(&spaced).decode_utf8().map_err(|_| {
        let detail = format!("The query parameter '{name}' is not UTF-8 after percent-decoding.");
        if name == "filter" { ScimError::invalid_filter(detail) } else { ScimError::invalid_value(detail) }
    })?;
    Ok(text.into_owned())
}

/// A number; larger than we can count is as large as we can count.
fn number(name: &str, text: Option<&str>) -> Result<Option<i64>, ScimError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ScimError::invalid_value(format!("The query parameter '{name}' must be a whole number.")));
    }
    let largest = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(Some(text.parse().unwrap_or(largest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> (u64, u64) {
        match Query::parse(Some(query)).unwrap().search().unwrap().paging {
            Paging::Index(page) => (page.offset, page.limit),
            Paging::Cursor { limit, .. } => (u64::MAX, limit),
        }
    }

    fn refused(query: &str) -> Option<&'static str> {
        Query::parse(Some(query)).unwrap().search().unwrap_err().scim_type.map(crate::scim::ScimType::as_str)
    }

    #[test]
    fn s41_paging_is_clamped() {
        assert_eq!(page(""), (0, 100));
        assert_eq!(page("startIndex=0&count=5"), (0, 5));
        assert_eq!(page("startIndex=-7&count=-1"), (0, 0));
        assert_eq!(page("startIndex=11&count=100000"), (10, MAX_RESULTS));
        assert_eq!(page("startIndex=99999999999999999999").0, i64::MAX.unsigned_abs() - 1);
        assert_eq!(page("cursor"), (u64::MAX, 100));
        assert_eq!(page("cursor=&count=100000"), (u64::MAX, MAX_RESULTS));
        assert_eq!(refused("count=x"), Some("invalidValue"));
        for count in ["0", "-1", "x"] {
            assert_eq!(refused(&format!("cursor=a&count={count}")), Some("invalidCount"), "{count}");
        }
        assert_eq!(refused("cursor=&startIndex=1"), Some("invalidValue"));
    }

    #[test]
    fn plus_is_a_space_and_its_code_a_plus() {
        let query = Query::parse(Some("filter=userName+eq+%22a%2Bb%40x%22&aadOptscim062020&&x=1")).unwrap();
        assert_eq!(query.filter.as_deref(), Some("userName eq \"a+b@x\""));
        assert!(Query::parse(Some("filter=%FF")).is_err());
        assert!(Query::parse(Some("filter=a&filter=b")).is_err());
        assert_eq!(Query::parse(None).unwrap(), Query::default());
    }

    #[test]
    fn s35_a_filter_is_found_by_any_spelling_of_its_name() {
        for name in ["filter", "Filter", "FILTER", "%66ilter", "%46ILTE%72", "filter%20", "+filter"] {
            let query = Query::parse(Some(&format!("a=b&{name}=title+pr"))).unwrap();
            assert_eq!(query.filter.as_deref(), Some("title pr"), "{name}");
            assert!(Query::parse(Some(&format!("{name}=title+pr&filter=title+pr"))).is_err(), "{name}");
        }
        assert_eq!(page("STARTINDEX=11&%63ount=2"), (10, 2));
        assert_eq!(Query::parse(Some("filters=x&%FF=y&=z&filter2=q")).unwrap(), Query::default());
    }
}
