//! Which identity provider a person belongs to (home-realm discovery), and whose an e-mail domain is.

use crate::domain::Means;
use crate::store::connections::Connection;
use crate::store::sso;

use super::super::core::Core;
use super::super::error::ServiceError;

/// Ways to sign in that are offered at most.
const MOST: u64 = 20;

impl Core {
    /// The ways to sign in of whoever has that name or address: those of the connection whose verified domain it has, or, as
    /// long as no domain says otherwise, of the only connection that there is. Nothing of it depends on whether there is such
    /// a person.
    pub(in crate::service) async fn realm_of(&self, name: &str) -> Result<Vec<(Connection, Means)>, ServiceError> {
        let Some((_, domain)) = name.trim().rsplit_once('@') else { return Ok(Vec::new()) };
        let enabled = self.sign_on_connections(MOST).await?;
        let Some(domain) = ascii_domain(domain) else { return Ok(Vec::new()) };
        if let Some(known) = sso::verified_domain(self.store.read(), &domain).await? {
            return Ok(enabled.into_iter().filter(|(connection, _)| connection.id == known.connection).collect());
        }
        let Some((first, _)) = enabled.first() else { return Ok(Vec::new()) };
        let is_only = enabled.iter().all(|(connection, _)| connection.id == first.id);
        let verified = sso::domains(self.store.read(), first.id).await?;
        let takes_all = verified.iter().all(|domain| domain.verified_at.is_none());
        Ok(if is_only && takes_all { enabled } else { Vec::new() })
    }
}

/// A domain in lower case and ASCII (RFC 5890); none: it is none.
#[must_use]
pub fn ascii_domain(text: &str) -> Option<String> {
    let host = url::Host::parse(text.trim().trim_end_matches('.')).ok()?;
    match host {
        url::Host::Domain(name) if name.contains('.') && name.len() <= 253 => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_spelling() {
        assert_eq!(ascii_domain("Acme.Example.").as_deref(), Some("acme.example"));
        assert_eq!(ascii_domain("b\u{fc}ro.example").as_deref(), Some("xn--bro-hoa.example"));
        for not in ["", "localhost", "10.0.0.1", "a b.example", "acme.example/x", "a@b.example"] {
            assert_eq!(ascii_domain(not), None, "{not}");
        }
    }
}
