//! How people of a connection sign in: the settings with their secrets, sealed at rest.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::{ConnectionId, Timestamp};
use crate::domain::Means;
use crate::sso::oidc::{ClientKey, Credential, OidcSettings};
use crate::sso::saml::{Certificate, IdpSettings, SamlOptions, Service, ServiceKeys};
use crate::sso::{Check, SsoError};
use crate::store::connections::Connection;
use crate::store::{StoreError, sso};

use super::super::core::Core;
use super::super::error::ServiceError;

/// The SAML part of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SamlPart {
    /// The identity provider, from its metadata.
    pub idp: IdpSettings,
    /// What was chosen.
    pub options: SamlOptions,
    /// Our keys.
    pub keys: ServiceKeys,
    /// Where the metadata is read again.
    pub metadata_url: Option<String>,
    /// Who must have signed the metadata; empty: nobody.
    #[serde(default)]
    pub signers: Vec<Certificate>,
    /// Metadata that changes who signs, or names another entity: it waits for an administrator.
    #[serde(default)]
    pub proposed: Option<IdpSettings>,
}

/// The OpenID Connect part of a connection.
#[derive(Clone, Serialize, Deserialize)]
pub struct OidcPart {
    /// What was chosen.
    pub settings: OidcSettings,
    /// The client secret.
    secret: Option<Zeroizing<String>>,
    /// Our key for `private_key_jwt`.
    key: Option<Zeroizing<String>>,
}

impl fmt::Debug for OidcPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcPart").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl OidcPart {
    /// Settings with a secret, a key, or nothing.
    #[must_use]
    pub fn new(settings: OidcSettings, secret: Option<String>, key: Option<String>) -> Self {
        Self { settings, secret: secret.map(Zeroizing::new), key: key.map(Zeroizing::new) }
    }

    /// What proves who we are.
    ///
    /// # Errors
    /// When the stored key cannot be read.
    pub fn credential(&self) -> Result<Credential, SsoError> {
        let secret = |text: &Zeroizing<String>| SecretString::from(text.as_str());
        Ok(match (&self.key, &self.secret) {
            (Some(key), _) => Credential::Key(ClientKey::from_private(secret(key))?),
            (None, Some(text)) => Credential::Secret(secret(text)),
            (None, None) => Credential::Nothing,
        })
    }

    /// Whether a client secret is stored.
    #[must_use]
    pub const fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    pub(super) fn take_secrets(&self) -> (Option<String>, Option<String>) {
        let text = |secret: &Option<Zeroizing<String>>| secret.as_ref().map(|text| text.to_string());
        (text(&self.secret), text(&self.key))
    }
}

/// One way to sign in by a connection.
#[derive(Clone, Debug)]
pub enum Part {
    /// SAML 2.0.
    Saml(Arc<SamlPart>),
    /// OpenID Connect.
    Oidc(Arc<OidcPart>),
}

impl Part {
    /// Which one.
    #[must_use]
    pub const fn means(&self) -> Means {
        match self {
            Self::Saml(_) => Means::Saml,
            Self::Oidc(_) => Means::Oidc,
        }
    }
}

/// Where settings are sealed for.
fn place(connection: ConnectionId, means: Means) -> String {
    format!("sso/settings/{connection}/{means}")
}

impl Core {
    /// The connection of that name, whoever's it is, if it can be signed in by.
    ///
    /// # Errors
    /// [`Check::Configuration`] with what is missing.
    pub(super) async fn sign_on(&self, name: &str, means: Means) -> Result<(Connection, Part), SignOnError> {
        let connection = sso::connection_named(self.store.read(), name).await.map_err(ServiceError::from)?;
        let Some(connection) = connection else { return Err(SignOnError::Unknown) };
        let part = self.part(connection.id, means).await?;
        let refused = |text: &str| SsoError::new(Check::Configuration, text);
        match part {
            None => Err(SignOnError::Unknown),
            Some(_) if !connection.enabled => {
                Err(SignOnError::Refused(Box::new(connection), refused("the connection is disabled")))
            }
            Some(part) => Ok((connection, part)),
        }
    }

