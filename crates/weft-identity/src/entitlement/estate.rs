//! A snapshot, compiled: who can do what in it.

use std::collections::HashMap;
use std::sync::Arc;

use weft_model::entitlement::{Caller, CallerKind, Outcome, Principal, PrincipalKind, Resource, Snapshot, Truth, Verdict};

use super::catalogue::Catalogue;
use super::compile::{Action, Compiler, Policy, Verb};
use super::context::Circumstances;
use super::decide::{Policies, Question, decide, permitted};
use super::pattern::witness;
use super::rules::{FactSource, Rules};

/// Stands in names for a part that a policy leaves open.
const ANY_WORD: &str = "weft-any";
/// The account stands behind this many colons of a full name.
const ACCOUNT_SEGMENT: usize = 4;

/// What reasoning knows of a provider.
#[derive(Debug, Clone, Default)]
pub struct Provider {
    /// Its actions.
    pub catalogue: Arc<Catalogue>,
    /// Its rules.
    pub rules: Arc<Rules>,
    /// The time for which questions are asked, in ISO 8601; what depends on it is open without it.
    pub now: Option<String>,
}

/// A principal with its policies, compiled.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) principal: Principal,
    pub(super) caller: Caller,
    pub(super) identity: Vec<Arc<Policy>>,
    pub(super) groups: Vec<Arc<Policy>>,
    pub(super) boundary: Option<Vec<Arc<Policy>>>,
    pub(super) trust: Vec<Arc<Policy>>,
    pub(super) base: Arc<Circumstances>,
}

/// Limits of an account, by level.
#[derive(Clone, Default)]
pub(super) struct Limits {
    pub(super) principals: Vec<Vec<Arc<Policy>>>,
    pub(super) resources: Vec<Vec<Arc<Policy>>>,
}

/// A resource with its policy, compiled.
#[derive(Clone)]
pub(super) struct Thing {
    pub(super) resource: Resource,
    pub(super) policy: Vec<Arc<Policy>>,
}

/// A group with its policies, compiled.
#[derive(Clone)]
pub(super) struct Team {
    pub(super) name: String,
    pub(super) account: String,
    pub(super) policies: Vec<Arc<Policy>>,
    pub(super) editable: Vec<String>,
}

/// A snapshot, compiled.
#[derive(Clone)]
pub struct Estate {
    pub(super) provider: Provider,
    pub(super) members: Vec<Member>,
    pub(super) teams: Vec<Team>,
    pub(super) things: Vec<Thing>,
    pub(super) by_name: HashMap<String, usize>,
    things_by_name: HashMap<String, usize>,
    /// By full name of a principal: what runs as it, in the snapshot's order.
    running: HashMap<String, Vec<usize>>,
    pub(super) limits: HashMap<String, Limits>,
    organizations: HashMap<String, String>,
    assume: String,
    pub(super) chosen: Arc<[String]>,
}

/// How a principal is looked at: as it is, or strengthened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Strength {
    #[default]
    Plain,
    /// With every permission that its limits leave.
    Empowered,
    /// Without its boundary.
    Unbound,
    /// Both.
    Free,
    /// As a member of one more group.
    With(usize),
}

impl Strength {
    /// Whether its policies permit everything.
    pub(super) fn permits_all(self) -> bool {
        matches!(self, Self::Empowered | Self::Free)
    }

    /// Whether its boundary counts.
    pub(super) fn is_bounded(self) -> bool {
        !matches!(self, Self::Unbound | Self::Free)
    }

    /// This and that together, where it makes more than one of them.
    pub(super) fn and(self, more: Self) -> Option<Self> {
        match (self, more) {
            (Self::Plain, more) => Some(more),
            (Self::Unbound, Self::Empowered) | (Self::Empowered, Self::Unbound) => Some(Self::Free),
            _ => None,
        }
    }
}

