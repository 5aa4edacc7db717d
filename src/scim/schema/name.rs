//! Attribute names as requests write them (RFC 7644 §3.10).

use std::fmt;
use std::str::FromStr;

use super::KNOWN_URNS;

/// An attribute name as written: `userName`, `name.givenName`, `urn:...:User:manager.value`.
///
/// The bare URN of a schema is a name too: `urn` is set and `name` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttrName {
    /// The URN before the name, as written.
    pub urn: Option<String>,
    /// The attribute, as written; empty if the whole schema is meant.
    pub name: String,
    /// The sub-attribute, as written.
    pub sub: Option<String>,
}

/// The text is not an attribute name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an attribute name")]
pub struct NameError;

impl AttrName {
    /// A name without URN.
    #[must_use]
    pub fn short(name: &str, sub: Option<&str>) -> Self {
        Self { urn: None, name: name.to_owned(), sub: sub.map(str::to_owned) }
    }

    /// Reads a name.
    ///
    /// The URN is everything before the last colon, so that the dot of a version (`2.0`) is never taken for the one
    /// before a sub-attribute; a text that is a schema's URN as a whole names that schema.
    ///
    /// # Errors
    /// [`NameError`] where RFC 7644 §3.10 knows no such name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if is_schema_urn(text) {
            return Ok(Self { urn: Some(text.to_owned()), name: String::new(), sub: None });
        }
        let (urn, path) = match text.rsplit_once(':') {
            Some((urn, path)) if is_urn(urn) => (Some(urn.to_owned()), path),
            Some(_) => return Err(NameError),
            None => (None, text),
        };
        let (name, sub) = match path.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (path, None),
        };
        if !is_name(name) || sub.is_some_and(|sub| !is_name(sub)) {
            return Err(NameError);
        }
        Ok(Self { urn, name: name.to_owned(), sub: sub.map(str::to_owned) })
    }

    /// Whether a whole schema is named, not one of its attributes.
    #[must_use]
    pub const fn is_whole_schema(&self) -> bool {
        self.name.is_empty()
    }
}

impl FromStr for AttrName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for AttrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.urn {
            Some(urn) if self.is_whole_schema() => return f.write_str(urn),
            Some(urn) => write!(f, "{urn}:{}", self.name)?,
            None => f.write_str(&self.name)?,
        }
        self.sub.as_ref().map_or(Ok(()), |sub| write!(f, ".{sub}"))
    }
}

/// `ATTRNAME` of RFC 7643 §2.1, and `$ref`.
fn is_name(text: &str) -> bool {
    let body = text.strip_prefix('$').unwrap_or(text);
    body.starts_with(|c: char| c.is_ascii_alphabetic())
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_urn(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.eq_ignore_ascii_case("urn") && rest.split(':').all(|part| !part.is_empty() && part.bytes().all(is_urn_byte))
        // Entra ID's own group schema is an http URI, but it never stands before an attribute name.
        || KNOWN_URNS.iter().any(|known| known.eq_ignore_ascii_case(text))
}

fn is_urn_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"()+,-.=@;$_!*'%/".contains(&byte)
}

/// A known schema, or one that ends like the RFC's own: a version, then the type of resource.
fn is_schema_urn(text: &str) -> bool {
    if KNOWN_URNS.iter().any(|known| known.eq_ignore_ascii_case(text)) {
        return true;
    }
    let mut parts = text.rsplit(':');
    let (Some(kind), Some(version)) = (parts.next(), parts.next()) else { return false };
    let version = version.split_once('.').is_some_and(|(major, minor)| {
        [major, minor].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    });
    version && (kind.eq_ignore_ascii_case("User") || kind.eq_ignore_ascii_case("Group")) && is_urn(text)
}
