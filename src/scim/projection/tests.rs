use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::schema::{ENTERPRISE_URN, USER_URN};

fn resource() -> Value {
    json!({
        "schemas": [USER_URN, ENTERPRISE_URN], "id": "1", "userName": "a", "password": "hunter2",
        "name": {"givenName": "Ana", "familyName": "Ruiz"},
        "emails": [{"value": "a@b.example", "type": "work"}, {"value": "c@d.example"}],
        "groups": [{"value": "g", "display": "Agents"}],
        ENTERPRISE_URN: {"department": "Ops", "manager": {"value": "2", "displayName": "Bo"}},
        "meta": {"resourceType": "User", "version": "W/\"1\""}
    })
}

fn project(attributes: Option<&str>, excluded: Option<&str>) -> Value {
    let Value::Object(mut map) = resource() else { panic!("an object") };
    Projection::parse(ResourceKind::User, attributes, excluded, Dialect::Auto).unwrap().apply(&mut map);
    Value::Object(map)
}

fn only(attributes: &str) -> Value {
    let mut answer = project(Some(attributes), None);
    assert_eq!(answer["schemas"], resource()["schemas"]);
    assert_eq!(answer["id"], json!("1"));
    answer.as_object_mut().unwrap().retain(|key, _| key != "schemas" && key != "id");
    answer
}

#[test]
fn everything_but_secrets_is_returned_by_default() {
    let mut expected = resource();
    expected.as_object_mut().unwrap().shift_remove("password");
    assert_eq!(project(None, None), expected);
    assert_eq!(project(Some(" "), Some("")), expected);
}

#[test]
fn only_what_is_asked_for() {
    assert_eq!(only("userName"), json!({"userName": "a"}));
    assert_eq!(only("USERNAME, name.familyname"), json!({"userName": "a", "name": {"familyName": "Ruiz"}}));
    assert_eq!(only("emails.type"), json!({"emails": [{"type": "work"}]}));
    assert_eq!(only(&format!("{USER_URN}:userName")), json!({"userName": "a"}));
    assert_eq!(only(&format!("{ENTERPRISE_URN}:manager.value")), json!({ENTERPRISE_URN: {"manager": {"value": "2"}}}));
    assert_eq!(only(ENTERPRISE_URN)[ENTERPRISE_URN], resource()[ENTERPRISE_URN]);
    assert_eq!(only("department"), json!({ENTERPRISE_URN: {"department": "Ops"}}));
    assert_eq!(only("shoeSize,!!,password"), json!({}));
}

#[test]
fn all_but_what_is_excluded() {
    let without = |excluded: &str| project(None, Some(excluded));
    assert_eq!(without("id,schemas,nothing"), project(None, None));
    assert!(without("groups").get("groups").is_none());
    assert_eq!(without("name.givenName")["name"], json!({"familyName": "Ruiz"}));
    assert_eq!(without(&format!("{ENTERPRISE_URN}:manager"))[ENTERPRISE_URN], json!({"department": "Ops"}));
    assert!(without(ENTERPRISE_URN).get(ENTERPRISE_URN).is_none());
    assert!(without("department,manager").get(ENTERPRISE_URN).is_none());
}

#[test]
fn attributes_decide_unless_strict() {
    assert_eq!(project(Some("userName"), Some("userName")), project(Some("userName"), None));
    let strict = Projection::parse(ResourceKind::User, Some("userName"), Some("name"), Dialect::Strict);
    assert_eq!(strict.unwrap_err().status, 400);
}

#[test]
fn it_tells_what_need_not_be_loaded() {
    let parse =
        |attributes, excluded| Projection::parse(ResourceKind::Group, attributes, excluded, Dialect::Auto).unwrap();
    assert!(parse(None, None).wants("members") && parse(None, None).is_full());
    assert!(!parse(None, Some("Members")).wants("members"));
    assert!(parse(None, Some("members.display")).wants("members"));
    assert!(!parse(Some("displayName"), None).wants("members"));
    assert!(parse(Some("members.value"), None).wants("members"));
    assert!(parse(Some("displayName"), None).wants("id") && !parse(Some("displayName"), None).wants("meta"));
}

#[test]
fn an_empty_group_shows_its_empty_members() {
    let mut map = Map::from_iter([("members".to_owned(), json!([]))]);
    Projection::full(ResourceKind::Group).apply(&mut map);
    assert_eq!(map["members"], json!([]));
}

proptest! {
    /// Whatever is asked, `id` and `schemas` are there, a password is not, and nothing appears that was not in the
    /// resource.
    #[test]
    fn an_answer_is_a_part_of_the_resource(
        attributes in proptest::option::of("(userName|name|emails|[a-zA-Z.,:]){0,8}"),
        excluded in proptest::option::of("(name|emails|meta|id|schemas|groups|[.,]|value){0,6}"),
    ) {
        let answer = project(attributes.as_deref(), excluded.as_deref());
        let whole = resource();
        prop_assert!(answer.get("id").is_some() && answer.get("schemas").is_some() && answer.get("password").is_none());
        for (key, _) in answer.as_object().unwrap() {
            prop_assert!(whole.get(key).is_some());
        }
    }

    /// Asking for one name and excluding it divide the resource.
    #[test]
    fn only_and_without_are_complements(name in prop_oneof!["userName", "name", "emails", "groups", "meta"]) {
        prop_assert!(project(Some(&name), None).get(&name).is_some());
        prop_assert!(project(None, Some(&name)).get(&name).is_none());
    }
}
