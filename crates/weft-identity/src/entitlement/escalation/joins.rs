//! Who joins a group when somebody else could join it, too.
//!
//! Somebody in one more group may do what it may, what the group may, and what both make up together: an action of
//! one need from here, of another need from there. Where a group was joined in this walk already, and what is made up
//! together was made up with others, nothing is added that was not reached: then it is not followed again. Without
//! this, a walk that reaches many and may change many groups is the product of both.

use std::rc::Rc;

use hashbrown::HashMap;
use weft_model::entitlement::PrincipalKind;

use super::super::compile::{Action, Compiled, Policy};
use super::super::estate::{Estate, Member, Strength};
use super::super::rules::{Capability, Gain, Target};
use super::info::{Finder, number};
use super::marks::Marks;
use super::targets::Bitset;

/// Number of a profile.
type ProfileId = u32;
/// Of whom it is not told whether anything is made up together.
const UNKNOWN: ProfileId = u32::MAX;

/// What policies come to, as far as it matters to what is made up together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Profile {
    /// Actions, by their place in the finder's list, that a statement permits on something.
    touched: Bitset,
    /// The same of statements without conditions.
    sure: Bitset,
    /// For each capability with two needs on one target, by twice its place: whether a statement meets the first and
    /// not the second; and the other way round.
    lone: Bitset,
    /// Whether a statement forbids.
    forbids: bool,
    /// Whether a condition or resource looks at who asks.
    personal: bool,
}

impl Profile {
    fn add(&mut self, other: &Self) {
        self.touched.add(&other.touched);
        self.sure.add(&other.sure);
        self.lone.add(&other.lone);
        self.forbids |= other.forbids;
        self.personal |= other.personal;
    }
}

/// What a principal and a group make up together: the capabilities that either has a target for, and the other what
/// else is needed.
#[derive(Debug, Default)]
struct Together {
    of_member: Vec<u32>,
    of_team: Vec<u32>,
    /// Capabilities that need two actions on one target, of which each side may have one.
    crossed: Vec<u32>,
}

/// For the first and the second need of a capability, how names begin on which it may be met.
type Beginnings = [Vec<String>; 2];

/// What two come to by one capability.
enum Sum {
    /// What the one comes to and what the other comes to.
    Parts,
    /// All that either has a target for: of the principal, of the group.
    Unlocked(bool, bool),
    /// Their parts, unless one side meets one need where the other side meets the other.
    Crossed,
    /// More than can be told beforehand.
    More,
}

/// What is known of principals and groups, and which groups somebody joined in this walk.
pub(super) struct Joins {
    members: Vec<Option<ProfileId>>,
    teams: Vec<Option<ProfileId>>,
    ids: HashMap<Profile, ProfileId>,
    profiles: Vec<Profile>,
    of_policies: HashMap<*const Policy, Profile>,
    /// By capability, and principal or group.
    beginnings: HashMap<(u32, bool, usize), Rc<Beginnings>>,
    /// None, where it is more than can be told beforehand.
    together: HashMap<(ProfileId, ProfileId), Option<Together>>,
    /// Beginnings of condition keys that are known of who asks or for what.
    keys: Vec<String>,
    administrator: Bitset,
    /// Groups that somebody joined, by kind.
    joined: Marks<()>,
    /// By principal, and by group and kind: capabilities of which all its targets were reached.
    members_unlocked: Marks<()>,
    teams_unlocked: Marks<()>,
}

impl Joins {
    pub(super) fn new(estate: &Estate, finder: &Finder<'_>) -> Self {
        let (ids, profiles, of_policies, beginnings, together) = Default::default();
        let keys = estate.provider.rules.facts.iter().map(|fact| fact.key.to_ascii_lowercase()).collect();
        let (members, teams) = (vec![None; estate.members.len()], vec![None; estate.teams.len()]);
        let administrator = finder.places_of(&estate.provider.rules.administrator);
        let (joined, members_unlocked, teams_unlocked) = (Marks::new(), Marks::new(), Marks::new());
        Self { members, teams, ids, profiles, of_policies, beginnings, together, keys, administrator, joined, members_unlocked, teams_unlocked }
    }

