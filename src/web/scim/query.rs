//! Query parameters of SCIM requests (RFC 7644 §3.4.2).

use percent_encoding::percent_decode;

use crate::base::Page;
use crate::scim::discovery::MAX_RESULTS;
use crate::scim::{Dialect, Projection, ResourceKind, ScimError};

/// Resources of a page when the client does not say.
const DEFAULT_COUNT: u64 = 100;

/// The parameters of a request. Unknown ones are ignored: Entra marks its tenant URL with one that has no value
/// (`fixtures/entra/flag-in-query.json`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    attributes: Option<String>,
    excluded: Option<String>,
    pub(super) filter: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
}

impl Query {
    /// Reads a query string: `+` is a space, as Entra writes it, and `%2B` a plus.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, ScimError> {
        let mut read = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "attributes" => &mut read.attributes,
                "excludedAttributes" => &mut read.excluded,
                "filter" => &mut read.filter,
                "startIndex" => &mut read.start_index,
                "count" => &mut read.count,
                _ => continue,
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

    /// The page that is wanted, and its first index (1-based; less counts as 1). A count above the maximum is lowered to it.
    pub(super) fn page(&self) -> Result<(u64, Page), ScimError> {
        let start = number("startIndex", self.start_index.as_deref())?.unwrap_or(1).max(1);
        let count = number("count", self.count.as_deref())?.map_or(DEFAULT_COUNT, |count| count.max(0).unsigned_abs());
        let start = start.unsigned_abs();
        Ok((start, Page { offset: start - 1, limit: count.min(MAX_RESULTS) }))
    }
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

    fn page(query: &str) -> (u64, u64, u64) {
        let (start, page) = Query::parse(Some(query)).unwrap().page().unwrap();
        (start, page.offset, page.limit)
    }

    #[test]
    fn s41_paging_is_clamped() {
        assert_eq!(page(""), (1, 0, 100));
        assert_eq!(page("startIndex=0&count=5"), (1, 0, 5));
        assert_eq!(page("startIndex=-7&count=-1"), (1, 0, 0));
        assert_eq!(page("startIndex=11&count=100000"), (11, 10, MAX_RESULTS));
        assert_eq!(page("startIndex=99999999999999999999").0, i64::MAX.unsigned_abs());
        assert!(Query::parse(Some("count=x")).unwrap().page().is_err());
    }

    #[test]
    fn plus_is_a_space_and_its_code_a_plus() {
        let query = Query::parse(Some("filter=userName+eq+%22a%2Bb%40x%22&aadOptscim062020&&x=1")).unwrap();
        assert_eq!(query.filter.as_deref(), Some("userName eq \"a+b@x\""));
        assert!(Query::parse(Some("filter=%FF")).is_err());
        assert!(Query::parse(Some("filter=a&filter=b")).is_err());
        assert_eq!(Query::parse(None).unwrap(), Query::default());
    }
}
