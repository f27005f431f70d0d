//! What the pipeline remembers over a restart: the detectors' memory, and findings that nobody has
//! answered yet, as of exactly the frames that a commit covers.
//!
//! INVARIANT: the memory of a commit is kept before the commit. After a crash the newest memory
//! that is not beyond the committed frame is taken, and all later frames are shown to the
//! detectors again: no event counts twice, and none is forgotten.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use weft_lake::Seq;
use weft_model::{Detector, Finding};

use super::Shared;

/// Largest memory that is read back.
const BYTES_MAX: usize = 4 << 30;
/// Speed before size: it is written with every commit.
const LEVEL: i32 = 1;

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct Memory {
    /// By the detectors' names.
    detectors: BTreeMap<String, Vec<u8>>,
    /// Found, and not answered.
    pub(super) findings: Vec<Arc<Finding>>,
}

/// The first line of a kept memory; behind it stand the detectors' bytes, one after another.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Names and lengths.
    detectors: Vec<(String, usize)>,
    findings: Vec<Arc<Finding>>,
}

impl Memory {
    /// Reads what was kept; a memory that cannot be read is told and begun anew.
    pub fn read(kept: Option<&[u8]>) -> Self {
        let Some(kept) = kept else { return Self::default() };
        Self::unpack(kept).unwrap_or_else(|error| {
            tracing::error!(error, "the detectors' memory cannot be read; they begin with an empty one");
            Self::default()
        })
    }

    /// One line of JSON, then bytes; all of it ZSTD.
    fn pack(self) -> std::io::Result<Vec<u8>> {
        let head = Head { detectors: self.detectors.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect(), findings: self.findings };
        let mut packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
        serde_json::to_writer(&mut packed, &head)?;
        packed.write_all(b"\n")?;
        self.detectors.values().try_for_each(|bytes| packed.write_all(bytes))?;
        packed.finish()
    }

    fn unpack(kept: &[u8]) -> Result<Self, String> {
        let mut plain = Vec::new();
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let mut decoder = zstd::Decoder::new(kept).map_err(|error| told(&error))?.take(BYTES_MAX as u64);
        decoder.read_to_end(&mut plain).map_err(|error| told(&error))?;
        let behind = plain.iter().position(|byte| *byte == b'\n').ok_or("it has no head")?;
        let (head, mut rest) = plain.split_at(behind);
        let head: Head = serde_json::from_slice(head).map_err(|error| told(&error))?;
        rest = rest.get(1..).unwrap_or_default();
        let mut detectors = BTreeMap::new();
        for (name, length) in head.detectors {
            let (bytes, more) = rest.split_at_checked(length).ok_or("it ends too early")?;
            detectors.insert(name, bytes.to_vec());
            rest = more;
        }
        Ok(Self { detectors, findings: head.findings })
    }

    /// What something beside the detectors remembered under a name.
    pub(super) fn part(&mut self, name: &str) -> Option<Vec<u8>> {
        self.detectors.remove(name)
    }

    /// Gives the detectors what is theirs.
    pub(super) fn restore(&mut self, detectors: &mut [Box<dyn Detector>]) {
        detectors.iter_mut().for_each(|detector| self.restore_to(&mut **detector));
    }

    /// Gives one of them what is its own.
    pub(crate) fn restore_to(&mut self, detector: &mut dyn Detector) {
        let Some(saved) = self.detectors.remove(detector.name()).filter(|_| !detector.name().is_empty()) else { return };
        if let Err(error) = detector.restore(&saved) {
            tracing::error!(error, detector = detector.name(), "the memory of a detector cannot be read; it begins with an empty one");
        }
    }
}

/// Stops the workers between two frames, and takes down what is remembered at that moment, with
/// the last frame that it covers. None when no frame would be committed. Blocking.
pub(super) fn take(shared: &Shared) -> Option<(Seq, Vec<u8>)> {
    let (upto, memory) = look(shared)?;
    match memory.pack() {
        Ok(packed) => Some((upto, packed)),
        // Writing to memory does not fail; without a memory nothing may be committed.
        Err(error) => {
            tracing::error!(%error, "what the detectors remember cannot be written down; it is tried again");
            None
        }
    }
}

/// What is remembered at a moment at which no worker has a frame in hand.
fn look(shared: &Shared) -> Option<(Seq, Memory)> {
    let _still = shared.still.write().unwrap_or_else(PoisonError::into_inner);
    let upto = shared.lake.horizon();
    if upto <= shared.lake.committed() {
        return None;
    }
    let detectors = shared.detectors.lock().unwrap_or_else(PoisonError::into_inner);
    let named = detectors.iter().filter(|detector| !detector.name().is_empty());
    let named = named.filter_map(|detector| Some((detector.name().to_owned(), detector.checkpoint()?)));
    let detectors = named.chain(shared.sums.keep()).collect();
    let findings = shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    Some((upto, Memory { detectors, findings }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_comes_back_as_it_was_and_a_damaged_one_is_told() {
        let detectors = BTreeMap::from([("a".to_owned(), b"one\n\0two".to_vec()), ("b".to_owned(), Vec::new()), ("c".to_owned(), vec![7; 100_000])]);
        let packed = Memory { detectors: detectors.clone(), findings: Vec::new() }.pack().unwrap();
        assert!(packed.len() < 1000);
        assert_eq!(Memory::unpack(&packed).unwrap().detectors, detectors);
        assert!(Memory::unpack(packed.get(..packed.len() / 2).unwrap()).is_err());
        assert!(Memory::unpack(b"{}").is_err());
        assert!(Memory::read(Some(b"{}")).detectors.is_empty());
    }
}
