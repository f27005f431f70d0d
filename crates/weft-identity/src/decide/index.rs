//! An index over policies that keeps decisions exact.
//!
//! Each policy is filed under the rarest of its [clauses](super::clause). A request is turned into
//! the facts that hold for it; the policies that are filed under one of them, and whose other
//! clauses hold too, are given to Cedar. All others can be neither satisfied nor fail, so that
//! decision, determining policies and errors are those of the whole set. See ADR 0010.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use cedar_policy::{Authorizer, Entities, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request, Response};

use super::clause::{self, Atom, Base, Clause, Literal, Side, Slot};

/// Sets of candidates that are kept ready for the next request with the same ones.
const SETS_MAX: usize = 4096;
/// Largest set that is kept ready.
const SET_POLICIES_MAX: usize = 256;

/// Policies, found by what a request is.
pub struct PolicyIndex {
    authorizer: Authorizer,
    policies: Vec<Policy>,
    by_id: HashMap<PolicyId, u32>,
    atoms: Atoms,
    /// By policy: clauses of atoms.
    clauses: Vec<Vec<Vec<u32>>>,
    /// By atom: policies.
    filed: Vec<Vec<u32>>,
    /// Policies without a clause.
    always: Vec<u32>,
    ready: RwLock<HashMap<Box<[u32]>, Arc<PolicySet>>>,
}

impl std::fmt::Debug for PolicyIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyIndex").field("policies", &self.policies.len()).field("atoms", &self.filed.len()).finish_non_exhaustive()
    }
}

impl PolicyIndex {
    /// Over the policies of a set. Links of templates are none: [`Policies`](super::Policies)
    /// refuses templates.
    pub fn new(set: &PolicySet) -> Self {
        let mut policies: Vec<Policy> = set.policies().filter(|policy| policy.is_static()).cloned().collect();
        policies.sort_by(|a, b| a.id().cmp(b.id()));
        let mut atoms = Atoms::default();
        let clauses: Vec<Vec<Vec<u32>>> =
            policies.iter().map(|policy| clause::clauses(policy).into_iter().map(|clause| atoms.intern(clause)).collect()).collect();
        let mut often = vec![0_usize; atoms.count];
        for atom in clauses.iter().flatten().flatten() {
            often.get_mut(*atom as usize).into_iter().for_each(|count| *count += 1);
        }
        let (mut filed, mut always) = (vec![Vec::new(); atoms.count], Vec::new());
        for (number, clauses) in (0_u32..).zip(&clauses) {
            let weight = |clause: &&Vec<u32>| clause.iter().filter_map(|atom| often.get(*atom as usize)).sum::<usize>();
            match clauses.iter().min_by_key(weight) {
                Some(rarest) => rarest.iter().for_each(|atom| filed.get_mut(*atom as usize).into_iter().for_each(|list: &mut Vec<u32>| list.push(number))),
                None => always.push(number),
            }
        }
        let by_id = (0_u32..).zip(&policies).map(|(number, policy)| (policy.id().clone(), number)).collect();
        Self { authorizer: Authorizer::new(), policies, by_id, atoms, clauses, filed, always, ready: RwLock::default() }
    }

    /// Cedar's answer over all policies.
    pub fn is_authorized(&self, request: &Request, entities: &Entities) -> Response {
        self.authorizer.is_authorized(request, &self.set(&self.candidates(request, entities)), entities)
    }

    /// Cedar's answer as if one policy were not there.
    pub fn is_authorized_without(&self, without: &PolicyId, request: &Request, entities: &Entities) -> Response {
        let mut candidates = self.candidates(request, entities);
        candidates.retain(|number| self.policies.get(*number as usize).is_none_or(|policy| policy.id() != without));
        self.authorizer.is_authorized(request, &self.set(&candidates), entities)
    }

    /// How many policies are evaluated for a request.
    pub fn candidates_count(&self, request: &Request, entities: &Entities) -> usize {
        self.candidates(request, entities).len()
    }

    /// A policy by its id.
    pub fn policy(&self, id: &PolicyId) -> Option<&Policy> {
        self.policies.get(*self.by_id.get(id)? as usize)
    }

