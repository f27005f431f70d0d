//! On which targets a principal may do what a capability needs: asked once for each class of principals.

use std::rc::Rc;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use weft_model::entitlement::{Caller, Match, PrincipalPattern, Truth};

use super::super::compile::{Policy, Verb};
use super::super::context::Circumstances;
use super::super::estate::{Estate, Member};
use super::super::rules::{FactSource, Need};
use super::classes::{ClassId, Classes, VerbId, variables};
use super::targets::{Bitset, NOTHING, SetId, Sets, Space, TargetId};
use super::{Node, apply};

/// Number of a request: an action with what it carries.
pub(super) type RequestId = u32;
/// Number of a universe.
pub(super) type UniverseId = u32;

/// An action with what its request carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Request {
    verb: VerbId,
    with: Vec<(String, Option<String>)>,
    boundary_key: Option<String>,
    /// On this alone.
    at: Option<String>,
}

/// Targets that a question goes over, in order.
struct Universe {
    list: Rc<[TargetId]>,
    has: Bitset,
    /// For actions on things, and for assuming: see [`Particular`].
    direct: [Rc<[TargetId]>; 2],
    personal: [Rc<[TargetId]>; 2],
}

/// Targets with a policy of their own.
#[derive(Default)]
struct Particular<'e> {
    any: Bitset,
    /// It may permit whoever it does not name, without more.
    direct: Bitset,
    /// It looks at who asks otherwise than by name.
    personal: Bitset,
    named: HashMap<&'e str, Vec<TargetId>>,
}

/// A principal that questions are about.
pub(super) struct Who<'e> {
    pub(super) node: Node,
    pub(super) member: &'e Member,
    /// The same without its name: what policies say to anybody of its class.
    twin: Caller,
    classes: HashMap<(VerbId, bool), ClassId>,
}

/// Answers, remembered by class.
pub(super) struct Asks<'e> {
    estate: &'e Estate,
    pub(super) space: Space<'e>,
    pub(super) sets: Sets,
    classes: Classes<'e>,
    verbs: Vec<Verb>,
    requests: Vec<Request>,
    request_ids: HashMap<Request, RequestId>,
    verb_ids: HashMap<String, VerbId>,
    universes: Vec<Universe>,
    /// Things, and roles that are assumed.
    particular: [Particular<'e>; 2],
    answers: HashMap<(ClassId, RequestId, UniverseId), SetId>,
    somewhere: HashMap<(ClassId, RequestId), bool>,
}

