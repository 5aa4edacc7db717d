//! What an attribute is compared with, in the attribute's own type.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{Literal, Relation};
use crate::base::{Timestamp, fold};
use crate::scim::dialect::Dialect;
use crate::scim::schema::{Attribute, AttributeType};

/// The right-hand side of a bound comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// For boolean attributes.
    Bool(bool),
    /// For numbers.
    Number(Number),
    /// For dates: compared as instants, whatever their time zone.
    Instant(Timestamp),
    /// For everything that is text.
    Text(Text),
}

/// Text to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// As the filter has it.
    pub written: String,
    /// What is compared: folded by [`fold`] unless `exact`. A folded column can be compared with it directly.
    pub compared: String,
    /// Whether case matters (`caseExact` of RFC 7643 §2.2).
    pub exact: bool,
}

impl Operand {
    /// The literal in the type of the attribute, or what is wrong, in words that follow the attribute's name.
    pub(super) fn new(
        attribute: &Attribute,
        relation: Relation,
        literal: &Literal,
        dialect: Dialect,
    ) -> Result<Self, String> {
        let supported = match attribute.kind {
            AttributeType::String | AttributeType::Reference => true,
            AttributeType::Boolean | AttributeType::Complex => relation == Relation::Eq,
            // RFC 7644 §3.4.2.2 refuses an order on these; there is no sense in parts of them either.
            AttributeType::Binary => !relation.is_order(),
            AttributeType::Decimal | AttributeType::Integer | AttributeType::DateTime => !relation.is_substring(),
        };
        if !supported {
            return Err(format!(
                "is {} and cannot be compared with \"{}\"",
                article(attribute.kind),
                relation.as_str()
            ));
        }
        if matches!(literal, Literal::String(text) if text.contains('\0')) {
            // No stored text holds it, and PostgreSQL cannot even be asked.
            return Err("is compared with text that holds a NUL character".to_owned());
        }
        let operand = match (attribute.kind, literal) {
            (AttributeType::String | AttributeType::Reference | AttributeType::Binary, Literal::String(text)) => {
                Some(Self::text(attribute, text))
            }
            (AttributeType::Boolean, Literal::Bool(value)) => Some(Self::Bool(*value)),
            (AttributeType::Boolean, Literal::String(text)) if dialect.quoted_booleans() => {
                text.to_ascii_lowercase().parse().ok().map(Self::Bool)
            }
            (AttributeType::Decimal | AttributeType::Integer, Literal::Number(value)) => {
                Some(Self::Number(value.clone()))
            }
            (AttributeType::DateTime, Literal::String(text)) => instant(text).map(Self::Instant),
            _ => None,
        };
        operand.ok_or_else(|| format!("is compared with {}", expected(attribute.kind)))
    }

    fn text(attribute: &Attribute, written: &str) -> Self {
        let exact = attribute.case_exact || attribute.kind != AttributeType::String;
        let compared = if exact { written.to_owned() } else { fold(written) };
        Self::Text(Text { written: written.to_owned(), compared, exact })
    }

    /// Whether a value of a resource stands in that relation to this operand. A value of another type does not.
    pub fn holds(&self, relation: Relation, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(value)) => relation == Relation::Eq && value == wanted,
            (Self::Number(wanted), Value::Number(value)) => {
                compare_numbers(value, wanted).is_some_and(|order| relation.allows(order))
            }
            (Self::Instant(wanted), Value::String(value)) => {
                value.parse::<Timestamp>().is_ok_and(|value| relation.allows(value.cmp(wanted)))
            }
            (Self::Text(wanted), Value::String(value)) => wanted.holds(relation, value),
            _ => false,
        }
    }

    /// The value that an attribute gets where a filter describes an element to be made.
    pub(in crate::scim) fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(value.clone()),
            Self::Instant(value) => Value::String(value.to_string()),
            Self::Text(text) => Value::String(text.written.clone()),
        }
    }
}

impl Text {
    fn holds(&self, relation: Relation, value: &str) -> bool {
        if self.exact {
            return relation.holds(value, &self.compared);
        }
        // The usual case costs no allocation.
        if relation == Relation::Eq && value.is_ascii() {
            return value.eq_ignore_ascii_case(&self.compared);
        }
        relation.holds(&fold(value), &self.compared)
    }
}

impl Relation {
    fn holds(self, value: &str, wanted: &str) -> bool {
        match self {
            Self::Co => value.contains(wanted),
            Self::Sw => value.starts_with(wanted),
            Self::Ew => value.ends_with(wanted),
            Self::Eq | Self::Gt | Self::Ge | Self::Lt | Self::Le => self.allows(value.cmp(wanted)),
        }
    }

    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Co | Self::Sw | Self::Ew => false,
        }
    }
}

/// A date and time as a filter may have it. Without a time zone, which xsd:dateTime (RFC 7643 §2.3.5) leaves open, it is in
/// UTC; and the plus of an offset that was put into a URL as it is comes here as a space.
fn instant(text: &str) -> Option<Timestamp> {
    let zoned = || text.parse().ok();
    let in_utc = || format!("{text}Z").parse().ok();
    let east = || {
        let (time, offset) = text.rsplit_once(' ').filter(|(_, offset)| offset.len() == "01:00".len())?;
        format!("{time}+{offset}").parse().ok()
    };
    zoned().or_else(in_utc).or_else(east)
}

fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn article(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::String | AttributeType::Reference => "text",
        AttributeType::Boolean => "a boolean",
        AttributeType::Decimal | AttributeType::Integer => "a number",
        AttributeType::DateTime => "a date",
        AttributeType::Binary => "binary",
        AttributeType::Complex => "a group of sub-attributes",
    }
}

fn expected(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::String | AttributeType::Reference | AttributeType::Binary => "text in double quotes",
        AttributeType::Boolean => "true or false",
        AttributeType::Decimal | AttributeType::Integer => "a number without quotes",
        AttributeType::DateTime => "a date such as \"2026-01-31T08:30:00Z\"",
        AttributeType::Complex => "nothing but null: name one of its sub-attributes",
    }
}
