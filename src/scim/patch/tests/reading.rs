use super::*;

fn read(body: Value) -> Result<Vec<Operation>, ScimError> {
    read_patch(body, Dialect::Auto)
}

#[test]
fn operations_are_read_in_any_case() {
    let operations = read(json!({ "operations": [
        { "OP": "Replace", "Path": "active", "Value": "False" },
        { "op": "REMOVE", "path": "members", "value": null },
        { "op": "add", "path": null, "value": {} },
    ]}))
    .unwrap();
    let kinds: Vec<OpKind> = operations.iter().map(|operation| operation.kind).collect();
    assert_eq!(kinds, [OpKind::Replace, OpKind::Remove, OpKind::Add]);
    assert_eq!(operations[0].path.as_ref().unwrap().to_string(), "active");
    assert_eq!(operations[1].value, Some(Value::Null));
    assert_eq!((&operations[2].path, &operations[2].value), (&None, &Some(json!({}))));
}

#[test]
fn what_is_no_patch_is_refused() {
    for (body, kind) in [
        (json!([]), ScimType::InvalidSyntax),
        (json!({}), ScimType::InvalidSyntax),
        (json!({ "Operations": [] }), ScimType::InvalidSyntax),
        (json!({ "Operations": { "op": "add" } }), ScimType::InvalidSyntax),
        (json!({ "Operations": ["add"] }), ScimType::InvalidSyntax),
        (json!({ "Operations": [{ "path": "title" }] }), ScimType::InvalidSyntax),
        (json!({ "Operations": [{ "op": "move", "path": "title" }] }), ScimType::InvalidSyntax),
        (json!({ "Operations": [{ "op": 1 }] }), ScimType::InvalidSyntax),
        (json!({ "Operations": [{ "op": "add", "path": 7, "value": 1 }] }), ScimType::InvalidPath),
        (json!({ "Operations": [{ "op": "add", "path": "a b", "value": 1 }] }), ScimType::InvalidPath),
        (json!({ "Operations": [{ "op": "add", "path": "emails[type eq ", "value": 1 }] }), ScimType::InvalidFilter),
    ] {
        let error = read(body.clone()).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(kind)), "{body}");
    }
}

#[test]
fn strict_reads_by_the_rfc_alone() {
    let patch =
        |urn: &str, op: &str| json!({ "schemas": [urn], "Operations": [{ "op": op, "path": "title", "value": "x" }] });
    let urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
    assert!(read_patch(patch(urn, "replace"), Dialect::Strict).is_ok());
    for body in [
        patch("urn:other", "replace"),
        patch(urn, "Replace"),
        json!({ "Operations": [{ "op": "add", "path": "title", "value": "x" }] }),
    ] {
        assert!(read_patch(body.clone(), Dialect::Strict).is_err(), "{body}");
        assert!(read_patch(body, Dialect::Auto).is_ok());
    }
}

#[test]
fn errors_name_the_operation() {
    let error = read(json!({ "Operations": [{ "op": "remove", "path": "title" }, { "op": "move" }] })).unwrap_err();
    assert!(error.detail.starts_with("Operation 2: "), "{error}");
    let error = run(
        ResourceKind::User,
        &user(),
        &json!([{ "op": "remove", "path": "title" }, { "op": "remove" }]),
        Dialect::Auto,
    );
    assert!(error.unwrap_err().detail.starts_with("Operation 2: "));
}

#[test]
fn the_number_of_operations_is_bounded() {
    let many = |path: &str, count: usize| {
        let operations = vec![json!({ "op": "add", "path": path, "value": [{ "value": "x" }] }); count];
        read(json!({ "Operations": operations })).map(|operations| operations.len())
    };
    assert_eq!(many("emails", MAX_OPERATIONS), Ok(MAX_OPERATIONS));
    assert_eq!(many("emails", MAX_OPERATIONS + 1).unwrap_err().scim_type, Some(ScimType::TooMany));
    // authentik: `fixtures/authentik/members-one-operation-each.json`
    assert_eq!(many("members", 10_000), Ok(10_000));
}

/// Only what names its members comes in any number: the rest costs a query each, while nobody else can write.
#[test]
fn s40_operations_that_replace_or_empty_a_group_are_counted() {
    let many = |operation: &Value, count: usize| {
        read(json!({ "Operations": vec![operation.clone(); count] })).map(|operations| operations.len())
    };
    for named in [
        json!({ "op": "remove", "path": "members[value eq \"a\"]" }),
        json!({ "op": "Remove", "path": "members", "value": [{ "value": "a" }] }),
    ] {
        assert_eq!(many(&named, MAX_OPERATIONS + 1), Ok(MAX_OPERATIONS + 1), "{named}");
    }
    for unnamed in [
        json!({ "op": "remove", "path": "members" }),
        json!({ "op": "remove", "path": "members", "value": null }),
        json!({ "op": "replace", "path": "members", "value": [] }),
        json!({ "op": "add", "value": { "members": [] } }),
    ] {
        assert_eq!(many(&unnamed, MAX_OPERATIONS), Ok(MAX_OPERATIONS), "{unnamed}");
        assert_eq!(many(&unnamed, MAX_OPERATIONS + 1).unwrap_err().scim_type, Some(ScimType::TooMany), "{unnamed}");
    }
}
