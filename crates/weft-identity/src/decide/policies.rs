//! Policies read from files, checked, and indexed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    AuthorizationError, Decision as CedarDecision, Effect as CedarEffect, Policy, PolicyId, PolicySet, Response, Schema, ValidationMode, Validator,
};
use weft_model::{Decision, Effect};

use super::index::PolicyIndex;

/// Longest file of policies.
const FILE_BYTES_MAX: usize = 16 << 20;

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
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.reason),
        }
    }
}

/// How policies get their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Every policy says `@id` and `@why`.
    Explained,
    /// `@id` where there is one, else the file's name and the policy's place in it.
    Free,
}

/// Policies, with the schema that they were checked against.
#[derive(Debug)]
pub struct Policies {
    schema: Option<Schema>,
    index: PolicyIndex,
    reasons: BTreeMap<String, String>,
}

impl Policies {
    /// Compiles schema and policies.
    ///
    /// # Errors
    /// Every fault of every file: a policy set with a hole is no policy set.
    pub fn compile(schema: Option<&PolicyFile>, files: &[PolicyFile], naming: Naming) -> Result<Self, Vec<PolicyFault>> {
        let parsed = match schema {
            Some(file) => Some(Schema::from_cedarschema_str(&file.text).map_err(|error| located(file, &DetailedError::from(&error)))?.0),
            None => None,
        };
        let (mut policies, mut places, mut faults) = (PolicySet::new(), BTreeMap::new(), Vec::new());
        for file in files {
            for policy in parse(file, naming).unwrap_or_else(|broken| {
                faults.extend(broken);
                Vec::new()
            }) {
                let id = policy.id().to_string();
                match policies.add(policy) {
                    Ok(()) => drop(places.insert(id, file)),
                    Err(_) => faults.extend(whole(file, format!("there is already a policy `{id}`; choose another @id"))),
                }
            }
        }
        if let Some(parsed) = &parsed {
            let checked = Validator::new(parsed.clone()).validate(&policies, ValidationMode::default());
            for error in checked.validation_errors() {
                let file = places.get(&error.policy_id().to_string()).copied().or(schema);
                faults.extend(file.into_iter().flat_map(|file| located(file, &DetailedError::from(error))));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let reasons = policies.policies().map(|policy| (policy.id().to_string(), policy.annotation("why").unwrap_or_default().to_owned())).collect();
        Ok(Self { schema: parsed, index: PolicyIndex::new(&policies), reasons })
    }

    /// What requests and facts are checked against.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// The policies themselves.
    pub fn index(&self) -> &PolicyIndex {
        &self.index
    }

    /// Why a policy exists, as its author wrote it.
    pub fn why(&self, id: &str) -> Option<&str> {
        self.reasons.get(id).map(String::as_str).filter(|why| !why.is_empty())
    }

    /// Ids of all policies.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.reasons.keys().map(String::as_str)
    }

    /// A forbid that could not be evaluated counts as one that holds: Cedar skips it, which would
    /// open what it was written to close.
    pub fn outcome(&self, answer: &Response) -> Decision {
        let mut determining: Vec<String> = answer.diagnostics().reason().map(ToString::to_string).collect();
        let mut effect = if answer.decision() == CedarDecision::Allow { Effect::Permit } else { Effect::Forbid };
        let mut errors = Vec::new();
        let mut failed = Vec::new();
        for AuthorizationError::PolicyEvaluationError(error) in answer.diagnostics().errors() {
            errors.push(error.to_string());
            if self.index.policy(error.policy_id()).is_some_and(|policy| policy.effect() == CedarEffect::Forbid) {
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

fn whole(file: &PolicyFile, reason: String) -> Vec<PolicyFault> {
    vec![PolicyFault { file: file.name.clone(), line: 0, column: 0, reason }]
}

/// The policies of a file under the ids that they are named by.
fn parse(file: &PolicyFile, naming: Naming) -> Result<Vec<Policy>, Vec<PolicyFault>> {
    if file.text.len() > FILE_BYTES_MAX {
        return Err(whole(file, format!("the file is longer than {FILE_BYTES_MAX} bytes; split it")));
    }
    let set =
        PolicySet::from_str(&file.text).map_err(|errors| errors.iter().flat_map(|error| located(file, &DetailedError::from(error))).collect::<Vec<_>>())?;
    let mut faults = Vec::new();
    let mut policies = Vec::new();
    for policy in set.policies() {
        let id = policy.annotation("id").filter(|id| !id.is_empty());
        let why = policy.annotation("why").filter(|why| !why.is_empty());
        match (naming, id, why) {
            (Naming::Explained, Some(id), Some(_)) | (Naming::Free, Some(id), _) => policies.push(policy.new_id(PolicyId::new(id))),
            (Naming::Free, None, _) => policies.push(policy.new_id(PolicyId::new(format!("{}#{}", file.name, policy.id())))),
            (Naming::Explained, ..) => {
                faults.extend(whole(file, format!("the policy `{}` needs @id and @why", id.map_or_else(|| policy.id().to_string(), str::to_owned))));
            }
        }
    }
    if let Some(template) = set.templates().next() {
        faults.extend(whole(file, format!("`{}` is a template; write a policy for each principal and resource instead", template.id())));
    }
    if faults.is_empty() { Ok(policies) } else { Err(faults) }
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
