//! Cookies: named and locked down in one place.

use http::{HeaderMap, HeaderValue, header};

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Cookie {
    /// The secret of the session.
    Session,
    /// What the hidden field of forms is made from.
    Form,
}

/// When browsers send a cookie with a request that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum SameSite {
    /// With navigation only.
    Lax,
    /// Always; over https only.
    None,
}

/// How cookies are named and set, which depends on whether people reach this server by https.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Jar {
    https: bool,
}

impl Jar {
    pub(in crate::web) fn new(public_url: &str) -> Self {
        Self { https: public_url.starts_with("https://") }
    }

    /// The name in the browser. With the prefix `__Host-` it takes the cookie from this host only, with `Secure` and for all
    /// paths (RFC 6265bis §4.1.3.2); over plain http there can be no such cookie.
    fn name(self, base: &str) -> String {
        if self.https { format!("__Host-{base}") } else { base.to_owned() }
    }

    /// The value of a cookie. If there are two of one name, none counts: we never set two.
    pub(in crate::web) fn get(self, headers: &HeaderMap, cookie: Cookie) -> Option<String> {
        self.named(headers, cookie.base())
    }

    /// The value of a cookie by its base name.
    pub(in crate::web) fn named(self, headers: &HeaderMap, base: &str) -> Option<String> {
        let name = self.name(base);
        let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut found = pairs
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned());
        match (found.next(), found.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// The header that sets a cookie until the browser is closed.
    pub(in crate::web) fn set(self, cookie: Cookie, value: &str) -> Option<HeaderValue> {
        self.set_named(cookie.base(), value, SameSite::Lax, None)
    }

    /// The header that takes a cookie away.
    pub(in crate::web) fn clear(self, cookie: Cookie) -> Option<HeaderValue> {
        self.set_named(cookie.base(), "", SameSite::Lax, Some(0))
    }

    /// The header that sets a cookie for so many seconds. `SameSite=None` needs https; without it `Lax` is set.
    pub(in crate::web) fn set_named(
        self,
        base: &str,
        value: &str,
        same_site: SameSite,
        seconds: Option<u32>,
    ) -> Option<HeaderValue> {
        let same_site = if self.https && same_site == SameSite::None { "None" } else { "Lax" };
        let mut text = format!("{}={value}; Path=/; HttpOnly; SameSite={same_site}", self.name(base));
        if self.https {
            text.push_str("; Secure");
        }
        if let Some(seconds) = seconds {
            text.push_str("; Max-Age=");
            text.push_str(&seconds.to_string());
        }
        HeaderValue::from_str(&text).ok()
    }
}

impl Cookie {
    const fn base(self) -> &'static str {
        match self {
            Self::Session => "rollcall",
            Self::Form => "rollcall-form",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(header: Option<HeaderValue>) -> String {
        header.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn s50_cookies_are_locked_down() {
        let (https, http) = (Jar::new("https://rollcall.example"), Jar::new("http://127.0.0.1:8080"));
        assert_eq!(
            text(https.set(Cookie::Session, "rco_x")),
            "__Host-rollcall=rco_x; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(text(http.set(Cookie::Session, "rco_x")), "rollcall=rco_x; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(
            text(https.clear(Cookie::Session)),
            "__Host-rollcall=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
        assert!(text(https.set_named("flow", "x", SameSite::None, Some(600))).contains("SameSite=None; Secure"));
        assert!(text(http.set_named("flow", "x", SameSite::None, None)).contains("SameSite=Lax"));
        assert_eq!(https.set(Cookie::Session, "a\r\nb"), None);
    }

    #[test]
    fn a_cookie_counts_if_it_is_there_once() {
        let jar = Jar::new("https://rollcall.example");
        let get = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::COOKIE, HeaderValue::from_static(value));
            }
            jar.get(&headers, Cookie::Session)
        };
        assert_eq!(get(&["a=b; __Host-rollcall=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(get(&["a=b", "__Host-rollcall=x"]).as_deref(), Some("x"));
        assert_eq!(get(&["__Host-rollcall=x; __Host-rollcall=y"]), None);
        assert_eq!(get(&["rollcall=x"]), None, "without the prefix anybody on a neighbouring host can set it");
        assert_eq!(get(&[]), None);
    }
}
