//! Notes by number that are forgotten at once.

/// What was noted of numbers in this walk.
pub(super) struct Marks<T> {
    walk: u32,
    of: Vec<(u32, T)>,
}

impl<T: Copy + Default> Marks<T> {
    pub(super) fn new() -> Self {
        Self { walk: 0, of: Vec::new() }
    }

    /// Forgets everything.
    pub(super) fn begin(&mut self) {
        self.walk += 1;
    }

    pub(super) fn get(&self, number: u32) -> Option<T> {
        self.of.get(number as usize).filter(|(walk, _)| *walk == self.walk).map(|(_, noted)| *noted)
    }

    pub(super) fn set(&mut self, number: u32, noted: T) {
        let place = number as usize;
        if self.of.len() <= place {
            self.of.resize(place + 1, (0, T::default()));
        }
        if let Some(mark) = self.of.get_mut(place) {
            *mark = (self.walk, noted);
        }
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.get(number).is_some()
    }

    /// Marks a number; whether it was not before.
    pub(super) fn is_new(&mut self, number: u32) -> bool {
        let new = !self.has(number);
        if new {
            self.set(number, T::default());
        }
        new
    }
}
