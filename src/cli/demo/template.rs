//! Messages with gaps: `"{userName}"` in a text becomes the value of that name.

use serde_json::{Map, Value};

/// Fills the gaps of a message. A text that is one gap and nothing else becomes the value itself, so that `"{active}"`
/// becomes `true`.
///
/// # Errors
/// When a gap has no value, or a value that is not a text stands inside a longer text.
pub(super) fn fill(message: &Value, values: &Map<String, Value>) -> Result<Value, String> {
    Ok(match message {
        Value::String(text) => fill_text(text, values)?,
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, values)).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let filled = members.iter().map(|(name, value)| Ok((name.clone(), fill(value, values)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn fill_text(text: &str, values: &Map<String, Value>) -> Result<Value, String> {
    let value_of =
        |name: &str| values.get(name).ok_or_else(|| format!("the message has a gap '{{{name}}}' without a value"));
    let whole = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = whole.filter(|name| !name.contains('{')) {
        return value_of(name).cloned();
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, gap)| Some((before, gap.split_once('}')?)))
    {
        filled.push_str(before);
        filled.push_str(value_of(name)?.as_str().ok_or_else(|| format!("'{name}' is not a text"))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Map<String, Value> {
        [("name".to_owned(), json!("Ana")), ("active".to_owned(), json!(true))].into_iter().collect()
    }

    #[test]
    fn gaps_are_filled_with_values_of_their_own_type() {
        let message =
            json!({"a": "{active}", "list": [{"b": "Hello {name}, {name}"}], "n": 1, "path": "x[y eq \"z\"]"});
        let filled = json!({"a": true, "list": [{"b": "Hello Ana, Ana"}], "n": 1, "path": "x[y eq \"z\"]"});
        assert_eq!(fill(&message, &values()), Ok(filled));
    }

    #[test]
    fn a_gap_without_a_value_is_an_error() {
        for message in [json!("{nobody}"), json!(["x {nobody}"]), json!("is {active}")] {
            assert!(fill(&message, &values()).is_err(), "{message}");
        }
    }
}
