//! One way in which somebody becomes or strengthens somebody, with the actions that make it up.
//!
//! Sets tell who reaches whom; here the single step of a path is asked for once more, in full.

use weft_model::entitlement::Truth;

use super::super::estate::{Estate, Member, Strength};
use super::super::rules::{Capability, Gain, Need, Target};
use super::info::Via;
use super::{ASSUME, Node, apply};

/// An action on a resource that makes up an edge.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) with: Vec<(String, Option<String>)>,
}

/// One step of somebody to somebody.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) capability: String,
    pub(super) acts: Vec<Act>,
    pub(super) assumes: Vec<String>,
}

/// Whoever asks, in an estate.
struct By<'a> {
    estate: &'a Estate,
    node: Node,
    member: &'a Member,
    capability: &'a Capability,
}

/// On what, and for which service, an action is asked.
#[derive(Clone, Copy, Default)]
struct On<'a> {
    gained: Option<&'a Member>,
    carrier: Option<&'a str>,
    service: Option<&'a str>,
}

/// The step by which whoever is at `node` becomes a principal, or makes it stronger.
pub(super) fn edge(estate: &Estate, node: Node, target: usize, via: Via) -> Option<Edge> {
    let (member, gained) = (estate.members.get(node.0)?, estate.members.get(target)?);
    let place = match via {
        Via::Assume => {
            let act = Act { action: estate.provider.rules.assume.clone(), resource: gained.principal.name.clone(), with: Vec::new() };
            return Some(Edge { capability: ASSUME.to_owned(), acts: vec![act], assumes: Vec::new() });
        }
        Via::Capability(place, _) | Via::Strengthen(place, _) => place,
    };
    let capability = estate.provider.rules.capability.get(place)?;
    let by = By { estate, node, member, capability };
    let (acts, assumes) = match via {
        Via::Strengthen(_, strength) => (by.strengthen(gained, strength)?, true),
        Via::Capability(_, Some(service)) if capability.gains == Gain::Pass => (by.pass(gained, capability.services.get(service)?)?, true),
        Via::Capability(_, Some(_)) => (by.acts(On::default(), |_| true)?, true),
        Via::Capability(_, None) if capability.gains == Gain::Carrier => (by.carry(gained)?, false),
        _ => (by.acts(On { gained: Some(gained), ..On::default() }, |_| true)?, true),
    };
    let assumes = capability.assumes.iter().filter(|_| assumes).chain(&capability.caveat).cloned().collect();
    Some(Edge { capability: capability.id.clone(), acts, assumes })
}

impl By<'_> {
    fn pass(&self, role: &Member, service: &str) -> Option<Vec<Act>> {
        let elsewhere = self.acts(On::default(), |need| need.on != Target::Gained)?;
        let mut acts = self.acts(On { gained: Some(role), carrier: None, service: Some(service) }, |need| need.on == Target::Gained)?;
        acts.extend(elsewhere);
        Some(acts)
    }

    /// By the first thing that runs as the role.
    fn carry(&self, role: &Member) -> Option<Vec<Act>> {
        let mut running = self.estate.running(&role.principal.name).filter(|thing| self.capability.carriers.contains(&thing.kind));
        running.find_map(|thing| self.acts(On { gained: Some(role), carrier: Some(&thing.name), service: None }, |_| true))
    }

    fn strengthen(&self, target: &Member, strength: Strength) -> Option<Vec<Act>> {
        match (self.capability.gains, strength) {
            (Gain::EmpowerPolicy, _) => self.editable(target).find_map(|policy| self.named(policy)),
            (Gain::EmpowerGroup, _) => target.principal.groups.iter().find_map(|group| self.named(group)),
            (Gain::Join, Strength::With(team)) => self.named(&self.estate.teams.get(team)?.name),
            _ => self.acts(On { gained: Some(target), ..On::default() }, |_| true),
        }
    }

    fn editable<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a String> {
        let in_groups = self.estate.teams.iter().filter(|team| member.principal.groups.contains(&team.name)).flat_map(|team| &team.editable);
        member.principal.editable.iter().chain(in_groups)
    }

    /// The acts of the capability on something that is no principal.
    fn named(&self, name: &str) -> Option<Vec<Act>> {
        let one = |need: &Need| match need.on {
            Target::Gained | Target::Carrier => self.act(need, name, On::default()),
            Target::Any => self.somewhere(need, None),
        };
        self.capability.needs.iter().map(one).collect()
    }

    /// The acts that meet the chosen needs of the capability, if all can be met.
    fn acts(&self, on: On<'_>, which: impl Fn(&Need) -> bool) -> Option<Vec<Act>> {
        let one = |need: &Need| match (need.on, on.gained, on.carrier) {
            (Target::Gained, Some(gained), _) => self.act(need, &gained.principal.name, on),
            (Target::Carrier, _, Some(carrier)) => self.act(need, carrier, on),
            _ => self.somewhere(need, on.service),
        };
        self.capability.needs.iter().filter(|need| which(need)).map(one).collect()
    }

    fn act(&self, need: &Need, resource: &str, on: On<'_>) -> Option<Act> {
        let with = carried(need, on.gained, on.service);
        let mut at = self.estate.circumstances(self.member, resource);
        apply(&mut at, &with);
        let may = |action: &&String| self.estate.may(self.member, self.node.1, &action.to_ascii_lowercase(), resource, &at) == Truth::Yes;
        need.action.iter().find(may).map(|action| Act { action: action.clone(), resource: resource.to_owned(), with })
    }

    fn somewhere(&self, need: &Need, service: Option<&str>) -> Option<Act> {
        let with = carried(need, None, service);
        let mut at = self.estate.circumstances(self.member, "*");
        apply(&mut at, &with);
        if let Some(name) = &need.at {
            return self.act(need, name, On::default());
        }
        need.action.iter().find_map(|action| {
            let resource = self.estate.somewhere(self.member, self.node.1, &action.to_ascii_lowercase(), &at)?;
            Some(Act { action: action.clone(), resource, with: with.clone() })
        })
    }
}

/// Condition keys that a request carries; `None` for one that it does not.
pub(super) fn carried(need: &Need, gained: Option<&Member>, service: Option<&str>) -> Vec<(String, Option<String>)> {
    let mut with: Vec<(String, Option<String>)> = need.with.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    if let (Some(key), Some(service)) = (&need.service_key, service) {
        with.push((key.clone(), Some(service.to_owned())));
    }
    if let (Some(key), Some(gained)) = (&need.boundary_key, gained) {
        with.push((key.clone(), gained.principal.boundary.as_ref().map(|boundary| boundary.name.clone())));
    }
    with
}
