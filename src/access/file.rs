//! The rule file: `[[rule]]` tables in TOML, read with errors that name the line, the rule and the key.
//!
//! ```toml
//! [[rule]]
//! name = "agents"
//! when = 'groups.display eq "CC Agents" and not (userType eq "Contractor")'
//! role = "agent"
//! act_as_agent = false                  # optional
//! teams = ["Support"]
//! skills = { english = 3, billing = 1 }
//! channels = { voice = 1, chat = 3 }
//! attributes = { site = "north", cost_center = { from = "costCenter" } }
//! ```

use std::collections::HashMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::definition::RuleDefinition;
use super::nearest::did_you_mean;
use super::rule::{Problem, Rule, RuleSet, RuleSetError};
use crate::base::{RuleId, fold};

mod read;

/// The largest rule file in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A rule file that was understood.
#[derive(Debug)]
pub struct RuleFile {
    /// The rules in the order of the file.
    pub rules: RuleSet,
    /// What is allowed and will probably not do what was meant.
    pub warnings: Vec<FileProblem>,
}

/// Something in a rule file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The line, counted from 1.
    pub line: usize,
    /// The rule by name, or by its number in the file if it has none.
    pub rule: Option<String>,
    /// The key in the rule, such as `skills.english`.
    pub key: Option<String>,
    /// What to change.
    pub message: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(rule) = &self.rule {
            write!(f, ", rule {rule}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ", {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A rule file that cannot be used: all that is wrong with it, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RuleFileError(pub Vec<FileProblem>);

/// Reads a rule file.
///
/// `id_of` gives the id for a rule's name: the one that the rule had before, or a new one.
///
/// # Errors
/// All problems of the file at once; then nothing of it is used.
pub fn parse(text: &str, id_of: impl FnMut(&str) -> RuleId) -> Result<RuleFile, RuleFileError> {
    let lines = Lines::new(text);
    let whole_file = |line, message: String| RuleFileError(vec![FileProblem { line, rule: None, key: None, message }]);
    if text.len() > MAX_FILE_BYTES {
        return Err(whole_file(1, format!("the file is larger than {MAX_FILE_BYTES} bytes")));
    }
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        whole_file(line, format!("not TOML: {}", error.message()))
    })?;
    let mut problems = Vec::new();
    let drafts = read_root(root.get_ref(), &lines, &mut problems);
    if drafts.is_empty() && problems.is_empty() {
        return Err(whole_file(1, "the file has no [[rule]]; nobody would have access".to_owned()));
    }
    let mut warnings = Vec::new();
    let rules = compile(drafts, id_of, &mut problems, &mut warnings);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        return Err(RuleFileError(problems));
    }
    match RuleSet::new(rules) {
        Ok(rules) => Ok(RuleFile { rules, warnings }),
        Err(error @ (RuleSetError::TooMany(_) | RuleSetError::SameName(_))) => Err(whole_file(1, error.to_string())),
    }
}

/// One `[[rule]]` as read, with the lines of its keys.
struct Draft {
    definition: RuleDefinition,
    label: String,
    line: usize,
    key_lines: HashMap<String, usize>,
    /// Problems were reported already; checking it further would report their consequences.
    broken: bool,
}

impl Draft {
    fn place(&self, problem: Problem) -> FileProblem {
        let list = problem.key.split('.').next().unwrap_or_default();
        let line = self.key_lines.get(&problem.key).or_else(|| self.key_lines.get(list)).copied();
        FileProblem {
            line: line.unwrap_or(self.line),
            rule: Some(self.label.clone()),
            key: Some(problem.key),
            message: problem.message,
        }
    }
}

fn read_root(root: &DeTable<'_>, lines: &Lines, problems: &mut Vec<FileProblem>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (key, value) in root {
        let line = lines.at(key.span().start);
        let problem = |message| FileProblem { line, rule: None, key: Some(key.get_ref().to_string()), message };
        if key.get_ref() != "rule" {
            let meant = did_you_mean(key.get_ref(), ["rule"]);
            problems.push(problem(format!("unknown key; a rule file has [[rule]] tables only{meant}")));
            continue;
        }
        let DeValue::Array(items) = value.get_ref() else {
            problems.push(problem("write [[rule]] with two brackets: there can be several".to_owned()));
            continue;
        };
        for (index, item) in items.iter().enumerate() {
            drafts.extend(read_rule(index, item, lines, problems));
        }
    }
    drafts
}

fn read_rule(
    index: usize,
    item: &Spanned<DeValue<'_>>,
    lines: &Lines,
    problems: &mut Vec<FileProblem>,
) -> Option<Draft> {
    let line = lines.at(item.span().start);
    let number = format!("number {}", index + 1);
    let DeValue::Table(table) = item.get_ref() else {
        let message = "a rule is a table".to_owned();
        problems.push(FileProblem { line, rule: Some(number), key: None, message });
        return None;
    };
    let named = table.get("name").and_then(|name| name.get_ref().as_str()).filter(|name| !name.trim().is_empty());
    let label = named.map_or(number, |name| format!("'{}'", name.chars().take(60).collect::<String>()));
    let mut reader = read::Reader::new(lines);
    let definition = reader.rule(table);
    let (key_lines, found) = reader.finish();
    let mut draft = Draft { definition, label, line, key_lines, broken: !found.is_empty() };
    // A missing key has no line of its own.
    draft.key_lines.entry("name".to_owned()).or_insert(line);
    problems.extend(found.into_iter().map(|(line, problem)| {
        let placed = draft.place(problem);
        FileProblem { line: line.unwrap_or(placed.line), ..placed }
    }));
    Some(draft)
}

fn compile(
    drafts: Vec<Draft>,
    mut id_of: impl FnMut(&str) -> RuleId,
    problems: &mut Vec<FileProblem>,
    warnings: &mut Vec<FileProblem>,
) -> Vec<Rule> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut rules = Vec::new();
    for draft in drafts {
        let name = draft.definition.name.clone();
        let line = draft.key_lines.get("name").copied().unwrap_or(draft.line);
        if !name.is_empty()
            && let Some(first) = seen.insert(fold(&name), line)
        {
            let message = format!("line {first} has a rule of that name already (case does not count)");
            problems.push(draft.place(Problem { key: "name".to_owned(), message }));
        }
        if draft.broken {
            continue;
        }
        match Rule::compile(id_of(&name), draft.definition.clone()) {
            Ok(rule) => {
                warnings.extend(rule.warnings().into_iter().map(|problem| draft.place(problem)));
                rules.push(rule);
            }
            Err(found) => problems.extend(found.into_iter().map(|problem| draft.place(problem))),
        }
    }
    rules
}

/// Turns byte offsets into line numbers.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|newline| *newline < offset) + 1
    }
}

#[cfg(test)]
mod tests;
