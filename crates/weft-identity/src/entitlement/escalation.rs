//! What a principal can become: forward reach as a fixpoint over capabilities.
//!
//! A node is a principal as it is, or strengthened. An edge lets whoever is at a node act as another
//! principal. Strengthening (a policy attached, a boundary removed) counts once the strengthened
//! principal is reached as well: whoever may edit a role and may assume it, is the edited role.
//! Only what surely holds counts: a path that needs a condition which the caller does not choose is
//! no path.
//!
//! Who reaches whom is asked for whole sets: principals whose statements say the same of an action are
//! one class (`classes`), a class has one set of targets for each need (`asks`, `info`), a walk unites
//! sets (`walk`), and only the steps of a path that is told are asked for one by one (`ways`, `paths`).

mod asks;
mod classes;
mod gains;
mod info;
mod marks;
mod paths;
mod targets;
mod walk;
mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use weft_model::entitlement::{Cause, PrincipalKind, PrincipalPattern};

use self::info::{Finder, number};
use self::targets::Bitset;
use self::walk::{NodeId, Walker};
use super::context::Circumstances;
use super::estate::{Estate, Member, Strength};

/// Name of the goal of all goals.
pub const ADMINISTRATOR: &str = "administrator";
/// Name of the capability that needs no rule.
const ASSUME: &str = "assume-role";
/// Name of the step from something that runs to its role.
const RUNS_AS: &str = "runs-as";

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Who acts.
    pub from: String,
    /// As whom he acts then.
    pub to: String,
    /// By which actions.
    pub actions: Vec<String>,
    /// The statements that permit them.
    pub statements: Vec<Cause>,
    /// Ids of the capabilities.
    pub capabilities: Vec<String>,
    /// What must be there that the snapshot does not show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<String>,
}

/// A path from a principal to a goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Escalation {
    /// Who begins.
    pub principal: String,
    /// `administrator`, or the full name of a resource.
    pub reaches: String,
    /// Account in which.
    pub account: String,
    /// The steps; none when the principal is there already. Paths share those that they have in common.
    pub hops: Vec<Arc<Hop>>,
}

/// A principal as it is, or strengthened.
type Node = (usize, Strength);

/// Follows capabilities through an estate.
pub struct Explorer<'e> {
    estate: &'e Estate,
    walker: Walker<'e>,
    /// For each power over a part of the system, those that take it in.
    outer: HashMap<usize, Vec<usize>>,
}

/// Roles by whom their trust names.
#[derive(Default)]
struct Assumable<'e> {
    named: HashMap<&'e str, Vec<usize>>,
    accounts: HashMap<&'e str, Vec<usize>>,
    anyone: Vec<usize>,
}

impl<'e> Explorer<'e> {
    /// Prepares an estate.
    pub fn new(estate: &'e Estate) -> Self {
        let (mut by_service, mut assumable) = (HashMap::<&str, Vec<usize>>::new(), Assumable::default());
        for (number, member) in estate.members.iter().enumerate() {
            for statement in member.trust.iter().flat_map(|trust| &trust.statements).filter(|statement| statement.permits) {
                let Some(principals) = &statement.principals else { continue };
                if principals.negated {
                    assumable.anyone.push(number);
                    continue;
                }
                for pattern in &principals.patterns {
                    match pattern {
                        PrincipalPattern::Service(service) => by_service.entry(service).or_default().push(number),
                        PrincipalPattern::Named(name) => assumable.named.entry(name).or_default().push(number),
                        PrincipalPattern::Account(account) => assumable.accounts.entry(account).or_default().push(number),
                        PrincipalPattern::Anyone => assumable.anyone.push(number),
                        PrincipalPattern::Federated(_) => {}
                    }
                }
            }
        }
        let finder = Finder::new(estate, by_service, assumable);
        Self { estate, walker: Walker::new(estate, finder), outer: outer(estate) }
    }

    /// Everything that one principal reaches: administrator, and the resources worth reaching that it cannot
    /// reach as itself. Empty when the snapshot does not list the principal.
    pub fn from(&mut self, principal: &str) -> Vec<Escalation> {
        self.estate.by_name.get(principal).map(|start| self.walk(*start, true)).unwrap_or_default()
    }

