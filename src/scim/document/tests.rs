use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::Timestamp;
use crate::scim::ScimType;
use crate::scim::schema::{CONTACT_CENTRE_URN, ENTERPRISE_URN, GROUP_URN, USER_URN};

fn user(body: Value) -> Incoming {
    read_resource(ResourceKind::User, body, Dialect::Auto).unwrap()
}

fn group(body: Value) -> Incoming {
    read_resource(ResourceKind::Group, body, Dialect::Auto).unwrap()
}

fn refused(kind: ResourceKind, body: Value) -> ScimError {
    read_resource(kind, body, Dialect::Auto).unwrap_err()
}

#[test]
fn the_document_of_a_full_okta_user() {
    let incoming = user(json!({
        "schemas": [USER_URN], "userName": "ana@acme.example", "name": {"givenName": "Ana", "familyName": "Ruiz"},
        "emails": [{"primary": true, "value": "ana@acme.example", "type": "work"}], "displayName": "Ana Ruiz",
        "locale": "en-US", "externalId": "00u1", "groups": [], "password": "hunter2", "active": true
    }));
    assert_eq!(
        Value::Object(incoming.document),
        json!({
            "userName": "ana@acme.example", "name": {"givenName": "Ana", "familyName": "Ruiz"},
            "emails": [{"primary": true, "value": "ana@acme.example", "type": "work"}], "displayName": "Ana Ruiz",
            "locale": "en-US", "externalId": "00u1", "active": true
        })
    );
    assert_eq!((incoming.active, incoming.members), (Some(true), None));
    assert_eq!(incoming.ignored, ["groups"]);
}

#[test]
fn nulls_of_entra_are_unassigned() {
    let incoming = user(json!({
        "userName": "ana@acme.example", "active": "False", "addresses": null, "title": null, "roles": [],
        "meta": {"resourceType": "User"}, ENTERPRISE_URN: {"department": null, "manager": null}
    }));
    assert_eq!(Value::Object(incoming.document), json!({"userName": "ana@acme.example", "active": false}));
    assert_eq!(incoming.active, Some(false));
}

#[test]
fn extensions_are_read_in_every_spelling() {
    for body in [
        json!({"userName": "a", ENTERPRISE_URN: {"Department": "Ops"}}),
        json!({"userName": "a", ENTERPRISE_URN.to_uppercase(): {"department": "Ops"}}),
        json!({"userName": "a", format!("{ENTERPRISE_URN}:department"): "Ops"}),
        json!({"userName": "a", "department": "Ops"}),
    ] {
        assert_eq!(user(body).document[ENTERPRISE_URN], json!({"department": "Ops"}));
    }
    let skills = json!([{"value": "english", "level": 3}]);
    assert_eq!(
        user(json!({"userName": "a", CONTACT_CENTRE_URN: {"skills": skills}})).document[CONTACT_CENTRE_URN]["skills"],
        skills
    );
    assert_eq!(refused(ResourceKind::User, json!({"userName": "a", ENTERPRISE_URN: "Ops"})).status, 400);
}

#[test]
fn s29_the_id_of_the_client_is_ignored() {
    for body in [json!({"id": "1", "userName": "a"}), json!({"ID": {"x": []}, "userName": "a"})] {
        let incoming = user(body);
        assert!(!incoming.document.contains_key("id"));
        assert_eq!(incoming.ignored, ["id"]);
    }
    assert!(!group(json!({"id": "g", "displayName": "a"})).document.contains_key("id"));
}

