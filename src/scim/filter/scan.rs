//! Reading a filter or a path piece by piece.

use crate::scim::schema::AttrName;

/// A place in the text of a filter or a path.
#[derive(Clone, Debug)]
pub(in crate::scim) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// The number of the next character, counted from 1 as people do.
    pub fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    pub fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace()).len();
    }

    /// Takes `wanted` if it is next.
    pub fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Takes the characters an attribute name, an URN or an operator can have: possibly none.
    pub fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || "-_$.:/%+=@".contains(c))
    }

    /// Takes everything up to white space or a closing bracket: possibly nothing.
    pub fn bare_value(&mut self) -> &'a str {
        self.take_while(|c| !c.is_ascii_whitespace() && c != ')' && c != ']')
    }

    /// Takes a JSON string with its quotes; `None` when it is not closed.
    pub fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let mut escaped = false;
        // Quote and backslash are never part of a longer UTF-8 sequence, so going by bytes is safe.
        let end = rest.bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })?;
        let quoted = &rest[..end + 2];
        self.at += quoted.len();
        Some(quoted)
    }

    /// Takes an attribute name with its URN and sub-attribute, if a well-formed one is next.
    pub fn attr_name(&mut self) -> Option<AttrName> {
        let start = self.at;
        let name = AttrName::parse(self.word()).ok();
        if name.is_none() {
            self.at = start;
        }
        name
    }

    /// Takes the name of a sub-attribute (no URN, no further dot).
    pub fn sub_name(&mut self) -> Option<&'a str> {
        let start = self.at;
        let word = self.word();
        let plain = is_plain_name(word);
        if !plain {
            self.at = start;
        }
        plain.then_some(word)
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }
}

/// `ATTRNAME` of RFC 7644 §3.4.2.2, and `$ref`, which RFC 7643 uses against its own grammar.
fn is_plain_name(word: &str) -> bool {
    let name = word.strip_prefix('$').unwrap_or(word);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
