//! From rule files to an engine: broken rules are refused one by one, the others load.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use weft_model::ClassUid;

use super::build::Builder;
use super::program::Program;
use super::wanted::Wanted;
use super::{Engine, Loaded};
use crate::sigma::Fault;
use crate::sigma::fields::{FieldMap, Kind};
use crate::sigma::lint::named;
use crate::sigma::pipeline::Pipelines;
use crate::sigma::rule::{self, Body, Rule};

/// A file of rules as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Name, for messages.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// File.
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// For a person: what to do.
    pub reason: String,
    /// Whether the rule was refused; a rule that loads but can never fire here is not.
    pub refused: bool,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Compiles all rules of all files; what is wrong is told beside.
pub fn compile(files: &[RuleFile], fields: &FieldMap) -> (Engine, Vec<RuleFault>) {
    compile_with(files, fields, &Pipelines::default())
}

/// The same with rules rewritten by pipelines.
pub fn compile_with(files: &[RuleFile], fields: &FieldMap, pipelines: &Pipelines) -> (Engine, Vec<RuleFault>) {
    let mut faults = Vec::new();
    let mut rules = parse(files, pipelines, &mut faults);
    narrow(&mut rules, &mut faults);
    link(&mut rules, &mut faults);
    let mut wanted = Wanted::default();
    let programs = programs(&rules, fields, &mut wanted, &mut faults);
    let rules: Vec<Loaded> = rules.into_iter().map(|(_, loaded)| loaded).collect();
    let reads = reads(&programs);
    (Engine::new(rules, programs, reads, wanted), faults)
}

type Placed = (String, Loaded);

fn refused(file: &str, fault: Fault) -> RuleFault {
    RuleFault { file: file.to_owned(), line: fault.line, reason: fault.reason, refused: true }
}

fn parse(files: &[RuleFile], pipelines: &Pipelines, faults: &mut Vec<RuleFault>) -> Vec<Placed> {
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut rules = Vec::new();
    for file in files {
        let (parsed, broken) = rule::parse_with(&file.text, pipelines);
        faults.extend(broken.into_iter().map(|fault| refused(&file.name, fault)));
        for rule in parsed {
            if let Some(other) = ids.get(&rule.id) {
                faults.push(refused(&file.name, Fault::at(rule.line, format!("the id `{}` is taken by {other}", rule.id))));
                continue;
            }
            ids.insert(rule.id.clone(), file.name.clone());
            rules.push((file.name.clone(), Loaded { file: file.name.as_str().into(), rule, speaks: true, feeds: Vec::new() }));
        }
    }
    rules
}

/// Filters narrow the rules that they name, and are no rules themselves.
fn narrow(rules: &mut Vec<Placed>, faults: &mut Vec<RuleFault>) {
    let is_filter = |placed: &Placed| matches!(placed.1.rule.body, Body::Filter { .. });
    let (filters, others): (Vec<Placed>, Vec<Placed>) = std::mem::take(rules).into_iter().partition(is_filter);
    *rules = others;
    for (file, filter) in filters {
        let Body::Filter { logsource: asked, rules: named, detection: narrower } = &filter.rule.body else { continue };
        let mut any = false;
        for (_, Loaded { rule, .. }) in rules.iter_mut() {
            let is_named = named.is_empty() || named.iter().any(|name| *name == rule.id || Some(name) == rule.name.as_ref());
            if let Body::Detection { logsource, detection, .. } = &mut rule.body
                && is_named
                && logsource.has(asked)
            {
                any = true;
                detection.narrow(narrower);
            }
        }
        if !any {
            let reason = "the filter narrows nothing: no rule that it names is there with its logsource".to_owned();
            faults.push(RuleFault { file, line: filter.rule.line, reason, refused: false });
        }
    }
}

