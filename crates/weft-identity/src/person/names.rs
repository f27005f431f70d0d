//! Names of persons, as accounts and sets of accounts carry them.

use crate::graph::Strings;

use super::id::{IdKind, plain};
use super::resolve::Work;

/// Between the given and the family name of an interned name.
const BETWEEN: char = '\u{1}';
/// No name.
pub(super) const NONE: u32 = u32::MAX;

/// The names of all accounts, by rank.
pub(super) struct Names {
    texts: Strings,
    of: Vec<u32>,
}

impl Names {
    pub(super) fn of(work: &Work<'_>) -> Self {
        let mut texts = Strings::default();
        let of = work.identities.iter().map(|identity| parts(&identity.ids)).map(|name| {
            let (given, family) = name?;
            texts.intern(&format!("{given}{BETWEEN}{family}"))
        });
        let of = of.map(|number| number.unwrap_or(NONE)).collect();
        Self { texts, of }
    }

    /// Name of an account.
    pub(super) fn account(&self, rank: u32) -> u32 {
        self.of.get(rank as usize).copied().unwrap_or(NONE)
    }

    /// Given and family name of a number.
    pub(super) fn parts(&self, name: u32) -> Option<(&str, &str)> {
        self.texts.get(name).split_once(BETWEEN)
    }

    /// Name of each set, by root: the one that most of its accounts carry, of two alike the first.
    pub(super) fn of_sets(&self, work: &mut Work<'_>) -> Vec<u32> {
        let mut all: Vec<(u32, &str, u32)> = Vec::new();
        for (rank, &name) in (0_u32..).zip(&self.of) {
            if name != NONE && !work.is_apart(rank) {
                all.push((work.sets.root(rank), self.texts.get(name), name));
            }
        }
        all.sort_unstable();
        let mut best = vec![(0_usize, NONE); self.of.len()];
        for same in all.chunk_by(|a, b| (a.0, a.2) == (b.0, b.2)) {
            let Some(&(root, _, name)) = same.first() else { continue };
            if let Some(place) = best.get_mut(root as usize).filter(|place| place.0 < same.len()) {
                *place = (same.len(), name);
            }
        }
        best.into_iter().map(|(_, name)| name).collect()
    }
}

/// Given and family name: as the source gives them, or as the whole name is written.
fn parts(ids: &[(IdKind, &str)]) -> Option<(String, String)> {
    let of = |wanted: IdKind| ids.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let (given, family) = match (of(IdKind::Given), of(IdKind::Family)) {
        (Some(given), Some(family)) => (given.split_whitespace().next()?.to_owned(), family.to_owned()),
        _ => split(of(IdKind::Name)?)?,
    };
    let (given, family) = (plain(&given), plain(&family));
    (!given.is_empty() && !family.is_empty()).then_some((given, family))
}

/// `Given Family` or `Family, Given`. What stands in brackets is no name.
fn split(name: &str) -> Option<(String, String)> {
    let name = name.split(['(', '[', '|']).next()?.trim();
    if let Some((family, given)) = name.split_once(',') {
        return Some((given.split_whitespace().next()?.to_owned(), family.trim().to_owned()));
    }
    let mut words = name.split_whitespace();
    let given = words.next()?;
    Some((given.to_owned(), words.next_back()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = |text| parts(&[(IdKind::Name, text)]);
        let ada = Some(("ada".to_owned(), "lovelace".to_owned()));
        assert_eq!((name("Ada Lovelace"), name("Lovelace, Ada K."), name("Ada Augusta Lovelace (EXT)")), (ada.clone(), ada.clone(), ada));
        assert_eq!((name("root"), name(""), name(",")), (None, None, None));
    }
}
