//! Every relative link resolves, the heading that it names included.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{lines, pages, root};

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        for (line, fence, text) in lines(&page.text) {
            if fence.is_some() {
                continue;
            }
            for target in targets(&without_code(text)) {
                if let Err(why) = check(&page.path, &target) {
                    broken.push(format!("{}:{line}: {target}: {why}", page.path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn links_and_anchors_are_found() {
    assert_eq!(targets("see [a](b.md#c) and [d](https://e.example/)"), ["b.md#c", "https://e.example/"]);
    assert_eq!(without_code("a `[x](y)` b"), "a  b");
    assert_eq!(anchor("What must always hold"), "what-must-always-hold");
    assert_eq!(anchor("`rollcall serve`: a, b (c)"), "rollcall-serve-a-b-c");
}

fn targets(line: &str) -> Vec<String> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// What stands between backquotes is shown, not followed.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn check(page: &Path, target: &str) -> Result<(), String> {
    if target.starts_with("https://") {
        return Ok(());
    }
    let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let file = match path {
        "" => page.to_owned(),
        path => inside(&page.parent().unwrap_or(Path::new("")).join(path)).ok_or("leaves the project")?,
    };
    let text = fs::read_to_string(root().join(&file));
    match (heading, text) {
        (None, _) if root().join(&file).exists() => Ok(()),
        (None, _) => Err("there is no such file".to_owned()),
        (Some(_), Err(error)) => Err(error.to_string()),
        (Some(heading), Ok(text)) => {
            let headings = lines(&text).into_iter().filter(|(_, fence, line)| fence.is_none() && line.starts_with('#'));
            let found = headings.map(|(_, _, line)| anchor(line.trim_start_matches('#').trim())).any(|a| a == heading);
            if found { Ok(()) } else { Err("there is no such heading".to_owned()) }
        }
    }
}

/// The path without `..`; none if it leads out of the project.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// The anchor that forges make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
