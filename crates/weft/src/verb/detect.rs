//! `weft detect`: rules over files or over the lake.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_ingest::{Mapper, Registry};
use weft_model::{Detector as _, EventBatch, Finding, Timestamp};

use super::input::{self, Tally};
use super::map::map_batch;
use super::offline;
use crate::cli::{self, Fault, Outcome, Output, Progress, Rows};
use crate::content;
use crate::geo;
use crate::home::Home;
use crate::hunting::RuleSieve;

/// Runs rules; exit code 1 when they found something.
///
/// # Errors
/// Rules or input that cannot be read.
pub(super) async fn run(home: &Home, detect: &cli::Detect, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let registry = content::registry(&files).map_err(Fault::Misuse)?;
    let (rule_paths, rest) = split(detect, &registry);
    let (pipelines, mut faults) = content::pipelines(&files, &super::rules::texts(&detect.pipeline)?);
    let (mut engine, broken) = content::rules(&files, Some(&super::rules::files(&rule_paths)?), &pipelines);
    faults.extend(broken);
    // A broken rule is told; the others work.
    faults.iter().for_each(|fault| cli::say(fault));
    if engine.is_empty() {
        return Err(Fault::misuse("no rule could be loaded"));
    }
    geo::equip(&mut engine, home)?;
    engine.off().into_iter().for_each(|(rule, reason)| cli::say(&format!("`{}`: {reason}", rule.title)));
    let mut findings = Found::default();
    if detect.lake {
        over_lake(home, detect, &mut engine, &mut findings).await?;
    } else {
        let Some((stream, paths)) = rest.split_first() else { return Err(Fault::misuse("STREAM and PATH are missing; or say `--lake`")) };
        if paths.is_empty() {
            return Err(Fault::misuse(format!("PATH is missing after STREAM `{stream}`")));
        }
        over_files(registry, stream, paths, &mut engine, &mut findings)?;
    }
    // Time stands still at the newest event: what did not happen by then is not told.
    let findings = findings.end(&mut engine);
    geo::tell_pressure(&engine);
    print(&findings, out)?;
    Ok(if findings.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// Findings of rules over files, the mesh's own rules among them; `look` sees every batch of events.
///
/// # Errors
/// Rules or input that cannot be read.
pub(super) fn in_files(home: &Home, rules: &[String], input: &[String], look: &mut dyn FnMut(&EventBatch)) -> Result<Vec<Finding>, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let registry = content::registry(&files).map_err(Fault::Misuse)?;
    let (rules, rest) = parted(rules.iter().chain(input), rules.len(), &registry);
    let (pipelines, mut faults) = content::pipelines(&files, &[]);
    let all: Vec<_> = content::rule_files(&files).into_iter().chain(super::rules::files(&rules)?).collect();
    let (mut engine, broken) = content::rules(&files, Some(&all), &pipelines);
    faults.extend(broken);
    faults.iter().for_each(|fault| cli::say(fault));
    geo::equip(&mut engine, home)?;
    let Some((stream, paths)) = rest.split_first().filter(|(_, paths)| !paths.is_empty()) else { return Err(Fault::misuse("STREAM and PATH are missing")) };
    let mut findings = Found::default();
    read_files(registry, stream, paths, &mut |events| {
        look(events);
        findings.look(&mut engine, events);
    })?;
    Ok(findings.end(&mut engine))
}

/// Shows every batch of events of files.
///
/// # Errors
/// Input that cannot be read.
pub(super) fn again(home: &Home, rules: &[String], input: &[String], look: &mut dyn FnMut(&EventBatch)) -> Result<(), Fault> {
    let registry = content::registry(&content::files(&home.dir).map_err(Fault::Misuse)?).map_err(Fault::Misuse)?;
    let (_, rest) = parted(rules.iter().chain(input), rules.len(), &registry);
    rest.split_first().map_or(Ok(()), |(stream, paths)| read_files(registry, stream, paths, look))
}

/// What was found so far; a later version of a finding takes the place of an earlier one.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    places: HashMap<String, usize>,
    newest: i64,
}

impl Found {
    fn look(&mut self, engine: &mut weft_analytics::Engine, events: &EventBatch) {
        self.newest = self.newest.max(events.newest().map_or(0, |time| time.0));
        let found = engine.observe(events);
        self.take(found);
    }

    fn take(&mut self, found: Vec<Finding>) {
        for finding in found {
            match self.places.get(&finding.uid).and_then(|at| self.findings.get_mut(*at)) {
                Some(known) => *known = Finding { update: false, ..finding },
                None => {
                    self.places.insert(finding.uid.clone(), self.findings.len());
                    self.findings.push(finding);
                }
            }
        }
    }

