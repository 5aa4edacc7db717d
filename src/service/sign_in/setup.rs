//! Setting up how people of a connection sign in.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::base::{EventId, Slug, Timestamp};
use crate::domain::Means;
use crate::sso::oidc::{ClientAuth, ClientKey, OidcSettings, Preset};
use crate::sso::saml::{IdpSettings, MetadataPolicy, SamlOptions, ServiceKeys, idp_metadata};
use crate::sso::{Check, SsoError};
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::connections::Connection;
use crate::store::sso;

use super::super::connections::ConnectionSettings;
use super::super::core::Core;
use super::super::error::ServiceError;
use super::parts::{OidcPart, Part, SamlPart};
use super::saml::blocking;

/// How often metadata is read again.
pub(super) const REFRESH: Duration = Duration::from_hours(6);

/// Where the metadata of an identity provider comes from.
#[derive(Clone, Debug)]
pub enum MetadataFrom {
    /// It is here.
    Xml(String),
    /// It is there, and is read again every six hours.
    Url(String),
}

/// What is set of a SAML part; none: as it is, or the default.
#[derive(Clone, Debug, Default)]
pub struct SamlSetup {
    /// The identity provider.
    pub metadata: Option<MetadataFrom>,
    /// Take sign-ins that the identity provider begins.
    pub idp_initiated: Option<bool>,
    /// Refuse assertions that are not encrypted.
    pub want_encrypted: Option<bool>,
    /// Take AES-CBC in unsigned responses.
    pub allow_cbc: Option<bool>,
    /// Take SHA-1.
    pub allow_sha1: Option<bool>,
    /// How far clocks may be apart, in seconds.
    pub skew_s: Option<u64>,
    /// The attribute that names people for good; empty: the `NameID`.
    pub subject_attribute: Option<String>,
    /// The attribute with the e-mail address; empty: the usual names.
    pub email_attribute: Option<String>,
    /// Ask for a new sign-in each time.
    pub force_authn: Option<bool>,
    /// The ways of signing in that are asked for.
    pub authn_context: Option<Vec<String>>,
    /// Send requests by POST.
    pub post_requests: Option<bool>,
}

/// What is set of an OpenID Connect part; none: as it is, or the default.
#[derive(Clone, Debug, Default)]
pub struct OidcSetup {
    /// The issuer.
    pub issuer: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// The client secret; empty: none.
    pub client_secret: Option<String>,
    /// How we prove who we are.
    pub client_auth: Option<ClientAuth>,
    /// What is asked for.
    pub scopes: Option<Vec<String>>,
    /// Which provider it is.
    pub preset: Option<Preset>,
    /// Entra ID: the directories.
    pub tenants: Option<Vec<String>>,
    /// Google: the Workspace domains.
    pub hosted_domains: Option<Vec<String>>,
}

/// What is set.
#[derive(Clone, Debug)]
pub enum SsoSetup {
    /// SAML 2.0.
    Saml(Box<SamlSetup>),
    /// OpenID Connect.
    Oidc(Box<OidcSetup>),
}

/// What the administrator of the identity provider needs, and what was set. No secret is among it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SsoFacts {
    /// Where a sign-in begins.
    pub login_url: String,
    /// SAML: our entity id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sp_entity_id: Option<String>,
    /// SAML: where responses go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acs_url: Option<String>,
    /// SAML: where logouts go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo_url: Option<String>,
    /// SAML: our metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// SAML: the certificate of our signatures (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// SAML: the certificate to encrypt for (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_certificate_pem: Option<String>,
    /// OpenID Connect: where people come back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// OpenID Connect: where the provider says that sessions end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// OpenID Connect with `private_key_jwt`: our keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// What was set.
    pub settings: Value,
}

impl SsoSetup {
    const fn means(&self) -> Means {
        match self {
            Self::Saml(_) => Means::Saml,
            Self::Oidc(_) => Means::Oidc,
        }
    }
}

impl Core {
    /// Sets how people of a connection sign in.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] with what to change.
    pub async fn set_sso(
        &self,
        account: &Account,
        connection: &Connection,
        setup: SsoSetup,
        actor: &str,
    ) -> Result<SsoFacts, ServiceError> {
        let before = self.part(connection.id, setup.means()).await?;
        let (part, refresh_at) = self.prepare_part(before, setup).await?;
        self.store_part(account, connection, &part, refresh_at, None, actor).await?;
        self.sso_facts(connection, &part)
    }

