//! PATCH paths (RFC 7644 §3.5.2): `name.givenName`, `emails[type eq "work"].value`, `urn:...:User:manager`, or the URN of a
//! whole extension.

use std::fmt;

use super::error::{ScimError, excerpt};
use super::filter::{Filter, Limits, Scanner, parse_bracketed};
use super::schema::AttrName;

/// What a PATCH operation is about, as written: names are not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchPath {
    /// The attribute, with its sub-attribute where no filter stands between the two.
    pub attr: AttrName,
    /// The filter in brackets.
    pub filter: Option<Filter>,
    /// The sub-attribute behind the brackets.
    pub sub: Option<String>,
}

impl PatchPath {
    /// Reads a path.
    ///
    /// # Errors
    /// 400 `invalidPath`, or `invalidFilter` where the fault lies between the brackets.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, ScimError> {
        if text.len() > limits.max_bytes {
            return Err(ScimError::invalid_path(format!(
                "The path is {} bytes long; at most {} are read.",
                text.len(),
                limits.max_bytes
            )));
        }
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let attr = scanner.attr_name().ok_or_else(|| unreadable(text, &scanner))?;
        let filter = if scanner.eat('[') { Some(parse_bracketed(&mut scanner, limits)?) } else { None };
        let sub = if filter.is_some() && scanner.eat('.') {
            Some(scanner.sub_name().ok_or_else(|| unreadable(text, &scanner))?.to_owned())
        } else {
            None
        };
        scanner.skip_space();
        // A sub-attribute or a whole schema has no elements that a filter could choose from.
        let unfilterable = filter.is_some() && (attr.sub.is_some() || attr.is_whole_schema());
        if !scanner.at_end() || unfilterable {
            return Err(unreadable(text, &scanner));
        }
        Ok(Self { attr, filter, sub })
    }
}

/// The canonical spelling: reading it gives the same path again.
impl fmt::Display for PatchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.attr)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        self.sub.as_ref().map_or(Ok(()), |sub| write!(f, ".{sub}"))
    }
}

fn unreadable(text: &str, scanner: &Scanner<'_>) -> ScimError {
    ScimError::invalid_path(format!(
        "The path \"{}\" cannot be read from character {} on: write an attribute, attribute.sub-attribute or \
         attribute[filter].sub-attribute.",
        excerpt(text),
        scanner.position()
    ))
    .about_path(text)
}

#[cfg(test)]
mod tests;
