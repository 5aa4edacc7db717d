use super::*;

#[test]
fn active_in_every_shape_that_identity_providers_send() {
    for operation in [
        json!({ "op": "replace", "value": { "active": false } }),
        json!({ "op": "Replace", "path": "active", "value": "False" }),
        json!({ "op": "Add", "path": "active", "value": "False" }),
        json!({ "op": "replace", "path": "active", "value": false }),
        json!({ "op": "replace", "value": { "active": "false" } }),
        json!({ "op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active", "value": false }),
    ] {
        assert_eq!(patched(&json!([operation]))["active"], json!(false), "{operation}");
    }
    for value in [json!("maybe"), json!(0), json!(null), json!([]), json!({}), json!("")] {
        assert_eq!(
            refused(&json!([{ "op": "replace", "path": "active", "value": value }])),
            ScimType::InvalidValue,
            "{value}"
        );
    }
    // RFC 7644 §3.5.2.2: what is removed is unassigned, and who is not said to be active is not.
    assert_eq!(patched(&json!([{ "op": "remove", "path": "active" }])).get("active"), None);
    assert!(
        run(
            ResourceKind::User,
            &user(),
            &json!([{ "op": "replace", "path": "active", "value": "False" }]),
            Dialect::Strict
        )
        .is_err()
    );
}

#[test]
fn one_attribute_that_is_not_stored_does_not_keep_a_leaver_active() {
    let operations = json!([
        { "op": "Add", "path": "addresses[type eq \"work\"].region", "value": "BY" },
        { "op": "Replace", "path": "favouriteSnack", "value": "crisps" },
        { "op": "Add", "path": "urn:acme:params:2.0:User:badge", "value": "7" },
        { "op": "Replace", "path": "name.colour", "value": "red" },
        { "op": "Replace", "value": { "shoeSize": 44, "not a path": 1 } },
        { "op": "Replace", "path": "active", "value": "False" },
    ]);
    let patched = run(ResourceKind::User, &user(), &operations, Dialect::Auto).unwrap();
    assert_eq!(patched.document["active"], json!(false));
    assert_eq!(
        patched.ignored,
        ["favouriteSnack", "urn:acme:params:2.0:User:badge", "name.colour", "shoeSize", "not a path"]
    );
    assert_eq!(patched.document["addresses"], json!([{ "type": "work", "region": "BY" }]));
    let strict = run(
        ResourceKind::User,
        &user(),
        &json!([{ "op": "replace", "path": "favouriteSnack", "value": 1 }]),
        Dialect::Strict,
    );
    assert_eq!(strict.unwrap_err().scim_type, Some(ScimType::InvalidPath));
}

#[test]
fn keys_without_path_are_paths() {
    let after = patched(&json!([
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "new@acme.example" },
        { "op": "replace", "value": {
            "displayName": "Dot Key", "name.givenName": "Dot", "name.familyName": "Key",
            (format!("{ENTERPRISE_URN}:employeeNumber")): "E-42",
            ENTERPRISE_URN: { "costCenter": "9", "manager": null },
        }},
    ]));
    assert_eq!(after["name"], json!({ "givenName": "Dot", "familyName": "Key" }));
    assert_eq!(after[ENTERPRISE_URN], json!({ "department": "Claims", "employeeNumber": "E-42", "costCenter": "9" }));
    assert_eq!(after["emails"], json!([{ "value": "new@acme.example", "type": "work", "primary": true }]));
    assert!(after.get("name.givenName").is_none());
    let strict = run(
        ResourceKind::User,
        &user(),
        &json!([{ "op": "replace", "value": { "name.givenName": "Dot" } }]),
        Dialect::Strict,
    );
    assert_eq!(strict.unwrap().ignored, ["name.givenName"]);
}