#[test]
fn s30_nothing_but_the_schema_is_kept() {
    let incoming = user(json!({
        "userName": "a", "password": "hunter2", "Password": null,
        "isOwner": true, "tenant": "other", "account": 1, "role": "owner",
        "meta": {"created": "1970-01-01T00:00:00Z"}, "groups": [{"value": "owners"}], "members": [{"value": "x"}],
        "$where": "1", "__proto__": {"isOwner": true}, "urn:example:params:2.0:User": {"role": "owner"},
        "urn:example:params:2.0:User:role": "owner", "name.givenName": "x", ENTERPRISE_URN: {"isOwner": true}
    }));
    assert_eq!(Value::Object(incoming.document), json!({"userName": "a"}));
    assert_eq!(incoming.members, None);
    assert!(!incoming.ignored.iter().any(|name| name.eq_ignore_ascii_case("password")));
    assert!(incoming.ignored.contains(&"isOwner".to_owned()));
}

#[test]
fn what_is_required_must_be_there() {
    for body in [json!({}), json!({"userName": ""}), json!({"userName": " \u{a0}\t"}), json!({"userName": null})] {
        assert_eq!(refused(ResourceKind::User, body).scim_type, Some(ScimType::InvalidValue));
    }
    assert_eq!(refused(ResourceKind::Group, json!({"displayName": " "})).status, 400);
    assert_eq!(refused(ResourceKind::User, json!([])).scim_type, Some(ScimType::InvalidSyntax));
}

#[test]
fn s40_one_attribute_under_two_names_has_one_value() {
    let urn = format!("{USER_URN}:active");
    let error = refused(ResourceKind::User, json!({"userName": "a", "active": false, &urn: true}));
    assert_eq!(error.scim_type, Some(ScimType::InvalidSyntax));
    assert_eq!(user(json!({"userName": "a", "active": false, &urn: "False"})).active, Some(false));
    let body = json!({"userName": "a", "department": "Ops", ENTERPRISE_URN: {"department": "Sales"}});
    assert_eq!(refused(ResourceKind::User, body).status, 400);
    let members = format!("{GROUP_URN}:members");
    assert_eq!(refused(ResourceKind::Group, json!({"displayName": "a", "members": [], &members: ["1"]})).status, 400);
}

#[test]
fn s44_unseen_characters_cannot_make_a_twin() {
    for name in [" ana", "ana\u{a0}", "a\u{200b}na", "\u{feff}ana", "an\u{ad}a", "a\u{202e}na", "ana\n", "a\u{7f}na"] {
        assert_eq!(refused(ResourceKind::User, json!({"userName": name})).status, 400, "{name:?}");
    }
    for name in ["o'neil+tag@acme.example", "\u{c5}sa M\u{fc}ller", "a b", "\u{65e5}\u{672c}"] {
        assert_eq!(user(json!({"userName": name})).document["userName"], json!(name));
    }
}

#[test]
fn strict_wants_the_core_schema_listed() {
    let strict = |body| read_resource(ResourceKind::Group, body, Dialect::Strict).map_err(|error| error.scim_type);
    assert!(strict(json!({"schemas": ["urn:x", GROUP_URN], "displayName": "a"})).is_ok());
    for body in [
        json!({"displayName": "a"}),
        json!({"schemas": GROUP_URN, "displayName": "a"}),
        json!({"schemas": [USER_URN], "displayName": "a"}),
    ] {
        assert_eq!(strict(body), Err(Some(ScimType::InvalidValue)));
    }
    let entra = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
    let entra = json!({"schemas": [GROUP_URN, entra], "displayName": "a"});
    assert!(group(entra).ignored.is_empty());
}

#[test]
fn an_omitted_active_is_settled_by_the_caller() {
    for (body, when_absent, active) in [
        (json!({"userName": "a"}), false, false),
        (json!({"userName": "a", "active": null}), true, true),
        (json!({"userName": "a", "active": false}), true, false),
    ] {
        let mut incoming = user(body);
        incoming.settle_active(when_absent);
        assert_eq!(incoming.document["active"], json!(active));
    }
}

