//! What was granted against what was used, and a policy that is no wider than it has to be.
//!
//! A proposal is made of statements that are there already, narrowed to the actions that were used:
//! it never permits more than they did. Before it is shown, the past calls are decided by it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use weft_model::access::Effect;
use weft_model::entitlement::{Call, Document, Match, PrincipalKind, Statement, Truth};

use super::catalogue::Catalogue;
use super::compile::{Compiled, Compiler, Policy, Verb};
use super::context::Circumstances;
use super::decide::{Policies, Question, permitted, reaches};
use super::estate::{Estate, Member, Strength};
use super::pattern::{like, name_like};

/// How much an action counts by which somebody could escalate; others count 1.
const ESCALATING: u64 = 10;

/// What one principal may do, did, and need not be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Full name.
    pub principal: String,
    /// Actions of the catalogue that it may do on something, surely or under conditions.
    pub granted: usize,
    /// Those of them that it did.
    pub used: usize,
    /// Creep index, 0 to 100: see [`Weights::creep`].
    pub creep: u8,
    /// What its policies permit and it did not use.
    pub unused: Vec<Unused>,
    /// A narrower policy, when there is something to narrow and calls to narrow by.
    pub proposal: Option<Proposal>,
}

/// A statement, or some patterns of its actions, that nothing was done by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// Policy.
    pub policy: String,
    /// Statement.
    pub statement: String,
    /// Patterns of actions; all of them when the whole statement is unused.
    pub actions: Vec<String>,
    /// Whether nothing at all was done by the statement.
    pub whole: bool,
}

/// A policy instead of all that permits now; what forbids stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The policy.
    pub document: Document,
    /// Past calls that were decided by it.
    pub replayed: u64,
    /// Actions on resources that would have been refused; empty for a proposal that can be taken.
    pub refused: BTreeSet<String>,
}

/// The usage of all principals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usages {
    /// By principal, in the snapshot's order.
    pub of: Vec<Usage>,
    /// Calls of principals that the snapshot does not list, by principal.
    pub strangers: BTreeMap<String, u64>,
}

/// How much actions count.
#[derive(Debug)]
pub struct Weights {
    escalating: BTreeSet<u32>,
    all: u64,
}

impl Weights {
    /// Of the actions that an estate's rules know.
    fn new(estate: &Estate) -> Self {
        let catalogue = &estate.provider.catalogue;
        let needs = estate.provider.rules.capability.iter().flat_map(|capability| &capability.needs);
        let escalating: BTreeSet<u32> = needs.flat_map(|need| &need.action).filter_map(|action| catalogue.number(action)).collect();
        let all = catalogue.len() as u64 + escalating.len() as u64 * (ESCALATING - 1);
        Self { escalating, all }
    }

    fn of(&self, action: u32) -> u64 {
        if self.escalating.contains(&action) { ESCALATING } else { 1 }
    }

    /// `100 ln(1 + unused) / ln(1 + all)`, where actions by which one could escalate count ten times.
    pub fn creep(&self, unused: u64) -> u8 {
        let share = (1.0 + unused as f64).ln() / (1.0 + self.all as f64).ln().max(f64::MIN_POSITIVE);
        (100.0 * share).round().clamp(0.0, 100.0) as u8
    }
}

/// One statement that permits, and what was done by it.
struct Grant<'e> {
    policy: &'e Policy,
    statement: &'e Compiled,
    actions: BTreeSet<String>,
    /// Patterns of resources that were used; `None` once a call did not tell its resource.
    resources: Option<BTreeSet<&'e str>>,
}

/// Sets what principals may do against what they did.
pub fn usage(estate: &Estate, calls: &[Call]) -> Usages {
    let weights = Weights::new(estate);
    let mut by_member: HashMap<usize, Vec<&Call>> = HashMap::new();
    let mut usages = Usages::default();
    for call in calls {
        match estate.by_name.get(&call.principal) {
            Some(place) => by_member.entry(*place).or_default().push(call),
            None => *usages.strangers.entry(call.principal.clone()).or_default() += call.count,
        }
    }
    let of = |(place, member)| one(estate, &weights, member, by_member.get(&place).map(Vec::as_slice).unwrap_or_default());
    usages.of = estate.members.iter().enumerate().filter(|(_, member)| member.principal.kind != PrincipalKind::Scope).map(of).collect();
    usages
}

