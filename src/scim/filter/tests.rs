mod differential;
mod evaluation;

use proptest::prelude::*;

use super::*;
use crate::scim::Dialect;
use crate::scim::error::ScimType;
use crate::scim::schema::{ResourceKind, schema_of};

fn parse(text: &str) -> Result<Filter, ScimError> {
    Filter::parse(text, &Limits::default())
}

fn shown(text: &str) -> String {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[track_caller]
fn assert_refused(text: &str) {
    let error = parse(text).expect_err(text);
    assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidFilter)), "{text}");
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    for text in [
        r#"userName eq "bjensen""#,
        r#"name.familyName co "O'Malley""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "title pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"title pr and userType eq "Employee""#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn case_white_space_and_needless_brackets_do_not_matter() {
    for (written, canonical) in [
        (r#"username Eq "x""#, r#"username eq "x""#),
        ("  title   PR\t", "title pr"),
        ("NOT(title pr)", "not (title pr)"),
        ("not ( (title pr) )", "not (title pr)"),
        ("((title pr)) AND (active eq True)", "title pr and active eq true"),
        ("a pr and (b pr and c pr)", "a pr and b pr and c pr"),
        ("(a pr or b pr) or c pr", "a pr or b pr or c pr"),
        ("a pr and b pr or c pr and (d pr or e pr)", "a pr and b pr or c pr and (d pr or e pr)"),
        (r#"a eq "\u0041\"\\""#, r#"a eq "A\"\\""#),
        ("a gt -1.50e1", "a gt -15.0"),
        ("groups.$ref eq null", "groups.$ref eq null"),
    ] {
        assert_eq!(shown(written), canonical);
    }
}

/// `fixtures/entra/match-work-email.json`
#[test]
fn a_comparison_behind_the_bracket_is_about_the_same_element() {
    for (written, canonical) in [
        (r#"emails[type eq "work"].value eq "x""#, r#"emails[type eq "work" and value eq "x"]"#),
        (r#"emails[type eq "a" or type eq "b"].value pr"#, r#"emails[(type eq "a" or type eq "b") and value pr]"#),
        (r#"emails[a pr and b pr].value sw "x" and c pr"#, r#"emails[a pr and b pr and value sw "x"] and c pr"#),
    ] {
        assert_eq!(shown(written), canonical);
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    for text in [
        "",
        "  ",
        "userName",
        "userName eq",
        "userName eq ",
        r#"userName eq "x"#,
        r#"userName eq "\q""#,
        "userName eq x",
        "userName eq ana@acme.example",
        "userName eq 'x'",
        r#"userName = "x""#,
        r#"userName xx "y""#,
        r#"eq "x""#,
        r#"userName eq "x" and"#,
        r#"userName eq "x" userName eq "y""#,
        r#"userName eq "x" xor userName eq "y""#,
        "(title pr",
        "title pr)",
        "emails[type pr",
        "emails[type pr)",
        "(title pr]",
        "emails[]",
        "emails[ims[type pr]]",
        "()",
        "not title pr",
        "not",
        "a.b.c pr",
        "1a pr",
        "a. pr",
        "a gt 01",
        "a gt 1e999",
        "a eq [1]",
        "a eq \"tab\there\"",
    ] {
        assert_refused(text);
    }
}

#[test]
fn errors_say_where() {
    let detail = parse("title pr and userName xx").unwrap_err().detail;
    assert!(detail.contains("character 23"), "{detail}");
    let detail = parse("userName eq").unwrap_err().detail;
    assert!(detail.contains("at the end"), "{detail}");
}

#[test]
fn s34_length_depth_and_terms_are_bounded() {
    let nested = |depth: usize| format!("{}title pr{}", "not(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(32)).is_ok());
    assert_refused(&nested(33));
    assert_refused(&nested(100_000));
    assert_refused(&"not(".repeat(100_000));
    assert_refused(&format!("userName eq \"{}\"", "x".repeat(8192)));
    let terms = |count: usize| vec!["a pr"; count].join(" or ");
    assert!(parse(&terms(256)).is_ok());
    assert_refused(&terms(257));
    // Even a caller who grants more gets no filter that could exhaust the stack.
    let generous = Limits { max_bytes: usize::MAX, max_depth: usize::MAX, max_terms: usize::MAX };
    assert!(Filter::parse(&nested(64), &generous).is_ok());
    assert!(Filter::parse(&nested(100_000), &generous).is_err());
}

#[test]
fn s35_unknown_attributes_and_operators_never_widen_a_filter() {
    let user = schema_of(ResourceKind::User);
    for text in [
        r#"favouriteSnack eq "crisps""#,
        r#"userName eq "x" or favouriteSnack eq "crisps""#,
        "not (favouriteSnack pr)",
        "emails[colour pr]",
        "name.colour pr",
        r#"urn:example:2.0:User:userName eq "x""#,
        r#"password eq "S3cret""#,
        "password pr",
        "active gt true",
        r#"active eq "maybe""#,
        "userName eq 7",
        "userName eq true",
        "userName gt null",
        r#"name eq "x""#,
        r#"meta.lastModified gt "yesterday""#,
        r#"meta.lastModified sw "2020""#,
        "emails.value[type pr]",
        r#"x509Certificates gt "x""#,
    ] {
        let error = parse(text).unwrap().bind(user, Dialect::Auto).expect_err(text);
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidFilter)), "{text}");
    }
    assert!(parse("active eq \"True\"").unwrap().bind(user, Dialect::Strict).is_err());
}

pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_-]{0,6}",
        "[a-zA-Z][a-zA-Z0-9]{0,4}\\.[a-z]{1,5}",
        "urn:ietf:params:scim:schemas:extension:[a-z]{1,5}:2\\.0:User:[a-zA-Z]{1,6}(\\.[a-z]{1,5})?",
    ]
    .prop_filter("not is a keyword", |name| !name.eq_ignore_ascii_case("not"))
}

fn term() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (-1e9..1e9).prop_map(|number: f64| serde_json::Value::from(number).to_string()),
        prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
    ];
    let op = prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "Eq", "GE"]);
    prop_oneof![
        (name(), op, value).prop_map(|(name, op, value)| format!("{name} {op} {value}")),
        name().prop_map(|name| format!("{name} pr")),
    ]
}

fn combined(leaf: BoxedStrategy<String>) -> BoxedStrategy<String> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" or ")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
    .boxed()
}

/// Texts of the grammar of RFC 7644, figure 1.
pub(super) fn text() -> BoxedStrategy<String> {
    let value_path = (
        name().prop_filter("no sub-attribute", |name| !name.rsplit(':').next().unwrap().contains('.')),
        combined(term().boxed()),
    )
        .prop_map(|(name, inner)| format!("{name}[{inner}]"));
    combined(prop_oneof![4 => term(), 1 => value_path].boxed())
}

proptest! {
    #[test]
    fn the_canonical_text_reads_back(text in text()) {
        let filter = parse(&text).unwrap();
        let shown = filter.to_string();
        prop_assert_eq!(parse(&shown).unwrap(), filter);
        prop_assert!(shown.len() <= text.len() + 400);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_jumble_of_tokens_panics_and_what_is_read_reads_back(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "[", "]", "not", "and", "or", "a", "emails", "eq", "pr", "\"x\"", "\"\\\"\"", "1", "true", ".value", " ", ":", "urn:a:b", "\u{e9}", "\"",
        ]), 0..16),
        separator in prop::sample::select(vec!["", " "]),
    ) {
        if let Ok(filter) = parse(&tokens.join(separator)) {
            prop_assert_eq!(parse(&filter.to_string()).unwrap(), filter);
        }
    }
}
