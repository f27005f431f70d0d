//! Expressions of the mapping language: syntax tree and parser.
//!
//! Knows nothing of the schema, of records, or of how expressions are run.

use std::fmt;

use super::lexer::{Lexer, Token};

/// Expressions nested deeper than this are refused.
const DEPTH_MAX: usize = 48;

/// A constant of the mapping.
#[derive(Debug, Clone, PartialEq)]
pub enum Const {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Key of an object.
    Key(String),
    /// Place in an array, from the end when negative.
    Index(i64),
    /// The end of a path however it is spelt, folded by [`super::words::fold`]; only in aliases,
    /// and only alone.
    Word {
        /// Letters and digits, in lower case.
        text: String,
        /// Whether it may begin within a key (`clientIp` for `ip`), rather than with one.
        within: bool,
    },
}

/// What surrounds the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextKey {
    /// File or member name.
    File,
    /// Address of the sender.
    Peer,
    /// The record as text.
    Raw,
    /// Name of the stream.
    Stream,
    /// When it was received, epoch milliseconds.
    Received,
    /// Place of the item in an `each`, from 0.
    Index,
}

/// Comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `contains`, without case
    Contains,
    /// `starts`, without case
    Starts,
    /// `ends`, without case
    Ends,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A constant.
    Const(Const),
    /// An attribute of the record; empty is the whole record or item.
    Path(Vec<Segment>),
    /// An attribute of the whole record, from inside an `each`.
    Root(Vec<Segment>),
    /// What surrounds the record.
    Context(ContextKey),
    /// A capture of the event's `match`.
    Capture(String),
    /// A list; absent items are left out.
    List(Vec<Expr>),
    /// The first that is present.
    Coalesce(Vec<Expr>),
    /// `value if condition else otherwise`
    Choice(Box<[Expr; 3]>),
    /// `name(arguments)`
    Call(String, Vec<Expr>),
    /// `not x`
    Not(Box<Expr>),
    /// All hold.
    All(Vec<Expr>),
    /// One holds.
    Any(Vec<Expr>),
    /// A comparison.
    Compare(Op, Box<[Expr; 2]>),
    /// `x in [constants]`
    In(Box<Expr>, Vec<Const>),
    /// `x ~ 'regex'`
    Matches(Box<Expr>, String),
}

/// What is wrong with an expression, and where in its text (byte offset).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprFault {
    /// Byte offset in the expression.
    pub at: usize,
    /// For a person.
    pub message: String,
}

impl fmt::Display for ExprFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Parses a whole expression.
///
/// # Errors
/// The first fault with its place.
pub fn parse(text: &str) -> Result<Expr, ExprFault> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    let expr = parser.choice();
    if let Some(fault) = parser.lexer.fault() {
        return Err(fault);
    }
    let expr = expr?;
    match parser.lexer.peek() {
        None => Ok(expr),
        Some(token) => Err(parser.fault(format!("`{token}` is not expected here"))),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    depth: usize,
}

