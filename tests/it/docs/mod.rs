//! The documentation is held to the program: links lead somewhere, commands parse, generated pages are current.

#![expect(clippy::unwrap_used, reason = "a failure is a failed test")]

mod commands;
mod generated;
mod links;
mod security;

use std::fs;
use std::path::{Path, PathBuf};

/// A page by its path below the root of the project, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that people read: those at the top, and everything below `docs`.
fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from).to_vec();
    markdown_below(Path::new("docs"), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page { path, text }
    };
    paths.into_iter().map(read).collect()
}

fn markdown_below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            markdown_below(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push(path);
        }
    }
}

/// The lines of a page with their numbers, and whether each stands in a fenced block (`Some` with its language).
fn lines(text: &str) -> Vec<(usize, Option<&str>, &str)> {
    let mut language = None;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(rest) = line.trim_start().strip_prefix("```") {
            language = if language.is_some() { None } else { Some(rest.trim()) };
            continue;
        }
        lines.push((index + 1, language, line));
    }
    assert!(language.is_none(), "a fenced block has no end");
    lines
}
