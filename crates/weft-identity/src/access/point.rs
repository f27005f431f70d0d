//! Decides requests of other tools by policies and stored facts.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{ActionConstraint, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId, Request};
use serde_json::{Map, Value};
use weft_model::{Decision, Effect};

use super::plan::{self, Permit};
use super::store::{EntityStore, Overlay, Reach, chain};
use super::value::{entities_in_json, for_schema};
use crate::decide::Policies;

/// Where properties of an action are found by policies: `context.action`.
const ACTION: &str = "action";

/// A principal or resource of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Party {
    /// Type.
    pub kind: String,
    /// Identifier within the type.
    pub id: String,
    /// What the request says of it; stands over what is stored.
    pub properties: Map<String, Value>,
    /// Groups that it is in, beside those that are stored.
    pub joins: Vec<weft_model::EntityUid>,
    /// Groups that it is not in, whatever is stored.
    pub leaves: Vec<weft_model::EntityUid>,
}

impl Party {
    /// Of which the request says nothing but its name.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), ..Self::default() }
    }
}

/// May this principal do this on that?
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// Who.
    pub principal: Party,
    /// What: the name of an action.
    pub action: String,
    /// What the request says of the action; policies see it as `context.action`.
    pub action_properties: Map<String, Value>,
    /// On what.
    pub resource: Party,
    /// Circumstances.
    pub context: Map<String, Value>,
}

/// Policies over facts.
#[derive(Debug)]
pub struct AccessPoint {
    policies: Policies,
    store: EntityStore,
    /// Actions by their bare name.
    actions: HashMap<String, EntityUid>,
    /// Action entities of the schema.
    declared: Vec<Entity>,
    /// Entities that conditions of policies look into by name.
    looked_into: Vec<EntityUid>,
    /// Types that policies or the schema name.
    kinds: HashSet<EntityTypeName>,
    permits: Vec<Permit>,
}

/// A request as Cedar takes it.
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) entities: Entities,
    pub(super) touched: HashSet<EntityUid>,
}

impl AccessPoint {
    /// Over policies and facts; the facts must have been read with the policies' schema.
    pub fn new(policies: Policies, mut store: EntityStore) -> Self {
        let declared: Vec<Entity> = policies.schema().and_then(|schema| schema.action_entities().ok()).map(|all| all.into_iter().collect()).unwrap_or_default();
        let mut actions = HashMap::new();
        let mut kinds: HashSet<EntityTypeName> = policies.schema().into_iter().flat_map(|schema| schema.entity_types().cloned()).collect();
        let known: Vec<EntityUid> = match policies.schema() {
            Some(schema) => schema.actions().cloned().collect(),
            None => policies
                .index()
                .policies()
                .flat_map(|policy| match policy.action_constraint() {
                    ActionConstraint::Any => Vec::new(),
                    ActionConstraint::Eq(uid) => vec![uid],
                    ActionConstraint::In(uids) => uids,
                })
                .collect(),
        };
        for uid in known {
            actions.entry(uid.id().unescaped().to_owned()).or_insert(uid);
        }
        let permits = plan::permits(policies.index());
        let (mut names, mut looked_into) = (BTreeSet::new(), BTreeSet::new());
        for policy in policies.index().policies() {
            kinds.extend(policy.entity_literals().into_iter().map(|uid| uid.type_name().clone()));
            plan::reads(policy, &mut names, &mut looked_into, &mut kinds);
        }
        store.look_up_by(names);
        Self { policies, store, actions, declared, looked_into: looked_into.into_iter().collect(), kinds, permits }
    }

    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// What is known.
    pub fn store(&self) -> &EntityStore {
        &self.store
    }

    /// What is known, to be changed.
    pub fn store_mut(&mut self) -> &mut EntityStore {
        &mut self.store
    }

    /// Gives the facts back, for other policies.
    pub fn into_store(self) -> EntityStore {
        self.store
    }

    pub(super) fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// Names of all actions that policies or the schema know, sorted.
    pub fn action_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.actions.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Decides; a request that cannot be decided is forbidden, and the reason is among the errors.
    pub fn decide(&self, ask: &Ask) -> Decision {
        match self.prepare(ask) {
            Ok(prepared) => self.answer(&prepared),
            Err(reason) => undecided(reason),
        }
    }

    /// Decides, and tells which entities the decision could look at, known or not.
    pub(super) fn decide_touching(&self, ask: &Ask) -> (Decision, HashSet<EntityUid>) {
        match self.prepare(ask) {
            Ok(prepared) => (self.answer(&prepared), prepared.touched),
            Err(reason) => (undecided(reason), self.named(ask)),
        }
    }