/// Binds correlations to their rules; refuses those whose rules are missing or go in a circle.
fn link(rules: &mut Vec<Placed>, faults: &mut Vec<RuleFault>) {
    // A correlation that falls can make those above it fall, hence the loop.
    loop {
        let names = names(rules);
        let Some((at, reason)) = rules.iter().enumerate().find_map(|(at, placed)| Some((at, unlinkable(at, placed, &names, rules)?))) else { break };
        let (file, loaded) = rules.remove(at);
        faults.push(refused(&file, Fault::at(loaded.rule.line, reason)));
    }
    let names = names(rules);
    let mut edges = Vec::new();
    for (at, (_, loaded)) in rules.iter().enumerate() {
        if let Body::Correlation(of) = &loaded.rule.body {
            edges.extend(of.rules.iter().enumerate().filter_map(|(member, name)| Some((*names.get(name)?, at, member, of.generate))));
        }
    }
    let mut silent = BTreeSet::new();
    for (from, to, member, generate) in edges {
        if let Some((_, loaded)) = rules.get_mut(from) {
            loaded.feeds.push((to, member));
        }
        if !generate {
            silent.insert(from);
        }
    }
    rules.iter_mut().enumerate().for_each(|(at, (_, loaded))| loaded.speaks = !silent.contains(&at));
}

fn names(rules: &[Placed]) -> HashMap<String, usize> {
    let both = rules
        .iter()
        .enumerate()
        .flat_map(|(at, (_, loaded))| [Some(loaded.rule.id.clone()), loaded.rule.name.clone()].into_iter().flatten().map(move |name| (name, at)));
    both.collect()
}

fn unlinkable(at: usize, placed: &Placed, names: &HashMap<String, usize>, rules: &[Placed]) -> Option<String> {
    let Body::Correlation(of) = &placed.1.rule.body else { return None };
    if let Some(missing) = of.rules.iter().find(|name| !names.contains_key(*name)) {
        return Some(format!("the correlation needs the rule `{missing}`, which is not there"));
    }
    let mut open: Vec<usize> = of.rules.iter().filter_map(|name| names.get(name).copied()).collect();
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if next == at {
            return Some("the correlation needs itself, in a circle".to_owned());
        }
        if !seen.insert(next) {
            continue;
        }
        if let Some((_, Loaded { rule: Rule { body: Body::Correlation(below), .. }, .. })) = rules.get(next) {
            open.extend(below.rules.iter().filter_map(|name| names.get(name).copied()));
        }
    }
    None
}

/// One program for each kind of event that a rule reads.
fn programs(rules: &[Placed], fields: &FieldMap, wanted: &mut Wanted, faults: &mut Vec<RuleFault>) -> Vec<Program> {
    let mut builders: Vec<(String, Builder)> = Vec::new();
    let mut places: HashMap<*const Kind, usize> = HashMap::new();
    for (number, (file, loaded)) in rules.iter().enumerate() {
        let Body::Detection { logsource, detection, .. } = &loaded.rule.body else { continue };
        let mut any = false;
        for kind in fields.kinds_of(logsource) {
            any = true;
            let place = *places.entry(Arc::as_ptr(kind)).or_insert_with(|| {
                builders.push((kind.name.clone(), Builder::new(Arc::clone(kind))));
                builders.len() - 1
            });
            if let Some((_, builder)) = builders.get_mut(place) {
                builder.add(number, detection, loaded.is_first_seen());
            }
        }
        if !any {
            let reason = format!("the rule can never fire here: no kind of event is known for the logsource {}", named(logsource));
            faults.push(RuleFault { file: file.clone(), line: loaded.rule.line, reason, refused: false });
        }
    }
    let mut programs = Vec::new();
    for (name, builder) in builders {
        match Program::of(builder, wanted) {
            Ok(program) => programs.push(program),
            Err(reason) => faults.push(RuleFault { file: name, line: 0, reason, refused: true }),
        }
    }
    programs
}

impl Loaded {
    fn is_first_seen(&self) -> bool {
        matches!(self.rule.body, Body::Detection { behaviour: Some(_), .. })
    }
}

/// Empty when a program reads every class.
fn reads(programs: &[Program]) -> Vec<ClassUid> {
    if programs.iter().any(|program| program.kind.classes.is_empty()) {
        return Vec::new();
    }
    programs.iter().flat_map(|program| program.kind.classes.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect()
}