impl Estate {
    /// Compiles a snapshot.
    pub fn new(snapshot: Snapshot, provider: Provider) -> Self {
        let mut compiler = Compiler::new(Arc::clone(&provider.catalogue));
        let mut levels = |levels: &[Vec<Arc<weft_model::entitlement::Document>>]| levels.iter().map(|level| compiler.policies(level)).collect::<Vec<_>>();
        let limits = snapshot
            .accounts
            .iter()
            .map(|(id, account)| (id.clone(), Limits { principals: levels(&account.limits), resources: levels(&account.resource_limits) }));
        let limits = limits.collect();
        let organizations = snapshot.accounts.iter().filter_map(|(id, account)| Some((id.clone(), account.organization.clone()?))).collect::<HashMap<_, _>>();
        let teams: Vec<Team> = snapshot
            .groups
            .iter()
            .map(|group| Team {
                name: group.name.clone(),
                account: group.account.clone(),
                policies: compiler.policies(&group.policies),
                editable: group.editable.clone(),
            })
            .collect();
        let team_of: HashMap<&str, &Team> = teams.iter().map(|team| (team.name.as_str(), team)).collect();
        let chosen = provider.rules.chosen();
        let mut members = Vec::with_capacity(snapshot.principals.len());
        for principal in snapshot.principals {
            let groups = principal.groups.iter().filter_map(|name| team_of.get(name.as_str())).flat_map(|team| team.policies.iter().cloned()).collect();
            members.push(Member {
                identity: compiler.policies(&principal.policies),
                groups,
                boundary: principal.boundary.as_ref().map(|boundary| vec![compiler.policy(boundary)]),
                trust: principal.trust.iter().map(|trust| compiler.policy(trust)).collect(),
                base: Arc::new(base(&principal, &provider, snapshot.accounts.get(&principal.account), &chosen)),
                caller: caller(&principal),
                principal,
            });
        }
        let things: Vec<Thing> = snapshot
            .resources
            .into_iter()
            .map(|resource| Thing { policy: resource.policy.iter().map(|policy| compiler.policy(policy)).collect(), resource })
            .collect();
        let mut running: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, thing) in things.iter().enumerate() {
            thing.resource.runs_as.iter().for_each(|role| running.entry(role.clone()).or_default().push(number));
        }
        Self {
            running,
            by_name: members.iter().enumerate().map(|(number, member)| (member.principal.name.clone(), number)).collect(),
            things_by_name: things
                .iter()
                .enumerate()
                .filter(|(_, thing)| !thing.policy.is_empty())
                .map(|(n, thing)| (thing.resource.name.clone(), n))
                .collect(),
            assume: provider.rules.assume.to_ascii_lowercase(),
            chosen,
            provider,
            members,
            teams,
            things,
            limits,
            organizations,
        }
    }

    /// Full names of all principals; power over a part of the system is none.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        self.members.iter().filter(|member| member.principal.kind != PrincipalKind::Scope).map(|member| member.principal.name.as_str())
    }

    /// Whether the catalogue has an action.
    pub fn knows(&self, action: &str) -> bool {
        self.provider.catalogue.number(action).is_some()
    }

    /// What runs as a principal.
    pub fn run_as<'a>(&'a self, principal: &str) -> impl Iterator<Item = &'a str> {
        self.running(principal).map(|thing| thing.name.as_str())
    }

    pub(super) fn running<'a>(&'a self, principal: &str) -> impl Iterator<Item = &'a Resource> {
        let places = self.running.get(principal).into_iter().flatten();
        places.filter_map(|place| self.things.get(*place)).map(|thing| &thing.resource)
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.get(*self.by_name.get(name)?)
    }

    /// May this principal do this on that? `with` says what is known of the request; all else depends.
    ///
    /// `None` when the snapshot does not list the principal.
    pub fn can(&self, principal: &str, action: &str, resource: &str, with: &[(String, Vec<String>)]) -> Option<Verdict> {
        let member = self.members.get(*self.by_name.get(principal)?)?;
        Some(self.verdict(member, &action.to_ascii_lowercase(), resource, with))
    }

    /// Everybody who can, or can under conditions, with the reasons.
    pub fn who_can<'a>(&'a self, action: &str, resource: &'a str, with: &'a [(String, Vec<String>)]) -> impl Iterator<Item = (&'a str, Verdict)> {
        let action = action.to_ascii_lowercase();
        let can = move |member: &'a Member| {
            let verdict = self.verdict(member, &action, resource, with);
            matches!(verdict.outcome, Outcome::Allowed | Outcome::Conditional).then_some((member.principal.name.as_str(), verdict))
        };
        self.members.iter().filter(|member| member.principal.kind != PrincipalKind::Scope).filter_map(can)
    }

    fn verdict(&self, member: &Member, action: &str, resource: &str, with: &[(String, Vec<String>)]) -> Verdict {
        // Who asks a single question says what the request carries: nothing else is chosen for it.
        let mut at = self.circumstances(member, resource);
        at.open(&self.chosen);
        with.iter().for_each(|(key, values)| at.set(key, values.clone()));
        let around = self.around(resource);
        let question = self.question(member, action, resource, around.account, &at);
        decide(&question, &self.policies(member, Strength::Plain, action, &around))
    }

    fn question<'a>(&'a self, member: &'a Member, action: &'a str, resource: &'a str, account: Option<&'a str>, at: &'a Circumstances) -> Question<'a> {
        Question { caller: &member.caller, action: Action::of(&self.provider.catalogue, action), resource, resource_account: account, at }
    }

    /// Whether whoever a member's policies are asked about may; `caller` may leave out who it is.
    pub(super) fn permits(&self, caller: &Caller, (member, strength): (&Member, Strength), verb: &Verb, resource: &str, at: &Circumstances) -> Truth {
        let around = self.around(resource);
        let action = Action { name: &verb.name, number: verb.number };
        let question = Question { caller, action, resource, resource_account: around.account, at };
        permitted(&question, &self.policies(member, strength, &verb.name, &around))
    }

    /// Whether a principal may, without the reasons; `action` in lower case.
    pub(super) fn may(&self, member: &Member, strength: Strength, action: &str, resource: &str, at: &Circumstances) -> Truth {
        let around = self.around(resource);
        let question = self.question(member, action, resource, around.account, at);
        permitted(&question, &self.policies(member, strength, action, &around))
    }

    /// The reasons of [`may`](Self::may).
    pub(super) fn why(&self, member: &Member, strength: Strength, action: &str, resource: &str, at: &Circumstances) -> Verdict {
        let around = self.around(resource);
        let question = self.question(member, action, resource, around.account, at);
        decide(&question, &self.policies(member, strength, action, &around))
    }

    pub(super) fn policies<'a>(&'a self, member: &'a Member, strength: Strength, action: &str, around: &Around<'a>) -> Policies<'a> {
        let limits = self.limits.get(&member.principal.account).filter(|_| !member.principal.exempt);
        let resource_limits = around.account.and_then(|account| self.limits.get(account)).filter(|_| !member.principal.exempt);
        let assumes = self.assumes(action);
        Policies {
            identity: &member.identity,
            groups: &member.groups,
            joined: self.joined(strength),
            identity_permits: strength.permits_all(),
            boundary: member.boundary.as_deref().filter(|_| strength.is_bounded()),
            session: None,
            organization: limits.map(|limits| limits.principals.as_slice()).unwrap_or_default(),
            resource_organization: resource_limits.map(|limits| limits.resources.as_slice()).unwrap_or_default(),
            endpoint: None,
            resource: match (assumes, around.trust, around.thing) {
                (true, Some(trust), _) => trust,
                (_, _, Some(thing)) => &thing.policy,
                _ => &[],
            },
            gate: (assumes && around.trust.is_some()) || around.thing.is_some_and(|thing| thing.resource.gate),
            restrict_public: around.thing.is_some_and(|thing| thing.resource.restrict_public),
        }
    }

    /// Whether an action, in lower case, is one by which a role is assumed.
    pub(super) fn assumes(&self, action: &str) -> bool {
        action.starts_with(&self.assume)
    }

    /// What is known of a resource by its name; a part of a thing is under the thing's policy.
    pub(super) fn around(&self, resource: &str) -> Around<'_> {
        let thing = |name: &str| self.things_by_name.get(name).and_then(|number| self.things.get(*number));
        let part = || resource.split_once('/').and_then(|(whole, _)| thing(whole));
        let thing = thing(resource).or_else(part);
        let member = self.by_name.get(resource).and_then(|number| self.members.get(*number));
        // A name without an account (`*`, a bucket) is in the snapshot, or in the caller's own account.
        let written = self.account_in(resource);
        let account = thing.map(|thing| thing.resource.account.as_str()).filter(|account| !account.is_empty());
        let listed = written.and_then(|account| self.limits.get_key_value(account)).map(|(account, _)| account.as_str());
        let foreign = written.filter(|_| listed.is_none()).map(|_| FOREIGN);
        Around { account: account.or(listed).or(foreign), trust: member.map(|member| member.trust.as_slice()).filter(|trust| !trust.is_empty()), thing }
    }

    /// The account that a full name tells.
    fn account_in<'a>(&self, resource: &'a str) -> Option<&'a str> {
        let told = || resource.split(':').nth(ACCOUNT_SEGMENT).filter(|account| !account.is_empty());
        if self.provider.rules.names_tell_accounts { told() } else { None }
    }

    /// Circumstances of an imagined request of a principal on a resource.
    pub(super) fn circumstances(&self, member: &Member, resource: &str) -> Circumstances {
        let mut at = Circumstances::over(&member.base);
        let thing = self.things_by_name.get(resource).and_then(|number| self.things.get(*number)).map(|thing| &thing.resource.tags);
        let tags = self.by_name.get(resource).and_then(|number| self.members.get(*number)).map(|member| &member.principal.tags).or(thing);
        let account = self.account_in(resource);
        for fact in &self.provider.rules.facts {
            match fact.from {
                FactSource::ResourceAccount => {
                    at.set(&fact.key, vec![account.unwrap_or(&member.principal.account).to_owned()]);
                }
                FactSource::ResourceName => at.set(&fact.key, vec![resource.to_owned()]),
                FactSource::ResourceTags => {
                    let Some(tags) = tags else { continue };
                    at.absent(&fact.key);
                    tags.iter().for_each(|(tag, value)| at.set(&format!("{}{tag}", fact.key), vec![value.clone()]));
                }
                FactSource::ResourceOrganization => {
                    if let Some(organization) = self.organizations.get(account.unwrap_or(&member.principal.account)) {
                        at.set(&fact.key, vec![organization.clone()]);
                    }
                }
                _ => {}
            }
        }
        at
    }

    /// Whether there is some resource on which a principal may do this, with such a resource.
    pub(super) fn somewhere(&self, member: &Member, strength: Strength, action: &str, at: &Circumstances) -> Option<String> {
        let candidates = self.candidates(member, strength, Action::of(&self.provider.catalogue, action));
        candidates.into_iter().find(|resource| self.may(member, strength, action, resource, at) == Truth::Yes)
    }

    /// Policies of the group that a principal is looked at as a further member of.
    pub(super) fn joined(&self, strength: Strength) -> &[Arc<Policy>] {
        match strength {
            Strength::With(team) => self.teams.get(team).map(|team| team.policies.as_slice()).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Resources that stand for all that a principal's policies name for an action.
    pub(super) fn candidates(&self, member: &Member, strength: Strength, named: Action<'_>) -> Vec<String> {
        let joined = self.joined(strength);
        let mut candidates = vec![];
        if strength.permits_all() {
            candidates.push("*".to_owned());
        }
        for policy in member.identity.iter().chain(&member.groups).chain(joined).filter(|policy| policy.names(named, true)) {
            for statement in policy.statements.iter().filter(|statement| statement.permits && statement.covers(named)) {
                if statement.resources.negated || statement.every_resource {
                    candidates.push("*".to_owned());
                } else {
                    candidates.extend(statement.resources.patterns.iter().map(|pattern| witness(pattern, ANY_WORD)));
                }
            }
        }
        candidates.dedup();
        candidates
    }

    /// Whether a principal has all power over a part of the system, by the place of its scope.
    pub(super) fn rules_over(&self, member: &Member, scope: usize) -> bool {
        let Some(scope) = self.members.get(scope).map(|scope| scope.principal.name.as_str()) else { return false };
        let at = self.circumstances(member, scope);
        let actions = &self.provider.rules.scope_administrator;
        !actions.is_empty() && actions.iter().all(|action| self.may(member, Strength::Plain, &action.to_ascii_lowercase(), scope, &at) == Truth::Yes)
    }

    /// Whether a principal's own policies name all that power over a part of the system needs: without, it has none
    /// where no resource has a policy.
    pub(super) fn could_rule(&self, member: &Member) -> bool {
        let names = |action: &String| {
            let lower = action.to_ascii_lowercase();
            let named = Action::of(&self.provider.catalogue, &lower);
            member.identity.iter().chain(&member.groups).any(|policy| policy.names(named, true))
        };
        !self.things_by_name.is_empty() || self.provider.rules.scope_administrator.iter().all(names)
    }

    /// Whether a principal may do what only an administrator may.
    pub(super) fn is_administrator(&self, member: &Member, strength: Strength) -> bool {
        let at = Circumstances::over(&member.base);
        let actions = &self.provider.rules.administrator;
        !actions.is_empty() && actions.iter().all(|action| self.may(member, strength, &action.to_ascii_lowercase(), "*", &at) == Truth::Yes)
    }
}

/// The account of resources that no snapshot covers.
const FOREIGN: &str = "";

/// What surrounds a resource.
pub(super) struct Around<'a> {
    pub(super) account: Option<&'a str>,
    pub(super) trust: Option<&'a [Arc<Policy>]>,
    pub(super) thing: Option<&'a Thing>,
}

