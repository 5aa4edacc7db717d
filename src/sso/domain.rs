//! E-mail domains: whose people a connection may sign in is proven by a record that only the domain's owner can set.

use std::fmt;

use url::Host;

use crate::net::{TxtError, TxtLookup};

/// The label under which the record stands.
const LABEL: &str = "_rollcall-challenge";
/// What the record begins with.
const PREFIX: &str = "rollcall-verification=";
/// The longest name in the domain name system (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// An e-mail domain in its one spelling: small letters, international names in ASCII (RFC 5891).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailDomain(String);

/// A text is no e-mail domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a domain like acme.example")]
pub struct NoDomain(String);

impl EmailDomain {
    /// Reads a domain.
    ///
    /// # Errors
    /// When it is an address, has one label only, or cannot be a name of a host.
    pub fn parse(text: &str) -> Result<Self, NoDomain> {
        let wrong = || NoDomain(text.chars().take(MAX_NAME).collect());
        if text.len() > 4 * MAX_NAME || text.contains('%') {
            return Err(wrong());
        }
        let Ok(Host::Domain(name)) = Host::parse(text.trim()) else { return Err(wrong()) };
        let label = |label: &str| {
            let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
        };
        let labels: Vec<&str> = name.split('.').collect();
        let fits = LABEL.len() + 1 + name.len() <= MAX_NAME;
        if labels.len() >= 2 && fits && labels.into_iter().all(label) { Ok(Self(name)) } else { Err(wrong()) }
    }

    /// The domain of an e-mail address: what stands after the last `@`.
    #[must_use]
    pub fn of_address(address: &str) -> Option<Self> {
        let (local, domain) = address.trim().rsplit_once('@')?;
        if local.is_empty() { None } else { Self::parse(domain).ok() }
    }

    /// The domain as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The record that proves a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The name of the TXT record: `_rollcall-challenge.acme.example`.
    pub name: String,
    /// Its value: `rollcall-verification=TOKEN`.
    pub value: String,
}

impl Challenge {
    /// The record for a domain and a token, which is random and belongs to one account: nobody's record proves the domain
    /// for somebody else.
    #[must_use]
    pub fn new(domain: &EmailDomain, token: &str) -> Self {
        Self { name: format!("{LABEL}.{domain}"), value: format!("{PREFIX}{token}") }
    }

    /// Whether one of the records found proves the domain.
    #[must_use]
    pub fn is_met_by(&self, records: &[String]) -> bool {
        self.value.len() > PREFIX.len() && records.iter().any(|record| record.trim() == self.value)
    }

    /// Looks the record up.
    ///
    /// # Errors
    /// [`Unproven`] with what was found.
    pub async fn check(&self, lookup: &dyn TxtLookup) -> Result<(), Unproven> {
        let records = lookup.txt(&self.name).await?;
        if self.is_met_by(&records) {
            return Ok(());
        }
        Err(Unproven::Missing { challenge: self.clone(), found: records.len() })
    }
}

/// A domain is not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The record is not there, or has another value.
    #[error("set the TXT record {} to {:?}; {found} other records stand there", challenge.name, challenge.value)]
    Missing {
        /// What has to stand there.
        challenge: Challenge,
        /// How many records stand there.
        found: usize,
    },
    /// There was no answer.
    #[error(transparent)]
    NoAnswer(#[from] TxtError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::MemoryTxt;

    #[test]
    fn domains_have_one_spelling() {
        for (text, expected) in [
            ("acme.example", "acme.example"),
            (" ACME.Example ", "acme.example"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("a.b-c.example", "a.b-c.example"),
        ] {
            assert_eq!(EmailDomain::parse(text).unwrap().as_str(), expected, "{text}");
        }
        let long = format!("{}.example", "a".repeat(64));
        let deep = "a.".repeat(120) + "example";
        for text in [
            "",
            "example",
            "acme.example.",
            ".example",
            "a..example",
            "ana@acme.example",
            "10.0.0.1",
            "[::1]",
            "0x7f.1",
            "a b.example",
            "-a.example",
            "a-.example",
            "a_b.example",
            "acme.example/x",
            "acme%2eexample",
            &long,
            &deep,
        ] {
            assert!(EmailDomain::parse(text).is_err(), "{text}");
        }
        let of = |address: &str| EmailDomain::of_address(address).map(|domain| domain.to_string());
        assert_eq!(of("ana@acme.example").as_deref(), Some("acme.example"));
        assert_eq!(of("\"a@evil.example\"@acme.example").as_deref(), Some("acme.example"));
        for address in ["@acme.example", "acme.example", "ana@", ""] {
            assert_eq!(of(address), None, "{address}");
        }
    }

    #[tokio::test]
    async fn s23_a_domain_is_proven_by_its_own_token_only() {
        let domain = EmailDomain::parse("acme.example").unwrap();
        let challenge = Challenge::new(&domain, "T0ken");
        assert_eq!(challenge.name, "_rollcall-challenge.acme.example");
        let dns = MemoryTxt::default();
        let set = |values: &[&str]| dns.set(&challenge.name, Ok(values.iter().map(|v| (*v).to_owned()).collect()));
        for values in [
            &[][..],
            &["rollcall-verification="],
            &["rollcall-verification=t0ken"],
            &["rollcall-verification=T0ken2"],
            &["T0ken"],
        ] {
            set(values);
            let error = challenge.check(&dns).await.unwrap_err();
            assert!(error.to_string().contains("_rollcall-challenge.acme.example"), "{error}");
        }
        set(&["v=spf1 -all", " rollcall-verification=T0ken "]);
        assert_eq!(challenge.check(&dns).await, Ok(()));
        assert!(Challenge::new(&domain, "other").check(&dns).await.is_err());
        let other = EmailDomain::parse("sub.acme.example").unwrap();
        assert!(Challenge::new(&other, "T0ken").check(&dns).await.is_err());
        // An empty token is no secret.
        set(&["rollcall-verification="]);
        assert!(Challenge::new(&domain, "").check(&dns).await.is_err());
        dns.set(&challenge.name, Err(TxtError("down".to_owned())));
        assert!(matches!(challenge.check(&dns).await, Err(Unproven::NoAnswer(_))));
    }
}
