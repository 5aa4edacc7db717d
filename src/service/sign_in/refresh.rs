//! Metadata of identity providers, read again from where it came from.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::base::{Causes, EventId, fold};
use crate::domain::Means;
use crate::sso::saml::{Certificate, IdpSettings, ServiceKeys};
use crate::store::accounts::{self, Account};
use crate::store::audit::AuditEvent;
use crate::store::connections::Connection;
use crate::store::{StoreError, sso, sso_links};

use super::super::core::Core;
use super::super::error::ServiceError;
use super::parts::{Part, SamlPart};
use super::saml::blocking;
use super::setup::{MetadataFrom, REFRESH, SsoFacts, invalid};

/// How soon it is tried again after a failure.
const AGAIN: Duration = Duration::from_mins(15);
/// For how long a copy has the metadata to itself while it reads.
const TURN: Duration = Duration::from_mins(1);

/// What reading metadata again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing is new.
    Nothing,
    /// It was taken.
    Taken,
    /// Who signs has changed: an administrator is asked.
    Asks,
}

impl Core {
    /// Reads metadata again that is due, one after the other; says how many.
    pub async fn refresh_metadata(&self) -> Result<u64, ServiceError> {
        let mut refreshed = 0;
        while let Some(row) = self.claim_refresh().await? {
            refreshed += 1;
            let Some(connection) = sso::connection(self.store.read(), row.connection).await? else { continue };
            if let Err(error) = self.refresh_part(&connection, &row).await {
                let text = error.to_string();
                tracing::warn!(
                    connection = %connection.name, error = %Causes(&error),
                    "the metadata of an identity provider cannot be read; sign-ins go on with what is known"
                );
                self.note_refresh(&connection, AGAIN, Some(text)).await?;
            }
        }
        Ok(refreshed)
    }

    async fn claim_refresh(&self) -> Result<Option<sso::Part>, ServiceError> {
        let now = self.ambient.now();
        let claimed: Result<Option<sso::Part>, StoreError> =
            self.store.keep(move |tx| Box::pin(sso::claim_refresh(tx, now, now.after(TURN)))).await;
        Ok(claimed?)
    }

    async fn refresh_part(&self, connection: &Connection, row: &sso::Part) -> Result<(), ServiceError> {
        let Part::Saml(part) = self.unseal_part(row)? else { return Ok(()) };
        let Some(url) = part.metadata_url.clone() else { return Ok(()) };
        let read = self.read_metadata(&MetadataFrom::Url(url)).await.map_err(invalid)?;
        let (changed, news) = changed(&part, read);
        match news {
            News::Nothing => return self.note_refresh(connection, REFRESH, None).await,
            News::Taken => {
                tracing::info!(connection = %connection.name, "the metadata of an identity provider changed");
            }
            News::Asks => tracing::warn!(
                connection = %connection.name,
                "the metadata of an identity provider names other certificates or another entity: look at it with 'rollcall connection \
                 show' and take it with 'rollcall connection set --approve-metadata'"
            ),
        }
        let account = self.account_of(connection).await?;
        let next = Some(self.ambient.now().after(REFRESH));
        let part = Part::Saml(Arc::new(changed));
        self.store_part(&account, connection, &part, next, Some(&row.settings), "metadata").await
    }

    async fn note_refresh(
        &self,
        connection: &Connection,
        after: Duration,
        error: Option<String>,
    ) -> Result<(), ServiceError> {
        let (id, next) = (connection.id, self.ambient.now().after(after));
        self.keep_change(move |change| {
            change.note_refresh(id, Means::Saml.as_str(), next, error.as_deref());
            Ok(())
        })
        .await
    }

    async fn account_of(&self, connection: &Connection) -> Result<Account, ServiceError> {
        let found = accounts::by_id(self.store.read(), connection.account).await?;
        let missing =
            || StoreError::Damaged { table: "connection", what: format!("{} has no account", connection.name) };
        Ok(found.ok_or_else(missing)?)
    }

