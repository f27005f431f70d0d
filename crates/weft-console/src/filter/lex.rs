//! Text to tokens.

use super::{FilterError, Order, Span, TEXT_BYTES_MAX, Term, Test};

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    And,
    Or,
    Not,
    Term(Term),
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// A value as written: quoted text has no wildcards.
struct Value {
    text: String,
    quoted: bool,
    span: Span,
}

pub(super) fn lex(text: &str) -> Result<Vec<Token>, FilterError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(FilterError::new(format!("a filter has at most {TEXT_BYTES_MAX} bytes"), Span { start: 0, end: text.len() }));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn since(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let there = self.rest().starts_with(prefix);
        if there {
            self.at += prefix.len();
        }
        there
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn token(&mut self) -> Result<Option<Token>, FilterError> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let kind = match self.peek() {
            None => return Ok(None),
            Some('(') => self.single(Kind::Open),
            Some(')') => self.single(Kind::Close),
            Some('-') => self.single(Kind::Not),
            Some(_) => self.word()?,
        };
        Ok(Some(Token { kind, span: self.since(start) }))
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn word(&mut self) -> Result<Kind, FilterError> {
        let start = self.at;
        if let Some(field) = self.field() {
            return self.field_term(start, field);
        }
        let value = self.value()?;
        if !value.quoted {
            match value.text.as_str() {
                "AND" => return Ok(Kind::And),
                "OR" => return Ok(Kind::Or),
                "NOT" => return Ok(Kind::Not),
                _ => {}
            }
        }
        if value.text.is_empty() {
            return Err(FilterError::new("text to search for is missing", self.since(start)));
        }
        Ok(Kind::Term(Term { span: value.span, value_span: value.span, field: None, test: Test::Contains(value.text) }))
    }

    /// A field name and its colon; nothing is consumed when there is none.
    fn field(&mut self) -> Option<String> {
        let start = self.at;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let fits = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.split('.').all(|part| !part.is_empty());
        if fits && self.eat(":") {
            return Some(name.to_owned());
        }
        self.at = start;
        None
    }

    fn field_term(&mut self, start: usize, field: String) -> Result<Kind, FilterError> {
        let order = self.order();
        let value = self.value()?;
        if value.text.is_empty() && !value.quoted {
            return Err(FilterError::new(format!("`{field}:` needs a value; `{field}:*` asks whether it is there"), self.since(start)));
        }
        let test = match order {
            Some(order) => Test::Compare(order, value.text),
            None if value.quoted => Test::Equals(value.text),
            None if value.text == "*" => Test::Exists,
            None if value.text.contains('*') => Test::Like(value.text.split('*').map(str::to_owned).collect()),
            None => Test::Equals(value.text),
        };
        Ok(Kind::Term(Term { span: self.since(start), value_span: value.span, field: Some(field), test }))
    }

    fn order(&mut self) -> Option<Order> {
        let orders = [(">=", Order::GreaterOrEqual), ("<=", Order::LessOrEqual), (">", Order::Greater), ("<", Order::Less)];
        orders.into_iter().find(|(symbol, _)| self.eat(symbol)).map(|(_, order)| order)
    }

    fn value(&mut self) -> Result<Value, FilterError> {
        let start = self.at;
        if self.eat("\"") {
            let text = self.quoted(start)?;
            return Ok(Value { text, quoted: true, span: self.since(start) });
        }
        let text = self.take_while(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"')).to_owned();
        Ok(Value { text, quoted: false, span: self.since(start) })
    }

    fn quoted(&mut self, start: usize) -> Result<String, FilterError> {
        let mut text = String::new();
        let mut escaped = false;
        for c in self.rest().chars() {
            self.at += c.len_utf8();
            match c {
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                '"' if !escaped => return Ok(text),
                _ => text.push(c),
            }
            escaped = false;
        }
        Err(FilterError::new("the closing quotation mark is missing", self.since(start)))
    }
}
