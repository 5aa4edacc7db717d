//! Versions of resources as conditional requests name them (RFC 7644 §3.14, RFC 9110 §13.1).

/// The entity tags of an `If-Match` or `If-None-Match` header, or of the `version` of a bulk operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// `*`: whatever there is.
    Any,
    /// One of these; tags that are not of our making are none of them.
    These(Vec<i64>),
}

impl Versions {
    /// Reads a list of entity tags. Tags compare weakly: `W/"3"` and `"3"` are one. A bare number is understood too, as
    /// clients write it that take the quotes for a part of the notation.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let tags = || text.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        if tags().any(|tag| tag == "*") {
            return Self::Any;
        }
        let number = |tag: &str| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag).parse().ok()
        };
        Self::These(tags().filter_map(number).collect())
    }

    /// Whether a resource of this version is meant.
    #[must_use]
    pub fn include(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::These(versions) => versions.contains(&version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_compare_weakly() {
        for (text, version, included) in [
            ("W/\"3\"", 3, true),
            ("\"3\"", 3, true),
            ("3", 3, true),
            ("W/\"3\"", 4, false),
            ("\"a\", W/\"3\" , \"5\"", 5, true),
            ("\"a\"", 3, false),
            ("", 3, false),
            ("*", 3, true),
            ("\"1\",*", 3, true),
            ("W/3\"", 3, false),
        ] {
            assert_eq!(Versions::parse(text).include(version), included, "{text} {version}");
        }
    }
}
