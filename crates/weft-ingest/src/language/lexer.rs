//! Tokens of an expression.

use std::fmt;

use super::expr::{ExprFault, Op};

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name or keyword.
    Word(String),
    /// A name in back quotes: never a keyword.
    Quoted(String),
    /// Text in single or double quotes.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// `$name`
    Capture(String),
    /// Punctuation.
    Symbol(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Quoted(text) | Self::Text(text) | Self::Capture(text) => f.write_str(text),
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Symbol(symbol) => f.write_str(symbol),
        }
    }
}

const SYMBOLS: [&str; 15] = ["$.", "??", "==", "!=", "<=", ">=", "<", ">", "~", "(", ")", "[", "]", ",", "."];

/// Tokens with one of look-ahead.
pub struct Lexer<'t> {
    text: &'t str,
    position: usize,
    ahead: Option<(usize, usize, Token)>,
    last: usize,
    fault: Option<ExprFault>,
}

impl<'t> Lexer<'t> {
    /// Begins at the start of `text`.
    pub fn new(text: &'t str) -> Self {
        let mut lexer = Self { text, position: 0, ahead: None, last: 0, fault: None };
        lexer.fill();
        lexer
    }

    /// The first token that could not be read; the tokens end before it.
    pub fn fault(&mut self) -> Option<ExprFault> {
        self.fault.take()
    }

    /// Byte offset of the next token.
    pub fn at(&self) -> usize {
        self.ahead.as_ref().map_or(self.text.len(), |(start, ..)| *start)
    }

    /// The next token, left in place.
    pub fn peek(&self) -> Option<&Token> {
        self.ahead.as_ref().map(|(.., token)| token)
    }

    /// Takes the next token.
    pub fn next_token(&mut self) -> Option<Token> {
        let (_, end, token) = self.ahead.take()?;
        self.last = end;
        self.fill();
        Some(token)
    }

    /// Takes the keyword if it is next.
    pub fn take_word(&mut self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(next)) if next == word) && self.advance()
    }

    /// Takes the symbol if it is next.
    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(next)) if *next == symbol) && self.advance()
    }

    /// Takes `[` only where no space stands before it: an index, not a list.
    pub fn take_adjacent_bracket(&mut self) -> bool {
        self.at() == self.last && self.take_symbol("[")
    }

    /// Takes a comparison operator.
    pub fn take_operator(&mut self) -> Option<Op> {
        let op = match self.peek()? {
            Token::Symbol("==") => Op::Equal,
            Token::Symbol("!=") => Op::NotEqual,
            Token::Symbol("<") => Op::Less,
            Token::Symbol("<=") => Op::LessEqual,
            Token::Symbol(">") => Op::Greater,
            Token::Symbol(">=") => Op::GreaterEqual,
            Token::Word(word) if word == "contains" => Op::Contains,
            Token::Word(word) if word == "starts" => Op::Starts,
            Token::Word(word) if word == "ends" => Op::Ends,
            _ => return None,
        };
        self.advance().then_some(op)
    }

    fn advance(&mut self) -> bool {
        self.next_token().is_some()
    }

    fn fill(&mut self) {
        let rest = self.rest().trim_start();
        self.position = self.text.len() - rest.len();
        let start = self.position;
        if rest.is_empty() {
            return;
        }
        match self.scan(rest) {
            Ok(token) => self.ahead = Some((start, self.position, token)),
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn scan(&mut self, rest: &'t str) -> Result<Token, ExprFault> {
        let Some(first) = rest.chars().next() else { return Err(self.wrong("the expression ends here")) };
        if matches!(first, '\'' | '"' | '`') {
            let text = self.quoted(rest, first)?;
            return Ok(if first == '`' { Token::Quoted(text) } else { Token::Text(text) });
        }
        if first.is_ascii_digit() || (first == '-' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit())) {
            return self.number(rest);
        }
        if let Some(name) = rest.strip_prefix('$').filter(|name| name.starts_with(is_word)) {
            let name = take_while(name, is_word);
            self.position += name.len() + 1;
            return Ok(Token::Capture(name.to_owned()));
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.position += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let word = take_while(rest, is_word);
        if word.is_empty() {
            return Err(self.wrong(format!("`{first}` is not expected here")));
        }
        self.position += word.len();
        Ok(Token::Word(word.to_owned()))
    }

    /// A doubled quote stands for one.
    fn quoted(&mut self, rest: &str, quote: char) -> Result<String, ExprFault> {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
            } else {
                self.position += offset + 1;
                return Ok(text);
            }
        }
        Err(self.wrong(format!("the closing {quote} is missing")))
    }

    fn number(&mut self, rest: &str) -> Result<Token, ExprFault> {
        let digits = take_while(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
        self.position += digits.len();
        let hex = digits.strip_prefix("0x").map(|hex| i64::from_str_radix(hex, 16));
        match hex.unwrap_or_else(|| digits.parse()) {
            Ok(number) => Ok(Token::Int(number)),
            Err(_) => digits.parse().map(Token::Float).map_err(|_| self.wrong(format!("`{digits}` is not a number"))),
        }
    }

    fn wrong(&self, message: impl Into<String>) -> ExprFault {
        ExprFault { at: self.position, message: message.into() }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '#' | '%' | '*')
}

fn take_while(text: &str, keep: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}
