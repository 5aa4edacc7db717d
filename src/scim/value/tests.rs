use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::schema::CONTACT_CENTRE_URN;
use crate::scim::{AttrName, ResourceKind, ScimType, schema_of};

fn attr(name: &str) -> &'static Attribute {
    let name = AttrName::parse(name).unwrap();
    schema_of(ResourceKind::User).resolve_attribute(&name, Dialect::Auto).unwrap().attr
}

fn auto(name: &str, value: Value) -> Option<Value> {
    coerce(attr(name), value, Dialect::Auto).unwrap()
}

fn refused(name: &str, value: Value, dialect: Dialect) -> String {
    let error = coerce(attr(name), value, dialect).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)));
    error.detail
}

#[test]
fn booleans_may_be_quoted_but_nothing_else_is_one() {
    for (sent, read) in [(json!("False"), false), (json!("true"), true), (json!("TRUE"), true), (json!(false), false)] {
        assert_eq!(auto("active", sent), Some(json!(read)));
    }
    for sent in [json!("yes"), json!(""), json!(0), json!(1), json!([]), json!({}), json!("false ")] {
        refused("active", sent, Dialect::Auto);
    }
    assert_eq!(
        refused("active", json!("False"), Dialect::Strict),
        "'active' must be true or false, not another string."
    );
}

#[test]
fn names_inside_complex_values_become_canonical() {
    let mut coercer = Coercer::new(Dialect::Auto);
    let value = json!([{"VALUE": "a@b.example", "Primary": "True", "shoe": 1, "display": null}]);
    let read = coercer.whole(attr("emails"), value).unwrap();
    assert_eq!(read, Some(json!([{"value": "a@b.example", "primary": true}])));
    assert_eq!(coercer.ignored, ["emails.shoe"]);
}

#[test]
fn what_is_unassigned_disappears() {
    for (name, value) in [
        ("title", json!(null)),
        ("emails", json!(null)),
        ("emails", json!([])),
        ("emails", json!([null, {}, {"value": null}])),
        ("name", json!({"givenName": null})),
        ("manager", json!("")),
        ("manager", json!({"value": ""})),
        ("manager", json!({"value": null, "displayName": "Ana"})),
        ("manager", json!([])),
    ] {
        assert_eq!(auto(name, value.clone()), None, "{name} {value}");
    }
    assert_eq!(auto("title", json!("")), Some(json!("")));
}

#[test]
fn lone_values_stand_for_arrays_and_objects() {
    let one = json!([{"value": "a@b.example"}]);
    for sent in [json!({"value": "a@b.example"}), json!("a@b.example"), json!(["a@b.example"])] {
        assert_eq!(auto("emails", sent.clone()), Some(one.clone()), "{sent}");
        refused("emails", sent, Dialect::Strict);
    }
    for sent in [json!("26118915"), json!([{"value": "26118915"}]), json!({"value": "26118915"})] {
        assert_eq!(auto("manager", sent), Some(json!({"value": "26118915"})));
    }
    refused("manager", json!([{"value": "1"}, {"value": "2"}]), Dialect::Auto);
    refused("name", json!("Ana Ruiz"), Dialect::Auto);
    refused("emails", json!(5), Dialect::Auto);
    refused("emails", json!([["a@b.example"]]), Dialect::Auto);
}

#[test]
fn packed_roles_are_unpacked() {
    let packed = r#"{"id":"1","value":"Admin","displayName":"Administrator"}"#;
    let role = json!([{"value": "Admin", "display": "Administrator"}]);
    assert_eq!(auto("roles", json!([{"value": packed}])), Some(role.clone()));
    assert_eq!(auto("roles", json!([packed])), Some(role));
    assert_eq!(
        auto("roles", json!([{"value": packed, "primary": "True", "display": "Boss"}])),
        Some(json!([{"value": "Admin", "primary": true, "display": "Boss"}]))
    );
    // Neither half-packed text nor another attribute is ever taken apart.
    for text in [
        "{",
        "{}",
        r#"{"value":null}"#,
        r#"{"value":{"value":"Admin"}}"#,
        r#"{"value":"a","value":"Admin"}"#,
        r#"{"value":"{\"value\":\"Admin\"}"}"#,
    ] {
        assert_eq!(auto("roles", json!([{"value": text}])), Some(json!([{"value": text}])), "{text}");
    }
    assert_eq!(auto("entitlements", json!([packed])), Some(json!([{"value": packed}])));
    assert_eq!(
        coerce(attr("roles"), json!([{"value": packed}]), Dialect::Strict).unwrap(),
        Some(json!([{"value": packed}]))
    );
}