#[test]
fn members_are_read_in_every_shape() {
    let members = |value| group(json!({"displayName": "a", "members": value})).members;
    assert_eq!(members(json!(null)), None);
    assert_eq!(members(json!([])), Some(Vec::new()));
    assert_eq!(group(json!({"displayName": "a"})).members, None);
    let sent = json!([
        {"$ref": null, "value": "1"}, {"value": "2", "type": "group"}, {"Value": "3", "$ref": "Users/3"}, {"value": "1"}
    ]);
    let ids = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    assert_eq!(members(sent), ids(&["1", "2", "3"]));
    assert_eq!(members(json!({"value": "5"})), ids(&["5"]));
    assert_eq!(members(json!("5")), ids(&["5"]));
}

#[test]
fn s37_malformed_members_are_refused() {
    for value in [
        json!([{}]),
        json!([{"value": ""}]),
        json!([{"value": null}]),
        json!([{"value": 5}]),
        json!([[]]),
        json!([null]),
        json!(""),
        json!({}),
        json!(7),
        json!(false),
    ] {
        assert_eq!(
            refused(ResourceKind::Group, json!({"displayName": "a", "members": value})).scim_type,
            Some(ScimType::InvalidValue),
            "{value}"
        );
    }
    assert!(read_members(Value::Null, Dialect::Auto).is_err());
    assert!(read_members(json!(vec!["1"; MAX_MEMBERS + 1]), Dialect::Auto).is_err());
    assert!(read_members(json!("1"), Dialect::Strict).is_err());
}

fn meta(location: &str) -> Meta<'_> {
    Meta {
        id: "42",
        created: Timestamp::from_millis(0),
        last_modified: Timestamp::from_millis(1000),
        version: 7,
        location,
    }
}

#[test]
fn an_answer_has_what_the_server_adds() {
    let document = user(json!({"userName": "a", "department": "Ops"})).document;
    let resource = render(ResourceKind::User, &document, &meta("https://x.example/Users/42"));
    assert_eq!(
        Value::Object(resource),
        json!({
            "schemas": [USER_URN, ENTERPRISE_URN], "id": "42", "userName": "a", ENTERPRISE_URN: {"department": "Ops"},
            "meta": {"resourceType": "User",
                     "created": "1970-01-01T00:00:00.000Z", "lastModified": "1970-01-01T00:00:01.000Z",
                     "location": "https://x.example/Users/42", "version": "W/\"7\""}
        })
    );
}

proptest! {
    /// The fast way and the slow way give the same resource.
    #[test]
    fn both_ways_of_rendering_agree(
        name in "\\PC{1,8}",
        title in proptest::option::of("\\PC{0,8}"),
        members in proptest::option::of(0_usize..3),
    ) {
        let mut document = Map::new();
        document.insert("displayName".to_owned(), name.into());
        document.extend(title.map(|title| ("title".to_owned(), Value::from(title))));
        let meta = meta("https://x.example/\"/Users/42");
        let members = members.map(|count| json!(vec![json!({"value": "}"}); count]).to_string());
        let extra = members.as_deref().map(|members| ("members", members));
        for document in [document, Map::new()] {
            let stored = Value::Object(document.clone()).to_string();
            let schemas = schemas_text(ResourceKind::User, &document);
            let text = render_text(ResourceKind::User, &stored, &schemas, extra, &meta);
            let mut resource = render(ResourceKind::User, &document, &meta);
            resource.extend(extra.map(|(name, json)| (name.to_owned(), serde_json::from_str(json).unwrap())));
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Object(resource));
        }
    }

    /// What is answered can be sent back unchanged, as Okta does by PUT.
    #[test]
    fn an_answer_reads_back_as_the_document(title in "\\PC{0,8}", active: bool, primary: bool) {
        let emails = json!([{"value": "a@b", "primary": primary}]);
        let sent = json!({"userName": "a", "active": active, "title": title, "emails": emails, "manager": "m"});
        let first = user(sent);
        let resource = render(ResourceKind::User, &first.document, &meta("https://x.example/Users/42"));
        prop_assert_eq!(user(Value::Object(resource)).document, first.document);
    }
}
