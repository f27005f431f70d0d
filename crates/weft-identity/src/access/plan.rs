//! Which entities may come into question when a search goes over all of a type.
//!
//! A permit is satisfied only when all of its condition is true, so what the condition asks of the
//! entity that is sought, given everything else, narrows the entities down: by the store's look-up
//! of attributes, by groups, by name. What is not understood narrows nothing. The result is never
//! too small; each entity of it is decided afterwards.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::{ActionConstraint, Context, Effect, Entities, EntityTypeName, EntityUid, EvalResult, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

use super::store::{EntityStore, Key};
use crate::decide::PolicyIndex;
use crate::decide::clause::{self, Base, Literal, Side};

/// Deepest expression that is looked into.
const DEPTH_MAX: usize = 64;

/// A policy that permits, taken apart.
#[derive(Debug)]
pub(super) struct Permit {
    principal: PrincipalConstraint,
    action: ActionConstraint,
    resource: ResourceConstraint,
    /// What must be true.
    conditions: Vec<Value>,
}

pub(super) fn permits(index: &PolicyIndex) -> Vec<Permit> {
    let permits = index.policies().filter(|policy| policy.effect() == Effect::Permit);
    let take = |policy: &Policy| Permit {
        principal: policy.principal_constraint(),
        action: policy.action_constraint(),
        resource: policy.resource_constraint(),
        conditions: bodies(policy, "when"),
    };
    permits.map(take).collect()
}

fn bodies(policy: &Policy, kind: &str) -> Vec<Value> {
    let json = policy.to_json().unwrap_or(Value::Null);
    let conditions = json.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.into_iter().filter(|one| one.get("kind").and_then(Value::as_str) == Some(kind)).filter_map(|one| one.get("body").cloned()).collect()
}

/// What a policy reads: attributes of principal and resource, entities that it looks into by name,
/// and types that it names.
pub(super) fn reads(policy: &Policy, names: &mut BTreeSet<String>, into: &mut BTreeSet<EntityUid>, kinds: &mut HashSet<EntityTypeName>) {
    if let PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) = policy.principal_constraint() {
        kinds.insert(kind);
    }
    if let ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) = policy.resource_constraint() {
        kinds.insert(kind);
    }
    let mut open: Vec<Value> = bodies(policy, "when").into_iter().chain(bodies(policy, "unless")).collect();
    while let Some(node) = open.pop() {
        if let Some(slot) = clause::slot(&node).filter(|slot| slot.base != Base::Context) {
            names.insert(slot.name);
        }
        for operator in [".", "has", "in", "is", "getTag", "hasTag"] {
            if let Some(left) = node.get(operator).and_then(|sides| sides.get("left")) {
                literals(left, into);
            }
        }
        match node {
            Value::Array(all) => open.extend(all),
            Value::Object(fields) => open.extend(fields.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}

fn literals(node: &Value, found: &mut BTreeSet<EntityUid>) {
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if let Some(Literal::Entity(uid)) = Literal::read(node) {
            found.insert(uid);
        }
        match node {
            Value::Array(all) => open.extend(all),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
}

/// Entities that come into question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Narrow {
    /// Any.
    All,
    /// These, ascending.
    These(Vec<u32>),
}

impl Narrow {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) | (other, Self::All) => other,
            (Self::These(a), Self::These(b)) => Self::These(if a.len() <= b.len() { a } else { b }),
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::These(mut a), Self::These(b)) => {
                a.extend(b);
                a.sort_unstable();
                a.dedup();
                Self::These(a)
            }
            _ => Self::All,
        }
    }
}

/// A search: one side is open, the others are known.
pub(super) struct Plan<'a> {
    pub(super) store: &'a EntityStore,
    pub(super) sought: Side,
    pub(super) kind: &'a EntityTypeName,
    /// Principal, action and resource; that which is sought is none.
    pub(super) known: [Option<EntityUid>; 3],
    pub(super) entities: &'a Entities,
    pub(super) context: &'a Context,
}

/// What is sought, as an expression names it.
enum Sought {
    Itself,
    Attribute(String),
}

