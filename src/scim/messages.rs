//! The frames of RFC 7644: list responses, and the URNs of messages.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A page of resources (RFC 7644 §3.4.2).
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// A refusal (RFC 7644 §3.12).
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// A modification (RFC 7644 §3.5.2).
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// A search by POST (RFC 7644 §3.4.3).
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// A bulk request (RFC 7644 §3.7).
pub const BULK_REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The answer to a bulk request (RFC 7644 §3.7.3).
pub const BULK_RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// The media type of every SCIM body (RFC 7644 §8.1).
pub const MEDIA_TYPE: &str = "application/scim+json";

/// One page of a list (RFC 7644 §3.4.2).
///
/// `total` counts all that match, `start_index` is the 1-based place of the first resource. `Resources` is present even
/// when empty, because clients of Okta and Entra ID read it without looking.
#[must_use]
pub fn list_response(total: u64, start_index: u64, resources: Vec<Value>) -> Value {
    let mut page = json!({
        "schemas": [LIST_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
    });
    page["Resources"] = Value::Array(resources);
    page
}

/// What stands around the resources of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'f> {
    /// How many match; none where that is not known (RFC 9865 §2).
    pub total: Option<u64>,
    /// The 1-based place of the first resource; none for a page by cursor.
    pub start_index: Option<u64>,
    /// How many resources the page has.
    pub count: usize,
    /// Where the next page begins (RFC 9865).
    pub next_cursor: Option<&'f str>,
}

impl Frame<'_> {
    /// A page from resources that are JSON text already.
    #[must_use]
    pub fn page(&self, resources: impl Iterator<Item = String>) -> String {
        let mut page = self.head();
        for (n, resource) in resources.enumerate() {
            if n > 0 {
                page.push(',');
            }
            page.push_str(&resource);
        }
        page.push_str(list_tail());
        page
    }

    /// A page up to its first resource, for pages that are written piece by piece.
    #[must_use]
    pub fn head(&self) -> String {
        let mut head = format!(r#"{{"schemas":["{LIST_URN}"],"#);
        // Writing to a string cannot fail, and `Value` shows itself as JSON.
        if let Some(total) = self.total {
            let _ = write!(head, r#""totalResults":{total},"#);
        }
        if let Some(start) = self.start_index {
            let _ = write!(head, r#""startIndex":{start},"#);
        }
        let _ = write!(head, r#""itemsPerPage":{},"#, self.count);
        if let Some(next) = self.next_cursor {
            let _ = write!(head, r#""nextCursor":{},"#, Value::from(next));
        }
        head.push_str(r#""Resources":["#);
        head
    }
}

/// What ends a page that [`Frame::head`] began.
#[must_use]
pub const fn list_tail() -> &'static str {
    "]}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_page_has_resources() {
        let page = list_response(0, 1, Vec::new());
        assert_eq!(page["Resources"], json!([]));
        assert_eq!(page["totalResults"], json!(0));
    }

    #[test]
    fn both_forms_are_equal() {
        for resources in [vec![], vec![json!({"id": "1"})], vec![json!({"id": "1"}), json!({"id": "\"2\""})]] {
            let frame = Frame { total: Some(9), start_index: Some(3), count: resources.len(), next_cursor: None };
            let text = frame.page(resources.iter().map(Value::to_string));
            assert_eq!(text, list_response(9, 3, resources).to_string());
        }
    }

    #[test]
    fn a_page_by_cursor_has_no_index() {
        let page =
            Frame { total: None, start_index: None, count: 0, next_cursor: Some("c\"") }.page(std::iter::empty());
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_eq!(page, json!({"schemas": [LIST_URN], "itemsPerPage": 0, "nextCursor": "c\"", "Resources": []}));
    }
}
