//! The running mesh as the console sees it.

mod backend;
pub mod cells;
pub mod detection;
mod figures;
pub(crate) mod incidents;
mod intelligence;
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

use crate::intel::Shelf;
use crate::pipeline::Pipeline;
use crate::queue::Queue;
use crate::respond::Respond;
use crate::state::StateStore;
use crate::wire::FeedBoard;

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
    /// Rules and hunts.
    pub loaded: detection::Loaded,
    /// Indicators that were imported.
    pub shelf: Shelf,
    /// How feeds are doing.
    pub feeds: Arc<FeedBoard>,
    /// Incidents between two requests.
    pub(crate) desk: incidents::Desk,
    /// What is on the shelf.
    pub(crate) stock: Mutex<intelligence::Stock>,
    /// Statements that run, by the reader's id.
    pub(crate) statements: Mutex<HashMap<String, CancellationToken>>,
}

/// What was loaded at the start, and how what runs beside it is doing.
pub struct Knowledge {
    /// Rules and hunts.
    pub loaded: detection::Loaded,
    /// Indicators that were imported.
    pub shelf: Shelf,
    /// How feeds are doing.
    pub feeds: Arc<FeedBoard>,
    /// Checks and their last outcomes.
    pub posture: Arc<posture::PostureBoard>,
    /// What is measured.
    pub metrics: Arc<Vec<Metric>>,
}

impl Mesh {
    /// Over the parts.
    pub fn new((pipeline, queue): (Pipeline, Queue), respond: Arc<Respond>, state: Arc<dyn StateStore>, knowledge: Knowledge) -> Self {
        let Knowledge { loaded, shelf, feeds, posture, metrics } = knowledge;
        Self {
            pipeline,
            queue,
            respond,
            state,
            posture,
            metrics,
            loaded,
            shelf,
            feeds,
            desk: incidents::Desk::default(),
            stock: Mutex::default(),
            statements: Mutex::default(),
        }
    }
}
