//! What to take away so that nobody escalates.
//!
//! A cut takes one action from one statement. Cuts are chosen greedily: each time the one that breaks
//! most of the paths that are told. Then the snapshot is walked again, because behind a path there may be
//! another one; what is left at the end was walked for, not concluded. At last, cuts that can be spared are
//! taken back, one by one. That none can be spared is no proof of the fewest: paths that share no cut prove
//! how many are needed at least.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use weft_model::access::Effect;
use weft_model::entitlement::{Cause, Layer};

use super::compile::{Policy, Verb};
use super::escalation::{ADMINISTRATOR, Escalation, Explorer, Hop};
use super::estate::Estate;

/// Cuts times principals up to which it is tried whether cuts can be spared: each try is a walk of its own.
const SPARED_MAX: usize = 500_000;

/// An action that is taken from a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cut {
    /// Who holds the policy, where it is nobody else's: a principal or a group. Empty for a policy that has a
    /// full name of its own: then it is taken from all who hold it.
    pub holder: String,
    /// Policy.
    pub policy: String,
    /// Statement.
    pub statement: String,
    /// Action.
    pub action: String,
}

/// Cuts, and what they leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remedy {
    /// The cuts in the order in which they were chosen, each with the paths that it broke.
    pub cuts: Vec<(Cut, usize)>,
    /// Principals that reached an administrator before, by account of the administrator.
    pub before: usize,
    /// Paths that are there still.
    pub left: Vec<Escalation>,
    /// So many cuts are needed at least to break all paths that were there before.
    pub needed: usize,
    /// Whether it was tried that none of the cuts can be spared.
    pub tried: bool,
}

/// Chooses cuts, `most` at most, until nobody reaches an administrator who is none.
pub fn remedy(estate: &Estate, most: usize) -> Remedy {
    let mut remedy = Remedy { left: paths(estate), ..Remedy::default() };
    remedy.before = remedy.left.len();
    let mut cut = estate.clone();
    while !remedy.left.is_empty() && remedy.cuts.len() < most {
        let ways: Vec<BTreeSet<Cut>> = remedy.left.iter().map(|path| breaking(&cut, path)).collect();
        if remedy.cuts.is_empty() {
            remedy.needed = apart(&ways);
        }
        let chosen = choose(&ways, most - remedy.cuts.len());
        if chosen.is_empty() {
            break;
        }
        chosen.iter().for_each(|(one, _)| cut.cut(one));
        remedy.cuts.extend(chosen);
        remedy.left = paths(&cut);
    }
    remedy.tried = remedy.left.is_empty() && remedy.cuts.len().saturating_mul(estate.members.len()) <= SPARED_MAX;
    if remedy.tried {
        spare(estate, &mut remedy.cuts);
    }
    remedy
}

/// Takes back, the last first, each cut without which nobody escalates either.
fn spare(estate: &Estate, cuts: &mut Vec<(Cut, usize)>) {
    for place in (0..cuts.len()).rev() {
        let mut trial = estate.clone();
        let others = cuts.iter().enumerate().filter(|(other, _)| *other != place);
        others.for_each(|(_, (cut, _))| trial.cut(cut));
        if !Explorer::new(&trial).all().any(|one| is_path(&one)) {
            cuts.remove(place);
        }
    }
}

fn is_path(one: &Escalation) -> bool {
    one.reaches == ADMINISTRATOR && !one.hops.is_empty()
}

fn paths(estate: &Estate) -> Vec<Escalation> {
    Explorer::new(estate).all().filter(is_path).collect()
}

/// Cuts that break a path: one of the permissions that it is made of.
fn breaking(estate: &Estate, path: &Escalation) -> BTreeSet<Cut> {
    let mut cuts = BTreeSet::new();
    for hop in &path.hops {
        for cause in hop.statements.iter().filter(|cause| cause.effect == Effect::Permit) {
            let holder = holder(estate, hop, cause);
            cuts.extend(hop.actions.iter().filter_map(|action| {
                let cut = Cut { holder: holder.clone(), policy: cause.policy.clone(), statement: cause.statement.clone(), action: action.clone() };
                estate.has(&cut).then_some(cut)
            }));
        }
    }
    cuts
}

