//! Documents through descriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use weft_model::entitlement::SnapshotFault;

use super::binary::instant;
use super::form::{Form, Forms, LinkForm, NodeForm};
use super::path::{Found, Path};
use super::template::Scene;
use crate::graph::{EdgeKind, LinkFact, NodeFact, NodeKind, STRING_BYTES_MAX, Snapshot};
use crate::person::Usage;

/// Faults of one import that are kept one by one.
const FAULTS_MAX: usize = 10_000;

/// Reads documents of one import.
pub struct Reading<'f> {
    forms: &'f Forms,
    source: String,
    snapshot: Snapshot,
    scopes: BTreeSet<Arc<str>>,
    torn: BTreeSet<Arc<str>>,
    counts: BTreeMap<String, usize>,
    more: usize,
}

/// Where one record stands.
struct At<'a> {
    form: &'a Form,
    place: &'a str,
    scope: Arc<str>,
}

impl<'f> Reading<'f> {
    /// Begins. `source` names the tenant, account or cluster where documents do not.
    pub fn new(forms: &'f Forms, source: &str) -> Self {
        let (snapshot, counts) = (Snapshot::default(), BTreeMap::new());
        Self { forms, source: source.to_owned(), snapshot, scopes: BTreeSet::new(), torn: BTreeSet::new(), counts, more: 0 }
    }

    /// Something that could not be read.
    pub fn fault(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        if self.snapshot.faults.len() < FAULTS_MAX {
            self.snapshot.faults.push(SnapshotFault { place: place.into(), reason: reason.into() });
        } else {
            self.more += 1;
        }
    }

    /// Reads one document. `path` is its file, `/` between folders; `torn` when a part of it is missing.
    pub fn document(&mut self, path: &str, value: &Value, torn: bool) {
        let mut used = false;
        let mut loose: Option<BTreeSet<usize>> = value.as_array().map(|all| (0..all.len()).collect());
        for form in &self.forms.forms {
            let Some(captures) = form.file.as_ref().map_or(Some(Vec::new()), |file| captured(file, path)) else { continue };
            let source = self.source.clone();
            let scene = Scene { root: value, record: value, each: &[], captures: &captures, source: &source, maps: &form.maps };
            if !form.document.holds(&scene) || form.not_file.iter().any(|file| captured(file, path).is_some()) {
                continue;
            }
            for (below, record) in records(form, &scene) {
                used = true;
                if let (Some(loose), Some(number)) = (&mut loose, number(&below)) {
                    loose.remove(&number);
                }
                let place = format!("{path}: {}", if below.is_empty() { "/" } else { &below });
                self.record(form, &place, &Scene { record: &record, ..scene }, torn);
            }
        }
        let empty = value.as_array().is_some_and(Vec::is_empty);
        if !used && !empty {
            self.fault(path, "no record of it is of a form that is known; `weft identity forms` lists them");
        } else if let Some(first) = loose.as_ref().and_then(BTreeSet::first) {
            let count = loose.as_ref().map_or(0, BTreeSet::len);
            self.fault(format!("{path}: [{first}]"), format!("{count} records are of no form that is known, this is the first"));
        }
    }

    fn record(&mut self, form: &Form, place: &str, scene: &Scene<'_>, torn: bool) {
        let instance = form.instance.as_ref().and_then(|instance| instance.one(scene)).unwrap_or_else(|| scene.source.to_owned());
        let scope = if instance.is_empty() { form.name.clone() } else { format!("{}@{instance}", form.name) };
        let scope = self.scopes.get(scope.as_str()).cloned().unwrap_or_else(|| Arc::from(scope));
        self.scopes.insert(Arc::clone(&scope));
        if torn {
            self.torn.insert(Arc::clone(&scope));
        }
        *self.counts.entry(form.name.clone()).or_default() += 1;
        let (at, scene) = (At { form, place, scope }, Scene { source: &instance, ..*scene });
        for node in &at.form.nodes {
            each(&node.each, scene.record, &mut |below, values| {
                let scene = Scene { each: values, ..scene };
                if node.when.holds(&scene) {
                    self.node(&at, node, below, &scene);
                }
            });
        }
        for link in &at.form.links {
            each(&link.each, scene.record, &mut |below, values| {
                let scene = Scene { each: values, ..scene };
                if link.when.holds(&scene) {
                    self.link(&at, link, below, &scene);
                }
            });
        }
    }

    fn node(&mut self, at: &At<'_>, node: &NodeForm, below: &str, scene: &Scene<'_>) {
        let place = format!("{}{below}", at.place);
        let Some(key) = node.key.one(scene) else {
            self.torn.insert(Arc::clone(&at.scope));
            return self.fault(place, format!("what makes a key for `{}` is missing or no text", at.form.name));
        };
        let word = node.kind.one(scene).unwrap_or_default();
        let Some(kind) = NodeKind::named(&word) else {
            self.torn.insert(Arc::clone(&at.scope));
            return self.fault(place, format!("`{word}` is no kind of node; there are {}", names(NodeKind::ALL.iter().map(|kind| kind.name()))));
        };
        if key.len() > STRING_BYTES_MAX {
            return self.fault(place, format!("a key is longer than {STRING_BYTES_MAX} bytes"));
        }
        let usage = if node.service.any(scene) {
            Usage::Service
        } else if node.shared.any(scene) {
            Usage::Shared
        } else if node.personal.any(scene) {
            Usage::Personal
        } else {
            Usage::Unsaid
        };
        let short = |text: &String| text.len() <= STRING_BYTES_MAX;
        let ids = node.ids.iter().flat_map(|(kind, id)| id.all(scene).into_iter().filter(short).map(|id| (*kind, id)));
        let since = node.since.as_ref().and_then(|since| since.one(scene)).and_then(|text| instant(&text));
        self.snapshot.nodes.push(NodeFact {
            ids: ids.collect(),
            name: node.name.as_ref().and_then(|name| name.one(scene)).filter(short).unwrap_or_default(),
            aliases: node.alias.iter().flat_map(|alias| alias.all(scene)).filter(|alias| *alias != key && short(alias)).collect(),
            active: node.inactive.is_empty() || !node.inactive.any(scene),
            key,
            kind,
            usage,
            since,
            scope: Arc::clone(&at.scope),
        });
    }

