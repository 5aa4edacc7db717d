use super::*;
use crate::scim::document::MAX_MEMBERS;

fn changes(operations: &Value) -> Vec<MemberChange> {
    let patched = run(ResourceKind::Group, &group(), operations, Dialect::Auto).unwrap();
    assert!(patched.document.get("members").is_none());
    patched.members
}

#[track_caller]
fn assert_refused(operation: &Value, kind: ScimType) {
    let error =
        run(ResourceKind::Group, &group(), &json!([operation]), Dialect::Auto).expect_err(&operation.to_string());
    assert_eq!((error.status, error.scim_type), (400, Some(kind)), "{operation}");
}

#[test]
fn additions() {
    for operation in [
        json!({ "op": "add", "path": "members", "value": [{ "value": "a" }, { "value": "b", "display": "B" }] }),
        json!({ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": "a" }, { "value": "b" }] }),
        json!({ "op": "add", "value": { "members": [{ "value": "a" }, { "value": "b" }] } }),
        json!({ "op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members", "value": ["a", "b"] }),
    ] {
        let changes = changes(&json!([operation]));
        let [MemberChange::Add(members)] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(*members, ["a", "b"], "{operation}");
    }
    for value in [json!({ "value": "a" }), json!("a")] {
        let changes = changes(&json!([{ "op": "add", "path": "members", "value": value }]));
        assert!(matches!(&changes[..], [MemberChange::Add(members)] if *members == ["a"]), "{changes:?}");
    }
    let changes = changes(&json!([{ "op": "add", "path": "members[value eq \"a\"]", "value": { "value": "a" } }]));
    assert!(matches!(&changes[..], [MemberChange::Add(members)] if *members == ["a"]), "{changes:?}");
}

#[test]
fn removals_name_their_members() {
    for operation in [
        json!({ "op": "remove", "path": "members[value eq \"a\"]" }),
        json!({ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "a" }] }),
        json!({ "op": "remove", "path": "members", "value": { "value": "a" } }),
        json!({ "op": "remove", "path": "members", "value": "a" }),
    ] {
        assert_eq!(changes(&json!([operation])), [MemberChange::Remove(vec!["a".to_owned()])], "{operation}");
    }
    let either = json!([{ "op": "remove", "path": "members[value eq \"a\" or value eq \"b\"]" }]);
    assert_eq!(changes(&either), [MemberChange::Remove(vec!["a".to_owned(), "b".to_owned()])]);
    for filter in ["display eq \"x\"", "value eq \"a\" and type eq \"User\"", "not (value eq \"a\")", "value sw \"a\""]
    {
        let changes = changes(&json!([{ "op": "remove", "path": format!("members[{filter}]") }]));
        assert!(matches!(&changes[..], [MemberChange::RemoveWhere(_)]), "{filter}: {changes:?}");
    }
}

/// Keycloak, with null: `fixtures/keycloak/member-remove-all.json`
#[test]
fn s37_only_an_absent_or_null_value_empties_a_group() {
    assert_eq!(changes(&json!([{ "op": "remove", "path": "members" }])), [MemberChange::Clear]);
    assert_eq!(changes(&json!([{ "op": "remove", "path": "members", "value": null }])), [MemberChange::Clear]);
    for value in [
        json!([]),
        json!({}),
        json!(""),
        json!(" "),
        json!(0),
        json!(false),
        json!([null]),
        json!([[]]),
        json!([{}]),
        json!([{ "value": null }]),
        json!([{ "value": "" }]),
        json!([{ "display": "a" }]),
        json!([{ "value": "a" }, { "value": 7 }]),
    ] {
        assert_refused(&json!({ "op": "remove", "path": "members", "value": value }), ScimType::InvalidValue);
    }
    for filter in ["value eq ", "", "value", "colour eq \"red\"", "value eq a"] {
        assert_refused(&json!({ "op": "remove", "path": format!("members[{filter}]") }), ScimType::InvalidFilter);
    }
    // The strict dialect has no removal by value, and does not take one for a removal of all either.
    let by_value = json!([{ "op": "remove", "path": "members", "value": [{ "value": "a" }] }]);
    assert!(run(ResourceKind::Group, &group(), &by_value, Dialect::Strict).is_err());
}

#[test]
fn s38_add_never_removes_and_changes_are_deltas() {
    for value in [json!([]), json!(null)] {
        assert_eq!(changes(&json!([{ "op": "add", "path": "members", "value": value }])), []);
    }
    let mixed = changes(&json!([
        { "op": "remove", "path": "members[value eq \"a\"]" },
        { "op": "remove", "path": "members[value eq \"b\"]" },
        { "op": "add", "path": "members", "value": [{ "value": "c" }] },
        { "op": "add", "path": "members", "value": [{ "value": "d" }] },
        { "op": "remove", "path": "members[value eq \"c\"]" },
    ]));
    let [MemberChange::Remove(first), MemberChange::Add(added), MemberChange::Remove(last)] = &mixed[..] else {
        panic!("{mixed:?}")
    };
    assert_eq!((first.len(), last.len()), (2, 1));
    assert_eq!(*added, ["c", "d"]);
}