#[test]
fn complex_attributes_merge() {
    let after =
        patched(&json!([{ "op": "replace", "path": "name", "value": { "GivenName": "Solo", "familyName": null } }]));
    assert_eq!(after["name"], json!({ "givenName": "Solo" }));
    let after = patched(&json!([{ "op": "add", "path": "name", "value": { "middleName": "B", "familyName": null } }]));
    assert_eq!(after["name"], json!({ "givenName": "Ana", "familyName": "Ruiz", "middleName": "B" }));
    let after =
        patched(&json!([{ "op": "remove", "path": "name.givenName" }, { "op": "remove", "path": "name.familyName" }]));
    assert!(after.get("name").is_none());
    let after = patched(
        &json!([{ "op": "remove", "path": "name" }, { "op": "add", "path": "name.givenName", "value": "New" }]),
    );
    assert_eq!(after["name"], json!({ "givenName": "New" }));
}

#[test]
fn null_clears_and_add_never_does() {
    for operation in [
        json!({ "op": "replace", "path": "title", "value": null }),
        json!({ "op": "replace", "value": { "title": null } }),
        json!({ "op": "remove", "path": "title" }),
    ] {
        assert!(patched(&json!([operation])).get("title").is_none(), "{operation}");
    }
    for path in
        ["title", "name", "emails", "emails[type eq \"work\"]", "emails[type eq \"work\"].value", "manager", "userName"]
    {
        let after = patched(&json!([{ "op": "add", "path": path, "value": null }]));
        assert_eq!(after, Value::Object(user()), "{path}");
    }
}

#[test]
fn the_manager_in_every_shape() {
    let urn = format!("{ENTERPRISE_URN}:manager");
    for (path, value) in [
        (urn.as_str(), json!("m2")),
        ("manager", json!([{ "$ref": "http://host.example/scim/Users/m2", "value": "m2" }])),
        (&urn, json!({ "value": "m2" })),
        (&format!("{urn}.value"), json!("m2")),
    ] {
        let after = patched(&json!([{ "op": "Add", "path": path, "value": value }]));
        let manager = &after[ENTERPRISE_URN]["manager"];
        assert_eq!(manager["value"], json!("m2"), "{path} {value}");
        assert!(manager.get("displayName").is_none(), "the old manager's name must go: {path} {value}");
        assert_eq!(after[ENTERPRISE_URN]["department"], json!("Claims"));
    }
    for value in [json!(""), json!({ "value": "" }), json!(null), json!({ "value": null })] {
        let after = patched(&json!([{ "op": "replace", "path": urn, "value": value }]));
        assert_eq!(after[ENTERPRISE_URN], json!({ "department": "Claims" }), "{value}");
    }
    let after = patched(
        &json!([{ "op": "Remove", "path": urn }, { "op": "remove", "path": format!("{ENTERPRISE_URN}:department") }]),
    );
    assert!(after.get(ENTERPRISE_URN).is_none());
    let after = patched(&json!([{ "op": "remove", "path": ENTERPRISE_URN }]));
    assert!(after.get(ENTERPRISE_URN).is_none());
}

#[test]
fn unmatched_eq_filters_create_one_element_for_a_run() {
    for op in ["add", "replace"] {
        let after = patched(&json!([
            { "op": op, "path": "phoneNumbers[type eq \"mobile\"].value", "value": "5555" },
            { "op": op, "path": "phoneNumbers[type eq \"mobile\"].display", "value": "Mobile" },
            { "op": op, "path": "roles[primary eq \"True\"].display", "value": "Boss" },
            { "op": op, "path": "roles[primary eq \"True\"].value", "value": "supervisor" },
            { "op": op, "path": "emails[type eq \"home\" and primary eq false]", "value": { "value": "h@x.example" } },
        ]));
        assert_eq!(after["phoneNumbers"], json!([{ "type": "mobile", "value": "5555", "display": "Mobile" }]), "{op}");
        assert_eq!(after["roles"], json!([{ "primary": true, "display": "Boss", "value": "supervisor" }]), "{op}");
        assert_eq!(after["emails"][1], json!({ "type": "home", "primary": false, "value": "h@x.example" }), "{op}");
        for filter in
            ["value co \"none\"", "type eq \"a\" or type eq \"b\"", "not (type eq \"work\")", "type ne \"work\""]
        {
            let path = format!("emails[{filter}].value");
            assert_eq!(
                refused(&json!([{ "op": op, "path": path, "value": "x@x.example" }])),
                ScimType::NoTarget,
                "{filter}"
            );
        }
        let operation = json!([{ "op": op, "path": "emails[type eq \"home\"].value", "value": "x@x.example" }]);
        let strict = run(ResourceKind::User, &user(), &operation, Dialect::Strict);
        assert_eq!(strict.unwrap_err().scim_type, Some(ScimType::NoTarget));
    }
    assert_eq!(
        refused(&json!([{ "op": "add", "path": "emails[colour eq \"red\"].value", "value": "x" }])),
        ScimType::InvalidFilter
    );
}

