//! The whole server for a test: real routes over a real socket, a real database, the real stand-in over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::browser::Browser;
use super::client::Scim;
use super::clock::TestClock;
use super::database::{Db, Sql, TestDatabase};
use super::process;
use super::wait::wait_until;
use rollcall::app::App;
use rollcall::base::{Ambient, OsEntropy, Slug};
use rollcall::config::{Config, Sources};
use rollcall::reconcile::Routers;
use rollcall::service::Core;
use rollcall::service::connections::ConnectionSettings;
use rollcall::service::rules::Force;
use rollcall::store::accounts::Account;
use rollcall::store::connections::Connection;
use rollcall::taskrouter::TaskRouter;
use rollcall::taskrouter::stand_in::{Outcome, StandIn};

/// How long the workers may take to be in step before a test fails.
const SETTLE: Duration = Duration::from_mins(1);
/// Where identity providers reach the server: fixed, so that answers can be compared as text.
pub const PUBLIC_URL: &str = "https://rollcall.example";
/// Seals the secrets of test databases, which hold none.
const SECRET_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// How a [`TestApp`] is set up.
#[derive(Debug)]
pub struct Builder {
    db: Db,
    environment: BTreeMap<String, String>,
    rules: Option<String>,
}

impl Builder {
    /// Sets a variable of the environment (`ROLLCALL_...`).
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Imports these rules before anything is pushed.
    #[must_use]
    pub fn rules(mut self, toml: &str) -> Self {
        self.rules = Some(toml.to_owned());
        self
    }

    /// Nothing is held, however many lose something: the test is about something else.
    #[must_use]
    pub fn unguarded(self) -> Self {
        self.set("ROLLCALL_GUARD__MAX_PEOPLE", "0").set("ROLLCALL_GUARD__MAX_SHARE", "0.0")
    }

    /// Nothing is done at TaskRouter, and nothing is expected to be.
    #[must_use]
    pub fn paused(self) -> Self {
        self.set("ROLLCALL_RECONCILER__PAUSED", "true")
    }

    pub async fn start(self) -> TestApp {
        let dir = tempfile::Builder::new().prefix("rollcall-test.").tempdir().expect("a directory");
        let database = TestDatabase::make(self.db, dir.path()).await;
        let clock = Arc::new(TestClock::default());
        let mut environment = self.environment;
        for (name, value) in [
            ("ROLLCALL_LISTEN", "127.0.0.1:0"),
            ("ROLLCALL_OPS_LISTEN", "127.0.0.1:0"),
            ("ROLLCALL_PUBLIC_URL", PUBLIC_URL),
            ("ROLLCALL_DATA_DIR", dir.path().to_str().expect("UTF-8")),
            ("ROLLCALL_DATABASE_URL", database.url()),
            ("ROLLCALL_SECRET_KEY", SECRET_KEY),
            ("ROLLCALL_DATABASE__POSTGRES_CONNECTIONS", "8"),
        ] {
            environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let running = Running::start(&environment, &clock).await;
        let account = running.core.ensure_default_account().await.expect("the account");
        if let Some(rules) = &self.rules {
            running.core.import_rules(&account, rules, Force::Yes).await.expect("the rules are good");
        }
        let mut app = TestApp {
            scim: Scim::new(running.address, None),
            account,
            database,
            dir: Some(dir),
            clock,
            environment,
            running: Some(running),
            unchecked: AtomicBool::new(false),
            faulty: AtomicBool::new(false),
        };
        app.scim = app.connect("idp").await;
        app
    }
}

/// A server that runs for one test.
///
/// Dropping it ends the server and checks that the test left nothing behind: no desired work undone, and no call to
/// TaskRouter that went wrong without the test's having asked for it.
#[derive(Debug)]
pub struct TestApp {
    /// The first connection, `idp`, of the account `default`.
    pub scim: Scim,
    /// The account `default`.
    pub account: Account,
    /// Time, as the server sees it.
    pub clock: Arc<TestClock>,
    database: TestDatabase,
    dir: Option<TempDir>,
    environment: Vec<(String, String)>,
    running: Option<Running>,
    unchecked: AtomicBool,
    faulty: AtomicBool,
}

/// The part that stops and starts.
struct Running {
    core: Arc<Core>,
    stand_in: Option<Arc<StandIn>>,
    stand_in_url: Option<String>,
    routers: Arc<dyn Routers>,
    address: std::net::SocketAddr,
    ops: Option<std::net::SocketAddr>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Running {
    async fn start(environment: &[(String, String)], clock: &Arc<TestClock>) -> Self {
        let sources = Sources { environment: environment.to_vec(), ..Sources::default() };
        let loaded = Config::load(&sources).expect("the configuration is good");
        let known = ["the reconciler is paused", "sso.allow_loopback_http is on"];
        let expected = |warning: &&String| known.iter().any(|known| warning.contains(known));
        assert_eq!(loaded.warnings.iter().filter(|warning| !expected(warning)).count(), 0, "{:?}", loaded.warnings);
        let ambient = Ambient::new(Arc::clone(clock) as Arc<_>, Arc::new(OsEntropy));
        let app = App::start(&loaded.config, ambient).await.expect("the server starts");
        let (core, address, ops) = (Arc::clone(app.core()), app.address(), app.ops_address());
        let stand_in = app.stand_in().cloned();
        let stand_in_url = app.stand_in_url().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let routers = Arc::clone(app.routers()) as Arc<dyn Routers>;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            app.run(stopped).await.expect("the driver ends well");
        });
        Self { core, stand_in, stand_in_url, routers, address, ops, stop, serving }
    }

