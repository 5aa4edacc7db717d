//! Just enough reading of Rust to know which modules and crates a file names.

use std::collections::BTreeMap;

/// A path that begins at the crate root, as far as it is written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// `store::user`, without `crate::`.
    pub(super) path: String,
    /// Its place in the code.
    pub(super) at: usize,
}

/// A word of the code.
#[derive(Debug, Clone)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// It begins a path, or is named by `use` or `extern crate`: a variable of that name does neither.
    pub(super) names_a_crate: bool,
    /// The paths of the standard library that begin here, without `std::`.
    pub(super) of_std: Vec<String>,
}

/// The code with everything blanked that is no code; places and lines stay.
pub(super) fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let blank = blank_length(rest, code.chars().next_back());
        if blank == 0 {
            let next = rest.chars().next().unwrap_or_default();
            // One byte for each byte, so that places in the code are places in the text.
            if next.is_ascii() {
                code.push(next);
            } else {
                code.extend(std::iter::repeat_n(' ', next.len_utf8()));
            }
            rest = &rest[next.len_utf8()..];
        } else {
            code.extend(rest[..blank].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = &rest[blank..];
        }
    }
    code
}

/// The length of the comment or literal that begins here; 0 when none does.
fn blank_length(rest: &str, before: Option<char>) -> usize {
    let bytes = rest.as_bytes();
    let in_word = before.is_some_and(is_word);
    match bytes {
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(bytes),
        [b'"', ..] => string(bytes, 1),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 1),
        [b'b', b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 2),
        // A character: otherwise it is a lifetime.
        [b'\'', b'\\', ..] => rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3),
        [b'\'', ..] => {
            let mut characters = rest.char_indices().skip(2);
            characters.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        _ => 0,
    }
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string(rest: &str, prefix: usize) -> usize {
    let hashes = rest[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix + hashes + 1;
    if rest.as_bytes().get(open - 1) != Some(&b'"') {
        return 0; // `r#type` is a word.
    }
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Every word with its place.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    let place_of = move |word: &str| {
        let at = next;
        next += word.len() + 1; // What separates words is blank or punctuation, one byte each.
        at
    };
    code.split(|c| !is_word(c))
        .scan(place_of, |place_of, word| Some((place_of(word), word)))
        .filter(|(_, word)| !word.is_empty())
}

/// Every word with what the rules about crates ask of it.
pub(super) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut of_std = std_paths(code);
    words(code)
        .map(|(at, text)| {
            let before = code[..at].trim_end();
            let after = code[at + text.len()..].trim_start();
            // `::name` begins a path too, but `a::name` does not.
            let inside_path =
                before.ends_with("::") && before[..before.len() - 2].ends_with(|c: char| is_word(c) || c == '>');
            let declared = before.ends_with("use") || before.ends_with("extern crate");
            Token {
                text,
                at,
                names_a_crate: declared || (after.starts_with("::") && !inside_path),
                of_std: of_std.remove(&at).unwrap_or_default(),
            }
        })
        .collect()
}

/// The paths of the standard library, by the place of their first word: `fs` in `std::fs` and in `std::{fmt, fs}`.
fn std_paths(code: &str) -> BTreeMap<usize, Vec<String>> {
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (at, _) in words(code).filter(|(_, word)| *word == "std") {
        for (place, path) in paths_after(code, at + "std".len()) {
            found.entry(place).or_default().push(path);
        }
    }
    found
}

/// Every path from the crate root: by `crate::`, or by enough `super::` for a file this deep.
pub(super) fn imports(code: &str, depth: usize) -> Vec<Import> {
    let mut found = Vec::new();
    for (at, word) in words(code) {
        let start = match word {
            "crate" => at + word.len(),
            "super" if !code[..at].trim_end().ends_with("super::") => match after_supers(code, at, depth) {
                Some(start) => start,
                None => continue,
            },
            _ => continue,
        };
        found.extend(paths_after(code, start).into_iter().map(|(at, path)| Import { path, at }));
    }
    found
}

/// The end of the last `super` of a path that leads up to the crate root.
fn after_supers(code: &str, at: usize, depth: usize) -> Option<usize> {
    let mut end = at + "super".len();
    let mut count = 1;
    while code[end..].starts_with("::super") {
        end += "::super".len();
        count += 1;
    }
    (count == depth).then_some(end)
}

/// The paths that follow a root, of which groups (`::{a, b::{c, d}}`) have several: each with the place of its first word.
fn paths_after(code: &str, start: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    expand(code, start, None, "", &mut found);
    found
}

/// Expands the tree that stands after a `::`-path: its end is returned.
fn expand(code: &str, end: usize, first: Option<usize>, path: &str, found: &mut Vec<(usize, String)>) -> usize {
    let rest = &code[end..];
    let at = match rest.strip_prefix("::") {
        Some(_) => end + 2,
        None if first.is_some() => {
            found.push((first.unwrap_or(end), path.to_owned()));
            return end;
        }
        None => return end,
    };
    if !code[at..].starts_with('{') {
        let word = word_at(code, at);
        let joined = join(path, word);
        return expand(code, at + word.len(), first.or(Some(at)), &joined, found);
    }
    let mut at = at + 1;
    while let Some(next) = code[at..].find(|c: char| is_word(c) || c == '}') {
        at += next;
        let word = word_at(code, at);
        if word.is_empty() {
            return at + 1;
        }
        at = expand_item(code, at, word, first, path, found);
    }
    code.len()
}

fn expand_item(
    code: &str,
    at: usize,
    word: &str,
    first: Option<usize>,
    path: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let end = expand(code, at + word.len(), first.or(Some(at)), &join(path, word), found);
    // A new name (`as x`) is no path.
    code[end..].find([',', '}']).map_or(code.len(), |length| end + length)
}

fn join(path: &str, word: &str) -> String {
    if path.is_empty() { word.to_owned() } else { format!("{path}::{word}") }
}

/// The word that begins here.
fn word_at(code: &str, at: usize) -> &str {
    let rest = &code[at..];
    &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
}
