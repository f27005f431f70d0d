//! One decision: which layers forbid, which permit, and how they go together.
//!
//! Semantics: AWS IAM User Guide, "Policy evaluation logic", "Cross-account policy evaluation
//! logic", "Permissions boundaries for IAM entities", "Session policies", "AWS JSON policy elements:
//! Principal"; AWS Organizations User Guide, "SCP evaluation", "RCP evaluation". Other providers'
//! policies that are made of permitting and forbidding statements are decided likewise.

use std::sync::Arc;

use weft_model::access::Effect;
use weft_model::entitlement::{Caller, CallerKind, Cause, Layer, Match, Outcome, PrincipalPattern, Truth, Verdict};

use super::compile::{Action, Compiled, Policy};
use super::condition;
use super::context::{Circumstances, Filled};
use super::pattern::name_like;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// What for.
    pub action: Action<'a>,
    /// On what: a full name, or `*` where the action has no resource.
    pub resource: &'a str,
    /// Account of the resource; the caller's own when it is not known.
    pub resource_account: Option<&'a str>,
    /// Circumstances.
    pub at: &'a Circumstances,
}

/// The policies that a decision looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// Of the principal and its groups.
    pub identity: &'a [Arc<Policy>],
    /// Policies of the principal's groups, kept apart only because they are shared.
    pub groups: &'a [Arc<Policy>],
    /// Policies of one more group, when the principal is looked at as a member of it.
    pub joined: &'a [Arc<Policy>],
    /// Whether to read the identity's policies as if one more permitted everything.
    pub identity_permits: bool,
    /// Boundary, if there is one.
    pub boundary: Option<&'a [Arc<Policy>]>,
    /// Session policies, if there are some.
    pub session: Option<&'a [Arc<Policy>]>,
    /// Organisation's limits on the principal's account, by level.
    pub organization: &'a [Vec<Arc<Policy>>],
    /// Organisation's limits on the resource's account, by level.
    pub resource_organization: &'a [Vec<Arc<Policy>>],
    /// Policies of private endpoints on the way.
    pub endpoint: Option<&'a [Arc<Policy>]>,
    /// The resource's own policies.
    pub resource: &'a [Arc<Policy>],
    /// See [`weft_model::entitlement::Resource::gate`].
    pub gate: bool,
    /// See [`weft_model::entitlement::Resource::restrict_public`].
    pub restrict_public: bool,
}

/// How firmly a statement of a resource's policy holds the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grip {
    /// Through its account, which decides on.
    Account,
    /// The role that the session is of: limited by what limits the role.
    Role,
    /// The caller itself.
    Direct,
}

/// What the layers say, each three-valued.
#[derive(Debug)]
struct Said {
    forbidden: Truth,
    identity: Truth,
    boundary: Truth,
    session: Truth,
    organization: Truth,
    resource_organization: Truth,
    endpoint: Truth,
    /// By grip: account, role, direct.
    resource: [Truth; 3],
}

/// Decides, with the statements that decide.
pub fn decide(question: &Question<'_>, policies: &Policies<'_>) -> Verdict {
    let mut causes = Vec::new();
    let said = ask(question, policies, &mut |cause| causes.push(cause()));
    let granted = granted(&said, question, policies);
    let outcome = outcome(said.forbidden, granted);
    let wanted = |cause: &Cause, depends: bool| cause.depends_on.is_empty() != depends;
    match outcome {
        Outcome::ExplicitlyDenied => causes.retain(|cause| cause.effect == Effect::Forbid && wanted(cause, false)),
        Outcome::Allowed => causes.retain(|cause| cause.effect == Effect::Permit && wanted(cause, false)),
        Outcome::Conditional => causes.retain(|cause| cause.effect == Effect::Permit || wanted(cause, true)),
        Outcome::ImplicitlyDenied => causes.clear(),
    }
    causes.sort_by_key(|cause| cause.effect != Effect::Forbid);
    let missing = (outcome == Outcome::ImplicitlyDenied).then(|| missing(&said));
    Verdict { outcome, causes, missing }
}

/// Decides without saying why: for those who ask often.
pub fn permitted(question: &Question<'_>, policies: &Policies<'_>) -> Truth {
    let said = ask(question, policies, &mut |_| ());
    granted(&said, question, policies).and(!said.forbidden)
}

