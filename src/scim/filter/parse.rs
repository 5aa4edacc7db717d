//! The reader: precedence by one frame for each open bracket, not by recursion.

use serde_json::Number;

use super::{CompareOp, Filter, Limits, Literal, Node, NodeId, Scanner};
use crate::scim::error::ScimError;
use crate::scim::schema::AttrName;

/// Reads a whole text as a filter.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Filter, ScimError> {
    if text.len() > limits.max_bytes {
        return Err(ScimError::invalid_filter(format!(
            "The filter is {} bytes long; at most {} are read.",
            text.len(),
            limits.max_bytes
        )));
    }
    let mut scanner = Scanner::new(text);
    Parser::new(&mut scanner, limits, Open::Text).run()
}

/// The text with the quotes that it lacks, if it is nothing but a look-up of one address. Anything else could have another
/// meaning, and stays refused.
pub(super) fn unquoted_user_name(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    let (attr, op, name) = (words.next()?, words.next()?, words.next()?);
    let (local, domain) = name.split_once('@')?;
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || ".-_+".contains(c));
    let plain = plain(local) && plain(domain);
    let found = attr.eq_ignore_ascii_case("userName") && op.eq_ignore_ascii_case("eq") && plain;
    (found && words.next().is_none()).then(|| format!("userName eq \"{name}\""))
}

/// Reads the filter between the brackets of a path: `scanner` stands behind `[` and is left behind `]`.
pub(in crate::scim) fn parse_bracketed(scanner: &mut Scanner<'_>, limits: &Limits) -> Result<Filter, ScimError> {
    Parser::new(scanner, limits, Open::Path).run()
}

/// What opened a frame, and so what has to close it.
#[derive(Debug)]
enum Open {
    /// The filter itself, closed by the end of the text.
    Text,
    /// The brackets of a path, closed by `]`.
    Path,
    Group,
    Not,
    Value(AttrName),
}

/// The operands read so far between two brackets: `ors` are complete, `ands` belong to the conjunction being read.
#[derive(Debug)]
struct Frame {
    open: Open,
    ors: Vec<NodeId>,
    ands: Vec<NodeId>,
}

struct Parser<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    limits: Limits,
    nodes: Vec<Node>,
    outer: Vec<Frame>,
    frame: Frame,
    terms: usize,
}

impl<'s, 'a> Parser<'s, 'a> {
    fn new(scanner: &'s mut Scanner<'a>, limits: &Limits, open: Open) -> Self {
        Self { scanner, limits: *limits, nodes: Vec::new(), outer: Vec::new(), frame: Frame::new(open), terms: 0 }
    }

    fn run(mut self) -> Result<Filter, ScimError> {
        loop {
            self.operand()?;
            if let Some(root) = self.after_operand()? {
                return Ok(Filter { nodes: self.nodes, root });
            }
        }
    }

    /// Reads opening brackets up to and including the first comparison behind them.
    fn operand(&mut self) -> Result<(), ScimError> {
        loop {
            self.scanner.skip_space();
            if self.scanner.eat('(') {
                self.open(Open::Group)?;
                continue;
            }
            let before = self.scanner.clone();
            if self.scanner.word().eq_ignore_ascii_case("not") {
                self.scanner.skip_space();
                if !self.scanner.eat('(') {
                    return Err(self.expected("\"(\" after \"not\""));
                }
                self.open(Open::Not)?;
                continue;
            }
            *self.scanner = before;
            let Some(attr) = self.scanner.attr_name() else { return Err(self.expected("an attribute name")) };
            self.scanner.skip_space();
            if self.scanner.eat('[') {
                if self.inside_value_path() {
                    return Err(self.expected("a condition on a sub-attribute, not another \"[\","));
                }
                self.open(Open::Value(attr))?;
                continue;
            }
            let id = self.expression(attr)?;
            self.frame.ands.push(id);
            return Ok(());
        }
    }

    /// Reads what may stand behind an operand: closing brackets, then `and`, `or` or the end, which gives the root.
    fn after_operand(&mut self) -> Result<Option<NodeId>, ScimError> {
        loop {
            self.scanner.skip_space();
            if matches!(self.frame.open, Open::Text) && self.scanner.at_end() {
                return Ok(Some(self.close_frame(Open::Text).1));
            }
            if self.scanner.rest().starts_with([')', ']']) {
                if let Some(root) = self.close()? {
                    return Ok(Some(root));
                }
                continue;
            }
            let before = self.scanner.clone();
            let word = self.scanner.word();
            if word.eq_ignore_ascii_case("and") {
                return Ok(None);
            }
            if word.eq_ignore_ascii_case("or") {
                self.finish_conjunction();
                return Ok(None);
            }
            *self.scanner = before;
            return Err(self.expected("\"and\", \"or\" or the end of the filter"));
        }
    }

    fn open(&mut self, open: Open) -> Result<(), ScimError> {
        if self.outer.len() >= self.limits.max_depth.min(Limits::DEEPEST) {
            return Err(ScimError::invalid_filter(format!(
                "The filter nests its brackets more than {} deep.",
                self.outer.len()
            )));
        }
        self.outer.push(std::mem::replace(&mut self.frame, Frame::new(open)));
        Ok(())
    }

