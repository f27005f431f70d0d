//! One walk: everything that one principal reaches, nearest first.
//!
//! What a set of targets, or a way of strengthening, adds to a walk it adds once: whoever has the same
//! set later adds nothing. So a walk costs what it reaches, not the pairs among it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hashbrown::HashMap;
use weft_model::entitlement::PrincipalKind;

use super::super::estate::{Estate, Strength};
use super::Node;
use super::info::{Finder, Info, Via, Way, number};
use super::marks::Marks;
use super::paths::Told;
use super::targets::{Bitset, SetId, TargetId};

/// Number of a node. Principals as they are come first, by their place in the estate.
pub(super) type NodeId = u32;
/// Number of those that some capability makes stronger.
type StrongId = u32;

/// Nodes that one walk looks at.
const REACHED_MAX: usize = 100_000;
/// Sets up to this size are looked up by their targets.
const NARROW_MAX: usize = 64;

/// How a node was reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) from: NodeId,
    pub(super) via: Via,
}

/// Those that some capability makes stronger, and how.
struct Strong {
    strength: Strength,
    list: Rc<[TargetId]>,
    /// For sets that are too large to look up by target.
    has: Option<Bitset>,
}

/// Somebody who was reached and makes others stronger.
#[derive(Clone, Copy)]
struct Active {
    strong: StrongId,
    by: NodeId,
    capability: usize,
}

/// Walks through an estate, one after the other.
pub(super) struct Walker<'e> {
    estate: &'e Estate,
    pub(super) finder: Finder<'e>,
    strengthened: Vec<Node>,
    ids: HashMap<Node, NodeId>,
    infos: Vec<Option<Rc<Info>>>,
    prizes: Vec<Option<SetId>>,
    strong: Vec<Strong>,
    strong_ids: HashMap<(Strength, SetId), StrongId>,
    /// By target: narrow ones that it is in.
    narrow: Vec<Vec<StrongId>>,
    /// How much a walk from each principal can find at most: no more than any walk that came by it from
    /// the same account. A walk that has found so much is done.
    most: Vec<usize>,
    pub(super) told: RefCell<Told>,
    trail: Trail,
}

/// What is known in the middle of a walk.
struct Trail {
    start: NodeId,
    /// How each node was reached; the start was not.
    came: Marks<Option<Step>>,
    reached: Vec<NodeId>,
    /// Where in `reached` a node stands.
    place: Marks<u32>,
    /// The last node of a principal that was reached, and before each node the one before.
    latest: Marks<NodeId>,
    before: Marks<Option<NodeId>>,
    open: Vec<NodeId>,
    /// Sets that all were reached of.
    expanded: Marks<()>,
    /// Sets of resources worth reaching that all were noted of.
    looked: Marks<()>,
    active: Vec<Active>,
    /// Where in `active` those stand whom somebody makes stronger.
    is_active: Marks<u32>,
    /// Places in `active` of wide sets.
    wide: Vec<u32>,
    /// How many of `reached` were looked at for them.
    done: Marks<u32>,
    /// The first administrator of each account.
    goals: Vec<NodeId>,
    prizes: BTreeMap<TargetId, NodeId>,
    abroad: Vec<NodeId>,
    /// Power over a part of the system that was reached.
    scopes: Vec<NodeId>,
}

impl<'e> Walker<'e> {
    pub(super) fn new(estate: &'e Estate, mut finder: Finder<'e>) -> Self {
        let mut accounts = estate.members.iter().map(|member| &member.principal.account);
        let first = accounts.next();
        let members = estate.members.len();
        let scopes = estate.members.iter().filter(|member| member.principal.kind == PrincipalKind::Scope).count();
        let most = if accounts.all(|account| Some(account) == first) { 1 + scopes + finder.takeable() } else { usize::MAX };
        let (strengthened, ids, prizes, strong, strong_ids) = Default::default();
        let (infos, narrow, most) = (vec![None; members], vec![Vec::new(); members], vec![most; members]);
        let told = RefCell::default();
        Self { estate, finder, strengthened, ids, infos, prizes, strong, strong_ids, narrow, most, told, trail: Trail::new() }
    }

