//! `rollcall demo`

mod check;
mod entra;
mod idp;
mod okta;
mod place;
mod player;
mod report;
mod screen;
mod script;
mod template;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Outcome, signal};
use crate::app::App;
use crate::base::{Ambient, Slug};
use crate::config::{self, Loaded};
use crate::net::HttpClient;
use crate::scim::Dialect;
use crate::service::connections::ConnectionSettings;
use crate::service::rules::{Force, Import};
use crate::service::{Core, ServiceError};
use crate::store::accounts::Account;
use crate::store::connections::Connection;
use crate::store::credentials::Selection;
use entra::Entra;
use idp::{Link, Provider, Result};
use okta::Okta;
use place::Place;
use player::Player;
use screen::{Screen, Style};
use script::{Idp, Script};
use watch::Watch;

/// Watch a day in the life of a contact centre, with nothing set up.
///
/// Starts Rollcall and a TaskRouter of our own, and plays what Okta and Microsoft Entra ID send in a day: joiners, a
/// promotion, a rename, a move between teams, leavers, a re-hire. Each event is told with the time from the push to the
/// worker being in step. A table at the end shows everybody; then the server goes on until Ctrl-C, to be tried with curl.
///
/// It uses a temporary data directory and a free port unless told otherwise, and never Twilio or your database: of the
/// environment only ROLLCALL_LISTEN, ROLLCALL_DATA_DIR and ROLLCALL_LOG count.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// End after the table; the exit status is 0 only if every worker is as expected
    #[arg(long)]
    pub exit: bool,
    /// Address and port to listen at [default: a free port of this machine]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  rollcall demo
  rollcall demo --exit
  rollcall demo --listen 127.0.0.1:8080 --data-dir ./demo";