    /// The same for every principal, in the snapshot's order, and for what runs as a role.
    pub fn all(&mut self) -> impl Iterator<Item = Escalation> + '_ {
        let principals = self.estate.members.len();
        (0..principals + self.estate.things.len()).flat_map(move |start| if start < principals { self.begin(start) } else { self.running(start - principals) })
    }

    /// Nobody begins as power over a part of the system.
    fn begin(&mut self, start: usize) -> Vec<Escalation> {
        let is_scope = self.estate.members.get(start).is_some_and(|member| member.principal.kind == PrincipalKind::Scope);
        if is_scope { Vec::new() } else { self.walk(start, true) }
    }

    /// What whoever controls something that runs as a role reaches by it.
    fn running(&mut self, thing: usize) -> Vec<Escalation> {
        let Some(thing) = self.estate.things.get(thing).map(|thing| &thing.resource) else { return Vec::new() };
        let Some(role) = thing.runs_as.as_ref().and_then(|role| self.estate.by_name.get(role)).copied() else { return Vec::new() };
        let mut found = self.walk(role, false);
        for escalation in &mut found {
            let to = std::mem::replace(&mut escalation.principal, thing.name.clone());
            let hop =
                Hop { from: thing.name.clone(), to, actions: Vec::new(), statements: Vec::new(), capabilities: vec![RUNS_AS.to_owned()], assumes: Vec::new() };
            escalation.hops.insert(0, Arc::new(hop));
        }
        found
    }

    /// The hops to each of `targets` that a principal becomes, or is; `None` when it is an administrator, whom
    /// nothing is followed for.
    pub(super) fn to(&mut self, start: usize, targets: &[usize]) -> Option<Vec<(usize, Vec<Arc<Hop>>)>> {
        if !self.walker.walk_all(start) {
            return None;
        }
        let path = |target: &usize| {
            let hops = if *target == start { Vec::new() } else { self.walker.path(self.estate, self.walker.step_of((*target, Strength::Plain))?) };
            Some((*target, hops))
        };
        Some(targets.iter().filter_map(path).collect())
    }

    /// Number of edges by which principals become others: for figures.
    pub fn edge_count(&mut self) -> usize {
        let mut edges = 0;
        for place in 0..self.estate.members.len() {
            let info = self.walker.info(number(place));
            let mut known = Bitset::of(&[number(place)]);
            for group in &info.become_one {
                edges += self.walker.finder.asks.sets.get(group.set).iter().filter(|target| known.insert(**target)).count();
            }
        }
        edges
    }

    /// What a principal reaches: everything, or administrators alone.
    fn walk(&mut self, start: usize, everything: bool) -> Vec<Escalation> {
        let Some(member) = self.estate.members.get(start) else { return Vec::new() };
        let home = member.principal.account.as_str();
        if !self.walker.walk(start) {
            let principal = member.principal.name.clone();
            return vec![Escalation { principal, reaches: ADMINISTRATOR.to_owned(), account: home.to_owned(), hops: Vec::new() }];
        }
        let mut ends = self.administrators();
        let mut found = Vec::new();
        if everything {
            found = self.others(start, &mut ends);
        }
        found.extend(ends.into_iter().filter_map(|(reaches, node)| self.walker.escalation(self.estate, node, &reaches)));
        found
    }

    /// Adds what else was reached; power that the start has already is told at once.
    fn others(&self, start: usize, ends: &mut Vec<(String, NodeId)>) -> Vec<Escalation> {
        let others = self.walker.prizes().filter(|(_, node)| *node != self.walker.start());
        ends.extend(others.filter_map(|(thing, node)| Some((self.estate.things.get(thing)?.resource.name.clone(), node))));
        ends.extend(self.abroad());
        let powers = self.powers(start);
        let held = powers.iter().filter(|(_, held)| *held).filter_map(|(node, _)| self.held(start, *node));
        let found: Vec<Escalation> = held.collect();
        ends.extend(powers.iter().filter(|(_, held)| !held).filter_map(|(node, _)| Some((self.member(*node)?.principal.name.clone(), *node))));
        found
    }

    fn member(&self, node: NodeId) -> Option<&'e Member> {
        self.estate.members.get(self.walker.node(node).0)
    }

    /// Power over parts of the system that was reached, and whether the start had it already; what other power
    /// that was reached takes in is left out.
    fn powers(&self, start: usize) -> Vec<(NodeId, bool)> {
        // An administrator of the account has power over all its parts.
        let account = |node: NodeId| self.member(node).map(|member| member.principal.account.as_str());
        let whole = |node: &&NodeId| self.walker.goals().iter().any(|goal| account(*goal) == account(**node));
        let reached: Vec<NodeId> = self.walker.scopes().iter().filter(|node| !whole(node)).copied().collect();
        let places: HashSet<usize> = reached.iter().map(|node| self.walker.node(*node).0).collect();
        let is_outer = |place: usize| self.outer.get(&place).is_none_or(|others| others.iter().all(|other| !places.contains(other)));
        let member = self.estate.members.get(start).filter(|member| self.estate.could_rule(member));
        let has = |place: usize| member.is_some_and(|member| self.estate.rules_over(member, place));
        let told = reached.iter().map(|node| (*node, self.walker.node(*node).0)).filter(|(_, place)| is_outer(*place));
        told.map(|(node, place)| (node, has(place))).collect()
    }

    fn held(&self, start: usize, node: NodeId) -> Option<Escalation> {
        let (member, scope) = (self.estate.members.get(start)?, self.member(node)?);
        let (principal, reaches) = (member.principal.name.clone(), scope.principal.name.clone());
        Some(Escalation { principal, reaches, account: scope.principal.account.clone(), hops: Vec::new() })
    }

    /// The nearest administrator of each account, in the order of accounts.
    fn administrators(&self) -> Vec<(String, NodeId)> {
        let account = |node: &NodeId| self.estate.members.get(self.walker.node(*node).0).map(|member| &member.principal.account);
        let by_account: BTreeMap<_, _> = self.walker.goals().iter().map(|node| (account(node), *node)).collect();
        by_account.into_values().map(|node| (ADMINISTRATOR.to_owned(), node)).collect()
    }

    /// Principals of other accounts that can be acted as and are no administrators.
    fn abroad(&self) -> Vec<(String, NodeId)> {
        let name = |node: NodeId| self.estate.members.get(self.walker.node(node).0).map(|member| member.principal.name.clone());
        self.walker.abroad().iter().filter_map(|node| Some((name(*node)?, *node))).collect()
    }
}

