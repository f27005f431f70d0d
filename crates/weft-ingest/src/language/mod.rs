//! The mapping language: files, expressions, and their compilation.
//!
//! `docs/guide/mapping.md` is its definition. Nothing here reads a record.

pub mod compile;
pub mod draft;
pub mod expr;
pub mod file;
mod lexer;
pub(crate) mod link;
pub mod origin;
mod rules;
mod trie;
pub mod webhook;
pub(crate) mod words;

pub use trie::Trie;

use std::fmt;

/// A fault in a connector's files: what and where, for the person who writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// File, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// For a person.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Where faults are collected, with the file they are in.
pub struct Faults<'t> {
    file: &'t str,
    text: &'t str,
    list: Vec<Fault>,
}

impl<'t> Faults<'t> {
    /// For one file.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, list: Vec::new() }
    }

    /// Notes a fault at a byte offset.
    pub fn add(&mut self, at: usize, message: impl Into<String>) {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        self.list.push(Fault { file: self.file.to_owned(), line, column, message: message.into() });
    }

    /// All that were noted.
    pub fn into_list(self) -> Vec<Fault> {
        self.list
    }
}
