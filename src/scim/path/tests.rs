use proptest::prelude::*;
use scim_v2::filter as theirs;

use super::*;
use crate::scim::error::ScimType;

fn parse(text: &str) -> Result<PatchPath, ScimError> {
    PatchPath::parse(text, &Limits::default())
}

#[test]
fn every_form_is_read() {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    for (text, attr, filter, sub) in [
        ("userName", "userName", None, None),
        ("name.givenName", "name.givenName", None, None),
        ("members.$ref", "members.$ref", None, None),
        (r#"emails[type eq "work"]"#, "emails", Some(r#"type eq "work""#), None),
        (
            r#"emails[type eq "work" and primary eq true].value"#,
            "emails",
            Some(r#"type eq "work" and primary eq true"#),
            Some("value"),
        ),
        (r#"emails[value eq "a]b"].type"#, "emails", Some(r#"value eq "a]b""#), Some("type")),
        (&format!("{ENTERPRISE}:manager"), &format!("{ENTERPRISE}:manager"), None, None),
        (&format!("{ENTERPRISE}:manager.value"), &format!("{ENTERPRISE}:manager.value"), None, None),
        (ENTERPRISE, ENTERPRISE, None, None),
        (
            r#"urn:x:ext:2.0:User:tags[value eq "a"].value"#,
            "urn:x:ext:2.0:User:tags",
            Some(r#"value eq "a""#),
            Some("value"),
        ),
    ] {
        let path = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(path.attr.to_string(), attr);
        assert_eq!(path.filter.as_ref().map(ToString::to_string).as_deref(), filter, "{text}");
        assert_eq!(path.sub.as_deref(), sub, "{text}");
        assert_eq!(path.to_string(), text);
    }
    assert!(parse(ENTERPRISE).unwrap().attr.is_whole_schema());
}

#[test]
fn what_is_no_path_is_refused() {
    for text in [
        "",
        " ",
        ".",
        "a.",
        ".a",
        "a..b",
        "a.b.c",
        "a b",
        "emails[",
        "emails[]",
        "emails[type eq ",
        "emails[type eq",
        "emails[type eq \"work\"",
        "emails[type eq \"work\"]]",
        "emails[type eq \"work\"].",
        "emails[type eq \"work\"].a.b",
        "emails[type eq \"work\"]value",
        "emails[type eq \"work\"].value eq \"x\"",
        "name.a[b pr]",
        "emails[ims[a pr]]",
        "urn:ietf:params:scim:schemas:core:2.0:User[a pr]",
        "/name/givenName",
        "emails[0].value",
        "a:b",
    ] {
        let error = parse(text).expect_err(text);
        assert!(matches!(error.scim_type, Some(ScimType::InvalidPath | ScimType::InvalidFilter)), "{text}: {error}");
        assert_eq!(error.status, 400);
    }
}

#[test]
fn s34_paths_are_bounded_like_filters() {
    let nested = |depth: usize| format!("emails[{}type pr{}]", "not(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(32)).is_ok());
    assert!(parse(&nested(33)).is_err());
    assert!(parse(&nested(100_000)).is_err());
    assert!(parse(&format!("a{}", "b".repeat(8192))).is_err());
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_reads_back(text in "[a-c.:\\[\\]()\" ]{0,24}|\\PC{0,24}") {
        if let Ok(path) = parse(&text) {
            prop_assert_eq!(parse(&path.to_string()).unwrap(), path);
        }
    }

    #[test]
    fn paths_are_read_as_another_reader_reads_them(
        name in "(urn:a:2\\.0:User:)?[a-z]{1,6}",
        filter in prop::option::of("(type eq \"[a-z\\]]{0,4}\"( and (not \\()?primary eq true\\)?)?)"),
        sub in prop::option::of("\\.[a-z]{1,5}"),
    ) {
        let text = format!("{name}{}{}", filter.map(|filter| format!("[{filter}]")).unwrap_or_default(), sub.unwrap_or_default());
        match (parse(&text), text.parse::<theirs::PatchPath>()) {
            (Ok(mine), Ok(other)) => prop_assert_eq!(mine.to_string(), other.to_string()),
            (mine, other) => prop_assert_eq!(mine.is_ok(), other.is_ok(), "{}", text),
        }
    }
}