    /// Makes a connection with ways to sign in, together or not at all.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] with what to change, [`ServiceError::Taken`] for the name.
    pub async fn add_connection_with(
        &self,
        account: &Account,
        name: Slug,
        settings: ConnectionSettings,
        setups: Vec<SsoSetup>,
        actor: &str,
    ) -> Result<(Connection, Vec<(Means, SsoFacts)>), ServiceError> {
        let mut parts = Vec::with_capacity(setups.len());
        for setup in setups {
            parts.push(self.prepare_part(None, setup).await?);
        }
        let connection = self.new_connection(account, name, settings);
        let (mut rows, mut facts) = (Vec::new(), Vec::new());
        for (part, refresh_at) in &parts {
            let row = self.seal_part(&connection, part, *refresh_at)?;
            let event = self.event(account, &connection, actor, "connection.sso", part.means(), Some(&shown(part)));
            rows.push((row, event));
            facts.push((part.means(), self.sso_facts(&connection, part)?));
        }
        self.insert_connection(&connection, rows).await?;
        Ok((connection, facts))
    }

    async fn prepare_part(
        &self,
        before: Option<Part>,
        setup: SsoSetup,
    ) -> Result<(Part, Option<Timestamp>), ServiceError> {
        match (setup, before) {
            (SsoSetup::Saml(setup), Some(Part::Saml(before))) => self.saml_part(Some(before), *setup).await,
            (SsoSetup::Saml(setup), _) => self.saml_part(None, *setup).await,
            (SsoSetup::Oidc(setup), Some(Part::Oidc(before))) => {
                Ok((self.oidc_part(Some(before), *setup).await?, None))
            }
            (SsoSetup::Oidc(setup), _) => Ok((self.oidc_part(None, *setup).await?, None)),
        }
    }