/// For each power over a part of the system, those that take it in: whose policies name it, by its name, by a
/// name above it, or with everything.
fn outer(estate: &Estate) -> HashMap<usize, Vec<usize>> {
    let scopes = || estate.members.iter().enumerate().filter(|(_, member)| member.principal.kind == PrincipalKind::Scope);
    let mut naming: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, member) in scopes() {
        let statements = member.identity.iter().flat_map(|policy| &policy.statements).filter(|statement| statement.permits);
        statements.flat_map(|statement| &statement.resources.patterns).for_each(|pattern| naming.entry(pattern).or_default().push(place));
    }
    let mut outer = HashMap::new();
    for (place, member) in scopes() {
        let name = member.principal.name.as_str();
        let above = name.match_indices('/').filter_map(|(at, _)| Some(format!("{}/*", name.get(..at)?)));
        let patterns: Vec<String> = ["*".to_owned(), name.to_owned()].into_iter().chain(above).collect();
        let mut others: Vec<usize> = patterns.iter().filter_map(|pattern| naming.get(pattern.as_str())).flatten().copied().collect();
        others.sort_unstable();
        others.dedup();
        let over = |one: usize, other: usize| estate.members.get(one).is_some_and(|one| estate.rules_over(one, other));
        // Of two that are the same, the first is told.
        others.retain(|other| *other != place && over(*other, place) && !(place < *other && over(place, *other)));
        outer.insert(place, others);
    }
    outer
}

fn apply(at: &mut Circumstances, with: &[(String, Option<String>)]) {
    for (key, value) in with {
        match value {
            Some(value) => at.set(key, vec![value.clone()]),
            None => at.absent(key),
        }
    }
}

#[cfg(test)]
mod tests;
