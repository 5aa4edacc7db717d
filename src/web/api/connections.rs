//! `/api/v1/connections`

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Answer, Asked, Problem, not_found, read_body_up_to, shown};
use crate::base::Slug;
use crate::domain::{Jit, Means, Role};
use crate::service::ServiceError;
use crate::service::connections::{ClaimMapping, Connection, ConnectionSettings};
use crate::service::sign_in::{MetadataFrom, OidcSetup, SamlSetup, SsoFacts, SsoSetup};
use crate::sso::oidc::{ClientAuth, Preset};

/// The longest body, in bytes: metadata stands in it.
const LONGEST: usize = 1 << 20;

/// The connections of the account.
#[derive(Debug, Serialize, ToSchema)]
struct Connections {
    /// All of them, by name.
    items: Vec<Shown>,
}

/// A connection, with what the identity provider's administrator needs. Secrets are never among it.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Shown {
    id: String,
    name: String,
    /// enabled or disabled.
    state: String,
    /// How its identity provider speaks SCIM.
    dialect: String,
    /// Who becomes a user at sign-in: on, off or provisioned; null: provisioned where SCIM pushes, else on.
    jit: Option<String>,
    /// The roles that rules may give to its people.
    may_grant: Vec<String>,
    /// Where claims hold what; what is missing is looked for under the usual names.
    #[schema(value_type = Object)]
    claims: Value,
    created_at: String,
    /// Where a sign-in begins.
    login_url: Option<String>,
    /// SAML: our entity ID.
    sp_entity_id: Option<String>,
    /// SAML: where responses go.
    acs_url: Option<String>,
    /// SAML: where logouts go.
    slo_url: Option<String>,
    /// SAML: our metadata.
    metadata_url: Option<String>,
    /// SAML: the certificate of our signatures, PEM.
    certificate_pem: Option<String>,
    /// SAML: the certificate to encrypt for, PEM.
    encryption_certificate_pem: Option<String>,
    /// OpenID Connect: where people come back to.
    redirect_uri: Option<String>,
    /// OpenID Connect: where the provider says that sessions end.
    backchannel_logout_uri: Option<String>,
    /// OpenID Connect with `private_key_jwt`: our public keys.
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// What was set of SAML.
    #[schema(value_type = Option<Object>)]
    saml: Option<Value>,
    /// What was set of OpenID Connect.
    #[schema(value_type = Option<Object>)]
    oidc: Option<Value>,
}

impl Shown {
    fn new(connection: &Connection, ways: Vec<(Means, SsoFacts)>) -> Self {
        let mut shown = Self {
            id: connection.id.to_string(),
            name: connection.name.to_string(),
            state: if connection.enabled { "enabled" } else { "disabled" }.to_owned(),
            dialect: connection.dialect.clone(),
            jit: connection.jit.map(|jit| jit.to_string()),
            may_grant: connection.may_grant.iter().map(ToString::to_string).collect(),
            claims: connection.claims.clone(),
            created_at: connection.created_at.to_string(),
            ..Self::default()
        };
        for (means, facts) in ways {
            shown.add(means, facts);
        }
        shown
    }

    /// Adds a way to sign in; the first one is where a sign-in begins.
    fn add(&mut self, means: Means, facts: SsoFacts) {
        self.login_url.get_or_insert(facts.login_url);
        self.sp_entity_id = self.sp_entity_id.take().or(facts.sp_entity_id);
        self.acs_url = self.acs_url.take().or(facts.acs_url);
        self.slo_url = self.slo_url.take().or(facts.slo_url);
        self.metadata_url = self.metadata_url.take().or(facts.metadata_url);
        self.certificate_pem = self.certificate_pem.take().or(facts.certificate_pem);
        self.encryption_certificate_pem = self.encryption_certificate_pem.take().or(facts.encryption_certificate_pem);
        self.redirect_uri = self.redirect_uri.take().or(facts.redirect_uri);
        self.backchannel_logout_uri = self.backchannel_logout_uri.take().or(facts.backchannel_logout_uri);
        self.jwks = self.jwks.take().or(facts.jwks);
        match means {
            Means::Saml => self.saml = Some(facts.settings),
            Means::Oidc => self.oidc = Some(facts.settings),
            Means::Password => {}
        }
    }
}

/// A connection that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// a-z, 0-9 and '-'; unique in the installation, because it stands in URLs.
    name: String,
    #[serde(flatten)]
    settings: Settings,
}

/// A connection that is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Changes {
    #[serde(flatten)]
    settings: Settings,
}

/// What is set of a connection; what is missing stays as it is, or is as usual.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct Settings {
    /// Whether it is in use.
    enabled: Option<bool>,
    /// auto, strict, okta, entra ...
    dialect: Option<String>,
    /// Who becomes a user at sign-in: on, off or provisioned.
    #[schema(value_type = Option<String>)]
    jit: Option<Jit>,
    /// The roles that rules may give: owner, admin, supervisor, agent.
    #[schema(value_type = Option<Vec<String>>)]
    may_grant: Option<Vec<Role>>,
    /// Which claims hold userName, email, givenName, familyName, displayName and groups, each a list.
    #[schema(value_type = Option<Object>)]
    claims: Option<ClaimMapping>,
    /// Sign-in by SAML 2.0; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<Saml>)]
    saml: Given<Saml>,
    /// Sign-in by OpenID Connect; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<Oidc>)]
    oidc: Given<Oidc>,
}

