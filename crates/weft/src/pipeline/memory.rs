//! What the pipeline remembers over a restart: the detectors' memory, and findings that nobody has
//! answered yet, as of exactly the frames that a commit covers.
//!
//! INVARIANT: the memory of a commit is kept before the commit. After a crash the newest memory
//! that is not beyond the committed frame is taken, and all later frames are shown to the
//! detectors again: no event counts twice, and none is forgotten.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use weft_lake::Seq;
use weft_model::{Detector, Finding};

use super::Shared;

/// Everything that is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// By the detectors' names.
    detectors: BTreeMap<String, Vec<u8>>,
    /// Found, and not answered.
    pub(super) findings: Vec<Finding>,
}

impl Memory {
    /// Reads what was kept; a memory that cannot be read is told and begun anew.
    pub fn read(kept: Option<&[u8]>) -> Self {
        let Some(kept) = kept else { return Self::default() };
        serde_json::from_slice(kept).unwrap_or_else(|error| {
            tracing::error!(%error, "the detectors' memory cannot be read; they begin with an empty one");
            Self::default()
        })
    }

    /// Gives the detectors what is theirs.
    pub(super) fn restore(&mut self, detectors: &mut [Box<dyn Detector>]) {
        for detector in detectors.iter_mut().filter(|detector| !detector.name().is_empty()) {
            let Some(saved) = self.detectors.remove(detector.name()) else { continue };
            if let Err(error) = detector.restore(&saved) {
                tracing::error!(error, detector = detector.name(), "the memory of a detector cannot be read; it begins with an empty one");
            }
        }
    }
}

/// Stops the workers between two frames, and takes down what is remembered at that moment, with
/// the last frame that it covers. None when no frame would be committed. Blocking.
pub(super) fn take(shared: &Shared) -> Option<(Seq, Vec<u8>)> {
    let _still = shared.still.write().unwrap_or_else(PoisonError::into_inner);
    let upto = shared.lake.horizon();
    if upto <= shared.lake.committed() {
        return None;
    }
    let detectors = shared.detectors.lock().unwrap_or_else(PoisonError::into_inner);
    let named = detectors.iter().filter(|detector| !detector.name().is_empty());
    let memory = Memory {
        detectors: named.filter_map(|detector| Some((detector.name().to_owned(), detector.checkpoint()?))).collect(),
        findings: shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect(),
    };
    drop(detectors);
    // Text keys, numbers and lists: nothing that JSON refuses.
    Some((upto, serde_json::to_vec(&memory).unwrap_or_default()))
}
