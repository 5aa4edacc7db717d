//! How a connection uses OpenID Connect.

use std::time::Duration;

use openidconnect::core::CoreJwsSigningAlgorithm;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::client_key::ClientKey;
use super::words::{list, refuse, shown};
use crate::net::{Destination, HttpClient};
use crate::sso::{Check, SsoError};

/// The settings of a connection. They hold no secret: that is a [`Credential`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcSettings {
    /// The issuer, exactly as the provider's discovery document spells it. For several Entra tenants the issuer of
    /// `organizations` or `common`, with [`tenants`](Self::tenants).
    pub issuer: String,
    /// The client id that the provider gave us.
    pub client_id: String,
    /// What is asked for; `openid` is always asked for.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Which provider; none: recognised by the issuer.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// How we prove who we are.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// The signatures that are accepted. Empty: RS256, and those of [`Algorithm`] that the provider announces.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// Entra ID: the directories (`tid`) whose people may sign in. Needed when the issuer is for several.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Google: the Workspace domains (`hd`) whose people may sign in. Google needs at least one.
    #[serde(default)]
    pub hosted_domains: Vec<String>,
    /// Which claims say what.
    #[serde(default)]
    pub claims: ClaimNames,
    /// How far the provider's clock may be off, in seconds; at most 180.
    #[serde(default = "default_skew")]
    pub clock_skew_s: u16,
}

/// Which claims say what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimNames {
    /// The subject, from the ID token; none: `sub`, for Entra ID `tid` and `oid`.
    pub subject: Option<String>,
    /// The e-mail address.
    pub email: String,
    /// The groups; none: groups do not come this way, and nobody is refused because they are missing.
    pub groups: Option<String>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { subject: None, email: "email".to_owned(), groups: Some("groups".to_owned()) }
    }
}

/// A provider whose ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Microsoft Entra ID: the key of a person is `tid` and `oid`, the e-mail address is no proof, groups may overflow.
    Entra,
    /// Okta.
    Okta,
    /// Google Workspace: `hd` must be one of ours, since everybody in the world has a Google account.
    Google,
    /// `PingOne` and `PingFederate`.
    Ping,
    /// Keycloak.
    Keycloak,
    /// Any other.
    Generic,
}

/// How we prove to the provider who we are (OpenID Connect Core 1.0 §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// The secret in the way that the provider announces; `client_secret_basic` when it announces both or nothing.
    #[default]
    ClientSecret,
    /// The secret by HTTP Basic authentication.
    ClientSecretBasic,
    /// The secret in the form.
    ClientSecretPost,
    /// A token signed with our key (RFC 7523).
    PrivateKeyJwt,
}

/// What proves who we are. The caller keeps it sealed.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing: a public client, protected by PKCE alone.
    Nothing,
    /// The client secret.
    Secret(SecretString),
    /// Our key, for `private_key_jwt`.
    Key(ClientKey),
}

/// A signature algorithm that may be accepted (RFC 7518 §3.1, RFC 8037). Neither `none` nor a shared secret is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The `alg` of the header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        // RFC 9864 names the curve too, and providers begin to.
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn of_crate(self) -> CoreJwsSigningAlgorithm {
        match self {
            Self::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            Self::Rs384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
            Self::Rs512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
            Self::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
            Self::Ps384 => CoreJwsSigningAlgorithm::RsaSsaPssSha384,
            Self::Ps512 => CoreJwsSigningAlgorithm::RsaSsaPssSha512,
            Self::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            Self::Es384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
            Self::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
        }
    }
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

const fn default_skew() -> u16 {
    60
}

/// The largest clock skew that a connection may allow, in seconds.
const MAX_SKEW_S: u16 = 180;

impl OidcSettings {
    /// The settings of a provider by what it gives a new client.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            scopes: default_scopes(),
            preset: None,
            client_auth: ClientAuth::default(),
            algorithms: Vec::new(),
            tenants: Vec::new(),
            hosted_domains: Vec::new(),
            claims: ClaimNames::default(),
            clock_skew_s: default_skew(),
        }
    }

    /// Which provider it is.
    #[must_use]
    pub fn preset(&self) -> Preset {
        self.preset.unwrap_or_else(|| recognise(&self.issuer))
    }

    /// Checks the settings by themselves: nothing is asked of the provider.
    ///
    /// # Errors
    /// [`Check::Configuration`] with what to set instead.
    pub fn check(&self, destination: Destination) -> Result<(), SsoError> {
        let wrong = |text: String| Err(refuse(Check::Configuration, text));
        let Ok(issuer) = Url::parse(&self.issuer) else {
            return wrong(format!("the issuer {} is not a URL", shown(&self.issuer)));
        };
        if let Err(error) = HttpClient::check(&issuer, destination) {
            return wrong(format!("the issuer {} cannot be used: {error}", shown(&self.issuer)));
        }
        if issuer.query().is_some() || issuer.fragment().is_some() {
            return wrong(format!("the issuer {} has a query or a fragment", shown(&self.issuer)));
        }
        if self.client_id.trim().is_empty() {
            return wrong("the client id is empty".to_owned());
        }
        if self.clock_skew_s > MAX_SKEW_S {
            return wrong(format!(
                "the clock skew is {} s, and at most {MAX_SKEW_S} s are possible",
                self.clock_skew_s
            ));
        }
        match self.preset() {
            Preset::Google if self.hosted_domains.is_empty() => wrong(
                "Google needs hosted_domains, the Workspace domains whose people may sign in: everybody has a Google account"
                    .to_owned(),
            ),
            Preset::Entra if self.is_multi_tenant() && self.tenants.is_empty() => wrong(format!(
                "the issuer {} is for every directory of Entra ID: set tenants, the directory ids whose people may sign in, \
                 or take the issuer of one directory",
                shown(&self.issuer)
            )),
            _ => Ok(()),
        }
    }

    /// Whether the issuer stands for every Entra directory.
    pub(super) fn is_multi_tenant(&self) -> bool {
        let Ok(url) = Url::parse(&self.issuer) else { return false };
        let first = url.path_segments().and_then(|mut segments| segments.next().map(str::to_ascii_lowercase));
        matches!(first.as_deref(), Some("organizations" | "common" | "consumers" | "{tenantid}" | "%7btenantid%7d"))
    }

    /// The Entra directory that the issuer names.
    pub(super) fn tenant_of_issuer(&self) -> Option<String> {
        let url = Url::parse(&self.issuer).ok()?;
        let mut segments = url.path_segments()?;
        segments.find(|segment| segment.len() == 36 && uuid::Uuid::parse_str(segment).is_ok()).map(str::to_owned)
    }

    /// What is accepted, given what the provider announces.
    pub(super) fn accepted_algorithms(&self, announced: &[String]) -> Vec<Algorithm> {
        if !self.algorithms.is_empty() {
            return self.algorithms.clone();
        }
        let announced = announced.iter().filter_map(|name| Algorithm::named(name));
        let mut accepted = vec![Algorithm::Rs256];
        accepted.extend(announced.filter(|algorithm| *algorithm != Algorithm::Rs256));
        accepted
    }

    pub(super) fn skew(&self) -> Duration {
        Duration::from_secs(u64::from(self.clock_skew_s.min(MAX_SKEW_S)))
    }
}

