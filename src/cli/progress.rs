//! How far a long command is: a bar on a terminal, a line from time to time otherwise. Both go to standard error.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::reconcile::inventory::{Stage, Watch};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// What is shown.
#[derive(Debug)]
pub struct Shown {
    bar: ProgressBar,
    terminal: bool,
    told: Mutex<(&'static str, Instant)>,
}

impl Shown {
    /// Shows nothing yet.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(None, target), terminal, told: Mutex::new(("", Instant::now())) }
    }

    /// Shows that so many are done; of how many, if that is known.
    pub fn at(&self, what: &'static str, done: u64, all: Option<u64>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let new = told.0 != what;
        if new || told.1.elapsed() >= EVERY {
            *told = (what, Instant::now());
            if !self.terminal {
                match all {
                    Some(all) => eprintln!("{what}: {done} of {all}"),
                    None => eprintln!("{what}: {done}"),
                }
            }
        }
        if new {
            let bar = if all.is_some() { "{msg}: [{wide_bar}] {pos} of {len}, {eta} left" } else { "{msg}: {pos}" };
            if let Ok(style) = ProgressStyle::with_template(bar) {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.reset();
            self.bar.set_message(what);
        }
        if let Some(all) = all {
            self.bar.set_length(all);
        }
        self.bar.set_position(done);
    }

    /// Takes the bar away, before results are written.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Shown {
    fn at(&self, stage: Stage, done: u64, all: Option<u64>) {
        let what = match stage {
            Stage::Listing => "reading workers",
            Stage::Looking => "looking for workers that are not there",
            Stage::Reading => "reading again what seems to differ",
        };
        Self::at(self, what, done, all);
    }
}
