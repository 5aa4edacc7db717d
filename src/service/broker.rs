//! The broker: Rollcall as the identity provider of Flex, so that the role that the rules give is the role that Flex gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::base::{AccountId, EventId, Timestamp};
use crate::domain::{Means, Role};
use crate::sso::saml::{
    Broker, Incoming, Outgoing, Relying, ServiceKeys, SignInAsked, Told, broker_metadata, issue, read_authn_request,
};
use crate::sso::{NameId, SsoError};
use crate::store::accounts::Account;
use crate::store::audit::AuditEvent;
use crate::store::{StoreError, broker};

use super::core::Core;
use super::error::ServiceError;
use super::principal::Principal;
use super::sign_in::{KeyStep, blocking, invalid};
use super::sign_ins::{Attempt, Origin, Outcome};

/// What Flex is always told.
const ALWAYS: [&str; 3] = ["roles", "full_name", "email"];
/// For how long a request of Flex waits for the person to sign in, in milliseconds.
const PATIENCE: i64 = 10 * 60 * 1_000;

/// What an account tells Flex, with our keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Settings {
    relying: Relying,
    keys: ServiceKeys,
    /// More claims: their names, and the worker attributes that they hold.
    claims: BTreeMap<String, String>,
}

/// What is set of the broker; none: as it is.
#[derive(Clone, Debug, Default)]
pub struct BrokerSetup {
    /// Flex's entity id.
    pub entity_id: Option<String>,
    /// Where Flex takes assertions.
    pub acs_url: Option<String>,
    /// More claims: names, and the worker attributes that they hold.
    pub claims: Option<BTreeMap<String, String>>,
}

/// What the administrator of Flex needs, and what was set.
#[derive(Clone, Debug, Serialize)]
pub struct BrokerFacts {
    /// Our entity id.
    pub entity_id: String,
    /// Where Flex sends people.
    pub sso_url: String,
    /// Our metadata.
    pub metadata_url: String,
    /// Where the tile of a portal leads.
    pub tile_url: String,
    /// The certificate of our signatures (PEM).
    pub certificate_pem: String,
    /// Flex's entity id.
    pub flex_entity_id: String,
    /// Where Flex takes assertions.
    pub flex_acs_url: String,
    /// More claims.
    pub claims: BTreeMap<String, String>,
}

/// A request of Flex that waits until the person is signed in. It travels with the person, sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    account: AccountId,
    id: String,
    relay_state: Option<String>,
    force_authn: bool,
    at: i64,
}

/// What came of a person's wish to go to Flex.
#[derive(Debug)]
pub enum ToFlex {
    /// Let the browser carry this.
    Carry(Outgoing),
    /// The person has to prove first who they are: Flex asks for it.
    StepUp,
    /// The request is not one of Flex, or is too old.
    Refused,
    /// The account tells Flex nothing.
    Unknown,
}

impl Core {
    fn broker_of(&self, account: &str) -> Broker {
        let base = format!("{}/sso/flex/{account}", self.public_url());
        Broker { entity_id: format!("{base}/metadata"), sso_url: format!("{base}/login") }
    }

