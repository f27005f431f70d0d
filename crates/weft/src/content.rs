//! What the mesh knows, embedded in the program: connectors, rules, policies, playbooks, checks.
//!
//! Files of the mesh's home (`content/` and `connectors/` in it) are added, and replace embedded
//! ones of the same name. Everything is compiled before anything runs; every fault is told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_embed::RustEmbed;
use weft_analytics::entity::Known;
use weft_analytics::hunt::Hunt;
use weft_analytics::{Engine, FieldMap, Pipelines, RuleFile};
use weft_assessment::Metric;
use weft_identity::decide::{CedarPoint, PolicyFile};
use weft_ingest::pull::Description;
use weft_ingest::{ConnectorSource, Registry};
use weft_policy::Check;
use weft_response::Playbook;

use crate::hunting::Hunts;

/// Largest file of content.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most files of the mesh's home that are read.
const FILES_MAX: usize = 100_000;
/// Folders below a folder.
const DEPTH_MAX: usize = 16;

#[derive(RustEmbed)]
#[folder = "../../content"]
struct Embedded;

/// Files by path, e.g. `content/detections/x.yml`.
pub type Files = BTreeMap<String, String>;

/// All of it, compiled.
pub struct Content {
    /// Streams.
    pub registry: Arc<Registry>,
    /// Detection rules.
    pub rules: Engine,
    /// What is wrong with rules that were left out, one line each; the others work.
    pub refused: Vec<String>,
    /// Decisions.
    pub pdp: CedarPoint,
    /// Responses.
    pub playbooks: Vec<Playbook>,
    /// Posture.
    pub checks: Vec<Check>,
    /// Measures.
    pub metrics: Vec<Metric>,
    /// Who is nobody, and who matters how much.
    pub entities: Known,
    /// Hypotheses.
    pub hunts: Hunts,
    /// Rule files with analytics of behaviour, to be shown the past.
    pub behaviours: Vec<RuleFile>,
}

