//! The running mesh as the console sees it.

mod backend;
pub mod cells;
pub mod journal;
pub mod ledger;
pub mod posture;
pub mod rejects;
mod risks;
mod sources;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;
use weft_assessment::Metric;

use crate::pipeline::Pipeline;
use crate::queue::Queue;
use crate::respond::Respond;
use crate::state::StateStore;

/// What the pages ask.
pub struct Mesh {
    /// Events.
    pub pipeline: Pipeline,
    /// Runs.
    pub respond: Arc<Respond>,
    /// What is kept beside the lake.
    pub state: Arc<dyn StateStore>,
    /// Checks and their last outcomes.
    pub posture: Arc<posture::PostureBoard>,
    /// What is measured.
    pub metrics: Arc<Vec<Metric>>,
    /// Between doors and log, for metrics.
    pub queue: Queue,
    /// Statements that run, by the reader's id.
    pub(crate) statements: Mutex<HashMap<String, CancellationToken>>,
}

impl Mesh {
    /// Over the parts.
    pub fn new(
        (pipeline, queue): (Pipeline, Queue),
        respond: Arc<Respond>,
        state: Arc<dyn StateStore>,
        posture: Arc<posture::PostureBoard>,
        metrics: Arc<Vec<Metric>>,
    ) -> Self {
        Self { pipeline, queue, respond, state, posture, metrics, statements: Mutex::default() }
    }
}
