//! The resources, their schemas and attributes (RFC 7643), and how names in requests are resolved to them.

mod common;
mod contact_centre;
mod enterprise;
mod group;
mod name;
mod user;

use std::fmt;
use std::sync::LazyLock;

use super::Dialect;

pub use name::{AttrName, NameError};

/// The core schema of users (RFC 7643 §4.1).
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of groups (RFC 7643 §4.2).
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of users (RFC 7643 §4.3).
pub const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Our own extension of users: what a contact centre wants to know of a person.
pub const CONTACT_CENTRE_URN: &str = "urn:rollcall:params:scim:schemas:extension:contactcentre:2.0:User";
/// What lenient dialects read as [`CONTACT_CENTRE_URN`]; it is never stored nor answered.
pub const CONTACT_CENTRE_ALIAS: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:User";

/// The schemas whose URN can stand before an attribute name.
pub(crate) const KNOWN_URNS: [&str; 4] = [USER_URN, GROUP_URN, ENTERPRISE_URN, CONTACT_CENTRE_URN];

/// The types of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// A person.
    User,
    /// A group of people and groups.
    Group,
}

impl ResourceKind {
    /// The name in `meta.resourceType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The path under the SCIM base URL.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }
}

/// The data types of RFC 7643 §2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Decimal,
    /// A whole number.
    Integer,
    /// An instant in the form of RFC 3339.
    DateTime,
    /// Base64 text.
    Binary,
    /// A URI.
    Reference,
    /// An object of sub-attributes.
    Complex,
}

/// Who may change a value (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// Only the server.
    ReadOnly,
    /// The client, any time.
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client, and nobody reads it.
    WriteOnly,
}

/// When a value is in an answer (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Whatever the client asked for.
    Always,
    /// In no answer.
    Never,
    /// Unless excluded, or others were asked for.
    Default,
    /// Only when asked for by name.
    Request,
}

/// Among whom a value is unique (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// It need not be.
    None,
    /// Among the resources of this server.
    Server,
    /// Everywhere.
    Global,
}

macro_rules! keywords {
    ($($type:ident { $($variant:ident = $word:literal),+ })+) => {$(
        impl $type {
            /// The keyword in `/Schemas` (RFC 7643 §7).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    )+};
}

keywords! {
    AttributeType {
        String = "string", Boolean = "boolean", Decimal = "decimal", Integer = "integer",
        DateTime = "dateTime", Binary = "binary", Reference = "reference", Complex = "complex"
    }
    Mutability { ReadOnly = "readOnly", ReadWrite = "readWrite", Immutable = "immutable", WriteOnly = "writeOnly" }
    Returned { Always = "always", Never = "never", Default = "default", Request = "request" }
    Uniqueness { None = "none", Server = "server", Global = "global" }
}

/// An attribute or sub-attribute with its characteristics (RFC 7643 §2.2, §7).
#[derive(Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The canonical name.
    pub name: &'static str,
    /// The data type.
    pub kind: AttributeType,
    /// Whether the value is an array.
    pub multi_valued: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether comparisons heed case.
    pub case_exact: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is in an answer.
    pub returned: Returned,
    /// Among whom it is unique.
    pub uniqueness: Uniqueness,
    /// Suggested values; others are accepted too.
    pub canonical_values: &'static [&'static str],
    /// What a reference may point to.
    pub reference_types: &'static [&'static str],
    /// For people who read `/Schemas`.
    pub description: &'static str,
    /// The parts of a complex attribute.
    pub sub_attributes: Vec<Self>,
}

impl Attribute {
    fn new(name: &'static str, kind: AttributeType, description: &'static str) -> Self {
        Self {
            name,
            kind,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: &[],
            reference_types: &[],
            description,
            sub_attributes: Vec::new(),
        }
    }

    fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, AttributeType::String, description)
    }

    fn reference(name: &'static str, to: &'static [&'static str], description: &'static str) -> Self {
        Self { reference_types: to, case_exact: true, ..Self::new(name, AttributeType::Reference, description) }
    }

    fn complex(name: &'static str, sub_attributes: Vec<Self>, description: &'static str) -> Self {
        Self { sub_attributes, ..Self::new(name, AttributeType::Complex, description) }
    }

    fn multi(self) -> Self {
        Self { multi_valued: true, ..self }
    }

    fn required(self) -> Self {
        Self { required: true, ..self }
    }

    fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }

    fn mutability(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    fn read_only(self) -> Self {
        self.mutability(Mutability::ReadOnly)
    }

    fn returned(self, returned: Returned) -> Self {
        Self { returned, ..self }
    }

    fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }

    fn suggests(self, canonical_values: &'static [&'static str]) -> Self {
        Self { canonical_values, ..self }
    }

    /// The sub-attribute of that name, in any ASCII case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&Self> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }
}

/// A schema: a named set of attributes (RFC 7643 §7).
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// A short name.
    pub name: &'static str,
    /// For people who read `/Schemas`.
    pub description: &'static str,
    /// The attributes.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// The attribute of that name, in any ASCII case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// Everything that a type of resource is made of (RFC 7643 §6).
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceSchema {
    /// The type.
    pub kind: ResourceKind,
    /// `schemas`, `id`, `externalId` and `meta` (RFC 7643 §3.1).
    pub common: Vec<Attribute>,
    /// The core schema.
    pub core: Schema,
    /// The extensions, and whether a resource must have them.
    pub extensions: Vec<(Schema, bool)>,
}

