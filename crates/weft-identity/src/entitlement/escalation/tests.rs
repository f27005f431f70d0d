//! Sets against single questions: on random estates, everybody reaches what asking one by one says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weft_model::access::Effect;
use weft_model::entitlement::{
    Account, Condition, Document, Group, Match, Principal, PrincipalKind, PrincipalPattern, Quantifier, Resource, Snapshot, Statement, Test, TestKind, Truth,
};

use super::info::Via;
use super::ways::edge;
use super::*;
use crate::entitlement::compile::Action;
use crate::entitlement::rules::{Capability, Gain};
use crate::entitlement::{Catalogue, Provider, Rules};

const RULES: &str = r#"
assume = "id:Assume"
administrator = ["id:Attach", "store:Get"]
chosen = ["req:"]
facts = [{ key = "who", from = "principal" }, { key = "tag/", from = "principal_tags" }, { key = "of/", from = "resource_tags" }]
prizes = [{ kind = "bucket", action = "store:Get", suffix = "/*" }]
[[capability]]
id = "pass"
gains = "pass"
needs = [{ action = ["id:Pass"], on = "gained", service_key = "to" }, { action = ["run:New", "run:Old"] }]
services = ["run", "web"]
[[capability]]
id = "code"
gains = "carrier"
needs = [{ action = ["run:Code"], on = "carrier" }]
services = ["run"]
carriers = ["function"]
[[capability]]
id = "key"
gains = "user"
needs = [{ action = ["id:Key"], on = "gained" }]
[[capability]]
id = "trust"
gains = "role"
needs = [{ action = ["id:Trust"], on = "gained" }]
[[capability]]
id = "attach-user"
gains = "empower_user"
needs = [{ action = ["id:Attach"], on = "gained", boundary_key = "bound" }]
[[capability]]
id = "attach-role"
gains = "empower_role"
needs = [{ action = ["id:Attach"], on = "gained" }]
[[capability]]
id = "edit"
gains = "empower_policy"
needs = [{ action = ["id:Edit"], on = "gained" }]
[[capability]]
id = "attach-group"
gains = "empower_group"
needs = [{ action = ["id:AttachGroup"], on = "gained" }]
[[capability]]
id = "join"
gains = "join"
needs = [{ action = ["id:Join"], on = "gained" }]
[[capability]]
id = "unbind-user"
gains = "unbound_user"
needs = [{ action = ["id:Unbind"], on = "gained" }]
[[capability]]
id = "unbind-role"
gains = "unbound_role"
needs = [{ action = ["id:Unbind"], on = "gained" }]
[[capability]]
id = "both"
gains = "role"
needs = [{ action = ["id:Trust"], on = "gained" }, { action = ["id:Key", "id:Edit"], on = "gained" }]
[[capability]]
id = "deploy"
gains = "carrier"
needs = [{ action = ["run:New"], on = "carrier" }, { action = ["id:Pass"], on = "gained" }, { action = ["run:Old"] }]
carriers = ["function"]
[[capability]]
id = "self"
gains = "empower_self"
needs = [{ action = ["sso:Assign"] }]
"#;
const ACTIONS: [&str; 17] = [
    "id:Assume",
    "id:Pass",
    "run:New",
    "run:Old",
    "run:Code",
    "id:Key",
    "id:Trust",
    "id:Attach",
    "id:Edit",
    "id:AttachGroup",
    "id:Join",
    "id:Unbind",
    "sso:Assign",
    "store:Get",
    "id:*",
    "run:*",
    "*",
];

/// Actions of capabilities that need several.
const MIXED: [&str; 7] = ["id:Pass", "run:New", "run:Old", "run:Code", "id:Key", "id:Trust", "id:Edit"];

/// A small world from a seed.
struct World {
    state: u64,
    accounts: Vec<&'static str>,
    each: usize,
    /// Whether there is nothing but what policies of principals and groups permit: then groups that are joined are
    /// not followed twice.
    bare: bool,
}

impl World {
    fn upto(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % below
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.upto(of) == 0
    }