    /// Forgets who joined.
    pub(super) fn begin(&mut self) {
        self.joined.begin();
        self.members_unlocked.begin();
        self.teams_unlocked.begin();
    }

    /// Whether a principal that was reached adds nothing to the walk as a member of one more group. If it may add
    /// something, it is taken to be followed.
    pub(super) fn adds_nothing(&mut self, finder: &Finder<'_>, place: usize, team: usize) -> bool {
        let estate = finder.estate;
        let Some(member) = estate.members.get(place) else { return false };
        let (one, other) = (self.of_member(finder, place, member), self.of_team(finder, team));
        if one == UNKNOWN || other == UNKNOWN {
            return false;
        }
        if !self.together.contains_key(&(one, other)) {
            let together = self.sum(finder, one, other);
            self.together.insert((one, other), together);
        }
        let crossed = match self.together.get(&(one, other)) {
            Some(Some(together)) => together.crossed.clone(),
            _ => return false,
        };
        if crossed.into_iter().any(|capability| self.meet(finder, capability, place, team)) {
            return false;
        }
        let Some(Some(together)) = self.together.get(&(one, other)) else { return false };
        let kind = u32::from(member.principal.kind == PrincipalKind::User);
        let all = number(estate.provider.rules.capability.len());
        let (member, team) = (number(place), number(team) * 2 + kind);
        let mut new = self.joined.is_new(team);
        for capability in &together.of_member {
            new |= self.members_unlocked.is_new(member * all + capability);
        }
        for capability in &together.of_team {
            new |= self.teams_unlocked.is_new(team * all + capability);
        }
        !new
    }

    /// Whether a principal may meet one need of a capability where a group meets the other.
    fn meet(&mut self, finder: &Finder<'_>, capability: u32, place: usize, team: usize) -> bool {
        let (one, other) = (self.begin_at(finder, (capability, true, place)), self.begin_at(finder, (capability, false, team)));
        let [first, second] = one.as_ref();
        let [other_first, other_second] = other.as_ref();
        overlap(first, other_second) || overlap(second, other_first)
    }

    fn begin_at(&mut self, finder: &Finder<'_>, key: (u32, bool, usize)) -> Rc<Beginnings> {
        if let Some(known) = self.beginnings.get(&key) {
            return Rc::clone(known);
        }
        let (capability, of_member, place) = key;
        let estate = finder.estate;
        let policies: Vec<&Policy> = match (of_member, estate.members.get(place), estate.teams.get(place)) {
            (true, Some(member), _) => member.identity.iter().chain(&member.groups).map(AsRef::as_ref).collect(),
            (false, _, Some(team)) => team.policies.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        };
        let needs = estate.provider.rules.capability.get(capability as usize).map(|capability| capability.needs.as_slice()).unwrap_or_default();
        let mut targeted = needs.iter().filter(|need| need.on != Target::Any);
        let mut next = || targeted.next().map(|need| beginnings(finder, &policies, &need.action)).unwrap_or_default();
        let found = Rc::new([next(), next()]);
        self.beginnings.insert(key, Rc::clone(&found));
        found
    }

    fn of_member(&mut self, finder: &Finder<'_>, place: usize, member: &Member) -> ProfileId {
        if let Some(Some(known)) = self.members.get(place) {
            return *known;
        }
        let administrator = finder.estate.is_administrator(member, Strength::Plain);
        let bare = !administrator && member.boundary.is_none() && finder.estate.is_bare(&member.principal.account) && !finder.is_particular(member);
        let found = if bare { self.of(finder, member.identity.iter().chain(&member.groups)) } else { None };
        let id = self.id(found);
        self.members.get_mut(place).into_iter().for_each(|known| *known = Some(id));
        id
    }

