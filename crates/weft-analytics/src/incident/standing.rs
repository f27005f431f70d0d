//! How far persons are with an incident: who takes care of it, and whether it is done with.

use serde::{Deserialize, Serialize};
use weft_model::Timestamp;

use super::decision::What;
use super::{Decision, Member};

/// What persons came to: verdicts of OCSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was what it looked like.
    TruePositive,
    /// It happened, and is allowed.
    Benign,
    /// It did not happen.
    FalsePositive,
    /// Somebody tried the defence.
    Test,
    /// Nobody can tell.
    InsufficientData,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::TruePositive, Self::Benign, Self::FalsePositive, Self::Test, Self::InsufficientData];

    /// The caption of OCSF, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::TruePositive => "true positive",
            Self::Benign => "benign",
            Self::FalsePositive => "false positive",
            Self::Test => "test",
            Self::InsufficientData => "insufficient data",
        }
    }

    /// `verdict_id` of OCSF.
    pub fn id(self) -> i64 {
        match self {
            Self::FalsePositive => 1,
            Self::TruePositive => 2,
            Self::Benign => 5,
            Self::Test => 6,
            Self::InsufficientData => 7,
        }
    }

    /// By its word, with `-`, `_` or a space in it.
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.replace(['-', '_'], " ");
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }
}

/// An incident is done with, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Its uid.
    pub incident: String,
    /// One of its findings.
    pub finding: String,
    /// What persons came to.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Titles of its findings: more of these leaves it closed.
    pub kinds: Vec<String>,
    /// Its severity: a worse one opens it again.
    pub severity_id: i64,
}

/// An incident is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// What persons came to.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How far persons are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Who takes care of it.
    pub owner: Option<String>,
    /// That it is done with.
    pub closed: Option<Closed>,
}

impl Standing {
    /// What decisions about these findings come to, one after another. A kind of finding that was not there
    /// when it was closed, or a worse one, opens an incident again: a function of the two sets, whatever the
    /// order of arrival.
    pub(super) fn of<'d>(members: &[Member], decisions: impl Iterator<Item = &'d Decision>) -> Self {
        let mut standing = Self::default();
        for decision in decisions {
            match &decision.what {
                What::Close(closing) if covers(closing, members) => {
                    let (verdict, reason) = (closing.verdict, closing.reason.clone());
                    standing.closed = Some(Closed { verdict, reason, by: decision.by.clone(), at: decision.at });
                }
                What::Close(_) | What::Reopen(..) => standing.closed = None,
                What::Assign(_, _, owner) => standing.owner.clone_from(owner),
                What::Merge(_) | What::Split(..) => {}
            }
        }
        standing
    }

    /// `status_id` of OCSF: 1 new, 2 in progress, 5 closed.
    pub fn status_id(&self) -> i64 {
        match (&self.closed, &self.owner) {
            (Some(_), _) => 5,
            (None, Some(_)) => 2,
            (None, None) => 1,
        }
    }
}

/// Whether all that is there now was there when it was closed.
fn covers(closing: &Closing, members: &[Member]) -> bool {
    members.iter().all(|member| member.severity_id <= closing.severity_id && closing.kinds.contains(&member.title))
}
