//! The core schema of groups (RFC 7643 §4.2).

use super::{Attribute, GROUP_URN, Mutability, Schema};

pub(super) fn schema() -> Schema {
    let members = vec![
        // An id compares by case like `id` itself, whatever the schema printed in RFC 7643 §8.7.1 says.
        Attribute::string("value", "The id of the member.").exact().mutability(Mutability::Immutable),
        Attribute::reference("$ref", &["User", "Group"], "The URL of the member.").mutability(Mutability::Immutable),
        Attribute::string("type", "Whether the member is a user or a group.")
            .suggests(&["User", "Group"])
            .mutability(Mutability::Immutable),
        // RFC 7643 §2.4 would have it immutable; it is the present name of the member, whatever was sent with the member.
        Attribute::string("display", "The name of the member, for people.").read_only(),
    ];
    Schema {
        id: GROUP_URN,
        name: "Group",
        description: "A group of users and groups.",
        attributes: vec![
            Attribute::string("displayName", "The name of the group, unique in its connection.").required().unique(),
            Attribute::complex("members", members, "The members of the group.").multi(),
        ],
    }
}