    fn of_team(&mut self, finder: &Finder<'_>, team: usize) -> ProfileId {
        if let Some(Some(known)) = self.teams.get(team) {
            return *known;
        }
        let policies = finder.estate.teams.get(team).map(|team| team.policies.as_slice()).unwrap_or_default();
        let found = self.of(finder, policies.iter()).filter(|profile| !profile.personal);
        let id = self.id(found);
        self.teams.get_mut(team).into_iter().for_each(|known| *known = Some(id));
        id
    }

    fn id(&mut self, profile: Option<Profile>) -> ProfileId {
        let Some(profile) = profile else { return UNKNOWN };
        let next = number(self.profiles.len());
        *self.ids.entry(profile).or_insert_with_key(|profile| {
            self.profiles.push(profile.clone());
            next
        })
    }

    /// What policies come to together; `None` where one forbids, which takes away from both sides.
    fn of<'p>(&mut self, finder: &Finder<'_>, policies: impl Iterator<Item = &'p std::sync::Arc<Policy>>) -> Option<Profile> {
        let mut all = Profile::default();
        for policy in policies {
            let key = std::ptr::from_ref(policy.as_ref());
            if !self.of_policies.contains_key(&key) {
                let profile = self.of_policy(finder, policy);
                self.of_policies.insert(key, profile);
            }
            self.of_policies.get(&key).into_iter().for_each(|one| all.add(one));
        }
        (!all.forbids).then_some(all)
    }

    fn of_policy(&self, finder: &Finder<'_>, policy: &Policy) -> Profile {
        let mut profile = Profile::default();
        for statement in &policy.statements {
            profile.forbids |= !statement.permits;
            let is_fact = |key: &str| self.keys.iter().any(|fact| key.starts_with(fact.as_str()));
            profile.personal |= statement.variables && !statement.is_plain() || statement.conditions.iter().any(|condition| is_fact(&condition.key));
            let mut covered = Bitset::default();
            for (place, action) in (0..).zip(finder.actions()) {
                if statement.covers(Action::of(&finder.estate.provider.catalogue, action)) {
                    covered.insert(place);
                }
            }
            profile.touched.add(&covered);
            if statement.is_plain() {
                profile.sure.add(&covered);
            }
            for (place, capability) in (0..).zip(&finder.estate.provider.rules.capability) {
                let on = finder.needs_of(place as usize).iter().zip(&capability.needs).filter(|(_, need)| need.on != Target::Any);
                let met: Vec<bool> = on.map(|(actions, _)| actions.meets(&covered)).collect();
                // Of more than two needs it is not told which.
                let lone = |need: usize| (met.len() > 2 || met.get(need) == Some(&true)) && met.contains(&true) && met.contains(&false);
                (0..2).zip([0, 1]).filter(|(_, need)| lone(*need)).for_each(|(bit, _)| {
                    profile.lone.insert(place * 2 + bit);
                });
            }
        }
        profile
    }

    fn sum(&self, finder: &Finder<'_>, one: ProfileId, other: ProfileId) -> Option<Together> {
        let (one, other) = (self.profiles.get(one as usize)?, self.profiles.get(other as usize)?);
        let mut together = Together::default();
        for (place, capability) in (0..).zip(&finder.estate.provider.rules.capability) {
            match Self::by(finder, place, capability, one, other) {
                Sum::Parts => {}
                Sum::Unlocked(of_member, of_team) => {
                    together.of_member.extend(of_member.then_some(place));
                    together.of_team.extend(of_team.then_some(place));
                }
                Sum::Crossed => together.crossed.push(place),
                Sum::More => return None,
            }
        }
        // An administrator is followed otherwise than others.
        let rules = |who: &Profile| self.administrator.meets(&who.touched);
        let followed = !rules(other) || (!rules(one) && together.of_member.is_empty());
        followed.then_some(together)
    }

    fn by(finder: &Finder<'_>, place: u32, capability: &Capability, one: &Profile, other: &Profile) -> Sum {
        let needs = || finder.needs_of(place as usize).iter().zip(&capability.needs);
        let touches = |who: &Profile| needs().any(|(actions, _)| actions.meets(&who.touched));
        if !touches(other) {
            return Sum::Parts;
        }
        // It strengthens whoever is in the group, each for itself.
        if capability.gains == Gain::EmpowerSelf {
            return Sum::More;
        }
        let both = |actions: &Bitset| actions.meets(&one.touched) || actions.meets(&other.touched);
        if !touches(one) || capability.needs.len() < 2 || !needs().all(|(actions, _)| both(actions)) {
            return Sum::Parts;
        }
        if capability.needs.iter().any(|need| need.at.is_some()) {
            return Sum::More;
        }
        let targeted = || needs().filter(|(_, need)| need.on != Target::Any);
        let mut elsewhere = needs().filter(|(_, need)| need.on == Target::Any).map(|(actions, _)| (actions.meets(&one.sure), actions.meets(&other.sure)));
        let alone = elsewhere.clone().fold((true, true), |alone, met| (alone.0 && met.0, alone.1 && met.1));
        let aims = |who: &Profile| targeted().any(|(actions, _)| actions.meets(&who.touched));
        let (of_member, of_team) = (!alone.0 && aims(one), !alone.1 && aims(other));
        let sure = elsewhere.all(|met| met.0 || met.1);
        match targeted().count() {
            0 if alone.0 || alone.1 => Sum::Parts,
            1 if !of_member && !of_team => Sum::Parts,
            // A thing that runs without showing its role is for whoever meets all needs.
            1 if sure && !capability.hidden => Sum::Unlocked(of_member, of_team),
            0 | 1 => Sum::More,
            _ if of_member || of_team => Sum::More,
            // On the same target, needs are met from both sides only by statements that meet one alone; on two targets,
            // a thing of the one's goes with a role of the other's.
            _ => {
                let first = targeted().next().map(|(_, need)| need.on);
                let same = targeted().all(|(_, need)| Some(need.on) == first);
                let crossed = |first: u32, second: u32| one.lone.has(place * 2 + first) && other.lone.has(place * 2 + second);
                match (same, targeted().count()) {
                    _ if !aims(one) || !aims(other) => Sum::Parts,
                    (true, _) if !crossed(0, 1) && !crossed(1, 0) => Sum::Parts,
                    (true, 2) => Sum::Crossed,
                    _ => Sum::More,
                }
            }
        }
    }
}

