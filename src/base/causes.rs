//! An error with what it comes from, as one line.

use std::error::Error;
use std::fmt;

/// Shows an error with all its causes (`the database is not available: connection refused`). A cause that the text has
/// already is left out.
///
/// Log lines need it: as a field, an error shows itself alone when lines are JSON.
#[derive(Debug, Clone, Copy)]
pub struct Causes<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(inner) = cause {
            let said = inner.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = inner.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn causes_are_told_once() {
        let inner = Link("refused", None);
        let middle = Link("no connection", Some(Box::new(inner)));
        let outer = Link("the database is away: no connection", Some(Box::new(middle)));
        assert_eq!(Causes(&outer).to_string(), "the database is away: no connection: refused");
    }
}
