//! Bulk requests (RFC 7644 §3.7): what they ask for, and in which order it can be done.
//!
//! An operation may name what another one creates, by `bulkId:` and the other's name. Such an operation waits until the
//! other is done, wherever the two stand in the request; operations that wait for one another are refused.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::error::excerpt;
use super::messages::{BULK_REQUEST_URN, BULK_RESPONSE_URN};
use super::{ResourceKind, ScimError, Versions};

/// The most operations of one request, as `/ServiceProviderConfig` says.
pub const MAX_OPERATIONS: usize = 1_000;

/// What stands before the name of an operation where its result is meant.
const REFERENCE: &str = "bulkId:";

/// A bulk request.
#[derive(Debug)]
pub struct BulkRequest {
    /// After how many errors the rest is left undone; none: never.
    pub fail_on_errors: Option<u64>,
    /// The operations, in their order.
    pub operations: Vec<Operation>,
}

/// One operation of a bulk request.
#[derive(Debug)]
pub struct Operation {
    /// The method as it was sent, for the answer.
    pub method: String,
    /// The name that other operations refer to.
    pub bulk_id: Option<String>,
    /// What is to be done; or why it cannot be.
    pub task: Result<Task, ScimError>,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// How.
    pub action: Action,
    /// The type of resource.
    pub kind: ResourceKind,
    /// The id of the resource, which may be a reference; empty for one that is created.
    pub id: String,
    /// The version that is to be changed.
    pub version: Versions,
    /// The body.
    pub data: Value,
}

/// The methods of bulk operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `POST`.
    Create,
    /// `PUT`.
    Replace,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// Reads a bulk request. What is wrong with one operation is kept with it and stops no other.
///
/// # Errors
/// 413 for more than [`MAX_OPERATIONS`]; 400 `invalidSyntax` if it is no bulk request; 400 `invalidValue` for a
/// `failOnErrors` that is no positive number, and for a `bulkId` that two operations share.
pub fn read_bulk(body: Value) -> Result<BulkRequest, ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax("The request body must be a JSON object."));
    };
    let (mut operations, mut fail_on_errors, mut named) = (None, None, false);
    for (key, value) in body {
        match key.to_ascii_lowercase().as_str() {
            "schemas" => {
                let mut urns = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                named = urns.any(|urn| urn.eq_ignore_ascii_case(BULK_REQUEST_URN));
            }
            "failonerrors" if !value.is_null() => {
                let count = value.as_u64().filter(|count| *count > 0);
                let wrong = || ScimError::invalid_value("'failOnErrors' must be a whole number above 0.");
                fail_on_errors = Some(count.ok_or_else(wrong)?);
            }
            "operations" => operations = Some(value),
            _ => {}
        }
    }
    if !named {
        return Err(ScimError::invalid_syntax(format!("'schemas' must be an array that lists {BULK_REQUEST_URN}.")));
    }
    let Some(Value::Array(operations)) = operations else {
        return Err(ScimError::invalid_syntax("'Operations' must be an array."));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(ScimError::payload_too_large(format!(
            "The request has {} operations; at most {MAX_OPERATIONS} are done at once. Send them in several requests.",
            operations.len()
        )));
    }
    let operations: Vec<Operation> = operations.into_iter().map(read_operation).collect();
    let mut taken = BTreeSet::new();
    for name in operations.iter().filter_map(|operation| operation.bulk_id.as_deref()) {
        if !taken.insert(name) {
            return Err(ScimError::invalid_value(format!("Two operations have the bulkId {}.", excerpt(name))));
        }
    }
    Ok(BulkRequest { fail_on_errors, operations })
}

fn read_operation(value: Value) -> Operation {
    let Value::Object(fields) = value else {
        let task = Err(ScimError::invalid_syntax("An operation must be a JSON object."));
        return Operation { method: String::new(), bulk_id: None, task };
    };
    let (mut method, mut bulk_id, mut path, mut version, mut data) = (None, None, None, None, Value::Null);
    for (key, value) in fields {
        match key.to_ascii_lowercase().as_str() {
            "method" => method = Some(value),
            "bulkid" => bulk_id = Some(value),
            "path" => path = Some(value),
            "version" => version = Some(value),
            "data" => data = value,
            _ => {}
        }
    }
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let (method, bulk_id) = (text(method).unwrap_or_default(), text(bulk_id).filter(|id| !id.is_empty()));
    let task = read_task(&method, bulk_id.as_deref(), text(path).as_deref(), version, data);
    Operation { method, bulk_id, task }
}

