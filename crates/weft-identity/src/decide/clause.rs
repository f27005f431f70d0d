//! What must hold for a policy to be satisfied, or to fail, as clauses over the request.
//!
//! Cedar evaluates `scope && condition && condition` from left to right and stops at the first that
//! is false, so a policy whose scope does not hold neither permits, forbids nor fails. The same is
//! true of what stands at the beginning of its conditions, as long as what stands before cannot
//! fail. Each such part becomes a [`Clause`]; what is not understood ends the walk, so that the
//! clauses never ask for more than Cedar does.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, EvalResult, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

/// Deepest expression that is looked into; deeper ones end the walk.
const DEPTH_MAX: usize = 64;

/// One of the three entities of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Who asks.
    Principal,
    /// What for.
    Action,
    /// On what.
    Resource,
}

impl Side {
    /// All, in the order of the scope.
    pub(crate) const ALL: [Side; 3] = [Side::Principal, Side::Action, Side::Resource];

    /// By the name of the variable.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "principal" => Some(Self::Principal),
            "action" => Some(Self::Action),
            "resource" => Some(Self::Resource),
            _ => None,
        }
    }
}

/// Whose attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Base {
    /// That of an entity of the request.
    Entity(Side),
    /// That of the context.
    Context,
}

/// An attribute, one step from a variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) base: Base,
    pub(crate) name: String,
}

/// A value that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Literal {
    Bool(bool),
    Long(i64),
    Text(String),
    Entity(EntityUid),
}

impl Literal {
    /// Of an evaluated value; none for sets, records and extension values.
    pub(crate) fn of(value: EvalResult) -> Option<Self> {
        match value {
            EvalResult::Bool(it) => Some(Self::Bool(it)),
            EvalResult::Long(it) => Some(Self::Long(it)),
            EvalResult::String(it) => Some(Self::Text(it)),
            EvalResult::EntityUid(it) => Some(Self::Entity(it)),
            EvalResult::Set(_) | EvalResult::Record(_) | EvalResult::ExtensionValue(_) => None,
        }
    }

    /// Of a node of Cedar's JSON form of policies.
    pub(crate) fn read(node: &Value) -> Option<Self> {
        match node.get("Value")? {
            Value::Bool(it) => Some(Self::Bool(*it)),
            Value::Number(it) => it.as_i64().map(Self::Long),
            Value::String(it) => Some(Self::Text(it.clone())),
            entity @ Value::Object(_) => EntityUid::from_json(entity.clone()).ok().map(Self::Entity),
            Value::Null | Value::Array(_) => None,
        }
    }
}

/// A fact about a request that an index can look up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Atom {
    /// The entity is this one.
    Is(Side, EntityUid),
    /// The entity is this one or below it.
    Within(Side, EntityUid),
    /// The entity is of this type.
    Type(Side, EntityTypeName),
    /// The attribute has this value.
    Equals(Slot, Literal),
    /// The attribute is not there, so that reading it fails.
    Absent(Slot),
}

/// One of these must hold. None at all: the policy is never satisfied.
pub(crate) type Clause = Vec<Atom>;

/// Clauses that hold whenever the policy is satisfied or fails; every one is needed.
pub(crate) fn clauses(policy: &Policy) -> Vec<Clause> {
    let mut found = scope(policy);
    let json = policy.to_json().unwrap_or(Value::Null);
    let mut walk = Walk { clauses: Vec::new(), failing: Vec::new(), guarded: BTreeSet::new() };
    for condition in json.get("conditions").and_then(Value::as_array).into_iter().flatten() {
        let Some(body) = condition.get("body") else { break };
        let goes_on = match condition.get("kind").and_then(Value::as_str) {
            Some("when") => conjuncts(body).into_iter().all(|part| walk.take(part)),
            // The negation of what cannot fail cannot fail either.
            Some("unless") => cannot_fail(body, DEPTH_MAX),
            _ => false,
        };
        if !goes_on {
            break;
        }
    }
    found.extend(walk.clauses);
    found
}

fn scope(policy: &Policy) -> Vec<Clause> {
    let mut found = Vec::new();
    match policy.principal_constraint() {
        PrincipalConstraint::Any => {}
        PrincipalConstraint::In(uid) => found.push(vec![Atom::Within(Side::Principal, uid)]),
        PrincipalConstraint::Eq(uid) => found.push(vec![Atom::Is(Side::Principal, uid)]),
        PrincipalConstraint::Is(kind) => found.push(vec![Atom::Type(Side::Principal, kind)]),
        PrincipalConstraint::IsIn(kind, uid) => found.extend([vec![Atom::Type(Side::Principal, kind)], vec![Atom::Within(Side::Principal, uid)]]),
    }
    match policy.action_constraint() {
        ActionConstraint::Any => {}
        ActionConstraint::In(uids) => found.push(uids.into_iter().map(|uid| Atom::Within(Side::Action, uid)).collect()),
        ActionConstraint::Eq(uid) => found.push(vec![Atom::Is(Side::Action, uid)]),
    }
    match policy.resource_constraint() {
        ResourceConstraint::Any => {}
        ResourceConstraint::In(uid) => found.push(vec![Atom::Within(Side::Resource, uid)]),
        ResourceConstraint::Eq(uid) => found.push(vec![Atom::Is(Side::Resource, uid)]),
        ResourceConstraint::Is(kind) => found.push(vec![Atom::Type(Side::Resource, kind)]),
        ResourceConstraint::IsIn(kind, uid) => found.extend([vec![Atom::Type(Side::Resource, kind)], vec![Atom::Within(Side::Resource, uid)]]),
    }
    found
}