/// The schema of a type of resource.
#[must_use]
pub fn schema_of(kind: ResourceKind) -> &'static ResourceSchema {
    static USER: LazyLock<ResourceSchema> = LazyLock::new(users);
    static GROUP: LazyLock<ResourceSchema> = LazyLock::new(|| ResourceSchema {
        kind: ResourceKind::Group,
        common: common::attributes(),
        core: group::schema(),
        extensions: Vec::new(),
    });
    match kind {
        ResourceKind::User => &USER,
        ResourceKind::Group => &GROUP,
    }
}

fn users() -> ResourceSchema {
    ResourceSchema {
        kind: ResourceKind::User,
        common: common::attributes(),
        core: user::schema(),
        extensions: vec![(enterprise::schema(), false), (contact_centre::schema(), false)],
    }
}

/// What mapping rules see of a user: the schema of users, and `claims`, what the identity provider said at the last sign-in.
///
/// No client of SCIM ever sees `claims`, so it is in no schema that is published.
#[must_use]
pub fn subject_schema() -> &'static ResourceSchema {
    static SUBJECT: LazyLock<ResourceSchema> = LazyLock::new(|| {
        let parts = vec![
            Attribute::string("name", "The name of the claim, whole or what follows its last '/', '#' or ':'."),
            Attribute::string("value", "One value of the claim."),
        ];
        let claims = Attribute::complex(CLAIMS, parts, "What the identity provider said at the last sign-in.").multi();
        let mut subject = users();
        subject.common.push(claims);
        subject
    });
    &SUBJECT
}

/// The attribute of a rule's subject that holds claims.
pub const CLAIMS: &str = "claims";

/// An attribute name resolved to the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrRef {
    /// The extension that has the attribute; none for core and common attributes.
    pub extension: Option<&'static str>,
    /// The attribute.
    pub attr: &'static Attribute,
    /// Its sub-attribute, if one was named.
    pub sub: Option<&'static Attribute>,
}

impl AttrRef {
    /// The attribute whose values are compared: the sub-attribute if one was named, else the `value` of a complex
    /// attribute that has one (`emails` means `emails.value`, RFC 7644 §3.4.2.2), else the attribute itself.
    #[must_use]
    pub fn leaf(&self) -> &'static Attribute {
        self.compared().unwrap_or(self.attr)
    }

    /// The sub-attribute that is compared, named or implied; none if the attribute itself is.
    #[must_use]
    pub fn compared(&self) -> Option<&'static Attribute> {
        self.sub.or_else(|| self.attr.sub("value"))
    }
}

/// Shows the canonical name: `emails.value`, `urn:...:User:manager.displayName`.
impl fmt::Display for AttrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = self.extension {
            write!(f, "{urn}:")?;
        }
        f.write_str(self.attr.name)?;
        self.sub.map_or(Ok(()), |sub| write!(f, ".{}", sub.name))
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// An attribute or sub-attribute.
    Attribute(AttrRef),
    /// All attributes of an extension, named by its bare URN.
    Extension(&'static Schema),
}

impl ResourceSchema {
    /// What a name stands for; none if this type of resource has nothing of that name. Names ignore ASCII case (RFC
    /// 7643 §2.1).
    ///
    /// A name without URN is looked up among the common and core attributes, then, if the dialect allows, in the
    /// enterprise extension.
    #[must_use]
    pub fn resolve(&'static self, name: &AttrName, dialect: Dialect) -> Option<Resolved> {
        let (extension, attr) = match &name.urn {
            None => self.find_short(&name.name, dialect)?,
            Some(urn) if urn.eq_ignore_ascii_case(self.core.id) => (None, self.find_core(&name.name)?),
            Some(urn) => {
                let schema = self.extension_as(urn, dialect)?;
                if name.is_whole_schema() {
                    return Some(Resolved::Extension(schema));
                }
                (Some(schema.id), schema.attribute(&name.name)?)
            }
        };
        let sub = match &name.sub {
            Some(sub) => Some(attr.sub(sub)?),
            None => None,
        };
        Some(Resolved::Attribute(AttrRef { extension, attr, sub }))
    }

    /// The attribute that a name stands for; none also where it stands for a whole extension.
    #[must_use]
    pub fn resolve_attribute(&'static self, name: &AttrName, dialect: Dialect) -> Option<AttrRef> {
        match self.resolve(name, dialect)? {
            Resolved::Attribute(attribute) => Some(attribute),
            Resolved::Extension(_) => None,
        }
    }

    /// The extension with that URN, in any ASCII case.
    #[must_use]
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().map(|(schema, _)| schema).find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The extension that a request means by a URN.
    fn extension_as(&self, urn: &str, dialect: Dialect) -> Option<&Schema> {
        let alias = dialect.contact_centre_alias() && urn.eq_ignore_ascii_case(CONTACT_CENTRE_ALIAS);
        self.extension(if alias { CONTACT_CENTRE_URN } else { urn })
    }

    fn find_core(&self, name: &str) -> Option<&Attribute> {
        self.core.attribute(name).or_else(|| find(&self.common, name))
    }

    fn find_short(&'static self, name: &str, dialect: Dialect) -> Option<(Option<&'static str>, &'static Attribute)> {
        if let Some(attribute) = self.find_core(name) {
            return Some((None, attribute));
        }
        let enterprise = self.extension(ENTERPRISE_URN).filter(|_| dialect.short_enterprise_names())?;
        enterprise.attribute(name).map(|attribute| (Some(enterprise.id), attribute))
    }
}

#[cfg(test)]
mod tests;
