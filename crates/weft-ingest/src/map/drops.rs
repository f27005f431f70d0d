//! Declared drops: records that an organisation has decided not to keep, as a policy in its
//! configuration and not as a gap in its telemetry.
//!
//! A policy looks at the record before it is mapped, with the expressions of the mapping language.
//! Whether a record is dropped depends on the record alone: mapped again after a crash, the same
//! ones are dropped, so that the ledger's figures stay what they were.

use std::collections::HashMap;

use bumpalo::Bump;
use weft_model::{RawBatch, RawRecord, StreamId};

use super::code::{Code, Scope};
use super::value::Val;
use crate::language::Trie;
use crate::language::expr;
use crate::language::link::{Linker, Names, Patterns};
use crate::registry::Registry;
use crate::tree::Nodes;

/// A policy as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DropPolicy {
    /// Where it is declared, for faults: `weft.toml:12:1`.
    pub place: String,
    /// `connector/record_type`, as records are recognised.
    pub stream: String,
    /// Condition on the record; without one every record meets it.
    pub when: Option<String>,
    /// Of so many records that meet it one is kept; without it none.
    pub keep_one_in: Option<u64>,
    /// Why, for a person.
    pub reason: String,
}

/// All policies, compiled.
#[derive(Debug, Default)]
pub struct Drops {
    streams: HashMap<StreamId, Stream>,
}

#[derive(Debug, Default)]
struct Stream {
    trie: Trie,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    when: Option<Code>,
    keep_one_in: Option<u64>,
}

/// A record that is about to be mapped.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) nodes: &'a Nodes<'a>,
    pub(super) batch: &'a RawBatch,
    pub(super) record: &'a RawRecord,
    pub(super) whole: &'a str,
    pub(super) arena: &'a Bump,
}

impl Drops {
    /// Compiles policies.
    ///
    /// # Errors
    /// Every fault, one line each, with its place.
    pub fn compile(registry: &Registry, policies: &[DropPolicy]) -> Result<Self, Vec<String>> {
        let (mut drops, mut patterns, mut faults) = (Self::default(), Patterns::default(), Vec::new());
        for policy in policies {
            let stream = StreamId::from(policy.stream.as_str());
            if registry.program(&stream).is_none() {
                faults.push(format!("{}: there is no stream `{}`; `weft check --streams` lists them", policy.place, policy.stream));
                continue;
            }
            let into = drops.streams.entry(stream).or_default();
            let mut linker = Linker { names: &Names::default(), trie: &mut into.trie, patterns: &mut patterns, captures: &[], item: false };
            let when = policy.when.as_deref().map(|text| expr::parse(text).map_err(|fault| fault.message).and_then(|expr| linker.link(&expr)));
            match when.transpose() {
                Ok(when) => into.rules.push(Rule { when, keep_one_in: policy.keep_one_in }),
                Err(message) => faults.push(format!("{}: `where` cannot be read: {message}", policy.place)),
            }
        }
        if faults.is_empty() { Ok(drops) } else { Err(faults) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether a policy drops the record.
    pub(super) fn drops<'a>(&'a self, stream: &StreamId, of: Candidate<'a>) -> bool {
        let Some(stream) = self.streams.get(stream) else { return false };
        let mut slots = Vec::new();
        stream.trie.locate(of.nodes, &mut slots);
        let Candidate { nodes, batch, record, whole, arena } = of;
        let slots = arena.alloc_slice_copy(&slots);
        let scope = Scope { nodes, slots, item: Val::Node(nodes, 0), index: 0, absent: &[], captures: &[], batch, record, whole, arena };
        stream.rules.iter().any(|rule| rule.when.as_ref().is_none_or(|when| when.holds(&scope)) && !rule.keeps(record))
    }
}

impl Rule {
    /// Ids are digests of the content: a sample by id is a fair one, and the same every time.
    fn keeps(&self, record: &RawRecord) -> bool {
        self.keep_one_in.is_some_and(|of| record.id.0.is_multiple_of(u128::from(of.max(1))))
    }
}
