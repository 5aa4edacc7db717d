//! The expression language of task queues (`TargetWorkers`) and of the worker list's filter.
//!
//! Membership of a queue is never stored at Twilio: it is what this language says about a worker's attributes at the moment
//! of asking. Reading an expression is bounded in length and depth, because it comes from whoever can reach the port.

mod parse;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

/// The longest expression that is read, in bytes.
pub const MAX_LENGTH: usize = 8192;
/// The deepest nesting of parentheses that is read.
pub const MAX_DEPTH: usize = 32;

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at position {position}")]
pub struct ExpressionError {
    /// The byte offset of the first character that does not fit.
    pub position: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// A condition over the attributes of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Compare(Operand, Operator, Operand),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Constant(Value),
    Key(Vec<Step>),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    Has,
    In,
    NotIn,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// Says where the text stops being one, or that it is too long ([`MAX_LENGTH`]) or too deep ([`MAX_DEPTH`]).
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::parse(text).map(Self)
    }

    /// The expression that holds for everybody: `1==1`, the default of a queue.
    pub(super) fn always() -> Self {
        let one = || Operand::Constant(Value::from(1));
        Self(Node::Compare(one(), Operator::Equal, one()))
    }

    /// Whether the expression holds. `fields` are the names outside the attributes that may stand in it
    /// (`sid`, `friendly_name` ...); an attribute of the same name goes first.
    #[must_use]
    pub fn matches(&self, attributes: &Map<String, Value>, fields: &Map<String, Value>) -> bool {
        self.0.holds(&Subject { attributes, fields })
    }
}

struct Subject<'a> {
    attributes: &'a Map<String, Value>,
    fields: &'a Map<String, Value>,
}

impl Subject<'_> {
    /// A key that is not there is NULL.
    fn resolve<'b>(&'b self, operand: &'b Operand) -> &'b Value {
        match operand {
            Operand::Constant(value) => value,
            Operand::Key(steps) => self.walk(steps).unwrap_or(&Value::Null),
        }
    }

    fn walk(&self, steps: &[Step]) -> Option<&Value> {
        let (Step::Name(first), rest) = steps.split_first()? else { return None };
        let start = self.attributes.get(first).or_else(|| self.fields.get(first))?;
        rest.iter().try_fold(start, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }
}

impl Node {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(subject)),
            Self::Compare(left, operator, right) => compare(subject.resolve(left), *operator, subject.resolve(right)),
        }
    }
}

/// A scalar operator on an array is false, an array operator on two scalars is false, and so is a comparison by size of
/// two different types.
fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    match operator {
        Operator::Has => is_scalar(right) && contains(left, right) == Some(true),
        Operator::In => is_scalar(left) && contains(right, left) == Some(true),
        Operator::NotIn => is_scalar(left) && contains(right, left) == Some(false),
        _ if !is_scalar(left) || !is_scalar(right) => false,
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::Contains => {
            matches!((left.as_str(), right.as_str()), (Some(text), Some(part)) if text.contains(part))
        }
        Operator::Less => order(left, right).is_some_and(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => order(left, right).is_some_and(std::cmp::Ordering::is_le),
        Operator::Greater => order(left, right).is_some_and(std::cmp::Ordering::is_gt),
        Operator::GreaterOrEqual => order(left, right).is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn contains(list: &Value, item: &Value) -> Option<bool> {
    list.as_array().map(|items| items.iter().any(|other| is_scalar(other) && equal(other, item)))
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(_), Some(_)) => order(left, right).is_some_and(std::cmp::Ordering::is_eq),
        _ => left == right,
    }
}

fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
