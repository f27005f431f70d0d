//! Tokens to an expression: `OR` binds loosest, words side by side mean `AND`.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::lex::{Kind, Token, lex};
use super::{DEPTH_MAX, Expr, FilterError, Span, TERMS_MAX};

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    end: Span,
    depth: usize,
    terms: usize,
}

/// Reads a filter; the empty text is every event.
pub fn parse(text: &str) -> Result<Expr, FilterError> {
    let tokens = lex(text)?;
    if tokens.is_empty() {
        return Ok(Expr::All);
    }
    let end = Span { start: text.len(), end: text.len() };
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, depth: 0, terms: 0 };
    let expr = parser.any()?;
    match parser.tokens.next() {
        None => Ok(expr),
        Some(token) => Err(FilterError::new("this `)` closes nothing", token.span)),
    }
}

impl Parser {
    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut parts = vec![self.all()?];
        while self.eat(&Kind::Or) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut parts = vec![self.one()?];
        loop {
            let joined = self.eat(&Kind::And);
            let more = matches!(self.tokens.peek().map(|token| &token.kind), Some(Kind::Open | Kind::Not | Kind::Term(_)));
            if !joined && !more {
                return Ok(one_or(parts, Expr::And));
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Expr, FilterError> {
        let end = self.end;
        let Some(token) = self.tokens.next() else { return Err(FilterError::new("something to search for is missing at the end", end)) };
        match token.kind {
            Kind::Term(term) => {
                self.terms += 1;
                if self.terms > TERMS_MAX {
                    return Err(FilterError::new(format!("a filter has at most {TERMS_MAX} terms"), token.span));
                }
                Ok(Expr::Term(term))
            }
            Kind::Not => {
                self.deeper(token.span)?;
                let inner = self.one()?;
                self.depth -= 1;
                let span = inner.span().map_or(token.span, |inner| token.span.to(inner));
                Ok(Expr::Not(Box::new(inner), span))
            }
            Kind::Open => {
                self.deeper(token.span)?;
                let inner = self.any()?;
                self.depth -= 1;
                let Some(close) = self.tokens.next_if(|next| next.kind == Kind::Close) else {
                    return Err(FilterError::new("this `(` is not closed", token.span));
                };
                Ok(Expr::Group(Box::new(inner), token.span.to(close.span)))
            }
            Kind::Close => Err(FilterError::new("something to search for is missing before `)`", token.span)),
            Kind::And | Kind::Or => {
                Err(FilterError::new("something to search for is missing before this word; put it in quotes to search for the word itself", token.span))
            }
        }
    }

    fn deeper(&mut self, span: Span) -> Result<(), FilterError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(FilterError::new(format!("a filter nests at most {DEPTH_MAX} levels"), span));
        }
        Ok(())
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        self.tokens.next_if(|token| token.kind == *kind).is_some()
    }
}

fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => join(parts.into_iter().chain(last).collect()),
    }
}