/// Who holds the policy of a cause alone; nobody, when it has a full name.
fn holder(estate: &Estate, hop: &Hop, cause: &Cause) -> String {
    if cause.layer == Layer::Resource {
        return hop.to.clone();
    }
    if cause.policy.contains(':') {
        return String::new();
    }
    let own = |name: &String| estate.member(name).is_some_and(|member| member.identity.iter().any(|policy| policy.name == cause.policy));
    if own(&hop.from) {
        return hop.from.clone();
    }
    let groups = estate.member(&hop.from).map(|member| member.principal.groups.as_slice()).unwrap_or_default();
    let has = |team: &&super::estate::Team| team.policies.iter().any(|policy| policy.name == cause.policy);
    let of = estate.teams.iter().filter(has).max_by_key(|team| groups.contains(&team.name));
    of.map(|team| team.name.clone()).unwrap_or_default()
}

/// How many paths there are that share no cut with each other, at least.
fn apart(ways: &[BTreeSet<Cut>]) -> usize {
    let mut taken: BTreeSet<&Cut> = BTreeSet::new();
    let mut shortest: Vec<&BTreeSet<Cut>> = ways.iter().filter(|way| !way.is_empty()).collect();
    shortest.sort_by_key(|way| way.len());
    let mut count = 0;
    for way in shortest {
        if way.iter().all(|cut| !taken.contains(cut)) {
            taken.extend(way);
            count += 1;
        }
    }
    count
}

/// Each time the cut that breaks most of the paths that are not broken yet.
fn choose(ways: &[BTreeSet<Cut>], most: usize) -> Vec<(Cut, usize)> {
    let mut by_cut: BTreeMap<&Cut, BTreeSet<usize>> = BTreeMap::new();
    for (path, way) in ways.iter().enumerate() {
        way.iter().for_each(|cut| {
            by_cut.entry(cut).or_default().insert(path);
        });
    }
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let best = by_cut.iter().max_by(|(a, broken), (b, more)| broken.len().cmp(&more.len()).then(b.cmp(a)));
        let Some((cut, broken)) = best.filter(|(_, broken)| !broken.is_empty()).map(|(cut, broken)| (*cut, broken.clone())) else { break };
        for path in &broken {
            for other in ways.get(*path).into_iter().flatten() {
                by_cut.get_mut(other).into_iter().for_each(|paths| {
                    paths.remove(path);
                });
            }
        }
        chosen.push((cut.clone(), broken.len()));
    }
    chosen
}

impl Estate {
    /// Policies that a cut is about.
    fn holds<'a>(cut: &'a Cut, holder: &'a str) -> impl Fn(&&mut Arc<Policy>) -> bool + 'a {
        move |policy| policy.name == cut.policy && (cut.holder.is_empty() || cut.holder == holder)
    }

    /// Whether there is something to cut: an action that the catalogue knows, which the statement permits.
    fn has(&self, cut: &Cut) -> bool {
        let verb = Verb::of(&self.provider.catalogue, &cut.action);
        if verb.number.is_none() {
            return false;
        }
        let fits = |policy: &Arc<Policy>| {
            policy.name == cut.policy
                && policy.statements.iter().any(|statement| statement.permits && statement.id == cut.statement && statement.covers(verb.action()))
        };
        let mine = |name: &str| cut.holder.is_empty() || cut.holder == name;
        let member = |member: &super::estate::Member| mine(&member.principal.name) && member.identity.iter().chain(&member.trust).any(fits);
        let team = |team: &super::estate::Team| mine(&team.name) && team.policies.iter().any(fits);
        if cut.holder.is_empty() {
            return self.members.iter().any(member) || self.teams.iter().any(team);
        }
        self.member(&cut.holder).is_some_and(member) || self.teams.iter().any(team)
    }

    /// Takes an action from a statement.
    fn cut(&mut self, cut: &Cut) {
        let number = self.provider.catalogue.number(&cut.action);
        let narrow = |policy: &mut Arc<Policy>| {
            let statements = policy.statements.iter().cloned().map(|mut statement| {
                if let Some(number) = number.filter(|_| statement.permits && statement.id == cut.statement) {
                    statement.known = statement.known.without(number);
                }
                statement
            });
            *policy = Arc::new(Policy { name: policy.name.clone(), statements: statements.collect() });
        };
        for member in &mut self.members {
            let holds = Self::holds(cut, &member.principal.name);
            member.identity.iter_mut().chain(&mut member.trust).filter(&holds).for_each(narrow);
        }
        for team in &mut self.teams {
            team.policies.iter_mut().filter(Self::holds(cut, &team.name)).for_each(narrow);
        }
        for member in &mut self.members {
            let teams = self.teams.iter().filter(|team| member.principal.groups.contains(&team.name));
            member.groups = teams.flat_map(|team| team.policies.iter().cloned()).collect();
        }
    }
}
