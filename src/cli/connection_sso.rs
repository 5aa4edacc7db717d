//! The arguments of `rollcall connection` that are about signing in.

use std::error::Error;

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;
use url::Url;

use super::secret_file::SecretFile;
use crate::access::ClaimMapping;
use crate::domain::{Jit, Means};
use crate::service::Core;
use crate::service::sign_in::{KeyStep, MetadataFrom, OidcSetup, SamlSetup, SsoFacts, SsoSetup};
use crate::sso::oidc::{ClientAuth, Preset};
use crate::store::accounts::Account;
use crate::store::connections::Connection;

/// What a command ends with when it cannot go on.
type Failure = Box<dyn Error + Send + Sync>;

/// The largest metadata file, in bytes.
const LARGEST: u64 = 2 << 20;

/// How people of the connection sign in.
#[derive(Clone, Debug, Default, Args)]
pub struct SsoArgs {
    /// Who becomes a user at sign-in: on, off (who is one already signs in), or provisioned (only whom SCIM provisioned)
    ///
    /// Unless told otherwise: provisioned where SCIM pushes (the connection has a token), on where it does not.
    #[arg(long, value_name = "WHO", group = "change")]
    pub jit: Option<Jit>,
    /// A part of the person and the claim that holds it, as in userName=employeeId; with several claims the first that is there
    ///
    /// The parts are userName, email, givenName, familyName, displayName and groups. "userName=" takes the usual names again.
    #[arg(long = "claim", value_name = "PART=CLAIM,...", group = "change")]
    pub claims: Vec<String>,
    /// SAML: the identity provider's metadata, a file or an https URL; a URL is read again every six hours
    #[arg(long, value_name = "FILE_OR_URL", group = "change", group = "saml")]
    pub saml_metadata: Option<String>,
    /// SAML: take sign-ins that the identity provider begins (its tile)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", group = "change", group = "saml")]
    pub idp_initiated: Option<bool>,
    /// SAML: refuse assertions that are not encrypted
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", group = "change", group = "saml")]
    pub want_encrypted: Option<bool>,
    /// SAML: take AES-CBC in responses that are not signed, which lets whoever can send responses try out what they decrypt to
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", group = "change", group = "saml")]
    pub allow_cbc: Option<bool>,
    /// SAML: ask for a new sign-in each time
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", group = "change", group = "saml")]
    pub force_authn: Option<bool>,
    /// SAML: how far clocks may be apart, in seconds (60 unless told otherwise, 180 at most)
    #[arg(long, value_name = "SECONDS", group = "change", group = "saml")]
    pub clock_skew: Option<u64>,
    /// SAML: the attribute that names people for good, instead of the NameID
    #[arg(long, value_name = "NAME", group = "change", group = "saml")]
    pub subject_attribute: Option<String>,
    /// SAML: the attribute with the e-mail address, instead of the usual names
    #[arg(long, value_name = "NAME", group = "change", group = "saml")]
    pub email_attribute: Option<String>,
    /// SAML: the ways of signing in that are asked for, as URIs
    #[arg(long, value_name = "URI,...", value_delimiter = ',', group = "change", group = "saml")]
    pub authn_context: Option<Vec<String>>,
    /// SAML: send requests by POST instead of a redirect
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", group = "change", group = "saml")]
    pub post_requests: Option<bool>,
    /// OpenID Connect: the issuer, as the provider's discovery document spells it
    #[arg(long, value_name = "URL", group = "change", group = "oidc", conflicts_with = "saml")]
    pub oidc_issuer: Option<String>,
    /// OpenID Connect: the client id
    #[arg(long, value_name = "ID", group = "change", group = "oidc", conflicts_with = "saml")]
    pub client_id: Option<String>,
    /// OpenID Connect: a file with the client secret; "-" reads it from standard input
    #[arg(long, value_name = "FILE", group = "change", group = "oidc", conflicts_with = "saml")]
    pub client_secret_file: Option<SecretFile>,
    /// OpenID Connect: how we show who we are
    #[arg(long, value_name = "WAY", group = "change", group = "oidc", conflicts_with = "saml")]
    pub client_auth: Option<AuthArg>,
    /// OpenID Connect: what is asked for (openid, profile and email unless told otherwise)
    #[arg(
        long,
        value_name = "SCOPE,...",
        value_delimiter = ',',
        group = "change",
        group = "oidc",
        conflicts_with = "saml"
    )]
    pub scopes: Option<Vec<String>>,
    /// OpenID Connect: which provider it is; recognised by the issuer unless told
    #[arg(long, value_name = "PROVIDER", group = "change", group = "oidc", conflicts_with = "saml")]
    pub preset: Option<PresetArg>,
    /// OpenID Connect with Entra ID for several tenants: the directories whose people may sign in
    #[arg(
        long,
        value_name = "ID,...",
        value_delimiter = ',',
        group = "change",
        group = "oidc",
        conflicts_with = "saml"
    )]
    pub tenants: Option<Vec<String>>,
    /// OpenID Connect with Google: the Workspace domains whose people may sign in
    #[arg(
        long,
        value_name = "DOMAIN,...",
        value_delimiter = ',',
        group = "change",
        group = "oidc",
        conflicts_with = "saml"
    )]
    pub hosted_domains: Option<Vec<String>>,
}