impl Plan<'_> {
    /// Entities for which one of the permits may be satisfied.
    pub(super) fn narrow(&self, permits: &[Permit]) -> Narrow {
        let mut found = Narrow::These(Vec::new());
        for permit in permits {
            found = found.or(self.permit(permit));
            if found == Narrow::All {
                break;
            }
        }
        found
    }

    fn permit(&self, permit: &Permit) -> Narrow {
        let nothing = Narrow::These(Vec::new());
        let action = match &permit.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => self.known(Side::Action) == Some(uid),
            ActionConstraint::In(uids) => uids.iter().any(|uid| self.is_within(Side::Action, uid)),
        };
        let principal = match &permit.principal {
            PrincipalConstraint::Any => Narrow::All,
            PrincipalConstraint::Eq(uid) => self.side(Side::Principal, None, Some(uid), true),
            PrincipalConstraint::In(uid) => self.side(Side::Principal, None, Some(uid), false),
            PrincipalConstraint::Is(kind) => self.side(Side::Principal, Some(kind), None, false),
            PrincipalConstraint::IsIn(kind, uid) => self.side(Side::Principal, Some(kind), Some(uid), false),
        };
        let resource = match &permit.resource {
            ResourceConstraint::Any => Narrow::All,
            ResourceConstraint::Eq(uid) => self.side(Side::Resource, None, Some(uid), true),
            ResourceConstraint::In(uid) => self.side(Side::Resource, None, Some(uid), false),
            ResourceConstraint::Is(kind) => self.side(Side::Resource, Some(kind), None, false),
            ResourceConstraint::IsIn(kind, uid) => self.side(Side::Resource, Some(kind), Some(uid), false),
        };
        if !action || principal == nothing || resource == nothing {
            return nothing;
        }
        let conditions = permit.conditions.iter().map(|condition| self.expression(condition, DEPTH_MAX));
        conditions.fold(principal.and(resource), Narrow::and)
    }

    /// A constraint of the scope: a type, and an entity that it is or is below.
    fn side(&self, side: Side, kind: Option<&EntityTypeName>, uid: Option<&EntityUid>, itself: bool) -> Narrow {
        let nothing = Narrow::These(Vec::new());
        if side == self.sought {
            return match (kind.is_none_or(|kind| kind == self.kind), uid) {
                (false, _) => nothing,
                (true, None) => Narrow::All,
                (true, Some(uid)) if itself => self.itself(uid),
                (true, Some(uid)) => Narrow::These(self.store.within(self.kind, uid)),
            };
        }
        let of_kind = kind.is_none_or(|kind| self.known(side).is_some_and(|known| known.type_name() == kind));
        let is = uid.is_none_or(|uid| if itself { self.known(side) == Some(uid) } else { self.is_within(side, uid) });
        if of_kind && is { Narrow::All } else { nothing }
    }

    fn itself(&self, uid: &EntityUid) -> Narrow {
        Narrow::These(self.store.number(uid).filter(|_| uid.type_name() == self.kind).into_iter().collect())
    }

    fn known(&self, side: Side) -> Option<&EntityUid> {
        self.known.get(side as usize)?.as_ref()
    }

    fn is_within(&self, side: Side, top: &EntityUid) -> bool {
        self.known(side).is_some_and(|uid| uid == top || self.entities.is_ancestor_of(top, uid))
    }

    /// Itself and what is above it.
    fn upwards(&self, uid: &EntityUid) -> Vec<EntityUid> {
        std::iter::once(uid.clone()).chain(self.entities.ancestors(uid).into_iter().flatten().cloned()).collect()
    }

    /// Entities for which an expression may be true.
    fn expression(&self, node: &Value, depth: usize) -> Narrow {
        let Some(depth) = depth.checked_sub(1) else { return Narrow::All };
        if let Some((left, right)) = clause::binary(node, "&&") {
            return self.expression(left, depth).and(self.expression(right, depth));
        }
        if let Some((left, right)) = clause::binary(node, "||") {
            return self.expression(left, depth).or(self.expression(right, depth));
        }
        if let Some(branches) = node.get("if-then-else") {
            let branch = |name: &str| branches.get(name).map_or(Narrow::All, |branch| self.expression(branch, depth));
            return branch("then").or(branch("else"));
        }
        if let Some((left, right)) = clause::binary(node, "==") {
            return self.equality(left, right).or_else(|| self.equality(right, left)).unwrap_or(Narrow::All);
        }
        if let Some((left, right)) = clause::binary(node, "in") {
            return self.membership(left, right).unwrap_or(Narrow::All);
        }
        if let Some((left, right)) = clause::binary(node, "contains") {
            return self.contains(left, right).unwrap_or(Narrow::All);
        }
        if let Some((left, right)) = clause::binary(node, "containsAny") {
            return self.contains_any(left, right).or_else(|| self.contains_any(right, left)).unwrap_or(Narrow::All);
        }
        match (node.get("Value"), self.sought(node)) {
            (Some(Value::Bool(false)), _) => Narrow::These(Vec::new()),
            (_, Some(Sought::Attribute(name))) => self.holding(&name, [Key::Value(Literal::Bool(true))]),
            _ => Narrow::All,
        }
    }

    fn equality(&self, left: &Value, right: &Value) -> Option<Narrow> {
        match (self.sought(left)?, self.term(right)?) {
            (Sought::Itself, Literal::Entity(uid)) => Some(self.itself(&uid)),
            (Sought::Itself, _) => Some(Narrow::These(Vec::new())),
            (Sought::Attribute(name), value) => Some(self.holding(&name, [Key::Value(value)])),
        }
    }

    fn membership(&self, left: &Value, right: &Value) -> Option<Narrow> {
        if let Some(Sought::Itself) = self.sought(left) {
            let tops = self.term(right).map(|one| vec![one]).or_else(|| self.set(right))?;
            let tops = tops.into_iter().filter_map(|top| if let Literal::Entity(uid) = top { Some(uid) } else { None });
            return Some(tops.map(|top| Narrow::These(self.store.within(self.kind, &top))).fold(Narrow::These(Vec::new()), Narrow::or));
        }
        let known = self.known(clause::side(left)?)?;
        let above = self.upwards(known);
        match self.sought(right)? {
            Sought::Itself => Some(above.iter().map(|uid| self.itself(uid)).fold(Narrow::These(Vec::new()), Narrow::or)),
            Sought::Attribute(name) => {
                let keys = above.into_iter().map(Literal::Entity).flat_map(|value| [Key::Value(value.clone()), Key::Element(value)]);
                Some(self.holding(&name, keys))
            }
        }
    }

    fn contains(&self, left: &Value, right: &Value) -> Option<Narrow> {
        if let Some(Sought::Attribute(name)) = self.sought(left) {
            return Some(self.holding(&name, [Key::Element(self.term(right)?)]));
        }
        let all = self.set(left)?;
        match self.sought(right)? {
            Sought::Itself => {
                let uids = all.into_iter().filter_map(|one| if let Literal::Entity(uid) = one { Some(self.itself(&uid)) } else { None });
                Some(uids.fold(Narrow::These(Vec::new()), Narrow::or))
            }
            Sought::Attribute(name) => Some(self.holding(&name, all.into_iter().map(Key::Value))),
        }
    }

    fn contains_any(&self, left: &Value, right: &Value) -> Option<Narrow> {
        let Sought::Attribute(name) = self.sought(left)? else { return None };
        Some(self.holding(&name, self.set(right)?.into_iter().map(Key::Element)))
    }

    fn holding(&self, name: &str, keys: impl IntoIterator<Item = Key>) -> Narrow {
        let found: Vec<u32> = keys.into_iter().flat_map(|key| self.store.holding(self.kind, name, &key)).copied().collect();
        Narrow::These(found).or(Narrow::These(Vec::new()))
    }

    fn sought(&self, node: &Value) -> Option<Sought> {
        if clause::side(node) == Some(self.sought) {
            return Some(Sought::Itself);
        }
        clause::slot(node).filter(|slot| slot.base == Base::Entity(self.sought)).map(|slot| Sought::Attribute(slot.name))
    }

    /// What a known expression is; none for sets and records.
    fn term(&self, node: &Value) -> Option<Literal> {
        if let Some(value) = Literal::read(node) {
            return Some(value);
        }
        match clause::side(node) {
            Some(side) => self.known(side).cloned().map(Literal::Entity),
            None => Literal::of(self.attribute(node)?),
        }
    }

    /// The elements of a known set.
    fn set(&self, node: &Value) -> Option<Vec<Literal>> {
        if let Some(all) = node.get("Set").and_then(Value::as_array) {
            return all.iter().map(|one| self.term(one)).collect();
        }
        match self.attribute(node)? {
            EvalResult::Set(set) => set.iter().map(|one| Literal::of(one.clone())).collect(),
            _ => None,
        }
    }

    fn attribute(&self, node: &Value) -> Option<EvalResult> {
        let slot = clause::slot(node)?;
        match slot.base {
            Base::Context => self.context.get(&slot.name),
            Base::Entity(side) => self.entities.get(self.known(side)?)?.attr(&slot.name)?.ok(),
        }
    }
}
