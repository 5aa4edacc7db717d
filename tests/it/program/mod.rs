//! The real program, as processes of its own: for what a function call cannot show, such as a kill or a pipe.

mod cli;
mod configuration;
mod crash;
mod operation;
mod silence;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::process::rollcall;
use crate::support::{Db, Scim, TestDatabase, wait_until};

/// For anything that should take a moment; a machine under load takes longer.
const DEADLINE: Duration = Duration::from_mins(1);
const SECRET_KEY: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";

/// A place where the program is installed: a data directory, a database, and the variables that name them.
struct Installation {
    dir: TempDir,
    database: TestDatabase,
    environment: Vec<(String, String)>,
}

impl Installation {
    async fn new(db: Db) -> Self {
        let dir = tempfile::Builder::new().prefix("rollcall-program.").tempdir().unwrap();
        let database = TestDatabase::make(db, dir.path()).await;
        let data = dir.path().join("data").display().to_string();
        let environment = [
            ("ROLLCALL_DATA_DIR", data.as_str()),
            ("ROLLCALL_LISTEN", "127.0.0.1:0"),
            ("ROLLCALL_OPS_LISTEN", "127.0.0.1:0"),
            ("ROLLCALL_DATABASE_URL", database.url()),
            ("ROLLCALL_SECRET_KEY", SECRET_KEY),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { dir, database, environment }
    }

    /// With everything as it is when nothing is set but the data directory and the ports.
    async fn plain() -> Self {
        let mut plain = Self::new(Db::Sqlite).await;
        plain.environment.truncate(3);
        plain
    }

    /// Sets a variable for what is started from now on.
    fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Writes a file, and gives its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = rollcall(&self.environment, args);
        command.current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end.
    async fn run(&self, args: &[&str]) -> Output {
        timeout(DEADLINE, self.command(args).output()).await.expect("the command ends in time").unwrap()
    }

    /// Runs a command that must succeed; what it wrote to standard output.
    async fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail; what it wrote to standard error.
    async fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(!output.status.success(), "{args:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?} failed, and wrote a result");
        stderr(&output)
    }

    /// Runs a command that reads its standard input.
    async fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        timeout(DEADLINE, child.wait_with_output()).await.expect("the command ends in time").unwrap()
    }

    /// Starts a command that goes on.
    fn start(&self, args: &[&str]) -> Running {
        let mut child = self.command(args).spawn().unwrap();
        let stdout = Lines::read(child.stdout.take().unwrap());
        let stderr = Lines::read(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    /// Starts the server, and waits until it is ready.
    async fn serve(&self) -> Server {
        let running = self.start(&["serve"]);
        let ready = running.stderr.find("that the server is ready", |line| event(line, "ready")).await;
        let address = ready["address"].as_str().unwrap().parse().unwrap();
        Server { running, address }
    }

    /// A connection with a token, made by commands.
    async fn connect(&self, connection: &str) -> String {
        self.ok(&["connection", "add", connection]).await;
        self.token(connection).await
    }

    /// One more token.
    async fn token(&self, connection: &str) -> String {
        self.ok(&["token", "create", "--connection", connection]).await.trim().to_owned()
    }

    /// Puts rules in force.
    async fn import(&self, rules: &str) {
        let file = self.file("rules.toml", rules);
        self.ok(&["rules", "import", &file]).await;
    }

    /// Takes the database away; the directory goes by itself.
    async fn remove(self) {
        self.database.remove().await;
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line of a JSON log that has this message.
fn event(line: &str, message: &str) -> Option<Value> {
    let event: Value = serde_json::from_str(line).ok()?;
    (event["message"] == message).then_some(event)
}

/// What a process writes, line by line. Read all the time, so that the process never waits for us.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn read(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Self::default();
        let (kept, mut pipe) = (lines.clone(), BufReader::new(pipe).lines());
        tokio::spawn(async move {
            while let Ok(Some(line)) = pipe.next_line().await {
                kept.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        lines
    }

    /// All lines so far.
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line.
    async fn find<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        let mut found = None;
        wait_until(DEADLINE, &format!("a line says {what}"), async || {
            found = self.all().iter().find_map(|line| pick(line));
            found.is_some()
        })
        .await;
        found.expect("it was found")
    }
}

/// A process that goes on until it is told to stop; dropping it kills it.
struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    /// kill -9: nothing of the process runs any more.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop, as a service manager does.
    async fn ask_to_stop(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// Waits for its end.
    async fn ended(&mut self) -> ExitStatus {
        timeout(DEADLINE, self.child.wait()).await.expect("it ends in time").unwrap()
    }
}

/// `rollcall serve`, ready.
struct Server {
    running: Running,
    address: SocketAddr,
}

impl Server {
    fn scim(&self, token: &str) -> Scim {
        Scim::new(self.address, Some(token))
    }

    /// The status of a path outside of SCIM.
    async fn status(&self, path: &str) -> u16 {
        Scim::new(self.address, None).request(Method::GET, path).at_root().send().await.status
    }

    /// Stops it as a service manager does; it must end well.
    async fn stop(mut self) {
        self.running.ask_to_stop().await;
        let status = self.running.ended().await;
        assert!(status.success(), "{status}: {:#?}", self.running.stderr.all());
    }
}

/// `rollcall stand-in`, ready, with what it takes to use it.
struct StandInProcess {
    _running: Running,
    settings: Vec<(String, String)>,
    control: Scim,
}

impl StandInProcess {
    /// Starts it with these options.
    async fn start(place: &Installation, options: &[&str]) -> Self {
        let args = [&["stand-in", "--listen", "127.0.0.1:0"], options].concat();
        let running = place.start(&args);
        running.stdout.find("the last setting", |line| line.contains("WORKSPACE_SID").then_some(())).await;
        let settings: Vec<(String, String)> = running
            .stdout
            .all()
            .iter()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        let base = settings.iter().find(|(name, _)| name.ends_with("__BASE_URL")).expect("a base URL");
        let address = base.1.strip_prefix("http://").expect("plain http").parse().unwrap();
        Self { _running: running, settings, control: Scim::new(address, None) }
    }

    /// Makes it the TaskRouter of an installation.
    fn serve(&self, installation: &mut Installation) {
        for (name, value) in &self.settings {
            installation.set(name, value);
        }
    }

    async fn ask(&self, path: &str) -> Value {
        self.control.request(Method::GET, path).at_root().send().await.expect(200)
    }

    /// Its workers.
    async fn workers(&self) -> Vec<Value> {
        self.ask("/_stand_in/state").await["workers"].as_array().expect("workers").clone()
    }

    /// The names of its workers, sorted.
    async fn names(&self) -> Vec<String> {
        let workers = self.workers().await;
        let mut names: Vec<_> = workers.iter().map(|it| it["friendly_name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The calls that it had, oldest first.
    async fn calls(&self) -> Vec<Value> {
        let log = self.ask("/_stand_in/calls?limit=1000000").await;
        let latest = log["latest"].as_array().expect("calls").clone();
        assert_eq!(log["total"], latest.len(), "no call was forgotten");
        latest
    }
}
