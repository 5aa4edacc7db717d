//! Binding: each name looked up in the schema, each value in the type of its attribute.

use super::{CompareOp, Filter, Literal, Node, NodeId, Operand};
use crate::scim::dialect::Dialect;
use crate::scim::error::{ScimError, excerpt};
use crate::scim::schema::{AttrName, AttrRef, Attribute, AttributeType, Resolved, ResourceSchema, Returned};

/// A filter whose attributes are known and whose values fit them.
///
/// It has fewer forms than the text: `ne` is `not (eq)`, `eq null` is `not (pr)`, `ne null` is `pr`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    nodes: Vec<BoundNode>,
    root: NodeId,
}

/// One node of a [`Bound`] filter. Inside a [`BoundNode::ValuePath`] every target has the attribute of that path, and is
/// about the one element that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum BoundNode {
    /// Every child holds.
    And(Vec<NodeId>),
    /// Some child holds; without children, nothing does.
    Or(Vec<NodeId>),
    /// The child does not hold.
    Not(NodeId),
    /// Some value of [`AttrRef::compared`] of `target` (or of the attribute itself) stands in `relation` to `operand`.
    Compare { target: AttrRef, relation: Relation, operand: Operand },
    /// The attribute, or the sub-attribute where one is named, has a value that is not empty.
    Present(AttrRef),
    /// Some attribute of the extension with this URN has a value.
    ExtensionPresent(&'static str),
    /// Some element of the attribute satisfies `inner`.
    ValuePath { target: AttrRef, inner: NodeId },
}

/// How a value stands to the operand: the operators without `ne` and `pr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Equal.
    Eq,
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

impl Relation {
    /// The operator on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// Whether the values must have an order.
    pub const fn is_order(self) -> bool {
        matches!(self, Self::Gt | Self::Ge | Self::Lt | Self::Le)
    }

    /// Whether parts of a text are looked for.
    pub const fn is_substring(self) -> bool {
        matches!(self, Self::Co | Self::Sw | Self::Ew)
    }

    const fn of(op: CompareOp) -> Self {
        match op {
            // The negation is a node of its own.
            CompareOp::Eq | CompareOp::Ne => Self::Eq,
            CompareOp::Co => Self::Co,
            CompareOp::Sw => Self::Sw,
            CompareOp::Ew => Self::Ew,
            CompareOp::Gt => Self::Gt,
            CompareOp::Ge => Self::Ge,
            CompareOp::Lt => Self::Lt,
            CompareOp::Le => Self::Le,
        }
    }
}

impl Filter {
    /// Binds the filter to resources of a type.
    ///
    /// # Errors
    /// 400 `invalidFilter` for an attribute that the schema does not have or never returns (a filter on `password` would be
    /// a way to guess it), a comparison that the type does not know, and a value of another type.
    pub fn bind(&self, schema: &'static ResourceSchema, dialect: Dialect) -> Result<Bound, ScimError> {
        self.bind_among(schema, &[], dialect)
    }

    /// Binds the filter to resources of a type in a search over several types: an attribute that only the others have is
    /// one without a value (RFC 7644 §3.4.2.1).
    ///
    /// # Errors
    /// As [`Filter::bind`].
    pub fn bind_among(
        &self,
        schema: &'static ResourceSchema,
        others: &[&'static ResourceSchema],
        dialect: Dialect,
    ) -> Result<Bound, ScimError> {
        Binder { filter: self, schema, others, dialect, nodes: Vec::new() }.finish(None)
    }

    /// Binds the filter to the elements of one attribute: what stands between the brackets of a path.
    ///
    /// # Errors
    /// As [`Filter::bind`].
    pub fn bind_elements(
        &self,
        schema: &'static ResourceSchema,
        target: AttrRef,
        dialect: Dialect,
    ) -> Result<Bound, ScimError> {
        Binder { filter: self, schema, others: &[], dialect, nodes: Vec::new() }.finish(Some(target))
    }
}

impl Bound {
    /// The node at the top.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// The node of an id taken from this filter.
    ///
    /// # Panics
    /// When the id was taken from another, larger filter.
    pub fn node(&self, id: NodeId) -> &BoundNode {
        &self.nodes[id.index()]
    }

