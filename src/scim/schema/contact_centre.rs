//! Our own extension of users: what a contact centre wants to know of a person.
//!
//! These are attributes like any other: they grant nothing by themselves, only mapping rules do.

use super::{Attribute, AttributeType, CONTACT_CENTRE_URN, Schema};

pub(super) fn schema() -> Schema {
    let number = |name, description| Attribute::new(name, AttributeType::Integer, description);
    let many = |name, value, second: Option<Attribute>, description| {
        let mut sub_attributes = vec![Attribute::string("value", value)];
        sub_attributes.extend(second);
        Attribute::complex(name, sub_attributes, description).multi()
    };
    let level = number("level", "How well the person has the skill.");
    let capacity = number("capacity", "How many tasks of the channel at once.");
    let display = Attribute::string("display", "The name of the line, for people.");
    Schema {
        id: CONTACT_CENTRE_URN,
        name: "ContactCentreUser",
        description: "What a contact centre knows of its people.",
        attributes: vec![
            Attribute::string("role", "The wanted role.").suggests(&["owner", "admin", "supervisor", "agent"]),
            many("teams", "The name of the team.", None, "The teams of the person."),
            many("skills", "The name of the skill.", Some(level), "The skills of the person."),
            many("channels", "The name of the channel.", Some(capacity), "The channels that the person serves."),
            Attribute::new(
                "actAsAgent",
                AttributeType::Boolean,
                "Whether a supervisor or administrator takes tasks too.",
            ),
            many("lines", "The number or address of the line.", Some(display), "The lines of the person."),
        ],
    }
}
