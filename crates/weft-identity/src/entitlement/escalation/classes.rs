//! Principals for whom an action is decided alike, whatever it is on.
//!
//! Two principals are of one class for an action when the statements about it that hold them say the
//! same, and whatever those look at of the principal is the same. What a resource's own policy says of
//! a principal by its name is not in the class; whoever asks takes care of it.

use std::rc::Rc;

use hashbrown::HashMap;
use weft_model::entitlement::{Condition, PrincipalKind};

use super::super::compile::{Compiled, Policy, Verb};
use super::super::condition::holds;
use super::super::context::{Circumstances, Known};
use super::super::estate::{Estate, Member, Strength};

/// Number of an action among those that are asked for.
pub(super) type VerbId = u32;
/// Number of a class.
pub(super) type ClassId = u32;

/// Stands between the parts of a key, and for what is not there.
const APART: u32 = u32::MAX;
/// Stands for a statement that permits everything, beside which no other counts.
const EVERYTHING: u32 = u32::MAX - 1;
/// Facets that take in more than a statement's text are numbered from here.
const FACETS: u32 = 1 << 31;
/// What a condition comes to when it looks at nothing of the principal's.
const OPEN: u32 = 3;

/// What all of a class have in common.
pub(super) struct Class<'e> {
    /// No statement about the action has a condition or a variable.
    pub(super) plain: bool,
    /// Something forbids it on everything.
    pub(super) nothing: bool,
    /// Patterns of resources that its own policies permit; none when that is not told by patterns.
    pub(super) patterns: Option<Vec<&'e str>>,
}

/// The limits of an account that have conditions, and whether there are some.
type Conditioned<'e> = Rc<[&'e Compiled]>;

/// Finds classes.
pub(super) struct Classes<'e> {
    estate: &'e Estate,
    accounts: HashMap<&'e str, u32>,
    facets: HashMap<Vec<u32>, u32>,
    values: HashMap<String, u32>,
    covering: HashMap<(*const Policy, VerbId), Rc<[&'e Compiled]>>,
    limits: HashMap<(u32, VerbId), Conditioned<'e>>,
    resource_limits: HashMap<VerbId, Conditioned<'e>>,
    ids: HashMap<Vec<u32>, ClassId>,
    classes: Vec<Class<'e>>,
}

impl<'e> Classes<'e> {
    pub(super) fn new(estate: &'e Estate) -> Self {
        let (accounts, facets, values, covering, limits, resource_limits, ids, classes) = Default::default();
        Self { estate, accounts, facets, values, covering, limits, resource_limits, ids, classes }
    }

