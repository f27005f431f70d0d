//! One event or element while it is being made: cells, what they mean to the rules, and which
//! parts of the record they used up.

use bumpalo::Bump;

use super::code::{Code, NOWHERE, Scope};
use super::columns::{Cell, Leaf};
use super::program::{Assign, EachPlan, ListPlan, ObjectPlan};
use super::value::Val;

/// Items of one source array that become elements; what is over stays in `unmapped`.
const ELEMENTS_MAX: usize = 4096;

/// Nodes of the record that were carried over.
#[derive(Debug, Default)]
pub struct Marks {
    bits: Vec<u64>,
}

impl Marks {
    /// Forgets all, for a record of `nodes` nodes.
    pub fn reset(&mut self, nodes: usize) {
        self.bits.clear();
        self.bits.resize(nodes / 64 + 1, 0);
    }

    /// Notes a node.
    pub fn set(&mut self, node: usize) {
        if let Some(word) = self.bits.get_mut(node / 64) {
            *word |= 1 << (node % 64);
        }
    }

    /// Whether a node was noted.
    pub fn is_set(&self, node: usize) -> bool {
        self.bits.get(node / 64).is_some_and(|word| word >> (node % 64) & 1 == 1)
    }
}

/// A cell with what its presence means.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Leaf.
    pub leaf: Leaf,
    /// Value.
    pub cell: Cell<'a>,
    /// Rule flags.
    pub flags: u128,
    /// The assignment that it came of.
    pub from: Option<&'a Assign>,
    /// Whether it says more than a constant.
    pub informs: bool,
}

/// The cells of one event or element.
#[derive(Debug, Default)]
pub struct Staged<'a> {
    /// Cells.
    pub pieces: Vec<Piece<'a>>,
    /// All their flags.
    pub flags: u128,
    /// Values that the schema marks as observables, those of elements too.
    pub observed: Vec<Observed<'a>>,
    followers: Vec<Piece<'a>>,
}

/// A value that is an observable.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Path; `[]` stands after a list.
    pub name: &'a str,
    /// OCSF observable type.
    pub type_id: i64,
    /// The value, or several.
    pub cell: Cell<'a>,
}

impl<'a> Staged<'a> {
    /// Sets what `plan` says; false when the event's own rules are broken.
    pub fn fill(&mut self, plan: &'a ObjectPlan, scope: &Scope<'a>, marks: &mut Marks) -> bool {
        for assign in &plan.assigns {
            self.assign(assign, scope);
        }
        for list in &plan.lists {
            self.list(list, scope, marks);
        }
        // Captions that follow from ids come last: one that was set by itself wins over them.
        let followers = std::mem::take(&mut self.followers);
        followers.into_iter().for_each(|piece| self.push(piece));
        self.complete(plan);
        let sound = self.obey(plan);
        for piece in &self.pieces {
            let Some(assign) = piece.from else { continue };
            mark(&assign.code, scope, marks);
            self.observed.extend(assign.observable.as_ref().map(|(name, type_id)| Observed { name, type_id: *type_id, cell: piece.cell }));
        }
        sound
    }

    fn push(&mut self, piece: Piece<'a>) {
        self.flags |= piece.flags;
        self.pieces.push(piece);
    }

    fn assign(&mut self, assign: &'a Assign, scope: &Scope<'a>) {
        let value = assign.code.eval(scope);
        if value.is_absent() {
            return;
        }
        let Some((cell, sibling)) = assign.convert.cell(value, scope.batch.received.0, scope.arena) else { return };
        let informs = assign.informs;
        self.push(Piece { leaf: assign.leaf, cell, flags: assign.flags, from: Some(assign), informs });
        if let Some(((leaf, flags), cell)) = assign.sibling.zip(sibling) {
            self.followers.push(Piece { leaf, cell, flags, from: None, informs });
        }
    }