    pub(super) fn node(&self, id: NodeId) -> Node {
        let members = self.estate.members.len();
        let place = id as usize;
        if place < members { (place, Strength::Plain) } else { self.strengthened.get(place - members).copied().unwrap_or_default() }
    }

    /// The number of a node that may not have been met yet.
    fn id(&mut self, node: Node) -> NodeId {
        if node.1 == Strength::Plain {
            return number(node.0);
        }
        let next = number(self.estate.members.len() + self.strengthened.len());
        let strengthened = &mut self.strengthened;
        *self.ids.entry(node).or_insert_with(|| {
            strengthened.push(node);
            next
        })
    }

    pub(super) fn info(&mut self, id: NodeId) -> Rc<Info> {
        if let Some(Some(known)) = self.infos.get(id as usize) {
            return Rc::clone(known);
        }
        let info = Rc::new(self.finder.info(self.node(id)));
        if self.infos.len() <= id as usize {
            self.infos.resize(id as usize + 1, None);
        }
        if let Some(place) = self.infos.get_mut(id as usize) {
            *place = Some(Rc::clone(&info));
        }
        info
    }

    /// Walks from a principal. False when it is an administrator already: then there is nothing to walk for.
    pub(super) fn walk(&mut self, start: usize) -> bool {
        let most = self.most.get(start).copied().unwrap_or(usize::MAX);
        self.walk_until(start, most)
    }

    /// The same, to the end: whoever is no goal is reached as well.
    pub(super) fn walk_all(&mut self, start: usize) -> bool {
        self.walk_until(start, usize::MAX)
    }

    fn walk_until(&mut self, start: usize, most: usize) -> bool {
        let start = number(start);
        if self.info(start).administrator {
            return false;
        }
        self.trail.begin(start);
        self.arrive(start, None);
        let mut next = 0;
        while let Some(id) = self.trail.open.get(next).copied().filter(|_| self.trail.found() < most) {
            next += 1;
            self.leave(id);
        }
        if self.trail.reached.len() < REACHED_MAX {
            self.bound();
        }
        true
    }

    /// Whoever was reached finds no more than this walk did.
    fn bound(&mut self) {
        let found = self.trail.found();
        let home = self.account(self.trail.start);
        for id in &self.trail.reached {
            if self.account(*id) == home
                && let Some(most) = self.most.get_mut(*id as usize)
            {
                *most = found.min(*most);
            }
        }
    }