    async fn stop(self) {
        drop(self.stop);
        self.serving.await.expect("the server ends well");
    }
}

impl TestApp {
    /// A server with the account `default`, the connection `idp` and no rules.
    pub async fn start(db: Db) -> Self {
        Self::builder(db).start().await
    }

    pub fn builder(db: Db) -> Builder {
        Builder { db, environment: BTreeMap::new(), rules: None }
    }

    /// The use cases.
    pub fn core(&self) -> &Arc<Core> {
        &self.running().core
    }

    /// The stand-in of TaskRouter.
    pub fn stand_in(&self) -> &Arc<StandIn> {
        self.running().stand_in.as_ref().expect("the stand-in runs")
    }

    /// The TaskRouter of the account `default`, as the server calls it.
    pub fn router(&self) -> Arc<dyn TaskRouter> {
        self.running().routers.for_account(self.account.id).expect("the account has a TaskRouter")
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.scim)
    }

    /// Where the server listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.running().address
    }

    /// Where monitoring asks.
    pub fn ops_address(&self) -> std::net::SocketAddr {
        self.running().ops.expect("there is a listener for monitoring")
    }

    /// A database connection of the test's own.
    pub async fn sql(&self) -> Sql {
        self.database.connect().await
    }

    /// Another connection of the account `default`, with a token.
    pub async fn connect(&self, name: &str) -> Scim {
        self.connect_with(name, ConnectionSettings::default()).await
    }

    pub async fn connect_with(&self, name: &str, settings: ConnectionSettings) -> Scim {
        self.connect_in(&self.account, name, settings).await
    }

    pub async fn connect_in(&self, account: &Account, name: &str, settings: ConnectionSettings) -> Scim {
        let connection = self.core().add_connection(account, slug(name), settings).await.expect("a connection");
        let (_, secret) = self.core().create_token(&connection, "test", None).await.expect("a token");
        Scim::new(self.address(), Some(secret.expose()))
    }

    /// Lets SCIM push to a connection that is there.
    pub async fn connect_to(&self, connection: &Connection) -> Scim {
        let (_, secret) = self.core().create_token(connection, "test", None).await.expect("a token");
        Scim::new(self.address(), Some(secret.expose()))
    }

    /// Another account.
    pub async fn add_account(&self, name: &str) -> Account {
        self.core().add_account(slug(name), None).await.expect("an account")
    }

    /// Puts other rules in force.
    pub async fn import_rules(&self, toml: &str) {
        self.core().import_rules(&self.account, toml, Force::Yes).await.expect("the rules are good");
    }

    /// Runs a command of the program beside the server, on the same database; returns what it prints.
    pub async fn command(&self, arguments: &[&str]) -> String {
        process::succeed(&self.environment, arguments).await
    }

    /// Runs a command, whatever comes of it: its exit status and what it wrote to standard output and standard error.
    pub async fn try_command(&self, arguments: &[&str]) -> (i32, String, String) {
        process::end(&self.environment, arguments).await
    }

    /// Ends the server as SIGTERM does; [`TestApp::restart`] starts it again.
    pub async fn stop(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    /// Runs a command that is to be refused; returns what it says.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        process::fail(&self.environment, arguments).await
    }

    /// Ends the server as SIGTERM does, and starts it again on the same data. Ports change.
    pub async fn restart(&mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        let running = Running::start(&self.environment, &self.clock).await;
        self.scim = Scim::new(running.address, Some(self.scim.token()));
        self.running = Some(running);
    }

    /// Another copy of the server on the same database, with these settings besides, which is not paused because this one is.
    pub async fn copy(&self, settings: &[(String, String)], clock: Arc<TestClock>) -> Copy {
        let dir = tempfile::Builder::new().prefix("rollcall-copy.").tempdir().expect("a directory");
        let own = ["ROLLCALL_RECONCILER__PAUSED", "ROLLCALL_DATA_DIR"];
        let mut environment: BTreeMap<String, String> =
            self.environment.iter().filter(|(name, _)| !own.contains(&name.as_str())).cloned().collect();
        environment.insert("ROLLCALL_DATA_DIR".to_owned(), dir.path().display().to_string());
        environment.extend(settings.iter().cloned());
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        Copy { running: Some(Running::start(&environment, &clock).await), _dir: dir }
    }

    /// The settings by which a copy uses the stand-in of this one.
    pub fn settings_of_stand_in(&self) -> Vec<(String, String)> {
        let known = self.stand_in().credentials();
        let url = self.running().stand_in_url.clone().expect("the stand-in runs");
        let settings = [
            ("BASE_URL", url),
            ("ACCOUNT_SID", known.account_sid),
            ("API_KEY", known.api_key),
            ("API_SECRET", known.api_secret.expose_secret().to_owned()),
            ("WORKSPACE_SID", known.workspace_sid),
        ];
        settings.map(|(name, value)| (format!("ROLLCALL_TASKROUTER__{name}"), value)).to_vec()
    }

    /// Starts a server again that was paused, and is not any longer.
    pub async fn resume(&mut self) {
        self.environment.retain(|(name, _)| name != "ROLLCALL_RECONCILER__PAUSED");
        self.restart().await;
    }

    /// Waits until all desired work is done.
    pub async fn settled(&self) {
        let sql = self.sql().await;
        wait_until(SETTLE, "all desired work is done", async || undone(&sql).await.is_empty()).await;
    }

    /// Calls to TaskRouter may go wrong from here on: the test is about that.
    pub fn expect_faults(&self) {
        self.faulty.store(true, Ordering::Relaxed);
    }

    /// Desired work may be left when the test ends: the test is about that.
    pub fn expect_work_left(&self) {
        self.unchecked.store(true, Ordering::Relaxed);
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    fn is_paused(&self) -> bool {
        self.environment.iter().any(|(name, value)| name == "ROLLCALL_RECONCILER__PAUSED" && value == "true")
    }

    async fn end(&mut self) {
        let Some(running) = self.running.take() else { return self.database.remove().await };
        let stand_in = running.stand_in.clone();
        let failing = std::thread::panicking();
        let left = if failing || self.is_paused() || self.unchecked.load(Ordering::Relaxed) {
            Vec::new()
        } else {
            undone(&self.sql().await).await
        };
        if failing {
            // A test that failed has said what it has to say.
            running.serving.abort();
        } else {
            running.stop().await;
        }
        self.database.remove().await;
        if failing {
            return;
        }
        assert_eq!(left, Vec::<String>::new(), "the test leaves desired work undone; wait with `settled()`");
        if let Some(stand_in) = stand_in.filter(|_| !self.faulty.load(Ordering::Relaxed)) {
            let calls = stand_in.calls();
            let wrong: Vec<_> = calls
                .latest
                .iter()
                .filter(|call| {
                    call.outcome != Outcome::Answered || matches!(call.status, 0 | 401 | 403 | 405 | 429 | 500..)
                })
                .collect();
            assert!(wrong.is_empty(), "unexpected calls to TaskRouter: {wrong:#?}");
        }
    }
}

