//! The `rollcall` command.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall::base::Causes;
use rollcall::cli::{self, Cli, Outcome};
use rollcall::{config, telemetry};

/// Much of the work of an answer is many small pieces of memory for a short time.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<cli::Differences>() => ExitCode::from(cli::Differences::STATUS),
        Err(error) => {
            eprintln!("rollcall: {}", Causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Outcome {
    let loaded = cli.load(config::process_environment()?)?;
    telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli::run(cli, &loaded))
}