#[test]
fn filters_select_elements() {
    let two = json!([
        { "value": "a@x.example", "type": "work", "primary": true },
        { "value": "b@x.example", "type": "home", "display": "B" },
    ]);
    let set = json!({ "op": "replace", "path": "emails", "value": two });
    let after = |operation: Value| patched(&json!([set, operation]))["emails"].clone();
    assert_eq!(after(json!({ "op": "remove", "path": "emails[type eq \"HOME\"]" })), json!([two[0]]));
    assert_eq!(after(json!({ "op": "remove", "path": "emails[type eq \"other\"]" })), two);
    assert_eq!(
        after(json!({ "op": "remove", "path": "emails[type eq \"home\"].display" }))[1],
        json!({ "value": "b@x.example", "type": "home" })
    );
    assert_eq!(
        after(json!({ "op": "replace", "path": "emails[primary eq true].value", "value": "n@x.example" }))[0]["value"],
        json!("n@x.example")
    );
    assert_eq!(
        after(json!({ "op": "replace", "path": "emails[type eq \"home\"]", "value": { "value": "n@x.example" } }))[1],
        json!({ "type": "home", "value": "n@x.example" })
    );
    assert_eq!(
        after(json!({ "op": "add", "path": "emails[type eq \"home\"]", "value": [{ "value": "n@x.example" }] }))[1],
        json!({ "value": "n@x.example", "type": "home", "display": "B" })
    );
    // An e-mail without its address is none.
    for value in [json!(""), json!(null)] {
        assert_eq!(
            after(json!({ "op": "replace", "path": "emails[type eq \"home\"].value", "value": value })),
            json!([two[0]])
        );
    }
    assert_eq!(after(json!({ "op": "replace", "path": "emails.display", "value": "D" })).as_array().unwrap().len(), 2);
    assert_eq!(patched(&json!([{ "op": "remove", "path": "emails[type eq \"work\"]" }])).get("emails"), None);
}

#[test]
fn a_filter_on_what_the_operation_changes_makes_no_second_element() {
    let operation = json!([{ "op": "replace", "path": "emails[value eq \"ana@acme.example\"].value", "value": "new@acme.example" }]);
    let once = run(ResourceKind::User, &user(), &operation, Dialect::Auto).unwrap().document;
    let twice = run(ResourceKind::User, &once, &operation, Dialect::Auto).unwrap().document;
    assert_eq!(once["emails"], json!([{ "value": "new@acme.example", "type": "work", "primary": true }]));
    assert_eq!(twice, once);
    let manager = |id: &str| json!([{ "op": "replace", "path": format!("manager[value eq \"{id}\"]"), "value": "m2" }]);
    assert_eq!(patched(&manager("m1"))[ENTERPRISE_URN]["manager"], json!({ "value": "m2" }));
    assert_eq!(refused(&manager("m7")), ScimType::NoTarget);
    let contradictory = json!([{ "op": "add", "path": "emails[type eq \"home\"]", "value": { "type": "other", "value": "x@x.example" } }]);
    assert_eq!(refused(&contradictory), ScimType::NoTarget);
}

#[test]
fn add_appends_what_is_new_and_replace_takes_the_whole() {
    let add = |value: Value| patched(&json!([{ "op": "add", "path": "emails", "value": value }]))["emails"].clone();
    assert_eq!(add(json!([{ "value": "ANA@acme.example", "type": "work" }])).as_array().unwrap().len(), 1);
    assert_eq!(add(json!([{ "value": "ana@acme.example" }])).as_array().unwrap().len(), 1);
    assert_eq!(add(json!([{ "value": "ana@acme.example", "type": "home" }])).as_array().unwrap().len(), 2);
    assert_eq!(add(json!({ "value": "single@acme.example" })).as_array().unwrap().len(), 2);
    assert_eq!(add(json!([])).as_array().unwrap().len(), 1);
    let replaced = patched(
        &json!([{ "op": "replace", "value": { "emails": [{ "value": "n1@x.example" }, { "value": "n2@x.example" }] } }]),
    );
    assert_eq!(replaced["emails"], json!([{ "value": "n1@x.example" }, { "value": "n2@x.example" }]));
    assert_eq!(patched(&json!([{ "op": "replace", "path": "emails", "value": [] }])).get("emails"), None);
    assert_eq!(patched(&json!([{ "op": "remove", "path": "emails" }])).get("emails"), None);
}

