//! What identity providers need beyond the RFC, one method a leniency.

use std::fmt;
use std::str::FromStr;

/// How a connection's requests are read.
///
/// `auto` is one fixed set: the union of what the known identity providers need. The named dialects read the same way;
/// they exist so that a connection can say what it is linked to, and may differ from `auto` only where two providers
/// contradict each other. `strict` reads by the RFC alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Every leniency.
    #[default]
    Auto,
    /// The RFC alone.
    Strict,
    /// Okta.
    Okta,
    /// Microsoft Entra ID.
    Entra,
    /// `OneLogin`.
    OneLogin,
    /// `JumpCloud`.
    JumpCloud,
    /// `PingFederate` and `PingOne`.
    Ping,
    /// The SCIM extensions of Keycloak.
    Keycloak,
    /// authentik.
    Authentik,
    /// Google Workspace.
    Google,
}

/// The text names no dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a dialect: use auto, strict, okta, entra, onelogin, jumpcloud, ping, keycloak, authentik or google")]
pub struct DialectError;

impl Dialect {
    /// Every dialect, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Auto,
        Self::Strict,
        Self::Okta,
        Self::Entra,
        Self::OneLogin,
        Self::JumpCloud,
        Self::Ping,
        Self::Keycloak,
        Self::Authentik,
        Self::Google,
    ];

    /// The name in settings, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::OneLogin => "onelogin",
            Self::JumpCloud => "jumpcloud",
            Self::Ping => "ping",
            Self::Keycloak => "keycloak",
            Self::Authentik => "authentik",
            Self::Google => "google",
        }
    }

    const fn lenient(self) -> bool {
        !matches!(self, Self::Strict)
    }

    /// Booleans may be the strings `"True"` and `"False"`, in any case, in bodies, PATCH values and filters.
    /// Entra ID without its compliance flag: `fixtures/entra/disable-string-false.json`.
    #[must_use]
    pub const fn quoted_booleans(self) -> bool {
        self.lenient()
    }

    /// A number where text is meant (an employee number, a postal code) is that text: one attribute of a hand-written
    /// template must not refuse the deactivation that stands beside it. OneLogin's templates:
    /// `fixtures/onelogin/numbers-as-text.json`.
    #[must_use]
    pub const fn numbers_as_text(self) -> bool {
        self.lenient()
    }

    /// A whole number may be quoted (the level of a skill). OneLogin's templates: `fixtures/onelogin/quoted-numbers.json`.
    #[must_use]
    pub const fn quoted_integers(self) -> bool {
        self.lenient()
    }

    /// An empty text where a boolean or a whole number is meant is no value: a template whose field is empty must not refuse
    /// the deactivation that stands beside it. Never for `active`. OneLogin's templates:
    /// `fixtures/onelogin/quoted-numbers.json`; Entra ID without its compliance flag sends all as text.
    #[must_use]
    pub const fn empty_text_as_no_value(self) -> bool {
        self.lenient()
    }

    /// `op` may be written in any case (`Replace`), and so may the key `Operations`.
    /// Entra ID without its compliance flag: `fixtures/entra/disable-string-false.json`.
    #[must_use]
    pub const fn op_any_case(self) -> bool {
        self.lenient()
    }

    /// `remove` with the path `members` and a value removes those members only, where the RFC would ignore the value
    /// and empty the group. Entra ID without its compliance flag: `fixtures/entra/member-remove-by-value.json`;
    /// `JumpCloud`: `fixtures/jumpcloud/member-remove-by-value.json`; authentik:
    /// `fixtures/authentik/member-remove-by-value.json`.
    #[must_use]
    pub const fn remove_members_by_value(self) -> bool {
        self.lenient()
    }

    /// A PATCH path whose filter selects nothing creates the element that a plain `eq` filter describes, instead of
    /// `noTarget`. Entra ID: `fixtures/entra/replace-missing-address.json`, `fixtures/entra/add-work-email.json`.
    #[must_use]
    pub const fn create_on_unmatched_eq_filter(self) -> bool {
        self.lenient()
    }

    /// A role's `value` may be a JSON object packed into a string (`"{\"value\":\"Admin\"}"`).
    /// Entra ID without its compliance flag: `fixtures/entra/role-packed-json.json`.
    #[must_use]
    pub const fn unpack_json_strings(self) -> bool {
        self.lenient()
    }

    /// `manager` may be the id alone instead of an object, and an empty id means no manager.
    /// Entra ID: `fixtures/entra/manager-add-string.json`, `fixtures/entra/manager-clear-empty-string.json`.
    #[must_use]
    pub const fn bare_string_manager(self) -> bool {
        self.lenient()
    }

    /// A multi-valued attribute may come as its one element without the array.
    /// `OneLogin`: `fixtures/onelogin/create-emails-object.json`; hand-made clients do it with `members`.
    #[must_use]
    pub const fn single_object_as_array(self) -> bool {
        self.lenient()
    }

    /// A singular complex attribute may come as an array of one object.
    /// Entra ID, for `manager`: `fixtures/entra/manager-add-array.json`.
    #[must_use]
    pub const fn array_as_single_object(self) -> bool {
        self.lenient()
    }

    /// PATCH of a group is answered 204 without the group, which RFC 7644 §3.5.2 allows: Microsoft advises against
    /// returning member lists, and a group of thousands changes once a person. Entra ID: `fixtures/entra/member-add.json`.
    #[must_use]
    pub const fn group_patch_without_body(self) -> bool {
        self.lenient()
    }

    /// A filter that is nothing but `userName eq` and an address may lack the quotes around the address.
    /// One version of authentik: `fixtures/authentik/match-user-without-quotes.json`.
    #[must_use]
    pub const fn unquoted_user_name(self) -> bool {
        self.lenient()
    }

    /// In a filter, `email` means `emails.value`. PingOne's example of a filter expression:
    /// `fixtures/ping/match-email-short.json`.
    #[must_use]
    pub const fn email_for_emails(self) -> bool {
        self.lenient()
    }

    /// The elements of a complex multi-valued attribute may be plain strings that stand for their `value`. No provider is
    /// known to send this by itself; bodies of `OneLogin` are templates that administrators write by hand.
    #[must_use]
    pub const fn bare_string_elements(self) -> bool {
        self.lenient()
    }

    /// The keys of the value of a PATCH operation without a path are paths themselves (`name.givenName`,
    /// `urn:...:User:department`). Entra ID with its compliance flag: `fixtures/entra/optscim-dotted-keys.json`.
    #[must_use]
    pub const fn dotted_value_keys(self) -> bool {
        self.lenient()
    }

    /// A PATCH request may lack `schemas`, as several small clients leave it out: `fixtures/other/patch-no-schemas.json`.
    #[must_use]
    pub const fn missing_patch_schemas(self) -> bool {
        self.lenient()
    }

    /// A resource may lack `schemas`, or list there what is not known here.
    /// Entra ID lists a group schema of its own and leaves out custom extensions: `fixtures/entra/create-group.json`.
    #[must_use]
    pub const fn missing_resource_schemas(self) -> bool {
        self.lenient()
    }

    /// A PATCH path that names an unknown attribute is skipped instead of refused, so that the other operations still
    /// happen. Entra ID, where one mapping too many would otherwise keep a leaver active:
    /// `fixtures/entra/unknown-attribute.json`.
    #[must_use]
    pub const fn ignore_unknown_attributes(self) -> bool {
        self.lenient()
    }

    /// An attribute of the enterprise extension may be named without its URN where no core attribute has that name.
    /// Entra ID documents the path `manager`: `fixtures/entra/manager-add-array.json`.
    #[must_use]
    pub const fn short_enterprise_names(self) -> bool {
        self.lenient()
    }

    /// Our extension may be called `urn:ietf:params:scim:schemas:extension:rollcall:2.0:User`. Entra ID maps extension
    /// attributes only under `urn:ietf:params:scim:schemas:extension:`: `fixtures/entra/extension-alias.json`.
    #[must_use]
    pub const fn contact_centre_alias(self) -> bool {
        self.lenient()
    }

    /// Several elements may claim to be `primary`: the last one is. No provider is known to send this by itself, but
    /// refusing it would hold up the rest of the same request, a deactivation included.
    #[must_use]
    pub const fn several_primaries(self) -> bool {
        self.lenient()
    }

    /// `attributes` and `excludedAttributes` may come together, and `attributes` decides; RFC 7644 §3.9 excludes it. No
    /// provider is known to send both, but answering a reader is safer than making it see an outage.
    #[must_use]
    pub const fn both_projections(self) -> bool {
        self.lenient()
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = DialectError;

    fn from_str(text: &str) -> Result<Self, DialectError> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str().eq_ignore_ascii_case(text)).ok_or(DialectError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        assert_eq!("azure".parse::<Dialect>(), Err(DialectError));
    }

    #[test]
    fn only_strict_is_strict() {
        assert!(Dialect::ALL.into_iter().all(|dialect| dialect.quoted_booleans() == (dialect != Dialect::Strict)));
    }
}