#[test]
fn replacements_say_who_stays() {
    for operation in [
        json!({ "op": "replace", "path": "members", "value": [{ "value": "b" }, { "value": "c" }] }),
        json!({ "op": "replace", "value": { "members": [{ "value": "b" }, { "value": "c" }] } }),
    ] {
        let changes = changes(&json!([operation]));
        assert!(matches!(&changes[..], [MemberChange::Replace(members)] if *members == ["b", "c"]), "{changes:?}");
    }
    for operation in [
        json!({ "op": "replace", "path": "members", "value": [] }),
        json!({ "op": "replace", "path": "members", "value": null }),
        json!({ "op": "replace", "value": { "members": [], "id": "gid", "displayName": "Emptied" } }),
    ] {
        assert_eq!(changes(&json!([operation])), [MemberChange::Replace(Vec::new())], "{operation}");
    }
    assert_eq!(changes(&json!([{ "op": "replace", "value": { "displayName": "New", "members": null } }])), []);
    assert_refused(&json!({ "op": "replace", "path": "members", "value": "" }), ScimType::InvalidValue);
}

#[test]
fn a_member_is_no_other_and_its_name_is_not_stored() {
    for path in ["members[value eq \"a\"].value", "members.value", "members[value eq \"a\"]"] {
        assert_refused(&json!({ "op": "replace", "path": path, "value": "b" }), ScimType::Mutability);
    }
    let operations = json!([{ "op": "replace", "path": "members[value eq \"a\"].display", "value": "B" }]);
    let patched = run(ResourceKind::Group, &group(), &operations, Dialect::Auto).unwrap();
    assert_eq!((patched.members.len(), &patched.ignored[..]), (0, &["members.display".to_owned()][..]));
    assert_refused(
        &json!({ "op": "add", "path": "members[value co \"a\"]", "value": { "value": "a" } }),
        ScimType::NoTarget,
    );
}

#[test]
fn renames_beside_members() {
    let operations = json!([
        { "op": "replace", "value": { "id": "gid", "displayName": "New" } },
        { "op": "Replace", "path": "externalId", "value": "x" },
        { "op": "remove", "path": "members", "value": null },
    ]);
    let patched = run(ResourceKind::Group, &group(), &operations, Dialect::Auto).unwrap();
    assert_eq!(Value::Object(patched.document), json!({ "displayName": "New", "externalId": "x" }));
    assert_eq!(patched.members, [MemberChange::Clear]);
    assert_refused(&json!({ "op": "replace", "path": "displayName", "value": " " }), ScimType::InvalidValue);
    assert_refused(&json!({ "op": "remove", "path": "displayName" }), ScimType::Mutability);
}

#[test]
fn the_members_named_are_bounded() {
    let members = |count: usize| (0..count).map(|index| json!({ "value": index.to_string() })).collect::<Vec<_>>();
    let add = |count: usize| json!({ "op": "add", "path": "members", "value": members(count) });
    assert_eq!(changes(&json!([add(30_000)])).len(), 1);
    let twice = json!([add(MAX_MEMBERS / 2 + 1), add(MAX_MEMBERS / 2 + 1)]);
    let error = run(ResourceKind::Group, &group(), &twice, Dialect::Auto).unwrap_err();
    assert_eq!(error.scim_type, Some(ScimType::TooMany));
}

/// Runs of additions or removals are one change each; whatever cannot be joined is a query of its own.
#[test]
fn s40_the_changes_of_members_are_bounded() {
    let add = json!({ "op": "add", "path": "members", "value": [{ "value": "a" }] });
    let remove = json!({ "op": "remove", "path": "members[value eq \"a\"]" });
    let select = json!({ "op": "remove", "path": "members[display eq \"a\"]" });
    let run = |operations: Vec<Value>| run(ResourceKind::Group, &group(), &Value::Array(operations), Dialect::Auto);
    let turns = |count: usize| [add.clone(), remove.clone()].into_iter().cycle().take(count).collect::<Vec<_>>();
    assert_eq!(run(turns(MAX_OPERATIONS)).unwrap().members.len(), MAX_OPERATIONS);
    assert_eq!(run(vec![remove.clone(); 2 * MAX_OPERATIONS]).unwrap().members.len(), 1);
    for operations in [turns(MAX_OPERATIONS + 1), vec![select; MAX_OPERATIONS + 1]] {
        assert_eq!(run(operations).unwrap_err().scim_type, Some(ScimType::TooMany));
    }
}
