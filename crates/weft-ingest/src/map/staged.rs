//! One event or element while it is being made: cells, what they mean to the rules, and which
//! parts of the record they used up.

use bumpalo::Bump;
use bumpalo::collections::Vec;

use super::code::{Code, NOWHERE, Scope};
use super::columns::{Cell, Cells, Leaf};
use super::program::{Assign, EachPlan, ListPlan, ObjectPlan};
use super::value::Val;

/// Items of one source array that become elements; what is over stays in `unmapped`.
pub(super) const ELEMENTS_MAX: usize = 4096;
/// Cells that every event gets beside those of its plan, about.
const ADDED_PIECES: usize = 24;

/// Nodes of the record that were carried over.
#[derive(Debug, Default)]
pub struct Marks {
    bits: std::vec::Vec<u64>,
    /// Where `unmapped` is written.
    pub left: std::vec::Vec<u8>,
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

    /// Takes a note back.
    pub fn unset(&mut self, node: usize) {
        if let Some(word) = self.bits.get_mut(node / 64) {
            *word &= !(1 << (node % 64));
        }
    }

    /// Whether a node was noted.
    pub fn is_set(&self, node: usize) -> bool {
        self.bits.get(node / 64).is_some_and(|word| word >> (node % 64) & 1 == 1)
    }
}

/// What the presence of a cell means.
#[derive(Debug, Clone, Copy, Default)]
struct Note<'a> {
    /// To rules.
    flags: u128,
    /// The assignment that it came of.
    from: Option<&'a Assign>,
    /// Whether it says more than a constant.
    informs: bool,
}

type Piece<'a> = ((Leaf, Cell<'a>), Note<'a>);

/// The cells of one event or element.
#[derive(Debug)]
pub struct Staged<'a> {
    /// Cells, each with its note.
    cells: Vec<'a, (Leaf, Cell<'a>)>,
    notes: Vec<'a, Note<'a>>,
    /// All their flags.
    pub flags: u128,
    /// Values that the schema marks as observables, those of elements too.
    pub observed: Vec<'a, Observed<'a>>,
    followers: Vec<'a, Piece<'a>>,
}