/// A part of a request that may be missing, null, or there.
#[derive(Debug, Default)]
enum Given<T> {
    #[default]
    Missing,
    Null,
    There(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::There))
    }
}

/// Sign-in by SAML 2.0.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Saml {
    /// The identity provider's metadata.
    metadata_xml: Option<String>,
    /// Where it is instead; it is read again every six hours.
    metadata_url: Option<String>,
    /// Take sign-ins that the identity provider begins.
    idp_initiated: Option<bool>,
    /// Refuse assertions that are not encrypted.
    want_encrypted: Option<bool>,
    /// Take AES-CBC in responses that are not signed.
    allow_cbc: Option<bool>,
    /// Take SHA-1 in signatures.
    allow_sha1: Option<bool>,
    /// How far clocks may be apart, in seconds; 180 at most.
    clock_skew: Option<u64>,
    /// The attribute that names people for good; empty: the `NameID`.
    subject_attribute: Option<String>,
    /// The attribute with the e-mail address; empty: the usual names.
    email_attribute: Option<String>,
    /// Ask for a new sign-in each time.
    force_authn: Option<bool>,
    /// The ways of signing in that are asked for, as URIs.
    authn_context: Option<Vec<String>>,
    /// Send requests by POST.
    post_requests: Option<bool>,
    /// Take the metadata that waits for approval.
    #[serde(default)]
    approve_metadata: bool,
}

/// Sign-in by OpenID Connect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Oidc {
    /// As the provider's discovery document spells it.
    issuer: Option<String>,
    client_id: Option<String>,
    /// Never shown again; empty: none.
    client_secret: Option<String>,
    /// `client_secret`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    #[schema(value_type = Option<String>)]
    client_auth: Option<ClientAuth>,
    /// openid, profile and email unless told otherwise.
    scopes: Option<Vec<String>>,
    /// entra, okta, google, ping, keycloak or generic; recognised by the issuer.
    #[schema(value_type = Option<String>)]
    preset: Option<Preset>,
    /// Entra ID: the directories whose people may sign in.
    tenants: Option<Vec<String>>,
    /// Google: the Workspace domains whose people may sign in.
    hosted_domains: Option<Vec<String>>,
}

impl Saml {
    fn setup(self) -> Result<SsoSetup, ServiceError> {
        let metadata = match (self.metadata_xml, self.metadata_url) {
            (Some(_), Some(_)) => {
                return Err(ServiceError::Invalid("give metadata_xml or metadata_url, not both".to_owned()));
            }
            (Some(xml), None) => Some(MetadataFrom::Xml(xml)),
            (None, url) => url.map(MetadataFrom::Url),
        };
        Ok(SsoSetup::Saml(Box::new(SamlSetup {
            metadata,
            idp_initiated: self.idp_initiated,
            want_encrypted: self.want_encrypted,
            allow_cbc: self.allow_cbc,
            allow_sha1: self.allow_sha1,
            skew_s: self.clock_skew,
            subject_attribute: self.subject_attribute,
            email_attribute: self.email_attribute,
            force_authn: self.force_authn,
            authn_context: self.authn_context,
            post_requests: self.post_requests,
        })))
    }
}

impl Oidc {
    fn setup(self) -> SsoSetup {
        SsoSetup::Oidc(Box::new(OidcSetup {
            issuer: self.issuer,
            client_id: self.client_id,
            client_secret: self.client_secret,
            client_auth: self.client_auth,
            scopes: self.scopes,
            preset: self.preset,
            tenants: self.tenants,
            hosted_domains: self.hosted_domains,
        }))
    }
}

impl Settings {
    /// The settings of the connection itself, and the ways to sign in that are set or taken away.
    fn split(self) -> Result<(ConnectionSettings, Vec<Way>), ServiceError> {
        let dialect = match self.dialect {
            Some(dialect) => {
                Some(dialect.parse().map_err(|_| ServiceError::Invalid("dialect is none of ours".to_owned()))?)
            }
            None => None,
        };
        let mut ways = Vec::new();
        match self.saml {
            Given::There(saml) => {
                let approve = saml.approve_metadata;
                ways.push(Way { approve, means: Means::Saml, setup: Some(saml.setup()?) });
            }
            Given::Null => ways.push(Way { approve: false, means: Means::Saml, setup: None }),
            Given::Missing => {}
        }
        match self.oidc {
            Given::There(oidc) => {
                ways.push(Way { approve: false, means: Means::Oidc, setup: Some(oidc.setup()) });
            }
            Given::Null => ways.push(Way { approve: false, means: Means::Oidc, setup: None }),
            Given::Missing => {}
        }
        let settings = ConnectionSettings {
            dialect,
            may_grant: self.may_grant,
            enabled: self.enabled,
            jit: self.jit,
            claims: self.claims,
            ..ConnectionSettings::default()
        };
        Ok((settings, ways))
    }
}

