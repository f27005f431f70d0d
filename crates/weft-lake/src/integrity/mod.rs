//! Whether what is stored is what was written: digests, where they are checked, what is mended.
//!
//! A data file carries a [`seal`], whose digest the table keeps, and is checked block by block when
//! it is first read ([`check`]); each file of a table's own log has a [`twin`]; [`scrub`] reads
//! everything. See `docs/decisions` for why so.

pub(crate) mod check;
pub(crate) mod scrub;
pub(crate) mod seal;
pub(crate) mod twin;

pub(crate) use check::Checked;
pub(crate) use seal::{Seal, seal};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// What became of a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Found, nothing done.
    Found,
    /// Read from its redundancy, in memory alone so far.
    Mended,
    /// Written anew, byte for byte.
    Repaired,
    /// Its undamaged rows are in a new file; the others are lost.
    Salvaged,
    /// Taken out of the table whole.
    Lost,
}

/// A file that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// Table.
    pub table: String,
    /// Path within the table.
    pub path: String,
    /// What is wrong, for a person.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Rows that it held; 0 for a file of the table's log.
    pub rows: u64,
    /// Rows of it that are lost.
    pub rows_lost: u64,
    /// Where the damaged bytes are kept, if they are.
    pub kept: Option<String>,
}

/// Damage that was met since the start; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Damages(Arc<Mutex<BTreeMap<(String, String), DamagedFile>>>);

impl Damages {
    pub(crate) fn note(&self, damage: DamagedFile) {
        let key = (damage.table.clone(), damage.path.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, damage);
    }

    pub(crate) fn all(&self) -> Vec<DamagedFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn forget(&self, table: &str, path: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(table.to_owned(), path.to_owned()));
    }
}
