//! Why an answer is what it is, and which single change would turn it.
//!
//! The changes are not guessed from the text of the policies alone: each one is tried, and only
//! those that turn the answer are told.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Effect as CedarEffect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::{Value, json};
use weft_model::{Decision, Effect};

use super::point::{AccessPoint, Ask, Party};
use crate::decide::clause::{self, Base, Literal, Side, Slot};

/// Most changes that are tried.
pub const CHANGES_MAX: usize = 5_000;

/// One change of the facts, the request or the policies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// An attribute of the principal, the resource, the action or the context.
    Set {
        /// `principal`, `resource` or `context`.
        of: &'static str,
        /// Its name.
        name: String,
        /// What it would be, as JSON; `null`: not there.
        value: String,
    },
    /// The party would be in a group.
    Join {
        /// `principal` or `resource`.
        of: &'static str,
        /// Type and id.
        group: (String, String),
    },
    /// The party would not be in a group.
    Leave {
        /// `principal` or `resource`.
        of: &'static str,
        /// Type and id.
        group: (String, String),
    },
    /// A policy would not be there.
    Without {
        /// Its id.
        policy: String,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set { of, name, value } if value == "null" => write!(f, "if `{of}.{name}` were not there"),
            Self::Set { of, name, value } => write!(f, "if `{of}.{name}` were {value}"),
            Self::Join { of, group: (kind, id) } => write!(f, "if the {of} were in {kind} `{id}`"),
            Self::Leave { of, group: (kind, id) } => write!(f, "if the {of} were not in {kind} `{id}`"),
            Self::Without { policy } => write!(f, "if the policy `{policy}` were not there"),
        }
    }
}

/// A policy that had a say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Its id.
    pub policy: String,
    /// What it does.
    pub effect: Effect,
    /// Why it exists, where its author says so.
    pub why: Option<String>,
}

/// An answer explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The determining policies.
    pub causes: Vec<Cause>,
    /// Single changes that would turn the answer.
    pub changes: Vec<Change>,
    /// Changes that were not tried, because there are too many.
    pub untried: usize,
}

impl AccessPoint {
    /// Explains the answer to a request.
    pub fn explain(&self, ask: &Ask) -> Explanation {
        let decision = self.decide(ask);
        let effect = |id: &str| {
            let forbids = self.policies().index().policy(&cedar_policy::PolicyId::new(id)).is_some_and(|policy| policy.effect() == CedarEffect::Forbid);
            if forbids { Effect::Forbid } else { Effect::Permit }
        };
        let causes = decision.determining.iter().map(|id| Cause { policy: id.clone(), effect: effect(id), why: self.policies().why(id).map(str::to_owned) });
        let mut proposals = BTreeSet::new();
        let action = self.action(&ask.action).ok();
        for policy in self.policies().index().policies().filter(|policy| concerns(policy, action.as_ref())) {
            self.propose(policy, ask, &mut proposals);
        }
        // Policies first: they are few, and of the others there may be too many.
        let without = decision.determining.iter().map(|policy| Change::Without { policy: policy.clone() });
        let untried = (without.len() + proposals.len()).saturating_sub(CHANGES_MAX);
        let turns = |change: &Change| self.after(ask, change).is_some_and(|after| after.effect != decision.effect);
        let changes = without.chain(proposals).take(CHANGES_MAX).filter(turns).collect();
        Explanation { causes: causes.collect(), changes, untried, decision }
    }

    /// The answer after a change.
    fn after(&self, ask: &Ask, change: &Change) -> Option<Decision> {
        let mut changed = ask.clone();
        match change {
            Change::Without { policy } => return Some(self.decide_without(policy, ask)),
            Change::Set { of, name, value } => {
                let value = serde_json::from_str(value).ok()?;
                let fields = match *of {
                    "principal" => &mut changed.principal.properties,
                    "resource" => &mut changed.resource.properties,
                    _ => &mut changed.context,
                };
                fields.insert(name.clone(), value);
            }
            Change::Join { of, group: (kind, id) } => side_of(&mut changed, of).joins.push(weft_model::EntityUid::new(kind, id)),
            Change::Leave { of, group: (kind, id) } => side_of(&mut changed, of).leaves.push(weft_model::EntityUid::new(kind, id)),
        }
        Some(self.decide(&changed))
    }

    /// What might turn this policy.
    fn propose(&self, policy: &Policy, ask: &Ask, found: &mut BTreeSet<Change>) {
        if let PrincipalConstraint::In(group) | PrincipalConstraint::IsIn(_, group) = policy.principal_constraint() {
            self.membership(Side::Principal, &group, ask, found);
        }
        if let ResourceConstraint::In(group) | ResourceConstraint::IsIn(_, group) = policy.resource_constraint() {
            self.membership(Side::Resource, &group, ask, found);
        }
        let json = policy.to_json().unwrap_or(Value::Null);
        let conditions = json.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let mut open: Vec<&Value> = conditions.filter_map(|one| one.get("body")).collect();
        while let Some(node) = open.pop() {
            self.propose_by(node, ask, found);
            match node {
                Value::Array(all) => open.extend(all),
                Value::Object(fields) => open.extend(fields.values()),
                _ => {}
            }
        }
    }