/// A way to sign in that is set, or taken away.
struct Way {
    means: Means,
    setup: Option<SsoSetup>,
    approve: bool,
}

/// Lists the connections of the account.
#[utoipa::path(
    get,
    path = "/api/v1/connections",
    responses(
        (status = 200, body = Connections),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(asked: Asked) -> Answer {
    let account = asked.account().await?;
    let found = asked.core.list_connections(&account).await.map_err(|failure| asked.failed(failure))?;
    let mut items = Vec::with_capacity(found.len());
    for connection in &found {
        items.push(asked.shown(connection).await?);
    }
    Ok(shown(StatusCode::OK, &Connections { items }))
}

/// Makes a connection, with the ways to sign in that are named, together or not at all. Needs a fresh sign-in or a key.
#[utoipa::path(
    post,
    path = "/api/v1/connections",
    request_body = Wanted,
    responses(
        (status = 201, body = Shown),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(asked: Asked, headers: HeaderMap, body: Body) -> Answer {
    let wanted: Wanted = read_body_up_to(LONGEST, &headers, body).await?;
    let account = asked.account().await?;
    let made = async {
        let name: Slug =
            wanted.name.parse().map_err(|error: crate::base::SlugError| ServiceError::Invalid(error.to_string()))?;
        let (settings, ways) = wanted.settings.split()?;
        let setups = ways.into_iter().filter_map(|way| way.setup).collect();
        asked.core.add_connection_with(&account, name, settings, setups, &asked.principal.actor()).await
    };
    let (connection, ways) = made.await.map_err(|failure| asked.failed(failure))?;
    Ok(shown(StatusCode::CREATED, &Shown::new(&connection, ways)))
}

/// Shows a connection, by its id or name.
#[utoipa::path(
    get,
    path = "/api/v1/connections/{id}",
    params(("id" = String, Path, description = "The connection's id or name")),
    responses(
        (status = 200, body = Shown),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn read(asked: Asked, Path(id): Path<String>) -> Answer {
    let connection = asked.connection(&id).await?;
    Ok(shown(StatusCode::OK, &asked.shown(&connection).await?))
}

/// Changes a connection. What is not named stays as it is. Needs a fresh sign-in or a key.
#[utoipa::path(
    patch,
    path = "/api/v1/connections/{id}",
    params(("id" = String, Path, description = "The connection's id or name")),
    request_body = Changes,
    responses(
        (status = 200, body = Shown),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change(asked: Asked, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Answer {
    let Changes { settings } = read_body_up_to(LONGEST, &headers, body).await?;
    let (account, connection) = (asked.account().await?, asked.connection(&id).await?);
    let (settings, ways) = settings.split().map_err(|failure| asked.failed(failure))?;
    let (core, actor) = (&asked.core, asked.principal.actor());
    for way in ways {
        let done = match way.setup {
            Some(_) if way.approve => core.approve_metadata(&account, &connection, &actor).await.map(drop),
            Some(setup) => core.set_sso(&account, &connection, setup, &actor).await.map(drop),
            None => core.remove_sso(&account, &connection, way.means, &actor).await.map(drop),
        };
        done.map_err(|failure| asked.failed(failure))?;
    }
    let changed = core.set_connection(&account, &connection.name, settings).await;
    let connection = changed.map_err(|failure| asked.failed(failure))?;
    Ok(shown(StatusCode::OK, &asked.shown(&connection).await?))
}

/// Deletes a connection: nobody signs in or pushes through it any longer, its tokens and settings go, and its name is free.
/// Its people stay users without a way in; deactivate or delete them first if their workers are to go. Needs a fresh sign-in
/// or a key.
#[utoipa::path(
    delete,
    path = "/api/v1/connections/{id}",
    params(("id" = String, Path, description = "The connection's id or name")),
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(asked: Asked, Path(id): Path<String>) -> Answer {
    let (account, connection) = (asked.account().await?, asked.connection(&id).await?);
    let deleted = asked.core.delete_connection(&account, &connection, &asked.principal.actor()).await;
    deleted.map_err(|failure| asked.failed(failure))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Asked {
    async fn account(&self) -> Result<crate::service::accounts::Account, Response> {
        self.core.account_by_id(self.principal.account).await.map_err(|failure| self.failed(failure))
    }

    /// A connection of the account; one of another account is none.
    async fn connection(&self, id: &str) -> Result<Connection, Response> {
        let account = self.account().await?;
        let found = self.core.list_connections(&account).await.map_err(|failure| self.failed(failure))?;
        let is_it = |connection: &Connection| connection.name.as_str() == id || connection.id.to_string() == id;
        found.into_iter().find(is_it).ok_or_else(|| not_found("connection"))
    }

    async fn shown(&self, connection: &Connection) -> Result<Shown, Response> {
        let ways = self.core.sso_of(connection).await.map_err(|failure| self.failed(failure))?;
        Ok(Shown::new(connection, ways))
    }
}