fn recognise(issuer: &str) -> Preset {
    let Ok(url) = Url::parse(issuer) else { return Preset::Generic };
    let Some(Host::Domain(host)) = url.host() else { return by_path(&url) };
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if ["login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn", "sts.windows.net"]
        .contains(&host)
    {
        Preset::Entra
    } else if host == "accounts.google.com" {
        Preset::Google
    } else if ["okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com"].into_iter().any(below) {
        Preset::Okta
    } else if ["pingone.com", "pingone.eu", "pingone.asia", "pingone.ca", "pingone.com.au", "pingidentity.com"]
        .into_iter()
        .any(below)
    {
        Preset::Ping
    } else {
        by_path(&url)
    }
}

fn by_path(url: &Url) -> Preset {
    let is_realm = url.path_segments().is_some_and(|mut segments| segments.any(|segment| segment == "realms"));
    if is_realm { Preset::Keycloak } else { Preset::Generic }
}

pub(super) fn names(algorithms: &[Algorithm]) -> String {
    list(algorithms.iter().map(|algorithm| algorithm.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(issuer: &str) -> OidcSettings {
        OidcSettings::new(issuer, "client")
    }

    #[test]
    fn providers_are_recognised_by_their_issuer() {
        for (issuer, preset) in [
            ("https://login.microsoftonline.com/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0", Preset::Entra),
            ("https://sts.windows.net/9122040d-6c67-4c5b-b112-36a304b66dad/", Preset::Entra),
            ("https://accounts.google.com", Preset::Google),
            ("https://acme.okta.com/oauth2/default", Preset::Okta),
            ("https://auth.pingone.eu/env/as", Preset::Ping),
            ("https://id.example/realms/main", Preset::Keycloak),
            ("https://okta.com.evil.example", Preset::Generic),
            ("https://fakeokta.com", Preset::Generic),
        ] {
            assert_eq!(settings(issuer).preset(), preset, "{issuer}");
        }
    }

    #[test]
    fn s22_what_lets_everybody_in_is_refused_until_it_is_narrowed() {
        let mut google = settings("https://accounts.google.com");
        assert_eq!(google.check(Destination::Public).unwrap_err().check, Check::Configuration);
        google.hosted_domains.push("acme.example".to_owned());
        assert_eq!(google.check(Destination::Public), Ok(()));
        let mut entra = settings("https://login.microsoftonline.com/organizations/v2.0");
        assert_eq!(entra.check(Destination::Public).unwrap_err().check, Check::Configuration);
        entra.tenants.push("9122040d-6c67-4c5b-b112-36a304b66dad".to_owned());
        assert_eq!(entra.check(Destination::Public), Ok(()));
    }

    #[test]
    fn s19_the_accepted_algorithms_never_hold_none_or_a_shared_secret() {
        let announced = ["none", "HS256", "ES256", "RS256", "dir"].map(str::to_owned);
        let accepted = settings("https://id.example").accepted_algorithms(&announced);
        assert_eq!(accepted, [Algorithm::Rs256, Algorithm::Es256]);
        assert!(serde_json::from_str::<Algorithm>(r#""HS256""#).is_err());
        assert!(serde_json::from_str::<Algorithm>(r#""none""#).is_err());
        for algorithm in Algorithm::ALL {
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.name());
        }
    }

    #[test]
    fn settings_are_stored_as_json_and_missing_ones_have_defaults() {
        let short = r#"{"issuer":"https://id.example","client_id":"client"}"#;
        let read: OidcSettings = serde_json::from_str(short).unwrap();
        assert_eq!(read, settings("https://id.example"));
        let back = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<OidcSettings>(&back).unwrap(), read);
    }

    #[test]
    fn an_unusable_issuer_or_skew_is_refused() {
        for issuer in ["id.example", "http://id.example", "https://10.0.0.1", "https://id.example/?a=b"] {
            assert!(settings(issuer).check(Destination::Public).is_err(), "{issuer}");
        }
        let mut slow = settings("https://id.example");
        slow.clock_skew_s = 181;
        assert!(slow.check(Destination::Public).is_err());
    }
}