    fn propose_by(&self, node: &Value, ask: &Ask, found: &mut BTreeSet<Change>) {
        for operator in ["==", "!=", "<", "<=", ">", ">="] {
            let Some((left, right)) = clause::binary(node, operator) else { continue };
            for (read, other) in [(left, right), (right, left)] {
                let (Some(slot), Some(value)) = (clause::slot(read), self.value(other, ask)) else { continue };
                found.extend(around(&value).into_iter().map(|value| set(&slot, &value)));
            }
        }
        if let Some(slot) = clause::slot(node) {
            found.extend([json!(true), json!(false), Value::Null].iter().map(|value| set(&slot, value)));
        }
        if let Some((left, right)) = clause::binary(node, "contains") {
            if let (Some(slot), Some(element)) = (clause::slot(left), self.value(right, ask)) {
                self.elements(&slot, &element, ask, found);
            }
            if let (Some(all), Some(slot)) = (left.get("Set").and_then(Value::as_array), clause::slot(right)) {
                found.extend(all.iter().filter_map(|one| self.value(one, ask)).map(|value| set(&slot, &value)));
            }
        }
        if let Some((left, right)) = clause::binary(node, "in") {
            if let (Some(side), Some(groups)) = (clause::side(left), clause::named_entities(right)) {
                groups.iter().for_each(|group| self.membership(side, group, ask, found));
            }
            if let (Some(member), Some(slot)) = (self.value(left, ask), clause::slot(right)) {
                found.insert(set(&slot, &member));
                self.elements(&slot, &member, ask, found);
            }
        }
    }

    fn membership(&self, side: Side, group: &EntityUid, ask: &Ask, found: &mut BTreeSet<Change>) {
        let (of, party) = match side {
            Side::Principal => ("principal", &ask.principal),
            Side::Resource => ("resource", &ask.resource),
            Side::Action => return,
        };
        let name = |uid: &EntityUid| (uid.type_name().to_string(), uid.id().unescaped().to_owned());
        found.insert(Change::Join { of, group: name(group) });
        if let Ok(uid) = self.uid(party) {
            found.extend(self.store().parents(&uid).iter().map(|parent| Change::Leave { of, group: name(parent) }));
        }
    }

    /// A set with and without an element.
    fn elements(&self, slot: &Slot, element: &Value, ask: &Ask, found: &mut BTreeSet<Change>) {
        let mut now = self.now(slot, ask).and_then(|value| value.as_array().cloned()).unwrap_or_default();
        now.retain(|one| one != element);
        found.insert(set(slot, &Value::Array(now.clone())));
        now.push(element.clone());
        found.insert(set(slot, &Value::Array(now)));
    }

    /// What an attribute is, as JSON.
    fn now(&self, slot: &Slot, ask: &Ask) -> Option<Value> {
        let party = match slot.base {
            Base::Context => return ask.context.get(&slot.name).cloned(),
            Base::Entity(Side::Principal) => &ask.principal,
            Base::Entity(_) => &ask.resource,
        };
        party.properties.get(&slot.name).cloned().or_else(|| self.store().attribute(&self.uid(party).ok()?, &slot.name))
    }

    /// A value that a policy compares with: a literal, a party, or an attribute.
    fn value(&self, node: &Value, ask: &Ask) -> Option<Value> {
        if let Some(literal) = Literal::read(node) {
            return Some(match literal {
                Literal::Bool(it) => json!(it),
                Literal::Long(it) => json!(it),
                Literal::Text(it) => json!(it),
                Literal::Entity(uid) => named(&uid),
            });
        }
        match clause::side(node) {
            Some(Side::Principal) => self.uid(&ask.principal).ok().map(|uid| named(&uid)),
            Some(Side::Resource) => self.uid(&ask.resource).ok().map(|uid| named(&uid)),
            Some(Side::Action) => None,
            None => self.now(&clause::slot(node)?, ask),
        }
    }
}

fn side_of<'a>(ask: &'a mut Ask, of: &str) -> &'a mut Party {
    if of == "principal" { &mut ask.principal } else { &mut ask.resource }
}

fn named(uid: &EntityUid) -> Value {
    json!({"__entity": {"type": uid.type_name().to_string(), "id": uid.id().unescaped()}})
}

fn set(slot: &Slot, value: &Value) -> Change {
    let of = match slot.base {
        Base::Context => "context",
        Base::Entity(Side::Principal) => "principal",
        Base::Entity(_) => "resource",
    };
    Change::Set { of, name: slot.name.clone(), value: value.to_string() }
}

/// A value and the nearest others.
fn around(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) => {
            let Some(number) = number.as_i64() else { return vec![value.clone()] };
            [Some(number), number.checked_sub(1), number.checked_add(1)].into_iter().flatten().map(|near| json!(near)).collect()
        }
        Value::Bool(it) => vec![json!(it), json!(!it)],
        Value::String(text) => vec![value.clone(), json!(format!("not {text}"))],
        other => vec![other.clone(), Value::Null],
    }
}

fn concerns(policy: &Policy, action: Option<&EntityUid>) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => Some(&uid) == action,
        // Groups of actions are few; whether one holds is seen when the change is tried.
        ActionConstraint::In(_) => true,
    }
}
