//! What whoever is at a node can do: become others, make others stronger, take what is worth taking.

use std::rc::Rc;

use hashbrown::HashMap;
use weft_model::entitlement::PrincipalKind;

use super::super::compile::{Action, Policy};
use super::super::estate::{Estate, Member, Strength};
use super::super::rules::{Capability, Gain, Need, Target};
use super::asks::{Asks, RequestId, UniverseId, Who};
use super::targets::{Bitset, NOTHING, SetId, TargetId};
use super::{Assumable, Node};

/// Those that one capability lets whoever is at a node become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) via: Via,
    pub(super) set: SetId,
}

/// By what somebody becomes somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Via {
    /// By assuming a role.
    Assume,
    /// By a capability, by its place, for a service of it by its place.
    Capability(usize, Option<usize>),
    /// By a capability that makes the target stronger.
    Strengthen(usize, Strength),
}

/// Those that one capability lets whoever is at a node make stronger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) capability: usize,
    pub(super) strength: Strength,
    pub(super) set: SetId,
}

/// What whoever is at a node can do.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) administrator: bool,
    pub(super) become_one: Vec<Group>,
    pub(super) strengthen: Vec<Way>,
}

/// A list of targets that depends on the account, remembered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Among<'e> {
    Kind(&'e str, bool),
    Service(&'e str, &'e str, bool),
    Policies,
    Groups,
    Assumable(&'e str),
    Carriers(usize),
    Carried(usize),
    Prizes(&'e str),
}

/// A need with the requests that meet it, by the service that a role is passed to (none first).
struct Ask {
    on: Target,
    requests: Vec<Rc<[RequestId]>>,
}

impl Ask {
    fn requests(&self, service: Option<usize>) -> Rc<[RequestId]> {
        let place = service.map_or(0, |service| service + 1);
        self.requests.get(place).map(Rc::clone).unwrap_or_default()
    }
}

/// Finds what nodes can do.
pub(super) struct Finder<'e> {
    pub(super) estate: &'e Estate,
    pub(super) asks: Asks<'e>,
    by_service: HashMap<&'e str, Vec<usize>>,
    assumable: Assumable<'e>,
    /// By capability.
    needs: Vec<Rc<[Ask]>>,
    /// For each capability and each of its needs, the actions of which one suffices.
    wanted: Vec<Vec<Bitset>>,
    /// Actions that a policy permits on anything at all.
    permits: HashMap<*const Policy, Rc<Bitset>>,
    actions: Vec<String>,
    assume: RequestId,
    prizes: Vec<(&'e str, RequestId)>,
    among: HashMap<Among<'e>, UniverseId>,
    /// By account and set of names: those principals that they strengthen.
    pub(super) editable: HashMap<(&'e str, SetId), SetId>,
    pub(super) in_groups: HashMap<(&'e str, SetId), SetId>,
    pub(super) outside: HashMap<usize, SetId>,
    pub(super) carriers: HashMap<usize, Rc<[(TargetId, TargetId)]>>,
    pub(super) carried: HashMap<(usize, SetId, SetId), SetId>,
}

impl<'e> Finder<'e> {
    pub(super) fn new(estate: &'e Estate, by_service: HashMap<&'e str, Vec<usize>>, assumable: Assumable<'e>) -> Self {
        let mut asks = Asks::new(estate);
        let rules = &estate.provider.rules;
        let mut actions: Vec<String> = Vec::new();
        let mut wanted = Vec::new();
        let mut needs = Vec::new();
        for capability in &rules.capability {
            let sets = capability.needs.iter().map(|need| Bitset::of(&need.action.iter().map(|action| place_of(&mut actions, action)).collect::<Vec<_>>()));
            wanted.push(sets.collect());
            let services = || std::iter::once(None).chain(capability.services.iter().map(|service| Some(service.as_str())));
            let mut ask = |need: &Need| Ask { on: need.on, requests: services().map(|service| asks.meeting(need, service)).collect() };
            needs.push(capability.needs.iter().map(&mut ask).collect());
        }
        // What administrators may is told apart as well.
        rules.administrator.iter().for_each(|action| {
            place_of(&mut actions, action);
        });
        let assume = asks.bare(&rules.assume);
        let worth = |prize: &&super::super::rules::Prize| estate.things.iter().any(|thing| thing.resource.kind == prize.kind);
        let prizes = rules.prizes.iter().filter(worth).map(|prize| (prize.kind.as_str(), asks.bare(&prize.action))).collect();
        let (permits, among, editable, in_groups, outside, carriers, carried) = Default::default();
        Self { estate, asks, by_service, assumable, needs, wanted, permits, actions, assume, prizes, among, editable, in_groups, outside, carriers, carried }
    }

    /// Whether there is something worth reaching at all.
    pub(super) fn has_prizes(&self) -> bool {
        !self.prizes.is_empty()
    }

    /// What whoever is at a node can do.
    pub(super) fn info(&mut self, node: Node) -> Info {
        let estate = self.estate;
        let Some(member) = estate.members.get(node.0) else { return Info::default() };
        let administrator = estate.is_administrator(member, node.1);
        let mut who = self.asks.who(node, member);
        let (become_one, strengthen) = self.able(node, member);
        let mut info = Info { administrator, ..Info::default() };
        if !administrator {
            info.become_one = self.groups(&mut who, &become_one);
        }
        for place in strengthen {
            self.ways(&mut who, place, &mut info.strengthen);
        }
        info.strengthen.retain(|way| way.set != NOTHING);
        info
    }

    /// Resources worth reaching that whoever is at a node can take, by their place.
    pub(super) fn prizes(&mut self, node: Node) -> SetId {
        let estate = self.estate;
        let Some(member) = estate.members.get(node.0) else { return NOTHING };
        let mut who = self.asks.who(node, member);
        let mut sets = Vec::new();
        for (kind, request) in self.prizes.clone() {
            let list = || estate.things.iter().enumerate().filter(move |(_, thing)| thing.resource.kind == kind).map(|(place, _)| place);
            let universe = self.among(Among::Prizes(kind), |finder| list().map(|place| finder.asks.space.prize(place)).collect());
            sets.push(self.asks.on(&mut who, request, universe));
        }
        self.asks.sets.union(sets)
    }

    /// How many resources worth reaching somebody could take, however strong: nobody takes more.
    pub(super) fn takeable(&mut self) -> usize {
        if !self.has_prizes() {
            return 0;
        }
        let sets: std::collections::BTreeSet<SetId> = (0..self.estate.members.len()).map(|place| self.prizes((place, Strength::Free))).collect();
        let all = self.asks.sets.union(sets.into_iter().collect());
        self.asks.sets.get(all).len()
    }

    /// Capabilities whose actions the principal's policies name at all: those by which it becomes
    /// somebody, and those by which it makes somebody stronger.
    fn able(&mut self, node: Node, member: &'e Member) -> (Vec<usize>, Vec<usize>) {
        let mut named = Bitset::default();
        for policy in member.identity.iter().chain(&member.groups).chain(self.estate.joined(node.1)) {
            named.add(&self.permits(policy));
        }
        let could = |(place, _): &(usize, &Capability)| {
            node.1.permits_all() || self.wanted.get(*place).is_some_and(|needs| needs.iter().all(|actions| actions.meets(&named)))
        };
        let able = self.estate.provider.rules.capability.iter().enumerate().filter(could);
        let (become_one, strengthen): (Vec<_>, Vec<_>) = able.partition(|(_, capability)| capability.gains.becomes());
        let places = |of: Vec<(usize, &Capability)>| of.into_iter().map(|(place, _)| place).collect();
        (places(become_one), places(strengthen))
    }

    fn permits(&mut self, policy: &Policy) -> Rc<Bitset> {
        let (estate, actions) = (self.estate, &self.actions);
        let find = || {
            let mut permits = Bitset::default();
            for (place, action) in (0..).zip(actions) {
                if policy.names(Action::of(&estate.provider.catalogue, action), true) {
                    permits.insert(place);
                }
            }
            Rc::new(permits)
        };
        Rc::clone(self.permits.entry(std::ptr::from_ref(policy)).or_insert_with(find))
    }

    pub(super) fn among(&mut self, key: Among<'e>, list: impl FnOnce(&Self) -> Vec<TargetId>) -> UniverseId {
        if let Some(known) = self.among.get(&key) {
            return *known;
        }
        let list = list(self);
        let universe = self.asks.universe(list);
        self.among.insert(key, universe);
        universe
    }

    fn groups(&mut self, who: &mut Who<'e>, able: &[usize]) -> Vec<Group> {
        let estate = self.estate;
        let mut groups = vec![Group { via: Via::Assume, set: self.assumed(who) }];
        for place in able {
            let Some(capability) = estate.provider.rules.capability.get(*place) else { continue };
            if capability.blind && estate.things.iter().any(|thing| capability.carriers.contains(&thing.resource.kind)) {
                continue;
            }
            match capability.gains {
                Gain::Pass => self.pass(who, *place, capability, &mut groups),
                Gain::Carrier => self.carry(who, *place, capability, &mut groups),
                Gain::User | Gain::Role => {
                    let universe = self.principals(who.member, capability.gains == Gain::User);
                    let set = self.meets(who, *place, None, universe);
                    groups.push(Group { via: Via::Capability(*place, None), set });
                }
                _ => {}
            }
        }
        groups.retain(|group| group.set != NOTHING);
        groups
    }

    /// Roles that it may assume: by its account, or because their trust names it.
    fn assumed(&mut self, who: &mut Who<'e>) -> SetId {
        let account = who.member.principal.account.as_str();
        let numbers = |list: &Vec<usize>| list.iter().map(|place| number(*place)).collect::<Vec<_>>();
        let open = |finder: &Self| [finder.assumable.accounts.get(account), Some(&finder.assumable.anyone)].into_iter().flatten().flat_map(numbers).collect();
        let universe = self.among(Among::Assumable(account), open);
        let mut sets = vec![self.asks.on(who, self.assume, universe)];
        let names = [Some(who.member.principal.name.as_str()), who.member.principal.id.as_deref()];
        let named: Vec<TargetId> = names.into_iter().flatten().filter_map(|name| self.assumable.named.get(name)).flat_map(numbers).collect();
        if !named.is_empty() {
            let may = named.into_iter().filter(|role| self.asks.one(who, self.assume, *role)).collect();
            sets.push(self.asks.sets.number(may));
        }
        self.asks.sets.union(sets)
    }

    pub(super) fn principals(&mut self, member: &'e Member, users: bool) -> UniverseId {
        let estate = self.estate;
        let account = member.principal.account.as_str();
        let kind = if users { PrincipalKind::User } else { PrincipalKind::Role };
        let fits = move |other: &Member| other.principal.kind == kind && other.principal.account == account && !other.principal.exempt;
        self.among(Among::Kind(account, users), |_| places(estate, fits))
    }

    pub(super) fn serving(&mut self, member: &'e Member, service: &'e str, profile: bool) -> UniverseId {
        let estate = self.estate;
        let account = member.principal.account.as_str();
        let fits = |place: &&usize| {
            estate.members.get(**place).is_some_and(|role| role.principal.account == account && !(profile && role.principal.profiles.is_empty()))
        };
        let list = |finder: &Self| finder.by_service.get(service).into_iter().flatten().filter(fits).map(|place| number(*place)).collect();
        self.among(Among::Service(account, service, profile), list)
    }

    /// Whether the needs that are not on the target are met somewhere.
    pub(super) fn elsewhere(&mut self, who: &mut Who<'e>, place: usize, which: impl Fn(Target) -> bool) -> bool {
        let Some(asks) = self.needs.get(place).map(Rc::clone) else { return false };
        asks.iter().filter(|ask| which(ask.on)).all(|ask| self.asks.somewhere(who, &ask.requests(None)))
    }

    /// Targets on which the chosen needs are met; all of them when there is no such need.
    pub(super) fn on(&mut self, who: &mut Who<'e>, (place, service): (usize, Option<usize>), which: impl Fn(Target) -> bool, universe: UniverseId) -> SetId {
        let Some(asks) = self.needs.get(place).map(Rc::clone) else { return NOTHING };
        let mut each = Vec::new();
        for ask in asks.iter().filter(|ask| which(ask.on)) {
            let any = ask.requests(service).iter().map(|request| self.asks.on(who, *request, universe)).collect();
            let any = self.asks.sets.union(any);
            if any == NOTHING {
                return NOTHING;
            }
            each.push(any);
        }
        if each.is_empty() { self.asks.all(universe) } else { self.asks.sets.overlap(each) }
    }

    /// Targets on which all needs of a capability are met, those apart that are on anything.
    pub(super) fn meets(&mut self, who: &mut Who<'e>, place: usize, service: Option<usize>, universe: UniverseId) -> SetId {
        if !self.elsewhere(who, place, |on| on != Target::Gained) {
            return NOTHING;
        }
        self.on(who, (place, service), |on| on == Target::Gained, universe)
    }
}

/// The number of a principal as a target.
pub(super) fn number(place: usize) -> TargetId {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Numbers of the principals for whom something holds.
pub(super) fn places(estate: &Estate, fits: impl Fn(&Member) -> bool) -> Vec<TargetId> {
    (0..).zip(&estate.members).filter(|(_, member)| fits(member)).map(|(place, _)| place).collect()
}

/// The place of an action in a list, to which it is added when it is new.
fn place_of(actions: &mut Vec<String>, action: &str) -> u32 {
    let action = action.to_ascii_lowercase();
    let place = actions.iter().position(|known| *known == action).unwrap_or_else(|| {
        actions.push(action);
        actions.len() - 1
    });
    number(place)
}
