//! Pages of lists: a walk by key, with the link to the next page in `meta.next_page_url`.

use axum::Json;
use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::params::{Base, Params, invalid};

const DEFAULT_SIZE: u32 = 50;
const MAX_SIZE: u32 = 1000;

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Page {
    size: usize,
    number: u32,
    /// The key of the last item of the page before; empty at the start.
    pub after: String,
}

impl Page {
    /// Reads `PageSize` (1 to 1000, 50 by default) and `PageToken`. A page number without a token is refused:
    /// the service does not support to jump.
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        let size = params.number("PageSize")?.unwrap_or(DEFAULT_SIZE);
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(invalid("PageSize"));
        }
        let number = params.number("Page")?.unwrap_or(0);
        let after = match params.text("PageToken") {
            None if number > 0 => return Err(invalid("Page")),
            None => String::new(),
            Some(token) => unseal(token).ok_or_else(|| invalid("PageToken"))?,
        };
        Ok(Self { size: size as usize, number, after })
    }

    /// Takes this page from the items that follow [`Page::after`], and tells the key from which the next page goes on.
    pub(super) fn take<T>(
        &self,
        items: impl Iterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let mut items = items.peekable();
        let taken: Vec<T> = items.by_ref().take(self.size).collect();
        let next = items.peek().and(taken.last()).map(key);
        (taken, next)
    }

    /// The body of a list.
    pub(super) fn answer(
        &self,
        list: &List<'_>,
        items: impl IntoIterator<Item = Value>,
        next: Option<String>,
    ) -> Json<Value> {
        let url = |number: u32, token: Option<&str>| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(list.params.besides_paging());
            query.append_pair("PageSize", &self.size.to_string()).append_pair("Page", &number.to_string());
            if let Some(token) = token {
                query.append_pair("PageToken", token);
            }
            format!("{}{}?{}", list.base.0, list.path, query.finish())
        };
        let here = Some(&self.after).filter(|after| !after.is_empty()).map(|after| seal(after));
        let meta = json!({
            "page": self.number,
            "page_size": self.size,
            "first_page_url": url(0, None),
            "previous_page_url": null,
            "url": url(self.number, here.as_deref()),
            "next_page_url": next.map(|key| url(self.number + 1, Some(&seal(&key)))),
            "key": list.key,
        });
        let mut body = Map::new();
        body.insert(list.key.to_owned(), items.into_iter().collect());
        body.insert("meta".to_owned(), meta);
        Json(Value::Object(body))
    }
}

/// Where a list stands and under which key its items do.
pub(super) struct List<'a> {
    pub base: &'a Base,
    pub path: String,
    pub key: &'static str,
    pub params: &'a Params,
}

/// Opaque, so that nobody builds page tokens by hand.
fn seal(key: &str) -> String {
    format!("PA{}", hex::encode(key))
}

fn unseal(token: &str) -> Option<String> {
    String::from_utf8(hex::decode(token.strip_prefix("PA")?).ok()?).ok()
}
