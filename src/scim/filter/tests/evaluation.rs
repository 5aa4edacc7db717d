use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{Bound, Filter, Limits};
use super::parse;
use crate::scim::Dialect;
use crate::scim::schema::{AttrName, ENTERPRISE_URN, ResourceKind, schema_of};

fn ana() -> Map<String, Value> {
    let Value::Object(ana) = json!({
        "id": "2819c223",
        "externalId": "00uABC",
        "userName": "Ana@Acme.example",
        "name": { "givenName": "Ana", "familyName": "Straße" },
        "title": "",
        "active": true,
        "emails": [
            { "value": "ana@acme.example", "type": "work", "primary": true },
            { "value": "ana@home.example", "type": "home" },
        ],
        "groups": [{ "value": "g1", "display": "CC Agents", "type": "direct" }],
        "meta": { "lastModified": "2026-01-31T08:30:00.000Z" },
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Claims", "manager": { "value": "m1" },
        },
        "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User": {
            "skills": [{ "value": "english", "level": 3 }],
        },
    }) else {
        unreachable!()
    };
    ana
}

fn bound(text: &str) -> Bound {
    let filter = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.bind(schema_of(ResourceKind::User), Dialect::Auto).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn assert_all(expected: bool, filters: &[&str]) {
    for text in filters {
        assert_eq!(bound(text).matches(&ana()), expected, "{text}");
    }
}

#[test]
fn text_compares_without_case_unless_the_schema_says_otherwise() {
    assert_all(
        true,
        &[
            r#"userName eq "ANA@ACME.EXAMPLE""#,
            r#"USERNAME Eq "ana@acme.example""#,
            r#"name.familyName eq "STRASSE""#,
            r#"name.familyName co "ASS""#,
            r#"userName sw "ANA@""#,
            r#"userName ew ".EXAMPLE""#,
            r#"userName gt "a" and userName lt "b" and userName ge "ana@acme.example" and userName le "ANA@acme.example""#,
            r#"externalId eq "00uABC""#,
            "urn:ietf:params:scim:schemas:core:2.0:User:userName pr",
        ],
    );
    assert_all(
        false,
        &[r#"externalId eq "00uabc""#, r#"id eq "2819C223""#, r#"userName eq "ana""#, r#"userName gt "b""#],
    );
}

#[test]
fn any_value_of_a_multi_valued_attribute_is_enough() {
    assert_all(
        true,
        &[
            r#"emails eq "ana@home.example""#,
            r#"emails.type eq "home""#,
            r#"emails[type eq "work" and value ew "@acme.example"]"#,
            r#"emails[type eq "home"].value eq "ana@home.example""#,
            r#"emails[type eq "work" and primary eq "True"]"#,
            // RFC 7643 §2.4: `primary` defaults to false.
            r#"emails[type eq "home" and primary eq false]"#,
            r#"groups eq "g1""#,
            r#"groups.display eq "cc agents""#,
            r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
            r#"schemas[value sw "urn:"]"#,
            "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:skills[level ge 3]",
        ],
    );
    assert_all(
        false,
        &[
            r#"emails[type eq "home" and value ew "@acme.example"]"#,
            r#"emails[type eq "other"]"#,
            "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User:skills[level gt 3]",
        ],
    );
}

#[test]
fn absence_satisfies_only_negations() {
    assert_all(true, &["nickName eq null", r#"nickName ne "x""#, "userName ne null", "not (nickName pr)"]);
    // An empty text is no value (RFC 7643 §2.5).
    assert_all(true, &["title eq null", "emails pr", "emails.primary pr", "emails[primary eq null]"]);
    assert_all(
        false,
        &[
            "nickName pr",
            r#"nickName co "x""#,
            "title pr",
            "userName eq null",
            "ims pr",
            r#"emails ne "ana@acme.example""#,
        ],
    );
}

#[test]
fn extensions_dates_and_booleans() {
    let manager = format!("{ENTERPRISE_URN}:manager.value eq \"m1\"");
    let whole = format!("{ENTERPRISE_URN} pr");
    assert_all(
        true,
        &[
            &manager,
            &whole,
            r#"manager eq "m1""#,
            r#"department eq "claims""#,
            "active eq true",
            r#"active eq "True""#,
            r#"meta.lastModified gt "2020-01-01T00:00:00Z""#,
            r#"meta.lastModified eq "2026-01-31T09:30:00+01:00""#,
        ],
    );
    assert_all(false, &["active eq false", r#"meta.lastModified lt "2026-01-31T08:30:00Z""#, "active ne true"]);
}

#[test]
fn what_a_filter_looks_at_is_known() {
    let filter = bound(r#"groups.display eq "x" and not (emails[type eq "work"])"#);
    let names: Vec<String> = filter.targets().map(|target| target.to_string()).collect();
    assert_eq!(names, ["groups.display", "emails.type", "emails"]);
}

#[test]
fn filters_over_the_members_of_a_group() {
    let group = schema_of(ResourceKind::Group);
    let members = group.resolve_attribute(&AttrName::short("members", None), Dialect::Auto).unwrap();
    let filter =
        parse(r#"value eq "a" or value eq "B""#).unwrap().bind_elements(group, members, Dialect::Auto).unwrap();
    for (id, selected) in [("a", true), ("A", false), ("B", true), ("c", false)] {
        assert_eq!(filter.matches_element(&json!({ "value": id })), selected, "{id}");
    }
    let whole = parse(r#"members.value eq "a""#).unwrap().bind(group, Dialect::Auto).unwrap();
    let Value::Object(resource) = json!({ "members": [{ "value": "b" }, { "value": "a" }] }) else { unreachable!() };
    assert!(whole.matches(&resource));
}

fn condition() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#"userName sw "ana""#,
        "nickName pr",
        r#"emails[type eq "work"]"#,
        r#"emails.type ne "work""#,
        "title eq null",
        "active eq false",
        r#"manager eq "m1""#,
    ])
    .prop_map(str::to_owned)
    .prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) and ({other})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) or ({other})")),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

proptest! {
    #[test]
    fn boolean_algebra_holds(one in condition(), other in condition()) {
        let holds = |text: String| bound(&text).matches(&ana());
        let (a, b) = (holds(one.clone()), holds(other.clone()));
        prop_assert_eq!(holds(format!("({one}) and ({other})")), a && b);
        prop_assert_eq!(holds(format!("({one}) or ({other})")), a || b);
        prop_assert_eq!(holds(format!("not ({one})")), !a);
        prop_assert_eq!(holds(format!("not (({one}) and ({other}))")), holds(format!("not ({one}) or not ({other})")));
    }
}

/// RFC 7643 §2.3.5 takes xsd:dateTime, which may lack a zone; a raw plus in a URL is a space.
#[test]
fn dates_may_lack_their_zone_or_their_plus() {
    let user = json!({"userName": "a", "meta": {"created": "2026-01-31T08:30:00.000Z"}});
    let user = user.as_object().unwrap();
    let holds = |date: &str| {
        let filter = Filter::parse(&format!("meta.created eq \"{date}\""), &Limits::default()).unwrap();
        filter.bind(schema_of(ResourceKind::User), Dialect::Strict).map(|bound| bound.matches(user))
    };
    for same in [
        "2026-01-31T08:30:00Z",
        "2026-01-31T08:30:00",
        "2026-01-31T08:30:00.000",
        "2026-01-31T09:30:00+01:00",
        "2026-01-31T09:30:00 01:00",
        "2026-01-31T07:30:00-01:00",
    ] {
        assert_eq!(holds(same), Ok(true), "{same}");
    }
    assert_eq!(holds("2026-01-31T09:30:00"), Ok(false));
    for no_date in
        ["", "2026-01-31", "08:30:00", "2026-01-31T08:30:00 1:00", "2026-01-31T08:30:00ZZ", " 01:00", "yesterday"]
    {
        assert!(holds(no_date).is_err(), "{no_date}");
    }
}