    /// Takes the metadata that waits for an administrator.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when none waits.
    pub async fn approve_metadata(
        &self,
        account: &Account,
        connection: &Connection,
        actor: &str,
    ) -> Result<SsoFacts, ServiceError> {
        let nothing = || ServiceError::Invalid("no metadata waits for approval".to_owned());
        let Some(Part::Saml(part)) = self.part(connection.id, Means::Saml).await? else { return Err(nothing()) };
        let mut part = SamlPart::clone(&part);
        part.idp = part.proposed.take().ok_or_else(nothing)?;
        let next = part.metadata_url.as_ref().map(|_| self.ambient.now().after(REFRESH));
        let part = Part::Saml(Arc::new(part));
        self.store_part(account, connection, &part, next, None, actor).await?;
        self.sso_facts(connection, &part)
    }

    /// Goes one step on with our own keys: makes the next and announces them in the metadata; then signs with them; then
    /// drops the old ones. Says in words what was done.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the connection has no SAML.
    pub async fn rotate_keys(
        &self,
        account: &Account,
        connection: &Connection,
        step: KeyStep,
        actor: &str,
    ) -> Result<SsoFacts, ServiceError> {
        let none = || ServiceError::Invalid("the connection has no SAML".to_owned());
        let Some(Part::Saml(part)) = self.part(connection.id, Means::Saml).await? else { return Err(none()) };
        let mut part = SamlPart::clone(&part);
        part.keys = self.step_of_keys(part.keys, step).await?;
        let next = part.metadata_url.as_ref().map(|_| self.ambient.now().after(REFRESH));
        let part = Part::Saml(Arc::new(part));
        self.store_part(account, connection, &part, next, None, actor).await?;
        self.sso_facts(connection, &part)
    }

    /// Keys after a step of their rotation.
    pub(in crate::service) async fn step_of_keys(
        &self,
        mut keys: ServiceKeys,
        step: KeyStep,
    ) -> Result<ServiceKeys, ServiceError> {
        let more = keys.all().len() > 1;
        match step {
            KeyStep::Announce => {
                let ambient = self.ambient.clone();
                keys = blocking(move || keys.announce(&ambient).map(|()| keys)).await?.map_err(invalid)?;
            }
            KeyStep::Promote if more => keys.promote(),
            KeyStep::Retire if more => keys.retire(),
            KeyStep::Promote | KeyStep::Retire => {
                return Err(ServiceError::Invalid("there is one key only: announce the next one first".to_owned()));
            }
        }
        Ok(keys)
    }

    /// Forgets which subject a user is linked to: the next sign-in links anew. Says whether there was a link.
    pub async fn unlink(&self, account: &Account, user_name: &str, actor: &str) -> Result<bool, ServiceError> {
        let folded = fold(user_name);
        let found = sso_links::by_user_name(self.store.read(), account.id, &folded).await?;
        let Some((user, connection)) = found else {
            return Err(ServiceError::Missing { kind: "user", name: user_name.to_owned(), hint: String::new() });
        };
        let id: EventId = self.ambient.id();
        let event = AuditEvent {
            id,
            at: self.ambient.now(),
            account: account.id,
            connection,
            actor: actor.to_owned(),
            request: id.to_string(),
            action: "user.unlink",
            target_kind: "user",
            target_id: user.to_string(),
            before: None,
            after: Some(json!({"links": 0})),
        };
        self.store
            .keep(move |tx| {
                let event = event.clone();
                Box::pin(async move {
                    if sso_links::forget(tx, user).await? == 0 {
                        return Ok(false);
                    }
                    let mut change = tx.change();
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(true)
                })
            })
            .await
    }
}

/// A step of the rotation of our keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// Make the next keys, and put them into the metadata.
    Announce,
    /// Sign with them.
    Promote,
    /// Drop the old ones.
    Retire,
}

/// The part with the metadata that was read: taken where the same keys sign for the same entity, or fewer.
fn changed(part: &SamlPart, read: IdpSettings) -> (SamlPart, News) {
    let mut changed = part.clone();
    let keys = |idp: &IdpSettings| idp.certificates.iter().map(Certificate::fingerprint).collect::<BTreeSet<_>>();
    let same_signer = read.entity_id == part.idp.entity_id && keys(&read).is_subset(&keys(&part.idp));
    let vouched_for = !part.signers.is_empty() && read.entity_id == part.idp.entity_id;
    if same_signer || vouched_for {
        let news = if read == part.idp && part.proposed.is_none() { News::Nothing } else { News::Taken };
        (changed.idp, changed.proposed) = (read, None);
        return (changed, news);
    }
    let news = if part.proposed.as_ref() == Some(&read) { News::Nothing } else { News::Asks };
    changed.proposed = Some(read);
    (changed, news)
}
