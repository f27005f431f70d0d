//! What a query learns on its way: files read, files left out.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use datafusion::datasource::physical_plan::{FileGroup, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use serde::Serialize;

/// What an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueryStats {
    /// Data files of the tables that were asked.
    pub files: u64,
    /// Of them, those that could hold an answer and were read; none when the table's log had the answer.
    pub files_read: u64,
    /// Bytes that were asked of them.
    pub bytes_read: u64,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    files: AtomicU64,
    read: AtomicU64,
    bytes: AtomicU64,
    warnings: Mutex<BTreeSet<String>>,
}

impl Notes {
    /// A table of so many files is asked.
    pub(super) fn files(&self, all: usize) {
        self.files.fetch_add(all as u64, Ordering::Relaxed);
    }

    pub(super) fn warn(&self, warning: String) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).insert(warning);
    }

    /// Takes from the plan what it counted while it ran.
    pub(super) fn finish(&self, plan: &dyn ExecutionPlan) {
        if let Some((scan, _)) = plan.downcast_ref::<DataSourceExec>().and_then(|source| source.downcast_to_file_source::<ParquetSource>()) {
            let files: usize = scan.file_groups.iter().map(FileGroup::len).sum();
            self.read.fetch_add(files as u64, Ordering::Relaxed);
            let scanned = plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned")).map_or(0, |bytes| bytes.as_usize());
            self.bytes.fetch_add(scanned as u64, Ordering::Relaxed);
        }
        plan.children().into_iter().for_each(|child| self.finish(&**child));
    }

    pub(super) fn stats(&self) -> QueryStats {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        QueryStats { files: count(&self.files), files_read: count(&self.read), bytes_read: count(&self.bytes) }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