    fn account(&self, id: NodeId) -> Option<&'e str> {
        self.estate.members.get(self.node(id).0).map(|member| member.principal.account.as_str())
    }

    /// Reaches all that whoever is at a node adds to what is reached.
    fn leave(&mut self, id: NodeId) {
        let info = self.info(id);
        let (reached, active) = (self.trail.reached.len(), self.trail.active.len());
        for group in &info.become_one {
            if !self.trail.expanded.is_new(group.set) {
                continue;
            }
            for target in self.finder.asks.sets.get(group.set).iter() {
                self.arrive(*target, Some(Step { from: id, via: group.via }));
            }
        }
        if !info.strengthen.is_empty() {
            self.strengthen_others(id, &info.strengthen, reached);
        }
        self.strengthened_by_others(id, active);
    }

    fn arrive(&mut self, id: NodeId, step: Option<Step>) {
        if self.trail.came.has(id) || self.trail.reached.len() >= REACHED_MAX {
            return;
        }
        self.trail.came.set(id, step);
        let node = self.node(id);
        self.trail.note(id, number(node.0));
        if self.finder.has_prizes() {
            self.take(id);
        }
        let info = self.info(id);
        for way in &info.strengthen {
            self.activate(id, way);
        }
        // An administrator is left as well: it becomes nobody, but makes others stronger.
        self.trail.open.push(id);
        let account = self.account(id);
        if !info.administrator {
            if node.1 == Strength::Plain && self.estate.members.get(node.0).is_some_and(|member| member.principal.kind == PrincipalKind::Scope) {
                self.trail.scopes.push(id);
            }
            if node.1 == Strength::Plain && account != self.account(self.trail.start) {
                self.trail.abroad.push(id);
            }
        } else if self.trail.goals.iter().all(|goal| self.account(*goal) != account) {
            self.trail.goals.push(id);
        }
    }

    fn strong(&mut self, way: &Way) -> StrongId {
        if let Some(known) = self.strong_ids.get(&(way.strength, way.set)) {
            return *known;
        }
        let id = number(self.strong.len());
        let list = self.finder.asks.sets.get(way.set);
        let has = (list.len() > NARROW_MAX).then(|| Bitset::of(&list));
        if has.is_none() {
            for target in list.iter() {
                self.narrow.get_mut(*target as usize).into_iter().for_each(|of| of.push(id));
            }
        }
        self.strong.push(Strong { strength: way.strength, list, has });
        self.strong_ids.insert((way.strength, way.set), id);
        id
    }

    fn activate(&mut self, by: NodeId, way: &Way) {
        let strong = self.strong(way);
        if self.trail.is_active.has(strong) {
            return;
        }
        let place = number(self.trail.active.len());
        self.trail.is_active.set(strong, place);
        self.trail.active.push(Active { strong, by, capability: way.capability });
        if self.strong.get(strong as usize).is_some_and(|strong| strong.has.is_some()) {
            self.trail.wide.push(place);
        }
    }

    /// Whom whoever is at a node makes stronger, of the first `limit` that are reached.
    fn strengthen_others(&mut self, by: NodeId, ways: &[Way], limit: usize) {
        let limit = number(limit);
        let mut found: Vec<(u32, usize)> = Vec::new();
        for (order, way) in ways.iter().enumerate() {
            let strong = self.strong(way);
            let from = self.trail.done.get(strong).unwrap_or_default();
            if from >= limit {
                continue;
            }
            self.trail.done.set(strong, limit);
            let Some(strong) = self.strong.get(strong as usize) else { continue };
            let mut places: Vec<u32> = match &strong.has {
                Some(has) => {
                    let near = (from..limit).zip(self.trail.reached.iter().skip(from as usize));
                    near.filter(|(_, id)| has.has(number(self.node(**id).0))).map(|(place, _)| place).collect()
                }
                None => strong.list.iter().flat_map(|target| self.trail.places(*target)).filter(|place| (from..limit).contains(place)).collect(),
            };
            places.sort_unstable();
            places.retain(|place| self.trail.reached.get(*place as usize).is_some_and(|id| self.adds(*id, way.strength)));
            found.extend(places.into_iter().map(|place| (place, order)));
        }
        found.sort_unstable();
        for (place, order) in found {
            let (Some(target), Some(way)) = (self.trail.reached.get(place as usize).copied(), ways.get(order)) else { continue };
            self.grow(by, target, way.capability, way.strength);
        }
    }

    /// Whether a node that is made stronger is another one then.
    fn adds(&self, target: NodeId, strength: Strength) -> bool {
        self.node(target).1.and(strength).is_some()
    }

    /// What a node becomes by the first `limit` of those who make others stronger.
    fn strengthened_by_others(&mut self, id: NodeId, limit: usize) {
        let node = self.node(id);
        let target = number(node.0);
        let wide = self.trail.wide.iter().copied().filter(|place| {
            let active = self.trail.active.get(*place as usize);
            active.and_then(|active| self.strong.get(active.strong as usize)?.has.as_ref()).is_some_and(|has| has.has(target))
        });
        let narrow = self.narrow.get(node.0).into_iter().flatten().filter_map(|strong| self.trail.is_active.get(*strong));
        let mut places: Vec<u32> = wide.chain(narrow).filter(|place| (*place as usize) < limit).collect();
        places.sort_unstable();
        for place in places {
            let Some(active) = self.trail.active.get(place as usize).copied() else { continue };
            let Some(strength) = self.strong.get(active.strong as usize).map(|strong| strong.strength) else { continue };
            if self.adds(id, strength) {
                self.grow(active.by, id, active.capability, strength);
            }
        }
    }

    fn grow(&mut self, by: NodeId, target: NodeId, capability: usize, strength: Strength) {
        let (place, now) = self.node(target);
        let Some(then) = now.and(strength) else { return };
        let id = self.id((place, then));
        self.arrive(id, Some(Step { from: by, via: Via::Strengthen(capability, strength) }));
    }

    /// Where the walk began.
    pub(super) fn start(&self) -> NodeId {
        self.trail.start
    }

    /// The first administrator that was reached in each account.
    pub(super) fn goals(&self) -> &[NodeId] {
        &self.trail.goals
    }

    /// Principals of other accounts than the start's that were reached and are no administrators.
    pub(super) fn abroad(&self) -> &[NodeId] {
        &self.trail.abroad
    }

    /// Power over a part of the system that was reached.
    pub(super) fn scopes(&self) -> &[NodeId] {
        &self.trail.scopes
    }

    /// How a node was reached.
    pub(super) fn step(&self, id: NodeId) -> Option<Step> {
        self.trail.came.get(id).flatten()
    }

    /// How a principal was reached with a strength.
    pub(super) fn step_of(&self, node: Node) -> Option<NodeId> {
        let id = if node.1 == Strength::Plain { number(node.0) } else { *self.ids.get(&node)? };
        self.step(id).map(|_| id)
    }

    /// By the place of a resource worth reaching, the first node from which it can be taken.
    pub(super) fn prizes(&self) -> impl Iterator<Item = (usize, NodeId)> + '_ {
        self.trail.prizes.iter().map(|(prize, id)| (self.finder.asks.space.place(*prize), *id))
    }

    /// Notes the resources worth reaching that can be taken from a node and from none before.
    fn take(&mut self, id: NodeId) {
        let place = id as usize;
        let set = match self.prizes.get(place).copied().flatten() {
            Some(known) => known,
            None => {
                let found = self.finder.prizes(self.node(id));
                if self.prizes.len() <= place {
                    self.prizes.resize(place + 1, None);
                }
                self.prizes.get_mut(place).into_iter().for_each(|known| *known = Some(found));
                found
            }
        };
        if self.trail.looked.is_new(set) {
            for prize in self.finder.asks.sets.get(set).iter() {
                self.trail.prizes.entry(*prize).or_insert(id);
            }
        }
    }
}