    fn list(&mut self, list: &'a ListPlan, scope: &Scope<'a>, marks: &mut Marks) {
        let mut rows: Vec<&'a [(Leaf, Cell<'a>)]> = Vec::new();
        for element in &list.fixed {
            rows.extend(row(element, scope, marks, &mut self.observed));
        }
        for each in &list.each {
            elements(each, scope, marks, &mut rows, &mut self.observed);
        }
        if !rows.is_empty() {
            self.push(Piece { leaf: list.leaf, cell: Cell::Rows(scope.arena.alloc_slice_copy(&rows)), flags: list.flags, from: None, informs: true });
        }
    }

    fn complete(&mut self, plan: &'a ObjectPlan) {
        for completion in &plan.completions {
            let there = completion.when == 0 || self.flags & completion.when != 0;
            if there && self.flags & completion.unless == 0 {
                self.push(Piece { leaf: completion.leaf, cell: Cell::Int(completion.value), flags: completion.flags, from: None, informs: false });
                if let Some((leaf, caption)) = &completion.caption {
                    self.push(Piece { leaf: *leaf, cell: Cell::Text(caption), flags: completion.flags, from: None, informs: false });
                }
            }
        }
    }

    /// Drops objects that break a rule of theirs; false when the event or element itself does.
    fn obey(&mut self, plan: &ObjectPlan) -> bool {
        for rule in &plan.rules {
            let there = rule.when == 0 || self.flags & rule.when != 0;
            let holds = self.flags & rule.all == rule.all
                && (rule.any == 0 || self.flags & rule.any != 0)
                && (rule.one == 0 || (self.flags & rule.one).count_ones() == 1);
            if !there || holds {
                continue;
            }
            if rule.when == 0 {
                return false;
            }
            self.pieces.retain(|piece| piece.flags & rule.when == 0);
            self.flags = self.pieces.iter().fold(0, |flags, piece| flags | piece.flags);
        }
        true
    }

    /// Whether a leaf is set, and to what.
    pub fn get(&self, leaf: Leaf) -> Option<Cell<'a>> {
        self.pieces.iter().find(|piece| piece.leaf == leaf).map(|piece| piece.cell)
    }

    /// Sets a leaf that rules do not look at.
    pub fn put(&mut self, leaf: Leaf, cell: Cell<'a>) {
        if leaf != Leaf::MAX {
            self.push(Piece { leaf, cell, flags: 0, from: None, informs: true });
        }
    }

    /// The cells alone.
    pub fn cells(&self, arena: &'a Bump) -> &'a [(Leaf, Cell<'a>)] {
        arena.alloc_slice_fill_iter(self.pieces.iter().map(|piece| (piece.leaf, piece.cell)).collect::<Vec<_>>())
    }
}

/// Notes what a value carried over whole. Conditions, tables and functions that keep only a part
/// leave their source to `unmapped`, and so does the branch that was not taken.
fn mark(code: &Code, scope: &Scope<'_>, marks: &mut Marks) {
    match code {
        Code::Slots(slots) => {
            let used = slots
                .iter()
                .filter_map(|slot| scope.slots.get(*slot as usize))
                .filter(|node| **node != NOWHERE)
                .find(|node| !scope.value(**node as usize).is_null());
            used.into_iter().for_each(|node| marks.set(*node as usize));
        }
        Code::Item(segments) => {
            if let Val::Node(_, item) = scope.item {
                scope.walk(item, segments).into_iter().for_each(|node| marks.set(node));
            }
        }
        Code::List(parts) => parts.iter().for_each(|part| mark(part, scope, marks)),
        Code::Coalesce(parts) => parts.iter().find(|part| !part.eval(scope).is_absent()).into_iter().for_each(|part| mark(part, scope, marks)),
        Code::Choice(parts) => {
            let [value, condition, otherwise] = &**parts;
            mark(if condition.holds(scope) { value } else { otherwise }, scope, marks);
        }
        Code::Call(function, arguments) if function.carries_all() => arguments.iter().for_each(|argument| mark(argument, scope, marks)),
        _ => {}
    }
}

/// An element that says nothing but constants is none.
fn row<'a>(plan: &'a ObjectPlan, scope: &Scope<'a>, marks: &mut Marks, observed: &mut Vec<Observed<'a>>) -> Option<&'a [(Leaf, Cell<'a>)]> {
    let mut staged = Staged::default();
    let sound = staged.fill(plan, scope, marks);
    if !sound || !staged.pieces.iter().any(|piece| piece.informs) {
        return None;
    }
    observed.append(&mut staged.observed);
    Some(staged.cells(scope.arena))
}

fn elements<'a>(each: &'a EachPlan, scope: &Scope<'a>, marks: &mut Marks, rows: &mut Vec<&'a [(Leaf, Cell<'a>)]>, observed: &mut Vec<Observed<'a>>) {
    for (item, index) in each.from.eval(scope).items(scope.arena).iter().take(ELEMENTS_MAX).zip(0..) {
        let scope = Scope { item: *item, index, ..*scope };
        if each.when.as_ref().is_none_or(|when| when.holds(&scope)) {
            rows.extend(row(&each.element, &scope, marks, observed));
        }
    }
}
