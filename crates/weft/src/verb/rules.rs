//! `weft check --rules`: what is wrong or odd with Sigma rules, and where they can fire.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use weft_analytics::RuleFile;
use weft_analytics::sigma::lint::{Verdict, lint};
use weft_analytics::sigma::rule::Body;

use crate::cli::{self, Common, Fault, Outcome, Output, Rows};
use crate::content;
use crate::rulebook::{self, Places};

/// Rule files below paths; a folder that holds none is a fault.
///
/// # Errors
/// Paths that cannot be read, one line each.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<RuleFile>, Fault> {
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let is_rule = |file: &PathBuf| file.to_str().is_some_and(content::is_yaml);
        let found = if path.is_dir() { content::walk(path, 16).into_iter().filter(is_rule).collect() } else { vec![path.clone()] };
        if found.is_empty() {
            faults.push(format!("`{}` holds no rule (`.yml`)", path.display()));
        }
        for file in found {
            match content::read(&file) {
                Ok(text) => files.push(RuleFile { name: file.display().to_string(), text }),
                Err(fault) => faults.push(fault),
            }
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(Fault::Misuse(faults)) }
}

/// Name and text of files.
///
/// # Errors
/// Files that cannot be read, one line each.
pub(super) fn texts(paths: &[PathBuf]) -> Result<Vec<(String, String)>, Fault> {
    let mut faults = Vec::new();
    let read = |path: &PathBuf| content::read(path).map(|text| (path.display().to_string(), text)).map_err(|fault| faults.push(fault)).ok();
    let texts = paths.iter().filter_map(read).collect();
    if faults.is_empty() { Ok(texts) } else { Err(Fault::Misuse(faults)) }
}

#[derive(Default)]
struct Tally {
    rules: usize,
    refused: usize,
    mapped: usize,
    never: usize,
    odd: usize,
    connectors: BTreeMap<String, usize>,
}

/// Looks at rules; what is wrong or odd goes to standard error, the sum to standard output.
///
/// # Errors
/// Paths that cannot be read.
pub(super) fn check(common: &Common, check: &cli::Check, out: &mut Output) -> Result<Outcome, Fault> {
    let content_files = content::files(&common.data).map_err(Fault::Misuse)?;
    let registry = content::registry(&content_files).map_err(Fault::Misuse)?;
    let (fields, faults) = content::fields(&content_files);
    let (pipelines, broken) = content::pipelines(&content_files, &texts(&check.pipeline)?);
    if !faults.is_empty() || !broken.is_empty() {
        return Err(Fault::Misuse(faults.into_iter().chain(broken).collect()));
    }
    let files = files(&check.rules)?;
    let (engine, faults) = weft_analytics::compile_with(&files, &fields, &pipelines);
    let mut tally = Tally { rules: engine.len(), ..Tally::default() };
    for fault in faults.iter().filter(|fault| fault.refused) {
        tally.refused += 1;
        cli::say(&fault.to_string());
    }
    let places = Places::of(&fields, &registry);
    for (file, rule) in engine.placed() {
        let mut verdict = lint(rule, &fields);
        let connectors = places.connectors(&verdict);
        if connectors.is_empty() && verdict.never.is_none() && matches!(rule.body, Body::Detection { .. }) {
            verdict.never = Some(rulebook::silent(rule));
        }
        tally.add(&verdict, &connectors);
        for fault in verdict.never.iter().chain(&verdict.unknown).chain(&verdict.odd) {
            cli::say(&format!("{file}:{}: {}", fault.line, fault.reason));
        }
    }
    out.rows(&tally.rows())?;
    Ok(if tally.refused > 0 { Outcome::Found } else { Outcome::Done })
}

impl Tally {
    fn add(&mut self, verdict: &Verdict, connectors: &BTreeSet<String>) {
        self.never += usize::from(verdict.never.is_some());
        self.mapped += usize::from(verdict.never.is_none() && verdict.unknown.is_empty());
        self.odd += usize::from(!verdict.odd.is_empty() || !verdict.unknown.is_empty());
        if verdict.never.is_none() {
            connectors.iter().for_each(|connector| *self.connectors.entry(connector.clone()).or_default() += 1);
        }
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new(["what", "count"]);
        for (what, count) in [
            ("rules", self.rules),
            ("refused", self.refused),
            ("all fields mapped", self.mapped),
            ("can never fire here", self.never),
            ("with remarks", self.odd),
        ] {
            rows.push([what.into(), count.into()]);
        }
        let mut connectors: Vec<_> = self.connectors.iter().collect();
        connectors.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        connectors.into_iter().for_each(|(name, count)| rows.push([format!("can fire on {name}").into(), (*count).into()]));
        rows
    }
}