/// How names begin on which statements permit one of these actions; sorted, and none that another one begins.
fn beginnings(finder: &Finder<'_>, policies: &[&Policy], actions: &[String]) -> Vec<String> {
    let lower: Vec<String> = actions.iter().map(|action| action.to_ascii_lowercase()).collect();
    let permits = |statement: &&Compiled| lower.iter().any(|action| statement.covers(Action::of(&finder.estate.provider.catalogue, action)));
    let statements = policies.iter().flat_map(|policy| &policy.statements).filter(permits);
    let mut found: Vec<String> = Vec::new();
    for statement in statements {
        let fixed = |pattern: &String| pattern.split(['*', '?', '$']).next().unwrap_or_default().to_owned();
        let everything = statement.resources.negated.then(String::new);
        found.extend(everything.into_iter().chain(statement.resources.patterns.iter().map(fixed)));
    }
    found.sort_unstable();
    found.dedup_by(|next, before| next.starts_with(before.as_str()));
    found
}

/// Whether a name may begin as one of each side says. Both are sorted.
fn overlap(one: &[String], other: &[String]) -> bool {
    let within = |one: &String| {
        let at = other.partition_point(|other| other <= one);
        let before = at.checked_sub(1).and_then(|before| other.get(before));
        before.is_some_and(|before| one.starts_with(before.as_str())) || other.get(at).is_some_and(|after| after.starts_with(one.as_str()))
    };
    one.iter().any(within)
}
