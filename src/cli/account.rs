//! `rollcall account`

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use secrecy::ExposeSecret as _;
use url::Url;

use super::output::{self, Table};
use super::{Outcome, SecretFile};
use crate::base::Slug;
use crate::config::Config;
use crate::domain::{Deactivated, LeaverPolicy, LiveCalls, SessionLimits, WorkerAt};
use crate::service::Core;
use crate::service::accounts::{DEFAULT, LeaverChange, SessionChange, workspace_taken};
use crate::store::accounts::TaskRouterSettings;

/// Contact centres: one TaskRouter workspace each, and everything that belongs to it.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    Add(Box<AddArgs>),
    Set(SetArgs),
    List(ListArgs),
}

/// Add an account.
///
/// The account `default` is there from the start, with the settings of the table `[taskrouter]`. An account that is added
/// without credentials has a TaskRouter only while the built-in stand-in runs, that is while `default` has no credentials
/// either.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").multiple(true), after_help = ADD_EXAMPLES)]
pub struct AddArgs {
    /// Its name: a-z, 0-9 and '-'
    pub name: Slug,
    /// How it reaches Twilio.
    #[command(flatten)]
    pub twilio: TwilioArgs,
    /// What becomes of the workers of those who leave.
    #[command(flatten)]
    pub leavers: LeaverArgs,
}

/// Twilio credentials on the command line; the secret comes from a file, so that no process list shows it.
#[derive(Debug, Default, Args)]
pub struct TwilioArgs {
    /// The Twilio account (AC...)
    #[arg(long, value_name = "SID", value_parser = sid(&["AC"]), requires_all = ["api_key", "api_secret_file", "workspace_sid"])]
    pub account_sid: Option<String>,
    /// An API key of it (SK...)
    #[arg(long, value_name = "SID", value_parser = sid(&["SK", "AC"]), requires = "account_sid")]
    pub api_key: Option<String>,
    /// The file that holds the secret of the API key, or - for standard input
    #[arg(long, value_name = "FILE", requires = "account_sid")]
    pub api_secret_file: Option<SecretFile>,
    /// The TaskRouter workspace of Flex (WS...)
    #[arg(long, value_name = "SID", value_parser = sid(&["WS"]), requires = "account_sid")]
    pub workspace_sid: Option<String>,
    /// Another TaskRouter API than that of the configuration
    #[arg(long, value_name = "URL", requires = "account_sid")]
    pub base_url: Option<Url>,
    /// Another Flex API than that of the configuration
    #[arg(long, value_name = "URL", requires = "account_sid")]
    pub flex_base_url: Option<Url>,
}

const ADD_EXAMPLES: &str = "\
Examples:
  rollcall account add acme-uk
  rollcall account add acme-uk --account-sid AC... --api-key SK... --api-secret-file F --workspace-sid WS...";

/// What becomes of the workers of those who leave.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LeaverArgs {
    /// Work that a leaver has in hand: drain waits for its end before the worker is removed, cut does not [default: drain]
    ///
    /// Out of the queues a leaver is at once, either way.
    #[arg(long, value_name = "cut|drain", group = "change")]
    pub live_calls: Option<LiveCalls>,
    /// How long that end is waited for at most, as in 30m or 2h [default: 1h]
    #[arg(long, value_name = "SPAN", group = "change", value_parser = super::span::span)]
    pub drain_for: Option<Duration>,
    /// The worker of somebody who is deactivated: remove it, or keep it offline and without routing [default: remove]
    ///
    /// It holds for those who are deactivated from then on. Whoever is deleted or loses all access loses the worker.
    #[arg(long, value_name = "remove|keep-offline", group = "change")]
    pub deactivated: Option<Deactivated>,
}

impl LeaverArgs {
    const fn change(self) -> LeaverChange {
        LeaverChange { live_calls: self.live_calls, drain: self.drain_for, deactivated: self.deactivated }
    }
}