fn outcome(forbidden: Truth, granted: Truth) -> Outcome {
    match (forbidden, granted) {
        (Truth::Yes, _) => Outcome::ExplicitlyDenied,
        (_, Truth::No) => Outcome::ImplicitlyDenied,
        (Truth::No, Truth::Yes) => Outcome::Allowed,
        _ => Outcome::Conditional,
    }
}

fn missing(said: &Said) -> Layer {
    let layers = [
        (said.organization, Layer::Organization),
        (said.resource_organization, Layer::ResourceOrganization),
        (said.endpoint, Layer::Endpoint),
        (said.boundary, Layer::Boundary),
        (said.session, Layer::Session),
        (said.identity, Layer::Identity),
    ];
    layers.into_iter().find(|(truth, _)| *truth == Truth::No).map_or(Layer::Resource, |(_, layer)| layer)
}

fn granted(said: &Said, question: &Question<'_>, policies: &Policies<'_>) -> Truth {
    let [account, role, direct] = said.resource;
    let any = account.or(role).or(direct);
    let own = said.identity.and(said.boundary).and(said.session);
    let same = question.resource_account.is_none() || question.resource_account == question.caller.account.as_deref();
    let granted = match question.caller.kind {
        CallerKind::Anonymous | CallerKind::Service => any,
        CallerKind::Root if same => said.session,
        CallerKind::Root => any.and(said.session),
        CallerKind::User | CallerKind::Role | CallerKind::FederatedUser if same => {
            let own = if policies.gate { own.and(any) } else { own };
            own.or(direct).or(role.and(said.boundary).and(said.session))
        }
        CallerKind::User | CallerKind::Role | CallerKind::FederatedUser => own.and(any),
    };
    granted.and(said.organization).and(said.resource_organization).and(said.endpoint)
}

type Tell<'t> = dyn FnMut(&dyn Fn() -> Cause) + 't;

fn ask(question: &Question<'_>, policies: &Policies<'_>, tell: &mut Tell<'_>) -> Said {
    let mut forbidden = Truth::No;
    let mut layer = |layer: Layer, policies: &[Arc<Policy>], tell: &mut Tell<'_>| {
        let mut permitted = Truth::No;
        for (policy, statement) in policies.iter().flat_map(|policy| policy.statements.iter().map(move |statement| (policy, statement))) {
            let truth = applies(statement, question);
            if truth == Truth::No {
                continue;
            }
            tell(&|| cause(layer, policy, statement, truth, question));
            let to = if statement.permits { &mut permitted } else { &mut forbidden };
            *to = to.or(truth);
        }
        permitted
    };
    let own = [policies.identity, policies.groups, policies.joined];
    let identity = own.into_iter().fold(Truth::No, |so_far, policies| so_far.or(layer(Layer::Identity, policies, tell)));
    let boundary = policies.boundary.map_or(Truth::Yes, |boundary| layer(Layer::Boundary, boundary, tell));
    let session = policies.session.map_or(Truth::Yes, |session| layer(Layer::Session, session, tell));
    let endpoint = policies.endpoint.map_or(Truth::Yes, |endpoint| layer(Layer::Endpoint, endpoint, tell));
    let mut levels =
        |which: Layer, levels: &[Vec<Arc<Policy>>], tell: &mut Tell<'_>| levels.iter().fold(Truth::Yes, |so_far, level| so_far.and(layer(which, level, tell)));
    let organization = levels(Layer::Organization, policies.organization, tell);
    let resource_organization = levels(Layer::ResourceOrganization, policies.resource_organization, tell);
    let (resource, forbidden_there) = of_resource(question, policies, tell);
    let identity = if policies.identity_permits { Truth::Yes } else { identity };
    Said { forbidden: forbidden.or(forbidden_there), identity, boundary, session, organization, resource_organization, endpoint, resource }
}

/// What the resource's own policies permit, by grip, and whether they forbid.
fn of_resource(question: &Question<'_>, policies: &Policies<'_>, tell: &mut Tell<'_>) -> ([Truth; 3], Truth) {
    let (mut permitted, mut forbidden) = ([Truth::No; 3], Truth::No);
    let foreign = question.resource_account.is_some() && question.resource_account != question.caller.account.as_deref();
    let closed = policies.restrict_public && foreign && question.caller.kind != CallerKind::Service && policies.resource.iter().any(|policy| is_public(policy));
    for (policy, statement) in policies.resource.iter().flat_map(|policy| policy.statements.iter().map(move |statement| (policy, statement))) {
        let Some(grip) = grip(statement, question.caller) else { continue };
        let truth = applies(statement, question);
        if truth == Truth::No || (closed && statement.permits) {
            continue;
        }
        tell(&|| cause(Layer::Resource, policy, statement, truth, question));
        match (statement.permits, permitted.get_mut(grip as usize)) {
            (true, Some(permitted)) => *permitted = permitted.or(truth),
            (true, None) => {}
            (false, _) => forbidden = forbidden.or(truth),
        }
    }
    (permitted, forbidden)
}

