//! `rollcall check-config`

use clap::Args;

use super::output;
use crate::config::{DEFAULTS, Loaded, Setting};

/// Check the configuration and show what holds.
///
/// Reads the configuration as `serve` would, says everything that is wrong with it, and otherwise prints each setting with
/// the place that it comes from. Secrets are not shown. The exit status is 0 when the configuration can be used.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckConfigArgs {
    /// Print the built-in defaults with their explanations instead: the reference for every setting
    #[arg(long)]
    pub defaults: bool,
}

const EXAMPLES: &str = "\
Examples:
  rollcall check-config --config /etc/rollcall.toml
  rollcall check-config --defaults";

impl CheckConfigArgs {
    /// Prints the settings.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn run(&self, loaded: &Loaded) -> std::io::Result<()> {
        if self.defaults {
            return output::line(DEFAULTS.trim_end());
        }
        output::line(show(&loaded.settings))
    }
}

/// The settings as TOML, each with its origin as a comment.
fn show(settings: &[Setting]) -> String {
    let mut lines = Vec::new();
    let mut table = "";
    for Setting { key, value, origin } in settings {
        let (of, name) = key.split_once('.').unwrap_or(("", key));
        if of != table {
            table = of;
            lines.push(format!("\n[{table}]"));
        }
        let assignment = format!("{name} = {value}");
        lines.push(format!("{assignment:<48}  # {origin}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    #[test]
    fn what_is_shown_can_be_loaded_again() {
        let environment = vec![("ROLLCALL_GUARD__MAX_PEOPLE".to_owned(), "7".to_owned())];
        let loaded = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        let text = show(&loaded.settings);
        assert!(text.contains("max_people = 7"));
        assert!(text.lines().any(|line| line.ends_with("# ROLLCALL_GUARD__MAX_PEOPLE")));
        let file = crate::config::ConfigFile { name: "shown".to_owned(), text };
        let again = Config::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
        assert_eq!(again.config.guard.max_people, 7);
    }
}
