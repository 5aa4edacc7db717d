//! Filters (RFC 7644 §3.4.2.2): read, shown in one canonical spelling, bound to a schema and evaluated.
//!
//! The tree is an arena: nodes refer to one another by index and children stand before their parents. Dropping or
//! cloning a filter therefore never recurses, and what recurses (showing, binding, evaluating) is as deep as
//! [`Limits::max_depth`] allows and no deeper, whatever the caller sent.

mod bind;
mod display;
mod eval;
mod named;
mod operand;
mod parse;
mod scan;

#[cfg(test)]
mod tests;

pub use bind::{Bound, BoundNode, Relation};
pub use operand::{Operand, Text};

pub(super) use parse::parse_bracketed;
pub(super) use scan::Scanner;

use serde_json::Number;

use super::dialect::Dialect;
use super::error::ScimError;
use super::schema::AttrName;

/// What a filter may cost before it is refused with 400 `invalidFilter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text in bytes.
    pub max_bytes: usize,
    /// Brackets open at once, `(`, `not (` and `[` alike. Never more than [`Limits::DEEPEST`] is granted.
    pub max_depth: usize,
    /// Comparisons and presence tests in the whole filter.
    pub max_terms: usize,
}

impl Limits {
    /// The depth no caller can exceed, because showing, binding and evaluating recurse.
    pub const DEEPEST: usize = 64;
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 8192, max_depth: 32, max_terms: 256 }
    }
}

/// The place of a node in its [`Filter`] or [`Bound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    fn index(self) -> usize {
        self.0 as usize
    }

    /// The id that the next node pushed to an arena of this length gets.
    fn next(length: usize) -> Self {
        // Limits::max_bytes bounds the number of nodes far below u32; saturating keeps the function total.
        Self(u32::try_from(length).unwrap_or(u32::MAX))
    }
}

/// A filter as it was written: attribute names are not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    nodes: Vec<Node>,
    root: NodeId,
}

/// One node of a [`Filter`]. `And` and `Or` have two or more children, none of them of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Every child holds.
    And(Vec<NodeId>),
    /// Some child holds.
    Or(Vec<NodeId>),
    /// The child does not hold.
    Not(NodeId),
    /// `userName eq "ana@acme.example"`.
    Compare { attr: AttrName, op: CompareOp, value: Literal },
    /// `title pr`.
    Present(AttrName),
    /// `emails[type eq "work"]`. Entra's form outside the grammar, `emails[type eq "work"].value eq "x"`
    /// (`fixtures/entra/match-work-email.json`), means that one element satisfies both, and is read as
    /// `emails[type eq "work" and value eq "x"]`.
    ValuePath { attr: AttrName, inner: NodeId },
}

/// A comparison operator (RFC 7644 §3.4.2.2, table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal to.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal to.
    Le,
}

impl CompareOp {
    const ALL: [Self; 9] = [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The operator as RFC 7644 spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// Operators are case-insensitive (RFC 7644 §3.4.2.2); `PingOne` writes `Eq` (`fixtures/ping/match-user.json`).
    fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(word))
    }
}

/// The value at the right of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`, which stands for the absence of a value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A JSON number.
    Number(Number),
    /// A JSON string, its escapes resolved.
    String(String),
}

impl Filter {
    /// Reads a filter.
    ///
    /// Operators, keywords and the words `true`, `false` and `null` may have any case, white space is free, and `not`
    /// needs no space before its bracket. The reader keeps its own stack of open brackets, so input cannot make it recurse.
    ///
    /// # Errors
    /// 400 `invalidFilter`, naming the character at which the text stops making sense; also for a text longer, deeper or
    /// with more terms than `limits` allow.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, ScimError> {
        parse::parse(text, limits)
    }

    /// Reads a filter as a connection's dialect does: as [`Filter::parse`], and where that is allowed a filter that is
    /// nothing but `userName eq` and an address without quotes.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn parse_as(text: &str, limits: &Limits, dialect: Dialect) -> Result<Self, ScimError> {
        parse::parse(text, limits).or_else(|error| match parse::unquoted_user_name(text) {
            Some(quoted) if dialect.unquoted_user_name() => parse::parse(&quoted, limits),
            _ => Err(error),
        })
    }

    /// The node at the top.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// The node of an id taken from this filter.
    ///
    /// # Panics
    /// When the id was taken from another, larger filter.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }
}