/// What is done to how people of a connection sign in.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct SsoSteps {
    /// SAML: take the metadata that waits because it names other certificates or another entity
    #[arg(long, group = "change")]
    pub approve_metadata: bool,
    /// SAML: go a step on with our own keys: announce the next ones in our metadata, sign with them, drop the old ones
    #[arg(long, value_name = "STEP", group = "change")]
    pub keys: Option<KeysArg>,
    /// Take sign-in by SAML away
    #[arg(long, group = "change", conflicts_with = "saml")]
    pub no_saml: bool,
    /// Take sign-in by OpenID Connect away
    #[arg(long, group = "change", conflicts_with = "oidc")]
    pub no_oidc: bool,
}

/// A step with our own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeysArg {
    /// Make the next ones, and put them into our metadata
    Announce,
    /// Sign with them, once the identity provider has read the metadata
    Promote,
    /// Drop the old ones
    Retire,
}

impl From<KeysArg> for KeyStep {
    fn from(step: KeysArg) -> Self {
        match step {
            KeysArg::Announce => Self::Announce,
            KeysArg::Promote => Self::Promote,
            KeysArg::Retire => Self::Retire,
        }
    }
}

impl SsoSteps {
    /// Does them; the facts of SAML if they changed.
    ///
    /// # Errors
    /// When there is nothing to do it to.
    pub async fn run(
        self,
        core: &Core,
        account: &Account,
        connection: &Connection,
        actor: &str,
    ) -> Result<Option<SsoFacts>, Failure> {
        let mut facts = None;
        if self.approve_metadata {
            facts = Some(core.approve_metadata(account, connection, actor).await?);
        }
        if let Some(step) = self.keys {
            facts = Some(core.rotate_keys(account, connection, step.into(), actor).await?);
        }
        for (wanted, means) in [(self.no_saml, Means::Saml), (self.no_oidc, Means::Oidc)] {
            if wanted && !core.remove_sso(account, connection, means, actor).await? {
                return Err(format!("the connection has no sign-in by {means}").into());
            }
        }
        Ok(facts)
    }
}

/// How we show a provider who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthArg {
    /// The secret, in the way that the provider announces
    ClientSecret,
    /// The secret by HTTP Basic authentication
    ClientSecretBasic,
    /// The secret in the form
    ClientSecretPost,
    /// A token signed with a key that is made here
    PrivateKeyJwt,
}

/// A provider whose ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetArg {
    /// Microsoft Entra ID
    Entra,
    /// Okta
    Okta,
    /// Google Workspace
    Google,
    /// `PingOne` and `PingFederate`
    Ping,
    /// Keycloak
    Keycloak,
    /// Any other
    Generic,
}