    fn account(&mut self) -> &'static str {
        let place = self.upto(self.accounts.len());
        self.accounts[place]
    }

    fn name(&mut self, kind: &str) -> String {
        format!("n:x:id::{}:{kind}/{}", self.account(), self.upto(self.each))
    }

    fn resource(&mut self) -> String {
        match self.upto(12) {
            0..4 if self.bare => self.name("user"),
            0..4 => "*".to_owned(),
            4 | 5 => self.name("role"),
            6 | 7 => self.name("user"),
            8 => format!("n:x:id::{}:role/*", self.account()),
            9 => self.name(if self.state.is_multiple_of(2) { "group" } else { "policy" }),
            10 => format!("n:x:run::{}:function/{}", self.account(), self.upto(2)),
            _ => "n:x:id::*:user/${tag/name}".to_owned(),
        }
    }

    fn condition(&mut self) -> Condition {
        let (key, value) = match self.upto(7) {
            0 => ("who", self.name("user")),
            1 => ("who", "*:role/*".to_owned()),
            2 => ("to", "run".to_owned()),
            3 => ("bound", "n:x:id::1:policy/0".to_owned()),
            4 => ("of/name", "${tag/name}".to_owned()),
            5 => ("tag/name", "1".to_owned()),
            _ => ("unknown", "x".to_owned()),
        };
        let test = Test { kind: TestKind::TextLike, negated: self.one_in(4) };
        Condition { test, each: Quantifier::One, if_exists: self.one_in(4), key: key.to_owned(), values: vec![value], text: key.to_owned() }
    }

    fn statement(&mut self, principals: Option<Match<PrincipalPattern>>, actions: &[&str]) -> Statement {
        let actions = (0..=self.upto(2)).map(|_| actions[self.upto(actions.len())].to_owned()).collect();
        let resources = if principals.is_some() { vec!["*".to_owned()] } else { (0..=self.upto(2)).map(|_| self.resource()).collect() };
        let (conditioned, forbids) = if self.bare { (12, 24) } else { (4, 8) };
        let conditions = if self.one_in(conditioned) && !(self.bare && principals.is_some()) { vec![self.condition()] } else { Vec::new() };
        let effect = if self.one_in(forbids) { Effect::Forbid } else { Effect::Permit };
        let resources = Match { negated: principals.is_none() && self.one_in(20), patterns: resources };
        Statement { id: "#1".into(), effect, principals, actions: Match::of(actions), except: Vec::new(), resources, conditions, variables: true }
    }

    fn policy(&mut self) -> Arc<Document> {
        Arc::new(Document {
            name: "own".into(),
            statements: (0..=self.upto(3)).map(|_| self.statement(None, if self.bare { &MIXED } else { &ACTIONS })).collect(),
        })
    }

    fn policies(&mut self) -> Vec<Arc<Document>> {
        (0..self.upto(3)).map(|_| self.policy()).collect()
    }

    /// Statements that say to whom.
    fn towards(&mut self, actions: &[&str]) -> Arc<Document> {
        let mut statements = Vec::new();
        for _ in 0..=self.upto(3) {
            let whom = match self.upto(8) {
                0..3 => PrincipalPattern::Service(if self.one_in(2) { "run" } else { "web" }.to_owned()),
                3 | 4 => PrincipalPattern::Account(self.account().to_owned()),
                5 => PrincipalPattern::Named(self.name("user")),
                6 => PrincipalPattern::Named(self.name("role")),
                _ => PrincipalPattern::Anyone,
            };
            let principals = Match { negated: self.one_in(16), patterns: vec![whom] };
            statements.push(self.statement(Some(principals), actions));
        }
        Arc::new(Document { name: "towards".into(), statements })
    }

    fn principal(&mut self, account: &str, kind: PrincipalKind, number: usize) -> Principal {
        let user = kind == PrincipalKind::User;
        let mut policies = self.policies();
        if self.bare && self.one_in(3) {
            policies.push(permitting("id:Join"));
        }
        if self.bare && !user && number == 0 {
            policies.push(everything());
        }
        let groups = if user && self.one_in(2) { vec![format!("n:x:id::{account}:group/0")] } else { Vec::new() };
        Principal {
            name: format!("n:x:id::{account}:{}/{number}", if user { "user" } else { "role" }),
            short: number.to_string(),
            id: None,
            account: account.to_owned(),
            kind,
            policies,
            editable: if self.one_in(3) { vec![format!("n:x:id::{account}:policy/0")] } else { Vec::new() },
            groups,
            boundary: (!self.bare && self.one_in(4)).then(|| self.policy()),
            trust: (!user).then(|| self.towards(&["id:Assume"])),
            tags: if self.one_in(2) { BTreeMap::from([("name".to_owned(), self.upto(3).to_string())]) } else { BTreeMap::new() },
            profiles: Vec::new(),
            exempt: self.one_in(12),
            tokens: Vec::new(),
            assigned: Vec::new(),
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for account in self.accounts.clone() {
            let limits = if !self.bare && self.one_in(4) { vec![vec![self.policy(), everything()]] } else { Vec::new() };
            snapshot.accounts.insert(account.to_owned(), Account { limits, ..Account::default() });
            for number in 0..self.each {
                for kind in [PrincipalKind::User, PrincipalKind::Role] {
                    let principal = self.principal(account, kind, number);
                    snapshot.principals.push(principal);
                }
            }
            for number in 0..if self.bare { 4 } else { 2 } {
                let (name, policies) = (format!("n:x:id::{account}:group/{number}"), self.policies());
                snapshot.groups.push(Group { name, account: account.to_owned(), policies, editable: Vec::new() });
                for (kind, actions) in [("function", ["run:*"]), ("bucket", ["store:*"])] {
                    let (name, policy) = (format!("n:x:run::{account}:{kind}/{number}"), (!self.bare && self.one_in(2)).then(|| self.towards(&actions)));
                    let runs_as = (kind == "function").then(|| self.name("role"));
                    snapshot.resources.push(Resource { name, kind: kind.into(), account: account.to_owned(), policy, runs_as, ..Resource::default() });
                }
            }
        }
        snapshot
    }
}

