mod attributes;
mod memberships;
mod properties;
mod reading;

use serde_json::{Map, Value, json};

use super::*;
use crate::scim::Dialect;
use crate::scim::error::{ScimError, ScimType};
use crate::scim::schema::{ENTERPRISE_URN, ResourceKind};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object is wanted, not {value}") };
    object
}

fn user() -> Map<String, Value> {
    object(json!({
        "userName": "ana@acme.example",
        "name": { "givenName": "Ana", "familyName": "Ruiz" },
        "displayName": "Ana Ruiz",
        "title": "Agent",
        "active": true,
        "emails": [{ "value": "ana@acme.example", "type": "work", "primary": true }],
        ENTERPRISE_URN: { "department": "Claims", "manager": { "value": "m1", "displayName": "Bo" } },
    }))
}

fn group() -> Map<String, Value> {
    object(json!({ "displayName": "CC Agents" }))
}

fn run(
    kind: ResourceKind,
    document: &Map<String, Value>,
    operations: &Value,
    dialect: Dialect,
) -> Result<Patched, ScimError> {
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    apply(kind, document, &read_patch(body, dialect)?, dialect)
}

/// The user after the operations, as `auto` reads them.
#[track_caller]
fn patched(operations: &Value) -> Value {
    let patched = run(ResourceKind::User, &user(), operations, Dialect::Auto).unwrap();
    assert!(patched.members.is_empty());
    Value::Object(patched.document)
}

#[track_caller]
fn refused(operations: &Value) -> ScimType {
    let error = run(ResourceKind::User, &user(), operations, Dialect::Auto).unwrap_err();
    assert_eq!(error.status, 400, "{error}");
    error.scim_type.unwrap()
}