fn read_task(
    method: &str,
    bulk_id: Option<&str>,
    path: Option<&str>,
    version: Option<Value>,
    data: Value,
) -> Result<Task, ScimError> {
    let action = match method.to_ascii_uppercase().as_str() {
        "POST" => Action::Create,
        "PUT" => Action::Replace,
        "PATCH" => Action::Patch,
        "DELETE" => Action::Delete,
        _ => return Err(ScimError::invalid_syntax("'method' must be POST, PUT, PATCH or DELETE.")),
    };
    let path = path.ok_or_else(|| ScimError::invalid_syntax("An operation needs a 'path'."))?;
    let mut segments = path.trim_start_matches('/').split('/');
    let endpoint = segments.next().unwrap_or_default();
    let kind = [ResourceKind::User, ResourceKind::Group].into_iter().find(|kind| &kind.endpoint()[1..] == endpoint);
    let (id, rest) = (segments.next().unwrap_or_default(), segments.next());
    let (Some(kind), None) = (kind, rest) else {
        return Err(ScimError::not_found(format!("There is no SCIM endpoint {} for bulk requests.", excerpt(path))));
    };
    match (action, id.is_empty()) {
        (Action::Create, true) if bulk_id.is_none() => {
            return Err(ScimError::invalid_syntax("A POST needs a 'bulkId' by which its result is known."));
        }
        (Action::Create, true) | (Action::Replace | Action::Patch | Action::Delete, false) => {}
        _ => {
            return Err(ScimError::method_not_allowed("This SCIM endpoint does not know the method of the operation."));
        }
    }
    if action != Action::Delete && !data.is_object() {
        return Err(ScimError::invalid_syntax("The operation needs 'data', a JSON object."));
    }
    let version = match version {
        None | Some(Value::Null) => Versions::Any,
        Some(Value::String(version)) => Versions::parse(&version),
        Some(_) => return Err(ScimError::invalid_value("'version' must be an entity tag.")),
    };
    Ok(Task { action, kind, id: id.to_owned(), version, data })
}

impl Task {
    /// The names of the operations whose results are needed first.
    #[must_use]
    pub fn references(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        found.extend(self.id.strip_prefix(REFERENCE).map(str::to_owned));
        // Bodies are no deeper than their reader allows.
        collect(&self.data, &mut found);
        found
    }

    /// The task with ids in the place of references.
    ///
    /// # Errors
    /// 409 if one of the references has no id.
    pub fn resolve(mut self, ids: &HashMap<String, String>) -> Result<Self, ScimError> {
        if let Some(name) = self.id.strip_prefix(REFERENCE) {
            self.id = find(ids, name)?.to_owned();
        }
        replace(&mut self.data, ids)?;
        Ok(self)
    }
}

