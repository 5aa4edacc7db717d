use proptest::prelude::*;
use serde_json::json;

use super::*;

fn holds(expression: &str, attributes: &Value) -> bool {
    let fields = json!({"friendly_name": "ana@acme.example"});
    Expression::parse(expression).unwrap().matches(attributes.as_object().unwrap(), fields.as_object().unwrap())
}

fn ana() -> Value {
    json!({
        "routing": {"skills": ["english", "billing"], "levels": {"english": 3, "billing": 1.5}},
        "roles": ["agent"], "site": "north", "vip": true, "list": [[1], {"a": 2}, "x"], "age": "30"
    })
}

#[test]
fn expressions_that_hold() {
    for expression in [
        "1==1",
        "1 == 1.0",
        "0 != 1",
        "'apple' != \"orange\"",
        "routing.skills HAS 'english'",
        "routing.skills has \"billing\" and routing.levels.english >= 3",
        "routing.levels.billing > 1.25",
        "(routing.skills HAS 'german') OR (roles HAS 'agent' AND site == 'north')",
        "site IN ['south', \"north\"]",
        "site NOT IN []",
        "site not in ['south']",
        "'english' IN routing.skills",
        "vip == true AND vip != false",
        "roles[0] == 'agent'",
        "list[1].a == 2",
        "site CONTAINS 'ort'",
        "missing == missing_too",
        "missing != 'x'",
        "friendly_name == 'ana@acme.example'",
        "'it\\'s' == \"it's\"",
        "'b' > 'a'",
        "false == false AND 1 == 1 OR 1 == 2",
    ] {
        assert!(holds(expression, &ana()), "{expression}");
    }
}

#[test]
fn expressions_that_do_not_hold() {
    for expression in [
        "routing.skills == 'english'",
        "routing.skills != 'english'",
        "routing == routing",
        "site HAS 'north'",
        "'x' IN site",
        "'x' NOT IN site",
        "site NOT IN missing",
        "roles NOT IN [1]",
        "missing > 1",
        "age >= 2",
        "age == 30",
        "roles[1] == 'agent'",
        "routing.skills HAS 'english' AND 1 == 2",
        "1 == 2 AND 1 == 1 OR 1 == 2",
        "routing.skills CONTAINS 'english'",
    ] {
        assert!(!holds(expression, &ana()), "{expression}");
    }
}

#[test]
fn an_attribute_goes_before_a_field() {
    assert!(holds("friendly_name == 'own'", &json!({"friendly_name": "own"})));
}

#[test]
fn what_is_not_an_expression_is_refused_with_its_place() {
    for (text, position) in [
        ("", 0),
        ("1", 1),
        ("1 ==", 4),
        ("some-key == 1", 4),
        ("1 = 1", 2),
        ("a == 'x", 5),
        ("(1 == 1", 7),
        ("1 == 1)", 6),
        ("1 == 1 2 == 2", 7),
        ("a NOT 1", 6),
        ("a NOT HAS 1", 9),
        ("a[x] == 1", 2),
        ("a[0 == 1", 3),
        ("a. == 1", 2),
        ("a IN ['x' 'y']", 10),
        ("a IN ['x',", 10),
        ("1.2.3 == 1", 0),
        ("AND", 0),
    ] {
        assert_eq!(Expression::parse(text).map_err(|error| error.position), Err(position), "{text}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let nested = |depth: usize| format!("{}1 == 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(Expression::parse(&nested(MAX_DEPTH + 1)).unwrap_err().reason, "the expression is nested too deep");
    assert!(Expression::parse(&"(".repeat(MAX_LENGTH)).is_err());
    assert_eq!(Expression::parse(&nested(MAX_LENGTH)).unwrap_err().reason, "the expression is too long");
    let wide = vec!["1 == 1"; 700].join(" AND ");
    assert!(Expression::parse(&wide).is_ok());
}

fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "(", ")", "[", "]", ",", "==", "!=", "<", ">=", " ", "AND", "or", "NOT", "IN", "HAS", "a", "a.b", "a[0]", "1",
        "2.5", "'x'", "\"", "true", "-", "\u{e9}", "\\", ".", "\u{2028}",
    ])
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn any_row_of_tokens_is_read_without_panic(parts in prop::collection::vec(fragment(), 0..60)) {
        if let Ok(expression) = Expression::parse(&parts.concat()) {
            let attributes = json!({"a": [1, {"b": "x"}]});
            let _ = expression.matches(attributes.as_object().unwrap(), &Map::new());
        }
    }

    #[test]
    fn has_finds_exactly_the_items(skills in prop::collection::vec("[a-z]{1,3}", 0..5), wanted in "[a-z]{1,3}") {
        let attributes = json!({"skills": skills});
        prop_assert_eq!(holds(&format!("skills HAS '{wanted}'"), &attributes), skills.contains(&wanted));
        prop_assert_eq!(holds(&format!("'{wanted}' NOT IN skills"), &attributes), !skills.contains(&wanted));
    }

    #[test]
    fn numbers_compare_as_numbers(left in 0_u32..100, right in 0_u32..100) {
        let attributes = json!({"level": left});
        prop_assert_eq!(holds(&format!("level >= {right}"), &attributes), left >= right);
        prop_assert_eq!(holds(&format!("level == {right}.0"), &attributes), left == right);
    }
}