    /// Closes the innermost bracket; gives the root when that was the bracket of a path.
    fn close(&mut self) -> Result<Option<NodeId>, ScimError> {
        let round = matches!(self.frame.open, Open::Group | Open::Not);
        let square = matches!(self.frame.open, Open::Value(_) | Open::Path);
        if !(round && self.scanner.eat(')') || square && self.scanner.eat(']')) {
            return Err(self.expected(match self.frame.open {
                Open::Text => "\"and\", \"or\" or the end of the filter",
                Open::Group | Open::Not => "\")\"",
                Open::Value(_) | Open::Path => "\"]\"",
            }));
        }
        let Some(outer) = self.outer.pop() else {
            return Ok(Some(self.close_frame(Open::Path).1));
        };
        let (open, content) = self.close_frame_into(outer);
        match open {
            Open::Not => {
                let id = self.push(Node::Not(content));
                self.frame.ands.push(id);
            }
            Open::Value(attr) => {
                let inner = self.value_path_tail(content)?;
                let id = self.push(Node::ValuePath { attr, inner });
                self.frame.ands.push(id);
            }
            // `and` is associative: `a and (b and c)` is one conjunction of three.
            Open::Text | Open::Path | Open::Group => match self.take_if(content, |node| matches!(node, Node::And(_))) {
                Some(Node::And(children)) => self.frame.ands.extend(children),
                _ => self.frame.ands.push(content),
            },
        }
        Ok(None)
    }

    /// Entra puts a comparison behind the bracket: `emails[type eq "work"].value eq "x"`.
    fn value_path_tail(&mut self, content: NodeId) -> Result<NodeId, ScimError> {
        if !self.scanner.eat('.') {
            return Ok(content);
        }
        let Some(name) = self.scanner.sub_name() else { return Err(self.expected("the name of a sub-attribute")) };
        let attr = AttrName::short(name, None);
        let mut children = match self.take_if(content, |node| matches!(node, Node::And(_))) {
            Some(Node::And(children)) => children,
            _ => vec![content],
        };
        children.push(self.expression(attr)?);
        Ok(self.push(Node::And(children)))
    }

    /// Reads the operator and value behind an attribute name.
    fn expression(&mut self, attr: AttrName) -> Result<NodeId, ScimError> {
        self.terms += 1;
        if self.terms > self.limits.max_terms {
            return Err(ScimError::invalid_filter(format!(
                "The filter has more than {} comparisons.",
                self.limits.max_terms
            )));
        }
        self.scanner.skip_space();
        let before = self.scanner.clone();
        let word = self.scanner.word();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(self.push(Node::Present(attr)));
        }
        let Some(op) = CompareOp::named(word) else {
            *self.scanner = before;
            return Err(self.expected("one of the operators eq, ne, co, sw, ew, gt, ge, lt, le, pr"));
        };
        self.scanner.skip_space();
        let value = self.literal()?;
        Ok(self.push(Node::Compare { attr, op, value }))
    }

    fn literal(&mut self) -> Result<Literal, ScimError> {
        let before = self.scanner.clone();
        let value = if self.scanner.rest().starts_with('"') {
            self.scanner.quoted().and_then(|text| serde_json::from_str(text).ok()).map(Literal::String)
        } else {
            read_bare(self.scanner.bare_value())
        };
        value.ok_or_else(|| {
            *self.scanner = before;
            self.expected("a value: text in double quotes with JSON escapes, a number, true, false or null")
        })
    }

    fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId::next(self.nodes.len());
        self.nodes.push(node);
        id
    }

    /// Takes the youngest node out of the arena again, to merge its children into a list of the same kind.
    fn take_if(&mut self, id: NodeId, wanted: impl Fn(&Node) -> bool) -> Option<Node> {
        let youngest = id.index() + 1 == self.nodes.len();
        if youngest && wanted(&self.nodes[id.index()]) { self.nodes.pop() } else { None }
    }

    /// Ends the conjunction being read: what comes next is another alternative.
    fn finish_conjunction(&mut self) {
        let ands = std::mem::take(&mut self.frame.ands);
        let [only] = ands[..] else {
            let id = self.push(Node::And(ands));
            self.frame.ors.push(id);
            return;
        };
        match self.take_if(only, |node| matches!(node, Node::Or(_))) {
            Some(Node::Or(children)) => self.frame.ors.extend(children),
            _ => self.frame.ors.push(only),
        }
    }

    /// Makes the current frame one node and continues with `next` in its place.
    fn close_frame_into(&mut self, next: Frame) -> (Open, NodeId) {
        self.finish_conjunction();
        let Frame { open, ors, .. } = std::mem::replace(&mut self.frame, next);
        let id = if let [only] = ors[..] { only } else { self.push(Node::Or(ors)) };
        (open, id)
    }

    fn close_frame(&mut self, open: Open) -> (Open, NodeId) {
        self.close_frame_into(Frame::new(open))
    }

    fn inside_value_path(&self) -> bool {
        self.outer.iter().chain([&self.frame]).any(|frame| matches!(frame.open, Open::Value(_) | Open::Path))
    }

    fn expected(&self, what: &str) -> ScimError {
        let place = if self.scanner.at_end() {
            "at the end".to_owned()
        } else {
            format!("at character {}", self.scanner.position())
        };
        ScimError::invalid_filter(format!("The filter cannot be read {place}: expected {what}."))
    }
}

impl Frame {
    fn new(open: Open) -> Self {
        Self { open, ors: Vec::new(), ands: Vec::new() }
    }
}

/// The case of the three words is left free in every dialect: no other reading is possible.
fn read_bare(word: &str) -> Option<Literal> {
    if word.eq_ignore_ascii_case("true") {
        Some(Literal::Bool(true))
    } else if word.eq_ignore_ascii_case("false") {
        Some(Literal::Bool(false))
    } else if word.eq_ignore_ascii_case("null") {
        Some(Literal::Null)
    } else {
        serde_json::from_str::<Number>(word).ok().map(Literal::Number)
    }
}