fn one(estate: &Estate, weights: &Weights, member: &Member, calls: &[&Call]) -> Usage {
    let done: Vec<&Call> = calls.iter().copied().filter(|call| !call.refused).collect();
    let grants = grants(estate, member, &done);
    let granted = granted(estate, member);
    let used: BTreeSet<u32> = done.iter().filter_map(|call| estate.provider.catalogue.number(&call.action)).collect();
    let unused_weight = granted.iter().filter(|action| !used.contains(action)).map(|action| weights.of(*action)).sum();
    let unused: Vec<Unused> = grants.iter().filter_map(|grant| unused(grant, &estate.provider.catalogue)).collect();
    let narrows = !unused.is_empty() && grants.iter().any(|grant| !grant.actions.is_empty());
    Usage {
        principal: member.principal.name.clone(),
        granted: granted.len(),
        used: granted.iter().filter(|action| used.contains(action)).count(),
        creep: weights.creep(unused_weight),
        proposal: narrows.then(|| replay(estate, member, propose(&grants), &done)),
        unused,
    }
}

/// Actions that somebody may do on something, surely or under conditions.
///
/// Actions that the same statements are about are decided alike, and asked once.
fn granted(estate: &Estate, member: &Member) -> Vec<u32> {
    let catalogue = &estate.provider.catalogue;
    let own = || member.identity.iter().chain(&member.groups).flat_map(|policy| &policy.statements);
    let limits = estate.limits.get(&member.principal.account).filter(|_| !member.principal.exempt);
    let limits = limits.into_iter().flat_map(|limits| limits.principals.iter().chain(&limits.resources)).flatten();
    let others = member.boundary.iter().flatten().chain(limits).flat_map(|policy| &policy.statements);
    let statements: Vec<&Compiled> = own().chain(others).collect();
    let named: BTreeSet<u32> = own().filter(|statement| statement.permits).flat_map(|statement| statement.known.numbers()).collect();
    let mut alike: HashMap<Vec<bool>, bool> = HashMap::new();
    let is_granted = |action: &u32| {
        let Some(name) = catalogue.action(*action) else { return false };
        let about = statements.iter().map(|statement| statement.known.has(*action)).collect();
        *alike.entry(about).or_insert_with(|| somewhere(estate, member, None, &Verb::of(catalogue, name)))
    };
    named.into_iter().filter(is_granted).collect()
}

/// Whether an action is permitted on something, surely or under conditions; by `instead`, when given,
/// instead of what the principal has.
fn somewhere(estate: &Estate, member: &Member, instead: Option<&[Arc<Policy>]>, verb: &Verb) -> bool {
    let candidates = estate.candidates(member, Strength::Plain, verb.action());
    candidates.iter().any(|resource| decided(estate, member, instead, verb, resource) != Truth::No)
}

fn decided(estate: &Estate, member: &Member, instead: Option<&[Arc<Policy>]>, verb: &Verb, resource: &str) -> Truth {
    let mut at = estate.circumstances(member, resource);
    at.open(&estate.chosen);
    let around = estate.around(resource);
    let question = Question { caller: &member.caller, action: verb.action(), resource, resource_account: around.account, at: &at };
    let now = estate.policies(member, Strength::Plain, &verb.name, &around);
    match instead {
        Some(identity) => permitted(&question, &Policies { identity, groups: &[], ..now }),
        None => permitted(&question, &now),
    }
}

/// The statements that permit, with what was done by each.
fn grants<'e>(estate: &'e Estate, member: &'e Member, calls: &[&Call]) -> Vec<Grant<'e>> {
    let policies = member.identity.iter().chain(&member.groups);
    let permits = policies.flat_map(|policy| policy.statements.iter().filter(|statement| statement.permits).map(move |statement| (policy, statement)));
    let new = |(policy, statement): (&'e Arc<Policy>, &'e Compiled)| Grant { policy, statement, actions: BTreeSet::new(), resources: Some(BTreeSet::new()) };
    let mut grants: Vec<Grant<'e>> = permits.map(new).collect();
    for call in calls {
        let verb = Verb::of(&estate.provider.catalogue, &call.action);
        let at = call.resource.as_ref().map_or_else(|| Circumstances::over(&member.base), |resource| estate.circumstances(member, resource));
        let name = verb.number.and_then(|number| estate.provider.catalogue.action(number)).unwrap_or(&call.action);
        let on = |resource: &str, grant: &Grant<'e>| {
            let question = Question { caller: &member.caller, action: verb.action(), resource, resource_account: None, at: &at };
            reaches(grant.statement, &question) != Truth::No
        };
        // A resource that no statement is about is told too roughly to narrow by.
        let resource = call.resource.as_deref().filter(|resource| grants.iter().any(|grant| grant.statement.covers(verb.action()) && on(resource, grant)));
        for grant in grants.iter_mut().filter(|grant| grant.statement.covers(verb.action())) {
            if resource.is_none_or(|resource| on(resource, grant)) {
                grant.note(name, resource);
            }
        }
    }
    grants
}