fn everything() -> Arc<Document> {
    permitting("*")
}

fn permitting(action: &str) -> Arc<Document> {
    let all = || Match::of(vec!["*".to_owned()]);
    let (effect, actions) = (Effect::Permit, Match::of(vec![action.to_owned()]));
    let statement =
        Statement { id: "#1".into(), effect, principals: None, actions, except: Vec::new(), resources: all(), conditions: Vec::new(), variables: false };
    Arc::new(Document { name: "everything".into(), statements: vec![statement] })
}

/// Asks one by one, about everybody and every way.
struct OneByOne<'e>(&'e Estate);

impl OneByOne<'_> {
    fn names(&self, node: Node, capability: &Capability) -> bool {
        let member = &self.0.members[node.0];
        let policies = || member.identity.iter().chain(&member.groups).chain(self.0.joined(node.1));
        let named = |action: &String| policies().any(|policy| policy.names(Action::of(&self.0.provider.catalogue, &action.to_ascii_lowercase()), true));
        node.1.permits_all() || capability.needs.iter().all(|need| need.action.iter().any(named))
    }

    fn becomes(&self, by: Node, target: usize) -> bool {
        let (estate, role, member) = (self.0, &self.0.members[target], &self.0.members[by.0]);
        let trusts = |wanted: &dyn Fn(&PrincipalPattern) -> bool| {
            let statements = role.trust.iter().flat_map(|trust| &trust.statements).filter(|statement| statement.permits);
            let mut principals = statements.filter_map(|statement| statement.principals.as_ref());
            principals.any(|principals| principals.negated || principals.patterns.iter().any(wanted))
        };
        let serves = |service: &str| trusts(&|whom| *whom == PrincipalPattern::Service(service.to_owned()));
        let me = &member.principal;
        let knows = |whom: &PrincipalPattern| match whom {
            PrincipalPattern::Named(name) => *name == me.name,
            PrincipalPattern::Account(account) => *account == me.account,
            PrincipalPattern::Anyone => true,
            _ => false,
        };
        let at = estate.circumstances(member, &role.principal.name);
        if trusts(&knows) && estate.may(member, by.1, "id:assume", &role.principal.name, &at) == Truth::Yes {
            return true;
        }
        let ours = role.principal.account == me.account;
        let way = |place: usize, service: Option<usize>| edge(estate, by, target, Via::Capability(place, service)).is_some();
        let able = estate.provider.rules.capability.iter().enumerate().filter(|(_, capability)| self.names(by, capability));
        able.into_iter().any(|(place, capability)| match capability.gains {
            Gain::Pass => (0..2)
                .any(|service| ours && strictly(role, &capability.services[service]) && serves(&capability.services[service]) && way(place, Some(service))),
            Gain::Carrier => way(place, None),
            Gain::User => ours && !role.principal.exempt && role.principal.kind == PrincipalKind::User && way(place, None),
            Gain::Role => ours && !role.principal.exempt && role.principal.kind == PrincipalKind::Role && way(place, None),
            _ => false,
        })
    }

    fn strengthens(&self, by: Node, target: usize) -> Vec<Strength> {
        let (me, other) = (&self.0.members[by.0].principal, &self.0.members[target]);
        if me.account != other.principal.account || other.principal.exempt {
            return Vec::new();
        }
        let user = other.principal.kind == PrincipalKind::User;
        let teams =
            || (0..self.0.teams.len()).filter(|team| self.0.teams[*team].account == me.account && !other.principal.groups.contains(&self.0.teams[*team].name));
        let mut found = Vec::new();
        for (place, capability) in self.0.provider.rules.capability.iter().enumerate().filter(|(_, capability)| self.names(by, capability)) {
            let strengths: Vec<Strength> = match capability.gains {
                Gain::EmpowerUser if user => vec![Strength::Empowered],
                Gain::EmpowerRole if !user => vec![Strength::Empowered],
                Gain::UnboundUser if user && other.boundary.is_some() => vec![Strength::Unbound],
                Gain::UnboundRole if !user && other.boundary.is_some() => vec![Strength::Unbound],
                Gain::EmpowerSelf if by.0 == target => vec![Strength::Empowered],
                Gain::EmpowerPolicy | Gain::EmpowerGroup => vec![Strength::Empowered],
                Gain::Join if user => teams().map(Strength::With).collect(),
                _ => Vec::new(),
            };
            found.extend(strengths.into_iter().filter(|strength| edge(self.0, by, target, Via::Strengthen(place, *strength)).is_some()));
        }
        found
    }

    fn reaches(&self, start: usize) -> BTreeSet<(String, String)> {
        let is_administrator = |node: &Node| self.0.is_administrator(&self.0.members[node.0], node.1);
        let principal = |place: usize| &self.0.members[place].principal;
        let from: Node = (start, Strength::Plain);
        if is_administrator(&from) {
            return BTreeSet::from([(ADMINISTRATOR.to_owned(), principal(start).account.clone())]);
        }
        let mut reached = BTreeSet::from([from]);
        loop {
            let mut fresh = BTreeSet::new();
            for by in &reached {
                if !is_administrator(by) {
                    fresh.extend((0..self.0.members.len()).filter(|target| self.becomes(*by, *target)).map(|target| (target, Strength::Plain)));
                }
                for target in &reached {
                    fresh.extend(self.strengthens(*by, target.0).into_iter().filter_map(|more| Some((target.0, target.1.and(more)?))));
                }
            }
            let before = reached.len();
            reached.extend(fresh);
            if reached.len() == before {
                break;
            }
        }
        let mut found = BTreeSet::new();
        for node in &reached {
            let there = principal(node.0);
            if is_administrator(node) {
                found.insert((ADMINISTRATOR.to_owned(), there.account.clone()));
            } else if node.1 == Strength::Plain && there.account != principal(start).account {
                found.insert((there.name.clone(), there.account.clone()));
            }
        }
        for thing in self.0.things.iter().filter(|thing| thing.resource.kind == "bucket") {
            let name = format!("{}/*", thing.resource.name);
            let takes = |node: &Node| {
                let member = &self.0.members[node.0];
                self.0.may(member, node.1, "store:get", &name, &self.0.circumstances(member, &name)) == Truth::Yes
            };
            if !takes(&from) && reached.iter().any(takes) {
                found.insert((thing.resource.name.clone(), String::new()));
            }
        }
        found
    }
}

