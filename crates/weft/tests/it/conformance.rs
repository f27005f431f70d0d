//! The public rules on the events that they were written for: from JSON and from EVTX, through OCSF,
//! on the stream and from the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use weft::content;
use weft_analytics::{Engine, Pipelines, RuleFile};
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Detector as _, EventBatch, Mapping as _, StreamId};

use crate::{text, weft};

/// A rule with its positive event.
struct Case {
    id: String,
    rule: PathBuf,
    json: PathBuf,
    evtx: PathBuf,
}

#[test]
fn public_rules_fire_on_their_events() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = cases(folder.path()) else { return };
    let files = content::files(Path::new("/nowhere")).unwrap();
    let registry = content::registry(&files).unwrap();
    let rules: Vec<RuleFile> = cases.iter().map(|case| RuleFile { name: case.id.clone(), text: std::fs::read_to_string(&case.rule).unwrap() }).collect();
    let (mut engine, faults) = content::rules(&files, Some(&rules), &Pipelines::default());
    assert_eq!(faults, Vec::<String>::new());
    let mut fires = |path: &Path, id: &str| batches(path, &registry).iter().any(|batch| engine.observe(batch).iter().any(|finding| finding.analytic_uid == id));
    let stream: Vec<(bool, bool)> = cases.iter().map(|case| (fires(&case.json, &case.id), fires(&case.evtx, &case.id))).collect();
    let lake = from_the_lake(folder.path(), &cases);
    let mut missed = Vec::new();
    println!("{:<38} json evtx lake", "rule");
    for (case, (json, evtx)) in cases.iter().zip(stream) {
        let lake = lake.contains(&case.id);
        let mark = |fires: bool| if fires { "yes" } else { "NO" };
        println!("{:<38} {:<4} {:<4} {:<4} {}", case.id, mark(json), mark(evtx), mark(lake), case.rule.file_name().unwrap().to_string_lossy());
        if !(json && evtx && lake) {
            missed.push(case.rule.display().to_string());
        }
    }
    println!("{} of {} rules fire everywhere", cases.len() - missed.len(), cases.len());
    assert!(cases.len() > 200 && missed.is_empty(), "{}", missed.join("\n"));
}

fn from_the_lake(folder: &Path, cases: &[Case]) -> BTreeSet<String> {
    let (home, rules) = (folder.join("home"), folder.join("chosen"));
    std::fs::create_dir_all(&rules).unwrap();
    for case in cases {
        std::fs::copy(&case.rule, rules.join(format!("{}.yml", case.id))).unwrap();
    }
    let mut arguments = vec!["ingest", "windows/event"];
    arguments.extend(cases.iter().map(|case| case.json.to_str().unwrap()));
    let ingested = weft(&home, &arguments, "");
    assert!(ingested.status.code() != Some(2), "{}", text(&ingested.stderr));
    let found = weft(&home, &["detect", "--lake", "--format", "ndjson", "--rules", rules.to_str().unwrap()], "");
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["finding_info"]["analytic"]["uid"].as_str().unwrap().to_owned();
    text(&found.stdout).lines().map(id).collect()
}

fn batches(path: &Path, registry: &std::sync::Arc<Registry>) -> Vec<EventBatch> {
    let framing = Framing::of(registry, &StreamId::from("windows/event")).unwrap();
    let mut records = Vec::new();
    frame::read(path, &framing, &mut |piece| {
        if let Piece::Record { bytes, .. } = piece {
            records.push(bytes);
        }
    })
    .unwrap();
    Mapper::new(std::sync::Arc::clone(registry)).map(&weft_testkit::batch("windows/event", Context::default(), records)).batches
}

/// Every rule that has an event as JSON and EVTX.
fn cases(folder: &Path) -> Option<Vec<Case>> {
    for archive in ["sigma/regression_data.tar.xz", "sigma/rules.tar.xz"] {
        let archive = weft_testkit::data(archive)?;
        let done = Command::new("tar").arg("xJf").arg(archive).arg("-C").arg(folder).status().ok()?;
        assert!(done.success());
    }
    let all = content::walk(folder, 16);
    let id_of = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.lines().find_map(|line| line.strip_prefix("id: "))?.trim().trim_matches(['"', '\'']).to_owned())
    };
    let is_rule = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "yml") && !path.ends_with("info.yml");
    let rules: BTreeMap<String, PathBuf> = all.iter().filter(is_rule).filter_map(|path| Some((id_of(path)?, path.clone()))).collect();
    let cases = all.iter().filter(|path| path.extension().is_some_and(|ending| ending == "evtx"));
    Some(
        cases
            .map(|evtx| {
                let id = evtx.file_stem().unwrap().to_string_lossy().into_owned();
                Case { rule: rules[&id].clone(), json: evtx.with_extension("json"), evtx: evtx.clone(), id }
            })
            .collect(),
    )
}

#[test]
fn all_public_rules_load_and_most_have_all_their_fields_mapped() {
    let Some(archive) = weft_testkit::data("sigma/rules.tar.xz") else { return };
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("tar").arg("xJf").arg(archive).arg("-C").arg(folder.path()).status().unwrap().success());
    let files = content::files(Path::new("/nowhere")).unwrap();
    let is_rule = |path: &PathBuf| path.to_str().is_some_and(content::is_yaml);
    let rules: Vec<RuleFile> = content::walk(folder.path(), 16)
        .into_iter()
        .filter(is_rule)
        .map(|path| RuleFile { name: path.display().to_string(), text: std::fs::read_to_string(&path).unwrap() })
        .collect();
    let (fields, _) = content::fields(&files);
    let (engine, faults): (Engine, _) = weft_analytics::compile(&rules, &fields);
    let refused: Vec<String> = faults.iter().filter(|fault| fault.refused).map(ToString::to_string).collect();
    assert_eq!(refused, Vec::<String>::new());
    let mut shares: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut unmapped: BTreeMap<String, usize> = BTreeMap::new();
    for rule in engine.rules() {
        let weft_analytics::sigma::rule::Body::Detection { logsource, .. } = &rule.body else { continue };
        let verdict = weft_analytics::sigma::lint::lint(rule, &fields);
        let product = logsource.product.clone().unwrap_or_else(|| "any".to_owned());
        let known = fields.kinds_of(logsource).next().is_some();
        for name in [product, "all".to_owned()] {
            let share = shares.entry(name).or_default();
            share.1 += 1;
            share.0 += usize::from(known && verdict.unknown.is_empty());
        }
        for fault in &verdict.unknown {
            *unmapped.entry(format!("{}: {}", weft_analytics::sigma::lint::named(logsource), fault.reason.split('`').nth(1).unwrap())).or_default() += 1;
        }
    }
    println!("fields that no mapping names: {unmapped:#?}");
    for (product, (mapped, all)) in &shares {
        println!("{product:<20} {mapped:>5} of {all:>5}");
        let least = match product.as_str() {
            "windows" | "aws" | "azure" | "okta" => 95,
            "all" => 85,
            _ => 0,
        };
        assert!(mapped * 100 >= all * least, "{product}: {mapped} of {all}");
    }
    assert!(engine.len() > 3_700, "{}", engine.len());
}