impl<'e> Grant<'e> {
    fn note(&mut self, action: &str, resource: Option<&str>) {
        self.actions.insert(action.to_owned());
        let patterns = &self.statement.resources;
        let fixed = !patterns.negated && !self.statement.has_variables();
        match (resource.filter(|_| fixed), &mut self.resources) {
            (Some(resource), Some(known)) => known.extend(patterns.patterns.iter().map(String::as_str).filter(|pattern| name_like(pattern, resource))),
            (None, known) => *known = None,
            _ => {}
        }
    }
}

fn unused(grant: &Grant<'_>, catalogue: &Catalogue) -> Option<Unused> {
    let statement = grant.statement;
    let whole = grant.actions.is_empty();
    let used = |pattern: &&String| grant.actions.iter().any(|action| like(pattern.as_bytes(), action.to_ascii_lowercase().as_bytes()));
    let patterns = statement.actions.patterns.iter().filter(|pattern| whole || (!statement.actions.negated && !used(pattern)));
    let spelled = |pattern: &String| catalogue.number(pattern).and_then(|number| catalogue.action(number)).unwrap_or(pattern).to_owned();
    let actions: Vec<String> = patterns.map(spelled).collect();
    // A pattern of which something was used may still be wider than what was used.
    let wide = statement.actions.negated || statement.actions.patterns.iter().any(|pattern| pattern.contains(['*', '?']));
    (whole || wide || !actions.is_empty()).then(|| Unused { policy: grant.policy.name.clone(), statement: statement.id.clone(), actions, whole })
}

/// The statements by which something was done, with the actions that were done.
fn propose(grants: &[Grant<'_>]) -> Document {
    let used = grants.iter().filter(|grant| !grant.actions.is_empty());
    let narrowed = used.enumerate().map(|(number, grant)| {
        let resources = grant.resources.as_ref().map(|known| Match::of(known.iter().map(|pattern| (*pattern).to_owned()).collect()));
        Statement {
            // Ids of several policies need not differ.
            id: format!("#{}", number + 1),
            effect: Effect::Permit,
            principals: None,
            actions: Match::of(grant.actions.iter().cloned().collect()),
            except: Vec::new(),
            resources: resources.unwrap_or_else(|| grant.statement.resources.clone()),
            conditions: grant.statement.conditions.clone(),
            variables: grant.statement.variables,
        }
    });
    Document { name: "proposal".to_owned(), statements: narrowed.collect() }
}

/// Decides past calls by a proposal: what was permitted must be permitted.
fn replay(estate: &Estate, member: &Member, document: Document, calls: &[&Call]) -> Proposal {
    let document = Arc::new(document);
    let mut instead = vec![Compiler::new(Arc::clone(&estate.provider.catalogue)).policy(&document)];
    for policy in member.identity.iter().chain(&member.groups) {
        let forbids: Vec<Compiled> = policy.statements.iter().filter(|statement| !statement.permits).cloned().collect();
        instead.push(Arc::new(Policy { name: policy.name.clone(), statements: forbids }));
    }
    let (mut replayed, mut refused) = (0, BTreeSet::new());
    for call in calls {
        let verb = Verb::of(&estate.provider.catalogue, &call.action);
        let may = |instead: Option<&[Arc<Policy>]>| match &call.resource {
            Some(resource) => decided(estate, member, instead, &verb, resource) != Truth::No,
            None => somewhere(estate, member, instead, &verb),
        };
        replayed += call.count;
        if may(None) && !may(Some(&instead)) {
            refused.insert(format!("{} on {}", call.action, call.resource.as_deref().unwrap_or("*")));
        }
    }
    Proposal { document: Arc::unwrap_or_clone(document), replayed, refused }
}
