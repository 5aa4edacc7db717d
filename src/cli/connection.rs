//! `rollcall connection`

use clap::{ArgGroup, Args, Subcommand};
use ipnet::IpNet;

use super::connection_sso::{self, SsoArgs, SsoSteps};
use super::output::{self, Table};
use super::{AccountArg, Outcome};
use crate::access::ClaimMapping;
use crate::base::{NetworkError, Slug, network};
use crate::domain::Role;
use crate::scim::Dialect;
use crate::service::Core;
use crate::service::accounts::DEFAULT;
use crate::service::connections::{ConnectionSettings, GuardSettings};
use crate::store::accounts::Account;
use crate::store::connections::{Connection, OwnLimits};

/// Links to identity providers, each belonging to an account.
#[derive(Debug, Subcommand)]
pub enum ConnectionCommand {
    Add(Box<AddArgs>),
    Set(Box<SetArgs>),
    Show(ShowArgs),
    Unlink(UnlinkArgs),
    List(ListArgs),
}

/// Add a connection.
///
/// Its name is unique in the installation, because it stands in URLs. The SCIM base URL is the same for all connections:
/// the token tells which connection a request belongs to.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").multiple(true), group = ArgGroup::new("saml").multiple(true),
    group = ArgGroup::new("oidc").multiple(true), after_help = ADD_EXAMPLES, override_usage = "rollcall connection add NAME [--SETTING VALUE ...]")]
pub struct AddArgs {
    /// Its name: a-z, 0-9 and '-'
    pub name: Slug,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// How its requests are read: auto, strict, okta, entra, onelogin, jumpcloud, ping, keycloak, authentik or google
    ///
    /// auto understands every identity provider that we know; strict reads by the RFC alone.
    #[arg(long, default_value = "auto")]
    pub dialect: Dialect,
    /// The roles that rules may give to its people: of owner, admin, supervisor, agent
    #[arg(long, value_name = "ROLE,...", value_delimiter = ',', default_value = "supervisor,agent")]
    pub may_grant: Vec<Role>,
    /// Take requests from these networks or addresses only
    #[arg(long, value_name = "CIDR,...", default_value = "any", value_parser = networks)]
    pub allow_ip: Networks,
    /// When a loss of access is held.
    #[command(flatten)]
    pub guard: GuardArgs,
    /// How its people sign in.
    #[command(flatten)]
    pub sso: SsoArgs,
}

/// The limits of the guard for one connection.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct GuardArgs {
    /// Hold when more people than this lose something within the window: a number, off, or default
    ///
    /// off (or 0) takes this limit away, default is what the configuration says (guard.max_people).
    #[arg(long, value_name = "N", group = "change", value_parser = people)]
    pub guard_max_people: Option<Own<u32>>,
    /// Hold when more than this share (0 to 1) of its people with access does, if they are five or more; off, or default
    #[arg(long, value_name = "SHARE", group = "change", value_parser = share)]
    pub guard_max_share: Option<Own<f64>>,
    /// The window, as in 90s, 10m or 1h, or default
    #[arg(long, value_name = "SPAN", group = "change", value_parser = window)]
    pub guard_window: Option<Own<u32>>,
}

/// A limit of a connection; none: as configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own<T>(pub Option<T>);

fn people(text: &str) -> Result<Own<u32>, String> {
    match text {
        "default" => Ok(Own(None)),
        "off" => Ok(Own(Some(0))),
        text => {
            let people = text.parse().ok().filter(|people| *people <= 1_000_000);
            people
                .map(|people| Own(Some(people)))
                .ok_or_else(|| "use a number up to 1000000, off, or default".to_owned())
        }
    }
}

fn share(text: &str) -> Result<Own<f64>, String> {
    match text {
        "default" => Ok(Own(None)),
        "off" => Ok(Own(Some(0.0))),
        text => {
            let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
            share.map(|share| Own(Some(share))).ok_or_else(|| "use a share from 0 to 1, off, or default".to_owned())
        }
    }
}

fn window(text: &str) -> Result<Own<u32>, String> {
    if text == "default" {
        return Ok(Own(None));
    }
    let seconds = u32::try_from(super::span::span(text)?.as_secs()).ok();
    let seconds = seconds.filter(|seconds| (1..=604_800).contains(seconds));
    seconds.map(|seconds| Own(Some(seconds))).ok_or_else(|| "use 1s to 7d, or default".to_owned())
}

impl From<GuardArgs> for GuardSettings {
    fn from(args: GuardArgs) -> Self {
        Self {
            max_people: args.guard_max_people.map(|own| own.0),
            max_share: args.guard_max_share.map(|own| own.0),
            window_s: args.guard_window.map(|own| own.0),
        }
    }
}

