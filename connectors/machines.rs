//! Machine identities of all systems: one list, from the same files as entitlements and a few more.
//!
//! Files are read in any order: what is told of an identity apart from its secrets is kept until all are read.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use weft_model::Timestamp;
use weft_model::entitlement::SnapshotFault;
use weft_model::machine::{Machine, OwnerSign, Proof};

use crate::{aws, azure, gcp, github, kubernetes};

/// Faults that are kept.
const FAULTS_MAX: usize = 10_000;
/// Lists within lists.
const DEPTH_MAX: usize = 8;
/// Names of tags and labels that say whose something is.
const OWNER_TAGS: [&str; 8] = ["owner", "owner-email", "owneremail", "team", "contact", "maintainer", "squad", "managed-by-team"];

/// What several files say of machines.
#[derive(Debug, Default)]
pub struct Machines {
    /// Machines and their secrets.
    pub found: Vec<Machine>,
    /// What is told of identities apart from their machines and secrets, by full name.
    told: HashMap<String, Told>,
    /// What could not be read.
    pub faults: Vec<SnapshotFault>,
}

/// What a source tells of an identity: it holds for all that is named so, or acts as it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// When it was used last.
    pub used: Option<Timestamp>,
    /// Whose it may be.
    pub owners: Vec<OwnerSign>,
    /// What says that its secrets are known to others.
    pub leaked: Option<String>,
    /// What is listed when nothing acts as it.
    pub otherwise: Option<Machine>,
}

impl Machines {
    /// Reads one file of JSON; what it says of other things is passed over.
    pub fn add(&mut self, place: &str, value: &Value) {
        self.walk(place, value, "", "", DEPTH_MAX);
    }

    /// Reads one file of comma-separated text.
    pub fn add_text(&mut self, place: &str, text: &str) {
        if aws::machines::is_report(text) {
            aws::machines::report(place, text, self);
        } else {
            self.fault(place, "is no credential report: its first line must begin with `user,arn,`".to_owned());
        }
    }

    /// Objects of lists, each with the name of its list and the organisation that it stands in.
    fn walk(&mut self, place: &str, value: &Value, hint: &str, within: &str, depth: usize) {
        if depth == 0 {
            return;
        }
        match value {
            Value::Array(values) => {
                values.iter().enumerate().for_each(|(number, value)| self.walk(&format!("{place}[{number}]"), value, hint, within, depth - 1))
            }
            Value::Object(fields) => {
                let organization = github::machines::organization(value).unwrap_or_else(|| within.to_owned());
                let read = [aws::machines::read, azure::machines::read, gcp::machines::read, kubernetes::machines::read, github::machines::read];
                if read.iter().any(|read| read(place, value, hint, &organization, self)) {
                    return;
                }
                for (name, list) in fields.iter().filter(|(name, list)| !name.starts_with('@') && (list.is_array() || list.is_object())) {
                    self.walk(&format!("{place}: {name}"), list, name, &organization, depth - 1);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn fault(&mut self, place: &str, reason: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(SnapshotFault { place: place.to_owned(), reason });
        }
    }

    /// What is told of an identity apart from its machines.
    pub(crate) fn of(&mut self, name: String) -> &mut Told {
        self.told.entry(name).or_default()
    }

    /// Puts together what was told apart; the same machine of two files is one.
    pub fn finish(self) -> Self {
        let mut told = self.told;
        let mut by_name: BTreeMap<String, Machine> = BTreeMap::new();
        for mut machine in self.found {
            let acts_as = machine.acts_as.clone().filter(|name| *name != machine.name);
            for name in std::iter::once(machine.name.clone()).chain(acts_as) {
                if let Some(told) = told.get_mut(&name) {
                    told.otherwise = None;
                    told.apply(&mut machine);
                }
            }
            match by_name.get_mut(&machine.name) {
                Some(known) => merge(known, machine),
                None => {
                    by_name.insert(machine.name.clone(), machine);
                }
            }
        }
        for told in told.into_values() {
            if let Some(mut machine) = told.otherwise.clone() {
                told.apply(&mut machine);
                by_name.insert(machine.name.clone(), machine);
            }
        }
        Self { found: by_name.into_values().collect(), told: HashMap::new(), faults: self.faults }
    }
}

impl Told {
    fn apply(&self, machine: &mut Machine) {
        machine.used = machine.used.max(self.used);
        machine.use_told |= self.used.is_some();
        add(&mut machine.owners, self.owners.clone());
        machine.leaked = machine.leaked.take().or_else(|| self.leaked.clone());
    }
}

/// What two sources tell of one machine, whichever came first: one that knows more is believed.
fn merge(known: &mut Machine, other: Machine) {
    known.kind = known.kind.max(other.kind);
    if known.account.is_empty() {
        known.account = other.account;
    }
    known.acts_as = known.acts_as.take().or(other.acts_as);
    if known.proof == Proof::None {
        known.proof = other.proof;
    }
    // Not every source tells that it is switched off.
    known.active &= other.active;
    known.created = known.created.into_iter().chain(other.created).min();
    known.rotated = known.rotated.max(other.rotated);
    known.expires = known.expires.max(other.expires);
    known.used = known.used.max(other.used);
    known.use_told |= other.use_told;
    add(&mut known.used_from, other.used_from);
    add(&mut known.owners, other.owners);
    known.delegator = known.delegator.take().or(other.delegator);
    known.third_party = known.third_party.max(other.third_party);
    add(&mut known.persons, other.persons);
    known.leaked = known.leaked.take().or(other.leaked);
}

/// Adds what is not there yet; in order, so that it is the same whichever came first.
fn add<T: Ord>(known: &mut Vec<T>, more: Vec<T>) {
    if more.is_empty() {
        return;
    }
    known.extend(more);
    known.sort();
    known.dedup();
}

pub(crate) fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(crate) fn time(value: &Value, path: &str) -> Option<Timestamp> {
    let found = value.pointer(path)?;
    found.as_str().and_then(Timestamp::read).or_else(|| found.as_i64().map(|seconds| Timestamp(seconds.saturating_mul(1_000))))
}

/// Owners that tags or labels name: an object, or a list of `Key` and `Value`.
pub(crate) fn owners_by_tags(tags: Option<&Value>) -> Vec<OwnerSign> {
    let sign = |key: &str, owner: &str| {
        let known = OWNER_TAGS.contains(&key.to_lowercase().as_str()) && !owner.is_empty();
        known.then(|| OwnerSign { owner: owner.to_owned(), confidence: 90, evidence: format!("tag `{key}`") })
    };
    match tags {
        Some(Value::Object(tags)) => tags.iter().filter_map(|(key, owner)| sign(key, owner.as_str()?)).collect(),
        Some(Value::Array(tags)) => tags.iter().filter_map(|tag| sign(tag.get("Key")?.as_str()?, tag.get("Value")?.as_str()?)).collect(),
        _ => Vec::new(),
    }
}

/// An owner by an address in a description.
pub(crate) fn owners_by_text(text: &str, what: &str) -> Vec<OwnerSign> {
    let words = text.split(|sign: char| !(sign.is_alphanumeric() || "@.-_+".contains(sign)));
    let is_address = |word: &&str| word.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    let sign = |word: &str| OwnerSign { owner: word.trim_matches('.').to_owned(), confidence: 60, evidence: format!("address in the {what}") };
    words.filter(is_address).map(sign).collect()
}
