//! Who may do it, on what, and what may be done: search for permits.

use cedar_policy::{Context, Entities, EntityTypeName, EntityUid, Request};
use weft_model::Effect;

use super::plan::{Narrow, Plan};
use super::point::{AccessPoint, Ask, Prepared};
use super::store::Overlay;
use super::value::entities_in_json;
use crate::decide::clause::Side;

/// What is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// Principals that may.
    Principals,
    /// Resources on which it may be done.
    Resources,
}

/// One part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Identifiers, in the order in which the entities came to be known.
    pub ids: Vec<String>,
    /// Where to go on; none when all were looked at.
    pub next: Option<u32>,
}

/// How much one part may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most identifiers.
    pub found_max: usize,
    /// Most decisions.
    pub decisions_max: usize,
}

impl AccessPoint {
    /// Principals or resources of a type for which the answer is a permit, from a number on.
    ///
    /// The party that is sought is given by its type alone; its id and properties are not looked at.
    ///
    /// # Errors
    /// A name or context that no request can have.
    pub fn search(&self, sought: Sought, ask: &Ask, from: u32, bounds: Bounds) -> Result<Part, String> {
        let (open, given) = match sought {
            Sought::Principals => (&ask.principal, &ask.resource),
            Sought::Resources => (&ask.resource, &ask.principal),
        };
        if !self.knows(given) {
            return Ok(Part::default());
        }
        let kind = self.store().kinds().kind(&open.kind)?;
        if self.store().of_kind(&kind).is_empty() {
            return Ok(Part::default());
        }
        let known = Known::of(self, sought, ask)?;
        let all = self.store().of_kind(&kind);
        let narrow = known.plan(self, &kind).narrow(self.permits());
        let numbers = match &narrow {
            Narrow::All => all,
            Narrow::These(these) => these.as_slice(),
        };
        let begin = numbers.partition_point(|number| *number < from);
        let mut part = Part::default();
        for (decided, number) in numbers.iter().skip(begin).enumerate() {
            if part.ids.len() >= bounds.found_max || decided >= bounds.decisions_max {
                part.next = Some(*number);
                break;
            }
            let Some(uid) = self.store().uid_of(*number) else { continue };
            let prepared = known.with(self, &uid)?;
            if let Some(prepared) = prepared
                && self.answer(&prepared).effect == Effect::Permit
            {
                part.ids.push(uid.id().unescaped().to_owned());
            }
        }
        Ok(part)
    }

    /// Names of the actions for which the answer is a permit, sorted.
    pub fn search_actions(&self, ask: &Ask) -> Vec<String> {
        if !self.knows(&ask.principal) || !self.knows(&ask.resource) {
            return Vec::new();
        }
        let permitted = |name: &&str| self.decide(&Ask { action: (*name).to_owned(), ..ask.clone() }).effect == Effect::Permit;
        self.action_names().into_iter().filter(permitted).map(str::to_owned).collect()
    }
}

/// A request of which one party is open.
struct Known {
    sought: Sought,
    given: EntityUid,
    action: EntityUid,
    context: Context,
    roots: Vec<EntityUid>,
    overlays: Vec<Overlay>,
    entities: Entities,
}

impl Known {
    fn of(point: &AccessPoint, sought: Sought, ask: &Ask) -> Result<Self, String> {
        let given = match sought {
            Sought::Principals => &ask.resource,
            Sought::Resources => &ask.principal,
        };
        let (uid, action) = (point.uid(given)?, point.action(&ask.action)?);
        let context = point.context(ask, &action)?;
        let overlays: Vec<Overlay> = point.over(given)?.into_iter().collect();
        let mut roots = vec![uid.clone(), action.clone()];
        ask.context.values().for_each(|value| entities_in_json(point.store().kinds(), value, &mut roots));
        let reach = point.reach(roots.clone(), &overlays)?;
        let entities = point.entities(reach.entities)?;
        Ok(Self { sought, given: uid, action, context, roots, overlays, entities })
    }

    fn plan<'a>(&'a self, point: &'a AccessPoint, kind: &'a EntityTypeName) -> Plan<'a> {
        let (sought, known) = match self.sought {
            Sought::Principals => (Side::Principal, [None, Some(self.action.clone()), Some(self.given.clone())]),
            Sought::Resources => (Side::Resource, [Some(self.given.clone()), Some(self.action.clone()), None]),
        };
        Plan { store: point.store(), sought, kind, known, entities: &self.entities, context: &self.context }
    }

    /// The request with the open party; none when the schema has no such request.
    fn with(&self, point: &AccessPoint, uid: &EntityUid) -> Result<Option<Prepared>, String> {
        let (principal, resource) = match self.sought {
            Sought::Principals => (uid.clone(), self.given.clone()),
            Sought::Resources => (self.given.clone(), uid.clone()),
        };
        let Ok(request) = Request::new(principal, self.action.clone(), resource, self.context.clone(), point.policies().schema()) else { return Ok(None) };
        let reach = point.reach(self.roots.iter().cloned().chain([uid.clone()]).collect(), &self.overlays)?;
        point.prepared(request, reach).map(Some)
    }
}
