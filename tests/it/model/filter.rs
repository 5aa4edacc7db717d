//! Filters that the model can decide by itself.

use std::fmt;

use super::state::User;

/// A filter on users (RFC 7644 §3.4.2.2).
#[derive(Clone, Debug)]
pub enum Filter {
    UserName(&'static str, String),
    /// An optional text: its path, its name in the model, the operator, the value.
    Text(&'static str, &'static str, &'static str, String),
    Present(&'static str, &'static str),
    Active(bool),
    WorkEmail(String),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    pub fn holds(&self, user: &User) -> bool {
        match self {
            Self::UserName(op, wanted) => compare(op, Some(&user.name), wanted, false),
            Self::Text(_, name, op, wanted) => compare(op, user.text(name), wanted, *name == "externalId"),
            Self::Present(_, name) => user.text(name).is_some(),
            Self::Active(wanted) => user.active == *wanted,
            Self::WorkEmail(wanted) => compare("eq", user.work_email(), wanted, false),
            Self::And(one, other) => one.holds(user) && other.holds(user),
            Self::Or(one, other) => one.holds(user) || other.holds(user),
            Self::Not(inner) => !inner.holds(user),
        }
    }
}

/// An attribute without value equals nothing (RFC 7643 §2.5).
fn compare(op: &str, value: Option<&str>, wanted: &str, exact: bool) -> bool {
    let Some(value) = value else { return op == "ne" };
    let fold = |text: &str| if exact { text.to_owned() } else { text.to_ascii_lowercase() };
    let (value, wanted) = (fold(value), fold(wanted));
    match op {
        "eq" => value == wanted,
        "ne" => value != wanted,
        "co" => value.contains(&wanted),
        "sw" => value.starts_with(&wanted),
        "ew" => value.ends_with(&wanted),
        _ => unreachable!("the model has no operator {op}"),
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserName(op, wanted) => write!(f, "userName {op} \"{wanted}\""),
            Self::Text(path, _, op, wanted) => write!(f, "{path} {op} \"{wanted}\""),
            Self::Present(path, _) => write!(f, "{path} pr"),
            Self::Active(wanted) => write!(f, "active eq {wanted}"),
            Self::WorkEmail(wanted) => write!(f, "emails[type eq \"work\" and value eq \"{wanted}\"]"),
            Self::And(one, other) => write!(f, "({one}) and ({other})"),
            Self::Or(one, other) => write!(f, "({one}) or ({other})"),
            Self::Not(inner) => write!(f, "not ({inner})"),
        }
    }
}
