//! The enterprise extension of users (RFC 7643 §4.3).

use super::{Attribute, ENTERPRISE_URN, Schema};

pub(super) fn schema() -> Schema {
    let manager = vec![
        Attribute::string("value", "The id of the manager."),
        Attribute::reference("$ref", &["User"], "The URL of the manager."),
        Attribute::string("displayName", "The name of the manager, for people."),
    ];
    Schema {
        id: ENTERPRISE_URN,
        name: "EnterpriseUser",
        description: "What a company knows of its people.",
        attributes: vec![
            Attribute::string("employeeNumber", "The number that the company gave."),
            Attribute::string("costCenter", "The cost centre."),
            Attribute::string("organization", "The organisation."),
            Attribute::string("division", "The division."),
            Attribute::string("department", "The department."),
            Attribute::complex("manager", manager, "The person's manager."),
        ],
    }
}