    async fn broker_settings(&self, account: AccountId) -> Result<Option<Settings>, ServiceError> {
        let Some(sealed) = broker::of_account(self.store.read(), account).await? else { return Ok(None) };
        let damaged = |what: String| StoreError::Damaged { table: "broker", what };
        let text = self.keyring.open(&place(account), &sealed).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?))
    }

    async fn keep_broker(&self, account: &Account, settings: &Settings, actor: &str) -> Result<(), ServiceError> {
        let damaged = |what: String| StoreError::Damaged { table: "broker", what };
        let text = Zeroizing::new(serde_json::to_string(settings).map_err(|error| damaged(error.to_string()))?);
        let sealed = self.keyring.seal(&self.ambient, &place(account.id), &text);
        let sealed = sealed.map_err(|error| damaged(error.to_string()))?;
        let shown = json!({"entity_id": settings.relying.entity_id, "acs_url": settings.relying.acs_url, "claims": settings.claims});
        self.write_broker(account, Some(sealed), shown, actor).await
    }

    async fn write_broker(
        &self,
        account: &Account,
        sealed: Option<String>,
        shown: Value,
        actor: &str,
    ) -> Result<(), ServiceError> {
        let (account, at, id): (_, _, EventId) = (account.id, self.ambient.now(), self.ambient.id());
        let event = AuditEvent {
            id,
            at,
            account,
            connection: None,
            actor: actor.to_owned(),
            request: id.to_string(),
            action: "broker.set",
            target_kind: "account",
            target_id: account.to_string(),
            before: None,
            after: Some(shown),
        };
        self.keep_change(move |change| {
            match &sealed {
                Some(sealed) => change.set_broker(account, sealed, at),
                None => change.delete_broker(account),
            }
            change.audit(&event)
        })
        .await
    }

    /// Sets what an account tells Flex. The first time, entity id and ACS URL are needed, and keys are made.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] with what is missing.
    pub async fn set_broker(
        &self,
        account: &Account,
        setup: BrokerSetup,
        actor: &str,
    ) -> Result<BrokerFacts, ServiceError> {
        let needed = |what: Option<String>, name: &str| {
            what.ok_or_else(|| ServiceError::Invalid(format!("give Flex's {name}: its SSO page shows it")))
        };
        let mut settings = if let Some(settings) = self.broker_settings(account.id).await? {
            settings
        } else {
            let entity_id = needed(setup.entity_id.clone(), "entity ID")?;
            let acs_url = needed(setup.acs_url.clone(), "ACS URL")?;
            let ambient = self.ambient.clone();
            let keys = blocking(move || ServiceKeys::generate(&ambient)).await?.map_err(invalid)?;
            let relying = Relying { entity_id, acs_url, certificates: Vec::new(), require_signed: false };
            Settings { relying, keys, claims: BTreeMap::new() }
        };
        settings.relying.entity_id = setup.entity_id.unwrap_or(settings.relying.entity_id);
        settings.relying.acs_url = setup.acs_url.unwrap_or(settings.relying.acs_url);
        settings.claims = setup.claims.unwrap_or(settings.claims);
        check(&settings)?;
        self.keep_broker(account, &settings, actor).await?;
        self.facts_of(account, &settings)
    }

    /// What an account tells Flex.
    pub async fn broker_facts(&self, account: &Account) -> Result<Option<BrokerFacts>, ServiceError> {
        let settings = self.broker_settings(account.id).await?;
        settings.map(|settings| self.facts_of(account, &settings)).transpose()
    }

    /// Tells Flex nothing any longer; says whether it was told anything.
    pub async fn remove_broker(&self, account: &Account, actor: &str) -> Result<bool, ServiceError> {
        if self.broker_settings(account.id).await?.is_none() {
            return Ok(false);
        }
        self.write_broker(account, None, Value::Null, actor).await?;
        Ok(true)
    }

    /// Goes a step on with the keys that sign for Flex.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when there is nothing to do it to.
    pub async fn rotate_broker_keys(
        &self,
        account: &Account,
        step: KeyStep,
        actor: &str,
    ) -> Result<BrokerFacts, ServiceError> {
        let none = || ServiceError::Invalid("the account tells Flex nothing".to_owned());
        let mut settings = self.broker_settings(account.id).await?.ok_or_else(none)?;
        settings.keys = self.step_of_keys(settings.keys, step).await?;
        self.keep_broker(account, &settings, actor).await?;
        self.facts_of(account, &settings)
    }

    fn facts_of(&self, account: &Account, settings: &Settings) -> Result<BrokerFacts, ServiceError> {
        let broker = self.broker_of(account.name.as_str());
        Ok(BrokerFacts {
            metadata_url: broker.entity_id.clone(),
            entity_id: broker.entity_id,
            sso_url: broker.sso_url,
            tile_url: format!("{}/flex", self.public_url()),
            certificate_pem: settings.keys.signing().map_err(invalid)?.certificate().pem(),
            flex_entity_id: settings.relying.entity_id.clone(),
            flex_acs_url: settings.relying.acs_url.clone(),
            claims: settings.claims.clone(),
        })
    }

    /// Our metadata for Flex; none: the account tells Flex nothing.
    pub async fn broker_metadata(&self, account: &str) -> Result<Option<String>, ServiceError> {
        let Some(found) = self.account_of_url(account).await? else { return Ok(None) };
        let settings = self.broker_settings(found.id).await?;
        Ok(settings.map(|settings| broker_metadata(&self.broker_of(account), &settings.keys)))
    }

    async fn account_of_url(&self, name: &str) -> Result<Option<Account>, ServiceError> {
        let Ok(name) = name.parse() else { return Ok(None) };
        match self.account(&name).await {
            Ok(account) => Ok(Some(account)),
            Err(ServiceError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a request of Flex; gives what the person takes along until they are signed in.
    ///
    /// # Errors
    /// Inside: why the request is refused.
    pub async fn asked_by_flex(
        &self,
        account: &str,
        message: super::sign_in::LogoutMessage,
        origin: &Origin,
    ) -> Result<Option<Result<String, SsoError>>, ServiceError> {
        let Some(found) = self.account_of_url(account).await? else { return Ok(None) };
        let Some(settings) = self.broker_settings(found.id).await? else { return Ok(None) };
        let (broker, now) = (self.broker_of(account), self.ambient.now());
        let read = blocking(move || {
            let incoming: Incoming<'_> = message.incoming();
            read_authn_request(&incoming, &broker, &settings.relying, now)
        });
        let asked = match read.await? {
            Ok(asked) => asked,
            Err(error) => {
                let attempt =
                    Attempt { account: Some(found.id), ..Attempt::new("flex", Outcome::Refused).refused_by(&error) };
                self.record_sign_in(attempt, origin).await?;
                return Ok(Some(Err(error)));
            }
        };
        let SignInAsked { id, relay_state, force_authn, .. } = asked;
        let waiting = Waiting { account: found.id, id, relay_state, force_authn, at: now.millis() };
        let damaged = |what: String| StoreError::Damaged { table: "broker", what };
        let text = serde_json::to_string(&waiting).map_err(|error| damaged(error.to_string()))?;
        let sealed = self.keyring.seal(&self.ambient, WAITING, &text).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(Ok(sealed)))
    }

    /// Sends a person who is signed in, and has access now, to Flex.
    pub async fn to_flex(&self, principal: &Principal, waiting: Option<&str>) -> Result<ToFlex, ServiceError> {
        let Some(settings) = self.broker_settings(principal.account).await? else { return Ok(ToFlex::Unknown) };
        let Some(session) = principal.session() else { return Ok(ToFlex::Refused) };
        let now = self.ambient.now();
        let asked = match waiting.map(|waiting| self.read_waiting(waiting, principal.account, now)) {
            Some(None) => return Ok(ToFlex::Refused),
            Some(Some(waiting)) => Some(waiting),
            None => None,
        };
        let forced = asked.as_ref().is_some_and(|asked| asked.force_authn);
        if forced && asked.as_ref().is_some_and(|asked| session.times.authenticated_at.millis() < asked.at) {
            return Ok(ToFlex::StepUp);
        }
        let Some(attributes) = self.told(principal, &settings.claims).await? else { return Ok(ToFlex::Refused) };
        let Some(person) = &principal.person else { return Ok(ToFlex::Refused) };
        let told = Told {
            name_id: NameId {
                value: person.user_name.clone(),
                format: Some("urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified".to_owned()),
                name_qualifier: None,
                sp_name_qualifier: None,
            },
            attributes,
            session: session.id.to_string(),
            authenticated_at: session.times.authenticated_at,
            context: (session.means == Means::Password)
                .then(|| "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport".to_owned()),
        };
        let (broker, ambient) = (self.broker_of(&principal.account_name), self.ambient.clone());
        let asked = asked.map(|asked| SignInAsked {
            id: asked.id,
            relay_state: asked.relay_state,
            force_authn: asked.force_authn,
            passive: false,
        });
        let settings = Arc::new(settings);
        let issued =
            blocking(move || issue(&broker, &settings.relying, &settings.keys, &told, asked.as_ref(), None, &ambient));
        Ok(ToFlex::Carry(issued.await?.map_err(invalid)?))
    }

    fn read_waiting(&self, waiting: &str, account: AccountId, now: Timestamp) -> Option<Waiting> {
        let text = self.keyring.open(WAITING, waiting).ok()?;
        let waiting: Waiting = serde_json::from_str(&text).ok()?;
        let fresh = now.millis().saturating_sub(waiting.at) <= PATIENCE;
        (waiting.account == account && fresh).then_some(waiting)
    }

    /// What Flex is told of somebody: what the worker gets. Local accounts have no worker; they are told what their role is.
    async fn told(
        &self,
        principal: &Principal,
        claims: &BTreeMap<String, String>,
    ) -> Result<Option<Vec<(String, Vec<String>)>>, ServiceError> {
        let Some(person) = &principal.person else { return Ok(None) };
        let session = principal.session();
        let attributes = match session.and_then(|session| session.connection) {
            Some(home) => {
                let entitled = self.by_rules_now(principal.account, home, person.user).await?;
                match entitled.and_then(|entitled| entitled.desired) {
                    Some(desired) => desired.attributes,
                    None => return Ok(None),
                }
            }
            None => local(principal.role, person.full_name.as_deref(), person.email.as_deref()),
        };
        let always = ALWAYS.iter().map(|name| ((*name).to_owned(), (*name).to_owned()));
        let wanted = always.chain(claims.iter().map(|(name, attribute)| (name.clone(), attribute.clone())));
        let value = |(name, attribute): (String, String)| {
            let values = texts(attributes.get(&attribute)?);
            (!values.is_empty()).then_some((name, values))
        };
        Ok(Some(wanted.filter_map(value).collect()))
    }
}

/// Where the settings of an account are sealed for.
fn place(account: AccountId) -> String {
    format!("broker/settings/{account}")
}

/// What requests that wait are sealed for.
const WAITING: &str = "broker/waiting";

fn check(settings: &Settings) -> Result<(), ServiceError> {
    let wrong = |text: &str| Err(ServiceError::Invalid(text.to_owned()));
    let Relying { entity_id, acs_url, .. } = &settings.relying;
    if entity_id.trim().is_empty() {
        return wrong("Flex's entity ID is empty");
    }
    if !url::Url::parse(acs_url).is_ok_and(|url| url.scheme() == "https" || url.host_str() == Some("127.0.0.1")) {
        return wrong("Flex's ACS URL is no https URL");
    }
    match settings.claims.keys().find(|name| ALWAYS.contains(&name.as_str())) {
        Some(name) => {
            Err(ServiceError::Invalid(format!("the claim {name} is always told and cannot be another attribute")))
        }
        None => Ok(()),
    }
}

fn local(role: Role, full_name: Option<&str>, email: Option<&str>) -> serde_json::Map<String, Value> {
    let mut attributes = serde_json::Map::new();
    attributes.insert("roles".to_owned(), role.worker_roles(false).into());
    for (name, value) in [("full_name", full_name), ("email", email)] {
        if let Some(value) = value {
            attributes.insert(name.to_owned(), value.into());
        }
    }
    attributes
}

/// A worker attribute as the values of a claim; structures are left out.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}
