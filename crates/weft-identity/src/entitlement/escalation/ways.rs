//! The ways in which whoever is at a node becomes or strengthens a principal.

use weft_model::entitlement::{PrincipalKind, Truth};

use super::super::Action;
use super::super::estate::{Member, Strength, Team};
use super::super::rules::{Capability, Gain, Need, Target};
use super::{ASSUME, Act, Edge, Explorer, Node, apply};

impl Explorer<'_> {
    /// Whether the principal's policies name every action that a capability needs, wherever.
    pub(super) fn could(&self, node: Node, member: &Member, capability: &Capability) -> bool {
        let named = |action: &String| {
            let action = action.to_ascii_lowercase();
            let action = Action::of(&self.estate.provider.catalogue, &action);
            let joined = match node.1 {
                Strength::With(team) => self.estate.teams.get(team).map(|team| team.policies.as_slice()).unwrap_or_default(),
                _ => &[],
            };
            member.identity.iter().chain(&member.groups).chain(joined).any(|policy| policy.names(action, true))
        };
        node.1.permits_all() || capability.needs.iter().all(|need| need.action.iter().any(named))
    }

    pub(super) fn assume(&self, node: Node, member: &Member, edges: &mut Vec<Edge>) {
        let named = self.assumable.named.get(member.principal.name.as_str());
        let by_id = member.principal.id.as_deref().and_then(|id| self.assumable.named.get(id));
        let by_account = self.assumable.accounts.get(member.principal.account.as_str());
        let mut roles: Vec<usize> = [named, by_id, by_account].into_iter().flatten().flatten().chain(&self.assumable.anyone).copied().collect();
        roles.sort_unstable();
        roles.dedup();
        let action = &self.estate.provider.rules.assume;
        let lower = action.to_ascii_lowercase();
        for number in roles {
            let Some(role) = self.estate.members.get(number) else { continue };
            let at = self.estate.circumstances(member, &role.principal.name);
            if self.estate.may(member, node.1, &lower, &role.principal.name, &at) == Truth::Yes {
                let act = Act { action: action.clone(), resource: role.principal.name.clone(), with: Vec::new() };
                edges.push(Edge { to: number, capability: ASSUME.to_owned(), acts: vec![act], assumes: None });
            }
        }
    }

    pub(super) fn pass(&self, node: Node, member: &Member, capability: &Capability, edges: &mut Vec<Edge>) {
        let Some(elsewhere) = self.acts(node, member, capability, |need| need.on != Target::Gained, None, None, None) else { return };
        for service in &capability.services {
            for number in self.by_service.get(service.as_str()).into_iter().flatten() {
                let Some(role) = self.estate.members.get(*number) else { continue };
                if role.principal.account != member.principal.account || (capability.profile && role.principal.profiles.is_empty()) {
                    continue;
                }
                if let Some(mut acts) = self.acts(node, member, capability, |need| need.on == Target::Gained, Some(role), None, Some(service)) {
                    acts.extend(elsewhere.clone());
                    edges.push(Edge { to: *number, capability: capability.id.clone(), acts, assumes: capability.assumes.clone() });
                }
            }
        }
    }

    pub(super) fn carry(&self, node: Node, member: &Member, capability: &Capability, edges: &mut Vec<Edge>) {
        let is_one = |kind: &str| capability.carriers.iter().any(|carrier| carrier == kind);
        let mut listed = false;
        for thing in self.estate.things.iter().filter(|thing| is_one(&thing.resource.kind)) {
            listed |= !capability.hidden;
            let Some(number) = thing.resource.runs_as.as_ref().and_then(|role| self.estate.by_name.get(role)) else { continue };
            let Some(role) = self.estate.members.get(*number) else { continue };
            if let Some(acts) = self.acts(node, member, capability, |_| true, Some(role), Some(&thing.resource.name), None) {
                edges.push(Edge { to: *number, capability: capability.id.clone(), acts, assumes: None });
            }
        }
        // A snapshot of the identity system alone shows nothing that runs: then a role that could be run counts.
        if listed || capability.services.is_empty() {
            return;
        }
        let Some(acts) = self.acts(node, member, capability, |_| true, None, None, None) else { return };
        for number in capability.services.iter().filter_map(|service| self.by_service.get(service.as_str())).flatten() {
            let Some(role) = self.estate.members.get(*number).filter(|role| role.principal.account == member.principal.account) else { continue };
            if capability.profile && role.principal.profiles.is_empty() {
                continue;
            }
            edges.push(Edge { to: *number, capability: capability.id.clone(), acts: acts.clone(), assumes: capability.assumes.clone() });
        }
    }

    pub(super) fn become_one(&self, node: Node, member: &Member, capability: &Capability, kind: PrincipalKind, edges: &mut Vec<Edge>) {
        for (number, target) in self.estate.members.iter().enumerate() {
            if target.principal.kind != kind || target.principal.account != member.principal.account || target.principal.exempt {
                continue;
            }
            if let Some(acts) = self.acts(node, member, capability, |_| true, Some(target), None, None) {
                edges.push(Edge { to: number, capability: capability.id.clone(), acts, assumes: capability.assumes.clone() });
            }
        }
    }

    pub(super) fn find_strengthening(&self, by: Node, target: usize, able: &[usize]) -> Vec<(Strength, Edge)> {
        let (Some(member), Some(strong)) = (self.member(by), self.estate.members.get(target)) else { return Vec::new() };
        let mut ways = Vec::new();
        if member.principal.account != strong.principal.account || strong.principal.exempt {
            return ways;
        }
        let user = strong.principal.kind == PrincipalKind::User;
        for capability in able.iter().filter_map(|place| self.estate.provider.rules.capability.get(*place)) {
            let whole = |acts: Vec<Act>| Edge { to: target, capability: capability.id.clone(), acts, assumes: capability.assumes.clone() };
            let on_target = || self.acts(by, member, capability, |_| true, Some(strong), None, None);
            let way = match capability.gains {
                Gain::EmpowerUser if user => on_target().map(|acts| (Strength::Empowered, acts)),
                Gain::EmpowerRole if !user => on_target().map(|acts| (Strength::Empowered, acts)),
                Gain::UnboundUser if user && strong.boundary.is_some() => on_target().map(|acts| (Strength::Unbound, acts)),
                Gain::UnboundRole if !user && strong.boundary.is_some() => on_target().map(|acts| (Strength::Unbound, acts)),
                Gain::EmpowerSelf if by.0 == target => on_target().map(|acts| (Strength::Empowered, acts)),
                Gain::EmpowerPolicy => {
                    self.editable(strong).find_map(|policy| self.named(by, member, capability, policy)).map(|acts| (Strength::Empowered, acts))
                }
                Gain::EmpowerGroup => {
                    strong.principal.groups.iter().find_map(|group| self.named(by, member, capability, group)).map(|acts| (Strength::Empowered, acts))
                }
                Gain::Join if user => {
                    ways.extend(self.joins(by, member, capability, strong).map(|(team, acts)| (Strength::With(team), whole(acts))));
                    None
                }
                _ => None,
            };
            ways.extend(way.map(|(strength, acts)| (strength, whole(acts))));
        }
        ways
    }

    fn editable<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a String> {
        let in_groups = self.estate.teams.iter().filter(|team| member.principal.groups.contains(&team.name)).flat_map(|team| &team.editable);
        member.principal.editable.iter().chain(in_groups)
    }

    fn joins<'a>(&'a self, by: Node, member: &'a Member, capability: &'a Capability, user: &'a Member) -> impl Iterator<Item = (usize, Vec<Act>)> + 'a {
        let open = |team: &Team| team.account == user.principal.account && !user.principal.groups.contains(&team.name);
        let teams = self.estate.teams.iter().enumerate().filter(move |(_, team)| open(team));
        teams.filter_map(move |(number, team)| Some((number, self.named(by, member, capability, &team.name)?)))
    }

    /// The acts of a capability on something that is no principal.
    fn named(&self, by: Node, member: &Member, capability: &Capability, name: &str) -> Option<Vec<Act>> {
        let one = |need: &Need| match need.on {
            Target::Gained | Target::Carrier => self.act(by, member, need, name, None, None),
            Target::Any => self.somewhere(by, member, need, None),
        };
        capability.needs.iter().map(one).collect()
    }

    /// The acts that meet the chosen needs of a capability, if all can be met.
    #[expect(clippy::too_many_arguments, reason = "one question about one capability, asked in two halves")]
    fn acts(
        &self,
        node: Node,
        member: &Member,
        capability: &Capability,
        which: impl Fn(&Need) -> bool,
        gained: Option<&Member>,
        carrier: Option<&str>,
        service: Option<&str>,
    ) -> Option<Vec<Act>> {
        let one = |need: &Need| match (need.on, gained, carrier) {
            (Target::Gained, Some(gained), _) => self.act(node, member, need, &gained.principal.name, Some(gained), service),
            (Target::Carrier, _, Some(carrier)) => self.act(node, member, need, carrier, gained, service),
            _ => self.somewhere(node, member, need, service),
        };
        capability.needs.iter().filter(|need| which(need)).map(one).collect()
    }

    fn act(&self, node: Node, member: &Member, need: &Need, resource: &str, gained: Option<&Member>, service: Option<&str>) -> Option<Act> {
        let with = carried(need, gained, service);
        let mut at = self.estate.circumstances(member, resource);
        apply(&mut at, &with);
        let may = |action: &&String| self.estate.may(member, node.1, &action.to_ascii_lowercase(), resource, &at) == Truth::Yes;
        need.action.iter().find(may).map(|action| Act { action: action.clone(), resource: resource.to_owned(), with })
    }

    fn somewhere(&self, node: Node, member: &Member, need: &Need, service: Option<&str>) -> Option<Act> {
        let with = carried(need, None, service);
        let mut at = self.estate.circumstances(member, "*");
        apply(&mut at, &with);
        need.action.iter().find_map(|action| {
            let resource = self.estate.somewhere(member, node.1, &action.to_ascii_lowercase(), &at)?;
            Some(Act { action: action.clone(), resource, with: with.clone() })
        })
    }
}

/// Condition keys that a request carries; `None` for one that it does not.
fn carried(need: &Need, gained: Option<&Member>, service: Option<&str>) -> Vec<(String, Option<String>)> {
    let mut with: Vec<(String, Option<String>)> = need.with.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    if let (Some(key), Some(service)) = (&need.service_key, service) {
        with.push((key.clone(), Some(service.to_owned())));
    }
    if let (Some(key), Some(gained)) = (&need.boundary_key, gained) {
        with.push((key.clone(), gained.principal.boundary.as_ref().map(|boundary| boundary.name.clone())));
    }
    with
}