impl Parser<'_> {
    fn fault(&self, message: impl Into<String>) -> ExprFault {
        ExprFault { at: self.lexer.at(), message: message.into() }
    }

    fn choice(&mut self) -> Result<Expr, ExprFault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault(format!("the expression is nested deeper than {DEPTH_MAX}")));
        }
        let value = self.any()?;
        let result = if self.lexer.take_word("if") {
            let condition = self.any()?;
            let otherwise = if self.lexer.take_word("else") { self.choice()? } else { Expr::Const(Const::Null) };
            Expr::Choice(Box::new([value, condition, otherwise]))
        } else {
            value
        };
        self.depth -= 1;
        Ok(result)
    }

    fn any(&mut self) -> Result<Expr, ExprFault> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.lexer.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, ExprFault> {
        let first = self.negation()?;
        let mut parts = vec![first];
        while self.lexer.take_word("and") {
            parts.push(self.negation()?);
        }
        Ok(single(parts, Expr::All))
    }

    fn negation(&mut self) -> Result<Expr, ExprFault> {
        let mut negated = false;
        while self.lexer.take_word("not") {
            negated = !negated;
        }
        let inner = self.comparison()?;
        Ok(if negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Result<Expr, ExprFault> {
        let left = self.coalesce()?;
        if let Some(op) = self.lexer.take_operator() {
            let right = self.coalesce()?;
            return Ok(Expr::Compare(op, Box::new([left, right])));
        }
        if self.lexer.take_symbol("~") {
            return match self.lexer.next_token() {
                Some(Token::Text(regex)) => Ok(Expr::Matches(Box::new(left), regex)),
                _ => Err(self.fault("`~` wants a regex in quotes")),
            };
        }
        if self.lexer.take_word("not") {
            if !self.lexer.take_word("in") {
                return Err(self.fault("`not` here wants `in`"));
            }
            return Ok(Expr::Not(Box::new(Expr::In(Box::new(left), self.constants()?))));
        }
        if self.lexer.take_word("in") {
            return Ok(Expr::In(Box::new(left), self.constants()?));
        }
        Ok(left)
    }

    fn constants(&mut self) -> Result<Vec<Const>, ExprFault> {
        match self.primary()? {
            Expr::List(items) => items
                .into_iter()
                .map(|item| match item {
                    Expr::Const(constant) => Ok(constant),
                    _ => Err(self.fault("a list after `in` holds constants only")),
                })
                .collect(),
            _ => Err(self.fault("`in` wants a list such as ['a', 'b']")),
        }
    }

    fn coalesce(&mut self) -> Result<Expr, ExprFault> {
        let mut parts = vec![self.primary()?];
        while self.lexer.take_symbol("??") {
            parts.push(self.primary()?);
        }
        Ok(single(parts, Expr::Coalesce))
    }

    fn primary(&mut self) -> Result<Expr, ExprFault> {
        let Some(token) = self.lexer.next_token() else { return Err(self.fault("a value is missing")) };
        match token {
            Token::Text(text) => Ok(Expr::Const(Const::Text(text))),
            Token::Int(number) => Ok(Expr::Const(Const::Int(number))),
            Token::Float(number) => Ok(Expr::Const(Const::Float(number))),
            Token::Capture(name) => Ok(Expr::Capture(name)),
            Token::Symbol("(") => {
                let inner = self.choice()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("[") => Ok(Expr::List(self.items("]")?)),
            Token::Symbol("$.") => self.path(Vec::new()).map(Expr::Root),
            Token::Word(word) => self.word(word),
            Token::Quoted(key) => self.segments(vec![Segment::Key(key)]).map(Expr::Path),
            token @ Token::Symbol(_) => Err(self.fault(format!("`{token}` is not expected here"))),
        }
    }

    fn word(&mut self, word: String) -> Result<Expr, ExprFault> {
        match word.as_str() {
            "true" => return Ok(Expr::Const(Const::Bool(true))),
            "false" => return Ok(Expr::Const(Const::Bool(false))),
            "null" => return Ok(Expr::Const(Const::Null)),
            "@file" => return Ok(Expr::Context(ContextKey::File)),
            "@peer" => return Ok(Expr::Context(ContextKey::Peer)),
            "@raw" => return Ok(Expr::Context(ContextKey::Raw)),
            "@stream" => return Ok(Expr::Context(ContextKey::Stream)),
            "@received" => return Ok(Expr::Context(ContextKey::Received)),
            "@index" => return Ok(Expr::Context(ContextKey::Index)),
            "@item" => return self.segments(Vec::new()).map(Expr::Path),
            "if" | "else" | "and" | "or" | "not" | "in" | "contains" | "starts" | "ends" => {
                return Err(self.fault(format!("`{word}` is a keyword; write `` `{word}` `` in back quotes for an attribute of that name")));
            }
            _ => {}
        }
        if self.lexer.take_symbol("(") {
            return Ok(Expr::Call(word, self.items(")")?));
        }
        self.segments(vec![Segment::Key(word)]).map(Expr::Path)
    }

    fn path(&mut self, mut segments: Vec<Segment>) -> Result<Vec<Segment>, ExprFault> {
        match self.lexer.next_token() {
            Some(Token::Word(key) | Token::Quoted(key)) => segments.push(Segment::Key(key)),
            Some(Token::Int(number)) => segments.push(Segment::Key(number.to_string())),
            _ => return Err(self.fault("an attribute name is missing after `.`")),
        }
        self.segments(segments)
    }

    fn segments(&mut self, mut segments: Vec<Segment>) -> Result<Vec<Segment>, ExprFault> {
        if self.lexer.take_symbol(".") {
            return self.path(segments);
        }
        if self.lexer.take_adjacent_bracket() {
            match self.lexer.next_token() {
                Some(Token::Int(number)) => segments.push(Segment::Index(number)),
                Some(Token::Text(key)) => segments.push(Segment::Key(key)),
                _ => return Err(self.fault("`[` in a path wants a number or a key in quotes")),
            }
            self.expect("]")?;
            return self.segments(segments);
        }
        Ok(segments)
    }

    fn items(&mut self, close: &'static str) -> Result<Vec<Expr>, ExprFault> {
        let mut items = Vec::new();
        if self.lexer.take_symbol(close) {
            return Ok(items);
        }
        loop {
            items.push(self.choice()?);
            if self.lexer.take_symbol(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), ExprFault> {
        if self.lexer.take_symbol(symbol) { Ok(()) } else { Err(self.fault(format!("`{symbol}` is missing"))) }
    }
}

fn single(mut parts: Vec<Expr>, many: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => Expr::Const(Const::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(keys: &str) -> Expr {
        Expr::Path(keys.split('.').map(|key| Segment::Key(key.to_owned())).collect())
    }

    #[test]
    fn reads_what_the_guide_shows() {
        assert_eq!(parse("actor.alternateId").unwrap(), path("actor.alternateId"));
        assert_eq!(parse("'it''s'").unwrap(), Expr::Const(Const::Text("it's".into())));
        assert_eq!(parse("a ?? b.c").unwrap(), Expr::Coalesce(vec![path("a"), path("b.c")]));
        assert_eq!(
            parse("request.ipChain[0].ip").unwrap(),
            Expr::Path(vec![Segment::Key("request".into()), Segment::Key("ipChain".into()), Segment::Index(0), Segment::Key("ip".into())])
        );
        assert!(matches!(parse("x if exists(y) and z in ['a', 1] else 'q'").unwrap(), Expr::Choice(_)));
        assert!(matches!(parse("not a starts 'B' or c ~ '^d'").unwrap(), Expr::Any(_)));
        assert!(matches!(parse("Event.System.EventID.#text == 4624").unwrap(), Expr::Compare(Op::Equal, _)));
        assert!(matches!(parse("`odd key!`.x").unwrap(), Expr::Path(_)));
        assert!(matches!(parse("@timestamp").unwrap(), Expr::Path(_)));
    }

    #[test]
    fn says_where_it_is_wrong() {
        for (text, at) in [("a ??", 4), ("f(a", 3), ("a b", 2), ("'open", 0), ("a in b", 6)] {
            assert_eq!(parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(parse(&"(".repeat(1000)).unwrap_err().message.contains("nested deeper"));
    }
}
