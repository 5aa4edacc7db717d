//! What a caller who is known may ask for at all, before its request is looked at.

use http::Method;

use crate::domain::Scope;
use crate::scim::ScimError;
use crate::service::Caller;

/// Refuses what the caller's token is not for.
pub(super) fn check(caller: &Caller, method: &Method, path: &str) -> Result<(), ScimError> {
    if !caller.scope.includes(needed(method, path)) {
        return Err(ScimError::forbidden(
            "This token may only read. Use a token with the scope write: `rollcall token create --scope write`.",
        ));
    }
    Ok(())
}

/// The scope that a request needs. A search by POST (RFC 7644 §3.4.3) changes nothing; a method that is not known may.
fn needed(method: &Method, path: &str) -> Scope {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || (*method == Method::POST && path.ends_with("/.search"));
    if reads { Scope::Read } else { Scope::Write }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_read_and_the_unknown_writes() {
        for (method, path, scope) in [
            ("GET", "/scim/v2/Users", Scope::Read),
            ("HEAD", "/scim/v2/Users", Scope::Read),
            ("POST", "/scim/v2/.search", Scope::Read),
            ("POST", "/scim/v2/Users/.search", Scope::Read),
            ("POST", "/scim/v2/Users", Scope::Write),
            ("POST", "/scim/v2/Bulk", Scope::Write),
            ("POST", "/scim/v2/Users/x.search", Scope::Write),
            ("PUT", "/scim/v2/Users/.search", Scope::Write),
            ("PATCH", "/scim/v2/Groups/1", Scope::Write),
            ("DELETE", "/scim/v2/Users/1", Scope::Write),
            ("PURGE", "/scim/v2/Users/1", Scope::Write),
        ] {
            assert_eq!(needed(&method.parse().unwrap(), path), scope, "{method} {path}");
        }
    }
}