    /// All policies, by id.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    fn candidates(&self, request: &Request, entities: &Entities) -> Vec<u32> {
        let facts = self.atoms.facts(request, entities);
        let mut holds = vec![0_u64; self.atoms.count.div_ceil(64)];
        for atom in &facts {
            holds.get_mut(*atom as usize / 64).into_iter().for_each(|word| *word |= 1 << (atom % 64));
        }
        let holds = |atom: &u32| holds.get(*atom as usize / 64).is_some_and(|word| word & (1 << (atom % 64)) != 0);
        let all_hold = |number: &u32| self.clauses.get(*number as usize).is_some_and(|clauses| clauses.iter().all(|clause| clause.iter().any(holds)));
        let mut found = self.always.clone();
        found.extend(facts.iter().filter_map(|atom| self.filed.get(*atom as usize)).flatten().copied().filter(all_hold));
        found.sort_unstable();
        // A policy may be filed under two facts that hold.
        found.dedup();
        found
    }

    fn set(&self, candidates: &[u32]) -> Arc<PolicySet> {
        if let Some(ready) = self.ready.read().unwrap_or_else(PoisonError::into_inner).get(candidates) {
            return Arc::clone(ready);
        }
        let mut set = PolicySet::new();
        for policy in candidates.iter().filter_map(|number| self.policies.get(*number as usize)) {
            // INVARIANT: ids are those of one set, so none is there twice.
            let _once = set.add(policy.clone());
        }
        let set = Arc::new(set);
        if candidates.len() <= SET_POLICIES_MAX {
            let mut kept = self.ready.write().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= SETS_MAX {
                kept.clear();
            }
            kept.insert(candidates.into(), Arc::clone(&set));
        }
        set
    }
}

/// Numbers of atoms, arranged for looking them up by a request.
#[derive(Default)]
struct Atoms {
    count: usize,
    is: [HashMap<EntityUid, u32>; 3],
    within: [HashMap<EntityUid, u32>; 3],
    kinds: [HashMap<EntityTypeName, u32>; 3],
    slots: Vec<SlotAtoms>,
}

struct SlotAtoms {
    slot: Slot,
    equals: HashMap<Literal, u32>,
    absent: Option<u32>,
}

impl Atoms {
    fn intern(&mut self, clause: Clause) -> Vec<u32> {
        let mut numbers: Vec<u32> = clause.into_iter().filter_map(|atom| self.number(atom)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn number(&mut self, atom: Atom) -> Option<u32> {
        let next = u32::try_from(self.count).ok()?;
        let number = match atom {
            Atom::Is(side, uid) => *self.is.get_mut(side as usize)?.entry(uid).or_insert(next),
            Atom::Within(side, uid) => *self.within.get_mut(side as usize)?.entry(uid).or_insert(next),
            Atom::Type(side, kind) => *self.kinds.get_mut(side as usize)?.entry(kind).or_insert(next),
            Atom::Equals(slot, value) => *self.slot(slot)?.equals.entry(value).or_insert(next),
            Atom::Absent(slot) => *self.slot(slot)?.absent.get_or_insert(next),
        };
        self.count += usize::from(number == next);
        Some(number)
    }

    fn slot(&mut self, slot: Slot) -> Option<&mut SlotAtoms> {
        let at = self.slots.iter().position(|known| known.slot == slot).unwrap_or_else(|| {
            self.slots.push(SlotAtoms { slot, equals: HashMap::new(), absent: None });
            self.slots.len() - 1
        });
        self.slots.get_mut(at)
    }

    /// Every atom that holds.
    fn facts(&self, request: &Request, entities: &Entities) -> Vec<u32> {
        let mut facts = Vec::with_capacity(16);
        let named = [request.principal(), request.action(), request.resource()];
        for (side, uid) in Side::ALL.into_iter().zip(named) {
            let (Some(uid), Some(is), Some(within), Some(kinds)) =
                (uid, self.is.get(side as usize), self.within.get(side as usize), self.kinds.get(side as usize))
            else {
                continue;
            };
            facts.extend(is.get(uid));
            facts.extend(kinds.get(uid.type_name()));
            if !within.is_empty() {
                let above = entities.ancestors(uid).into_iter().flatten();
                facts.extend(std::iter::once(uid).chain(above).filter_map(|uid| within.get(uid)));
            }
        }
        for known in &self.slots {
            facts.extend(known.fact(request, entities));
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }
}

impl SlotAtoms {
    fn fact(&self, request: &Request, entities: &Entities) -> Option<u32> {
        let uid = match self.slot.base {
            Base::Context => None,
            Base::Entity(Side::Principal) => request.principal(),
            Base::Entity(Side::Action) => request.action(),
            Base::Entity(Side::Resource) => request.resource(),
        };
        let value = match self.slot.base {
            Base::Context => request.context().and_then(|context| context.get(&self.slot.name)),
            Base::Entity(_) => uid.and_then(|uid| entities.get(uid)?.attr(&self.slot.name)?.ok()),
        };
        match value {
            Some(value) => Literal::of(value).and_then(|value| self.equals.get(&value)).copied(),
            None => self.absent,
        }
    }
}