impl From<AuthArg> for ClientAuth {
    fn from(auth: AuthArg) -> Self {
        match auth {
            AuthArg::ClientSecret => Self::ClientSecret,
            AuthArg::ClientSecretBasic => Self::ClientSecretBasic,
            AuthArg::ClientSecretPost => Self::ClientSecretPost,
            AuthArg::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

impl From<PresetArg> for Preset {
    fn from(preset: PresetArg) -> Self {
        match preset {
            PresetArg::Entra => Self::Entra,
            PresetArg::Okta => Self::Okta,
            PresetArg::Google => Self::Google,
            PresetArg::Ping => Self::Ping,
            PresetArg::Keycloak => Self::Keycloak,
            PresetArg::Generic => Self::Generic,
        }
    }
}

impl SsoArgs {
    /// What is set of a way to sign in; none: nothing.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn setup(&self) -> Result<Option<SsoSetup>, Failure> {
        if self.names_saml() {
            return Ok(Some(SsoSetup::Saml(Box::new(self.saml()?))));
        }
        if self.names_oidc() {
            return Ok(Some(SsoSetup::Oidc(Box::new(self.oidc()?))));
        }
        Ok(None)
    }

    fn names_saml(&self) -> bool {
        self.saml_metadata.is_some()
            || self.idp_initiated.is_some()
            || self.want_encrypted.is_some()
            || self.allow_cbc.is_some()
            || self.force_authn.is_some()
            || self.clock_skew.is_some()
            || self.subject_attribute.is_some()
            || self.email_attribute.is_some()
            || self.authn_context.is_some()
            || self.post_requests.is_some()
    }

    fn names_oidc(&self) -> bool {
        self.oidc_issuer.is_some()
            || self.client_id.is_some()
            || self.client_secret_file.is_some()
            || self.client_auth.is_some()
            || self.scopes.is_some()
            || self.preset.is_some()
            || self.tenants.is_some()
            || self.hosted_domains.is_some()
    }

    fn saml(&self) -> Result<SamlSetup, Failure> {
        Ok(SamlSetup {
            metadata: self.saml_metadata.as_deref().map(metadata).transpose()?,
            idp_initiated: self.idp_initiated,
            want_encrypted: self.want_encrypted,
            allow_cbc: self.allow_cbc,
            allow_sha1: None,
            skew_s: self.clock_skew,
            subject_attribute: self.subject_attribute.clone(),
            email_attribute: self.email_attribute.clone(),
            force_authn: self.force_authn,
            authn_context: self.authn_context.clone(),
            post_requests: self.post_requests,
        })
    }

    fn oidc(&self) -> Result<OidcSetup, Failure> {
        let secret = self.client_secret_file.as_ref().map(SecretFile::read).transpose()?;
        Ok(OidcSetup {
            issuer: self.oidc_issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: secret.map(|secret| secret.expose_secret().to_owned()),
            client_auth: self.client_auth.map(Into::into),
            scopes: self.scopes.clone(),
            preset: self.preset.map(Into::into),
            tenants: self.tenants.clone(),
            hosted_domains: self.hosted_domains.clone(),
        })
    }

    /// Where claims hold what, changed from what it was; none: as it was.
    ///
    /// # Errors
    /// When a part has no such name.
    pub fn mapping(&self, before: &ClaimMapping) -> Result<Option<ClaimMapping>, Failure> {
        if self.claims.is_empty() {
            return Ok(None);
        }
        let mut mapping = before.clone();
        for pair in &self.claims {
            let (part, names) =
                pair.split_once('=').ok_or_else(|| Failure::from(format!("'{pair}' is not PART=CLAIM")))?;
            let names: Vec<String> =
                names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let field = match part.trim() {
                "userName" => &mut mapping.user_name,
                "email" => &mut mapping.email,
                "givenName" => &mut mapping.given_name,
                "familyName" => &mut mapping.family_name,
                "displayName" => &mut mapping.display_name,
                "groups" => &mut mapping.groups,
                other => {
                    let parts = "userName, email, givenName, familyName, displayName or groups";
                    return Err(Failure::from(format!("'{other}' is no part of a person: use {parts}")));
                }
            };
            *field = names;
        }
        Ok(Some(mapping))
    }
}

/// A URL, or the text of a file.
fn metadata(from: &str) -> Result<MetadataFrom, Failure> {
    if Url::parse(from).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(MetadataFrom::Url(from.to_owned()));
    }
    let unreadable = |error: std::io::Error| Failure::from(format!("{from} cannot be read: {error}"));
    let length = std::fs::metadata(from).map_err(unreadable)?.len();
    if length > LARGEST {
        return Err(Failure::from(format!(
            "{from} is larger than {LARGEST} bytes, which no metadata of one identity provider is"
        )));
    }
    Ok(MetadataFrom::Xml(std::fs::read_to_string(from).map_err(unreadable)?))
}

/// What the administrator of the identity provider needs, a line each.
#[must_use]
pub fn facts(facts: &SsoFacts) -> String {
    let rows = [
        ("sign-in begins at", Some(facts.login_url.as_str())),
        ("SP entity ID", facts.sp_entity_id.as_deref()),
        ("ACS URL", facts.acs_url.as_deref()),
        ("single logout URL", facts.slo_url.as_deref()),
        ("SP metadata", facts.metadata_url.as_deref()),
        ("redirect URI", facts.redirect_uri.as_deref()),
        ("back-channel logout URI", facts.backchannel_logout_uri.as_deref()),
    ];
    let lines = rows.iter().filter_map(|(name, value)| value.map(|value| format!("{name:<24}{value}")));
    lines.collect::<Vec<_>>().join("\n")
}