/// One more copy of the server. Dropping it kills it.
#[derive(Debug)]
pub struct Copy {
    running: Option<Running>,
    _dir: TempDir,
}

impl Copy {
    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(&Scim::new(self.running().address, None))
    }

    /// Its own stand-in.
    pub fn stand_in(&self) -> &Arc<StandIn> {
        self.running().stand_in.as_ref().expect("the stand-in runs")
    }

    /// The same connection through this copy.
    pub fn scim(&self, like: &Scim) -> Scim {
        Scim::new(self.running().address, Some(like.token()))
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(mut self) {
        self.running.take().expect("it runs").stop().await;
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.serving.abort();
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Tests run on a runtime with several threads, so this one may wait.
        tokio::task::block_in_place(|| Handle::current().block_on(self.end()));
        drop(self.dir.take());
    }
}

/// What is not as desired, in words.
async fn undone(sql: &Sql) -> Vec<String> {
    sql.texts(
        "SELECT 'worker ' || name || ': ' || state || ' ' || COALESCE(last_error, '') FROM worker \
         WHERE applied_version IS NULL OR applied_version <> desired_version \
         UNION ALL SELECT 'recompute ' || id FROM recompute ORDER BY 1 LIMIT 20",
    )
    .await
}

/// A name that is known to be good.
pub fn slug(name: &str) -> Slug {
    name.parse().expect("a name")
}
