//! The table of pages and API routes: who may come, what must be fresh, and how a change is kept from being forged.
//!
//! A request whose method and path have no row gets no further, so a new route is closed until it has one.

use http::Method;

use crate::domain::Action;

/// Who may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Anyone,
    /// Who has a session, if the role allows the action.
    Person(Action),
    /// The same, or a script with a key.
    PersonOrKey(Action),
}

/// What shows that a page of ours caused a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Nothing is changed.
    Reads,
    /// The browser says so, and the form has our hidden field.
    Form,
    /// The browser says so; or there is a key, which no browser sends by itself.
    Origin,
    /// The protocol itself does: an answer of an identity provider comes from another site, and belongs to a request of ours.
    Protocol,
}

/// How whoever may not come is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With a page, or the way to sign in.
    Page,
    /// With problem+json.
    Api,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The method; `HEAD` goes by `GET`.
    pub method: &'static str,
    /// The path as the router knows it.
    pub path: &'static str,
    /// Who may come.
    pub who: Who,
    /// What shows where it comes from.
    pub forgery: Forgery,
    /// How refusals look.
    pub kind: Kind,
}

const fn page(method: &'static str, path: &'static str, who: Who, forgery: Forgery) -> Row {
    Row { method, path, who, forgery, kind: Kind::Page }
}

const fn api(method: &'static str, path: &'static str, action: Action, forgery: Forgery) -> Row {
    Row { method, path, who: Who::PersonOrKey(action), forgery, kind: Kind::Api }
}

/// The table.
pub const ROUTES: &[Row] = &[
    page("GET", "/", Who::Person(Action::SeeSelf), Forgery::Reads),
    page("GET", "/assets/{name}", Who::Anyone, Forgery::Reads),
    page("GET", "/sign-in", Who::Anyone, Forgery::Reads),
    page("POST", "/sign-in", Who::Anyone, Forgery::Form),
    page("POST", "/sign-in/password", Who::Anyone, Forgery::Form),
    page("POST", "/sign-out", Who::Anyone, Forgery::Form),
    page("GET", "/signed-out", Who::Anyone, Forgery::Reads),
    page("POST", "/sign-out/everywhere", Who::Person(Action::OwnSessions), Forgery::Form),
    page("POST", "/sessions/{id}/end", Who::Person(Action::OwnSessions), Forgery::Form),
    page("GET", "/step-up", Who::Person(Action::SeeSelf), Forgery::Reads),
    page("POST", "/step-up", Who::Person(Action::SeeSelf), Forgery::Form),
    page("GET", "/owner/{secret}", Who::Anyone, Forgery::Reads),
    page("POST", "/owner/{secret}", Who::Anyone, Forgery::Form),
    page("GET", "/sso/saml/{connection}/login", Who::Anyone, Forgery::Reads),
    page("GET", "/sso/saml/{connection}/metadata", Who::Anyone, Forgery::Reads),
    page("POST", "/sso/saml/{connection}/acs", Who::Anyone, Forgery::Protocol),
    page("GET", "/sso/saml/{connection}/slo", Who::Anyone, Forgery::Protocol),
    page("POST", "/sso/saml/{connection}/slo", Who::Anyone, Forgery::Protocol),
    page("GET", "/sso/flex/{account}/metadata", Who::Anyone, Forgery::Reads),
    page("GET", "/sso/flex/{account}/login", Who::Anyone, Forgery::Reads),
    page("POST", "/sso/flex/{account}/login", Who::Anyone, Forgery::Protocol),
    page("GET", "/flex", Who::Person(Action::SeeSelf), Forgery::Reads),
    page("GET", "/sso/oidc/{connection}/login", Who::Anyone, Forgery::Reads),
    page("GET", "/sso/oidc/{connection}/callback", Who::Anyone, Forgery::Reads),
    page("POST", "/sso/oidc/{connection}/backchannel-logout", Who::Anyone, Forgery::Protocol),
    api("GET", "/api/v1/me", Action::SeeSelf, Forgery::Reads),
    api("GET", "/api/v1/users", Action::SeePeople, Forgery::Reads),
    api("GET", "/api/v1/connections", Action::SeeConnections, Forgery::Reads),
    api("POST", "/api/v1/connections", Action::ChangeConnections, Forgery::Origin),
    api("GET", "/api/v1/connections/{id}", Action::SeeConnections, Forgery::Reads),
    api("PATCH", "/api/v1/connections/{id}", Action::ChangeConnections, Forgery::Origin),
    api("DELETE", "/api/v1/connections/{id}", Action::ChangeConnections, Forgery::Origin),
    api("GET", "/api/v1/sessions", Action::OwnSessions, Forgery::Reads),
    api("DELETE", "/api/v1/sessions", Action::OwnSessions, Forgery::Origin),
    api("DELETE", "/api/v1/sessions/{id}", Action::OwnSessions, Forgery::Origin),
    api("GET", "/api/v1/api-keys", Action::SeeApiKeys, Forgery::Reads),
    api("POST", "/api/v1/api-keys", Action::ChangeApiKeys, Forgery::Origin),
    api("DELETE", "/api/v1/api-keys/{id}", Action::ChangeApiKeys, Forgery::Origin),
];

/// The row of a request.
pub(in crate::web) fn row(method: &Method, path: &str) -> Option<&'static Row> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|row| row.method == method && row.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s51_whatever_changes_something_is_kept_from_forgery() {
        for row in ROUTES {
            // A logout comes by GET, too, and is signed.
            let is_logout = row.path.ends_with("/slo");
            assert_eq!(row.method == "GET" && !is_logout, row.forgery == Forgery::Reads, "{} {}", row.method, row.path);
        }
    }

    #[test]
    fn a_route_has_one_row() {
        for (n, row) in ROUTES.iter().enumerate() {
            let twice = ROUTES.iter().skip(n + 1).any(|other| (other.method, other.path) == (row.method, row.path));
            assert!(!twice, "{} {}", row.method, row.path);
            assert_eq!(row.path.starts_with("/api/"), row.kind == Kind::Api, "{}", row.path);
        }
    }

    /// Only these are open to anybody, so that nobody opens another one by accident.
    #[test]
    fn few_routes_are_open() {
        let open: Vec<&str> = ROUTES.iter().filter(|row| row.who == Who::Anyone).map(|row| row.path).collect();
        assert_eq!(
            open,
            [
                "/assets/{name}",
                "/sign-in",
                "/sign-in",
                "/sign-in/password",
                "/sign-out",
                "/signed-out",
                "/owner/{secret}",
                "/owner/{secret}",
                "/sso/saml/{connection}/login",
                "/sso/saml/{connection}/metadata",
                "/sso/saml/{connection}/acs",
                "/sso/saml/{connection}/slo",
                "/sso/saml/{connection}/slo",
                "/sso/flex/{account}/metadata",
                "/sso/flex/{account}/login",
                "/sso/flex/{account}/login",
                "/sso/oidc/{connection}/login",
                "/sso/oidc/{connection}/callback",
                "/sso/oidc/{connection}/backchannel-logout"
            ]
        );
    }
}