const ADD_EXAMPLES: &str = "\
Examples:
  rollcall connection add okta
  rollcall connection add okta --allow-ip 203.0.113.0/24
  rollcall connection add entra --account acme-uk --may-grant admin,supervisor,agent
  rollcall connection add okta-saml --saml-metadata https://acme.okta.example/app/metadata
  rollcall connection add keycloak --oidc-issuer https://idp.acme.example/realms/acme --client-id rollcall --client-secret-file secret";

/// Change a connection. What is not named stays as it is.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true), group = ArgGroup::new("saml").multiple(true),
    group = ArgGroup::new("oidc").multiple(true), after_help = SET_EXAMPLES,
    override_usage = "rollcall connection set NAME --SETTING VALUE ...")]
pub struct SetArgs {
    /// Its name
    pub name: Slug,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
    /// How its requests are read
    #[arg(long, group = "change")]
    pub dialect: Option<Dialect>,
    /// The roles that rules may give to its people; everybody's access is computed again
    #[arg(long, value_name = "ROLE,...", value_delimiter = ',', group = "change")]
    pub may_grant: Option<Vec<Role>>,
    /// Take requests from these networks or addresses only; "any" for all
    ///
    /// Behind a proxy, the setting server.trusted_proxies says whose X-Forwarded-For is believed.
    #[arg(long, value_name = "CIDR,...", group = "change", value_parser = networks)]
    pub allow_ip: Option<Networks>,
    /// Answer its requests again
    #[arg(long, group = "change", conflicts_with = "disable")]
    pub enable: bool,
    /// Refuse its requests with 401 from now on; its people stay as they are
    #[arg(long, group = "change")]
    pub disable: bool,
    /// When a loss of access is held.
    #[command(flatten)]
    pub guard: GuardArgs,
    /// How its people sign in.
    #[command(flatten)]
    pub sso: SsoArgs,
    /// What is done to that.
    #[command(flatten)]
    pub steps: SsoSteps,
}

const SET_EXAMPLES: &str = "\
Examples:
  rollcall connection set okta --dialect strict
  rollcall connection set okta --allow-ip 203.0.113.0/24,2001:db8::/32
  rollcall connection set okta --guard-max-people 100 --guard-window 1h
  rollcall connection set okta --disable";

/// Networks; none: all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

fn networks(text: &str) -> Result<Networks, NetworkError> {
    match text {
        "any" => Ok(Networks(Vec::new())),
        text => text.split(',').map(network).collect::<Result<_, _>>().map(Networks),
    }
}

/// Forget which account at the identity provider a user is: the next sign-in links anew.
///
/// Needed when somebody's account there was deleted and made again under the same name.
#[derive(Debug, Args)]
#[command(after_help = UNLINK_EXAMPLES)]
pub struct UnlinkArgs {
    /// The userName
    pub user: String,
    /// The account that the user belongs to.
    #[command(flatten)]
    pub account: AccountArg,
}

const UNLINK_EXAMPLES: &str = "\
Example:
  rollcall connection unlink ana@acme.example";

/// List the connections of an account.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {
    /// Whose.
    #[command(flatten)]
    pub account: AccountArg,
}

/// Show a connection: its settings, and what the identity provider's administrator needs.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Its name
    pub name: Slug,
    /// The account that it belongs to.
    #[command(flatten)]
    pub account: AccountArg,
}

const SHOW_EXAMPLES: &str = "\
Example:
  rollcall connection show okta";

const LIST_EXAMPLES: &str = "\
Example:
  rollcall connection list --account acme-uk";

impl ConnectionCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the account or connection does not exist, the name is taken, or the database cannot be used.
    pub async fn run(&self, core: &Core) -> Outcome {
        match self {
            Self::Add(add) => add.run(core).await?,
            Self::Set(set) => set.run(core).await?,
            Self::Show(show) => {
                let account = core.account(&show.account.account).await?;
                let connection = core.connection(&account, &show.name).await?;
                output::line(table(std::slice::from_ref(&connection)))?;
                show_sso(core, &connection).await?;
            }
            Self::Unlink(unlink) => {
                let account = core.account(&unlink.account.account).await?;
                let was = core.unlink(&account, &unlink.user, BY_COMMAND).await?;
                let what = if was { "is unlinked" } else { "was not linked" };
                output::line(format_args!("{} {what}", unlink.user))?;
            }
            Self::List(list) => {
                let account = core.account(&list.account.account).await?;
                let connections = core.list_connections(&account).await?;
                if connections.is_empty() {
                    output::line(format_args!(
                        "no connections yet; make one with: rollcall connection add NAME{}",
                        for_account(&account)
                    ))?;
                } else {
                    output::line(table(&connections))?;
                }
            }
        }
        Ok(())
    }
}