#[test]
fn one_element_is_primary() {
    let primaries = |operation: Value| {
        let after = patched(&json!([operation]));
        let all = after["emails"].as_array().unwrap().clone();
        all.into_iter()
            .filter(|email| email["primary"] == json!(true))
            .map(|email| email["value"].clone())
            .collect::<Vec<_>>()
    };
    let second = json!({ "value": "b@x.example", "type": "home", "primary": true });
    assert_eq!(primaries(json!({ "op": "add", "path": "emails", "value": [second] })), [json!("b@x.example")]);
    assert_eq!(
        primaries(json!({ "op": "add", "path": "emails[type eq \"home\"]", "value": second })),
        [json!("b@x.example")]
    );
    assert_eq!(
        primaries(json!({ "op": "add", "path": "emails", "value": [{ "value": "c@x.example" }] })),
        [json!("ana@acme.example")]
    );
}

#[test]
fn roles_packed_in_strings_and_removed_by_value() {
    let packed = json!({ "value": "{\"id\":\"06b\",\"value\":\"supervisor\",\"displayName\":\"Flex Supervisor\"}" });
    let after = patched(&json!([{ "op": "Add", "path": "roles", "value": [packed, { "value": "agent" }] }]));
    assert_eq!(after["roles"][0]["value"], json!("supervisor"));
    let after = patched(&json!([
        { "op": "add", "path": "roles", "value": [{ "value": "supervisor" }, { "value": "agent" }] },
        { "op": "Remove", "path": "roles", "value": [{ "value": "Supervisor" }] },
    ]));
    assert_eq!(after["roles"], json!([{ "value": "agent" }]));
    let after = patched(
        &json!([{ "op": "add", "path": "roles", "value": [{ "value": "a" }, { "value": "b" }] }, { "op": "replace", "path": "roles", "value": [{ "value": "b" }] }]),
    );
    assert_eq!(after["roles"], json!([{ "value": "b" }]));
    for value in [json!([]), json!(7), json!({})] {
        assert_eq!(
            refused(&json!([{ "op": "remove", "path": "emails", "value": value }])),
            ScimType::InvalidValue,
            "{value}"
        );
    }
}

#[test]
fn required_and_read_only_attributes_stay() {
    assert!(matches!(refused(&json!([{ "op": "remove", "path": "userName" }])), ScimType::Mutability));
    assert!(matches!(refused(&json!([{ "op": "replace", "path": "userName", "value": null }])), ScimType::Mutability));
    for value in [json!(""), json!("  "), json!(7), json!(["a"])] {
        assert_eq!(
            refused(&json!([{ "op": "replace", "path": "userName", "value": value }])),
            ScimType::InvalidValue,
            "{value}"
        );
    }
    for path in ["id", "meta", "meta.lastModified", "groups", "groups[value eq \"x\"]"] {
        assert_eq!(refused(&json!([{ "op": "replace", "path": path, "value": "x" }])), ScimType::Mutability, "{path}");
    }
    let without_effect = json!([
        { "op": "replace", "value": { "id": "other", "meta": {}, "groups": [], "schemas": [], "password": "S3cret" } },
        { "op": "replace", "path": "password", "value": "S3cret" },
        { "op": "add", "path": "schemas", "value": ["urn:x"] },
    ]);
    let patched = run(ResourceKind::User, &user(), &without_effect, Dialect::Auto).unwrap();
    assert_eq!(patched.document, user());
    assert_eq!(patched.ignored, ["id", "meta", "groups"]);
}

