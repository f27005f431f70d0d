//! Accounts in disjoint sets, with what keeps sets apart.

use std::collections::{BTreeSet, HashMap};

/// Why two sets were not united.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barred {
    /// Somebody said that accounts of them are two persons'.
    Apart,
    /// Their employee numbers differ.
    Employees,
}

/// Numbers that the accounts of a set have, by root; they go with the set when it is united.
#[derive(Default)]
struct Marks(HashMap<u32, BTreeSet<u32>>);

impl Marks {
    fn add(&mut self, root: u32, number: u32) {
        self.0.entry(root).or_default().insert(number);
    }

    fn unite(&mut self, into: u32, from: u32) {
        if let Some(moved) = self.0.remove(&from) {
            self.0.entry(into).or_default().extend(moved);
        }
    }

    /// Whether both sets have some.
    fn both(&self, a: u32, b: u32) -> Option<(&BTreeSet<u32>, &BTreeSet<u32>)> {
        self.0.get(&a).zip(self.0.get(&b))
    }

    fn shared(&self, a: u32, b: u32) -> bool {
        self.both(a, b).is_some_and(|(a, b)| !a.is_disjoint(b))
    }
}

/// Sets of accounts by rank.
pub(super) struct Sets {
    parent: Vec<u32>,
    size: Vec<u32>,
    /// Accounts that must not come into the set of a root.
    apart: HashMap<u32, Vec<u32>>,
    employees: Marks,
    sources: Marks,
    domains: Marks,
}

impl Sets {
    pub(super) fn new(count: u32) -> Self {
        let (parent, size) = ((0..count).collect(), vec![1; count as usize]);
        Self { parent, size, apart: HashMap::new(), employees: Marks::default(), sources: Marks::default(), domains: Marks::default() }
    }

    /// Keeps two accounts in different sets, from the beginning on.
    pub(super) fn keep_apart(&mut self, a: u32, b: u32) {
        self.apart.entry(a).or_default().push(b);
        self.apart.entry(b).or_default().push(a);
    }

    /// An employee number of an account.
    pub(super) fn employee(&mut self, account: u32, number: u32) {
        let root = self.root(account);
        self.employees.add(root, number);
    }

    /// A source in which an account is.
    pub(super) fn source(&mut self, account: u32, number: u32) {
        let root = self.root(account);
        self.sources.add(root, number);
    }

    /// A mail domain in which an account has an address.
    pub(super) fn domain(&mut self, account: u32, number: u32) {
        let root = self.root(account);
        self.domains.add(root, number);
    }

    /// Whether the sets of two accounts have accounts in one source.
    pub(super) fn share_source(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.sources.shared(a, b)
    }

    /// Whether the sets of two accounts have addresses in one mail domain.
    pub(super) fn share_domain(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.domains.shared(a, b)
    }

    pub(super) fn root(&mut self, account: u32) -> u32 {
        let mut at = account;
        loop {
            let above = self.above(at);
            if above == at {
                return at;
            }
            // Each look halves the way of the next.
            let over = self.above(above);
            if let Some(place) = self.parent.get_mut(at as usize) {
                *place = over;
            }
            at = over;
        }
    }

    fn above(&self, account: u32) -> u32 {
        self.parent.get(account as usize).copied().unwrap_or(account)
    }

    /// How many accounts are in the set of an account.
    pub(super) fn size(&mut self, account: u32) -> u32 {
        let root = self.root(account);
        self.size.get(root as usize).copied().unwrap_or(1)
    }

    /// Whether the set of an account has an employee number.
    pub(super) fn is_employee(&mut self, account: u32) -> bool {
        let root = self.root(account);
        self.employees.0.contains_key(&root)
    }

    /// Unites the sets of two accounts; whether they were two. With `strict`, sets with different employee
    /// numbers stay two.
    pub(super) fn unite(&mut self, a: u32, b: u32, strict: bool) -> Result<bool, Barred> {
        let (mut a, mut b) = (self.root(a), self.root(b));
        if a == b {
            return Ok(false);
        }
        if self.are_apart(a, b) {
            return Err(Barred::Apart);
        }
        if strict && self.differ(a, b) {
            return Err(Barred::Employees);
        }
        // The larger stays; of two alike the one that comes first.
        let size = |sets: &Self, root: u32| sets.size.get(root as usize).copied().unwrap_or(1);
        if (size(self, b), a) > (size(self, a), b) {
            std::mem::swap(&mut a, &mut b);
        }
        let both = size(self, a) + size(self, b);
        if let (Some(parent), Some(sum)) = (self.parent.get_mut(b as usize), self.size.get_mut(a as usize)) {
            (*parent, *sum) = (a, both);
        }
        if let Some(moved) = self.apart.remove(&b) {
            self.apart.entry(a).or_default().extend(moved);
        }
        for marks in [&mut self.employees, &mut self.sources, &mut self.domains] {
            marks.unite(a, b);
        }
        Ok(true)
    }

    fn are_apart(&mut self, a: u32, b: u32) -> bool {
        let of = |sets: &Self, root: u32| sets.apart.get(&root).map_or(0, Vec::len);
        let (few, other) = if of(self, a) <= of(self, b) { (a, b) } else { (b, a) };
        let barred = self.apart.get(&few).cloned().unwrap_or_default();
        barred.into_iter().any(|account| self.root(account) == other)
    }

    fn differ(&self, a: u32, b: u32) -> bool {
        self.employees.both(a, b).is_some_and(|(a, b)| a.is_disjoint(b))
    }
}
