//! The core schema of users (RFC 7643 §4.1, §8.7.1).

use super::{Attribute, AttributeType, Mutability, Returned, Schema, USER_URN};

pub(super) fn schema() -> Schema {
    let mut attributes = singular();
    attributes.extend(multi_valued());
    Schema { id: USER_URN, name: "User", description: "A person.", attributes }
}

fn singular() -> Vec<Attribute> {
    let name = vec![
        Attribute::string("formatted", "The whole name, as shown."),
        Attribute::string("familyName", "The family name."),
        Attribute::string("givenName", "The given name."),
        Attribute::string("middleName", "The middle names."),
        Attribute::string("honorificPrefix", "What stands before the name."),
        Attribute::string("honorificSuffix", "What stands after the name."),
    ];
    vec![
        Attribute::string("userName", "The name by which the person signs in, unique in the account.")
            .required()
            .unique(),
        Attribute::complex("name", name, "The parts of the person's name."),
        Attribute::string("displayName", "The name that others see."),
        Attribute::string("nickName", "What the person is called casually."),
        Attribute::reference("profileUrl", &["external"], "A page about the person."),
        Attribute::string("title", "The job title."),
        Attribute::string("userType", "The relation to the company, such as Employee or Contractor."),
        Attribute::string("preferredLanguage", "The languages the person prefers, as in Accept-Language."),
        Attribute::string("locale", "Where the person is, for dates and numbers."),
        Attribute::string("timezone", "The time zone, by its IANA name."),
        Attribute::new("active", AttributeType::Boolean, "Whether the person may work here."),
        Attribute::string("password", "Accepted and discarded: nobody signs in with it.")
            .exact()
            .mutability(Mutability::WriteOnly)
            .returned(Returned::Never),
    ]
}

fn multi_valued() -> Vec<Attribute> {
    const PHONES: &[&str] = &["work", "home", "mobile", "fax", "pager", "other"];
    const MESSENGERS: &[&str] = &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"];
    let groups = vec![
        Attribute::string("value", "The id of the group.").exact().read_only(),
        Attribute::reference("$ref", &["User", "Group"], "The URL of the group.").read_only(),
        Attribute::string("display", "The name of the group, for people.").read_only(),
        Attribute::string("type", "Whether the membership is direct or through another group.")
            .suggests(&["direct", "indirect"])
            .read_only(),
    ];
    let photo = Attribute::reference("value", &["external"], "The URL of the photo.");
    let certificate = Attribute::new("value", AttributeType::Binary, "The certificate, DER in base64.").exact();
    vec![
        plural("emails", Attribute::string("value", "The address."), &["work", "home", "other"], "E-mail addresses."),
        plural("phoneNumbers", Attribute::string("value", "The number."), PHONES, "Telephone numbers, kept as sent."),
        plural("ims", Attribute::string("value", "The address."), MESSENGERS, "Instant messaging addresses."),
        plural("photos", photo, &["photo", "thumbnail"], "Photos of the person."),
        addresses(),
        Attribute::complex("groups", groups, "The groups of the person; changed through the groups.")
            .multi()
            .read_only(),
        plural("entitlements", Attribute::string("value", "The entitlement."), &[], "What the person is entitled to."),
        plural(
            "roles",
            Attribute::string("value", "The role."),
            &[],
            "The roles the identity provider gives the person.",
        ),
        plural("x509Certificates", certificate, &[], "Certificates of the person."),
    ]
}

/// A multi-valued attribute with the usual sub-attributes (RFC 7643 §2.4).
fn plural(
    name: &'static str,
    value: Attribute,
    types: &'static [&'static str],
    description: &'static str,
) -> Attribute {
    let mut sub_attributes = vec![value, Attribute::string("display", "The value, for people.")];
    sub_attributes.extend(kind_and_primary(types));
    Attribute::complex(name, sub_attributes, description).multi()
}

fn kind_and_primary(types: &'static [&'static str]) -> [Attribute; 2] {
    [
        Attribute::string("type", "What the value is for.").suggests(types),
        Attribute::new("primary", AttributeType::Boolean, "Whether this is the preferred one; true once at most."),
    ]
}

fn addresses() -> Attribute {
    let mut sub_attributes = vec![
        Attribute::string("formatted", "The whole address, as written on a letter."),
        Attribute::string("streetAddress", "Street, house number, and the like."),
        Attribute::string("locality", "The city."),
        Attribute::string("region", "The state or region."),
        Attribute::string("postalCode", "The postal code."),
        Attribute::string("country", "The country."),
    ];
    sub_attributes.extend(kind_and_primary(&["work", "home", "other"]));
    Attribute::complex("addresses", sub_attributes, "Postal addresses.").multi()
}
