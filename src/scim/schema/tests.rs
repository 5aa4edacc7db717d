use proptest::prelude::*;

use super::*;

fn resolve(kind: ResourceKind, text: &str) -> Option<Resolved> {
    schema_of(kind).resolve(&text.parse().ok()?, Dialect::Auto)
}

fn canonical(text: &str) -> Option<String> {
    match resolve(ResourceKind::User, text)? {
        Resolved::Attribute(attribute) => Some(attribute.to_string()),
        Resolved::Extension(schema) => Some(schema.id.to_owned()),
    }
}

#[test]
fn names_ignore_case_and_urns_are_optional_for_core() {
    for (text, name) in [
        ("USERNAME", "userName"),
        ("Name.GivenName", "name.givenName"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", "userName"),
        ("URN:ietf:params:scim:schemas:core:2.0:user:emails.value", "emails.value"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:externalId", "externalId"),
        ("meta.lastmodified", "meta.lastModified"),
    ] {
        assert_eq!(canonical(text).as_deref(), Some(name), "{text}");
    }
}

#[test]
fn extension_names_need_their_urn_or_a_lenient_dialect() {
    let whole = format!("{ENTERPRISE_URN}:manager.displayName");
    assert_eq!(canonical("manager.displayName"), Some(whole.clone()));
    assert_eq!(canonical(&whole.to_uppercase()), Some(whole));
    assert_eq!(canonical(ENTERPRISE_URN).as_deref(), Some(ENTERPRISE_URN));
    let department = AttrName::short("department", None);
    assert!(schema_of(ResourceKind::User).resolve(&department, Dialect::Strict).is_none());
    // Our own extension is never reached by a short name: `role` would be mistaken for `roles`.
    assert_eq!(canonical("role"), None);
}

#[test]
fn unknown_names_resolve_to_nothing() {
    for text in
        ["shoeSize", "name.shoeSize", "userName.value", "urn:example:2.0:User:title", "members", USER_URN, "urn:a:b"]
    {
        assert_eq!(canonical(text), None, "{text}");
    }
    assert!(resolve(ResourceKind::Group, "urn:ietf:params:scim:schemas:core:2.0:User:displayName").is_none());
    assert!(resolve(ResourceKind::Group, "manager").is_none());
}

#[test]
fn malformed_names_are_refused() {
    for text in [
        "",
        ".",
        "a.",
        ".a",
        "a.b.c",
        "1a",
        "a b",
        "a:b",
        ":a",
        "urn:",
        "urn::a",
        "urn:x:2.0",
        "name.$",
        "a[b]",
        "\u{e9}",
    ] {
        assert_eq!(AttrName::parse(text), Err(NameError), "{text}");
    }
}

#[test]
fn a_custom_extension_is_split_behind_its_version() {
    let name = AttrName::parse("urn:ietf:params:scim:schemas:extension:Custom:2.0:User:tag.value").unwrap();
    assert_eq!(name.urn.as_deref(), Some("urn:ietf:params:scim:schemas:extension:Custom:2.0:User"));
    assert_eq!((name.name.as_str(), name.sub.as_deref()), ("tag", Some("value")));
    assert!(AttrName::parse("urn:ietf:params:scim:schemas:extension:Custom:2.0:User").unwrap().is_whole_schema());
}

#[test]
fn a_bare_complex_name_compares_its_value() {
    let Some(Resolved::Attribute(emails)) = resolve(ResourceKind::User, "emails") else { panic!("emails") };
    assert_eq!((emails.leaf().name, emails.leaf().kind), ("value", AttributeType::String));
    let Some(Resolved::Attribute(title)) = resolve(ResourceKind::User, "title") else { panic!("title") };
    assert_eq!(title.leaf().name, "title");
}

#[test]
fn names_are_unique_and_only_complex_attributes_have_parts() {
    fn check(attributes: &[Attribute]) {
        for (index, attribute) in attributes.iter().enumerate() {
            assert!(find(&attributes[..index], attribute.name).is_none(), "{}", attribute.name);
            assert_eq!(attribute.kind == AttributeType::Complex, !attribute.sub_attributes.is_empty());
            assert!(!attribute.description.is_empty());
            check(&attribute.sub_attributes);
        }
    }
    for kind in [ResourceKind::User, ResourceKind::Group] {
        let schema = schema_of(kind);
        check(&schema.common);
        check(&schema.core.attributes);
        schema.extensions.iter().for_each(|(extension, _)| check(&extension.attributes));
    }
}

proptest! {
    #[test]
    fn names_show_as_they_read(text in "(urn:[a-zA-Z0-9.:-]{1,20}:)?[a-z$][a-zA-Z0-9_-]{0,8}([.][a-z]{1,5})?") {
        if let Ok(name) = AttrName::parse(&text) {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(name) = AttrName::parse(&text) {
            prop_assert_eq!(name.to_string(), text);
        }
    }
}
