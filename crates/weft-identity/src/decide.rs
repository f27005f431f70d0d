//! The policy decision point: Cedar, closed by default.

pub(crate) mod clause;
mod index;
mod policies;

use std::str::FromStr;

use cedar_policy::{Context, Entities, EntityId, EntityTypeName, Request, Schema};
use serde_json::{Map, Value, json};
use weft_model::{AccessRequest, Decision, DecisionPoint, Effect, EntityUid, Facts};

pub use index::PolicyIndex;
pub use policies::{Naming, Policies, PolicyFault, PolicyFile};

/// Decides by Cedar policies that were checked against a schema.
pub struct CedarPoint {
    policies: Policies,
    schema: Schema,
}

impl CedarPoint {
    /// Compiles schema and policies. Every policy needs `@id` and `@why`; the id is what
    /// decisions name.
    ///
    /// # Errors
    /// Every fault of every file: a policy set with a hole is no policy set.
    pub fn compile(schema: &PolicyFile, files: &[PolicyFile]) -> Result<Self, Vec<PolicyFault>> {
        let policies = Policies::compile(Some(schema), files, Naming::Explained)?;
        let schema = policies.schema().cloned().ok_or_else(Vec::new)?;
        Ok(Self { policies, schema })
    }

    /// Why a policy exists, as its author wrote it.
    pub fn why(&self, id: &str) -> Option<&str> {
        self.policies.why(id)
    }

    /// Ids of all policies.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.policies.ids()
    }

    fn ask(&self, request: &AccessRequest, facts: &Facts) -> Result<Decision, String> {
        let action = uid(&EntityUid::new("Action", request.action.clone()))?;
        let context = Value::Object(without_null(&request.context));
        let context = Context::from_json_value(context, Some((&self.schema, &action)))
            .map_err(|error| format!("the context of `{}` does not fit the schema: {error}", request.action))?;
        let asked = Request::new(uid(&request.principal)?, action, uid(&request.resource)?, context, Some(&self.schema)).map_err(|error| error.to_string())?;
        let entities = Entities::from_json_value(entities(facts), Some(&self.schema)).map_err(|error| format!("the facts do not fit the schema: {error}"))?;
        Ok(self.policies.outcome(&self.policies.index().is_authorized(&asked, &entities)))
    }
}

impl DecisionPoint for CedarPoint {
    fn decide(&self, request: &AccessRequest, facts: &Facts) -> Decision {
        self.ask(request, facts).unwrap_or_else(|error| Decision { effect: Effect::Forbid, determining: Vec::new(), errors: vec![error] })
    }
}

fn uid(entity: &EntityUid) -> Result<cedar_policy::EntityUid, String> {
    let kind = EntityTypeName::from_str(&entity.kind).map_err(|_| format!("`{}` is not a name of an entity type", entity.kind))?;
    Ok(cedar_policy::EntityUid::from_type_name_and_id(kind, EntityId::new(&entity.id)))
}

fn entities(facts: &Facts) -> Value {
    let of = |entity: &EntityUid| json!({"type": entity.kind, "id": entity.id});
    facts
        .entities
        .iter()
        .map(|entity| json!({"uid": of(&entity.uid), "attrs": without_null(&entity.attrs), "parents": entity.parents.iter().map(of).collect::<Vec<_>>()}))
        .collect()
}

/// Cedar has no null: what is not known is absent.
fn without_null(attributes: &Map<String, Value>) -> Map<String, Value> {
    attributes.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}
