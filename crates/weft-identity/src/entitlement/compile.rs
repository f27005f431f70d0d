//! Policies, compiled: patterns of actions as sets, names prepared, nothing parsed at a decision.

use std::collections::HashMap;
use std::sync::Arc;

use weft_model::access::Effect;
use weft_model::entitlement::{Condition, Document, Match, PrincipalPattern, Statement};

use super::catalogue::{Bits, Catalogue};
use super::pattern::like;

/// A policy, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    pub(super) name: String,
    pub(super) statements: Vec<Compiled>,
}

/// A statement, ready to be asked.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) id: String,
    /// The same for statements that differ in their id and actions alone.
    pub(super) core: u32,
    pub(super) permits: bool,
    pub(super) principals: Option<Match<PrincipalPattern>>,
    pub(super) known: Bits,
    pub(super) actions: Match<String>,
    /// In lower case.
    pub(super) except: Vec<String>,
    pub(super) resources: Match<String>,
    pub(super) every_resource: bool,
    pub(super) conditions: Vec<Condition>,
    pub(super) variables: bool,
}

/// An action that is asked for often.
#[derive(Debug, Clone)]
pub(super) struct Verb {
    /// In lower case.
    pub(super) name: String,
    pub(super) number: Option<u32>,
}

impl Verb {
    pub(super) fn of(catalogue: &Catalogue, name: &str) -> Self {
        Self { name: name.to_ascii_lowercase(), number: catalogue.number(name) }
    }

    pub(super) fn action(&self) -> Action<'_> {
        Action { name: &self.name, number: self.number }
    }
}

/// An action that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Action<'a> {
    /// In lower case.
    pub(super) name: &'a str,
    pub(super) number: Option<u32>,
}

impl<'a> Action<'a> {
    /// An action by its name in lower case; one that the catalogue does not know is compared as text.
    pub fn of(catalogue: &Catalogue, name: &'a str) -> Self {
        Self { name, number: catalogue.number(name) }
    }
}

/// Compiles documents; equal patterns of actions are one set.
#[derive(Debug, Default)]
pub struct Compiler {
    catalogue: Arc<Catalogue>,
    sets: HashMap<(bool, Vec<String>, Vec<String>), Bits>,
    cores: HashMap<String, u32>,
    documents: HashMap<*const Document, (Arc<Document>, Arc<Policy>)>,
}

impl Compiler {
    /// With the actions of a provider.
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        Self { catalogue, ..Self::default() }
    }

    /// Compiles a document; one that is shared is compiled once.
    pub fn policy(&mut self, document: &Arc<Document>) -> Arc<Policy> {
        // The document is kept beside its policy, so that its address stays its own.
        if let Some((_, policy)) = self.documents.get(&Arc::as_ptr(document)) {
            return Arc::clone(policy);
        }
        let statements = document.statements.iter().map(|statement| self.statement(statement)).collect();
        let policy = Arc::new(Policy { name: document.name.clone(), statements });
        self.documents.insert(Arc::as_ptr(document), (Arc::clone(document), Arc::clone(&policy)));
        policy
    }

    /// Compiles several.
    pub fn policies(&mut self, documents: &[Arc<Document>]) -> Vec<Arc<Policy>> {
        documents.iter().map(|document| self.policy(document)).collect()
    }

    fn statement(&mut self, statement: &Statement) -> Compiled {
        let patterns: Vec<String> = statement.actions.patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        let except: Vec<String> = statement.except.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        let key = (statement.actions.negated, patterns.clone(), except.clone());
        let catalogue = &self.catalogue;
        let matching = |patterns: &[String], negated| Bits::of(patterns.iter().flat_map(|pattern| catalogue.matching(pattern)), catalogue.len(), negated);
        let build = || matching(&patterns, statement.actions.negated).and(&matching(&except, true));
        let known = self.sets.entry(key).or_insert_with(build).clone();
        let says = format!("{:?}{:?}{:?}{:?}{}", statement.effect, statement.principals, statement.resources, statement.conditions, statement.variables);
        let next = u32::try_from(self.cores.len()).unwrap_or(u32::MAX);
        let core = *self.cores.entry(says).or_insert(next);
        Compiled {
            core,
            id: statement.id.clone(),
            permits: statement.effect == Effect::Permit,
            principals: statement.principals.clone(),
            known,
            actions: Match { negated: statement.actions.negated, patterns },
            except,
            every_resource: !statement.resources.negated && statement.resources.patterns.iter().any(|pattern| pattern == "*"),
            resources: statement.resources.clone(),
            conditions: statement.conditions.clone(),
            variables: statement.variables,
        }
    }
}

impl Policy {
    /// Whether a statement with this effect names the action, whatever else it asks.
    pub(super) fn names(&self, action: Action<'_>, permits: bool) -> bool {
        self.statements.iter().any(|statement| statement.permits == permits && statement.covers(action))
    }
}

impl Compiled {
    /// Whether the statement is about this action.
    pub(super) fn covers(&self, action: Action<'_>) -> bool {
        match action.number {
            Some(number) => self.known.has(number),
            None => {
                let named = |patterns: &[String]| patterns.iter().any(|pattern| like(pattern.as_bytes(), action.name.as_bytes()));
                named(&self.actions.patterns) != self.actions.negated && !named(&self.except)
            }
        }
    }

    /// Whether a resource that it names is made of what is known of the request.
    pub(super) fn has_variables(&self) -> bool {
        self.variables && self.resources.patterns.iter().any(|pattern| pattern.contains("${"))
    }

    /// Whether nothing but action and resource matters to it.
    pub(super) fn is_plain(&self) -> bool {
        self.conditions.is_empty() && !self.has_variables()
    }
}
