//! From text to an expression: a scanner and a descent whose depth is counted.

use serde_json::{Number, Value};

use super::{ExpressionError, MAX_DEPTH, MAX_LENGTH, Node, Operand, Operator, Step};

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
    And,
    Or,
    Operator(Operator),
    Constant(Value),
    Key(Vec<Step>),
}

pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    if text.len() > MAX_LENGTH {
        return Err(ExpressionError { position: MAX_LENGTH, reason: "the expression is too long" });
    }
    let tokens = Scanner { text, at: 0 }.tokens()?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len() };
    let node = parser.any(0)?;
    if parser.at < tokens.len() {
        return Err(parser.error("AND, OR or the end is expected"));
    }
    Ok(node)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn tokens(mut self) -> Result<Vec<(usize, Token)>, ExpressionError> {
        let mut tokens = Vec::new();
        loop {
            self.skip(char::is_whitespace);
            let start = self.at;
            let Some(c) = self.peek() else { return Ok(tokens) };
            let token = match c {
                '"' | '\'' => Token::Constant(Value::String(self.quoted(c)?)),
                '0'..='9' => Token::Constant(Value::Number(self.number()?)),
                c if starts_name(c) => self.word()?,
                _ => self.symbol()?,
            };
            tokens.push((start, token));
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, wanted: fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| wanted(*c)) {
            self.at += c.len_utf8();
        }
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = self.text[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn error(&self, reason: &'static str) -> ExpressionError {
        ExpressionError { position: self.at, reason }
    }

    fn symbol(&mut self) -> Result<Token, ExpressionError> {
        let symbols = [
            ("(", Token::Open),
            (")", Token::Close),
            ("[", Token::ListOpen),
            ("]", Token::ListClose),
            (",", Token::Comma),
            ("==", Token::Operator(Operator::Equal)),
            ("!=", Token::Operator(Operator::NotEqual)),
            ("<=", Token::Operator(Operator::LessOrEqual)),
            (">=", Token::Operator(Operator::GreaterOrEqual)),
            ("<", Token::Operator(Operator::Less)),
            (">", Token::Operator(Operator::Greater)),
        ];
        let found = symbols.into_iter().find(|(text, _)| self.eat(text));
        found.map(|(_, token)| token).ok_or_else(|| self.error("this character has no meaning in an expression"))
    }

    fn quoted(&mut self, quote: char) -> Result<String, ExpressionError> {
        let mut text = String::new();
        let mut escaped = false;
        let body = self.at + quote.len_utf8();
        for (offset, c) in self.text[body..].char_indices() {
            match c {
                _ if escaped => {
                    text.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    self.at = body + offset + quote.len_utf8();
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(self.error("the quotation mark is never closed"))
    }

    fn number(&mut self) -> Result<Number, ExpressionError> {
        let start = self.at;
        self.skip(|c| c.is_ascii_digit() || c == '.');
        let text = &self.text[start..self.at];
        let whole = text.parse::<u64>().map(Number::from).ok();
        let number = whole.or_else(|| text.parse().ok().and_then(Number::from_f64));
        number.ok_or(ExpressionError { position: start, reason: "this is not a number" })
    }

    fn name(&mut self) -> Result<String, ExpressionError> {
        let start = self.at;
        if !self.peek().is_some_and(starts_name) {
            return Err(self.error("a name is expected"));
        }
        self.skip(|c| starts_name(c) || c.is_numeric());
        Ok(self.text[start..self.at].to_owned())
    }

    fn word(&mut self) -> Result<Token, ExpressionError> {
        let first = self.name()?;
        let token = match first.to_ascii_uppercase().as_str() {
            "AND" => Token::And,
            "OR" => Token::Or,
            "HAS" => Token::Operator(Operator::Has),
            "CONTAINS" => Token::Operator(Operator::Contains),
            "IN" => Token::Operator(Operator::In),
            "NOT" => return self.not_in(),
            "TRUE" => Token::Constant(Value::Bool(true)),
            "FALSE" => Token::Constant(Value::Bool(false)),
            _ => return self.key(first),
        };
        Ok(token)
    }

    fn not_in(&mut self) -> Result<Token, ExpressionError> {
        self.skip(char::is_whitespace);
        if self.name()?.eq_ignore_ascii_case("IN") {
            return Ok(Token::Operator(Operator::NotIn));
        }
        Err(self.error("NOT stands only before IN"))
    }

    fn key(&mut self, first: String) -> Result<Token, ExpressionError> {
        let mut steps = vec![Step::Name(first)];
        loop {
            if self.eat(".") {
                steps.push(Step::Name(self.name()?));
            } else if self.eat("[") {
                let start = self.at;
                self.skip(|c| c.is_ascii_digit());
                let index = self.text[start..self.at].parse();
                steps.push(Step::Index(index.map_err(|_| self.error("an array index is expected"))?));
                if !self.eat("]") {
                    return Err(self.error("']' is expected"));
                }
            } else {
                return Ok(Token::Key(steps));
            }
        }
    }
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    end: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let mut parts = vec![self.all(depth)?];
        while self.eat(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(single(parts, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let mut parts = vec![self.one(depth)?];
        while self.eat(&Token::And) {
            parts.push(self.one(depth)?);
        }
        Ok(single(parts, Node::All))
    }

    fn one(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        if depth > MAX_DEPTH {
            return Err(self.error("the expression is nested too deep"));
        }
        if self.eat(&Token::Open) {
            let inner = self.any(depth + 1)?;
            return if self.eat(&Token::Close) { Ok(inner) } else { Err(self.error("')' is expected")) };
        }
        let left = self.operand()?;
        let Some(Token::Operator(operator)) = self.next() else {
            self.at = self.at.saturating_sub(1);
            return Err(self.error("a comparison operator is expected"));
        };
        Ok(Node::Compare(left, operator, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, ExpressionError> {
        let start = self.at;
        match self.next() {
            Some(Token::Constant(value)) => Ok(Operand::Constant(value)),
            Some(Token::Key(steps)) => Ok(Operand::Key(steps)),
            Some(Token::ListOpen) => self.list(),
            _ => {
                self.at = start;
                Err(self.error("a constant or a key is expected"))
            }
        }
    }

    fn list(&mut self) -> Result<Operand, ExpressionError> {
        let mut items = Vec::new();
        if self.eat(&Token::ListClose) {
            return Ok(Operand::Constant(Value::Array(items)));
        }
        loop {
            let start = self.at;
            let Some(Token::Constant(item)) = self.next() else {
                self.at = start;
                return Err(self.error("a constant is expected"));
            };
            items.push(item);
            if self.eat(&Token::ListClose) {
                return Ok(Operand::Constant(Value::Array(items)));
            }
            if !self.eat(&Token::Comma) {
                return Err(self.error("',' or ']' is expected"));
            }
        }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += 1;
        token
    }

    fn eat(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|(_, token)| token == wanted);
        self.at += usize::from(found);
        found
    }

    fn error(&self, reason: &'static str) -> ExpressionError {
        ExpressionError { position: self.tokens.get(self.at).map_or(self.end, |(position, _)| *position), reason }
    }
}

fn single(mut parts: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    if parts.len() == 1 { parts.swap_remove(0) } else { many(parts) }
}
