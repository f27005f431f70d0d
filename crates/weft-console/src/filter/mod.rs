//! The filter language of the Events page.
//!
//! ```text
//! field:value   field:"two words"   field:val*   field:>=4   field:*   "free text"
//! a b   a AND b   a OR b   NOT a   -a   ( … )
//! ```
//!
//! A field is a dotted OCSF path or one of the short names of [`fields::resolve`]. Total: any text
//! gives an expression or an error with its place.

pub mod fields;
mod lex;
mod matches;
mod parse;
mod to_sql;

#[cfg(test)]
mod tests;

use crate::api::{ApiError, TextSpan};

pub use matches::matches;
pub use parse::parse;
pub use to_sql::{Columns, Predicate, to_sql};

/// Longest filter.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Deepest nesting of parentheses and negations.
pub const DEPTH_MAX: usize = 32;
/// Most terms.
pub const TERMS_MAX: usize = 128;

/// A place in the filter's text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From the beginning of this one to the end of the other.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// The same place as an editor counts it.
    pub fn utf16(self, text: &str) -> TextSpan {
        let units = |end: usize| text.get(..end).unwrap_or(text).encode_utf16().count();
        TextSpan { start: units(self.start), end: units(self.end) }
    }
}

/// Why a text is not a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// For a person.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl FilterError {
    /// A fault at a place.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span }
    }

    /// As the API reports it.
    pub fn to_api(&self, text: &str) -> ApiError {
        ApiError::bad_request(self.message.clone()).at(self.span.utf16(text))
    }
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Nothing was asked: every event.
    All,
    /// One test.
    Term(Term),
    /// The opposite; what is absent counts as not matching, so its opposite matches.
    Not(Box<Expr>, Span),
    /// What stands in parentheses.
    Group(Box<Expr>, Span),
    /// Every one holds.
    And(Vec<Expr>),
    /// At least one holds.
    Or(Vec<Expr>),
}

/// One test of one field, or of the raw record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Where it stands.
    pub span: Span,
    /// The field as written; none for free text.
    pub field: Option<String>,
    /// What must hold.
    pub test: Test,
    /// Where the value stands.
    pub value_span: Span,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The raw record or the message contains it, whatever its case.
    Contains(String),
    /// It is exactly this.
    Equals(String),
    /// It fits the pattern; the parts stand around each `*`.
    Like(Vec<String>),
    /// It stands in this order to a number.
    Compare(Order, String),
    /// It is there.
    Exists,
}

/// An order between numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Order {
    /// As SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Expr {
    /// The parts that must all hold, in the order in which they were written.
    pub fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::All => Vec::new(),
            Self::And(parts) => parts.iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// Where it stands; none for the empty filter.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::All => None,
            Self::Term(term) => Some(term.span),
            Self::Not(_, span) | Self::Group(_, span) => Some(*span),
            Self::And(parts) | Self::Or(parts) => Some(parts.first()?.span()?.to(parts.last()?.span()?)),
        }
    }

    /// Every term.
    pub fn terms(&self) -> Vec<&Term> {
        match self {
            Self::All => Vec::new(),
            Self::Term(term) => vec![term],
            Self::Not(inner, _) | Self::Group(inner, _) => inner.terms(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::terms).collect(),
        }
    }
}
