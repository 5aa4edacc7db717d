//! What a sign-on to Flex does: it makes or revives the user and the worker, and writes the claims over the attributes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::error::ApiError;
use super::super::model::{Change, FlexUser, Worker};
use super::super::options::Behaviour;
use super::super::store::Tx;
use super::worker_changes::{self as changes, WorkerInput};

/// Signs somebody in. Attributes that are not claimed stay as they are.
pub(in super::super) fn sign_in(
    tx: &mut Tx<'_>,
    behaviour: &Behaviour,
    friendly_name: &str,
    claims: &Map<String, Value>,
) -> Result<Worker, ApiError> {
    let claimed = typed(claims)?;
    let contact = Value::String(contact_uri(friendly_name));
    let text = |name: &str| claimed.get(name).and_then(Value::as_str).map(str::to_owned);
    let profile = Profile { email: text("email"), full_name: text("full_name"), roles: roles(&claimed) };
    let attributes: BTreeMap<_, _> = [("contact_uri".to_owned(), contact)].into_iter().chain(claimed).collect();
    let worker = put_worker(tx, behaviour, friendly_name, attributes)?;
    put_user(tx, friendly_name, profile, &worker.sid);
    Ok(worker)
}

/// What a Flex user has beside the worker; what is absent stays as it was.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub email: Option<String>,
    pub full_name: Option<String>,
    pub roles: Option<Vec<String>>,
}

/// Writes attributes over those of the worker of that name, or makes the worker.
pub(super) fn put_worker(
    tx: &mut Tx<'_>,
    behaviour: &Behaviour,
    friendly_name: &str,
    attributes: impl IntoIterator<Item = (String, Value)>,
) -> Result<Worker, ApiError> {
    let old = tx.state.worker_named(friendly_name);
    let mut all = old.map(|worker| worker.attributes.read().clone()).unwrap_or_default();
    all.extend(attributes);
    let mut input = WorkerInput { attributes: Some(Value::Object(all).to_string()), ..WorkerInput::default() };
    if let Some(old) = old {
        return changes::update(tx, behaviour, old, input);
    }
    input.friendly_name = Some(friendly_name.to_owned());
    changes::create(tx, behaviour, input)
}

/// Makes, updates or reactivates the Flex user of that name; tells whether it is new.
pub(super) fn put_user(tx: &mut Tx<'_>, username: &str, profile: Profile, worker_sid: &str) -> (FlexUser, bool) {
    let known = tx.state.flex_user_named(username).cloned();
    let is_new = known.is_none();
    let mut user = known.unwrap_or_else(|| FlexUser {
        sid: tx.sid("FU"),
        username: username.to_owned(),
        email: String::new(),
        full_name: String::new(),
        roles: Vec::new(),
        deactivated: false,
        worker_sid: None,
        created: tx.now,
        updated: tx.now,
    });
    user.email = profile.email.unwrap_or(user.email);
    user.full_name = profile.full_name.unwrap_or(user.full_name);
    user.roles = profile.roles.unwrap_or(user.roles);
    user.deactivated = false;
    user.worker_sid = Some(worker_sid.to_owned());
    user.updated = tx.now;
    tx.put(Change::FlexUser(user.clone()));
    (user, is_new)
}

fn roles(attributes: &Map<String, Value>) -> Option<Vec<String>> {
    let roles = attributes.get("roles")?.as_array()?;
    Some(roles.iter().filter_map(|role| role.as_str().map(str::to_owned)).collect())
}

/// Claims as attributes: a suffix names the type, everything else is text, `roles` is always a list, and claims under
/// a URL are not mapped.
fn typed(claims: &Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let mut attributes = Map::new();
    for (name, value) in claims.iter().filter(|(name, _)| !name.contains("://")) {
        let fits = match name.rsplit_once('.') {
            Some((name, "int")) => number(value).filter(Value::is_i64).map(|it| (name, it)),
            Some((name, "decimal")) => number(value).map(|it| (name, it)),
            Some((name, "boolean")) => boolean(value).map(|it| (name, it)),
            Some((name, "string")) => Some((name, text(value))),
            Some((name, "stringarray")) => Some((name, list(value))),
            _ if name == "roles" => Some((name.as_str(), list(value))),
            _ => Some((name.as_str(), text(value))),
        };
        let (name, value) = fits.ok_or_else(|| ApiError::bad(format!("The claim {name} does not fit its type")))?;
        attributes.insert(name.to_owned(), value);
    }
    Ok(attributes)
}

fn number(value: &Value) -> Option<Value> {
    let read = value.as_str().map_or_else(|| Some(value.clone()), |text| serde_json::from_str(text).ok());
    read.filter(Value::is_number)
}

fn boolean(value: &Value) -> Option<Value> {
    match value.as_str() {
        Some(text) => text.to_ascii_lowercase().parse::<bool>().ok().map(Value::Bool),
        None => value.as_bool().map(Value::Bool),
    }
}

fn text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        Value::Array(items) => items.first().map_or_else(|| json!(""), text),
        other => Value::String(other.to_string()),
    }
}

fn list(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::String(items) => items.split(',').map(str::trim).filter(|it| !it.is_empty()).collect(),
        other => json!([text(other)]),
    }
}

/// The address of the person's Voice client: letters and digits as they are, all else as `_` and hexadecimal.
fn contact_uri(name: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("_{byte:02X}"),
    };
    format!("client:{}", name.bytes().map(encode).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(claims: &Value) -> Result<Value, ApiError> {
        typed(claims.as_object().unwrap()).map(Value::Object)
    }

    #[test]
    fn claims_have_the_type_of_their_suffix() {
        let claims = json!({
            "full_name": "Ana Ruiz", "roles": "agent, supervisor", "level.int": "3", "vip.boolean": "TRUE",
            "langs.stringarray": ["en", "es"], "https://acme.example/x": "no", "share.decimal": "1.5", "team.string": 7,
        });
        let attributes = json!({
            "full_name": "Ana Ruiz", "roles": ["agent", "supervisor"], "level": 3, "vip": true,
            "langs": ["en", "es"], "share": 1.5, "team": "7",
        });
        assert_eq!(read(&claims).unwrap(), attributes);
        for bad in
            [json!({"a.int": "x"}), json!({"a.int": "1.5"}), json!({"a.boolean": "yes"}), json!({"a.int": "\"3\""})]
        {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn contact_uris_are_encoded() {
        assert_eq!(contact_uri("a@b.co"), "client:a_40b_2Eco");
    }
}
