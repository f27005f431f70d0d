//! What capabilities are about, by number: principals, policies, groups, resources; and sets of them.

use std::borrow::Cow;
use std::rc::Rc;

use hashbrown::HashMap;

use super::super::estate::Estate;
use super::super::pattern::name_like;

/// Number of a target. Principals come first, by their place in the estate.
pub(super) type TargetId = u32;
/// Number of a set of targets.
pub(super) type SetId = u32;
/// The set without targets.
pub(super) const NOTHING: SetId = 0;

/// A set of numbers that are dense.
#[derive(Debug, Clone, Default)]
pub(super) struct Bitset(Vec<u64>);

impl Bitset {
    pub(super) fn of(numbers: &[u32]) -> Self {
        let mut bits = Self::default();
        numbers.iter().for_each(|number| {
            bits.insert(*number);
        });
        bits
    }

    /// Adds a number; whether it is new.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let (place, bit) = (number as usize / 64, 1_u64 << (number % 64));
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        let Some(word) = self.0.get_mut(place) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one & other != 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one |= other);
    }
}

/// Something that an action may be on.
pub(super) struct Target<'e> {
    pub(super) name: Cow<'e, str>,
    /// The principal whose boundary a request on it names.
    pub(super) bounded: Option<usize>,
}

/// All targets, and which of them fit a pattern.
pub(super) struct Space<'e> {
    targets: Vec<Target<'e>>,
    sorted: Vec<TargetId>,
    fitting: HashMap<String, Rc<[TargetId]>>,
    pub(super) policies: HashMap<&'e str, TargetId>,
    pub(super) groups: HashMap<&'e str, TargetId>,
    things: TargetId,
    prizes: TargetId,
}

impl<'e> Space<'e> {
    /// Everything in an estate that a capability may be about, and for each resource its name as a prize.
    pub(super) fn new(estate: &'e Estate) -> Self {
        let mut targets: Vec<Target<'e>> = Vec::new();
        targets.extend(estate.members.iter().enumerate().map(|(place, member)| Target { name: (&member.principal.name).into(), bounded: Some(place) }));
        let (mut policies, mut groups) = (HashMap::new(), HashMap::new());
        let editable = estate.members.iter().flat_map(|member| &member.principal.editable).chain(estate.teams.iter().flat_map(|team| &team.editable));
        let named = estate.teams.iter().map(|team| &team.name).chain(estate.members.iter().flat_map(|member| &member.principal.groups));
        for (names, name) in editable.map(|name| (0, name)).chain(named.map(|name| (1, name))) {
            let known: &mut HashMap<&'e str, TargetId> = if names == 0 { &mut policies } else { &mut groups };
            known.entry(name.as_str()).or_insert_with(|| push(&mut targets, name.into(), None));
        }
        let things = count(&targets);
        for thing in &estate.things {
            let runs_as = thing.resource.runs_as.as_ref().and_then(|role| estate.by_name.get(role)).copied();
            push(&mut targets, (&thing.resource.name).into(), runs_as);
        }
        let prizes = count(&targets);
        for thing in &estate.things {
            let prize = estate.provider.rules.prizes.iter().find(|prize| prize.kind == thing.resource.kind);
            let suffix = prize.map(|prize| prize.suffix.as_str()).unwrap_or_default();
            push(&mut targets, format!("{}{suffix}", thing.resource.name).into(), None);
        }
        let mut sorted: Vec<TargetId> = (0..count(&targets)).collect();
        sorted.sort_by(|a, b| name_of(&targets, *a).cmp(name_of(&targets, *b)));
        Self { targets, sorted, fitting: HashMap::new(), policies, groups, things, prizes }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (TargetId, &Target<'e>)> {
        (0..).zip(&self.targets)
    }

    pub(super) fn get(&self, target: TargetId) -> Option<&Target<'e>> {
        self.targets.get(target as usize)
    }

