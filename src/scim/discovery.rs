//! What the server says of itself (RFC 7644 §4, RFC 7643 §5 to §7).
//!
//! Nothing here depends on an account, so nothing about one can leak. There are no nulls: Entra ID's gallery validation
//! refuses them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::bulk::MAX_OPERATIONS;
use super::messages::list_response;
use super::schema::{Attribute, AttributeType, ResourceKind, ResourceSchema, Schema, schema_of};

/// The most resources of one list response, as `/ServiceProviderConfig` says.
pub const MAX_RESULTS: u64 = 1000;
/// Resources of a page when the client does not say.
pub const DEFAULT_RESULTS: u64 = 100;
/// How long a cursor is good for.
pub const CURSOR_TIMEOUT: Duration = Duration::from_hours(1);

const KINDS: [ResourceKind; 2] = [ResourceKind::User, ResourceKind::Group];

/// `/ServiceProviderConfig` (RFC 7643 §5, RFC 9865 §4). `base_url` ends without a slash (`https://host/scim/v2`);
/// `max_payload` is the largest body of a request, in bytes.
#[must_use]
pub fn service_provider_config(base_url: &str, max_payload: usize) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": MAX_OPERATIONS, "maxPayloadSize": max_payload },
        "filter": { "supported": true, "maxResults": MAX_RESULTS },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_RESULTS,
            "maxPageSize": MAX_RESULTS,
            "cursorTimeout": CURSOR_TIMEOUT.as_secs(),
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of the connection, in the Authorization header.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }, {
            "type": "oauth2",
            "name": "OAuth 2.0 client credentials",
            "description": "An access token, for the id and secret of a client of the connection.",
            "specUri": "https://www.rfc-editor.org/info/rfc6749",
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base_url}/ServiceProviderConfig") },
    })
}

/// `/ResourceTypes` (RFC 7643 §6).
#[must_use]
pub fn resource_types(base_url: &str) -> Value {
    list(KINDS.into_iter().map(|kind| resource_type_of(schema_of(kind), base_url)).collect())
}

/// `/ResourceTypes/{name}`; none if there is no such type.
#[must_use]
pub fn resource_type(name: &str, base_url: &str) -> Option<Value> {
    let kind = KINDS.into_iter().find(|kind| kind.name() == name)?;
    Some(resource_type_of(schema_of(kind), base_url))
}

/// `/Schemas` (RFC 7643 §7).
#[must_use]
pub fn schemas(base_url: &str) -> Value {
    list(all_schemas().map(|schema| schema_value(schema, base_url)).collect())
}

/// `/Schemas/{urn}`; none if there is no such schema.
#[must_use]
pub fn schema(id: &str, base_url: &str) -> Option<Value> {
    all_schemas().find(|schema| schema.id.eq_ignore_ascii_case(id)).map(|schema| schema_value(schema, base_url))
}

fn list(resources: Vec<Value>) -> Value {
    list_response(u64::try_from(resources.len()).unwrap_or(u64::MAX), 1, resources)
}

fn all_schemas() -> impl Iterator<Item = &'static Schema> {
    KINDS.into_iter().map(schema_of).flat_map(|resource| {
        std::iter::once(&resource.core).chain(resource.extensions.iter().map(|(extension, _)| extension))
    })
}

fn resource_type_of(schema: &ResourceSchema, base_url: &str) -> Value {
    let name = schema.kind.name();
    let extensions: Vec<Value> = schema
        .extensions
        .iter()
        .map(|(extension, required)| json!({ "schema": extension.id, "required": required }))
        .collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name,
        "name": name,
        "description": schema.core.description,
        "endpoint": schema.kind.endpoint(),
        "schema": schema.core.id,
        "schemaExtensions": extensions,
        "meta": { "resourceType": "ResourceType", "location": format!("{base_url}/ResourceTypes/{name}") },
    })
}

fn schema_value(schema: &Schema, base_url: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute_value).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base_url}/Schemas/{}", schema.id) },
    })
}

fn attribute_value(attribute: &Attribute) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    set("name", attribute.name.into());
    set("type", attribute.kind.as_str().into());
    if attribute.kind == AttributeType::Complex {
        set("subAttributes", attribute.sub_attributes.iter().map(attribute_value).collect());
    }
    set("multiValued", attribute.multi_valued.into());
    set("description", attribute.description.into());
    set("required", attribute.required.into());
    if !attribute.canonical_values.is_empty() {
        set("canonicalValues", attribute.canonical_values.into());
    }
    if !attribute.reference_types.is_empty() {
        set("referenceTypes", attribute.reference_types.into());
    }
    set("caseExact", attribute.case_exact.into());
    set("mutability", attribute.mutability.as_str().into());
    set("returned", attribute.returned.as_str().into());
    set("uniqueness", attribute.uniqueness.as_str().into());
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://rollcall.example/scim/v2";

    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(has_null),
            Value::Object(fields) => fields.values().any(has_null),
            _ => false,
        }
    }

    #[test]
    fn nothing_is_null() {
        for answer in [service_provider_config(BASE, 1), schemas(BASE), resource_types(BASE)] {
            assert!(!has_null(&answer), "{answer}");
        }
    }

    #[test]
    fn every_listed_schema_and_type_can_be_read_alone() {
        for (list, read) in [
            (schemas(BASE), schema as fn(&str, &str) -> Option<Value>),
            (resource_types(BASE), resource_type as fn(&str, &str) -> Option<Value>),
        ] {
            let resources = list["Resources"].as_array().unwrap();
            assert_eq!(list["totalResults"], json!(resources.len()));
            for resource in resources {
                let id = resource["id"].as_str().unwrap();
                assert_eq!(read(id, BASE).as_ref(), Some(resource));
                assert!(resource["meta"]["location"].as_str().unwrap().ends_with(id));
            }
        }
        assert_eq!(schema("urn:x", BASE), None);
        assert_eq!(resource_type("Device", BASE), None);
    }

    #[test]
    fn the_configuration_claims_only_what_is_done() {
        let config = service_provider_config(BASE, 8 << 20);
        assert_eq!(config["patch"]["supported"], json!(true));
        assert_eq!(config["changePassword"]["supported"], json!(false));
        assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 8 << 20}));
        assert_eq!(config["pagination"]["defaultPaginationMethod"], json!("index"));
        assert_eq!(config["pagination"]["maxPageSize"], config["filter"]["maxResults"]);
    }

    #[test]
    fn attributes_are_described_in_the_words_of_the_rfc() {
        let user = schema("urn:ietf:params:scim:schemas:core:2.0:User", BASE).unwrap();
        let password =
            user["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == "password").unwrap();
        assert_eq!(password["mutability"], json!("writeOnly"));
        assert_eq!(password["returned"], json!("never"));
        let emails =
            user["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == "emails").unwrap();
        assert_eq!(emails["subAttributes"][2]["canonicalValues"], json!(["work", "home", "other"]));
    }
}
