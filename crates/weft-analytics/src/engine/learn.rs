//! What is usual is learned from the past: by an engine of its own, which is shown what was stored, of
//! whose findings nobody wants to know, and whose memory the running one takes over.

use super::{Engine, written};

impl Engine {
    /// Ids of analytics that know no history, with the longest time in milliseconds that one looks back.
    /// None where all know some, or there are none.
    pub fn unlearned(&self) -> Option<(Vec<String>, i64)> {
        let fresh = self.baselines.iter().filter(|baseline| baseline.off().is_none() && baseline.memory.is_fresh());
        let of = |rule: usize| self.rules.get(rule).map(|loaded| loaded.rule.id.clone());
        let (ids, spans): (Vec<String>, Vec<i64>) = fresh.filter_map(|baseline| Some((of(baseline.rule)?, baseline.asked().learn_ms))).unzip();
        spans.into_iter().max().map(|longest| (ids, longest))
    }

    /// Takes over what `other` learned, for the analytics that know no history themselves.
    pub fn adopt(&mut self, mut other: Self) {
        let id = |engine: &Self, rule: usize| engine.rules.get(rule).map(|loaded| loaded.rule.id.clone());
        for at in 0..self.baselines.len() {
            let Some((mine, asked)) = self.baselines.get(at).filter(|mine| mine.memory.is_fresh()).map(|mine| (id(self, mine.rule), written(mine))) else {
                continue;
            };
            let place = other.baselines.iter().position(|theirs| id(&other, theirs.rule) == mine && written(theirs) == asked);
            let Some(theirs) = place.and_then(|place| other.baselines.get_mut(place)) else { continue };
            if let Some(mine) = self.baselines.get_mut(at) {
                mine.memory = std::mem::take(&mut theirs.memory).begun_anew();
            }
        }
    }
}