    /// Decides as if one policy were not there.
    pub(super) fn decide_without(&self, policy: &str, ask: &Ask) -> Decision {
        match self.prepare(ask) {
            Ok(prepared) => {
                let answer = self.policies.index().is_authorized_without(&PolicyId::new(policy), &prepared.request, &prepared.entities);
                self.policies.outcome(&answer)
            }
            Err(reason) => undecided(reason),
        }
    }

    pub(super) fn answer(&self, prepared: &Prepared) -> Decision {
        self.policies.outcome(&self.policies.index().is_authorized(&prepared.request, &prepared.entities))
    }

    /// Principal and resource, where their types are names.
    fn named(&self, ask: &Ask) -> HashSet<EntityUid> {
        [&ask.principal, &ask.resource].into_iter().filter_map(|party| self.uid(party).ok()).collect()
    }

    pub(super) fn uid(&self, party: &Party) -> Result<EntityUid, String> {
        self.store.kinds().uid(&party.kind, &party.id)
    }

    /// The action of a name: as the schema or policies know it, else a plain `Action`.
    pub(super) fn action(&self, name: &str) -> Result<EntityUid, String> {
        match self.actions.get(name) {
            Some(known) => Ok(known.clone()),
            None => Ok(EntityUid::from_type_name_and_id(self.store.kinds().kind("Action")?, EntityId::new(name))),
        }
    }

    /// Whether a principal or resource is one that anything is known of: it is stored, the request
    /// says what it is, or entities of its type are not stored at all but policies speak of them.
    pub(super) fn knows(&self, party: &Party) -> bool {
        let Ok(uid) = self.uid(party) else { return false };
        self.store.number(&uid).is_some() || !party.properties.is_empty() || !party.joins.is_empty() || {
            self.store.of_kind(uid.type_name()).is_empty() && self.kinds.contains(uid.type_name())
        }
    }

    pub(super) fn over(&self, party: &Party) -> Result<Option<Overlay>, String> {
        self.store.overlay(&self.uid(party)?, party)
    }

    /// What the conditions of policies see as `context`.
    pub(super) fn context(&self, ask: &Ask, action: &EntityUid) -> Result<Context, String> {
        let with_action;
        let fields = if ask.action_properties.is_empty() {
            &ask.context
        } else {
            let mut fields = ask.context.clone();
            fields.insert(ACTION.to_owned(), Value::Object(ask.action_properties.clone()));
            with_action = fields;
            &with_action
        };
        let made = match self.store.schema() {
            Some(schema) => {
                let json = for_schema(&Value::Object(fields.clone())).unwrap_or_default();
                Context::from_json_value(json, Some((schema, action))).map_err(|error| chain(&error))
            }
            None => self.store.kinds().values(fields).and_then(|pairs| Context::from_pairs(pairs).map_err(|error| chain(&error))),
        };
        made.map_err(|reason| format!("the context does not fit: {reason}"))
    }

    pub(super) fn prepare(&self, ask: &Ask) -> Result<Prepared, String> {
        let (principal, action, resource) = (self.uid(&ask.principal)?, self.action(&ask.action)?, self.uid(&ask.resource)?);
        let context = self.context(ask, &action)?;
        let overlays: Vec<Overlay> = [self.over(&ask.principal)?, self.over(&ask.resource)?].into_iter().flatten().collect();
        let mut roots = vec![principal.clone(), action.clone(), resource.clone()];
        ask.context.values().for_each(|value| entities_in_json(self.store.kinds(), value, &mut roots));
        let reach = self.reach(roots, &overlays)?;
        let request = Request::new(principal, action, resource, context, self.policies.schema()).map_err(|error| chain(&error))?;
        self.prepared(request, reach)
    }

    pub(super) fn reach(&self, roots: Vec<EntityUid>, overlays: &[Overlay]) -> Result<Reach, String> {
        self.store.reach(roots.into_iter().chain(self.looked_into.iter().cloned()), overlays)
    }

    pub(super) fn prepared(&self, request: Request, reach: Reach) -> Result<Prepared, String> {
        let entities = self.entities(reach.entities)?;
        Ok(Prepared { request, entities, touched: reach.touched })
    }

    /// Facts with the actions of the schema, as Cedar takes them.
    pub(super) fn entities(&self, facts: Vec<Entity>) -> Result<Entities, String> {
        let declared = self.declared.iter().filter(|entity| !facts.iter().any(|known| known.as_ref().uid() == entity.as_ref().uid()));
        let all: Vec<Entity> = declared.cloned().chain(facts.iter().cloned()).collect();
        Entities::from_entities(all, None).map_err(|error| format!("the facts do not fit together: {}", chain(&error)))
    }
}

fn undecided(reason: String) -> Decision {
    Decision { effect: Effect::Forbid, determining: Vec::new(), errors: vec![reason] }
}