impl Trail {
    fn new() -> Self {
        let (reached, open, active, wide, goals, prizes, abroad, scopes) = Default::default();
        let (came, place, latest, before) = (Marks::new(), Marks::new(), Marks::new(), Marks::new());
        let (expanded, looked, is_active, done) = (Marks::new(), Marks::new(), Marks::new(), Marks::new());
        Self { start: 0, came, reached, place, latest, before, open, expanded, looked, active, is_active, wide, done, goals, prizes, abroad, scopes }
    }

    fn begin(&mut self, start: NodeId) {
        self.start = start;
        self.came.begin();
        self.place.begin();
        self.latest.begin();
        self.before.begin();
        self.expanded.begin();
        self.looked.begin();
        self.is_active.begin();
        self.done.begin();
        self.reached.clear();
        self.open.clear();
        self.active.clear();
        self.wide.clear();
        self.goals.clear();
        self.prizes.clear();
        self.abroad.clear();
        self.scopes.clear();
    }

    /// How much was found.
    fn found(&self) -> usize {
        self.goals.len() + self.prizes.len() + self.abroad.len() + self.scopes.len()
    }

    fn note(&mut self, id: NodeId, principal: TargetId) {
        self.place.set(id, number(self.reached.len()));
        self.reached.push(id);
        self.before.set(id, self.latest.get(principal));
        self.latest.set(principal, id);
    }

    /// Where the nodes of a principal stand that were reached.
    fn places(&self, principal: TargetId) -> impl Iterator<Item = u32> + '_ {
        let nodes = std::iter::successors(self.latest.get(principal), |id| self.before.get(*id).flatten());
        nodes.filter_map(|id| self.place.get(id))
    }
}
