//! What a principal can become: forward reach as a fixpoint over capabilities.
//!
//! A node is a principal as it is, or strengthened. An edge lets whoever is at a node act as another
//! principal. Strengthening (a policy attached, a boundary removed) counts once the strengthened
//! principal is reached as well: whoever may edit a role and may assume it, is the edited role.
//! Only what surely holds counts: a path that needs a condition which the caller does not choose is
//! no path.

mod ways;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use weft_model::entitlement::{Cause, PrincipalKind, PrincipalPattern, Truth};

use super::context::Circumstances;
use super::estate::{Estate, Member, Strength};
use super::rules::Gain;

/// Name of the goal of all goals.
pub const ADMINISTRATOR: &str = "administrator";
/// Name of the capability that needs no rule.
const ASSUME: &str = "assume-role";
/// Name of the step from something that runs to its role.
const RUNS_AS: &str = "runs-as";
/// Principals that one walk looks at.
const REACHED_MAX: usize = 100_000;

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
    /// The steps; none when the principal is there already.
    pub hops: Vec<Hop>,
}

type Node = (usize, Strength);

/// An action on a resource that makes up an edge.
#[derive(Debug, Clone)]
struct Act {
    action: String,
    resource: String,
    with: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone)]
struct Edge {
    to: usize,
    capability: String,
    acts: Vec<Act>,
    assumes: Option<String>,
}

/// How a node was reached.
#[derive(Debug, Clone)]
struct Step {
    from: Node,
    edge: Rc<Edge>,
}

/// Ways of making a principal stronger, with how strong it is then.
type Ways = Rc<[(Strength, Rc<Edge>)]>;

/// Capabilities that a node's policies name at all, by their place: asked once for each node, because
/// most principals have few.
#[derive(Debug, Clone, Default)]
struct Able {
    /// Those by which it becomes somebody.
    become_one: Vec<usize>,
    /// Those by which it makes somebody stronger.
    strengthen: Vec<usize>,
}

