//! One spelling for each SCIM path, before anything looks at it.
//!
//! Identity providers put the base URL together with a slash too many (`//Users`, scim-for-keycloak), leave one at the end,
//! or encode what needs no encoding. Redirects they do not follow. And whoever spells a SCIM path in an unusual way must
//! meet the same authentication as everybody else.

use axum::extract::Request;
use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The root of the SCIM endpoints.
pub(super) const SCIM: &str = "/scim/v2";

/// What a path segment cannot hold as it is (RFC 3986 §3.3).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) fn request(mut request: Request) -> Request {
    if let Some(uri) = canonical(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

/// The canonical form of a SCIM URI; none: it is not a SCIM path, or is canonical already.
fn canonical(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if is_plain(path) {
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let segments: Vec<&str> =
        decoded.split(['/', '\\']).filter(|segment| !segment.is_empty() && *segment != ".").collect();
    let (first, rest) = segments.split_first()?;
    if !first.eq_ignore_ascii_case("scim") {
        return None;
    }
    let mut canonical = String::from("/scim");
    for (n, segment) in rest.iter().enumerate() {
        canonical.push('/');
        if n == 0 && segment.eq_ignore_ascii_case("v2") {
            canonical.push_str("v2");
        } else {
            canonical.extend(utf8_percent_encode(segment, SEGMENT));
        }
    }
    if let Some(query) = uri.query() {
        canonical.push('?');
        canonical.push_str(query);
    }
    canonical.parse().ok()
}

/// Whether a path is spelled as we spell it; the usual case, which costs nothing.
fn is_plain(path: &str) -> bool {
    path.starts_with("/scim/v2/") && !path.contains("//") && !path.contains(['%', '\\']) && !path.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(uri: &str) -> String {
        let uri: Uri = uri.parse().unwrap();
        canonical(&uri).unwrap_or(uri).to_string()
    }

    #[test]
    fn s27_every_spelling_of_a_scim_path_is_one() {
        for uri in [
            "/scim/v2/Users",
            "/scim/v2/Users/",
            "/scim/v2//Users",
            "//scim/v2/Users",
            "/SCIM/V2/Users",
            "/%73cim/v2/Users",
            "/scim%2Fv2%2FUsers",
            "/scim/./v2/Users",
            "/scim/v2%5CUsers",
        ] {
            assert_eq!(spelled(uri), "/scim/v2/Users", "{uri}");
        }
        assert_eq!(spelled("/scim/v2/Users/?count=1"), "/scim/v2/Users?count=1");
        assert_eq!(spelled("/scim/v2/Users/a%20b"), "/scim/v2/Users/a%20b");
        assert_eq!(spelled("/scim"), "/scim");
        assert_eq!(spelled("/healthz"), "/healthz");
        assert_eq!(spelled("/scimitar"), "/scimitar");
    }
}
