//! The attributes that every resource has (RFC 7643 §3.1).

use super::{Attribute, AttributeType, Returned};

pub(super) fn attributes() -> Vec<Attribute> {
    let date = |name, description| Attribute::new(name, AttributeType::DateTime, description).read_only();
    let meta = vec![
        Attribute::string("resourceType", "The type of the resource.").exact().read_only(),
        date("created", "When the resource was created."),
        date("lastModified", "When the resource was last changed."),
        Attribute::reference("location", &["uri"], "The URL of the resource.").read_only(),
        Attribute::string("version", "The entity tag of the resource.").exact().read_only(),
    ];
    vec![
        Attribute::reference("schemas", &["uri"], "The schemas that the resource has values of.")
            .multi()
            .required()
            .returned(Returned::Always),
        Attribute::string("id", "The identifier that the server gave.")
            .exact()
            .read_only()
            .returned(Returned::Always)
            .unique(),
        Attribute::string("externalId", "The identifier that the client gave.").exact(),
        Attribute::complex("meta", meta, "When and where the resource is kept.").read_only(),
    ]
}
