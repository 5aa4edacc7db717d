//! Whether a page of ours caused a request, and not a page of somebody else.

use http::{HeaderMap, header};

/// What browsers say about where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Caused {
    /// A page of ours.
    Here,
    /// Another site, or one that hides who it is.
    Elsewhere,
    /// Nothing is said: not a browser, or a very old one.
    Unsaid,
}

/// Judges by `Sec-Fetch-Site` (Fetch Metadata) and, from browsers that do not send it, by `Origin` (RFC 6454 §7).
pub(in crate::web) fn caused(headers: &HeaderMap, public_url: &str) -> Caused {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        (values.next().map(|value| value.to_str().unwrap_or("?")), values.next().is_some())
    };
    match one("sec-fetch-site") {
        (Some("same-origin" | "none"), false) => return Caused::Here,
        (Some(_), _) => return Caused::Elsewhere,
        (None, _) => {}
    }
    match one(header::ORIGIN.as_str()) {
        (Some(origin), false) if origin.eq_ignore_ascii_case(origin_of(public_url)) => Caused::Here,
        (Some(_), _) => Caused::Elsewhere,
        (None, _) => Caused::Unsaid,
    }
}

/// Scheme, host and port of a URL that has no more than these and a path.
pub(in crate::web) fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s51_only_pages_of_ours_cause_changes() {
        let judged = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, http::HeaderValue::from_static(value));
            }
            caused(&headers, "https://rollcall.example")
        };
        for (pairs, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], Caused::Here),
            (&[("sec-fetch-site", "none")], Caused::Here),
            (&[("sec-fetch-site", "cross-site")], Caused::Elsewhere),
            (&[("sec-fetch-site", "same-site")], Caused::Elsewhere),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://rollcall.example")], Caused::Elsewhere),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], Caused::Elsewhere),
            (&[("origin", "https://rollcall.example")], Caused::Here),
            (&[("origin", "https://rollcall.example.evil.example")], Caused::Elsewhere),
            (&[("origin", "http://rollcall.example")], Caused::Elsewhere),
            (&[("origin", "https://rollcall.example:444")], Caused::Elsewhere),
            (&[("origin", "null")], Caused::Elsewhere),
            (&[], Caused::Unsaid),
        ] {
            assert_eq!(judged(pairs), expected, "{pairs:?}");
        }
        assert_eq!(origin_of("https://a.example/x/y"), "https://a.example");
        assert_eq!(origin_of("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }
}
