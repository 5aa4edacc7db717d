//! The JSON of `TaskRouter`'s answers, read tolerantly: unknown fields come and go.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::taskrouter::{Activity, Channel, ETag, Worker, WorkerChannel, Workspace};

/// The error body; any field may be absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    pub(super) code: Option<u32>,
    pub(super) message: Option<String>,
}

impl ErrorBody {
    pub(super) fn read(body: &Value) -> Self {
        let code = match body.get("code") {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        Self {
            code: code.and_then(|code| u32::try_from(code).ok()),
            message: body.get("message").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

/// Part of a list.
pub(super) struct Page<'a> {
    pub(super) items: &'a [Value],
    pub(super) next: Option<&'a str>,
}

/// Reads a list: its items sit under the key that `meta.key` names.
pub(super) fn page<'a>(body: &'a Value, default_key: &str) -> Option<Page<'a>> {
    let meta = body.get("meta");
    let key = meta.and_then(|meta| meta.get("key")).and_then(Value::as_str).unwrap_or(default_key);
    let items = body.get(key)?.as_array()?;
    let next = meta.and_then(|meta| meta.get("next_page_url")).and_then(Value::as_str).filter(|url| !url.is_empty());
    Some(Page { items, next })
}

#[derive(Deserialize)]
struct WorkerBody {
    sid: String,
    friendly_name: String,
    activity_sid: Option<String>,
    activity_name: Option<String>,
    #[serde(default)]
    available: Value,
    #[serde(default)]
    attributes: Value,
}

/// Reads a worker; `None` if the body is not one.
pub(super) fn worker(body: &Value, etag: Option<ETag>) -> Option<Worker> {
    let body = WorkerBody::deserialize(body).ok()?;
    Some(Worker {
        sid: body.sid.parse().ok()?,
        friendly_name: body.friendly_name,
        activity_sid: body.activity_sid.and_then(|sid| sid.parse().ok()),
        activity_name: body.activity_name.unwrap_or_default(),
        available: flag(&body.available),
        attributes: attributes(body.attributes),
        etag,
    })
}

/// Attributes come as a string of JSON. Anything that is not an object counts as not shown.
fn attributes(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::String(text) => serde_json::from_str(&text).ok(),
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// The documentation shows booleans, old samples the strings "true" and "false".
fn flag(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

pub(super) fn workspace(body: &Value) -> Option<Workspace> {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    Some(Workspace {
        sid: text("sid")?.to_owned(),
        friendly_name: text("friendly_name").unwrap_or_default().to_owned(),
        default_activity_sid: text("default_activity_sid").and_then(|sid| sid.parse().ok()),
    })
}

pub(super) fn activity(body: &Value) -> Option<Activity> {
    Some(Activity {
        sid: body.get("sid")?.as_str()?.parse().ok()?,
        friendly_name: body.get("friendly_name")?.as_str()?.to_owned(),
        available: flag(body.get("available")?),
    })
}

/// A worker channel with its own SID (`WC...`).
pub(super) fn channel(body: &Value) -> Option<(String, WorkerChannel)> {
    let capacity = body.get("configured_capacity")?.as_u64().and_then(|capacity| u32::try_from(capacity).ok())?;
    let unique_name = body.get("task_channel_unique_name")?.as_str()?.to_owned();
    let sid = body.get("sid").and_then(Value::as_str).unwrap_or_default().to_owned();
    let channel = Channel { capacity, available: flag(body.get("available")?) };
    Some((sid, WorkerChannel { unique_name, channel }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn attributes_that_are_not_shown_are_unknown() {
        let read = |attributes: Value| {
            worker(&json!({"sid": "WK1", "friendly_name": "ana", "attributes": attributes}), None).unwrap().attributes
        };
        assert_eq!(read(json!(null)), None);
        assert_eq!(read(json!("")), None);
        assert_eq!(read(json!("[1]")), None);
        assert_eq!(read(json!("not json")), None);
        assert_eq!(read(json!("{}")), Some(Map::new()));
        let expected = json!({"url": "https://x"});
        assert_eq!(read(json!("{\"url\":\"https:\\/\\/x\"}")).map(Value::Object), Some(expected.clone()));
        assert_eq!(read(expected.clone()).map(Value::Object), Some(expected));
        assert_eq!(worker(&json!({"sid": "WK1", "friendly_name": "ana"}), None).unwrap().attributes, None);
    }

    #[test]
    fn bodies_without_the_essentials_are_nothing() {
        for body in
            [json!({}), json!([]), json!({"sid": "WK1"}), json!({"sid": "../x", "friendly_name": "a"}), json!("x")]
        {
            assert!(worker(&body, None).is_none(), "{body}");
        }
    }

    #[test]
    fn lists_say_where_their_items_are() {
        let body = json!({"meta": {"key": "things", "next_page_url": "https://h/n"}, "things": [1, 2]});
        let page = page(&body, "workers").unwrap();
        assert_eq!((page.items.len(), page.next), (2, Some("https://h/n")));
        let body = json!({"meta": {"next_page_url": null}, "workers": []});
        assert!(super::page(&body, "workers").unwrap().next.is_none());
        assert!(super::page(&json!({"workers": {}}), "workers").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let body = json!({"sid": text, "friendly_name": text, "attributes": text, "code": text, "workers": text});
            let _worker = worker(&body, None);
            let _page = page(&body, "workers");
            let _error = ErrorBody::read(&body);
        }
    }
}
