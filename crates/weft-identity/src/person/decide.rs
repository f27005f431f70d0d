//! What persons decided about persons, remembered and replayed.
//!
//! A decision names accounts and not persons: persons are computed anew each time. The latest word about a
//! pair of accounts counts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weft_model::Timestamp;

use super::resolve::Persons;

/// What was said of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// They are one person.
    Same,
    /// They are two.
    Apart,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The word.
    pub word: Word,
    /// Keys of accounts of one side, in order.
    pub left: Vec<String>,
    /// Keys of accounts of the other side, in order.
    pub right: Vec<String>,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A decision that would say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionFault {
    /// Both sides are one person already.
    #[error("`{0}` and `{1}` are one person already; `weft identity show` tells by which keys")]
    One(String, String),
    /// There is nothing to take it away from.
    #[error("`{0}` is the only account of its person: there is nothing to split")]
    Alone(String),
    /// The person was not merged by a decision.
    #[error("`{0}` has {1} accounts and none was merged by hand; name the account that is somebody else's: {2}")]
    NotMerged(String, usize, String),
}

impl Decision {
    /// Two persons are one.
    ///
    /// # Errors
    /// They are already.
    pub fn merge(persons: &Persons, a: usize, b: usize, by: &str, at: Timestamp) -> Result<Self, DecisionFault> {
        let (left, right) = (persons.keys(a), persons.keys(b));
        if a == b {
            let id = persons.persons.get(a).map(|person| person.id.clone()).unwrap_or_default();
            return Err(DecisionFault::One(id.clone(), id));
        }
        Ok(Self { word: Word::Same, left, right, by: by.to_owned(), at })
    }

    /// An account is not of the person that it counts for.
    ///
    /// # Errors
    /// It is the only one.
    pub fn split_account(persons: &Persons, account: &str, person: usize, by: &str, at: Timestamp) -> Result<Self, DecisionFault> {
        let right: Vec<String> = persons.keys(person).into_iter().filter(|key| key != account).collect();
        if right.is_empty() {
            return Err(DecisionFault::Alone(account.to_owned()));
        }
        Ok(Self { word: Word::Apart, left: vec![account.to_owned()], right, by: by.to_owned(), at })
    }

    /// The last merge of a person is taken back.
    ///
    /// # Errors
    /// Nobody merged it.
    pub fn split_person(persons: &Persons, person: usize, decided: &[Self], by: &str, at: Timestamp) -> Result<Self, DecisionFault> {
        let keys = persons.keys(person);
        let has = |side: &[String]| side.iter().any(|key| keys.contains(key));
        let last = decided.iter().rev().find(|decision| decision.word == Word::Same && has(&decision.left) && has(&decision.right));
        match last {
            Some(merge) => Ok(Self { word: Word::Apart, left: merge.left.clone(), right: merge.right.clone(), by: by.to_owned(), at }),
            None if keys.len() < 2 => Err(DecisionFault::Alone(keys.join(", "))),
            None => {
                let id = persons.persons.get(person).map(|person| person.id.clone()).unwrap_or_default();
                Err(DecisionFault::NotMerged(id, keys.len(), keys.join(", ")))
            }
        }
    }
}

/// What all decisions together come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Pairs that are one person's, in order of decision.
    pub(super) same: Vec<(String, String)>,
    /// Pairs that are two persons', the lesser key first.
    pub(super) apart: BTreeSet<(String, String)>,
}

pub(super) fn ordered(a: &str, b: &str) -> (String, String) {
    if a <= b { (a.to_owned(), b.to_owned()) } else { (b.to_owned(), a.to_owned()) }
}

impl Decided {
    /// Replays decisions: each withdraws what earlier ones said across its two sides.
    pub(super) fn of(decisions: &[Decision]) -> Self {
        let mut decided = Self::default();
        for decision in decisions {
            let across =
                |a: &String, b: &String| decision.left.contains(a) && decision.right.contains(b) || decision.left.contains(b) && decision.right.contains(a);
            match decision.word {
                Word::Same => {
                    decided.apart.retain(|(a, b)| !across(a, b));
                    decided.same.extend(decision.left.iter().flat_map(|a| decision.right.iter().map(move |b| (a.clone(), b.clone()))));
                }
                Word::Apart => {
                    decided.same.retain(|(a, b)| !across(a, b));
                    decided.apart.extend(decision.left.iter().flat_map(|a| decision.right.iter().map(move |b| ordered(a, b))));
                }
            }
        }
        decided
    }
}
