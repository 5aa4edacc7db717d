//! Resources as they are answered.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Map, Value};

use crate::base::GroupId;
use crate::scim::document::{self, Meta};
use crate::scim::schema::{CONTACT_CENTRE_URN, ENTERPRISE_URN};
use crate::scim::{Projection, ResourceKind};
use crate::store::groups::{Group, member_value};
use crate::store::users::{User, UserGroup, groups_value};

use super::error::ServiceError;

/// A resource as JSON text, with what goes into headers.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The resource.
    pub body: String,
    /// Its URL.
    pub location: String,
    /// Its version, for the `ETag`.
    pub version: i64,
}

/// A group whose members are still to be written between two pieces of text, because there may be many.
#[derive(Clone, Debug)]
pub struct GroupBody {
    /// The group.
    pub id: GroupId,
    /// Everything before the members; with members wanted, it ends inside of an open object.
    pub head: String,
    /// Everything after the members.
    pub tail: String,
    /// Whether members are wanted.
    pub with_members: bool,
    /// Its URL.
    pub location: String,
    /// Its version, for the `ETag`.
    pub version: i64,
}

pub(super) fn render_user(base: &str, user: &User, projection: &Projection) -> Result<Rendered, ServiceError> {
    let (id, location) = (user.id.to_string(), format!("{base}/Users/{}", user.id));
    let meta = Meta {
        id: &id,
        created: user.created_at,
        last_modified: user.updated_at,
        version: user.version,
        location: &location,
    };
    let body = if projection.is_full() {
        let groups = (!user.groups.is_empty()).then(|| groups_text(base, &user.groups));
        let extra = groups.as_deref().map(|groups| ("groups", groups));
        document::render_text(ResourceKind::User, &user.document, user_schemas(&user.document), extra, &meta)
    } else {
        let mut resource = document::render(ResourceKind::User, &user.attributes()?, &meta);
        if !user.groups.is_empty() {
            resource.insert("groups".to_owned(), groups_value(&user.groups, Some(base)));
        }
        projection.apply(&mut resource);
        Value::Object(resource).to_string()
    };
    Ok(Rendered { body, location, version: user.version })
}

/// The schemas of a stored user, as JSON text.
///
/// Inside a JSON text a quote ends a string unless a backslash stands before it, so the name of an extension with its
/// quotes, a colon and a brace can only be a key.
fn user_schemas(document: &str) -> &'static str {
    static KEYS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| {
        [ENTERPRISE_URN, CONTACT_CENTRE_URN].map(|urn| Finder::new(&format!("\"{urn}\":{{")).into_owned())
    });
    let [enterprise, contact_centre] = &*KEYS;
    let has = |key: &Finder<'_>| key.find(document.as_bytes()).is_some();
    match (has(enterprise), has(contact_centre)) {
        (false, false) => schemas_json(0),
        (true, false) => schemas_json(1),
        (false, true) => schemas_json(2),
        (true, true) => schemas_json(3),
    }
}

const fn schemas_json(which: usize) -> &'static str {
    const SCHEMAS: [&str; 4] = [
        r#"["urn:ietf:params:scim:schemas:core:2.0:User"]"#,
        r#"["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]"#,
        r#"["urn:ietf:params:scim:schemas:core:2.0:User","urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User"]"#,
        r#"["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User"]"#,
    ];
    SCHEMAS[which]
}

/// What [`groups_value`] shows, as text.
fn groups_text(base: &str, groups: &[UserGroup]) -> String {
    let mut text = String::with_capacity(groups.len() * (160 + base.len()));
    for group in groups {
        text.push_str(if text.is_empty() { r#"[{"value":"# } else { r#",{"value":"# });
        document::push_json(&mut text, &group.group);
        text.push_str(r#","$ref":"#);
        document::push_json(&mut text, &format!("{base}/Groups/{}", group.group));
        text.push_str(r#","display":"#);
        document::push_json(&mut text, &group.display_name);
        text.push_str(if group.direct { r#","type":"direct"}"# } else { r#","type":"indirect"}"# });
    }
    text.push(']');
    text
}

pub(super) fn render_group(base: &str, group: &Group, projection: &Projection) -> Result<GroupBody, ServiceError> {
    let (id, location) = (group.id.to_string(), format!("{base}/Groups/{}", group.id));
    let meta = Meta {
        id: &id,
        created: group.created_at,
        last_modified: group.updated_at,
        version: group.version,
        location: &location,
    };
    let mut resource = document::render(ResourceKind::Group, &group.attributes()?, &meta);
    projection.apply(&mut resource);
    let with_members = projection.wants("members");
    let mut head = Value::Object(resource).to_string();
    let tail = if with_members {
        // The object is left open for its members.
        head.pop();
        "}".to_owned()
    } else {
        String::new()
    };
    Ok(GroupBody { id: group.id, head, tail, with_members, location, version: group.version })
}

/// One member as it is answered, cut down by the projection.
pub(super) fn render_members(
    base: &str,
    members: Vec<(crate::store::memberships::Member, Option<String>)>,
    projection: &Projection,
) -> Vec<Value> {
    let members = members.into_iter().map(|(member, display)| member_value(base, member, display.as_deref()));
    if projection.is_full() {
        return members.collect();
    }
    let mut holder = Map::new();
    holder.insert("members".to_owned(), Value::Array(members.collect()));
    projection.apply(&mut holder);
    match holder.remove("members") {
        Some(Value::Array(members)) => members,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_groups_are_equal() {
        let group = |name: &str, direct| UserGroup { group: "1".to_owned(), display_name: name.to_owned(), direct };
        for groups in [vec![], vec![group("a", true)], vec![group("\"\\\u{1}é", false), group("b", true)]] {
            let text = if groups.is_empty() { "[]".to_owned() } else { groups_text("https://x.example/\"", &groups) };
            assert_eq!(text, groups_value(&groups, Some("https://x.example/\"")).to_string());
        }
    }

    #[test]
    fn schemas_follow_the_document() {
        for (index, document) in [
            r#"{"userName":"a"}"#.to_owned(),
            format!(r#"{{"userName":"a","{ENTERPRISE_URN}":{{"department":"x"}}}}"#),
            format!(r#"{{"{CONTACT_CENTRE_URN}":{{"role":"agent"}}}}"#),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(user_schemas(&document), schemas_json(index), "{document}");
        }
        let spoofed = serde_json::json!({"title": format!("\"{ENTERPRISE_URN}\":{{")}).to_string();
        assert_eq!(user_schemas(&spoofed), schemas_json(0));
        assert!(schemas_json(3).contains(crate::scim::schema::USER_URN));
    }
}