#[test]
fn operations_without_what_they_need() {
    assert_eq!(refused(&json!([{ "op": "remove" }])), ScimType::NoTarget);
    assert_eq!(refused(&json!([{ "op": "remove", "value": { "title": 1 } }])), ScimType::NoTarget);
    assert_eq!(refused(&json!([{ "op": "add", "path": "title" }])), ScimType::InvalidValue);
    assert_eq!(refused(&json!([{ "op": "replace", "value": "x" }])), ScimType::InvalidValue);
    assert_eq!(refused(&json!([{ "op": "replace", "value": [{ "title": "x" }] }])), ScimType::InvalidValue);
    assert_eq!(
        refused(
            &json!([{ "op": "replace", "path": "emails[type eq \"work\"]", "value": [{ "value": "a" }, { "value": "b" }] }])
        ),
        ScimType::InvalidValue
    );
    assert_eq!(refused(&json!([{ "op": "replace", "path": ENTERPRISE_URN, "value": "x" }])), ScimType::InvalidValue);
}

#[test]
fn the_number_of_elements_is_bounded() {
    let operations: Vec<Value> = (0..3)
        .map(|part| {
            let emails: Vec<Value> =
                (0..400).map(|index| json!({ "value": format!("{part}-{index}@x.example") })).collect();
            json!({ "op": "add", "path": "emails", "value": emails })
        })
        .collect();
    assert_eq!(refused(&Value::Array(operations)), ScimType::InvalidValue);
}

#[test]
fn costly_requests_are_bounded() {
    let emails: Vec<Value> = (0..999).map(|index| json!({ "value": format!("{index}@x.example") })).collect();
    let filter = vec!["value eq \"none\""; 256].join(" or ");
    let mut operations = vec![json!({ "op": "replace", "path": "emails", "value": emails })];
    operations.extend(vec![json!({ "op": "remove", "path": format!("emails[{filter}]") }); 30]);
    assert_eq!(refused(&Value::Array(operations)), ScimType::TooMany);
    let again = vec![json!({ "op": "add", "path": "emails", "value": emails }); 20];
    assert_eq!(patched(&Value::Array(again))["emails"].as_array().unwrap().len(), 1000);
}

#[test]
fn the_order_of_a_document_is_kept() {
    let after = patched(&json!([
        { "op": "replace", "path": "displayName", "value": "New" },
        { "op": "replace", "path": "name.givenName", "value": "New" },
        { "op": "remove", "path": "title" },
    ]));
    let keys: Vec<&String> = after.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["userName", "name", "displayName", "active", "emails", ENTERPRISE_URN]);
}

/// Each operation looks at every element that is there: what together would take minutes is refused.
#[test]
fn s40_the_work_on_elements_is_bounded() {
    let many = |count: usize, text: &str| -> Value {
        (0..count).map(|n| json!({ "type": "other", "streetAddress": format!("{n} {text}") })).collect()
    };
    let add = |value: Value| json!({ "op": "add", "path": "addresses", "value": value });
    let run = |first: Value, more: &Value, times: usize| {
        let mut operations = vec![add(first)];
        operations.extend(vec![more.clone(); times]);
        let patched = run(ResourceKind::User, &user(), &Value::Array(operations), Dialect::Auto);
        patched
            .map(|patched| patched.document["addresses"].as_array().unwrap().len())
            .map_err(|error| error.scim_type.unwrap())
    };
    let add_one = add(json!({ "streetAddress": "1 Main Street" }));
    assert_eq!(run(many(900, ""), &add_one, 20), Ok(901));
    let rename = json!({ "op": "replace", "path": "addresses.region", "value": "North" });
    assert_eq!(run(many(100, &"x".repeat(10_000)), &rename, 200), Ok(100));
    assert_eq!(run(many(100, &"x".repeat(10_000)), &rename, 400), Err(ScimType::TooMany));
    // A filter costs its size besides.
    let some = vec!["type eq \"none\""; 19].join(" or ");
    let remove = json!({ "op": "remove", "path": format!("addresses[{some}]") });
    assert_eq!(run(many(1_000, ""), &remove, 100), Ok(1_000));
    assert_eq!(run(many(1_000, ""), &remove, 300), Err(ScimType::TooMany));
}