fn caller(principal: &Principal) -> Caller {
    Caller {
        name: principal.name.clone(),
        session: None,
        id: principal.id.clone(),
        account: Some(principal.account.clone()),
        kind: match principal.kind {
            PrincipalKind::User => CallerKind::User,
            PrincipalKind::Role | PrincipalKind::Scope => CallerKind::Role,
        },
    }
}

/// What is known of every request of a principal.
fn base(principal: &Principal, provider: &Provider, account: Option<&weft_model::entitlement::Account>, chosen: &Arc<[String]>) -> Circumstances {
    let mut at = Circumstances::imagined(Arc::clone(chosen));
    let user = principal.kind == PrincipalKind::User;
    for fact in &provider.rules.facts {
        let value = match fact.from {
            FactSource::Now => provider.now.clone(),
            FactSource::Principal => Some(principal.name.clone()),
            FactSource::UserShort if user => Some(principal.short.clone()),
            FactSource::UserId if user => principal.id.clone(),
            FactSource::PrincipalAccount => Some(principal.account.clone()),
            FactSource::PrincipalOrganization => account.and_then(|account| account.organization.clone()),
            FactSource::PrincipalPath => account.and_then(|account| account.path.clone()),
            FactSource::PrincipalType => Some(if user { "User" } else { "AssumedRole" }.to_owned()),
            FactSource::Fixed => Some(fact.value.clone()),
            FactSource::PrincipalTags => {
                at.absent(&fact.key);
                principal.tags.iter().for_each(|(tag, value)| at.set(&format!("{}{tag}", fact.key), vec![value.clone()]));
                None
            }
            FactSource::UserShort => {
                at.absent(&fact.key);
                None
            }
            _ => None,
        };
        if let Some(value) = value {
            at.set(&fact.key, vec![value]);
        }
    }
    at
}