/// Whether a role's trust names a service outright: one that leaves others out names none.
fn strictly(role: &crate::entitlement::estate::Member, service: &str) -> bool {
    let statements = role.trust.iter().flat_map(|trust| &trust.statements).filter(|statement| statement.permits);
    let mut principals = statements.filter_map(|statement| statement.principals.as_ref()).filter(|principals| !principals.negated);
    principals.any(|principals| principals.patterns.contains(&PrincipalPattern::Service(service.to_owned())))
}

#[test]
fn sets_say_what_single_questions_say() {
    let actions = ACTIONS.into_iter().filter(|action| !action.contains('*')).map(str::to_owned);
    let provider = Provider { catalogue: Arc::new(Catalogue::new(actions)), rules: Arc::new(Rules::read(RULES).unwrap()), ..Provider::default() };
    let mut told = 0;
    for seed in 0..1_000 {
        let accounts = if seed % 2 == 0 { vec!["1"] } else { vec!["1", "2"] };
        let mut world = World { state: seed * 7_919 + 1, accounts, each: 3, bare: seed % 8 > 1 };
        let estate = Estate::new(world.snapshot(), provider.clone());
        let mut explorer = Explorer::new(&estate);
        for (place, member) in estate.members.iter().enumerate() {
            let name = &member.principal.name;
            let found = explorer.from(name);
            let bucket = |reaches: &str| estate.things.iter().any(|thing| thing.resource.name == *reaches);
            let told_of = |one: &Escalation| (one.reaches.clone(), if bucket(&one.reaches) { String::new() } else { one.account.clone() });
            let got: BTreeSet<(String, String)> = found.iter().map(told_of).collect();
            assert_eq!(got, OneByOne(&estate).reaches(place), "seed {seed}, {name}");
            // What a strengthening permits has no statement.
            let grounded = |hops: &[Arc<Hop>], at: usize| !hops[at].statements.is_empty() || hops[..at].iter().any(|before| before.to == hops[at].from);
            assert!(found.iter().all(|one| (0..one.hops.len()).all(|at| grounded(&one.hops, at))), "seed {seed}, {name}: {found:#?}");
            told += found.len();
        }
    }
    assert!(told > 500, "the worlds are too poor to tell anything: {told}");
}
