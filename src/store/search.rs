//! What is kept beside a document so that people are found without reading every row.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::base::fold;
use crate::scim::schema::ENTERPRISE_URN;

use super::error::StoreError;
use super::row::{RowExt as _, to_json};
use super::session::Session;
use super::sql::Sql;

/// The columns and keys that are derived from a user's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    pub(super) user_name: String,
    pub(super) user_name_fold: String,
    pub(super) external_id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) display_name_fold: Option<String>,
    /// Folded names and addresses, one a line.
    pub(super) search_text: String,
    /// (attribute, folded value), sorted and distinct.
    pub(super) keys: Vec<(&'static str, String)>,
}

/// The attributes that have keys, as [`Derived`] writes them and the filter translation looks them up.
pub(super) const EMAILS_VALUE: &str = "emails.value";
pub(super) const EMPLOYEE_NUMBER: &str = "employeeNumber";
pub(super) const MANAGER_VALUE: &str = "manager.value";

impl Derived {
    pub(super) fn of(document: &Map<String, Value>) -> Self {
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let user_name = text("userName").unwrap_or_default().to_owned();
        let display_name = text("displayName").map(str::to_owned);
        let emails: Vec<&str> = document
            .get("emails")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|email| email.get("value").and_then(Value::as_str))
            .collect();
        let name = |part: &str| document.get("name").and_then(|n| n.get(part)).and_then(Value::as_str);
        let mut lines: Vec<String> =
            [Some(user_name.as_str()), display_name.as_deref(), name("givenName"), name("familyName")]
                .into_iter()
                .flatten()
                .chain(emails.iter().copied())
                .map(fold)
                .collect();
        let mut seen = std::collections::HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        Self {
            user_name_fold: fold(&user_name),
            user_name,
            external_id: text("externalId").map(str::to_owned),
            display_name_fold: display_name.as_deref().map(fold),
            display_name,
            search_text: lines.join("\n"),
            keys: keys(document, &emails),
        }
    }
}