fn is_public(policy: &Policy) -> bool {
    let open = |statement: &Compiled| {
        statement.permits
            && statement.conditions.is_empty()
            && statement.principals.as_ref().is_some_and(|principals| principals.negated || principals.patterns.contains(&PrincipalPattern::Anyone))
    };
    policy.statements.iter().any(open)
}

/// Whether a statement of a resource's policy is about the caller, and how firmly.
fn grip(statement: &Compiled, caller: &Caller) -> Option<Grip> {
    let Some(Match { negated, patterns }) = &statement.principals else { return Some(Grip::Direct) };
    let found = patterns.iter().filter_map(|pattern| holds(pattern, caller)).max();
    if !negated {
        return found;
    }
    // Naming the account alone leaves nobody in it out but its owner.
    let left_out = found.is_some_and(|grip| grip > Grip::Account);
    (!left_out).then_some(Grip::Direct)
}

fn holds(pattern: &PrincipalPattern, caller: &Caller) -> Option<Grip> {
    let same = |name: &str| caller.session.as_deref() == Some(name);
    match pattern {
        PrincipalPattern::Anyone => Some(Grip::Direct),
        PrincipalPattern::Account(account) if caller.account.as_ref() == Some(account) => {
            Some(if caller.kind == CallerKind::Root { Grip::Direct } else { Grip::Account })
        }
        PrincipalPattern::Named(name) if same(name) => Some(Grip::Direct),
        PrincipalPattern::Named(name) if (!caller.name.is_empty() && caller.name == *name) || caller.id.as_ref() == Some(name) => {
            Some(if caller.kind == CallerKind::User { Grip::Direct } else { Grip::Role })
        }
        PrincipalPattern::Service(name) if caller.kind == CallerKind::Service => caller.name.eq_ignore_ascii_case(name).then_some(Grip::Direct),
        PrincipalPattern::Federated(name) if caller.name == *name => Some(Grip::Direct),
        _ => None,
    }
}

fn applies(statement: &Compiled, question: &Question<'_>) -> Truth {
    if !statement.covers(question.action) {
        return Truth::No;
    }
    let mut truth = if statement.every_resource { Truth::Yes } else { reaches(statement, question) };
    for condition in &statement.conditions {
        if truth == Truth::No {
            break;
        }
        truth = truth.and(condition::holds(condition, question.at, statement.variables, statement.permits));
    }
    truth
}

/// Whether the statement is about the resource.
pub(super) fn reaches(statement: &Compiled, question: &Question<'_>) -> Truth {
    let one = |pattern: &String| {
        if !statement.variables || !pattern.contains("${") {
            return Truth::from(name_like(pattern, question.resource));
        }
        match question.at.fill(pattern) {
            Filled::Text(pattern) => Truth::from(name_like(&pattern, question.resource)),
            Filled::Absent => Truth::No,
            Filled::Unknown => Truth::Depends,
        }
    };
    let found = statement.resources.patterns.iter().map(one).fold(Truth::No, Truth::or);
    if statement.resources.negated { !found } else { found }
}

fn cause(layer: Layer, policy: &Policy, statement: &Compiled, truth: Truth, question: &Question<'_>) -> Cause {
    let open =
        |condition: &&weft_model::entitlement::Condition| condition::holds(condition, question.at, statement.variables, statement.permits) == Truth::Depends;
    let mut depends_on: Vec<String> = statement.conditions.iter().filter(open).map(|condition| condition.text.clone()).collect();
    if truth == Truth::Depends && depends_on.is_empty() {
        depends_on.push("a variable in the resource".to_owned());
    }
    if truth == Truth::Yes {
        depends_on.clear();
    }
    let effect = if statement.permits { Effect::Permit } else { Effect::Forbid };
    Cause { layer, policy: policy.name.clone(), statement: statement.id.clone(), effect, depends_on }
}
