//! What is kept beside a document so that people are found without reading every row.

use serde_json::{Map, Value};

use crate::base::fold;
use crate::scim::schema::ENTERPRISE_URN;

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

/// A condition on `"user" u` that every row satisfies whose search text holds the folded needle, served by the trigram
/// index; none when the needle is too short for a trigram. Rows must be checked again: trigrams say what may match.
pub(super) fn may_contain(postgres: bool, needle: &str) -> Option<Sql> {
    let chars: Vec<char> = needle.chars().collect();
    if chars.len() < 3 || needle.contains('\n') {
        return None;
    }
    if postgres {
        return Some(Sql::new("u.search_text LIKE ? ESCAPE '!'").bind(format!("%{}%", escape_like(needle))));
    }
    let mut trigrams: Vec<String> = chars.windows(3).map(|w| w.iter().collect()).collect();
    trigrams.sort();
    trigrams.dedup();
    // Three trigrams are enough to narrow a search; each more only costs another walk through its list.
    let step = trigrams.len().div_ceil(3);
    let query: Vec<String> = trigrams.iter().step_by(step).map(|t| format!("\"{}\"", t.replace('"', "\"\""))).collect();
    Some(Sql::new("u.seq IN (SELECT rowid FROM user_search WHERE user_search MATCH ?)").bind(query.join(" AND ")))
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
        assert!(may_contain(false, "ab").is_none());
        assert!(may_contain(false, "a\"b").is_some());
    }
}