    fn link(&mut self, at: &At<'_>, link: &LinkForm, below: &str, scene: &Scene<'_>) {
        let place = format!("{}{below}", at.place);
        let (Some(from), Some(to)) = (link.from.one(scene), link.to.one(scene)) else {
            self.torn.insert(Arc::clone(&at.scope));
            return self.fault(place, format!("an end of an edge of `{}` is missing or no text", at.form.name));
        };
        let word = link.kind.one(scene).unwrap_or_default();
        let Some(kind) = EdgeKind::named(&word) else {
            self.torn.insert(Arc::clone(&at.scope));
            return self.fault(place, format!("`{word}` is no kind of edge; there are {}", names(EdgeKind::ALL.iter().map(|kind| kind.name()))));
        };
        if from.len() > STRING_BYTES_MAX || to.len() > STRING_BYTES_MAX {
            return self.fault(place, format!("a key is longer than {STRING_BYTES_MAX} bytes"));
        }
        let time = |text: &Option<super::template::Template>| text.as_ref().and_then(|text| text.one(scene)).and_then(|text| instant(&text));
        self.snapshot.links.push(LinkFact {
            from,
            to,
            kind,
            label: link.label.as_ref().and_then(|label| label.one(scene)).filter(|label| label.len() <= STRING_BYTES_MAX).unwrap_or_default(),
            since: time(&link.since),
            until: time(&link.until),
            scope: Arc::clone(&at.scope),
            place: place.into(),
        });
    }

    /// All that was read, and records by form.
    pub fn finish(mut self) -> (Snapshot, BTreeMap<String, usize>) {
        if self.more > 0 {
            let reason = format!("and {} faults more", self.more);
            self.snapshot.faults.push(SnapshotFault { place: "import".to_owned(), reason });
        }
        self.snapshot.torn = self.torn.into_iter().collect();
        (self.snapshot, self.counts)
    }
}

/// The records of a form: at the first of its places that has some.
fn records<'a>(form: &Form, scene: &Scene<'a>) -> Vec<Found<'a>> {
    let at = |path: &Path| {
        let mut found = path.all(scene.root);
        found.retain(|(_, record)| form.when.holds(&Scene { record, ..*scene }));
        found
    };
    form.records.iter().map(at).find(|found| !found.is_empty()).unwrap_or_default()
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The number of a place that begins with `[number]`.
fn number(place: &str) -> Option<usize> {
    place.strip_prefix('[')?.split(']').next()?.parse().ok()
}

/// Each way through a chain of paths, with its place.
fn each(paths: &[Path], from: &Value, visit: &mut dyn FnMut(&str, &[&Value])) {
    fn step(paths: &[Path], from: &Value, above: &[&Value], place: &str, visit: &mut dyn FnMut(&str, &[&Value])) {
        let Some((path, rest)) = paths.split_first() else { return visit(place, above) };
        let found: Vec<Found<'_>> = path.all(from);
        for (below, value) in &found {
            // Shorter lives from here on: what was read from text lives as long as this step.
            let mut values: Vec<&Value> = above.to_vec();
            values.push(value);
            step(rest, value, &values, &format!("{place}{below}"), visit);
        }
    }
    step(paths, from, &[], "", visit);
}

/// What each `*` of a pattern stands for in a file's path; `None` when it is another file.
fn captured(pattern: &[String], path: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (any, pattern) = match pattern.split_first() {
        Some((first, rest)) if first == "**" => (true, rest),
        _ => (false, pattern),
    };
    let skip = parts.len().checked_sub(pattern.len())?;
    if skip > 0 && !any {
        return None;
    }
    let mut captures = Vec::new();
    for (pattern, part) in pattern.iter().zip(parts.iter().skip(skip)) {
        match pattern.split_once('*') {
            None if pattern.eq_ignore_ascii_case(part) => {}
            Some((before, after)) => captures.push(part.strip_prefix(before)?.strip_suffix(after)?.to_owned()),
            None => return None,
        }
    }
    Some(captures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_path() {
        let pattern: Vec<String> = "**/groups/*/users*.json".split('/').map(str::to_owned).collect();
        assert_eq!(captured(&pattern, "/a/b/groups/00g1/users-2.json"), Some(vec!["00g1".into(), "-2".into()]));
        assert_eq!(captured(&pattern, "groups/00g1/users.json"), Some(vec!["00g1".into(), String::new()]));
        assert_eq!((captured(&pattern, "groups/users.json"), captured(&pattern, "x/00g1/users.json")), (None, None));
    }
}
