//! The lines of the security checklist, and the tests that hold them: a test says by its name which line it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::root;

/// The lines go from S1 to this.
const LAST: usize = 66;

/// The page that lists the tests of each line.
pub(super) fn page() -> String {
    let mut page = "# Which test holds which line\n\n\
         Made from the names of the tests by `script/docs`; [SECURITY.md](SECURITY.md) says what each line asks for. To run the \
         tests of one line: `cargo nextest run -E 'test(/::s46_/)'`.\n\n| line | test | where |\n|---|---|---|\n"
        .to_owned();
    for ((line, name), files) in tests() {
        let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
        writeln!(page, "| S{line} | `{name}` | {} |", files.join(", ")).unwrap();
    }
    page
}

/// Every line of the checklist has a row, and a row whose line no test holds gives the reason.
#[test]
fn security_md_speaks_of_every_line() {
    let text = fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    let held: BTreeSet<usize> = tests().into_keys().map(|(line, _)| line).collect();
    let rows: Vec<(usize, Vec<&str>)> = text.lines().filter_map(row).collect();
    let numbers: Vec<usize> = rows.iter().map(|(line, _)| *line).collect();
    assert_eq!(numbers, (1..=LAST).collect::<Vec<_>>(), "the rows of docs/SECURITY.md");
    for (line, cells) in rows {
        let [_, note] = cells[..] else { panic!("the row of S{line} has not three cells") };
        assert!(held.contains(&line) || !note.is_empty(), "no test holds S{line}, and SECURITY.md gives no reason");
    }
}

/// `| S27 | what it asks for | what is missing, and why |`
fn row(line: &str) -> Option<(usize, Vec<&str>)> {
    let mut cells = line.strip_prefix("| S")?.strip_suffix('|')?.split('|').map(str::trim);
    let number = cells.next()?.parse().ok()?;
    Some((number, cells.collect()))
}

/// The tests that name a line, with the files that have one of that name.
fn tests() -> BTreeMap<(usize, String), BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for folder in ["src", "tests", "entity/src", "migration/src"] {
        collect(Path::new(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<(usize, String), BTreeSet<String>>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for line in fs::read_to_string(root().join(&path)).unwrap().lines() {
                if let Some((number, name)) = test_name(line) {
                    found.entry((number, name.to_owned())).or_default().insert(path.display().to_string());
                }
            }
        }
    }
}

/// The line and name of a test like `s27_every_scim_path_needs_a_token`.
fn test_name(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (name, _) = line.strip_prefix("fn ")?.split_once('(')?;
    let (number, _) = name.strip_prefix('s')?.split_once('_')?;
    let number = number.parse().ok().filter(|number| (1..=LAST).contains(number))?;
    Some((number, name))
}
