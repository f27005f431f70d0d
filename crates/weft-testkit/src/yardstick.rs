//! How much the generic streams alone tell: every other connector is taken away, and value by value
//! what each of them makes of its own records is compared with what is made of them without it.
//!
//! Connectors fall into two halves by their names: one to look at while the words are mended, and
//! one of which only the figures are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use weft_ingest::Registry;

use crate::scenario::{self, Raw};
use crate::strangers::{Guess, generic, guesses};
use crate::{connectors, registry, root};

/// Kinds of values, and by which ends of a path they are known; the first that fits counts.
const KINDS: [(&str, &[&str]); 24] = [
    ("class", &["class_uid"]),
    ("activity", &["activity_id"]),
    ("time", &["time"]),
    ("severity", &["severity_id"]),
    ("status", &["status_id"]),
    ("action", &["action_id"]),
    ("hash", &["hashes[].value"]),
    ("command", &["cmd_line"]),
    ("process", &["process.name", "process.pid", "process.file.name", "process.file.path", "process.path"]),
    ("file", &["file.name", "file.path", "files[].name", "files[].path"]),
    ("url", &["url.url_string", "url.path", "url.hostname", "urls[].url_string"]),
    ("query", &["query.hostname", "answers[].rdata"]),
    ("mail", &["email.from", "email.to[]", "email.subject", "email.message_uid"]),
    ("source", &["src_endpoint.ip", "src_endpoint.port"]),
    ("destination", &["dst_endpoint.ip", "dst_endpoint.port"]),
    ("address", &["device.ip", "resources[].ip", "endpoint.ip", ".ip"]),
    ("mac", &[".mac"]),
    ("host", &["device.hostname", "endpoint.hostname", "device.name", "resources[].hostname"]),
    ("user", &["user.name", "user.email_addr", "user.uid", "user.full_name"]),
    ("finding", &["finding_info.title", "finding_info.uid", "malware[].name", "cve.uid", "analytic.name"]),
    ("rule", &["rule.name", "rule.uid"]),
    ("request", &["http_request.http_method", "http_response.code", "user_agent"]),
    ("operation", &["api.operation"]),
    ("code", &["metadata.event_code"]),
];

/// What was wanted and found of one half.
#[derive(Debug, Default)]
pub struct Half {
    /// Records.
    pub records: usize,
    /// That became no event.
    pub rejected: usize,
    /// Kind: found, of how many.
    pub kinds: BTreeMap<&'static str, (usize, usize)>,
    /// Class of the connector, class without it, how often.
    pub confused: BTreeMap<(String, String), usize>,
    /// A line for each value that is missed.
    pub notes: Vec<String>,
}

/// Both halves: to look at, and not to.
#[derive(Debug, Default)]
pub struct Yardstick {
    /// Whose notes may be read.
    pub seen: Half,
    /// Whose figures alone count.
    pub unseen: Half,
}

/// Measures all connectors' scenario records.
pub fn measure() -> Yardstick {
    let (full, _) = registry();
    let generic = generic(&full);
    let kept = |name: &str| generic.contains(name) || matches!(name, "ecs" | "ocsf");
    let names: Vec<String> = connectors().into_iter().map(|source| source.name).filter(|name| !kept(name)).collect();
    let alone: Vec<_> = connectors().into_iter().filter(|source| kept(&source.name)).collect();
    let (alone, _) = Registry::build(&alone);
    let mut yardstick = Yardstick::default();
    for name in &names {
        let folder = root().join("connectors").join(name).join("scenarios");
        for raw in scenario::raw_records(&full, &folder).unwrap_or_default() {
            yardstick.half(name).raw(&full, &alone, &raw);
        }
    }
    yardstick
}

impl Yardstick {
    /// By the sum of the name's letters: stable whatever is added.
    fn half(&mut self, name: &str) -> &mut Half {
        let sum: u32 = name.bytes().map(u32::from).sum();
        if sum.is_multiple_of(2) { &mut self.seen } else { &mut self.unseen }
    }

    /// The table.
    pub fn text(&self) -> String {
        let Self { seen, unseen } = self;
        let mut text = format!("{:<12} {:>22} {:>22}\n", "", "seen", "unseen");
        let _ = writeln!(text, "{:<12} {:>22} {:>22}", "records", seen.records, unseen.records);
        let _ = writeln!(text, "{:<12} {:>22} {:>22}", "rejected", seen.rejected, unseen.rejected);
        for (kind, _) in KINDS {
            let _ = writeln!(text, "{kind:<12} {:>22} {:>22}", seen.share(kind), unseen.share(kind));
        }
        for half in [seen, unseen] {
            let mut confused: Vec<_> = half.confused.iter().collect();
            confused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for ((wanted, have), count) in confused.into_iter().take(20) {
                let _ = writeln!(text, "  {count:>5} {wanted} -> {have}");
            }
            text.push('\n');
        }
        text
    }
}

impl Half {
    fn raw(&mut self, full: &Arc<Registry>, alone: &Arc<Registry>, raw: &Raw) {
        for Guess { told, guessed, .. } in guesses(full, alone, raw) {
            self.records += 1;
            match guessed {
                Some(guessed) => self.compare(&told, &guessed, &raw.place),
                None => {
                    self.rejected += 1;
                    self.notes.push(format!("rejected {}", raw.place));
                }
            }
        }
    }

    fn compare(&mut self, told: &Value, guessed: &Value, place: &str) {
        let class = |event: &Value| event.get("class_name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if class(told) != class(guessed) {
            *self.confused.entry((class(told), class(guessed))).or_default() += 1;
        }
        let (wanted, have) = (values(told), values(guessed));
        for (kind, wanted) in wanted {
            let have = have.get(kind).cloned().unwrap_or_default();
            for value in &wanted {
                let (found, all) = self.kinds.entry(kind).or_default();
                *all += 1;
                if have.contains(value) {
                    *found += 1;
                } else {
                    self.notes.push(format!("{kind} {value} -> {have:?} {} {place}", class(guessed)));
                }
            }
        }
    }

    fn share(&self, kind: &str) -> String {
        let (found, all) = self.kinds.get(kind).copied().unwrap_or_default();
        let mille = (found * 1000).checked_div(all).unwrap_or(1000);
        format!("{found} of {all} {}.{} %", mille / 10, mille % 10)
    }
}

/// Values of an event by their kind.
fn values(event: &Value) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut values = BTreeMap::new();
    flatten("", event, &mut values);
    values
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<&'static str, BTreeSet<String>>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| !matches!(name.as_str(), "unmapped" | "raw_data" | "observables" | "enrichments")) {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&below, member, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| flatten(&format!("{path}[]"), item, into)),
        Value::Null => {}
        leaf => {
            let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_lowercase);
            let ends = |end: &&&str| {
                path == **end || (**end != "time" && path.strip_suffix(**end).is_some_and(|rest| end.starts_with('.') || rest.ends_with(['.', '_'])))
            };
            let kind = KINDS.iter().find(|(_, paths)| paths.iter().any(|end| ends(&end)));
            if let Some((kind, _)) = kind.filter(|(kind, _)| !nothing(kind, path, &text)) {
                into.entry(kind).or_default().insert(text);
            }
        }
    }
}

/// What says nothing: unknown, and an event without a severity.
fn nothing(kind: &str, path: &str, text: &str) -> bool {
    text.is_empty()
        || text == "unknown"
        || (kind != "class" && kind != "time" && path.ends_with("_id") && matches!(text, "0" | "99"))
        || (kind == "severity" && text == "1")
}
