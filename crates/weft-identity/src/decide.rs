//! The policy decision point: Cedar, closed by default.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Effect as CedarEffect, Entities, EntityId, EntityTypeName, Policy, PolicyId, PolicySet, Request, Schema,
    ValidationMode, Validator,
};
use serde_json::{Map, Value, json};
use weft_model::{AccessRequest, Decision, DecisionPoint, Effect, EntityUid, Facts};

/// Longest file of policies.
const FILE_BYTES_MAX: usize = 1 << 20;

/// A file of policies, or the schema, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Name, for messages.
    pub name: String,
    /// Cedar.
    pub text: String,
}

/// What is wrong with a policy or the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// File.
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// For a person.
    pub reason: String,
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)
    }
}

/// Decides by Cedar policies that were checked against a schema.
pub struct CedarPoint {
    authorizer: Authorizer,
    schema: Schema,
    policies: PolicySet,
    reasons: BTreeMap<String, String>,
}

impl CedarPoint {
    /// Compiles schema and policies. Every policy needs `@id` and `@why`; the id is what
    /// decisions name.
    ///
    /// # Errors
    /// Every fault of every file: a policy set with a hole is no policy set.
    pub fn compile(schema: &PolicyFile, files: &[PolicyFile]) -> Result<Self, Vec<PolicyFault>> {
        let (parsed, _warnings) = Schema::from_cedarschema_str(&schema.text).map_err(|error| located(schema, &DetailedError::from(&error)))?;
        let (mut policies, mut places, mut faults) = (PolicySet::new(), BTreeMap::new(), Vec::new());
        for file in files {
            for policy in parse(file).unwrap_or_else(|broken| {
                faults.extend(broken);
                Vec::new()
            }) {
                places.insert(policy.id().to_string(), file);
                if let Err(error) = policies.add(policy) {
                    faults.push(PolicyFault { file: file.name.clone(), line: 0, column: 0, reason: error.to_string() });
                }
            }
        }
        let checked = Validator::new(parsed.clone()).validate(&policies, ValidationMode::default());
        for error in checked.validation_errors() {
            let file = places.get(&error.policy_id().to_string()).copied().unwrap_or(schema);
            faults.extend(located(file, &DetailedError::from(error)));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let reasons = policies.policies().filter_map(|policy| Some((policy.id().to_string(), policy.annotation("why")?.to_owned()))).collect();
        Ok(Self { authorizer: Authorizer::new(), schema: parsed, policies, reasons })
    }

    /// Why a policy exists, as its author wrote it.
    pub fn why(&self, id: &str) -> Option<&str> {
        self.reasons.get(id).map(String::as_str)
    }

    /// Ids of all policies.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.reasons.keys().map(String::as_str)
    }

    fn ask(&self, request: &AccessRequest, facts: &Facts) -> Result<Decision, String> {
        let action = uid(&EntityUid::new("Action", request.action.clone()))?;
        let context = Value::Object(without_null(&request.context));
        let context = Context::from_json_value(context, Some((&self.schema, &action)))
            .map_err(|error| format!("the context of `{}` does not fit the schema: {error}", request.action))?;
        let asked = Request::new(uid(&request.principal)?, action, uid(&request.resource)?, context, Some(&self.schema)).map_err(|error| error.to_string())?;
        let entities = Entities::from_json_value(entities(facts), Some(&self.schema)).map_err(|error| format!("the facts do not fit the schema: {error}"))?;
        Ok(self.outcome(&self.authorizer.is_authorized(&asked, &self.policies, &entities)))
    }

    /// A forbid that could not be evaluated counts as one that holds: Cedar skips it, which would
    /// open what it was written to close.
    fn outcome(&self, answer: &cedar_policy::Response) -> Decision {
        let mut determining: Vec<String> = answer.diagnostics().reason().map(ToString::to_string).collect();
        let mut effect = if answer.decision() == CedarDecision::Allow { Effect::Permit } else { Effect::Forbid };
        let mut errors = Vec::new();
        let mut failed = Vec::new();
        for cedar_policy::AuthorizationError::PolicyEvaluationError(error) in answer.diagnostics().errors() {
            errors.push(error.to_string());
            if self.policies.policy(error.policy_id()).is_some_and(|policy| policy.effect() == CedarEffect::Forbid) {
                failed.push(error.policy_id().to_string());
            }
        }
        if effect == Effect::Permit && !failed.is_empty() {
            effect = Effect::Forbid;
            determining = failed;
        }
        determining.sort();
        errors.sort();
        Decision { effect, determining, errors }
    }
}

impl DecisionPoint for CedarPoint {
    fn decide(&self, request: &AccessRequest, facts: &Facts) -> Decision {
        self.ask(request, facts).unwrap_or_else(|error| Decision { effect: Effect::Forbid, determining: Vec::new(), errors: vec![error] })
    }
}

/// The policies of a file under the ids that their `@id` gives.
fn parse(file: &PolicyFile) -> Result<Vec<Policy>, Vec<PolicyFault>> {
    let whole = |reason: String| vec![PolicyFault { file: file.name.clone(), line: 0, column: 0, reason }];
    if file.text.len() > FILE_BYTES_MAX {
        return Err(whole(format!("the file is longer than {FILE_BYTES_MAX} bytes; split it")));
    }
    let set =
        PolicySet::from_str(&file.text).map_err(|errors| errors.iter().flat_map(|error| located(file, &DetailedError::from(error))).collect::<Vec<_>>())?;
    let mut faults = Vec::new();
    let mut policies = Vec::new();
    for policy in set.policies() {
        match (policy.annotation("id"), policy.annotation("why")) {
            (Some(id), Some(why)) if !id.is_empty() && !why.is_empty() => policies.push(policy.new_id(PolicyId::new(id))),
            (id, _) => faults.extend(whole(format!("the policy `{}` needs @id and @why", id.map_or_else(|| policy.id().to_string(), str::to_owned)))),
        }
    }
    if faults.is_empty() { Ok(policies) } else { Err(faults) }
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

/// One fault for each place that the error names.
fn located(file: &PolicyFile, error: &DetailedError) -> Vec<PolicyFault> {
    let reason = |error: &DetailedError| {
        let help = error.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}{help}", error.message)
    };
    let at = error.source_locations.first().map_or((0, 0), |label| place(&file.text, label.loc.start));
    let mut faults = vec![PolicyFault { file: file.name.clone(), line: at.0, column: at.1, reason: reason(error) }];
    faults.extend(error.related.iter().flat_map(|related| located(file, related)));
    faults
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
