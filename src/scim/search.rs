//! Searches by POST (RFC 7644 §3.4.3): the parameters of a list in a body.

use serde_json::Value;

use super::ScimError;
use super::messages::SEARCH_URN;

/// The parameters of a list as a body has them. What is absent or null is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// The names of `attributes`, separated by commas.
    pub attributes: Option<String>,
    /// The names of `excludedAttributes`, separated by commas.
    pub excluded_attributes: Option<String>,
    /// The filter.
    pub filter: Option<String>,
    /// The attribute to sort by.
    pub sort_by: Option<String>,
    /// `ascending` or `descending`.
    pub sort_order: Option<String>,
    /// The 1-based place of the first resource.
    pub start_index: Option<i64>,
    /// How many resources at most.
    pub count: Option<i64>,
    /// The cursor (RFC 9865); empty for the first page.
    pub cursor: Option<String>,
}

/// Reads the body of a search. Names ignore case; unknown ones are ignored, as in a query.
///
/// # Errors
/// 400 `invalidSyntax` if it is not an object that says it is a search, 400 `invalidFilter` if the filter is no text, 400
/// `invalidValue` if another parameter has the wrong type.
pub fn read_search(body: Value) -> Result<SearchRequest, ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax("The request body must be a JSON object."));
    };
    let (mut request, mut named) = (SearchRequest::default(), false);
    for (key, value) in body {
        match key.to_ascii_lowercase().as_str() {
            "schemas" => named = lists_search(&value),
            _ if value.is_null() => {}
            "attributes" => request.attributes = Some(names("attributes", value)?),
            "excludedattributes" => request.excluded_attributes = Some(names("excludedAttributes", value)?),
            "filter" => request.filter = Some(text("filter", value)?),
            "sortby" => request.sort_by = Some(text("sortBy", value)?),
            "sortorder" => request.sort_order = Some(text("sortOrder", value)?),
            "cursor" => request.cursor = Some(text("cursor", value)?),
            "startindex" => request.start_index = Some(number("startIndex", &value)?),
            "count" => request.count = Some(number("count", &value)?),
            _ => {}
        }
    }
    if named {
        Ok(request)
    } else {
        Err(ScimError::invalid_syntax(format!("'schemas' must be an array that lists {SEARCH_URN}.")))
    }
}

fn lists_search(schemas: &Value) -> bool {
    let urns = schemas.as_array().into_iter().flatten().filter_map(Value::as_str);
    urns.into_iter().any(|urn| urn.eq_ignore_ascii_case(SEARCH_URN))
}

fn text(name: &str, value: Value) -> Result<String, ScimError> {
    match value {
        Value::String(text) => Ok(text),
        _ if name == "filter" => Err(ScimError::invalid_filter("'filter' must be a string.")),
        _ => Err(ScimError::invalid_value(format!("'{name}' must be a string."))),
    }
}

fn number(name: &str, value: &Value) -> Result<i64, ScimError> {
    value.as_i64().ok_or_else(|| ScimError::invalid_value(format!("'{name}' must be a whole number.")))
}

/// A list of names, or a text in which commas stand between them, as a query has it.
fn names(name: &str, value: Value) -> Result<String, ScimError> {
    let wrong = || ScimError::invalid_value(format!("'{name}' must be an array of attribute names."));
    match value {
        Value::String(text) => Ok(text),
        Value::Array(items) => {
            let names: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Ok(names.ok_or_else(wrong)?.join(","))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_parameters_are_read() {
        let body = json!({
            "schemas": [SEARCH_URN], "attributes": ["displayName", "userName"], "excludedAttributes": null,
            "filter": "title pr", "SORTBY": "userName", "sortOrder": "descending", "startIndex": 1, "count": 10,
            "cursor": "", "unknown": {}
        });
        let request = read_search(body).unwrap();
        assert_eq!(request.attributes.as_deref(), Some("displayName,userName"));
        assert_eq!(request.excluded_attributes, None);
        assert_eq!((request.filter.as_deref(), request.sort_by.as_deref()), (Some("title pr"), Some("userName")));
        assert_eq!((request.start_index, request.count, request.cursor.as_deref()), (Some(1), Some(10), Some("")));
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for (body, kind) in [
            (json!([]), "invalidSyntax"),
            (json!({}), "invalidSyntax"),
            (json!({"schemas": ["urn:x"]}), "invalidSyntax"),
            (json!({"schemas": SEARCH_URN}), "invalidSyntax"),
            (json!({"schemas": [SEARCH_URN], "filter": 1}), "invalidFilter"),
            (json!({"schemas": [SEARCH_URN], "count": "10"}), "invalidValue"),
            (json!({"schemas": [SEARCH_URN], "startIndex": 1.5}), "invalidValue"),
            (json!({"schemas": [SEARCH_URN], "attributes": [1]}), "invalidValue"),
        ] {
            let refused = read_search(body.clone()).unwrap_err();
            assert_eq!(refused.scim_type.map(crate::scim::ScimType::as_str), Some(kind), "{body}");
        }
    }
}
