//! What each kind of capability gains, as sets.

use weft_model::entitlement::PrincipalKind;

use super::super::estate::{Member, Strength};
use super::super::rules::{Capability, Gain, Target};
use super::asks::Who;
use super::info::{Among, Finder, Group, Via, Way, number, places};
use super::targets::{Bitset, NOTHING, SetId, TargetId};

impl<'e> Finder<'e> {
    pub(super) fn pass(&mut self, who: &mut Who<'e>, place: usize, capability: &'e Capability, groups: &mut Vec<Group>) {
        if !self.elsewhere(who, place, |on| on != Target::Gained) {
            return;
        }
        for (service, name) in capability.services.iter().enumerate() {
            let universe = self.serving(who.member, name, capability.profile);
            let set = self.on(who, (place, Some(service)), |on| on == Target::Gained, universe);
            groups.push(Group { via: Via::Capability(place, Some(service)), set });
        }
    }

    pub(super) fn carry(&mut self, who: &mut Who<'e>, place: usize, capability: &'e Capability, groups: &mut Vec<Group>) {
        let estate = self.estate;
        let is_one = |kind: &String| capability.carriers.contains(kind);
        let listed = !capability.hidden && estate.things.iter().any(|thing| is_one(&thing.resource.kind));
        let carriers = self.carriers(place, capability);
        if !carriers.is_empty() && self.elsewhere(who, place, |on| on == Target::Any) {
            let things = self.among(Among::Carriers(place), |_| carriers.iter().map(|(thing, _)| *thing).collect());
            let roles = self.among(Among::Carried(place), |_| carriers.iter().map(|(_, role)| *role).collect());
            let things = self.on(who, (place, None), |on| on == Target::Carrier, things);
            let roles = self.on(who, (place, None), |on| on == Target::Gained, roles);
            let set = self.carried_by(place, &carriers, things, roles);
            groups.push(Group { via: Via::Capability(place, None), set });
        }
        // A snapshot of the identity system alone shows nothing that runs: then a role that could be run counts.
        if listed || capability.services.is_empty() || !self.elsewhere(who, place, |_| true) {
            return;
        }
        for (service, name) in capability.services.iter().enumerate() {
            let universe = self.serving(who.member, name, capability.profile);
            let set = self.asks.all(universe);
            groups.push(Group { via: Via::Capability(place, Some(service)), set });
        }
    }

    /// Things that a capability takes over, each with its role.
    fn carriers(&mut self, place: usize, capability: &Capability) -> std::rc::Rc<[(TargetId, TargetId)]> {
        if let Some(known) = self.carriers.get(&place) {
            return std::rc::Rc::clone(known);
        }
        let estate = self.estate;
        let things = estate.things.iter().enumerate().filter(|(_, thing)| capability.carriers.contains(&thing.resource.kind));
        let roles = things.filter_map(|(thing, what)| Some((thing, *estate.by_name.get(what.resource.runs_as.as_ref()?)?)));
        let found: std::rc::Rc<[_]> = roles.map(|(thing, role)| (self.asks.space.thing(thing), number(role))).collect();
        self.carriers.insert(place, std::rc::Rc::clone(&found));
        found
    }

    /// Roles of the things among `things`, in the order of these, as far as they are among `roles`.
    fn carried_by(&mut self, place: usize, carriers: &[(TargetId, TargetId)], things: SetId, roles: SetId) -> SetId {
        if let Some(known) = self.carried.get(&(place, things, roles)) {
            return *known;
        }
        let (of_things, of_roles) = (Bitset::of(&self.asks.sets.get(things)), Bitset::of(&self.asks.sets.get(roles)));
        let mut known = Bitset::default();
        let fits = |(thing, role): &&(TargetId, TargetId)| of_things.has(*thing) && of_roles.has(*role) && known.insert(*role);
        let found = carriers.iter().filter(fits).map(|(_, role)| *role).collect();
        let set = self.asks.sets.number(found);
        self.carried.insert((place, things, roles), set);
        set
    }

    /// Adds those whom a capability lets whoever it is make stronger.
    pub(super) fn ways(&mut self, who: &mut Who<'e>, place: usize, ways: &mut Vec<Way>) {
        let Some(capability) = self.estate.provider.rules.capability.get(place) else { return };
        let (strength, set) = match capability.gains {
            Gain::EmpowerUser | Gain::EmpowerRole => (Strength::Empowered, self.in_account(who, place, capability.gains == Gain::EmpowerUser)),
            Gain::UnboundUser | Gain::UnboundRole => {
                let set = self.in_account(who, place, capability.gains == Gain::UnboundUser);
                (Strength::Unbound, self.bounded(set))
            }
            Gain::EmpowerSelf => (Strength::Empowered, self.itself(who, place)),
            Gain::EmpowerPolicy => (Strength::Empowered, self.by_policy(who, place)),
            Gain::EmpowerGroup => (Strength::Empowered, self.by_group(who, place)),
            Gain::Join => return self.joins(who, place, ways),
            _ => return,
        };
        ways.push(Way { capability: place, strength, set });
    }