/// The embedded files, with those of the mesh's home over them.
///
/// # Errors
/// Files that cannot be read, one line each.
pub fn files(home: &Path) -> Result<Files, Vec<String>> {
    let mut files = Files::new();
    embedded(&mut files);
    for connector in weft_connectors::files() {
        files.extend(connector.files.into_iter().map(|(path, text)| (format!("connectors/{}/{path}", connector.name), text)));
    }
    let mut faults = Vec::new();
    for folder in ["content", "connectors"] {
        read_folder(&home.join(folder), folder, &mut files, &mut faults);
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

fn embedded(files: &mut Files) {
    for path in Embedded::iter() {
        let text = Embedded::get(&path).and_then(|file| match file.data {
            Cow::Borrowed(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok(),
        });
        files.extend(text.map(|text| (format!("content/{path}"), text)));
    }
}

fn read_folder(folder: &Path, name: &str, files: &mut Files, faults: &mut Vec<String>) {
    if folder.is_dir() {
        for path in walk(folder, DEPTH_MAX) {
            let below = path.strip_prefix(folder).unwrap_or(&path);
            match read(&path) {
                Ok(text) => drop(files.insert(format!("{name}/{}", below.display()), text)),
                Err(fault) => faults.push(fault),
            }
        }
    }
}

/// Files below a folder, sorted; what cannot be looked into is left out.
pub fn walk(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for entry in entries.take(FILES_MAX) {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => found.extend(walk(&entry.path(), depth - 1)),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

/// A text file of bounded size.
///
/// # Errors
/// One line for a person.
pub fn read(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("`{}` is {length} bytes long, at most {FILE_BYTES_MAX} are read", path.display()));
    }
    std::fs::read_to_string(path).map_err(told)
}

/// Compiles the connectors alone: what `map` needs.
///
/// # Errors
/// Every fault, one line each.
pub fn registry(files: &Files) -> Result<Arc<Registry>, Vec<String>> {
    built(files, Registry::build)
}

/// The same, with the place of each rule.
///
/// # Errors
/// Every fault, one line each.
pub fn registry_traced(files: &Files) -> Result<Arc<Registry>, Vec<String>> {
    built(files, Registry::build_traced)
}

/// What builds a registry, with every fault.
type Build = fn(&[ConnectorSource]) -> (Arc<Registry>, Vec<weft_ingest::Fault>);

fn built(files: &Files, build: Build) -> Result<Arc<Registry>, Vec<String>> {
    let mut sources: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for (path, text) in files {
        if let Some((connector, file)) = path.strip_prefix("connectors/").and_then(|path| path.split_once('/'))
            && (file == "connector.toml" || file.starts_with("mapping/"))
        {
            sources.entry(connector).or_default().push((file.to_owned(), text.clone()));
        }
    }
    let sources: Vec<ConnectorSource> = sources.into_iter().map(|(name, files)| ConnectorSource { name: name.to_owned(), files }).collect();
    let (registry, faults) = build(&sources);
    if faults.is_empty() { Ok(registry) } else { Err(faults.iter().map(ToString::to_string).collect()) }
}

/// Descriptions of APIs, by `connector/name`.
///
/// # Errors
/// Every fault, one line each.
pub fn pulls(files: &Files) -> Result<BTreeMap<String, Arc<Description>>, Vec<String>> {
    let (mut found, mut faults) = (BTreeMap::new(), Vec::new());
    for (path, text) in files {
        let below = path.strip_prefix("connectors/").and_then(|path| path.strip_suffix(".toml"));
        let Some((connector, name)) = below.and_then(|path| path.split_once("/pull/")) else { continue };
        let name = format!("{connector}/{name}");
        match weft_ingest::pull::describe(path, &name, text) {
            Ok(description) => drop(found.insert(name, Arc::new(description))),
            Err(told) => faults.extend(told.iter().map(ToString::to_string)),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Which events logsources mean: of all files.
pub fn fields(files: &Files) -> (FieldMap, Vec<String>) {
    let (mut fields, mut faults) = (FieldMap::default(), Vec::new());
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with("/fields.toml")) {
        let connector = path.strip_prefix("connectors/").and_then(|path| path.split_once('/')).map(|(connector, _)| connector);
        match (FieldMap::parse(text), connector) {
            (Ok(map), Some(connector)) => fields.extend(map.of_connector(connector)),
            (Ok(map), None) => fields.extend(map),
            (Err(fault), _) => faults.push(format!("{path}: {fault}")),
        }
    }
    (fields, faults)
}

/// What is known of entities: `content/entities/*.toml`, and `entities.toml` of connectors.
///
/// # Errors
/// Every fault, one line each.
pub fn entities(files: &Files) -> Result<Known, Vec<String>> {
    let (mut known, mut faults) = (Known::default(), Vec::new());
    let is_one = |path: &str| path.ends_with(".toml") && path.starts_with("content/entities/") || path.ends_with("/entities.toml");
    for (path, text) in files.iter().filter(|(path, _)| is_one(path)) {
        if let Err(fault) = known.read(text) {
            faults.push(format!("{path}: {fault}"));
        }
    }
    if faults.is_empty() { Ok(known) } else { Err(faults) }
}

/// Hunts: `content/hunts/*.toml`, and those of connectors.
///
/// # Errors
/// Every fault, one line each.
pub fn hunts(files: &Files) -> Result<Hunts, Vec<String>> {
    let parsed = files.iter().filter(|(path, _)| path.contains("/hunts/") && path.ends_with(".toml")).map(|(path, text)| Hunt::parse(path, text));
    let (mut faults, (fields, wrong), (pipelines, broken)) = (Vec::new(), fields(files), pipelines(files, &[]));
    let all = keep(parsed, &mut faults);
    faults.extend(wrong.into_iter().chain(broken));
    if faults.is_empty() { Ok(Hunts { all, fields, pipelines }) } else { Err(faults) }
}

/// Pipelines of `content/pipelines`, with further ones as name and text.
pub fn pipelines(files: &Files, further: &[(String, String)]) -> (Pipelines, Vec<String>) {
    let own = files.iter().filter(|(path, _)| path.starts_with("content/pipelines/") && is_yaml(path));
    let all: Vec<(&str, &str)> =
        own.map(|(path, text)| (path.as_str(), text.as_str())).chain(further.iter().map(|(name, text)| (name.as_str(), text.as_str()))).collect();
    let (pipelines, faults) = Pipelines::read(&all);
    (pipelines, faults.into_iter().map(|(name, fault)| format!("{name}:{}: {}", fault.line, fault.reason)).collect())
}

/// Whether a path names YAML.
pub fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}

/// The rule files among the content.
pub fn rule_files(files: &Files) -> Vec<RuleFile> {
    let rules = files.iter().filter(|(path, _)| path.contains("/detections/") && is_yaml(path));
    rules.map(|(path, text)| RuleFile { name: path.clone(), text: text.clone() }).collect()
}

/// Those of them that measure what is usual.
fn behaviours(files: &Files) -> Vec<RuleFile> {
    rule_files(files).into_iter().filter(|file| file.text.lines().any(|line| line.starts_with("weft:"))).collect()
}

/// Compiles rule files: the embedded ones, or those that are given instead.
pub fn rules(files: &Files, instead: Option<&[RuleFile]>, pipelines: &Pipelines) -> (Engine, Vec<String>) {
    let (fields, mut faults) = fields(files);
    let own = if instead.is_none() { rule_files(files) } else { Vec::new() };
    let (engine, found) = weft_analytics::compile_with(instead.unwrap_or(&own), &fields, pipelines);
    faults.extend(found.iter().filter(|fault| fault.refused).map(ToString::to_string));
    (engine, faults)
}

/// Compiles everything.
///
/// # Errors
/// Every fault of every file but rules, one line each. A broken rule is told and left out.
pub fn compile(files: &Files) -> Result<Content, Vec<String>> {
    let mut faults = Vec::new();
    let registry = registry(files).unwrap_or_else(|found| {
        faults.extend(found);
        Arc::default()
    });
    let (pipelines, mut refused) = pipelines(files, &[]);
    let (rules, found) = rules(files, None, &pipelines);
    refused.extend(found);
    faults.extend(pulls(files).err().unwrap_or_default());
    let under = |folder: &'static str, ending: &'static str| files.iter().filter(move |(path, _)| path.contains(folder) && path.ends_with(ending));
    let playbooks = keep(
        under("/playbooks/", ".json").map(|(path, text)| Playbook::parse(path, text).map_err(|found| found.iter().map(ToString::to_string).collect())),
        &mut faults,
    );
    let checks = keep(under("/checks/", ".toml").map(|(path, text)| Check::parse(path, text).map_err(|fault| vec![fault.to_string()])), &mut faults);
    let metrics = keep(under("/metrics/", ".toml").map(|(path, text)| Metric::parse(path, text).map_err(|fault| vec![fault.to_string()])), &mut faults);
    let entities = entities(files).unwrap_or_else(|found| {
        faults.extend(found);
        Known::default()
    });
    let hunts = hunts(files).unwrap_or_else(|found| {
        faults.extend(found);
        Hunts::default()
    });
    match (pdp(files), faults.is_empty()) {
        (Ok(pdp), true) => Ok(Content { registry, rules, refused, pdp, playbooks, checks, metrics, entities, hunts, behaviours: behaviours(files) }),
        (outcome, _) => {
            faults.extend(outcome.err().unwrap_or_default());
            Err(faults)
        }
    }
}

/// Compiles the checks of machine identities.
///
/// # Errors
/// Every fault, one line each.
pub fn machine_checks(files: &Files) -> Result<Vec<Check>, Vec<String>> {
    let of = files.iter().filter(|(path, _)| path.contains("/machines/") && path.ends_with(".toml"));
    let (checks, faults): (Vec<_>, Vec<_>) = of.map(|(path, text)| Check::parse(path, text)).partition(Result::is_ok);
    let faults: Vec<String> = faults.into_iter().filter_map(Result::err).map(|fault| fault.to_string()).collect();
    if faults.is_empty() { Ok(checks.into_iter().flatten().collect()) } else { Err(faults) }
}

fn pdp(files: &Files) -> Result<CedarPoint, Vec<String>> {
    let (schema, policies) = policy_files(files)?;
    CedarPoint::compile(&schema, &policies).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// The schema and the policies among the content.
///
/// # Errors
/// There is no schema.
pub fn policy_files(files: &Files) -> Result<(PolicyFile, Vec<PolicyFile>), Vec<String>> {
    let file = |(path, text): (&String, &String)| PolicyFile { name: path.clone(), text: text.clone() };
    let schema = files
        .iter()
        .find(|(path, _)| path.ends_with(".cedarschema"))
        .map(file)
        .ok_or_else(|| vec!["content/policies: there is no `.cedarschema`".to_owned()])?;
    Ok((schema, files.iter().filter(|(path, _)| path.ends_with(".cedar")).map(file).collect()))
}

fn keep<T>(parsed: impl Iterator<Item = Result<T, Vec<String>>>, faults: &mut Vec<String>) -> Vec<T> {
    parsed.filter_map(|one| one.map_err(|found| faults.extend(found)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_content_is_without_fault() {
        let files = files(Path::new("/nowhere")).unwrap();
        let faults = compile(&files).map_or_else(|faults| faults, |content| content.refused);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
