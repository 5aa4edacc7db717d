//! Every command of ours in a shell block is one that the program understands, and every rule file shown can be imported.

use clap::Parser as _;
use rollcall::access::file;
use rollcall::base::Ambient;
use rollcall::cli::Cli;

use super::{lines, pages};

#[test]
fn every_command_shown_parses() {
    let (mut refused, mut seen) = (Vec::new(), 0);
    for page in pages() {
        let text = page.text.replace("\\\n", " ");
        for (_, fence, line) in lines(&text) {
            if fence != Some("sh") {
                continue;
            }
            for words in ours(line) {
                seen += 1;
                // The help is an error to clap, and what was asked for.
                if let Err(error) = Cli::try_parse_from(words.iter().map(|word| filled_in(word)))
                    && error.use_stderr()
                {
                    refused.push(format!("{}: {}: {error}", page.path.display(), words.join(" ")));
                }
            }
        }
    }
    assert!(refused.is_empty(), "\n{}", refused.join("\n"));
    assert!(seen > 20, "only {seen} commands were found: are they still marked as sh?");
}

/// A SID that the page leaves open, such as `AC...`, as one that is complete.
fn filled_in(word: &str) -> String {
    match word.strip_suffix("...") {
        Some(prefix @ ("AC" | "SK" | "WS")) => format!("{prefix}{}", "0".repeat(32)),
        _ => word.to_owned(),
    }
}

#[test]
fn every_rule_shown_can_be_imported() {
    let mut seen = 0;
    for page in pages() {
        let mut block = String::new();
        for (_, fence, line) in lines(&page.text).into_iter().chain([(0, None, "")]) {
            if fence == Some("toml") {
                block.push_str(line);
                block.push('\n');
            } else if block.contains("[[rule]]") {
                seen += 1;
                let read = file::parse(&block, |_| Ambient::system().id());
                let warnings = read.unwrap_or_else(|error| panic!("{}: {error}", page.path.display())).warnings;
                assert!(warnings.is_empty(), "{}: {warnings:?}", page.path.display());
                block.clear();
            } else {
                block.clear();
            }
        }
    }
    assert!(seen >= 2, "only {seen} rule files were found: are they still marked as toml?");
}

#[test]
fn commands_are_found_in_shell_lines() {
    let found = |line: &str| ours(line).into_iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(found("TOKEN=$(rollcall token create --connection okta)"), ["rollcall|token|create|--connection|okta"]);
    assert_eq!(found("A=b rollcall serve --listen x > log 2> err &   # say"), ["rollcall|serve|--listen|x"]);
    assert_eq!(found("cargo run --release -- demo --exit"), ["rollcall|demo|--exit"]);
    assert_eq!(found("set -a; . ./settings; rollcall serve"), ["rollcall|serve"]);
    assert_eq!(
        found("rollcall account list | grep x && rollcall migrate"),
        ["rollcall|account|list", "rollcall|migrate"]
    );
    assert_eq!(found("rollcall token create --label 'a; b'"), ["rollcall|token|create|--label|a; b"]);
    assert!(found("echo rollcall").is_empty());
}

/// The calls of our program in a line, each as its words.
fn ours(line: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for mut words in simple_commands(line) {
        let assignments = words.iter().take_while(|word| is_assignment(word)).count();
        words.drain(..assignments);
        let own = match words.iter().position(|word| word == "--") {
            Some(dashes) if words.starts_with(&["cargo".to_owned(), "run".to_owned()]) => words.split_off(dashes + 1),
            _ if words.first().is_some_and(|first| first == "rollcall") => words.split_off(1),
            _ => continue,
        };
        found.push(std::iter::once("rollcall".to_owned()).chain(without_redirections(own)).collect());
    }
    found
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

fn without_redirections(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if [">", ">>", "2>", "<"].contains(&word.as_str()) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept
}

/// Splits a line as a shell does, as far as documentation needs it: quotes, comments, and what ends a command.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
    let mut chars = line.replace("$(", " ; ").chars().collect::<Vec<_>>().into_iter();
    while let Some(c) = chars.next() {
        if let Some(open) = quote {
            if c == open {
                quote = None;
            } else {
                word.get_or_insert_default().push(c);
            }
            continue;
        }
        match c {
            '\'' | '"' => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '#' if word.is_none() => break,
            ';' | '|' | '&' | ')' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.take());
    commands.push(words);
    commands
}