impl<'e> Asks<'e> {
    pub(super) fn new(estate: &'e Estate) -> Self {
        let space = Space::new(estate);
        let mut particular: [Particular<'e>; 2] = Default::default();
        let personal: Vec<String> = personal_keys(estate);
        for (target, what) in space.all() {
            let around = estate.around(&what.name);
            let thing = around.thing.map(|thing| thing.policy.as_slice());
            let trust = around.trust.or(thing);
            for (policies, into) in [thing, trust].into_iter().zip(&mut particular) {
                into.add(target, policies.unwrap_or_default(), &personal);
            }
        }
        Self {
            estate,
            space,
            sets: Sets::default(),
            classes: Classes::new(estate),
            particular,
            verbs: Vec::new(),
            requests: Vec::new(),
            request_ids: HashMap::new(),
            verb_ids: HashMap::new(),
            universes: Vec::new(),
            answers: HashMap::new(),
            somewhere: HashMap::new(),
        }
    }

    pub(super) fn who(&self, node: Node, member: &'e Member) -> Who<'e> {
        let twin = Caller { name: String::new(), id: None, ..member.caller.clone() };
        Who { node, member, twin, classes: HashMap::new() }
    }

    /// Number of the request for an action, with nothing that it carries.
    pub(super) fn bare(&mut self, action: &str) -> RequestId {
        self.request(Request { verb: 0, with: Vec::new(), boundary_key: None, at: None }, action)
    }

    /// Numbers of the requests of which one meets a need.
    pub(super) fn meeting(&mut self, need: &Need, service: Option<&str>) -> Rc<[RequestId]> {
        let with = super::ways::carried(need, None, service);
        let carrying = || Request { verb: 0, with: with.clone(), boundary_key: need.boundary_key.clone(), at: need.at.clone() };
        need.action.iter().map(|action| self.request(carrying(), action)).collect()
    }

    fn request(&mut self, request: Request, action: &str) -> RequestId {
        let next = u32::try_from(self.verbs.len()).unwrap_or(u32::MAX);
        let verbs = &mut self.verbs;
        let verb = *self.verb_ids.entry(action.to_ascii_lowercase()).or_insert_with(|| {
            verbs.push(Verb::of(&self.estate.provider.catalogue, action));
            next
        });
        let request = Request { verb, ..request };
        let next = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let requests = &mut self.requests;
        *self.request_ids.entry(request).or_insert_with_key(|request| {
            requests.push(request.clone());
            next
        })
    }

    /// Targets to ask about, in the order of their numbers.
    pub(super) fn universe(&mut self, mut list: Vec<TargetId>) -> UniverseId {
        list.sort_unstable();
        list.dedup();
        let has = Bitset::of(&list);
        let among = |of: &Bitset| -> Rc<[TargetId]> { list.iter().copied().filter(|target| of.has(*target)).collect() };
        let [things, roles] = &self.particular;
        let direct = [among(&things.direct), among(&roles.direct)];
        let personal = [among(&things.personal), among(&roles.personal)];
        self.universes.push(Universe { list: list.into(), has, direct, personal });
        u32::try_from(self.universes.len() - 1).unwrap_or(u32::MAX)
    }

    /// All of a universe.
    pub(super) fn all(&mut self, universe: UniverseId) -> SetId {
        let list = self.universes.get(universe as usize).map(|universe| universe.list.to_vec()).unwrap_or_default();
        self.sets.number(list)
    }

    /// Targets of a universe on which a request is permitted, in its order.
    pub(super) fn on(&mut self, who: &mut Who<'e>, request: RequestId, universe: UniverseId) -> SetId {
        let Some(asked) = self.requests.get(request as usize).cloned() else { return NOTHING };
        let class = self.class(who, asked.verb, true);
        let alike = match self.answers.get(&(class, request, universe)) {
            Some(known) => *known,
            None => {
                let found = self.of_class(who, class, &asked, universe);
                self.answers.insert((class, request, universe), found);
                found
            }
        };
        let special = self.special(who, &asked, universe);
        if special.is_empty() {
            return alike;
        }
        let mine: HashSet<TargetId> = special.iter().copied().filter(|target| self.may(who, &who.member.caller, &asked, *target, false)).collect();
        let (special, alike) = (Bitset::of(&special), Bitset::of(&self.sets.get(alike)));
        let list = self.universes.get(universe as usize).map(|universe| Rc::clone(&universe.list)).unwrap_or_default();
        let has = |target: &TargetId| if special.has(*target) { mine.contains(target) } else { alike.has(*target) };
        self.sets.number(list.iter().copied().filter(has).collect())
    }

    /// Whether a request is permitted on one target.
    pub(super) fn one(&self, who: &Who<'e>, request: RequestId, target: TargetId) -> bool {
        self.requests.get(request as usize).is_some_and(|asked| self.may(who, &who.member.caller, asked, target, false))
    }

    /// Targets whose own policies look at who asks: named, or by what is known of it.
    fn special(&self, who: &Who<'e>, asked: &Request, universe: UniverseId) -> Vec<TargetId> {
        let kind = usize::from(self.assumes(asked.verb));
        let (Some(universe), Some(particular)) = (self.universes.get(universe as usize), self.particular.get(kind)) else { return Vec::new() };
        let mut special = universe.personal.get(kind).map(|personal| personal.to_vec()).unwrap_or_default();
        let names = [Some(who.member.principal.name.as_str()), who.member.principal.id.as_deref()];
        for name in names.into_iter().flatten() {
            special.extend(particular.named.get(name).into_iter().flatten().copied().filter(|target| universe.has.has(*target)));
        }
        special
    }

    fn class(&mut self, who: &mut Who<'e>, verb: VerbId, absorb: bool) -> ClassId {
        let (classes, verbs) = (&mut self.classes, &self.verbs);
        let (member, strength) = (who.member, who.node.1);
        let find = || verbs.get(verb as usize).map(|named| classes.of((member, strength), (verb, named), absorb)).unwrap_or(ClassId::MAX);
        *who.classes.entry((verb, absorb)).or_insert_with(find)
    }

    fn assumes(&self, verb: VerbId) -> bool {
        self.verbs.get(verb as usize).is_some_and(|verb| self.estate.assumes(&verb.name))
    }

    /// What holds for everybody of a class whom the targets' own policies do not look at.
    fn of_class(&mut self, who: &Who<'e>, class: ClassId, asked: &Request, universe: UniverseId) -> SetId {
        let kind = usize::from(self.assumes(asked.verb));
        let (Some(class), Some(universe)) = (self.classes.get(class), self.universes.get(universe as usize)) else { return NOTHING };
        if class.nothing {
            return NOTHING;
        }
        let plain = class.plain;
        let mut found: Vec<TargetId> = match &class.patterns {
            None => universe.list.to_vec(),
            Some(patterns) => {
                let mut near: Vec<TargetId> = universe.direct.get(kind).map(|direct| direct.to_vec()).unwrap_or_default();
                for pattern in patterns {
                    near.extend(self.space.fitting(pattern).iter().copied().filter(|target| universe.has.has(*target)));
                }
                near.sort_unstable();
                near.dedup();
                near
            }
        };
        found.retain(|target| self.may(who, &who.twin, asked, *target, plain));
        self.sets.number(found)
    }

    /// Whether a request on a target is permitted. `plain` says that no statement but the target's own has
    /// conditions.
    fn may(&self, who: &Who<'e>, caller: &Caller, asked: &Request, target: TargetId, plain: bool) -> bool {
        let (Some(verb), Some(what)) = (self.verbs.get(asked.verb as usize), self.space.get(target)) else { return false };
        let particular = self.particular.get(usize::from(self.estate.assumes(&verb.name))).is_some_and(|particular| particular.any.has(target));
        let at = if plain && !particular {
            Circumstances::over(&who.member.base)
        } else {
            let mut at = self.estate.circumstances(who.member, &what.name);
            apply(&mut at, &asked.with);
            if let (Some(key), Some(bounded)) = (&asked.boundary_key, what.bounded.and_then(|place| self.estate.members.get(place))) {
                apply(&mut at, &[(key.clone(), bounded.principal.boundary.as_ref().map(|boundary| boundary.name.clone()))]);
            }
            at
        };
        self.estate.permits(caller, (who.member, who.node.1), verb, &what.name, &at) == Truth::Yes
    }

    /// Whether a need is met on some resource that the principal's policies leave open.
    pub(super) fn somewhere(&mut self, who: &mut Who<'e>, requests: &[RequestId]) -> bool {
        requests.iter().any(|request| self.is_somewhere(who, *request))
    }

    fn is_somewhere(&mut self, who: &mut Who<'e>, request: RequestId) -> bool {
        let Some(asked) = self.requests.get(request as usize).cloned() else { return false };
        let class = self.class(who, asked.verb, false);
        if let Some(known) = self.somewhere.get(&(class, request)) {
            return *known;
        }
        let Some(verb) = self.verbs.get(asked.verb as usize) else { return false };
        let estate = self.estate;
        let candidates = match &asked.at {
            Some(name) => vec![name.clone()],
            None => estate.candidates(who.member, who.node.1, verb.action()),
        };
        // A resource with a policy of its own may look at who asks: then the answer is for this one alone.
        let assumes = estate.assumes(&verb.name);
        let particular = candidates.iter().map(|name| estate.around(name)).any(|around| around.thing.is_some() || (assumes && around.trust.is_some()));
        let plain = !particular && self.classes.get(class).is_some_and(|class| class.plain);
        let at = if plain {
            Circumstances::over(&who.member.base)
        } else {
            let mut at = estate.circumstances(who.member, "*");
            apply(&mut at, &asked.with);
            at
        };
        let found = candidates.iter().any(|name| estate.permits(&who.member.caller, (who.member, who.node.1), verb, name, &at) == Truth::Yes);
        if !particular {
            self.somewhere.insert((class, request), found);
        }
        found
    }
}

impl<'e> Particular<'e> {
    fn add(&mut self, target: TargetId, policies: &'e [Arc<Policy>], personal: &[String]) {
        for statement in policies.iter().flat_map(|policy| &policy.statements) {
            self.any.insert(target);
            let anyone = |principals: &Match<PrincipalPattern>| principals.negated || principals.patterns.contains(&PrincipalPattern::Anyone);
            if statement.permits && statement.principals.as_ref().is_none_or(anyone) {
                self.direct.insert(target);
            }
            let keys = statement.conditions.iter().map(|condition| condition.key.clone());
            let texts = statement.conditions.iter().flat_map(|condition| &condition.values).chain(&statement.resources.patterns);
            let filled = texts.filter(|_| statement.variables).flat_map(|text| variables(text));
            if keys.chain(filled).any(|key| personal.iter().any(|known| key == *known || (known.ends_with('/') && key.starts_with(known.as_str())))) {
                self.personal.insert(target);
            }
            for pattern in statement.principals.iter().flat_map(|principals| &principals.patterns) {
                if let PrincipalPattern::Named(name) | PrincipalPattern::Federated(name) = pattern {
                    self.named.entry(name).or_default().push(target);
                }
            }
        }
    }
}

/// Condition keys that differ between principals of one account and kind, in lower case.
fn personal_keys(estate: &Estate) -> Vec<String> {
    let is_personal = |from| matches!(from, FactSource::Principal | FactSource::UserShort | FactSource::UserId | FactSource::PrincipalTags);
    estate.provider.rules.facts.iter().filter(|fact| is_personal(fact.from)).map(|fact| fact.key.to_ascii_lowercase()).collect()
}