    /// The number of nodes: evaluating the filter over one element costs no more than that.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Every attribute the filter looks at: whoever evaluates it must have these at hand.
    pub fn targets(&self) -> impl Iterator<Item = AttrRef> {
        self.nodes.iter().filter_map(|node| match node {
            BoundNode::Compare { target, .. } | BoundNode::Present(target) | BoundNode::ValuePath { target, .. } => {
                Some(*target)
            }
            BoundNode::And(_) | BoundNode::Or(_) | BoundNode::Not(_) | BoundNode::ExtensionPresent(_) => None,
        })
    }

    /// The equalities all of which the filter demands, and nothing else: what it takes to make an element that it selects.
    /// `None` for any other filter.
    pub(in crate::scim) fn as_equalities(&self) -> Option<Vec<(AttrRef, &Operand)>> {
        self.equalities_of(|node| if let BoundNode::And(ids) = node { Some(ids) } else { None })
    }

    /// The equalities one of which the filter demands, and nothing else. `None` for any other filter.
    pub(in crate::scim) fn as_alternatives(&self) -> Option<Vec<(AttrRef, &Operand)>> {
        self.equalities_of(|node| if let BoundNode::Or(ids) = node { Some(ids) } else { None })
    }

    fn equalities_of<'b>(
        &'b self,
        list: impl Fn(&'b BoundNode) -> Option<&'b Vec<NodeId>>,
    ) -> Option<Vec<(AttrRef, &'b Operand)>> {
        let root = [self.root];
        let ids = list(self.node(self.root)).map_or(&root[..], Vec::as_slice);
        ids.iter()
            .map(|id| match self.node(*id) {
                BoundNode::Compare { target, relation: Relation::Eq, operand } => Some((*target, operand)),
                _ => None,
            })
            .collect()
    }
}

struct Binder<'f> {
    filter: &'f Filter,
    schema: &'static ResourceSchema,
    others: &'f [&'static ResourceSchema],
    dialect: Dialect,
    nodes: Vec<BoundNode>,
}

