//! Which identity provider a person belongs to (home-realm discovery), and whose an e-mail domain is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::domain::Means;
use crate::sso::{Challenge, EmailDomain};
use crate::store::accounts::Account;
use crate::store::connections::Connection;
use crate::store::sso;
pub use crate::store::sso::Domain;

use super::super::core::Core;
use super::super::error::ServiceError;
use super::setup::invalid;

/// Ways to sign in that are offered at most.
const MOST: u64 = 3;

impl Core {
    /// The ways to sign in of whoever has that name or address: those of the connection whose verified domain it has, or, as
    /// long as no domain says otherwise, of the only connection that there is. Nothing of it depends on whether there is such
    /// a person.
    pub(in crate::service) async fn realm_of(&self, name: &str) -> Result<Vec<(Connection, Means)>, ServiceError> {
        let Some(domain) = EmailDomain::of_address(name) else { return Ok(Vec::new()) };
        if let Some(known) = sso::verified_domain(self.store.read(), domain.as_str()).await? {
            let connection = sso::connection(self.store.read(), known.connection).await?;
            let Some(connection) = connection.filter(|connection| connection.enabled) else { return Ok(Vec::new()) };
            let parts = sso::parts(self.store.read(), connection.id).await?;
            let means = parts.iter().filter_map(|part| part.kind.parse().ok());
            return Ok(means.map(|means| (connection.clone(), means)).collect());
        }
        let enabled = self.sign_on_connections(MOST).await?;
        let Some((first, _)) = enabled.first() else { return Ok(Vec::new()) };
        let is_only = enabled.iter().all(|(connection, _)| connection.id == first.id);
        let verified = sso::domains(self.store.read(), first.id).await?;
        let takes_all = verified.iter().all(|domain| domain.verified_at.is_none());
        Ok(if is_only && takes_all { enabled } else { Vec::new() })
    }
}

impl Core {
    /// The domains of a connection.
    pub async fn domains(&self, connection: &Connection) -> Result<Vec<Domain>, ServiceError> {
        Ok(sso::domains(self.store.read(), connection.id).await?)
    }

    /// Adds a domain to a connection; says which record proves it. One that is there stays.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when it is no domain.
    pub async fn add_domain(
        &self,
        account: &Account,
        connection: &Connection,
        domain: &str,
        actor: &str,
    ) -> Result<(Domain, Challenge), ServiceError> {
        let name = parsed(domain)?;
        let row = Domain {
            connection: connection.id,
            account: account.id,
            domain: name.as_str().to_owned(),
            challenge: URL_SAFE_NO_PAD.encode(self.ambient.bytes::<24>()),
            verified_by: None,
            verified_at: None,
            created_at: self.ambient.now(),
        };
        let event = self.event_of(account, connection, actor, "domain.add", json!({"domain": name.as_str()}));
        self.keep_change(move |change| {
            change.insert_domain(&row);
            change.audit(&event)
        })
        .await?;
        let known = self.domain_of(connection, &name).await?;
        let challenge = Challenge::new(&name, &known.challenge);
        Ok((known, challenge))
    }

    /// Verifies a domain: by its TXT record, or by somebody's word, which is recorded.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] with the record that is missing, [`ServiceError::Taken`] when it is another connection's.
    pub async fn verify_domain(
        &self,
        account: &Account,
        connection: &Connection,
        domain: &str,
        on_word: bool,
        actor: &str,
    ) -> Result<Domain, ServiceError> {
        let name = parsed(domain)?;
        let known = self.domain_of(connection, &name).await?;
        let elsewhere = sso::verified_domain(self.store.read(), name.as_str()).await?;
        if elsewhere.is_some_and(|other| other.connection != connection.id) {
            return Err(ServiceError::Taken(format!(
                "{name} is verified for another connection; remove it there first"
            )));
        }
        if !on_word {
            let lookup = self.sign_on_ports().map_err(invalid)?.txt.as_ref();
            let unproven = |error: crate::sso::Unproven| ServiceError::Invalid(error.to_string());
            Challenge::new(&name, &known.challenge).check(lookup).await.map_err(unproven)?;
        }
        let by = if on_word { actor.to_owned() } else { "dns".to_owned() };
        let (id, at, text) = (connection.id, self.ambient.now(), name.as_str().to_owned());
        let event = self.event_of(account, connection, actor, "domain.verify", json!({"domain": name.as_str()}));
        self.keep_change(move |change| {
            change.verify_domain(id, &text, &by, at);
            change.audit(&event)
        })
        .await?;
        self.domain_of(connection, &name).await
    }

    /// Takes a domain away from a connection.
    ///
    /// # Errors
    /// [`ServiceError::Missing`] when the connection does not have it.
    pub async fn remove_domain(
        &self,
        account: &Account,
        connection: &Connection,
        domain: &str,
        actor: &str,
    ) -> Result<(), ServiceError> {
        let name = parsed(domain)?;
        self.domain_of(connection, &name).await?;
        let event = self.event_of(account, connection, actor, "domain.remove", json!({"domain": name.as_str()}));
        let (id, text) = (connection.id, name.as_str().to_owned());
        self.keep_change(move |change| {
            change.delete_domain(id, &text);
            change.audit(&event)
        })
        .await
    }

    async fn domain_of(&self, connection: &Connection, domain: &EmailDomain) -> Result<Domain, ServiceError> {
        let found = sso::domains(self.store.read(), connection.id).await?;
        found.into_iter().find(|known| known.domain == domain.as_str()).ok_or_else(|| ServiceError::Missing {
            kind: "domain of the connection",
            name: domain.to_string(),
            hint: String::new(),
        })
    }
}

fn parsed(domain: &str) -> Result<EmailDomain, ServiceError> {
    EmailDomain::parse(domain).map_err(|error| ServiceError::Invalid(error.to_string()))
}