/// How long sessions of the account's people last.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct SessionArgs {
    /// After how long without a request a session ends, as in 30m or 2h [default: 1h]
    #[arg(long, value_name = "SPAN", group = "change", value_parser = session_span)]
    pub session_idle: Option<Duration>,
    /// After how long a session ends in any case, as in 12h or 7d [default: 12h]
    #[arg(long, value_name = "SPAN", group = "change", value_parser = session_span)]
    pub session_absolute: Option<Duration>,
}

impl SessionArgs {
    const fn change(self) -> SessionChange {
        SessionChange { idle: self.session_idle, absolute: self.session_absolute }
    }
}

/// Reads a limit of sessions.
fn session_span(text: &str) -> Result<Duration, String> {
    let span = super::span::span(text)?;
    if (SessionLimits::SHORTEST..=SessionLimits::LONGEST).contains(&span) {
        return Ok(span);
    }
    Err("a session lasts from 5m to 30d".to_owned())
}

/// Change what becomes of the workers of those who leave, and how long sessions last. What is not named stays as it is.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true), after_help = SET_EXAMPLES,
    override_usage = "rollcall account set NAME --SETTING VALUE ...")]
pub struct SetArgs {
    /// Its name
    pub name: Slug,
    /// What becomes of the workers of those who leave.
    #[command(flatten)]
    pub leavers: LeaverArgs,
    /// When the workers of new people are made [default: provisioning]
    ///
    /// With sign-in nobody has a worker before the first sign-in, and Twilio bills for nobody who never comes; workers that
    /// are there stay.
    #[arg(long, value_name = "provisioning|sign-in", group = "change")]
    pub worker_at: Option<WorkerAt>,
    /// How long sessions last.
    #[command(flatten)]
    pub sessions: SessionArgs,
}

const SET_EXAMPLES: &str = "\
Examples:
  rollcall account set default --live-calls drain --drain-for 30m
  rollcall account set acme-uk --deactivated keep-offline
  rollcall account set default --worker-at sign-in
  rollcall account set default --session-idle 30m --session-absolute 10h";

/// List the accounts, what becomes of the workers of those who leave, how many workers wait to be removed, made or changed at
/// TaskRouter, and how many people wait for a decision about a hold.
#[derive(Debug, Default, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListArgs {}

const LIST_EXAMPLES: &str = "\
Example:
  rollcall account list";

impl AccountCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the name is taken, or the database cannot be used.
    pub async fn run(&self, config: &Config, core: &Core) -> Outcome {
        match self {
            Self::Add(add) => {
                let twilio = add.twilio.settings(config)?;
                if let (Some((settings, _)), Some(default)) = (&twilio, of_default(config))
                    && settings.is_same_workspace(&default)
                {
                    return Err(workspace_taken(settings, DEFAULT).into());
                }
                let leavers = add.leavers.change().applied_to(LeaverPolicy::default());
                let account = core.add_account_with(add.name.clone(), twilio, leavers).await?;
                output::line(format_args!("account {} added", account.name))?;
            }
            Self::Set(set) => {
                let account = core.account(&set.name).await?;
                if let Some(worker_at) = set.worker_at {
                    core.set_worker_at(&account, worker_at).await?;
                }
                let leavers = core.set_leaver_policy(&account, set.leavers.change()).await?;
                let sessions = core.set_session_limits(&account, set.sessions.change()).await?;
                let made = set.worker_at.unwrap_or(account.worker_at);
                output::line(format_args!(
                    "account {}: {}; workers are made at {made}; {}",
                    account.name,
                    policy(&leavers),
                    limits(sessions)
                ))?;
            }
            Self::List(_) => {
                let mut table = Table::new(["NAME", "TASKROUTER", "RULES", "LEAVERS", "WAITING", "HELD", "SINCE"]);
                let (backlogs, late) = (core.backlogs().await?, core.late_removals(config.receipts.late_after).await?);
                let held = core.people_held().await?;
                for account in core.list_accounts().await? {
                    let taskrouter = account.taskrouter.as_ref().map_or_else(
                        // Only the account `default` has the credentials of the configuration.
                        || match account.name.as_str() {
                            DEFAULT => "from the configuration, else the stand-in".to_owned(),
                            _ => "none of its own: the stand-in, while it runs".to_owned(),
                        },
                        |t| format!("{} {}", t.base_url, t.workspace_sid),
                    );
                    let rules = match account.rules_version {
                        0 => "none".to_owned(),
                        version => format!("version {version}"),
                    };
                    let waiting = backlogs.get(&account.id).filter(|backlog| !backlog.is_empty()).map_or_else(
                        || "nothing".to_owned(),
                        |backlog| format!("{} to remove, {} others", backlog.leavers, backlog.others),
                    );
                    let waiting = match late.get(&account.id) {
                        Some(late) => format!("{waiting}; {late} late"),
                        None => waiting,
                    };
                    let held = held.get(&account.id).map_or_else(|| "nobody".to_owned(), ToString::to_string);
                    let since = account.created_at.to_string();
                    table.row([
                        account.name.as_str(),
                        &taskrouter,
                        &rules,
                        &policy(&account.leavers),
                        &waiting,
                        &held,
                        &since,
                    ]);
                }
                output::line(table)?;
            }
        }
        Ok(())
    }
}

