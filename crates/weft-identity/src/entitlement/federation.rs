//! From one system into another: whoever holds a token that another system trusts enters it.
//!
//! A principal of one system (a workflow, a service account) gets tokens of an identity provider; a principal
//! of another one says in its trust whose tokens it takes. Nothing is guessed: the trust is decided by the
//! same code as any other policy, for a subject that the holder surely can get.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use weft_model::entitlement::{Assigned, Caller, CallerKind, Cause, Outcome, PrincipalKind, PrincipalPattern, Token};

use super::compile::{Action, Compiled};
use super::context::Circumstances;
use super::decide::{Policies, Question, decide};
use super::escalation::{Escalation, Explorer, Hop};
use super::estate::{Estate, Member};
use super::pattern::{common, like, witness};

/// Name of the capability by which a token is exchanged.
const TOKEN: &str = "federated-token";
/// Name of the capability of whoever is administrator of the system that the token is of.
const RULES_ALL: &str = "administrator";
/// Stands in a subject for what its holder may choose.
const ANY_WORD: &str = "weft-any";
/// Subjects that are tried of one token for one trust.
const SUBJECTS_MAX: usize = 100;

/// A principal that takes a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Full name.
    pub principal: String,
    /// Action by which the token is exchanged.
    pub action: String,
    /// Subject of the token.
    pub subject: String,
    /// The statements that take it.
    pub causes: Vec<Cause>,
}

impl Estate {
    /// Principals that take a token.
    pub fn entered_by(&self, token: &Token) -> Vec<Entry> {
        self.members.iter().filter_map(|member| self.takes(member, token)).collect()
    }

    /// A principal that a service hands to whoever it is assigned to, where its trust names the service.
    pub fn assigned(&self, assigned: &Assigned) -> Option<Entry> {
        let member = self.member(&assigned.principal)?;
        let caller = Caller { name: assigned.service.clone(), kind: CallerKind::Service, ..Caller::default() };
        let at = Circumstances::imagined([].into());
        let action = self.provider.rules.assume.clone();
        let lower = action.to_ascii_lowercase();
        let named = Action::of(&self.provider.catalogue, &lower);
        let question =
            Question { caller: &caller, action: named, resource: &member.principal.name, resource_account: Some(&member.principal.account), at: &at };
        let verdict = decide(&question, &Policies { resource: &member.trust, ..Policies::default() });
        let entry = || Entry { principal: assigned.principal.clone(), action, subject: assigned.service.clone(), causes: verdict.causes };
        (verdict.outcome == Outcome::Allowed).then(entry)
    }

    fn takes(&self, member: &Member, token: &Token) -> Option<Entry> {
        let statements = || member.trust.iter().flat_map(|policy| &policy.statements).filter(|statement| statement.permits);
        let named = statements().filter_map(|statement| statement.principals.as_ref()).flat_map(|principals| &principals.patterns);
        let mut providers: Vec<&str> =
            named.filter_map(|pattern| if let PrincipalPattern::Federated(name) = pattern { Some(name.as_str()) } else { None }).collect();
        providers.sort_unstable();
        providers.dedup();
        for provider in providers {
            let Some(host) = host_of(provider, &token.issuer) else { continue };
            for subject in subjects(statements(), host, token) {
                for action in &self.provider.rules.federate {
                    if let Some(causes) = self.exchanges(member, (provider, host), &subject, token, action) {
                        return Some(Entry { principal: member.principal.name.clone(), action: action.clone(), subject, causes });
                    }
                }
            }
        }
        None
    }

    /// The statements that take a token with this subject; `None` when they do not surely.
    fn exchanges(&self, member: &Member, (provider, host): (&str, &str), subject: &str, token: &Token, action: &str) -> Option<Vec<Cause>> {
        // Whoever asks for a token chooses for whom it is.
        let mut at = Circumstances::imagined([format!("{host}:aud").to_lowercase()].into());
        at.set(&format!("{host}:sub"), vec![subject.to_owned()]);
        token.claims.iter().for_each(|(claim, value)| at.set(&format!("{host}:{claim}"), vec![value.clone()]));
        let caller = Caller { name: provider.to_owned(), kind: CallerKind::Anonymous, ..Caller::default() };
        let lower = action.to_ascii_lowercase();
        let limits = self.limits.get(&member.principal.account).map(|limits| limits.resources.as_slice()).unwrap_or_default();
        let question = Question {
            caller: &caller,
            action: Action::of(&self.provider.catalogue, &lower),
            resource: &member.principal.name,
            resource_account: Some(&member.principal.account),
            at: &at,
        };
        let verdict = decide(&question, &Policies { resource: &member.trust, resource_organization: limits, ..Policies::default() });
        (verdict.outcome == Outcome::Allowed).then_some(verdict.causes)
    }
}