impl AddArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let settings = ConnectionSettings {
            dialect: Some(self.dialect),
            may_grant: Some(self.may_grant.clone()),
            allow_from: Some(self.allow_ip.0.clone()),
            enabled: None,
            guard: self.guard.into(),
            jit: self.sso.jit,
            claims: self.sso.mapping(&ClaimMapping::default())?,
        };
        let Some(setup) = self.sso.setup()? else {
            let connection = core.add_connection(&account, self.name.clone(), settings).await?;
            output::line(format_args!(
                "connection {0} added; next: rollcall token create --connection {0}{1}",
                connection.name,
                for_account(&account)
            ))?;
            return Ok(());
        };
        let (connection, ways) =
            core.add_connection_with(&account, self.name.clone(), settings, vec![setup], BY_COMMAND).await?;
        output::line(format_args!("connection {} added; give this to the identity provider:", connection.name))?;
        for (_, facts) in &ways {
            output::line(connection_sso::facts(facts))?;
        }
        Ok(())
    }
}

impl SetArgs {
    async fn run(&self, core: &Core) -> Outcome {
        let account = core.account(&self.account.account).await?;
        let before = core.connection(&account, &self.name).await?;
        let mapping = serde_json::from_value(before.claims.clone())?;
        let settings = ConnectionSettings {
            dialect: self.dialect,
            may_grant: self.may_grant.clone(),
            allow_from: self.allow_ip.clone().map(|networks| networks.0),
            enabled: (self.enable || self.disable).then_some(self.enable),
            guard: self.guard.into(),
            jit: self.sso.jit,
            claims: self.sso.mapping(&mapping)?,
        };
        let facts = match self.sso.setup()? {
            Some(setup) => Some(core.set_sso(&account, &before, setup, BY_COMMAND).await?),
            None => self.steps.run(core, &account, &before, BY_COMMAND).await?,
        };
        let connection = core.set_connection(&account, &self.name, settings).await?;
        if self.may_grant.is_some() {
            super::rules::recompute(core, &account).await;
        }
        output::line(table(&[connection]))?;
        if let Some(facts) = facts {
            output::line(connection_sso::facts(&facts))?;
        }
        Ok(())
    }
}

/// How the audit trail names whoever works with commands.
const BY_COMMAND: &str = "command";

async fn show_sso(core: &Core, connection: &Connection) -> Outcome {
    for (means, facts) in core.sso_of(connection).await? {
        output::line(format_args!("\n{}\n{}", means.as_str(), connection_sso::facts(&facts)))?;
        output::line(serde_json::to_string_pretty(&facts.settings)?)?;
        if let Some(pem) = &facts.certificate_pem {
            output::line(format_args!("certificate of our signatures:\n{}", pem.trim_end()))?;
        }
        if let Some(jwks) = &facts.jwks {
            output::line(format_args!("our public keys (JWKS): {jwks}"))?;
        }
    }
    Ok(())
}

/// The flag that later commands need for another account than the default one.
fn for_account(account: &Account) -> String {
    if account.name.as_str() == DEFAULT { String::new() } else { format!(" --account {}", account.name) }
}

fn table(connections: &[Connection]) -> Table {
    let mut table = Table::new(["NAME", "STATE", "DIALECT", "MAY GRANT", "FROM", "GUARD", "SINCE"]);
    for connection in connections {
        let roles: Vec<&str> = connection.may_grant.iter().map(|role| role.as_str()).collect();
        let from: Vec<String> = connection.allow_from.iter().map(ToString::to_string).collect();
        table.row([
            connection.name.as_str(),
            if connection.enabled { "enabled" } else { "disabled" },
            &connection.dialect,
            &roles.join(","),
            if from.is_empty() { "any".to_owned() } else { from.join(",") }.as_str(),
            &guard(&connection.guard),
            &connection.created_at.to_string(),
        ]);
    }
    table
}

/// The limits that are a connection's own.
fn guard(limits: &OwnLimits) -> String {
    let mut parts = Vec::new();
    match limits.max_people {
        Some(0) => parts.push("people off".to_owned()),
        Some(people) => parts.push(format!("{people} people")),
        None => {}
    }
    match limits.max_share {
        Some(0.0) => parts.push("share off".to_owned()),
        Some(share) => parts.push(format!("share {share}")),
        None => {}
    }
    if let Some(seconds) = limits.window_s {
        parts.push(format!("in {seconds} s"));
    }
    if parts.is_empty() { "default".to_owned() } else { parts.join(", ") }
}