impl Binder<'_> {
    fn finish(mut self, element_of: Option<AttrRef>) -> Result<Bound, ScimError> {
        let root = self.bind(self.filter.root(), element_of)?;
        Ok(Bound { nodes: self.nodes, root })
    }

    /// Binds a node; `element_of` is the attribute whose elements it is about, if it stands inside brackets.
    fn bind(&mut self, id: NodeId, element_of: Option<AttrRef>) -> Result<NodeId, ScimError> {
        let node = match self.filter.node(id) {
            Node::And(children) => BoundNode::And(self.bind_all(children, element_of)?),
            Node::Or(children) => BoundNode::Or(self.bind_all(children, element_of)?),
            Node::Not(inner) => BoundNode::Not(self.bind(*inner, element_of)?),
            Node::Present(name) if self.is_foreign(name, element_of) => BoundNode::Or(Vec::new()),
            Node::ValuePath { attr, .. } if self.is_foreign(attr, element_of) => BoundNode::Or(Vec::new()),
            Node::Present(name) => self.present(name, element_of)?,
            Node::Compare { attr, op, value } => return self.compare(attr, *op, value, element_of),
            Node::ValuePath { attr, inner } => {
                let target = self.attribute(attr, element_of)?;
                if target.sub.is_some() {
                    return Err(unusable(attr, "is a sub-attribute and has no elements to choose from"));
                }
                BoundNode::ValuePath { target, inner: self.bind(*inner, Some(target))? }
            }
        };
        Ok(self.push(node))
    }

    fn bind_all(&mut self, children: &[NodeId], element_of: Option<AttrRef>) -> Result<Vec<NodeId>, ScimError> {
        children.iter().map(|child| self.bind(*child, element_of)).collect()
    }

    fn present(&self, name: &AttrName, element_of: Option<AttrRef>) -> Result<BoundNode, ScimError> {
        if element_of.is_none()
            && let Some(Resolved::Extension(extension)) = self.schema.resolve(name, self.dialect)
        {
            return Ok(BoundNode::ExtensionPresent(extension.id));
        }
        self.attribute(name, element_of).map(BoundNode::Present)
    }

    fn compare(
        &mut self,
        name: &AttrName,
        op: CompareOp,
        value: &Literal,
        element_of: Option<AttrRef>,
    ) -> Result<NodeId, ScimError> {
        if self.is_foreign(name, element_of) {
            let nothing = self.push(BoundNode::Or(Vec::new()));
            let negated = matches!((value, op), (Literal::Null, CompareOp::Eq))
                || (op == CompareOp::Ne && *value != Literal::Null);
            return Ok(if negated { self.push(BoundNode::Not(nothing)) } else { nothing });
        }
        let target = self.attribute(name, element_of)?;
        let (node, negated) = match (value, op) {
            (Literal::Null, CompareOp::Eq) => (BoundNode::Present(target), true),
            (Literal::Null, CompareOp::Ne) => (BoundNode::Present(target), false),
            (value, op) => {
                let relation = Relation::of(op);
                let operand = Operand::new(target.leaf(), relation, value, self.dialect)
                    .map_err(|reason| unusable(name, &reason))?;
                (BoundNode::Compare { target, relation, operand }, op == CompareOp::Ne)
            }
        };
        let id = self.push(node);
        Ok(if negated { self.push(BoundNode::Not(id)) } else { id })
    }

    /// Whether only the other types that are searched have the attribute.
    fn is_foreign(&self, name: &AttrName, element_of: Option<AttrRef>) -> bool {
        element_of.is_none()
            && self.schema.resolve(name, self.dialect).is_none()
            && self.others.iter().any(|other| other.resolve(name, self.dialect).is_some())
    }

    fn attribute(&self, name: &AttrName, element_of: Option<AttrRef>) -> Result<AttrRef, ScimError> {
        let found = match element_of {
            None => self.schema.resolve_attribute(name, self.dialect).or_else(|| self.email_for_emails(name)),
            Some(parent) => sub_attribute(parent, name),
        };
        let target = found.ok_or_else(|| unusable(name, "is not an attribute that can be filtered by"))?;
        let secret = |attribute: &Attribute| attribute.returned == Returned::Never;
        if secret(target.attr) || target.sub.is_some_and(secret) {
            return Err(unusable(name, "cannot be used in a filter"));
        }
        Ok(target)
    }

    /// The address, where the filter calls it `email`.
    fn email_for_emails(&self, name: &AttrName) -> Option<AttrRef> {
        let short = name.urn.is_none() && name.sub.is_none() && name.name.eq_ignore_ascii_case("email");
        let emails = AttrName::short("emails", Some("value"));
        if short && self.dialect.email_for_emails() {
            self.schema.resolve_attribute(&emails, self.dialect)
        } else {
            None
        }
    }

    fn push(&mut self, node: BoundNode) -> NodeId {
        let id = NodeId::next(self.nodes.len());
        self.nodes.push(node);
        id
    }
}

/// A name between the brackets of `parent[...]`. The elements of an attribute that is not complex are called `value`.
fn sub_attribute(parent: AttrRef, name: &AttrName) -> Option<AttrRef> {
    if name.urn.is_some() || name.sub.is_some() {
        return None;
    }
    if parent.attr.kind != AttributeType::Complex && name.name.eq_ignore_ascii_case("value") {
        return Some(parent);
    }
    parent.attr.sub(&name.name).map(|sub| AttrRef { sub: Some(sub), ..parent })
}

fn unusable(name: &AttrName, reason: &str) -> ScimError {
    ScimError::invalid_filter(format!("In the filter, \"{}\" {reason}.", excerpt(&name.to_string())))
}