    pub(super) async fn store_part(
        &self,
        account: &Account,
        connection: &Connection,
        part: &Part,
        refresh_at: Option<Timestamp>,
        instead_of: Option<&str>,
        actor: &str,
    ) -> Result<(), ServiceError> {
        let row = self.seal_part(connection, part, refresh_at)?;
        let shown = shown(part);
        let event = self.event(account, connection, actor, "connection.sso", part.means(), Some(&shown));
        let instead_of = instead_of.map(str::to_owned);
        self.store
            .configure(move |tx| {
                let (row, event, instead_of) = (row.clone(), event.clone(), instead_of.clone());
                Box::pin(async move {
                    if let Some(before) = &instead_of {
                        let found = sso::parts(tx, row.connection).await?;
                        if !found.iter().any(|part| part.kind == row.kind && part.settings == *before) {
                            // Somebody changed it, or took it away, while the metadata was read.
                            return Ok(());
                        }
                    }
                    let mut change = tx.change();
                    change.set_part(&row);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await
    }

    /// Takes a way to sign in away; says whether there was one.
    pub async fn remove_sso(
        &self,
        account: &Account,
        connection: &Connection,
        means: Means,
        actor: &str,
    ) -> Result<bool, ServiceError> {
        if self.part(connection.id, means).await?.is_none() {
            return Ok(false);
        }
        let event = self.event(account, connection, actor, "connection.sso", means, None);
        let (account, id, at) = (account.id, connection.id, self.ambient.now());
        self.store
            .configure(move |tx| {
                let event = event.clone();
                Box::pin(async move {
                    let mut change = tx.change();
                    change.delete_part(id, means.as_str());
                    change.end_sessions_of_connection(account, id, at);
                    change.audit(&event)?;
                    tx.apply(change).await?;
                    Ok::<_, ServiceError>(())
                })
            })
            .await?;
        Ok(true)
    }

    fn event(
        &self,
        account: &Account,
        connection: &Connection,
        actor: &str,
        action: &'static str,
        means: Means,
        after: Option<&Value>,
    ) -> AuditEvent {
        self.event_of(account, connection, actor, action, json!({"means": means, "settings": after}))
    }

    /// A change of how people of a connection sign in, for the audit trail.
    pub(super) fn event_of(
        &self,
        account: &Account,
        connection: &Connection,
        actor: &str,
        action: &'static str,
        after: Value,
    ) -> AuditEvent {
        let id: EventId = self.ambient.id();
        AuditEvent {
            id,
            at: self.ambient.now(),
            account: account.id,
            connection: Some(connection.id),
            actor: actor.to_owned(),
            request: id.to_string(),
            action,
            target_kind: "connection",
            target_id: connection.id.to_string(),
            before: None,
            after: Some(after),
        }
    }

    async fn saml_part(
        &self,
        before: Option<Arc<SamlPart>>,
        setup: SamlSetup,
    ) -> Result<(Part, Option<Timestamp>), ServiceError> {
        let metadata = match &setup.metadata {
            Some(from) => Some(self.read_metadata(from).await.map_err(invalid)?),
            None => None,
        };
        let url = match &setup.metadata {
            Some(MetadataFrom::Url(url)) => Some(url.clone()),
            Some(MetadataFrom::Xml(_)) => None,
            None => before.as_ref().and_then(|part| part.metadata_url.clone()),
        };
        let mut part = match (before, metadata) {
            (Some(before), idp) => {
                let mut part = SamlPart::clone(&before);
                if let Some(idp) = idp {
                    (part.idp, part.proposed) = (idp, None);
                }
                part
            }
            (None, Some(idp)) => self.new_saml_part(idp).await?,
            (None, None) => return Err(ServiceError::Invalid("give the metadata of the identity provider".to_owned())),
        };
        part.metadata_url = url;
        setup.apply(&mut part.options);
        part.options.validate().map_err(invalid)?;
        let refresh_at = part.metadata_url.as_ref().map(|_| self.ambient.now().after(REFRESH));
        Ok((Part::Saml(Arc::new(part)), refresh_at))
    }

    async fn new_saml_part(&self, idp: IdpSettings) -> Result<SamlPart, ServiceError> {
        let ambient = self.ambient.clone();
        // Making keys takes a tenth of a second.
        let keys = blocking(move || ServiceKeys::generate(&ambient)).await?.map_err(invalid)?;
        let options = SamlOptions::default();
        Ok(SamlPart { idp, options, keys, metadata_url: None, signers: Vec::new(), proposed: None })
    }

    pub(super) async fn read_metadata(&self, from: &MetadataFrom) -> Result<IdpSettings, SsoError> {
        let ports = self.sign_on_ports()?;
        let text = match from {
            MetadataFrom::Xml(text) => text.clone(),
            MetadataFrom::Url(url) => ports.metadata.read(url).await?,
        };
        let (now, loopback_http) = (self.ambient.now(), ports.loopback_http);
        let broke = |_| SsoError::new(Check::Limit, "reading the metadata broke off");
        blocking(move || idp_metadata(&text, &MetadataPolicy { now, signers: &[], loopback_http }))
            .await
            .map_err(broke)?
    }

    async fn oidc_part(&self, before: Option<Arc<OidcPart>>, setup: OidcSetup) -> Result<Part, ServiceError> {
        let needed = |what: Option<String>, name: &str| {
            what.ok_or_else(|| ServiceError::Invalid(format!("give the {name} of the provider")))
        };
        let (mut settings, (mut secret, mut key)) = if let Some(part) = &before {
            (part.settings.clone(), part.take_secrets())
        } else {
            let issuer = needed(setup.issuer.clone(), "issuer")?;
            (OidcSettings::new(&issuer, &needed(setup.client_id.clone(), "client id")?), (None, None))
        };
        let moves = before.is_some() && setup.issuer.as_ref().is_some_and(|issuer| *issuer != settings.issuer);
        if moves {
            // What was given to one provider is never sent to another.
            key = None;
            if secret.take().is_some() && setup.client_secret.is_none() {
                return Err(ServiceError::Invalid(
                    "another issuer needs its own client secret: give it, too".to_owned(),
                ));
            }
        }
        if let Some(given) = setup.client_secret.clone() {
            secret = Some(given.trim().to_owned()).filter(|secret| !secret.is_empty());
        }
        setup.apply(&mut settings);
        let key_is_used = settings.client_auth == ClientAuth::PrivateKeyJwt;
        if key_is_used && key.is_none() {
            let made = blocking(ClientKey::generate).await?.map_err(invalid)?;
            key = Some(made.private().expose_secret().to_owned());
        }
        let part = OidcPart::new(settings, secret, key.filter(|_| key_is_used));
        self.sign_on_ports().map_err(invalid)?.relying_party.check_provider(&part.settings).await.map_err(invalid)?;
        Ok(Part::Oidc(Arc::new(part)))
    }

    /// What the administrator of the identity provider needs.
    pub fn sso_facts(&self, connection: &Connection, part: &Part) -> Result<SsoFacts, ServiceError> {
        let name = connection.name.as_str();
        let facts =
            SsoFacts { login_url: self.login_url(name, part.means()), settings: shown(part), ..SsoFacts::default() };
        Ok(match part {
            Part::Saml(part) => {
                let service = self.saml_service(name);
                let key = part.keys.all().first();
                SsoFacts {
                    metadata_url: Some(service.entity_id.clone()),
                    sp_entity_id: Some(service.entity_id),
                    acs_url: Some(service.acs_url),
                    slo_url: Some(service.slo_url),
                    certificate_pem: key.map(|key| key.signing.certificate().pem()),
                    encryption_certificate_pem: key.map(|key| key.encryption.certificate().pem()),
                    ..facts
                }
            }
            Part::Oidc(part) => {
                let jwks = match part.credential().map_err(invalid)? {
                    crate::sso::oidc::Credential::Key(key) => Some(ClientKey::jwks([&key])),
                    _ => None,
                };
                SsoFacts {
                    redirect_uri: Some(self.redirect_uri(name)),
                    backchannel_logout_uri: Some(self.back_channel_logout_uri(name)),
                    jwks,
                    ..facts
                }
            }
        })
    }

    /// The ways to sign in of a connection, with their facts.
    pub async fn sso_of(&self, connection: &Connection) -> Result<Vec<(Means, SsoFacts)>, ServiceError> {
        let parts = self.parts_of(connection.id).await?;
        parts.iter().map(|part| Ok((part.means(), self.sso_facts(connection, part)?))).collect()
    }

    /// All connections that people can sign in by, at most `limit`.
    pub async fn sign_on_connections(&self, limit: u64) -> Result<Vec<(Connection, Means)>, ServiceError> {
        let found = sso::enabled(self.store.read(), limit).await?;
        Ok(found.into_iter().filter_map(|(connection, kind)| Some((connection, kind.parse().ok()?))).collect())
    }
}

/// The settings without anything secret.
fn shown(part: &Part) -> Value {
    match part {
        Part::Saml(part) => json!({
            "idp_entity_id": part.idp.entity_id,
            "idp_certificates": part.idp.certificates.iter().map(|it| json!({
                "fingerprint": it.fingerprint(), "not_after": it.not_after().to_string()})).collect::<Vec<_>>(),
            "metadata_from": part.metadata_url,
            "waiting_for_approval": part.proposed.as_ref().map(|idp| json!({
                "idp_entity_id": idp.entity_id,
                "idp_certificates": idp.certificates.iter().map(crate::sso::saml::Certificate::fingerprint).collect::<Vec<_>>()})),
            "options": part.options,
        }),
        Part::Oidc(part) => json!({"client": part.settings, "has_secret": part.has_secret()}),
    }
}

impl SamlSetup {
    fn apply(self, options: &mut SamlOptions) {
        use crate::sso::saml::{Binding, SubjectFrom};
        let set = |field: &mut bool, value: Option<bool>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut options.idp_initiated, self.idp_initiated);
        set(&mut options.want_encrypted, self.want_encrypted);
        set(&mut options.allow_cbc, self.allow_cbc);
        set(&mut options.allow_sha1, self.allow_sha1);
        set(&mut options.force_authn, self.force_authn);
        if let Some(skew) = self.skew_s {
            options.skew_s = skew;
        }
        if let Some(name) = self.subject_attribute {
            options.subject = if name.is_empty() { SubjectFrom::NameId } else { SubjectFrom::Attribute(name) };
        }
        if let Some(name) = self.email_attribute {
            options.email_attribute = Some(name).filter(|name| !name.is_empty());
        }
        if let Some(context) = self.authn_context {
            options.authn_context = context;
        }
        if let Some(post) = self.post_requests {
            options.request_binding = if post { Binding::Post } else { Binding::Redirect };
        }
    }
}

impl OidcSetup {
    fn apply(self, settings: &mut OidcSettings) {
        if let Some(issuer) = self.issuer {
            settings.issuer = issuer;
        }
        if let Some(id) = self.client_id {
            settings.client_id = id;
        }
        if let Some(auth) = self.client_auth {
            settings.client_auth = auth;
        }
        if let Some(scopes) = self.scopes {
            settings.scopes = scopes;
        }
        if self.preset.is_some() {
            settings.preset = self.preset;
        }
        if let Some(tenants) = self.tenants {
            settings.tenants = tenants;
        }
        if let Some(domains) = self.hosted_domains {
            settings.hosted_domains = domains;
        }
    }
}

pub(in crate::service) fn invalid(error: SsoError) -> ServiceError {
    ServiceError::Invalid(error.detail)
}