/// What of the environment a demonstration may see. Somebody who tries it in the shell of a production server must not
/// find twenty-five invented people in the production database and at Twilio.
pub(super) fn harmless(environment: Vec<(String, String)>) -> Vec<(String, String)> {
    const SEEN: [&str; 3] = ["ROLLCALL_LISTEN", "ROLLCALL_DATA_DIR", "ROLLCALL_LOG"];
    let free_port = ("ROLLCALL_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    let told = environment.into_iter().filter(|(name, value)| SEEN.contains(&name.as_str()) && !value.is_empty());
    // What was told comes later, and so wins.
    std::iter::once(free_port).chain(told).collect()
}

/// A person who watches wants to read the story, not the log, unless they say so. That there is a stand-in is no news here.
pub(super) fn calm(loaded: &mut Loaded) {
    if loaded.is_default("log.filter") {
        "warn,rollcall::app=error".clone_into(&mut loaded.config.log.filter);
    }
    // Nobody monitors a demonstration, and a server beside it may want the port.
    loaded.config.ops_listen = None;
}

/// By this the tokens of earlier demonstrations are known.
const TOKEN_LABEL: &str = "demo";

impl DemoArgs {
    /// Plays the day.
    ///
    /// # Errors
    /// When a worker is not as expected, or the server cannot run.
    pub async fn run(&self, cli: &super::Cli, loaded: &Loaded) -> Outcome {
        if cli.global.database_url.is_some() {
            return Err(
                "the demonstration brings a database of its own: leave out --database-url (--data-dir says where)"
                    .into(),
            );
        }
        let stop = signal::stop()?;
        let place = Place::prepare(loaded)?;
        let mut screen = Screen::terminal(std::io::stdout().is_terminal() && !config::no_color());
        show(&Script::embedded()?, place, self.exit, &mut screen, stop).await
    }
}

/// Starts everything, plays the script, and ends it all in order.
async fn show(
    script: &Script,
    place: Place,
    exit: bool,
    screen: &mut Screen,
    stop: impl Future<Output = ()> + Send,
) -> Outcome {
    let app = App::start(&place.config, Ambient::system()).await?;
    let stage = Stage::of(&app, &place)?;
    let closing = CancellationToken::new();
    let server = tokio::spawn(app.run(closing.clone().cancelled_owned()));
    let mut stop = pin!(stop);
    let told = tokio::select! {
        told = stage.tell(script, exit, screen) => told,
        () = &mut stop => Err("told to stop before the end of the day".into()),
    };
    if told.is_ok() && !exit {
        stop.await;
    }
    closing.cancel();
    server.await??;
    match told? {
        0 => Ok(()),
        1 => Err("the day did not end as expected: 1 difference".into()),
        n => Err(format!("the day did not end as expected: {n} differences").into()),
    }
}

/// What the story needs of the application.
struct Stage {
    core: Arc<Core>,
    sources: report::Sources,
    url: String,
    stand_in_url: String,
    data: String,
    played: bool,
}

impl Stage {
    fn of(app: &App, place: &Place) -> Result<Self> {
        let lasts = if place.temporary.is_some() { " (goes at the end)" } else { "" };
        let stand_in_url = app.stand_in_url().ok_or("the stand-in of TaskRouter is not running")?;
        Ok(Self {
            core: Arc::clone(app.core()),
            sources: report::Sources::of(app)?,
            url: app.public_url().to_owned(),
            stand_in_url: stand_in_url.as_str().trim_end_matches('/').to_owned(),
            data: format!("{}{lasts}", place.config.data_dir.display()),
            played: place.played,
        })
    }

    /// Tells the whole story; returns the number of differences from what was expected.
    async fn tell(&self, script: &Script, exit: bool, screen: &mut Screen) -> Result<usize> {
        let begun = Instant::now();
        let account = self.core.ensure_default_account().await?;
        let Import::Done(rules) = self.core.import_rules(&account, &script.rules, Force::Yes).await? else {
            return Err("the rules were not imported".into());
        };
        self.introduce(screen, rules.rules)?;
        let (mut providers, mut connections) = (BTreeMap::new(), HashMap::new());
        let mut tokens = BTreeMap::new();
        for idp in Idp::ALL {
            let connection = self.connect(&account, idp).await?;
            let token = self.token(&account, &connection).await?;
            let link = Link::new(idp, HttpClient::new()?, self.core.scim_url(), &token, script.messages.clone());
            providers.insert(idp, provider(idp, link, self.core.ambient().clone()));
            connections.insert(idp, connection.id);
            tokens.insert(idp, token);
        }
        let watch = Watch::new(Arc::clone(&self.core), account.id, connections);
        let mut player = Player::new(providers, watch, screen, script);
        player.play(&script.day).await?;
        let whole = begun.elapsed();
        let differences = report::everybody(&mut player, script, &self.sources).await?;
        report::figures(&mut player, &self.sources, whole)?;
        if !exit {
            self.invite(&mut player, script, &tokens)?;
        }
        Ok(differences)
    }

    fn introduce(&self, screen: &mut Screen, rules: usize) -> Outcome {
        screen.line(
            Style::Heading,
            concat!("Rollcall ", env!("CARGO_PKG_VERSION"), ": a day in the life of a contact centre"),
        )?;
        screen.line(Style::Plain, "")?;
        for line in [
            "  Acme keeps its people in two identity providers: Support in Okta, Sales and Billing in Microsoft Entra ID.",
            "  Both push people and groups to Rollcall over SCIM; rules turn them into roles, teams, skills and channels;",
            "  and Rollcall keeps one TaskRouter worker for each. A stand-in plays TaskRouter: nothing leaves this machine.",
        ] {
            screen.line(Style::Plain, line)?;
        }
        screen.line(Style::Plain, "")?;
        screen.fact("server", &self.url)?;
        screen.fact("data directory", &self.data)?;
        screen.fact("rules", &format!("{rules} in force"))?;
        if self.played {
            screen.line(Style::Plain, "")?;
            screen.line(
                Style::Plain,
                "  The day was played here before: everybody who is still there is found, and nobody is made twice.",
            )?;
        }
        Ok(())
    }

    /// The connection of an identity provider, which an earlier demonstration may have made.
    async fn connect(&self, account: &Account, idp: Idp) -> Result<Connection> {
        let name: Slug = idp.connection().parse()?;
        match self.core.connection(account, &name).await {
            Err(ServiceError::Missing { .. }) => {
                let dialect = match idp {
                    Idp::Okta => Dialect::Okta,
                    Idp::Entra => Dialect::Entra,
                };
                let settings = ConnectionSettings { dialect: Some(dialect), ..ConnectionSettings::default() };
                Ok(self.core.add_connection(account, name, settings).await?)
            }
            found => Ok(found?),
        }
    }

    /// A new token; those of earlier demonstrations open nothing any longer.
    async fn token(&self, account: &Account, connection: &Connection) -> Result<String> {
        let of_connection = Selection { connection: Some(connection.id), ..Selection::default() };
        for token in self.core.list_tokens(account, &of_connection).await? {
            if token.label == TOKEN_LABEL && token.revoked_at.is_none() {
                self.core.revoke_token(account, &token.id.to_string()).await?;
            }
        }
        let (_, secret) = self.core.create_token(connection, TOKEN_LABEL, None).await?;
        Ok(secret.expose().to_owned())
    }

    /// How to go on from here.
    fn invite(&self, player: &mut Player<'_>, script: &Script, tokens: &BTreeMap<Idp, String>) -> Outcome {
        let scim = self.core.scim_url();
        let (person, who) = script.people.first().ok_or("the script has nobody")?;
        let (idp, id) = player.id(person).ok_or("the first person of the script never joined")?;
        let token = tokens.get(&idp).map(String::as_str).unwrap_or_default();
        let (user_name, name, id) = (who.field("userName"), who.name(), id.to_owned());
        let workspace = self.sources.stand_in.credentials().workspace_sid;
        let screen = &mut *player.screen;
        screen.heading("It goes on until Ctrl-C")?;
        screen.fact("URL", &self.url)?;
        screen.fact("SCIM base URL", scim)?;
        screen.fact(&format!("token ({})", idp.connection()), token)?;
        let commands = [
            ("In a shell:".to_owned(), format!("SCIM={scim} TOKEN={token}")),
            (
                format!("Look {name} up:"),
                format!(
                    r#"curl -sG $SCIM/Users -H "Authorization: Bearer $TOKEN" --data-urlencode 'filter=userName eq "{user_name}"'"#
                ),
            ),
            (
                format!("Deactivate {name}, as an identity provider would:"),
                format!(
                    r#"curl -s -X PATCH $SCIM/Users/{id} -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/scim+json' -d '{DEACTIVATE}'"#
                ),
            ),
            (
                "Ask the stand-in for the worker, as one would ask Twilio; once deactivated it is gone:".to_owned(),
                format!(
                    "curl -s -u any:any '{}/v1/Workspaces/{workspace}/Workers?FriendlyName={user_name}'",
                    self.stand_in_url
                ),
            ),
        ];
        for (why, command) in &commands {
            screen.line(Style::Plain, "")?;
            screen.line(Style::Quiet, &format!("  {why}"))?;
            screen.line(Style::Plain, &format!("  {command}"))?;
        }
        Ok(())
    }
}

const DEACTIVATE: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}"#;

fn provider(idp: Idp, link: Link, ambient: Ambient) -> Box<dyn Provider> {
    match idp {
        Idp::Okta => Box::new(Okta::new(link, ambient)),
        Idp::Entra => Box::new(Entra::new(link, ambient)),
    }
}