    fn end(mut self, engine: &mut weft_analytics::Engine) -> Vec<Finding> {
        let found = engine.conclude(Timestamp(self.newest));
        self.take(found);
        self.findings.sort_by(|a, b| (a.time, &a.analytic_uid, &a.uid).cmp(&(b.time, &b.analytic_uid, &b.uid)));
        self.findings
    }
}

/// `--rules` takes all that follows it; the first word that names a stream begins the input.
fn split(detect: &cli::Detect, registry: &Registry) -> (Vec<PathBuf>, Vec<String>) {
    let words = detect.rules.iter().chain(&detect.input);
    if detect.lake { (words.map(PathBuf::from).collect(), Vec::new()) } else { parted(words, detect.rules.len(), registry) }
}

/// The first word that names a stream begins the input; before it are `rules` paths of rules, or more.
fn parted<'w>(words: impl Iterator<Item = &'w String>, rules: usize, registry: &Registry) -> (Vec<PathBuf>, Vec<String>) {
    let words: Vec<&String> = words.collect();
    let is_stream = |word: &String| word == "auto" || registry.streams().any(|stream| *stream.0 == **word);
    let at = words.iter().position(|word| is_stream(word)).unwrap_or(rules);
    let (rules, input) = words.split_at(at.min(words.len()));
    (rules.iter().map(PathBuf::from).collect(), input.iter().map(|word| (*word).clone()).collect())
}

fn over_files(
    registry: std::sync::Arc<Registry>,
    stream: &str,
    paths: &[String],
    engine: &mut weft_analytics::Engine,
    findings: &mut Found,
) -> Result<(), Fault> {
    read_files(registry, stream, paths, &mut |events| findings.look(engine, events))
}

fn read_files(registry: std::sync::Arc<Registry>, stream: &str, paths: &[String], look: &mut dyn FnMut(&EventBatch)) -> Result<(), Fault> {
    let (stream, framing) = input::stream(&registry, stream)?;
    let mapper = Mapper::new(registry);
    let paths: Vec<PathBuf> = paths.iter().map(|path| Path::new(path).to_owned()).collect();
    let progress = Progress::begin("detecting");
    let mut tally = Tally::default();
    let read = input::read(&paths, &stream, &framing, &mut |batch| {
        progress.add(batch.records.len() as u64);
        let mapped = map_batch(&batch, &mapper);
        tally.add(&mapped);
        mapped.batches.iter().for_each(&mut *look);
    });
    drop(progress);
    let hint = format!("`weft map {stream} PATH` tells why");
    tally.say_rejects(&read, &hint);
    tally.check(&read, &hint)?;
    read.check()
}

async fn over_lake(home: &Home, detect: &cli::Detect, engine: &mut weft_analytics::Engine, findings: &mut Found) -> Result<(), Fault> {
    let lake = offline::open(home).await?;
    let bound = |time: &Option<String>, open: i64| time.as_ref().map_or(Ok(open), |time| millis(time)).map(Timestamp);
    let (since, until) = (bound(&detect.since, i64::MIN)?, bound(&detect.until, i64::MAX)?);
    let progress = Progress::begin("detecting");
    let mut sieve = RuleSieve::new(engine, Some(&progress));
    lake.sift(since, until, &mut sieve).await.map_err(Fault::failed)?;
    findings.newest = findings.newest.max(sieve.newest);
    findings.take(sieve.found);
    Ok(())
}

/// RFC 3339, or epoch milliseconds.
pub(super) fn millis(time: &str) -> Result<i64, Fault> {
    let parsed = time.parse().ok().or_else(|| arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(time).ok().map(|nanos| nanos / 1_000_000));
    parsed.ok_or_else(|| Fault::misuse(format!("`{time}` is not a time such as `2026-01-31T12:00:00Z`")))
}

fn print(findings: &[Finding], out: &mut Output) -> Result<(), Fault> {
    if out.format() == cli::Format::Table || out.format() == cli::Format::Csv {
        let mut rows = Rows::new(["time", "severity", "title", "rule", "matched", "evidence"]);
        for finding in findings {
            let evidence = finding.evidence.len();
            rows.push([
                finding.time.rfc3339().into(),
                finding.severity_id.into(),
                finding.title.clone().into(),
                finding.analytic_uid.clone().into(),
                finding.matched.join("; ").into(),
                evidence.into(),
            ]);
        }
        return out.rows(&rows);
    }
    let events: Vec<Value> = findings.iter().map(Finding::to_ocsf).collect();
    if out.format() == cli::Format::Json {
        out.line(&Value::Array(events).to_string())?;
    } else {
        for event in events {
            out.line(&event.to_string())?;
        }
    }
    out.flush()
}