/// The parts of a conjunction, in the order of their evaluation.
pub(crate) fn conjuncts(body: &Value) -> Vec<&Value> {
    let (mut parts, mut open) = (Vec::new(), vec![body]);
    while let Some(node) = open.pop() {
        match binary(node, "&&") {
            Some((left, right)) => open.extend([right, left]),
            None => parts.push(node),
        }
    }
    parts
}

/// Left and right of a node with this operator.
pub(crate) fn binary<'v>(node: &'v Value, operator: &str) -> Option<(&'v Value, &'v Value)> {
    let sides = node.get(operator)?;
    Some((sides.get("left")?, sides.get("right")?))
}

/// The entity that a node names as a variable.
pub(crate) fn side(node: &Value) -> Option<Side> {
    Side::named(node.get("Var")?.as_str()?)
}

/// The attribute of a variable that a node reads.
pub(crate) fn slot(node: &Value) -> Option<Slot> {
    slot_of(node.get(".")?)
}

fn slot_of(access: &Value) -> Option<Slot> {
    let variable = access.get("left")?.get("Var")?.as_str()?;
    let base = match Side::named(variable) {
        Some(Side::Action) => return None,
        Some(side) => Base::Entity(side),
        None if variable == "context" => Base::Context,
        None => return None,
    };
    Some(Slot { base, name: access.get("attr")?.as_str()?.to_owned() })
}

/// Entities that the right side of `in` names.
pub(crate) fn named_entities(node: &Value) -> Option<Vec<EntityUid>> {
    let entity = |node: &Value| match Literal::read(node) {
        Some(Literal::Entity(uid)) => Some(uid),
        _ => None,
    };
    match node.get("Set").and_then(Value::as_array) {
        Some(all) => all.iter().map(entity).collect(),
        None => entity(node).map(|uid| vec![uid]),
    }
}

struct Walk {
    clauses: Vec<Clause>,
    /// Where an earlier part fails, later parts are not asked: each is a way for them to hold.
    failing: Vec<Atom>,
    /// Attributes that an earlier part found to be there.
    guarded: BTreeSet<Slot>,
}

impl Walk {
    /// Takes one part; whether the next one may be looked at.
    fn take(&mut self, part: &Value) -> bool {
        if let Some(slot) = part.get("has").and_then(slot_of) {
            self.guarded.insert(slot);
            return true;
        }
        match either(part, DEPTH_MAX) {
            Some(mut clause) => {
                let absent: Vec<Atom> = clause.iter().filter_map(|atom| self.failure(atom)).collect();
                clause.extend(absent.iter().chain(&self.failing).cloned());
                self.failing.extend(absent);
                self.clauses.push(clause);
                true
            }
            None => cannot_fail(part, DEPTH_MAX),
        }
    }

    fn failure(&self, atom: &Atom) -> Option<Atom> {
        match atom {
            Atom::Equals(slot, _) if !self.guarded.contains(slot) => Some(Atom::Absent(slot.clone())),
            _ => None,
        }
    }
}

/// The atoms of which one holds when the part does; none when it is not made of such.
fn either(node: &Value, depth: usize) -> Option<Clause> {
    let depth = depth.checked_sub(1)?;
    if let Some((left, right)) = binary(node, "||") {
        let mut atoms = either(left, depth)?;
        atoms.extend(either(right, depth)?);
        return Some(atoms);
    }
    if let Some((left, right)) = binary(node, "in") {
        let side = side(left)?;
        return Some(named_entities(right)?.into_iter().map(|uid| Atom::Within(side, uid)).collect());
    }
    if let Some((left, right)) = binary(node, "==") {
        return equality(left, right).or_else(|| equality(right, left)).map(|atom| vec![atom]);
    }
    let test = node.get("is").filter(|test| test.get("in").is_none())?;
    let kind = test.get("entity_type")?.as_str()?.parse().ok()?;
    Some(vec![Atom::Type(side(test.get("left")?)?, kind)])
}

fn equality(left: &Value, right: &Value) -> Option<Atom> {
    let value = Literal::read(right)?;
    match (side(left), value) {
        (Some(side), Literal::Entity(uid)) => Some(Atom::Is(side, uid)),
        (Some(_), _) => None,
        (None, value) => Some(Atom::Equals(slot(left)?, value)),
    }
}

/// Whether a node is a truth value that every request has.
fn cannot_fail(node: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if let Some((left, right)) = binary(node, "&&").or_else(|| binary(node, "||")) {
        return cannot_fail(left, depth) && cannot_fail(right, depth);
    }
    if let Some((left, right)) = binary(node, "in") {
        return side(left).is_some() && (side(right).is_some() || named_entities(right).is_some());
    }
    if let Some((left, right)) = binary(node, "==").or_else(|| binary(node, "!=")) {
        return is_plain(left) && is_plain(right);
    }
    if let Some(argument) = node.get("!").and_then(|not| not.get("arg")) {
        return cannot_fail(argument, depth);
    }
    if let Some(test) = node.get("is") {
        return test.get("left").is_some_and(|left| side(left).is_some()) && test.get("in").is_none_or(|group| named_entities(group).is_some());
    }
    node.get("has").and_then(slot_of).is_some() || node.get("Value").is_some_and(Value::is_boolean)
}

fn is_plain(node: &Value) -> bool {
    side(node).is_some() || Literal::read(node).is_some()
}