#[test]
fn one_value_is_primary() {
    let two =
        json!([{"value": "a", "primary": true}, {"value": "b", "primary": true}, {"value": "c", "primary": false}]);
    assert_eq!(
        auto("emails", two.clone()),
        Some(
            json!([{"value": "a", "primary": false}, {"value": "b", "primary": true}, {"value": "c", "primary": false}])
        )
    );
    assert!(refused("emails", two, Dialect::Strict).contains("primary"));
}

#[test]
fn types_and_sizes_are_checked() {
    let skills = "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:skills";
    assert_eq!(
        auto(skills, json!([{"value": "english", "level": 3}])),
        Some(json!([{"value": "english", "level": 3}]))
    );
    assert!(refused(skills, json!([{"value": "english", "level": 1.5}]), Dialect::Auto).contains("skills.level"));
    assert_eq!(auto("title", json!(5)), Some(json!("5")));
    refused("title", json!(5), Dialect::Strict);
    refused("title", json!(true), Dialect::Auto);
    refused("userName", json!(5), Dialect::Auto);
    refused("title", json!("a\u{0}b"), Dialect::Auto);
    refused("title", json!("x".repeat(MAX_STRING + 1)), Dialect::Auto);
    assert!(auto("title", json!("x".repeat(MAX_STRING))).is_some());
    refused("emails", json!(vec!["a"; MAX_ELEMENTS + 1]), Dialect::Auto);
    assert!(check_date("meta.created", &json!("2026-01-31T08:30:00+01:00")).is_ok());
    assert!(check_date("meta.created", &json!("yesterday")).is_err());
}

#[test]
fn details_never_repeat_a_value() {
    assert!(!refused("active", json!("hunter2"), Dialect::Auto).contains("hunter2"));
    assert!(!refused("name", json!({"givenName": {"x": "hunter2"}}), Dialect::Auto).contains("hunter2"));
}

#[test]
fn read_only_parts_are_dropped() {
    assert_eq!(auto("groups", json!([{"value": "g1", "display": "Owners"}])), None);
}

/// OneLogin's templates: `fixtures/onelogin/quoted-numbers.json`
#[test]
fn numbers_and_flags_of_templates_are_read() {
    let extension = schema_of(ResourceKind::User).extension(CONTACT_CENTRE_URN).unwrap();
    let (skills, flag) = (extension.attribute("skills").unwrap(), extension.attribute("actAsAgent").unwrap());
    let skill = |level: Value| json!([{"value": "billing", "level": level}]);
    for (sent, kept) in [(json!("3"), json!(3)), (json!(" -3 "), json!(-3)), (json!(3), json!(3))] {
        assert_eq!(coerce(skills, skill(sent), Dialect::Auto), Ok(Some(skill(kept))));
    }
    for blank in ["", " "] {
        let none = Ok(Some(json!([{"value": "billing"}])));
        assert_eq!(coerce(skills, skill(blank.into()), Dialect::Auto), none);
        assert_eq!(coerce(flag, blank.into(), Dialect::Auto), Ok(None));
    }
    for (level, found) in [
        (json!(3.5), "not another number"),
        (json!("3.5"), "not a string"),
        (json!("three"), "not a string"),
        (json!("99999999999999999999"), "not a string"),
        (json!(true), "not a boolean"),
    ] {
        let error = coerce(skills, skill(level.clone()), Dialect::Auto).unwrap_err();
        assert!(error.detail.contains("must be a whole number") && error.detail.contains(found), "{level}: {error}");
    }
    for refused in ["3", ""] {
        assert!(coerce(skills, skill(refused.into()), Dialect::Strict).is_err());
        assert!(coerce(flag, refused.into(), Dialect::Strict).is_err());
    }
    // Whether somebody may work is never read into an empty text.
    assert!(coerce(attr("active"), "".into(), Dialect::Auto).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    let texts = prop_oneof!["True", "", "a@b", "[{]\"value\":\"x\"[}]"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        texts.prop_map(Value::from),
        Just(json!(r#"{"value":"{\"value\":\"x\"}"}"#)),
    ];
    let names = prop_oneof!["value", "Type", "primary", "givenName", "x"];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What was stored once is stored the same when it comes back, as Okta sends it.
    #[test]
    fn coercing_twice_changes_nothing(
        value in any_value(),
        name in prop_oneof!["emails", "name", "roles", "manager", "active", "addresses", "title"],
    ) {
        if let Ok(Some(once)) = coerce(attr(&name), value, Dialect::Auto) {
            prop_assert_eq!(coerce(attr(&name), once.clone(), Dialect::Auto), Ok(Some(once)));
        }
    }

    /// Strict accepts nothing that lenient refuses.
    #[test]
    fn strict_is_within_auto(value in any_value(), name in prop_oneof!["emails", "name", "manager", "active"]) {
        if coerce(attr(&name), value.clone(), Dialect::Strict).is_ok() {
            prop_assert!(coerce(attr(&name), value, Dialect::Auto).is_ok());
        }
    }
}
