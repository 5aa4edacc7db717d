//! Pages that are made from the program, compared with what the program says today. `script/docs` writes them anew.

use std::fs;

use clap::CommandFactory as _;
use rollcall::cli::Cli;
use rollcall::config::DEFAULTS;
use rollcall::metrics::FAMILIES;

use super::{root, security};

/// Set by `script/docs`: the pages are written instead of compared.
const WRITE: &str = "ROLLCALL_TEST_WRITE_DOCS";

/// As wide as the help is where there is no terminal.
const WIDTH: usize = 100;

#[test]
fn config_md_is_current() {
    let text = format!(
        "# Configuration\n\n\
         Made from `config/default.toml` by `script/docs`. It is what `rollcall check-config --defaults` prints: every key \
         with its default, its meaning and its environment variable. [OPERATIONS.md](OPERATIONS.md#configuration) says how \
         the sources are merged.\n\n```toml\n{}\n```\n",
        DEFAULTS.trim_end()
    );
    is_current("docs/config.md", &text);
}

#[test]
fn cli_md_is_current() {
    let mut text = "# The command line\n\nMade from the program by `script/docs`: what `--help` says of each command. The options \
         of every command, which stand below the first help, are left out of the others.\n"
        .to_owned();
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    describe(&mut command, "", &mut text);
    is_current("docs/cli.md", &text);
}

#[test]
fn metrics_md_is_current() {
    let mut text = "# Metrics\n\nMade from the program by `script/docs`: every metric at `/metrics` of the listener for monitoring \
         ([OPERATIONS.md](OPERATIONS.md#monitoring)). Names, labels and units stay as they are; new ones may come. Values without a word \
         about other copies are of the copy that is asked.\n\n| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n"
        .to_owned();
    for family in FAMILIES {
        use std::fmt::Write as _;
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (family.shown(), family.kind.as_str());
        writeln!(text, "| `{name}` | {kind} | {} | {} | {} |", labels.join(", "), family.unit, family.help).unwrap();
    }
    is_current("docs/METRICS.md", &text);
}

/// An alert on a metric that does not exist never rings.
#[test]
fn alerts_name_metrics_that_exist() {
    let rules = fs::read_to_string(root().join("docs/prometheus-alerts.yml")).unwrap();
    let shown: Vec<String> = FAMILIES
        .iter()
        .flat_map(|family| {
            let series = match family.kind {
                rollcall::metrics::Kind::Histogram => ["_bucket", "_sum", "_count"].as_slice(),
                _ => [""].as_slice(),
            };
            series.iter().map(|end| format!("{}{end}", family.shown())).collect::<Vec<_>>()
        })
        .collect();
    let expressions: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr:")).collect();
    let names: Vec<&str> = expressions
        .iter()
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| word.starts_with("rollcall_") || word.starts_with("process_"))
        .collect();
    assert!(expressions.len() >= 5 && names.len() >= expressions.len(), "{rules}");
    for name in names {
        assert!(shown.iter().any(|shown| shown == name), "{name} does not exist");
    }
}

#[test]
fn openapi_json_is_current() {
    is_current("docs/openapi.json", &format!("{}\n", rollcall::web::openapi().unwrap()));
}

#[test]
fn security_tests_md_is_current() {
    is_current("docs/security-tests.md", &security::page());
}

fn describe(command: &mut clap::Command, path: &str, text: &mut String) {
    use std::fmt::Write as _;
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    let help = command.render_long_help().to_string();
    let global = "\nOptions of every command:\n";
    let help = match help.split_once(global) {
        Some((before, after)) if path.contains(' ') => {
            let examples =
                after.split_once("\nExample").map(|(_, rest)| format!("\nExample{rest}")).unwrap_or_default();
            format!("{before}{examples}")
        }
        _ => help,
    };
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    writeln!(text, "\n## {path}\n\n```text\n{}\n```", lines.join("\n")).unwrap();
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        describe(inner, &path, text);
    }
}

/// Compares a page with what it should be, or writes it.
fn is_current(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let first = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = first.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1;
    assert!(found == wanted, "{path} is not current from line {line} on: run script/docs");
}
