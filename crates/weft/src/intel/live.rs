//! What is matched now; another one takes its place without a pause.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use weft_analytics::intel::pack::Row;
use weft_analytics::intel::{Build, Intel, Pack, keys};

use super::Shelf;

/// What a renewal brought that was not there before.
#[derive(Default)]
pub struct Renewed {
    /// New indicators alone.
    pub intel: Intel,
    /// What the past is asked for, in order.
    pub keys: Vec<u64>,
}

/// The intelligence of a running mesh.
pub struct Live {
    shelf: Shelf,
    now: ArcSwap<Intel>,
    /// The stamp that it was read at.
    stamp: Mutex<Option<String>>,
}

impl Live {
    /// Reads what a home has; what cannot be read is told and left out.
    pub fn open(home: &Path) -> Arc<Self> {
        let shelf = Shelf::of(home);
        let stamp = shelf.stamp();
        let (intel, faults) = if stamp.is_some() { shelf.intel() } else { Default::default() };
        faults.iter().for_each(|fault| tracing::error!(fault, "a source of intelligence is left out"));
        Arc::new(Self { shelf, now: ArcSwap::from_pointee(intel), stamp: Mutex::new(stamp) })
    }

    /// What is matched now.
    pub fn load(&self) -> Guard<Arc<Intel>> {
        self.now.load()
    }

    /// Whether something was imported or removed since it was read.
    pub fn is_behind(&self) -> bool {
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) != self.shelf.stamp()
    }

    /// Reads what is there and puts it in place; what it has that the last one had not. Blocking.
    pub fn renew(&self) -> Renewed {
        let stamp = self.shelf.stamp();
        let (packs, mut faults) = self.shelf.packs();
        let before = self.now.load_full();
        let (mut build, mut new, wanted) = (Build::default(), Build::default(), std::cell::RefCell::new(Vec::new()));
        build.reserve(packs.iter().map(Pack::len).sum());
        for pack in &packs {
            faults.extend(pack.build(&mut build).err());
            let is_new = |row: &Row<'_>| {
                let is_new = !before.holds(&row.value());
                if is_new {
                    wanted.borrow_mut().push(keys::of_indicator(row.kind, row.text));
                }
                is_new
            };
            faults.extend(pack.build_where(&mut new, &is_new).err());
        }
        faults.iter().for_each(|fault| tracing::error!(fault, "a source of intelligence is left out"));
        let intel = Arc::new(build.finish());
        let size = intel.size();
        self.now.store(intel);
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        tracing::info!(exact = size.exact, networks = size.networks, "indicators are matched from now on");
        let mut keys = wanted.into_inner();
        keys.sort_unstable();
        keys.dedup();
        Renewed { intel: new.finish(), keys }
    }
}