/// The issuer as a provider's full name has it, where it is that of the token.
fn host_of<'p>(provider: &'p str, issuer: &str) -> Option<&'p str> {
    let host = provider.split_once("oidc-provider/").map_or(provider, |(_, host)| host);
    like(issuer.as_bytes(), host.as_bytes()).then_some(host)
}

/// Subjects of a token that a trust may be about: one as the token has it, and one for each pattern of the trust
/// that leaves a subject of the token. The shortest is taken: text for a wildcard is no way around what is left out.
fn subjects<'c>(statements: impl Iterator<Item = &'c Compiled>, host: &str, token: &Token) -> Vec<String> {
    let key = format!("{host}:sub").to_lowercase();
    let named = statements.flat_map(|statement| &statement.conditions).filter(|condition| condition.key == key).flat_map(|condition| &condition.values);
    let named = named.filter_map(|value| common(&token.subject, value, ANY_WORD));
    let mut subjects: Vec<String> = std::iter::once(witness(&token.subject, ANY_WORD)).chain(named).collect();
    let can_get =
        |subject: &String| like(token.subject.as_bytes(), subject.as_bytes()) && !token.except.iter().any(|except| like(except.as_bytes(), subject.as_bytes()));
    subjects.retain(can_get);
    subjects.dedup();
    subjects.truncate(SUBJECTS_MAX);
    subjects
}

/// A way from a principal that holds a token into another system.
struct Door {
    holder: usize,
    system: usize,
    entry: Entry,
}

/// What principals of each system reach in the others.
pub fn across(estates: &[Estate]) -> Vec<Escalation> {
    let mut found = Vec::new();
    let mut explorers: Vec<Explorer<'_>> = estates.iter().map(Explorer::new).collect();
    let mut beyond: HashMap<(usize, String), Vec<Escalation>> = HashMap::new();
    for (from, estate) in estates.iter().enumerate() {
        let doors = doors(estates, from);
        for door in &doors {
            let explorer = explorers.get_mut(door.system);
            beyond
                .entry((door.system, door.entry.principal.clone()))
                .or_insert_with(|| explorer.map(|explorer| explorer.from(&door.entry.principal)).unwrap_or_default());
        }
        let Some(explorer) = explorers.get_mut(from).filter(|_| !doors.is_empty()) else { continue };
        let mut holders: Vec<usize> = doors.iter().map(|door| door.holder).collect();
        holders.dedup();
        for start in (0..estate.members.len()).filter(|start| estate.members.get(*start).is_some_and(|member| member.principal.kind != PrincipalKind::Scope)) {
            let reached = reached(estate, explorer, start, &holders);
            found.extend(through(estates, estate, start, &reached, &doors, &beyond));
        }
    }
    found
}

/// The doors of one holder.
fn of_holder(doors: &[Door], holder: usize) -> &[Door] {
    let from = doors.partition_point(|door| door.holder < holder);
    let rest = doors.get(from..).unwrap_or_default();
    rest.get(..rest.partition_point(|door| door.holder == holder)).unwrap_or_default()
}

/// In the order of their holders.
fn doors(estates: &[Estate], from: usize) -> Vec<Door> {
    let mut doors = Vec::new();
    let Some(estate) = estates.get(from) else { return doors };
    for (holder, member) in estate.members.iter().enumerate() {
        for token in &member.principal.tokens {
            for (system, other) in estates.iter().enumerate().filter(|(system, _)| *system != from) {
                doors.extend(other.entered_by(token).into_iter().map(|entry| Door { holder, system, entry }));
            }
        }
        for assigned in &member.principal.assigned {
            for (system, other) in estates.iter().enumerate().filter(|(system, _)| *system != from) {
                doors.extend(other.assigned(assigned).map(|entry| Door { holder, system, entry }));
            }
        }
    }
    doors
}

