use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..9).prop_map(Value::from),
        prop::sample::select(vec!["", "work", "home", "a@x.example", "True", "m1", "{\"value\":\"x\"}"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let key = prop::sample::select(vec![
            "value",
            "type",
            "primary",
            "givenName",
            "active",
            "emails",
            "manager",
            "name.givenName",
            "colour",
            ENTERPRISE_URN,
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..3)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(vec![
        "userName",
        "title",
        "active",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        "emails[type eq \"work\"]",
        "emails[type eq \"home\"].value",
        "emails[value eq \"ana@acme.example\"].value",
        "emails[value eq \"a@x.example\"]",
        "emails[value co \"x\"].primary",
        "roles",
        "roles[primary eq \"True\"].value",
        "manager",
        "manager[value eq \"m1\"]",
        "manager.displayName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "addresses[type eq \"work\"].region",
        "unknown",
        "x509Certificates",
    ]);
    (prop::sample::select(vec!["add", "Replace", "remove"]), prop::option::of(path), prop::option::of(value()))
        .prop_map(|(op, path, value)| {
            let mut operation = object(json!({ "op": op }));
            operation.extend(path.map(|path| ("path".to_owned(), path.into())));
            operation.extend(value.map(|value| ("value".to_owned(), value)));
            Value::Object(operation)
        })
}

/// What must be true of every document, whatever was done to it.
fn assert_sound(document: &Map<String, Value>) {
    assert!(document["userName"].as_str().is_some_and(|name| !name.trim().is_empty()));
    assert!(document.get("active").is_none_or(Value::is_boolean));
    for (name, value) in document {
        assert!(!value.is_null() && *value != json!([]) && *value != json!({}), "{name} is empty: {document:?}");
        let elements = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let primaries = elements.iter().filter(|element| element["primary"] == json!(true)).count();
        assert!(primaries <= 1, "{name} has {primaries} primary values");
    }
    for key in ["id", "meta", "schemas", "groups", "members", "password", "unknown"] {
        assert!(!document.contains_key(key), "{key} is in the document");
    }
}

proptest! {
    #[test]
    fn every_outcome_is_a_sound_document(operations in prop::collection::vec(operation(), 1..5)) {
        for dialect in [Dialect::Auto, Dialect::Strict] {
            match run(ResourceKind::User, &user(), &Value::Array(operations.clone()), dialect) {
                Ok(patched) => assert_sound(&patched.document),
                Err(error) => prop_assert_eq!(error.status, 400),
            }
        }
    }

    #[test]
    fn doing_it_again_changes_nothing(operation in operation()) {
        let once = run(ResourceKind::User, &user(), &json!([operation]), Dialect::Auto);
        if let Ok(once) = once
            && let Ok(twice) = run(ResourceKind::User, &once.document, &json!([operation]), Dialect::Auto)
        {
            prop_assert_eq!(twice.document, once.document);
        }
    }

    #[test]
    fn one_by_one_is_all_at_once(operations in prop::collection::vec(operation(), 1..5)) {
        let together = run(ResourceKind::User, &user(), &Value::Array(operations.clone()), Dialect::Auto).map(|patched| patched.document);
        let stepwise = operations.iter().try_fold(user(), |document, operation| {
            run(ResourceKind::User, &document, &json!([operation]), Dialect::Auto).map(|patched| patched.document)
        });
        prop_assert_eq!(together.ok(), stepwise.ok());
    }

    #[test]
    fn s38_add_removes_no_element(value in value()) {
        let before = user();
        if let Ok(after) = run(ResourceKind::User, &before, &json!([{ "op": "add", "path": "emails", "value": value }]), Dialect::Auto) {
            let after = after.document["emails"].as_array().unwrap().clone();
            for old in before["emails"].as_array().unwrap() {
                prop_assert!(after.iter().any(|new| new["value"] == old["value"] && new["type"] == old["type"]));
            }
        }
    }
}