    /// One way to sign in by a connection.
    pub async fn part(&self, connection: ConnectionId, means: Means) -> Result<Option<Part>, ServiceError> {
        let epoch = self.store.epoch().await?;
        if let Some(part) = self.caches.part(epoch, connection, means) {
            return Ok(Some(part));
        }
        let found = sso::parts(self.store.read(), connection).await?;
        let Some(row) = found.into_iter().find(|row| row.kind == means.as_str()) else { return Ok(None) };
        let part = self.unseal_part(&row)?;
        self.caches.keep_part(epoch, connection, means, part.clone());
        Ok(Some(part))
    }

    /// All ways to sign in by a connection.
    pub async fn parts_of(&self, connection: ConnectionId) -> Result<Vec<Part>, ServiceError> {
        let found = sso::parts(self.store.read(), connection).await?;
        found.iter().map(|row| self.unseal_part(row)).collect()
    }

    pub(super) fn unseal_part(&self, row: &sso::Part) -> Result<Part, ServiceError> {
        let damaged = |what: String| StoreError::Damaged { table: "sso", what: format!("{}: {what}", row.connection) };
        let means: Means = row.kind.parse().map_err(|_| damaged(format!("kind {}", row.kind)))?;
        let text = self
            .keyring
            .open(&place(row.connection, means), &row.settings)
            .map_err(|error| damaged(error.to_string()))?;
        let read = |error: serde_json::Error| damaged(error.to_string());
        Ok(match means {
            Means::Saml => Part::Saml(Arc::new(serde_json::from_str(&text).map_err(read)?)),
            Means::Oidc => Part::Oidc(Arc::new(serde_json::from_str(&text).map_err(read)?)),
            Means::Password => return Err(damaged("a password is no part of a connection".to_owned()).into()),
        })
    }

    pub(super) fn seal_part(
        &self,
        connection: &Connection,
        part: &Part,
        refresh_at: Option<Timestamp>,
    ) -> Result<sso::Part, ServiceError> {
        let unwritable = |error: serde_json::Error| StoreError::Damaged { table: "sso", what: error.to_string() };
        let text = Zeroizing::new(
            match part {
                Part::Saml(part) => serde_json::to_string(part.as_ref()),
                Part::Oidc(part) => serde_json::to_string(part.as_ref()),
            }
            .map_err(unwritable)?,
        );
        let sealed = self
            .keyring
            .seal(&self.ambient, &place(connection.id, part.means()), &text)
            .map_err(|error| StoreError::Damaged { table: "sso", what: error.to_string() })?;
        Ok(sso::Part {
            connection: connection.id,
            kind: part.means().as_str().to_owned(),
            account: connection.account,
            settings: sealed,
            refresh_at,
            refresh_error: None,
            updated_at: self.ambient.now(),
        })
    }

    /// Our side of a connection by SAML. The entity id is the URL of the metadata.
    #[must_use]
    pub fn saml_service(&self, connection: &str) -> Service {
        let base = format!("{}/sso/saml/{connection}", self.public_url());
        Service {
            entity_id: format!("{base}/metadata"),
            acs_url: format!("{base}/acs"),
            slo_url: format!("{base}/slo"),
        }
    }

    /// Where an OpenID provider sends people back to.
    #[must_use]
    pub fn redirect_uri(&self, connection: &str) -> String {
        format!("{}/sso/oidc/{connection}/callback", self.public_url())
    }

    /// Where an OpenID provider says that sessions end.
    #[must_use]
    pub fn back_channel_logout_uri(&self, connection: &str) -> String {
        format!("{}/sso/oidc/{connection}/backchannel-logout", self.public_url())
    }

    /// Where a sign-in by a connection begins.
    #[must_use]
    pub fn login_url(&self, connection: &str, means: Means) -> String {
        format!("{}/sso/{means}/{connection}/login", self.public_url())
    }
}

/// A connection cannot be signed in by.
#[derive(Debug)]
pub(super) enum SignOnError {
    /// There is none of that name, or it has no such part.
    Unknown,
    /// There is, and it may not be used.
    Refused(Box<Connection>, SsoError),
    /// The database failed.
    Failed(ServiceError),
}

impl From<ServiceError> for SignOnError {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}