/// What becomes of the workers of those who leave, for people.
fn policy(leavers: &LeaverPolicy) -> String {
    let live_calls = match leavers.live_calls {
        LiveCalls::Cut => "cut".to_owned(),
        LiveCalls::Drain => format!("drain {}", super::span::written(leavers.drain)),
    };
    match leavers.deactivated {
        Deactivated::Remove => live_calls,
        Deactivated::KeepOffline => format!("{live_calls}, deactivated keep-offline"),
    }
}

/// How long sessions last, for people.
fn limits(sessions: SessionLimits) -> String {
    let written = super::span::written;
    format!(
        "sessions end after {} without a request, {} at the latest",
        written(sessions.idle),
        written(sessions.absolute)
    )
}

/// Where the workers of the account `default` are, unless at the stand-in.
fn of_default(config: &Config) -> Option<TaskRouterSettings> {
    let credentials = config.taskrouter.credentials.as_ref()?;
    Some(TaskRouterSettings {
        base_url: config.taskrouter.base_url.to_string(),
        flex_base_url: config.taskrouter.flex_base_url.to_string(),
        account_sid: credentials.account_sid.clone(),
        api_key: credentials.api_key.clone(),
        workspace_sid: credentials.workspace_sid.clone(),
    })
}

/// Reads a SID: one of these prefixes and 32 hexadecimal characters.
fn sid(prefixes: &'static [&'static str]) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| {
        let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        match digits {
            Some(digits) if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(text.to_owned())
            }
            _ => Err(format!("it is {} and 32 hexadecimal characters", prefixes.join(" or "))),
        }
    }
}

impl TwilioArgs {
    fn settings(&self, config: &Config) -> std::io::Result<Option<(TaskRouterSettings, String)>> {
        let (Some(account_sid), Some(api_key), Some(file), Some(workspace_sid)) =
            (&self.account_sid, &self.api_key, &self.api_secret_file, &self.workspace_sid)
        else {
            return Ok(None);
        };
        let base_url = self.base_url.as_ref().unwrap_or(&config.taskrouter.base_url);
        let flex_base_url = self.flex_base_url.as_ref().unwrap_or(&config.taskrouter.flex_base_url);
        let settings = TaskRouterSettings {
            base_url: base_url.to_string(),
            flex_base_url: flex_base_url.to_string(),
            account_sid: account_sid.clone(),
            api_key: api_key.clone(),
            workspace_sid: workspace_sid.clone(),
        };
        Ok(Some((settings, file.read()?.expose_secret().to_owned())))
    }
}