    /// The target that a resource is, by its place in the estate.
    pub(super) fn thing(&self, place: usize) -> TargetId {
        self.things + u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// The target that a resource is as a prize.
    pub(super) fn prize(&self, place: usize) -> TargetId {
        self.prizes + u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// The place of a resource in the estate.
    pub(super) fn place(&self, target: TargetId) -> usize {
        let from = if target >= self.prizes { self.prizes } else { self.things };
        target.saturating_sub(from) as usize
    }

    /// Targets whose name fits a pattern without variables.
    pub(super) fn fitting(&mut self, pattern: &str) -> Rc<[TargetId]> {
        if let Some(known) = self.fitting.get(pattern) {
            return Rc::clone(known);
        }
        let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
        let from = self.sorted.partition_point(|target| name_of(&self.targets, *target) < fixed);
        let near = self.sorted.iter().skip(from).take_while(|target| name_of(&self.targets, **target).starts_with(fixed));
        let found: Rc<[TargetId]> = near.copied().filter(|target| name_like(pattern, name_of(&self.targets, *target))).collect();
        self.fitting.insert(pattern.to_owned(), Rc::clone(&found));
        found
    }
}

fn count(targets: &[Target<'_>]) -> TargetId {
    u32::try_from(targets.len()).unwrap_or(u32::MAX)
}

fn push<'e>(targets: &mut Vec<Target<'e>>, name: Cow<'e, str>, bounded: Option<usize>) -> TargetId {
    let number = count(targets);
    targets.push(Target { name, bounded });
    number
}

fn name_of<'a>(targets: &'a [Target<'_>], target: TargetId) -> &'a str {
    targets.get(target as usize).map(|target| target.name.as_ref()).unwrap_or_default()
}

/// Sets of targets; equal ones have one number.
pub(super) struct Sets {
    of: Vec<Rc<[TargetId]>>,
    ids: HashMap<Rc<[TargetId]>, SetId>,
    unions: HashMap<Vec<SetId>, SetId>,
    overlaps: HashMap<Vec<SetId>, SetId>,
}

impl Default for Sets {
    fn default() -> Self {
        let mut sets = Self { of: Vec::new(), ids: HashMap::new(), unions: HashMap::new(), overlaps: HashMap::new() };
        sets.number(Vec::new());
        sets
    }
}

impl Sets {
    /// The number of a set, whose order counts.
    pub(super) fn number(&mut self, targets: Vec<TargetId>) -> SetId {
        let targets: Rc<[TargetId]> = targets.into();
        let next = u32::try_from(self.of.len()).unwrap_or(u32::MAX);
        *self.ids.entry(targets).or_insert_with_key(|targets| {
            self.of.push(Rc::clone(targets));
            next
        })
    }

    pub(super) fn get(&self, set: SetId) -> Rc<[TargetId]> {
        self.of.get(set as usize).map(Rc::clone).unwrap_or_default()
    }

    /// All that is in one of these; sorted.
    pub(super) fn union(&mut self, sets: Vec<SetId>) -> SetId {
        if let [one] = sets.as_slice() {
            return *one;
        }
        if let Some(known) = self.unions.get(&sets) {
            return *known;
        }
        let mut all: Vec<TargetId> = sets.iter().flat_map(|set| self.get(*set).to_vec()).collect();
        all.sort_unstable();
        all.dedup();
        let union = self.number(all);
        self.unions.insert(sets, union);
        union
    }

    /// What is in each of these, in the order of the first.
    pub(super) fn overlap(&mut self, sets: Vec<SetId>) -> SetId {
        if let [one] = sets.as_slice() {
            return *one;
        }
        if let Some(known) = self.overlaps.get(&sets) {
            return *known;
        }
        let others: Vec<Bitset> = sets.iter().skip(1).map(|set| Bitset::of(&self.get(*set))).collect();
        let first = sets.first().map(|set| self.get(*set)).unwrap_or_default();
        let common = first.iter().copied().filter(|target| others.iter().all(|other| other.has(*target))).collect();
        let overlap = self.number(common);
        self.overlaps.insert(sets, overlap);
        overlap
    }
}
