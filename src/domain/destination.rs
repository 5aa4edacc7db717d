//! Where a sign-in leads back to: pages of ours, and nothing else.

use std::fmt;

/// A path of this server to go to after a sign-in or step-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(String);

/// The first segments of pages that a sign-in may lead to; the page of the person itself has none.
const PAGES: [&str; 9] = ["", "account", "connections", "flex", "people", "queues", "rules", "sessions", "teams"];
/// The longest.
const LONGEST: usize = 2_048;

impl Destination {
    /// Reads a path with its query, as it came from a browser or an identity provider; anything but a page of ours is none.
    ///
    /// What browsers take for another host (`//host`, `/\host`, control characters that they drop) has no place in it, whatever
    /// the first segment is.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~%?=&+,:".contains(&byte);
        let path = text.split('?').next().unwrap_or_default();
        let first = path.strip_prefix('/')?.split('/').next().unwrap_or_default();
        let is_ours = text.len() <= LONGEST
            && text.bytes().all(plain)
            && !path.contains("//")
            && !path.contains('%')
            && !path.split('/').any(|segment| segment == "." || segment == "..")
            && PAGES.contains(&first)
            && !(first.is_empty() && path.len() > 1);
        is_ours.then(|| Self(text.to_owned()))
    }

    /// Reads a path, or takes the person's own page.
    #[must_use]
    pub fn read_or_home(text: Option<&str>) -> Self {
        text.and_then(Self::read).unwrap_or_default()
    }

    /// The path with its query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Destination {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_only_pages_of_ours() {
        for text in ["/", "/people", "/people/12?tab=why", "/connections/okta", "/sessions?x=1%2F2", "/?a=b"] {
            assert_eq!(Destination::read(text).map(|it| it.to_string()).as_deref(), Some(text), "{text}");
        }
        for text in [
            "",
            "people",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/people//evil.example",
            "/people\\..\\x",
            "/people/../sso/saml/x/login",
            "/./people",
            "/%2F/evil.example",
            "/people%2F..",
            "https://evil.example/people",
            "javascript:alert(1)",
            "/\tpeople",
            "/people\r\nSet-Cookie: a=b",
            "/people@evil.example",
            "/sso/saml/okta/login",
            "/sign-out",
            "/api/v1/me",
            "/owner/abc",
            "/People",
            "/peoples",
            "/pe\u{f6}ple",
        ] {
            assert_eq!(Destination::read(text), None, "{text}");
            assert_eq!(Destination::read_or_home(Some(text)).as_str(), "/");
        }
        assert_eq!(Destination::read(&format!("/people/{}", "a".repeat(LONGEST))), None);
    }
}
