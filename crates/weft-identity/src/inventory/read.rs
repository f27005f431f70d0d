//! Documents through descriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use weft_model::entitlement::SnapshotFault;

use super::binary::{Moment, moment};
use super::form::{Form, Forms, LinkForm, NodeForm};
use super::path::{Found, Path};
use super::template::{Scene, Template};
use crate::graph::{EdgeKind, LinkFact, Micros, NodeFact, NodeKind, STRING_BYTES_MAX, Snapshot};
use crate::person::Usage;

/// Characters of a value that are shown in a fault.
const SHOWN_MAX: usize = 60;
/// Faults of one import that are kept one by one.
const FAULTS_MAX: usize = 10_000;

/// Reads documents of one import.
pub struct Reading<'f> {
    forms: &'f Forms,
    source: String,
    snapshot: Snapshot,
    scopes: BTreeSet<Arc<str>>,
    torn: BTreeSet<Arc<str>>,
    /// Documents in which nothing is left of a form, and that do not say of which instance: form, and place.
    hollow: BTreeSet<(String, String)>,
    /// Whether there is something of which nothing could be read: nobody knows what it told.
    unread: bool,
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
        Self {
            forms,
            source: source.to_owned(),
            snapshot: Snapshot::default(),
            scopes: BTreeSet::new(),
            torn: BTreeSet::new(),
            hollow: BTreeSet::new(),
            unread: false,
            counts: BTreeMap::new(),
            more: 0,
        }
    }

    /// A file that could not be read. What it would have told is not known: nothing of this import ends anything.
    pub fn unread(&mut self, place: impl Into<String>, reason: impl std::fmt::Display) {
        self.unread = true;
        self.fault(place, format!("{reason}; nothing ends by this import"));
    }

    /// A part of which nothing is left.
    pub fn nothing_left(&mut self, part: &str) {
        self.scope(part.to_owned());
    }

    /// Something that could not be used.
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
            let found = records(form, &scene);
            if found.is_empty() && !torn && says_nothing(form, &scene) {
                used = true;
                self.nothing(form, path, &scene);
            }
            for (below, record) in found {
                used = true;
                if let (Some(loose), Some(number)) = (&mut loose, number(&below)) {
                    loose.remove(&number);
                }
                let place = format!("{path}: {}", if below.is_empty() { "/" } else { &below });
                self.record(form, &place, &Scene { record: &record, ..scene }, torn);
            }
        }
        // What was lost may have been of any part.
        self.unread |= torn && !used;
        if !used && is_hollow(value) {
            self.fault(path, "nothing is in it, and it does not say of what: nothing ends by it; if nothing is left of a part, name it with `--empty`");
        } else if !used {
            self.fault(path, "no record of it is of a form that is known; `weft identity forms` lists them");
        } else if let Some(first) = loose.as_ref().and_then(BTreeSet::first) {
            let count = loose.as_ref().map_or(0, BTreeSet::len);
            self.fault(format!("{path}: [{first}]"), format!("{count} records are of no form that is known, this is the first"));
        }
    }

    fn scope(&mut self, name: String) -> Arc<str> {
        let scope = self.scopes.get(name.as_str()).cloned().unwrap_or_else(|| Arc::from(name));
        self.scopes.insert(Arc::clone(&scope));
        scope
    }

    /// A document of a form in which nothing is left.
    fn nothing(&mut self, form: &Form, path: &str, scene: &Scene<'_>) {
        let instance = form.instance.as_ref().map_or(Some(scene.source.to_owned()), |instance| instance.one(scene));
        match instance.or_else(|| Some(scene.source.to_owned()).filter(|source| !source.is_empty())) {
            Some(instance) => _ = self.scope(scope_of(&form.name, &instance)),
            None => _ = self.hollow.insert((form.name.clone(), path.to_owned())),
        }
        self.counts.entry(form.name.clone()).or_default();
    }

    fn record(&mut self, form: &Form, place: &str, scene: &Scene<'_>, torn: bool) {
        let instance = form.instance.as_ref().and_then(|instance| instance.one(scene)).unwrap_or_else(|| scene.source.to_owned());
        let scope = self.scope(scope_of(&form.name, &instance));
        let whole: Vec<Arc<str>> = form.whole.iter().map(|part| self.scope(scope_of(part, &instance))).collect();
        if torn {
            self.torn.extend(whole.into_iter().chain([Arc::clone(&scope)]));
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
        let ids = ids.collect();
        let since = self.time(&place, node.since.as_ref(), scene, "it counts from this snapshot on");
        self.snapshot.nodes.push(NodeFact {
            ids,
            name: node.name.as_ref().and_then(|name| name.one(scene)).filter(short).unwrap_or_default(),
            aliases: node.alias.iter().flat_map(|alias| alias.all(scene)).filter(|alias| *alias != key && short(alias)).collect(),
            active: (!node.inactive.is_empty()).then(|| !node.inactive.any(scene)),
            passing: node.passing,
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
        let since = self.time(&place, link.since.as_ref(), scene, "it counts from this snapshot on");
        let until = self.time(&place, link.until.as_ref(), scene, "it counts as without end");
        self.snapshot.links.push(LinkFact {
            from,
            to,
            kind,
            label: link.label.as_ref().and_then(|label| label.one(scene)).filter(|label| label.len() <= STRING_BYTES_MAX).unwrap_or_default(),
            since,
            until,
            scope: Arc::clone(&at.scope),
            place: place.into(),
        });
    }

    fn time(&mut self, place: &str, template: Option<&Template>, scene: &Scene<'_>, otherwise: &str) -> Option<Micros> {
        let text = template?.one(scene)?;
        match moment(&text) {
            Moment::At(at) => Some(at),
            Moment::Never => None,
            Moment::Unreadable => {
                self.fault(place, format!("`{}` is no time that can be read; {otherwise}", text.chars().take(SHOWN_MAX).collect::<String>()));
                None
            }
        }
    }

    /// What is empty and does not say of which instance speaks for those that the same tool tells beside it.
    fn fill_hollow(&mut self) {
        for (form, place) in std::mem::take(&mut self.hollow) {
            let tool = form.split('/').next().unwrap_or_default();
            let beside = self.scopes.iter().filter_map(|scope| scope.strip_prefix(tool)?.strip_prefix('/')?.split_once('@'));
            let instances: BTreeSet<String> = beside.map(|(_, instance)| instance.to_owned()).collect();
            if instances.is_empty() {
                self.fault(
                    place,
                    format!("nothing of `{form}` is in it, and it does not say of which instance: nothing ends by it; `--empty {form}@INSTANCE` says so"),
                );
            }
            for instance in instances {
                self.scope(scope_of(&form, &instance));
            }
        }
    }

    /// All that was read, and records by form.
    pub fn finish(mut self) -> (Snapshot, BTreeMap<String, usize>) {
        self.fill_hollow();
        if self.more > 0 {
            let reason = format!("and {} faults more", self.more);
            self.snapshot.faults.push(SnapshotFault { place: "import".to_owned(), reason });
        }
        self.snapshot.torn = if self.unread { &self.scopes } else { &self.torn }.iter().cloned().collect();
        self.snapshot.scopes = self.scopes.into_iter().collect();
        (self.snapshot, self.counts)
    }
}

/// The records of a form: at the first of its places that has some.
fn records<'a>(form: &Form, scene: &Scene<'a>) -> Vec<Found<'a>> {
    let at = |path: &Path| path.some(scene.root, |record| form.when.holds(&Scene { record, ..*scene }));
    form.records.iter().map(at).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Whether a document is about a form although no record is in it.
fn says_nothing(form: &Form, scene: &Scene<'_>) -> bool {
    let named = form.file.is_some() && form.records.iter().any(|path| path.is_empty_list(scene.root));
    named || !form.empty.is_empty() && form.empty.holds(scene) && !has_list(scene.root)
}

/// Whether a document is or has a list with something in it: it tells something, of whatever form.
fn has_list(value: &Value) -> bool {
    let full = |value: &Value| value.as_array().is_some_and(|all| !all.is_empty());
    full(value) || value.as_object().is_some_and(|all| all.values().any(full))
}

/// Whether a document has an empty list and nothing else that could be a record.
fn is_hollow(value: &Value) -> bool {
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    !has_list(value) && (empty(value) || value.as_object().is_some_and(|all| all.values().any(empty) && !all.values().any(Value::is_object)))
}

/// Name of a part of a source.
fn scope_of(form: &str, instance: &str) -> String {
    if instance.is_empty() { form.to_owned() } else { format!("{form}@{instance}") }
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