/// Follows capabilities through an estate.
pub struct Explorer<'e> {
    estate: &'e Estate,
    by_service: HashMap<&'e str, Vec<usize>>,
    assumable: Assumable<'e>,
    able: HashMap<Node, Rc<Able>>,
    edges: HashMap<Node, Rc<[Rc<Edge>]>>,
    strengthened: HashMap<(Node, usize), Ways>,
    administrators: HashMap<Node, bool>,
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
        let (able, edges, strengthened, administrators) = Default::default();
        Self { estate, by_service, assumable, able, edges, strengthened, administrators }
    }

    /// Everything that one principal reaches: administrator, and the resources worth reaching that it cannot
    /// reach as itself. Empty when the snapshot does not list the principal.
    pub fn from(&mut self, principal: &str) -> Vec<Escalation> {
        self.estate.by_name.get(principal).map(|start| self.walk(*start)).unwrap_or_default()
    }

    /// The same for every principal, in the snapshot's order, and for what runs as a role.
    pub fn all(&mut self) -> impl Iterator<Item = Escalation> + '_ {
        let principals = self.estate.members.len();
        (0..principals + self.estate.things.len()).flat_map(move |start| if start < principals { self.walk(start) } else { self.running(start - principals) })
    }

    /// What whoever controls something that runs as a role reaches by it.
    fn running(&mut self, thing: usize) -> Vec<Escalation> {
        let Some(thing) = self.estate.things.get(thing).map(|thing| &thing.resource) else { return Vec::new() };
        let Some(role) = thing.runs_as.as_ref().and_then(|role| self.estate.by_name.get(role)).copied() else { return Vec::new() };
        let mut found = self.walk(role);
        found.retain(|escalation| escalation.reaches == ADMINISTRATOR);
        for escalation in &mut found {
            let to = std::mem::replace(&mut escalation.principal, thing.name.clone());
            let hop =
                Hop { from: thing.name.clone(), to, actions: Vec::new(), statements: Vec::new(), capabilities: vec![RUNS_AS.to_owned()], assumes: Vec::new() };
            escalation.hops.insert(0, hop);
        }
        found
    }

    /// Number of edges by which principals become others: for figures.
    pub fn edge_count(&mut self) -> usize {
        (0..self.estate.members.len()).map(|number| self.edges((number, Strength::Plain)).len()).sum()
    }

    fn walk(&mut self, start: usize) -> Vec<Escalation> {
        let start: Node = (start, Strength::Plain);
        let mut found = Vec::new();
        if self.is_administrator(start) {
            found.extend(self.escalation(start, ADMINISTRATOR, Vec::new()));
            return found;
        }
        let mut reached: Vec<Node> = vec![start];
        let mut strong: Vec<Node> = reached.iter().copied().filter(|node| self.is_strong(*node)).collect();
        let mut came: HashMap<Node, Step> = HashMap::new();
        let mut open = VecDeque::from([start]);
        let mut goals: BTreeMap<String, Node> = BTreeMap::new();
        while let Some(node) = open.pop_front() {
            for (to, step) in self.next(node, &reached, &strong, &came) {
                if to == start || came.contains_key(&to) || reached.len() >= REACHED_MAX {
                    continue;
                }
                came.insert(to, step);
                reached.push(to);
                if self.is_strong(to) {
                    strong.push(to);
                }
                if self.is_administrator(to) {
                    let account = self.member(to).map(|member| member.principal.account.clone()).unwrap_or_default();
                    goals.entry(format!("{ADMINISTRATOR} {account}")).or_insert(to);
                } else {
                    open.push_back(to);
                }
            }
        }
        for (goal, node) in goals {
            let reaches = goal.split(' ').next().unwrap_or(ADMINISTRATOR);
            found.extend(self.escalation(node, reaches, self.path(start, node, &came)));
        }
        found.extend(self.prizes(start, &reached, &came));
        found.extend(self.abroad(start, &reached, &came));
        for escalation in &mut found {
            escalation.principal = self.member(start).map(|member| member.principal.name.clone()).unwrap_or_default();
        }
        found
    }

    /// What can be reached next from a node, given what was reached before it and who of those is strong.
    fn next(&mut self, node: Node, reached: &[Node], strong: &[Node], came: &HashMap<Node, Step>) -> Vec<(Node, Step)> {
        let mut fresh = Vec::new();
        for edge in self.edges(node).iter() {
            let to = (edge.to, Strength::Plain);
            if !came.contains_key(&to) {
                fresh.push((to, Step { from: node, edge: Rc::clone(edge) }));
            }
        }
        let targets = if self.is_strong(node) { reached } else { &[] };
        for (by, target) in targets.iter().map(|other| (node, *other)).chain(strong.iter().map(|other| (*other, node))) {
            for (strength, edge) in self.strengthens(by, target.0).iter() {
                let Some(to) = target.1.and(*strength).map(|strength| (target.0, strength)).filter(|to| !came.contains_key(to)) else { continue };
                fresh.push((to, Step { from: by, edge: Rc::clone(edge) }));
            }
        }
        fresh
    }

    /// Whether a node could make somebody stronger.
    fn is_strong(&mut self, node: Node) -> bool {
        !self.able(node).strengthen.is_empty()
    }

    /// What a node's policies name.
    fn able(&mut self, node: Node) -> Rc<Able> {
        if let Some(able) = self.able.get(&node) {
            return Rc::clone(able);
        }
        let mut able = Able::default();
        if let Some(member) = self.member(node) {
            for (place, capability) in self.estate.provider.rules.capability.iter().enumerate() {
                if self.could(node, member, capability) {
                    let into = if capability.gains.becomes() { &mut able.become_one } else { &mut able.strengthen };
                    into.push(place);
                }
            }
        }
        let able = Rc::new(able);
        self.able.insert(node, Rc::clone(&able));
        able
    }

    fn member(&self, node: Node) -> Option<&'e Member> {
        self.estate.members.get(node.0)
    }

    fn is_administrator(&mut self, node: Node) -> bool {
        let estate = self.estate;
        let Some(member) = estate.members.get(node.0) else { return false };
        *self.administrators.entry(node).or_insert_with(|| estate.is_administrator(member, node.1))
    }

    /// Principals that whoever is at `node` can act as.
    fn edges(&mut self, node: Node) -> Rc<[Rc<Edge>]> {
        if let Some(edges) = self.edges.get(&node) {
            return Rc::clone(edges);
        }
        let edges = if self.is_administrator(node) { Vec::new() } else { self.find_edges(node) };
        let edges: Rc<[Rc<Edge>]> = edges.into_iter().map(Rc::new).collect();
        self.edges.insert(node, Rc::clone(&edges));
        edges
    }

    fn find_edges(&mut self, node: Node) -> Vec<Edge> {
        let Some(member) = self.member(node) else { return Vec::new() };
        let (able, mut edges) = (self.able(node), Vec::new());
        self.assume(node, member, &mut edges);
        for capability in able.become_one.iter().filter_map(|place| self.estate.provider.rules.capability.get(*place)) {
            match capability.gains {
                Gain::Pass => self.pass(node, member, capability, &mut edges),
                Gain::Carrier => self.carry(node, member, capability, &mut edges),
                Gain::User => self.become_one(node, member, capability, PrincipalKind::User, &mut edges),
                Gain::Role => self.become_one(node, member, capability, PrincipalKind::Role, &mut edges),
                _ => {}
            }
        }
        // The first way to somebody is the one that paths tell; a second one leads nowhere else.
        let mut known: HashSet<usize> = HashSet::new();
        known.insert(node.0);
        edges.retain(|edge| known.insert(edge.to));
        edges
    }

    /// Ways in which whoever is at `by` makes `target` stronger.
    fn strengthens(&mut self, by: Node, target: usize) -> Ways {
        if let Some(ways) = self.strengthened.get(&(by, target)) {
            return Rc::clone(ways);
        }
        let able = self.able(by);
        let mut ways = self.find_strengthening(by, target, &able.strengthen);
        let mut known = HashSet::new();
        ways.retain(|(strength, _)| known.insert(*strength));
        let ways: Ways = ways.into_iter().map(|(strength, edge)| (strength, Rc::new(edge))).collect();
        self.strengthened.insert((by, target), Rc::clone(&ways));
        ways
    }

    /// Resources that somebody else than the start can be reached as to reach.
    fn prizes(&self, start: Node, reached: &[Node], came: &HashMap<Node, Step>) -> Vec<Escalation> {
        let mut found = Vec::new();
        for thing in &self.estate.things {
            let Some(prize) = self.estate.provider.rules.prizes.iter().find(|prize| prize.kind == thing.resource.kind) else { continue };
            let (action, name) = (prize.action.to_ascii_lowercase(), format!("{}{}", thing.resource.name, prize.suffix));
            let may = |node: &&Node| {
                let Some(member) = self.member(**node) else { return false };
                let at = self.estate.circumstances(member, &name);
                self.estate.may(member, node.1, &action, &name, &at) == Truth::Yes
            };
            let Some(node) = reached.iter().find(may).filter(|node| **node != start) else { continue };
            found.extend(self.escalation(*node, &thing.resource.name, self.path(start, *node, came)));
        }
        found
    }

    /// Principals of other accounts that can be acted as and are no administrators.
    fn abroad(&self, start: Node, reached: &[Node], came: &HashMap<Node, Step>) -> Vec<Escalation> {
        let Some(home) = self.member(start).map(|member| member.principal.account.as_str()) else { return Vec::new() };
        let plain = reached.iter().filter(|node| node.1 == Strength::Plain && self.administrators.get(*node) != Some(&true));
        let foreign = plain.filter_map(|node| self.member(*node).map(|member| (node, member))).filter(|(_, member)| member.principal.account != home);
        foreign.filter_map(|(node, member)| self.escalation(*node, &member.principal.name, self.path(start, *node, came))).collect()
    }

    fn escalation(&self, node: Node, reaches: &str, hops: Vec<Hop>) -> Option<Escalation> {
        let member = self.member(node)?;
        Some(Escalation { principal: member.principal.name.clone(), reaches: reaches.to_owned(), account: member.principal.account.clone(), hops })
    }

    fn path(&self, start: Node, goal: Node, came: &HashMap<Node, Step>) -> Vec<Hop> {
        let mut steps = Vec::new();
        self.steps(start, goal, came, &mut steps);
        let mut hops: Vec<Hop> = Vec::new();
        for hop in steps.iter().filter_map(|step| self.hop(step)) {
            match hops.iter_mut().rev().find(|last| last.from == hop.from && last.to == hop.to) {
                Some(last) => {
                    last.actions.extend(hop.actions);
                    last.statements.extend(hop.statements);
                    last.capabilities.extend(hop.capabilities);
                    last.assumes.extend(hop.assumes);
                }
                None => hops.push(hop),
            }
        }
        hops
    }

    /// The steps to a node: those to whoever acts, those to whoever is strengthened, and the last one.
    fn steps<'s>(&self, start: Node, goal: Node, came: &'s HashMap<Node, Step>, steps: &mut Vec<&'s Step>) {
        let Some(step) = came.get(&goal).filter(|_| goal != start) else { return };
        if steps.iter().any(|known| std::ptr::eq(*known, step)) {
            return;
        }
        self.steps(start, step.from, came, steps);
        if goal.1 != Strength::Plain {
            self.steps(start, (goal.0, Strength::Plain), came, steps);
        }
        if goal.1 == Strength::Free {
            let half = [Strength::Unbound, Strength::Empowered].into_iter().find(|strength| came.contains_key(&(goal.0, *strength)));
            half.into_iter().for_each(|half| self.steps(start, (goal.0, half), came, steps));
        }
        steps.push(step);
    }

    fn hop(&self, step: &Step) -> Option<Hop> {
        let (from, to) = (self.member(step.from)?, self.estate.members.get(step.edge.to)?);
        let mut statements = Vec::new();
        for act in &step.edge.acts {
            let mut at = self.estate.circumstances(from, &act.resource);
            apply(&mut at, &act.with);
            statements.extend(self.estate.why(from, step.from.1, &act.action.to_ascii_lowercase(), &act.resource, &at).causes);
        }
        statements.sort();
        statements.dedup();
        Some(Hop {
            from: from.principal.name.clone(),
            to: to.principal.name.clone(),
            actions: step.edge.acts.iter().map(|act| act.action.clone()).collect(),
            statements,
            capabilities: vec![step.edge.capability.clone()],
            assumes: step.edge.assumes.iter().cloned().collect(),
        })
    }
}

fn apply(at: &mut Circumstances, with: &[(String, Option<String>)]) {
    for (key, value) in with {
        match value {
            Some(value) => at.set(key, vec![value.clone()]),
            None => at.absent(key),
        }
    }
}