fn keys(document: &Map<String, Value>, emails: &[&str]) -> Vec<(&'static str, String)> {
    let enterprise = document.get(ENTERPRISE_URN);
    let manager = enterprise.and_then(|e| e.get("manager")).and_then(|m| m.get("value")).and_then(Value::as_str);
    let number = enterprise.and_then(|e| e.get("employeeNumber")).and_then(Value::as_str);
    let mut keys: Vec<(&'static str, String)> = emails.iter().map(|email| (EMAILS_VALUE, fold(email))).collect();
    keys.extend(manager.map(|value| (MANAGER_VALUE, fold(value))));
    keys.extend(number.map(|value| (EMPLOYEE_NUMBER, fold(value))));
    keys.sort();
    keys.dedup();
    keys
}

/// How many trigrams of a needle are looked up together; each more only costs another walk through its list.
const WALKED: usize = 3;

/// The trigrams by which needles are looked for: the rarest ones of each.
#[derive(Debug)]
pub(super) struct Trigrams {
    postgres: bool,
    /// How many people have a trigram.
    counts: HashMap<String, i64>,
}

impl Trigrams {
    /// Finds out how rare the trigrams of these (folded) needles are. PostgreSQL weighs them by itself.
    pub(super) async fn choose(session: &Session, needles: &[String]) -> Result<Self, StoreError> {
        let postgres = session.is_postgres();
        let wanted: BTreeSet<String> = needles.iter().flat_map(|needle| trigrams(needle)).collect();
        if postgres || wanted.len() <= WALKED {
            return Ok(Self { postgres, counts: HashMap::new() });
        }
        let mut counts = session.trigram_counts().known(&wanted);
        let unknown: Vec<&String> = wanted.iter().filter(|trigram| !counts.contains_key(*trigram)).collect();
        if !unknown.is_empty() {
            let sql = Sql::new("SELECT t.value AS term, COALESCE((SELECT v.doc FROM user_search_terms v WHERE v.term = t.value), 0) AS doc FROM json_each(?) t")
                .bind(to_json("user_search", &unknown)?);
            for row in session.all(sql).await? {
                let (term, doc) = (row.text("term")?, row.int("doc")?);
                session.trigram_counts().remember(&term, doc);
                counts.insert(term, doc);
            }
        }
        Ok(Self { postgres, counts })
    }

    /// A condition on `"user" u` that every row satisfies whose search text holds the folded needle, served by the trigram
    /// index; none when the needle is too short for a trigram. Rows must be checked again: trigrams say what may match.
    pub(super) fn may_contain(&self, needle: &str) -> Option<Sql> {
        let mut trigrams: Vec<String> = trigrams(needle).into_iter().collect();
        if trigrams.is_empty() {
            return None;
        }
        if self.postgres {
            let pattern = format!("%{}%", escape_like(needle));
            return Some(Sql::new("u.search_text LIKE ? ESCAPE '!'").bind(pattern));
        }
        trigrams.sort_by_key(|trigram| self.counts.get(trigram).copied().unwrap_or(0));
        trigrams.truncate(WALKED);
        let quoted: Vec<String> = trigrams.iter().map(|t| format!("\"{}\"", t.replace('"', "\"\""))).collect();
        let sql = "u.seq IN (SELECT rowid FROM user_search WHERE user_search MATCH ?)";
        Some(Sql::new(sql).bind(quoted.join(" AND ")))
    }
}

/// The trigrams of a needle; none if it is shorter, or spans lines of the search text.
fn trigrams(needle: &str) -> BTreeSet<String> {
    if needle.contains('\n') {
        return BTreeSet::new();
    }
    let chars: Vec<char> = needle.chars().collect();
    chars.windows(3).map(|window| window.iter().collect()).collect()
}

/// Counts of trigrams, remembered for a while: to rank them, an old count is as good as a new one.
#[derive(Debug, Default)]
pub(super) struct TrigramCounts(Mutex<HashMap<String, (i64, Instant)>>);

/// How long a count is good enough.
const REMEMBERED: Duration = Duration::from_mins(5);
/// How many counts are remembered.
const MOST: usize = 50_000;

impl TrigramCounts {
    fn known(&self, wanted: &BTreeSet<String>) -> HashMap<String, i64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |trigram: &String| {
            let (count, at) = counts.get(trigram)?;
            (at.elapsed() < REMEMBERED).then(|| (trigram.clone(), *count))
        };
        wanted.iter().filter_map(fresh).collect()
    }

    fn remember(&self, trigram: &str, count: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST {
            counts.clear();
        }
        counts.insert(trigram.to_owned(), (count, Instant::now()));
    }
}

/// Escapes the wildcards of LIKE with `!`.
pub(super) fn escape_like(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_searched_is_folded() {
        let document = json!({
            "userName": "Ana@Acme.example", "displayName": "Ána Ruiz", "name": {"givenName": "Ána"},
            "emails": [{"value": "ANA@acme.example"}, {"value": "a2@acme.example"}],
            ENTERPRISE_URN: {"manager": {"value": "M1"}}
        });
        let derived = Derived::of(document.as_object().unwrap());
        assert_eq!(derived.search_text, "ana@acme.example\nána ruiz\nána\na2@acme.example");
        assert_eq!(
            derived.keys,
            [
                ("emails.value", "a2@acme.example".to_owned()),
                ("emails.value", "ana@acme.example".to_owned()),
                ("manager.value", "m1".to_owned())
            ]
        );
    }

    #[test]
    fn s36_wildcards_are_data() {
        assert_eq!(escape_like("50%_!"), "50!%!_!!");
        let trigrams = Trigrams { postgres: false, counts: HashMap::new() };
        assert!(trigrams.may_contain("ab").is_none());
        assert!(trigrams.may_contain("a\nbcd").is_none());
        assert!(trigrams.may_contain("a\"b").is_some());
    }

    #[test]
    fn the_rarest_trigrams_are_looked_up() {
        let counts = [("nam", 9), ("ame", 9), ("me ", 9), ("e 7", 1), (" 77", 1)];
        let counts = counts.into_iter().map(|(t, n)| (t.to_owned(), n)).collect();
        let statement = Trigrams { postgres: false, counts }.may_contain("name 77").unwrap();
        let bound = format!("{statement:?}");
        assert!(bound.contains("e 7") && bound.contains(" 77"), "{bound}");
    }
}