fn find<'i>(ids: &'i HashMap<String, String>, name: &str) -> Result<&'i str, ScimError> {
    ids.get(name).map(String::as_str).ok_or_else(|| {
        ScimError::conflict(format!(
            "The reference bulkId:{} has no id: no operation of that name created a resource.",
            excerpt(name)
        ))
    })
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(text.strip_prefix(REFERENCE).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn replace(value: &mut Value, ids: &HashMap<String, String>) -> Result<(), ScimError> {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(REFERENCE) {
                *text = find(ids, name)?.to_owned();
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, ids)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| replace(field, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The places of operations in an order in which each comes after those that it refers to, and otherwise as they stand; then
/// those that wait for one another, which none of them can be done before. References to what no operation creates do not
/// count: they fail by themselves.
#[must_use]
pub fn order(operations: &[Operation]) -> (Vec<usize>, Vec<usize>) {
    let creators: HashMap<&str, usize> = operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.task.as_ref().is_ok_and(|task| task.action == Action::Create))
        .filter_map(|(n, operation)| Some((operation.bulk_id.as_deref()?, n)))
        .collect();
    let mut waiting: Vec<usize> = vec![0; operations.len()];
    let mut waited_for: Vec<Vec<usize>> = vec![Vec::new(); operations.len()];
    for (n, operation) in operations.iter().enumerate() {
        let references = operation.task.as_ref().map(Task::references).unwrap_or_default();
        for creator in references.iter().filter_map(|name| creators.get(name.as_str())) {
            waiting[n] += 1;
            waited_for[*creator].push(n);
        }
    }
    let mut ready: BTreeSet<usize> = (0..operations.len()).filter(|n| waiting[*n] == 0).collect();
    let mut order = Vec::with_capacity(operations.len());
    while let Some(n) = ready.pop_first() {
        order.push(n);
        for next in std::mem::take(&mut waited_for[n]) {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.insert(next);
            }
        }
    }
    let circular = (0..operations.len()).filter(|n| waiting[*n] > 0).collect();
    (order, circular)
}

/// What became of an operation.
#[derive(Debug)]
pub struct Outcome {
    /// The method as it was sent.
    pub method: String,
    /// The name that the client gave.
    pub bulk_id: Option<String>,
    /// The URL of the resource; none where there is none.
    pub location: Option<String>,
    /// The version after the change.
    pub version: Option<i64>,
    /// The HTTP status of the same request alone, with its error.
    pub status: Result<u16, ScimError>,
}

/// The answer to a bulk request (RFC 7644 §3.7.3). Resources are left out: the client has sent them.
#[must_use]
pub fn bulk_response(outcomes: &[Outcome]) -> Value {
    let operations: Vec<Value> = outcomes.iter().map(Outcome::to_value).collect();
    json!({ "schemas": [BULK_RESPONSE_URN], "Operations": operations })
}

impl Outcome {
    fn to_value(&self) -> Value {
        let mut value = json!({ "method": self.method });
        if let Some(bulk_id) = &self.bulk_id {
            value["bulkId"] = bulk_id.as_str().into();
        }
        if let Some(location) = &self.location {
            value["location"] = location.as_str().into();
        }
        if let Some(version) = self.version {
            value["version"] = format!("W/\"{version}\"").into();
        }
        match &self.status {
            Ok(status) => value["status"] = status.to_string().into(),
            Err(error) => {
                value["status"] = error.status.to_string().into();
                value["response"] = error.to_body();
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(operations: &Value) -> BulkRequest {
        read_bulk(json!({"schemas": [BULK_REQUEST_URN], "Operations": operations})).unwrap()
    }

    fn group(name: &str, members: &[&str]) -> Value {
        let members: Vec<Value> = members.iter().map(|member| json!({"value": member})).collect();
        json!({"method": "POST", "path": "/Groups", "bulkId": name, "data": {"displayName": name, "members": members}})
    }

    #[test]
    fn operations_wait_for_what_they_refer_to() {
        let request = bulk(&json!([
            group("a", &["bulkId:c", "bulkId:b"]),
            group("b", &[]),
            {"method": "PATCH", "path": "/Groups/bulkId:a", "data": {"Operations": []}},
            group("c", &["bulkId:b", "bulkId:nobody"]),
        ]));
        assert_eq!(order(&request.operations), (vec![1, 3, 0, 2], vec![]));
    }

    #[test]
    fn s39_circles_are_found() {
        let request = bulk(&json!([
            group("a", &["bulkId:b"]),
            group("b", &["bulkId:a"]),
            group("self", &["bulkId:self"]),
            group("behind", &["bulkId:a"]),
            group("free", &[]),
        ]));
        assert_eq!(order(&request.operations), (vec![4], vec![0, 1, 2, 3]));
    }

    #[test]
    fn references_become_ids() {
        let request = bulk(&json!([{"method": "put", "path": "/Groups/bulkId:g", "version": "W/\"3\"",
            "data": {"displayName": "x bulkId:u", "members": [{"value": "bulkId:u"}]}}]));
        let task = request.operations[0].task.clone().unwrap();
        let ids = HashMap::from([("g".to_owned(), "7".to_owned()), ("u".to_owned(), "8".to_owned())]);
        let resolved = task.clone().resolve(&ids).unwrap();
        assert_eq!(
            (resolved.id.as_str(), resolved.version.include(3), resolved.version.include(4)),
            ("7", true, false)
        );
        assert_eq!(resolved.data, json!({"displayName": "x bulkId:u", "members": [{"value": "8"}]}));
        assert_eq!(task.resolve(&HashMap::new()).unwrap_err().status, 409);
    }

    #[test]
    fn a_wrong_operation_is_kept_with_its_error() {
        for (operation, status) in [
            (json!(5), 400),
            (json!({}), 400),
            (json!({"method": "GET", "path": "/Users/1"}), 400),
            (json!({"method": "POST", "path": "/Users", "data": {}}), 400),
            (json!({"method": "POST", "path": "/Users", "bulkId": "a"}), 400),
            (json!({"method": "POST", "path": "/Users/1", "bulkId": "a", "data": {}}), 405),
            (json!({"method": "DELETE", "path": "/Users"}), 405),
            (json!({"method": "DELETE", "path": "/Devices/1"}), 404),
            (json!({"method": "DELETE", "path": "/Users/1/x"}), 404),
            (json!({"method": "DELETE"}), 400),
            (json!({"method": "PUT", "path": "/Users/1", "data": {}, "version": 3}), 400),
        ] {
            let request = bulk(&json!([operation.clone()]));
            assert_eq!(request.operations[0].task.as_ref().unwrap_err().status, status, "{operation}");
        }
    }

    #[test]
    fn s39_a_request_is_bounded() {
        let many: Vec<Value> = vec![json!({}); MAX_OPERATIONS + 1];
        for (body, status) in [
            (json!([]), 400),
            (json!({"Operations": []}), 400),
            (json!({"schemas": [BULK_REQUEST_URN]}), 400),
            (json!({"schemas": [BULK_REQUEST_URN], "Operations": {}}), 400),
            (json!({"schemas": [BULK_REQUEST_URN], "Operations": [], "failOnErrors": 0}), 400),
            (json!({"schemas": [BULK_REQUEST_URN], "Operations": [{"bulkId": "a"}, {"bulkId": "a"}]}), 400),
            (json!({"schemas": [BULK_REQUEST_URN], "Operations": many}), 413),
        ] {
            assert_eq!(read_bulk(body).unwrap_err().status, status);
        }
    }
}
