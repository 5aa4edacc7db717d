//! The canonical spelling of a filter: reading it gives the same filter again.

use std::fmt;

use super::{CompareOp, Filter, Literal, Node, NodeId};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.root)
    }
}

impl Filter {
    fn write(&self, f: &mut fmt::Formatter<'_>, id: NodeId) -> fmt::Result {
        match self.node(id) {
            Node::And(children) => self.write_list(f, children, " and "),
            Node::Or(children) => self.write_list(f, children, " or "),
            Node::Not(inner) => {
                f.write_str("not (")?;
                self.write(f, *inner)?;
                f.write_str(")")
            }
            Node::Compare { attr, op, value } => write!(f, "{attr} {op} {value}"),
            Node::Present(attr) => write!(f, "{attr} pr"),
            Node::ValuePath { attr, inner } => {
                write!(f, "{attr}[")?;
                self.write(f, *inner)?;
                f.write_str("]")
            }
        }
    }

    fn write_list(&self, f: &mut fmt::Formatter<'_>, children: &[NodeId], between: &str) -> fmt::Result {
        for (index, child) in children.iter().enumerate() {
            if index > 0 {
                f.write_str(between)?;
            }
            // Only `or` inside `and` needs brackets: the reader merges equal kinds, and `and` binds tighter.
            if matches!(self.node(*child), Node::Or(_)) {
                f.write_str("(")?;
                self.write(f, *child)?;
                f.write_str(")")?;
            } else {
                self.write(f, *child)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for CompareOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "{}", serde_json::Value::from(value.as_str())),
        }
    }
}
