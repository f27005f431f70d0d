//! A single request that brings its own policies.

use weft_model::entitlement::{CallerKind, Case, Verdict};

use super::compile::{Action, Compiler};
use super::context::Circumstances;
use super::decide::{Policies, Question, decide};
use super::estate::Provider;
use super::rules::FactSource;

/// Decides a case.
pub fn evaluate(case: &Case, provider: &Provider) -> Verdict {
    let mut compiler = Compiler::new(std::sync::Arc::clone(&provider.catalogue));
    let at = circumstances(case, provider);
    let identity = compiler.policies(&case.identity);
    let resource = compiler.policies(&case.policies);
    let boundary = case.boundary.as_ref().map(|documents| compiler.policies(documents));
    let session = case.session.as_ref().map(|documents| compiler.policies(documents));
    let endpoint = case.endpoint.as_ref().map(|documents| compiler.policies(documents));
    let organization: Vec<_> = case.limits.iter().map(|level| compiler.policies(level)).collect();
    let resource_organization: Vec<_> = case.resource_limits.iter().map(|level| compiler.policies(level)).collect();
    let action = case.action.to_ascii_lowercase();
    let question = Question {
        caller: &case.caller,
        action: Action::of(&provider.catalogue, &action),
        resource: &case.resource,
        resource_account: case.resource_account.as_deref(),
        at: &at,
    };
    let policies = Policies {
        identity: &identity,
        groups: &[],
        joined: &[],
        identity_permits: false,
        boundary: boundary.as_deref(),
        session: session.as_deref(),
        organization: &organization,
        resource_organization: &resource_organization,
        endpoint: endpoint.as_deref(),
        resource: &resource,
        gate: case.gate,
        restrict_public: case.restrict_public,
    };
    decide(&question, &policies)
}

fn circumstances(case: &Case, provider: &Provider) -> Circumstances {
    let everything = case.unknown.iter().any(|key| key == "*");
    let mut at = if everything { Circumstances::imagined([].into()) } else { Circumstances::complete() };
    let caller = &case.caller;
    let short = caller.name.rsplit('/').next().unwrap_or_default();
    let known = !matches!(caller.kind, CallerKind::Anonymous | CallerKind::Service);
    for fact in &provider.rules.facts {
        let value = match fact.from {
            FactSource::Principal if known => Some(caller.name.clone()),
            FactSource::UserShort if caller.kind == CallerKind::User => Some(short.to_owned()),
            FactSource::UserId if caller.kind == CallerKind::User => caller.id.clone(),
            FactSource::PrincipalAccount if known => caller.account.clone(),
            FactSource::PrincipalType => kind(caller.kind).map(str::to_owned),
            FactSource::ResourceAccount => case.resource_account.clone().or_else(|| caller.account.clone()),
            _ => None,
        };
        if let Some(value) = value {
            at.set(&fact.key, vec![value]);
        }
    }
    for (key, values) in &case.context {
        if values.is_empty() {
            at.absent(key);
        } else {
            at.set(key, values.clone());
        }
    }
    case.unknown.iter().filter(|key| *key != "*").for_each(|key| at.unknown(key));
    at
}

fn kind(kind: CallerKind) -> Option<&'static str> {
    match kind {
        CallerKind::User => Some("User"),
        CallerKind::Role => Some("AssumedRole"),
        CallerKind::FederatedUser => Some("FederatedUser"),
        CallerKind::Root => Some("Account"),
        CallerKind::Anonymous => Some("Anonymous"),
        CallerKind::Service => None,
    }
}