/// The hops to each holder of tokens that a principal is or becomes.
fn reached(estate: &Estate, explorer: &mut Explorer<'_>, start: usize, holders: &[usize]) -> Vec<(usize, Vec<Arc<Hop>>)> {
    let name = |place: usize| estate.members.get(place).map(|member| member.principal.name.clone()).unwrap_or_default();
    match explorer.to(start, holders) {
        Some(paths) => paths,
        None => {
            let hop = |holder: usize| Hop {
                from: name(start),
                to: name(holder),
                actions: Vec::new(),
                statements: Vec::new(),
                capabilities: vec![RULES_ALL.to_owned()],
                assumes: Vec::new(),
            };
            holders.iter().map(|holder| (*holder, if *holder == start { Vec::new() } else { vec![Arc::new(hop(*holder))] })).collect()
        }
    }
}

/// The shortest path to each goal, through all doors that are reached.
fn through(
    estates: &[Estate],
    estate: &Estate,
    start: usize,
    reached: &[(usize, Vec<Arc<Hop>>)],
    doors: &[Door],
    beyond: &HashMap<(usize, String), Vec<Escalation>>,
) -> Vec<Escalation> {
    let mut best: BTreeMap<(String, String), Escalation> = BTreeMap::new();
    let name = |place: usize| estate.members.get(place).map(|member| member.principal.name.clone()).unwrap_or_default();
    let mut offer = |one: Escalation| {
        let key = (one.account.clone(), one.reaches.clone());
        if best.get(&key).is_none_or(|known| known.hops.len() > one.hops.len()) {
            best.insert(key, one);
        }
    };
    for (holder, hops) in reached {
        for door in of_holder(doors, *holder) {
            let Some(other) = estates.get(door.system) else { continue };
            let mut hops = hops.clone();
            hops.push(Arc::new(Hop {
                from: name(*holder),
                to: door.entry.principal.clone(),
                actions: vec![door.entry.action.clone()],
                statements: door.entry.causes.clone(),
                capabilities: vec![TOKEN.to_owned()],
                assumes: vec![format!("a token with the subject `{}`", door.entry.subject)],
            }));
            let account = other.member(&door.entry.principal).map(|member| member.principal.account.clone()).unwrap_or_default();
            let more = beyond.get(&(door.system, door.entry.principal.clone())).map(Vec::as_slice).unwrap_or_default();
            for goal in more {
                let hops = hops.iter().chain(&goal.hops).cloned().collect();
                offer(Escalation { principal: name(start), reaches: goal.reaches.clone(), account: goal.account.clone(), hops });
            }
            if more.is_empty() {
                offer(Escalation { principal: name(start), reaches: door.entry.principal.clone(), account, hops });
            }
        }
    }
    best.into_values().collect()
}

/// Principals that take tokens which an identity provider hands to anybody, and what they reach.
pub fn strangers(estate: &Estate) -> Vec<Escalation> {
    let mut found = Vec::new();
    let mut explorer = Explorer::new(estate);
    for stranger in &estate.provider.rules.strangers {
        let host = &stranger.provider;
        let key = |claim: &str| stranger.keys.get(&format!("{host}:{claim}")).cloned();
        let claims = stranger.keys.iter().filter_map(|(key, value)| Some((key.strip_prefix(host)?.strip_prefix(':')?.to_owned(), value.clone())));
        let token = Token {
            issuer: host.clone(),
            subject: key("sub").unwrap_or_else(|| "a-stranger".to_owned()),
            except: Vec::new(),
            claims: claims.filter(|(claim, _)| claim != "sub").collect(),
        };
        for entry in estate.entered_by(&token) {
            let principal = format!("anybody with a token of {host}");
            let account = estate.member(&entry.principal).map(|member| member.principal.account.clone()).unwrap_or_default();
            let hop = Arc::new(Hop {
                from: principal.clone(),
                to: entry.principal.clone(),
                actions: vec![entry.action],
                statements: entry.causes,
                capabilities: vec![TOKEN.to_owned()],
                assumes: Vec::new(),
            });
            found.push(Escalation { principal: principal.clone(), reaches: entry.principal.clone(), account, hops: vec![hop.clone()] });
            for goal in explorer.from(&entry.principal) {
                let hops = std::iter::once(hop.clone()).chain(goal.hops).collect();
                found.push(Escalation { principal: principal.clone(), reaches: goal.reaches, account: goal.account, hops });
            }
        }
    }
    found
}
