//! The program itself, as people start it.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;

/// The program with nothing of this process's environment that could change what it does.
pub fn rollcall(environment: &[(String, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value))).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rollcall"))
}

/// Runs a command to its end; returns what it wrote to standard output, without the last line break.
///
/// # Panics
/// If it fails.
pub async fn succeed(environment: &[(String, String)], arguments: &[&str]) -> String {
    let output = rollcall(environment, arguments).output().await.expect("the program starts");
    assert!(output.status.success(), "rollcall {}: {}", arguments.join(" "), shown(&output));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// Runs a command to its end, whatever comes of it.
pub async fn end(environment: &[(String, String)], arguments: &[&str]) -> (i32, String, String) {
    let output = rollcall(environment, arguments).output().await.expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8").trim_end().to_owned();
    (output.status.code().expect("it was not killed"), text(output.stdout), text(output.stderr))
}

/// Runs a command that is to fail; returns what it wrote to standard error.
///
/// # Panics
/// If it succeeds.
pub async fn fail(environment: &[(String, String)], arguments: &[&str]) -> String {
    let output = rollcall(environment, arguments).output().await.expect("the program starts");
    assert!(!output.status.success(), "rollcall {}: {}", arguments.join(" "), shown(&output));
    String::from_utf8(output.stderr).expect("UTF-8").trim_end().to_owned()
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