    fn in_account(&mut self, who: &mut Who<'e>, place: usize, users: bool) -> SetId {
        let universe = self.principals(who.member, users);
        self.meets(who, place, None, universe)
    }

    fn bounded(&mut self, set: SetId) -> SetId {
        let bounded = |target: &TargetId| self.estate.members.get(*target as usize).is_some_and(|member| member.boundary.is_some());
        let found = self.asks.sets.get(set).iter().copied().filter(bounded).collect();
        self.asks.sets.number(found)
    }

    fn itself(&mut self, who: &mut Who<'e>, place: usize) -> SetId {
        let me = number(who.node.0);
        let set = self.in_account(who, place, who.member.principal.kind == PrincipalKind::User);
        if self.asks.sets.get(set).contains(&me) { self.asks.sets.number(vec![me]) } else { NOTHING }
    }

    /// Names of things that are no principals, on which all needs of a capability are met.
    fn names(&mut self, who: &mut Who<'e>, place: usize, among: Among<'e>) -> SetId {
        if !self.elsewhere(who, place, |on| on == Target::Any) {
            return NOTHING;
        }
        let policies = matches!(among, Among::Policies);
        let list = |finder: &Self| if policies { &finder.asks.space.policies } else { &finder.asks.space.groups }.values().copied().collect();
        let universe = self.among(among, list);
        self.on(who, (place, None), |on| on != Target::Any, universe)
    }

    fn by_policy(&mut self, who: &mut Who<'e>, place: usize) -> SetId {
        let policies = self.names(who, place, Among::Policies);
        let key = (who.member.principal.account.as_str(), policies);
        if let Some(known) = self.editable.get(&key) {
            return *known;
        }
        let (estate, policies) = (self.estate, Bitset::of(&self.asks.sets.get(policies)));
        let open = |names: &[String]| names.iter().filter_map(|name| self.asks.space.policies.get(name.as_str())).any(|policy| policies.has(*policy));
        let groups: Vec<&str> = estate.teams.iter().filter(|team| open(&team.editable)).map(|team| team.name.as_str()).collect();
        let in_group = |member: &Member| !groups.is_empty() && member.principal.groups.iter().any(|group| groups.contains(&group.as_str()));
        let account = who.member.principal.account.as_str();
        let fits = |member: &Member| ours(member, account) && (open(&member.principal.editable) || in_group(member));
        let set = self.asks.sets.number(places(estate, fits));
        self.editable.insert(key, set);
        set
    }

    fn by_group(&mut self, who: &mut Who<'e>, place: usize) -> SetId {
        let groups = self.names(who, place, Among::Groups);
        let key = (who.member.principal.account.as_str(), groups);
        if let Some(known) = self.in_groups.get(&key) {
            return *known;
        }
        let groups = Bitset::of(&self.asks.sets.get(groups));
        let open = |name: &String| self.asks.space.groups.get(name.as_str()).is_some_and(|group| groups.has(*group));
        let account = who.member.principal.account.as_str();
        let fits = |member: &Member| ours(member, account) && member.principal.groups.iter().any(open);
        let set = self.asks.sets.number(places(self.estate, fits));
        self.in_groups.insert(key, set);
        set
    }

    fn joins(&mut self, who: &mut Who<'e>, place: usize, ways: &mut Vec<Way>) {
        let estate = self.estate;
        let groups = self.names(who, place, Among::Groups);
        let groups = Bitset::of(&self.asks.sets.get(groups));
        let account = who.member.principal.account.as_str();
        for (team, group) in estate.teams.iter().enumerate().filter(|(_, team)| team.account == account) {
            if self.asks.space.groups.get(group.name.as_str()).is_none_or(|group| !groups.has(*group)) {
                continue;
            }
            let fits = |kind| kind == PrincipalKind::User || (kind == PrincipalKind::Role && estate.provider.rules.roles_in_groups);
            let outside = |member: &Member| ours(member, account) && fits(member.principal.kind) && !member.principal.groups.contains(&group.name);
            let sets = &mut self.asks.sets;
            let set = *self.outside.entry(team).or_insert_with(|| sets.number(places(estate, outside)));
            ways.push(Way { capability: place, strength: Strength::With(team), set });
        }
    }
}

/// Whether somebody of an account can be made stronger.
fn ours(member: &Member, account: &str) -> bool {
    member.principal.account == account && !member.principal.exempt
}