/// Elements of a list, as they are found.
type Rows<'a> = Vec<'a, Cells<'a>>;

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
    /// Nothing yet, with room for what `plan` sets.
    pub fn new(plan: &ObjectPlan, arena: &'a Bump) -> Self {
        let room = plan.assigns.len() + ADDED_PIECES;
        Self {
            cells: Vec::with_capacity_in(room, arena),
            notes: Vec::with_capacity_in(room, arena),
            flags: 0,
            observed: Vec::new_in(arena),
            followers: Vec::new_in(arena),
        }
    }

    /// Sets what `plan` says; false when the event's own rules are broken.
    pub fn fill(&mut self, plan: &'a ObjectPlan, scope: &Scope<'a>, marks: &mut Marks) -> bool {
        for assign in &plan.assigns {
            self.assign(assign, scope);
        }
        for list in &plan.lists {
            self.list(list, scope, marks);
        }
        // Captions that follow from ids come last: one that was set by itself wins over them.
        let followers = std::mem::replace(&mut self.followers, Vec::new_in(scope.arena));
        followers.into_iter().for_each(|piece| self.push(piece));
        self.complete(plan);
        let sound = self.obey(plan);
        for ((_, cell), note) in self.cells.iter().zip(&self.notes) {
            let Some(assign) = note.from else { continue };
            if assign.carries {
                mark(&assign.code, scope, marks);
            }
            self.observed.extend(assign.observable.as_ref().map(|(name, type_id)| Observed { name, type_id: *type_id, cell: *cell }));
        }
        sound
    }

    fn push(&mut self, (cell, note): Piece<'a>) {
        self.flags |= note.flags;
        self.cells.push(cell);
        self.notes.push(note);
    }

    fn assign(&mut self, assign: &'a Assign, scope: &Scope<'a>) {
        let value = assign.code.eval(scope);
        if value.is_absent() {
            return;
        }
        let Some((cell, sibling)) = assign.convert.cell(value, scope.batch.received.0, scope.arena) else { return };
        let informs = assign.informs;
        self.push(((assign.leaf, cell), Note { flags: assign.flags, from: Some(assign), informs }));
        if let Some(((leaf, flags), cell)) = assign.sibling.zip(sibling) {
            self.followers.push(((leaf, cell), Note { flags, from: None, informs }));
        }
    }

    fn list(&mut self, list: &'a ListPlan, scope: &Scope<'a>, marks: &mut Marks) {
        let mut rows = Rows::new_in(scope.arena);
        for element in &list.fixed {
            rows.extend(row(element, scope, marks, &mut self.observed));
        }
        for each in &list.each {
            elements(each, scope, marks, &mut rows, &mut self.observed);
        }
        if !rows.is_empty() {
            self.push(((list.leaf, Cell::Rows(rows.into_bump_slice())), Note { flags: list.flags, from: None, informs: true }));
        }
    }

    fn complete(&mut self, plan: &'a ObjectPlan) {
        for completion in &plan.completions {
            let there = completion.when == 0 || self.flags & completion.when != 0;
            if there && self.flags & completion.unless == 0 {
                let note = Note { flags: completion.flags, ..Note::default() };
                self.push(((completion.leaf, Cell::Int(completion.value)), note));
                if let Some((leaf, caption)) = &completion.caption {
                    self.push(((*leaf, Cell::Text(caption)), note));
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
            let mut kept = self.notes.iter().map(|note| note.flags & rule.when == 0);
            self.cells.retain(|_| kept.next().unwrap_or(true));
            self.notes.retain(|note| note.flags & rule.when == 0);
            self.flags = self.notes.iter().fold(0, |flags, note| flags | note.flags);
        }
        true
    }

    /// Whether a leaf is set, and to what.
    pub fn get(&self, leaf: Leaf) -> Option<Cell<'a>> {
        self.cells.iter().find(|(other, _)| *other == leaf).map(|(_, cell)| *cell)
    }

    /// Sets a leaf that rules do not look at.
    pub fn put(&mut self, leaf: Leaf, cell: Cell<'a>) {
        if leaf != Leaf::MAX {
            self.cells.push((leaf, cell));
            self.notes.push(Note { informs: true, ..Note::default() });
        }
    }

    /// The cells alone.
    pub fn into_cells(self) -> Cells<'a> {
        self.cells.into_bump_slice()
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
        // What stands behind the last part that carries anything need not be known to be absent.
        Code::Coalesce(parts) => {
            let last = parts.iter().rposition(Code::carries).map_or(0, |last| last + 1);
            let taken = parts.iter().take(last).find(|part| !part.eval(scope).is_absent());
            taken.into_iter().for_each(|part| mark(part, scope, marks));
        }
        Code::Choice(parts) => {
            let [value, condition, otherwise] = &**parts;
            mark(if condition.holds(scope) { value } else { otherwise }, scope, marks);
        }
        Code::Call(function, arguments) if function.carries_all() => arguments.iter().for_each(|argument| mark(argument, scope, marks)),
        _ => {}
    }
}

/// An element that says nothing but constants is none.
pub(super) fn row<'a>(plan: &'a ObjectPlan, scope: &Scope<'a>, marks: &mut Marks, observed: &mut Vec<'a, Observed<'a>>) -> Option<Cells<'a>> {
    let mut staged = Staged::new(plan, scope.arena);
    let sound = staged.fill(plan, scope, marks);
    if !sound || !staged.notes.iter().any(|note| note.informs) {
        return None;
    }
    observed.extend_from_slice_copy(&staged.observed);
    Some(staged.into_cells())
}

fn elements<'a>(each: &'a EachPlan, scope: &Scope<'a>, marks: &mut Marks, rows: &mut Rows<'a>, observed: &mut Vec<'a, Observed<'a>>) {
    for (item, index) in each.from.eval(scope).items(scope.arena).iter().take(ELEMENTS_MAX).zip(0..) {
        let scope = Scope { item: *item, index, ..*scope };
        if each.when.as_ref().is_none_or(|when| when.holds(&scope)) {
            rows.extend(row(&each.element, &scope, marks, observed));
        }
    }
}
