//! The ports: the only async, the only I/O.

use async_trait::async_trait;

use crate::access::Approved;
use crate::batch::{EventBatch, Position, RawBatch};
use crate::policy::{Artifact, Plan};
use crate::response::{Command, Probe, Receipt};

/// What can go wrong at the rim, by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Try again later.
    #[error("`{tool}` does not answer: {message}")]
    Unavailable {
        /// Tool.
        tool: String,
        /// For a person.
        message: String,
    },
    /// Not possible here, or not with these rights; trying again does not help.
    #[error("`{tool}` refused: {message}")]
    Refused {
        /// Tool.
        tool: String,
        /// For a person: what to do.
        message: String,
    },
    /// The tool answered something that we do not understand.
    #[error("`{tool}` answered unexpectedly: {message}")]
    Protocol {
        /// Tool.
        tool: String,
        /// For a person.
        message: String,
    },
    /// The world moved since the plan was made.
    #[error("the plan for `{tool}` is stale: {message}")]
    Stale {
        /// Tool.
        tool: String,
        /// For a person.
        message: String,
    },
}

/// Where raw records come from.
#[async_trait]
pub trait Source: Send {
    /// Records after `position`, at most one page; an empty batch means nothing new.
    async fn poll(&mut self, position: &Position) -> Result<RawBatch, PortError>;
}

/// What a tool knows to exist.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// A consistent snapshot as OCSF events (classes 5xxx).
    async fn snapshot(&self) -> Result<Vec<EventBatch>, PortError>;
}

/// Where policy takes effect.
#[async_trait]
pub trait EnforcementPoint: Send + Sync {
    /// What it enforces now.
    async fn observe(&self) -> Result<Artifact, PortError>;
    /// Carries out a plan; refuses a stale one.
    async fn apply(&self, plan: &Approved<Plan>) -> Result<(), PortError>;
}

/// A tool that can be told to do something.
#[async_trait]
pub trait Responder: Send + Sync {
    /// Does it; doing it twice is the same as once.
    async fn execute(&self, command: &Approved<Command>) -> Result<Receipt, PortError>;
    /// Looks, independently of the way it was done, whether the effect is there.
    async fn probe(&self, command: &Command) -> Result<Probe, PortError>;
}
