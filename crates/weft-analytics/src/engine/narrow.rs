//! Looking over much of the past: the columns that rules ask for tell which rows hold, and only those
//! rows are read whole.

use std::collections::BTreeSet;

use weft_model::event::{EXTRA, UNMAPPED};
use weft_model::{ClassUid, EventBatch};

use super::Engine;
use super::bits::Bits;
use super::columns::View;
use crate::sigma::fields::IN_UNMAPPED;

impl Engine {
    /// Dotted paths of all columns that rules ask of events of a class; those of rules alone, without what
    /// a finding tells beside. Nothing where no rule reads the class.
    pub fn columns(&self, class: ClassUid) -> BTreeSet<String> {
        let mut columns = BTreeSet::new();
        for program in self.programs.iter().filter(|program| program.reads_class(class)) {
            columns.extend(["time", EXTRA].map(str::to_owned));
            for paths in program.paths() {
                let within = |path: &String| path.starts_with(IN_UNMAPPED);
                if !paths.own.is_empty() || paths.ocsf.iter().any(within) {
                    columns.insert(UNMAPPED.to_owned());
                }
                columns.extend(paths.ocsf.iter().filter(|path| !within(path)).cloned());
            }
        }
        columns
    }

    /// Rows of a batch in which a rule holds, in order. The batch needs no more than [`Engine::columns`].
    /// All other rows can be left out of what [`observe`](weft_model::Detector::observe) is shown: they
    /// change nothing but since when there are events, which is noted here.
    pub fn rows(&mut self, batch: &EventBatch) -> Vec<usize> {
        let wanted = std::mem::take(&mut self.wanted);
        let rows = {
            let view = View::new(batch, &wanted);
            self.alive(&view);
            let mut rows = Bits::default();
            for (index, within) in self.kinds(&view) {
                let Some(program) = self.programs.get_mut(index) else { continue };
                rows.add(&program.rows(&view, &within, &self.suspended));
            }
            rows.rows().collect()
        };
        self.wanted = wanted;
        rows
    }
}
