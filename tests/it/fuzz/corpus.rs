//! Where inputs come from.

use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::damage;
use crate::support::Random;

/// The longest input that is made.
const LONGEST: usize = 24 * 1024;

/// The inputs of a target, and how they are damaged.
#[derive(Debug)]
pub struct Corpus {
    pub inputs: Vec<Vec<u8>>,
    json: bool,
    xml: bool,
}

impl Corpus {
    /// The kept inputs of the target, and those of the recorded requests.
    pub fn read(target: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kept =
            if target == "saml" { root.join("fixtures/saml") } else { root.join("tests/fuzz/corpus").join(target) };
        let mut inputs: Vec<Vec<u8>> = files(&kept).iter().map(|file| content(file)).collect();
        assert!(!inputs.is_empty(), "{} is empty", kept.display());
        for file in files(&root.join("fixtures")) {
            if file.extension().is_some_and(|extension| extension == "json") {
                inputs.extend(recorded(target, &content(&file)));
            }
        }
        Self { inputs, json: matches!(target, "patch" | "body"), xml: target == "saml" }
    }

    /// One of the inputs, damaged in one place or in several.
    pub fn damaged(&self, random: &mut Random) -> Vec<u8> {
        let one = random.pick(&self.inputs).cloned().unwrap_or_default();
        let other = random.pick(&self.inputs).cloned().unwrap_or_default();
        let mut input = if self.json && !random.once_in(4) { damage::json(random, &one, &other) } else { one };
        if self.xml && !random.once_in(4) {
            input = super::saml::damaged(random, &input, &other);
        } else if !self.json || random.once_in(4) {
            for _ in 0..=random.below(5) {
                damage::bytes(random, &mut input, &other);
            }
        }
        input.truncate(LONGEST);
        input
    }
}

/// What of a recorded request the target reads.
fn recorded(target: &str, fixture: &[u8]) -> Option<Vec<u8>> {
    let fixture: Value = serde_json::from_slice(fixture).ok()?;
    let request = fixture.get("request")?;
    let (method, path) = (request["method"].as_str()?, request["path"].as_str()?);
    match target {
        "filter" => {
            let filter = path.split(['?', '&']).find_map(|part| part.strip_prefix("filter="))?;
            Some(percent_decode_str(&filter.replace('+', " ")).collect())
        }
        "path" => request["body"]["Operations"][0]["path"].as_str().map(|path| path.as_bytes().to_vec()),
        "patch" if method == "PATCH" => request.get("body").map(|body| body.to_string().into_bytes()),
        "body" if method != "PATCH" => request.get("body").map(|body| body.to_string().into_bytes()),
        _ => None,
    }
}

fn content(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The files below a folder, in an order that is the same everywhere.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