    pub(super) fn get(&self, class: ClassId) -> Option<&Class<'e>> {
        self.classes.get(class as usize)
    }

    /// The class of a principal for an action. With `absorb`, statements beside one that permits
    /// everything do not tell classes apart.
    pub(super) fn of(&mut self, (member, strength): (&'e Member, Strength), (id, verb): (VerbId, &Verb), absorb: bool) -> ClassId {
        let estate = self.estate;
        let joined = estate.joined(strength);
        let own: Vec<&'e Compiled> =
            member.identity.iter().chain(&member.groups).chain(joined).flat_map(|policy| self.covering(policy, id, verb).to_vec()).collect();
        let bounds: Option<Vec<&'e Compiled>> = member
            .boundary
            .as_ref()
            .filter(|_| strength.is_bounded())
            .map(|boundary| boundary.iter().flat_map(|policy| self.covering(policy, id, verb).to_vec()).collect());
        let (limits, resource_limits) =
            if member.principal.exempt { Default::default() } else { (self.limits(member, id, verb), self.resource_limits(id, verb)) };
        let account = self.account(&member.principal.account);
        let kind = u32::from(member.principal.kind == PrincipalKind::User);
        let mut key = vec![account, kind, u32::from(member.principal.exempt), u32::from(strength.permits_all())];
        let open = |statement: &&Compiled| statement.permits && statement.every_resource && statement.is_plain();
        if !strength.permits_all() && absorb && own.iter().any(open) {
            key.push(EVERYTHING);
        } else if !strength.permits_all() || !absorb {
            self.add(&mut key, own.iter().copied().filter(|statement| statement.permits), member);
        }
        key.push(APART);
        self.add(&mut key, own.iter().copied().filter(|statement| !statement.permits), member);
        for others in [bounds.as_deref().unwrap_or(&[]), &limits, &resource_limits] {
            key.push(APART);
            self.add(&mut key, others.iter().copied(), member);
        }
        key.push(u32::from(bounds.is_some()));
        if let Some(known) = self.ids.get(&key) {
            return *known;
        }
        let all = || own.iter().chain(bounds.iter().flatten());
        let class = Class {
            plain: limits.is_empty() && resource_limits.is_empty() && all().all(|statement| statement.is_plain()),
            nothing: all().any(|statement| !statement.permits && statement.every_resource && statement.is_plain()),
            patterns: if strength.permits_all() { None } else { patterns(&own) },
        };
        let number = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.classes.push(class);
        self.ids.insert(key, number);
        number
    }

    fn account(&mut self, account: &'e str) -> u32 {
        let next = u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        *self.accounts.entry(account).or_insert(next)
    }

    /// Statements of a policy that are about an action.
    fn covering(&mut self, policy: &'e Policy, id: VerbId, verb: &Verb) -> Rc<[&'e Compiled]> {
        let covers = || policy.statements.iter().filter(|statement| statement.covers(verb.action())).collect();
        Rc::clone(self.covering.entry((std::ptr::from_ref(policy), id)).or_insert_with(covers))
    }

    fn limits(&mut self, member: &'e Member, id: VerbId, verb: &Verb) -> Conditioned<'e> {
        let account = self.account(&member.principal.account);
        let levels = self.estate.limits.get(&member.principal.account).map(|limits| limits.principals.as_slice()).unwrap_or_default();
        Rc::clone(self.limits.entry((account, id)).or_insert_with(|| conditioned(levels.iter(), verb)))
    }

    /// Those of all accounts: the class holds wherever the resource is.
    fn resource_limits(&mut self, id: VerbId, verb: &Verb) -> Conditioned<'e> {
        let estate = self.estate;
        let levels = || estate.limits.values().flat_map(|limits| &limits.resources);
        Rc::clone(self.resource_limits.entry(id).or_insert_with(|| conditioned(levels(), verb)))
    }

    /// Adds what statements come to for a principal.
    fn add(&mut self, key: &mut Vec<u32>, statements: impl Iterator<Item = &'e Compiled>, member: &Member) {
        let mut facets: Vec<u32> = statements.map(|statement| self.facet(statement, member)).collect();
        facets.sort_unstable();
        facets.dedup();
        key.append(&mut facets);
    }

    fn facet(&mut self, statement: &Compiled, member: &Member) -> u32 {
        if statement.is_plain() {
            return statement.core;
        }
        let mut key = vec![statement.core];
        for condition in &statement.conditions {
            key.push(self.settled(condition, statement, member));
        }
        let texts = statement.conditions.iter().flat_map(|condition| &condition.values).chain(&statement.resources.patterns);
        for text in texts.filter(|_| statement.variables) {
            for name in variables(text) {
                let value = self.value(&member.base, &name);
                key.push(value);
            }
        }
        let next = FACETS + u32::try_from(self.facets.len()).unwrap_or(u32::MAX >> 2);
        *self.facets.entry(key).or_insert(next)
    }

    /// What a condition comes to, as far as it looks at the principal.
    fn settled(&mut self, condition: &Condition, statement: &Compiled, member: &Member) -> u32 {
        let filled = statement.variables && condition.values.iter().any(|value| value.contains("${"));
        match member.base.get(&condition.key) {
            Known::Unknown | Known::Chosen => OPEN,
            // With variables, the value itself tells classes apart.
            _ if filled => FACETS + self.value(&member.base, &condition.key),
            _ => holds(condition, &member.base, statement.variables, statement.permits) as u32,
        }
    }

    fn value(&mut self, base: &Circumstances, key: &str) -> u32 {
        let next = u32::try_from(self.values.len()).unwrap_or(u32::MAX >> 2);
        *self.values.entry(format!("{:?}", base.get(key))).or_insert(next)
    }
}

fn conditioned<'e>(levels: impl Iterator<Item = &'e Vec<std::sync::Arc<Policy>>>, verb: &Verb) -> Conditioned<'e> {
    let statements = levels.flatten().flat_map(|policy| &policy.statements);
    statements.filter(|statement| !statement.is_plain() && statement.covers(verb.action())).collect()
}

/// Keys of the variables in a text, in lower case.
pub(super) fn variables(text: &str) -> impl Iterator<Item = String> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    names.map(|name| name.split(',').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn patterns<'e>(own: &[&'e Compiled]) -> Option<Vec<&'e str>> {
    let mut patterns: Vec<&'e str> = Vec::new();
    for statement in own.iter().filter(|statement| statement.permits) {
        if statement.every_resource || statement.resources.negated || statement.has_variables() {
            return None;
        }
        patterns.extend(statement.resources.patterns.iter().map(String::as_str));
    }
    patterns.sort_unstable();
    patterns.dedup();
    Some(patterns)
}
